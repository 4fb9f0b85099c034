"""A table that is attached for several peers has one capture function, whatever its entities are."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from harness.exchange import rows
from harness.nodes import Node
from harness.star import SPOKES, star
from rowferry.demo.embedded import Server

CAPTURING = "select tgname from pg_trigger where tgrelid = 'notes'::regclass and tgname ~ '^rowferry_capture' order by 1"
EVENTS = """
    select e.peer, v.event_type, v.record_id from rowferry.events v join rowferry.entities e on e.id = v.entity_id
    order by 1, 3, 2"""


def capturing(node: Node) -> int:
    """Sets of capture triggers on the table: three triggers each."""
    count, rest = divmod(len(rows(node, CAPTURING)), 3)
    assert rest == 0
    return count


def written(node: Node, statement: str) -> list[str]:
    """The events of a statement; they are removed again."""
    node.sql("delete from rowferry.events")
    node.sql(statement)
    return rows(node, EVENTS)


def test_one_statement_writes_an_event_for_each_peer(servers: tuple[Server, ...], tmp_path: Path) -> None:
    with star(servers, tmp_path, {"hub": SPOKES}) as nodes:
        nodes.sql("create table notes (id integer primary key, name text, note text)")
        nodes.attach("notes")
        hub = nodes["hub"]
        assert capturing(hub) == 1
        for statement, kind in (
            ("insert into notes values (1, 'a')", "i"),
            ("update notes set name = 'b'", "u"),
            ("update notes set name = name || 'c' where id > 0", "u"),
            ("delete from notes", "d"),
        ):
            assert written(hub, statement) == [f"({peer},{kind},1)" for peer in sorted(SPOKES)], statement
        assert written(hub, "insert into notes select generate_series(1, 2); update notes set name = name") == [
            f"({peer},i,{record})" for peer in sorted(SPOKES) for record in (1, 2)
        ]


def test_what_is_applied_for_one_peer_is_captured_for_the_others(servers: tuple[Server, ...], tmp_path: Path) -> None:
    """A child that a cascade deletes is a consequence, which its sender hears of too."""
    with star(servers, tmp_path, {"hub": SPOKES}) as nodes:
        nodes.sql("""create table notes (id integer primary key, name text);
            create table parts (id integer primary key, note integer references notes on delete cascade)""")
        nodes.attach("notes")
        nodes.attach("parts")
        nodes["north"].sql("insert into notes values (1, 'a'), (2, 'b'); insert into parts values (1, 1), (2, 2)")
        nodes.sync()
        nodes["south"].sql("update notes set name = 'c' where id = 2; delete from notes where id = 1")
        nodes["hub"].sql("insert into notes values (3, 'd')")
        nodes.sync()
        assert nodes.assert_equal("notes") == ["(2,c)", "(3,d)"]
        assert nodes.assert_equal("parts") == ["(2,2)"]


def test_one_function_captures_entities_with_columns_of_their_own(servers: tuple[Server, ...], tmp_path: Path) -> None:
    with star(servers, tmp_path, {"hub": SPOKES}) as nodes:
        nodes.sql("create table notes (id integer primary key, name text, note text)")
        nodes.attach("notes", south={"p_columns": '["id", "name"]'})
        hub = nodes["hub"]
        hub.sql("insert into notes values (1, 'a', 'b')")
        assert written(hub, "update notes set note = 'c'") == ["(east,u,1)", "(north,u,1)"]
        assert written(hub, "update notes set name = 'c'") == ["(east,u,1)", "(north,u,1)", "(south,u,1)"]
        hub.sql("select rowferry.attach('notes', p_peer => 'east', p_filter => 'id < 10')")
        assert capturing(hub) == 1
        assert written(hub, "insert into notes values (10, 'x', 'y')") == ["(north,i,10)", "(south,i,10)"]
        assert written(hub, "update notes set note = 'd'") == ["(east,u,1)", "(north,u,1)", "(north,u,10)"]
        hub.sql("select rowferry.attach('notes', p_peer => 'east', p_filter => '')")
        hub.sql("select rowferry.attach('notes', p_peer => 'south', p_columns => '\"*\"')")
        assert written(hub, "update notes set note = 'z' where id = 10") == [f"({peer},u,10)" for peer in sorted(SPOKES)]
        assert (capturing(hub), rows(hub, "select * from rowferry.drift()")) == (1, [])


def test_each_peer_hears_of_the_rows_of_its_own_filter(servers: tuple[Server, ...], tmp_path: Path) -> None:
    """A row that moves from one tenant to another leaves the one spoke and enters the other, with the rows that follow it."""
    following = "select p.id from parts p join notes n on n.id = p.note where n.region = '{}' order by 1"
    with star(servers, tmp_path, {"hub": SPOKES}) as nodes:
        nodes.sql("""create table notes (id integer primary key, region text not null, note text);
            create table parts (id integer primary key, note integer not null references notes)""")
        for spoke in SPOKES:
            for node, peer in ((nodes["hub"], spoke), (nodes[spoke], "hub")):
                node.sql(f"select rowferry.attach('notes', p_peer => '{peer}', p_filter => 'region = ''{spoke}''')")
                node.sql(f"select rowferry.attach('parts', p_peer => '{peer}', p_within => 'notes@{spoke}')")
        hub = nodes["hub"]
        assert capturing(hub) == 1
        hub.sql("""insert into notes values (1, 'north', ''), (2, 'south', ''), (3, 'nowhere', '');
            insert into parts values (1, 1), (2, 2), (3, 3)""")
        nodes.sync()
        nodes["north"].sql("insert into notes values (4, 'north', 'new'); insert into parts values (4, 4)")
        nodes.sync()
        assert written(hub, "update notes set note = note where id < 4") == []
        assert written(hub, "update notes set note = region where id < 4") == ["(north,u,1)", "(south,u,2)"]
        hub.sql("update notes set note = note || '!'")
        hub.sql("update notes set region = 'south' where id in (1, 3); update notes set region = 'east' where id = 2")
        nodes.sync()
        everything = ["(1,south,north!)", "(2,east,south!)", "(3,south,nowhere!)", "(4,north,new!)"]
        assert rows(hub, "select * from notes order by id") == everything
        for spoke in SPOKES:
            assert rows(nodes[spoke], "select * from notes order by id") == [row for row in everything if f",{spoke}," in row]
            assert rows(nodes[spoke], following.format(spoke)) == rows(hub, following.format(spoke)) != []
        assert rows(hub, "select * from rowferry.drift()") == []


def test_a_partitioned_table_is_captured_once_too(servers: tuple[Server, ...], tmp_path: Path) -> None:
    with star(servers, tmp_path, {"hub": SPOKES}) as nodes:
        nodes.sql("""create table notes (id integer primary key, name text) partition by hash (id);
            create table notes_0 partition of notes for values with (modulus 1, remainder 0)""")
        nodes.attach("notes", south={"p_filter": "name <> 'b'"})
        hub = nodes["hub"]
        triggers = "select tgrelid::regclass from pg_trigger where tgname ~ '^rowferry_capture' order by 1"
        assert rows(hub, triggers) == ["(notes)", "(notes_0)"]
        assert written(hub, "insert into notes values (1, 'a')") == [f"({peer},i,1)" for peer in sorted(SPOKES)]
        assert written(hub, "update notes set name = 'b'") == ["(east,u,1)", "(north,u,1)", "(south,d,1)"]
        assert written(hub, "delete from notes") == ["(east,d,1)", "(north,d,1)"]
        nodes["south"].sql("insert into notes values (5, 'from south')")
        nodes.sync()
        assert nodes.assert_equal("notes") == ['(5,"from south")']


def test_a_column_that_was_dropped_is_taken_from_one_entity_after_the_other(servers: tuple[Server, ...], tmp_path: Path) -> None:
    """Meanwhile changes are captured for all of them."""
    with star(servers, tmp_path, {"hub": SPOKES}) as nodes:
        nodes.sql("create table notes (id integer primary key, name text, note text)")
        nodes.attach("notes")
        hub = nodes["hub"]
        hub.sql("insert into notes values (1, 'a')")
        nodes.sync()
        nodes.sql("alter table notes drop column note")
        for spoke in SPOKES:
            hub.sql(f"select rowferry.attach('notes', p_peer => '{spoke}')")
            nodes[spoke].sql("select rowferry.attach('notes')")
            assert written(hub, "update notes set name = name || '.'") == [f"({peer},u,1)" for peer in sorted(SPOKES)]
            assert capturing(hub) == 1
        hub.sql("update notes set name = 'b'")
        nodes.sync()
        assert nodes.assert_equal("notes") == ["(1,b)"]
        assert rows(hub, "select * from rowferry.drift()") == []


def test_no_change_is_lost_while_the_key_of_one_entity_is_not_the_one_that_was_attached(
    servers: tuple[Server, ...], tmp_path: Path
) -> None:
    renamed = """select rowferry.attach('notes', p_columns => '{{"id": "number", "name": "name"}}', p_peer => '{}')"""
    with star(servers, tmp_path, {"hub": SPOKES}) as nodes:
        nodes.sql("create table notes (id integer primary key, name text)")
        nodes.attach("notes")
        hub = nodes["hub"]
        hub.sql("alter table notes rename id to number")
        for spoke, left in (("north", "south"), ("south", "east")):
            hub.sql(renamed.format(spoke))
            with pytest.raises(psycopg.errors.UndefinedColumn, match=f"changes of notes@{left} cannot be captured") as caught:
                hub.sql("insert into notes values (1, 'a')")
            assert f"select rowferry.attach('public.notes', 'notes@{left}');" in str(caught.value.diag.message_hint)
        hub.sql(renamed.format("east"))
        assert written(hub, "insert into notes values (1, 'a')") == [f"({peer},i,1)" for peer in sorted(SPOKES)]
        assert rows(hub, "select * from rowferry.drift()") == []


def test_the_next_entity_captures_once_the_first_is_gone(servers: tuple[Server, ...], tmp_path: Path) -> None:
    with star(servers, tmp_path, {"hub": SPOKES}) as nodes:
        nodes.sql("create table notes (id integer primary key, name text)")
        nodes.attach("notes")
        hub = nodes["hub"]
        hub.sql("select rowferry.detach(name) from rowferry.entities where peer = 'north'")
        assert capturing(hub) == 1
        assert written(hub, "insert into notes values (1, 'a')") == ["(east,i,1)", "(south,i,1)"]
        hub.sql("select rowferry.attach('notes', p_peer => 'south', p_direction => 'receive')")
        assert written(hub, "update notes set name = 'b'") == ["(east,u,1)"]
        assert rows(hub, "select * from rowferry.drift()") == []
        hub.sql("delete from rowferry.events; select rowferry.detach(name) from rowferry.entities")
        assert (capturing(hub), rows(hub, "select count(*) from pg_trigger where tgrelid = 'notes'::regclass")) == (0, ["(0)"])


def test_a_disabled_trigger_is_named_on_each_link_that_it_serves(servers: tuple[Server, ...], tmp_path: Path) -> None:
    with star(servers, tmp_path, {"hub": SPOKES}) as nodes:
        nodes.sql("create table notes (id integer primary key, name text)")
        nodes.attach("notes")
        nodes["hub"].sql("alter table notes disable trigger rowferry_capture_insert")
        found = nodes["hub"].sql("select peer, state, reason from rowferry.status order by peer")
        assert [(row["peer"], row["state"]) for row in found] == [(peer, "stuck") for peer in sorted(SPOKES)], found
        assert all("rowferry_capture_insert" in row["reason"] for row in found)
