"""A table that is attached for several peers is captured once for all entities that have the same key and columns."""

from __future__ import annotations

from pathlib import Path

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


def test_an_entity_with_other_columns_or_a_filter_is_captured_by_itself(servers: tuple[Server, ...], tmp_path: Path) -> None:
    with star(servers, tmp_path, {"hub": SPOKES}) as nodes:
        nodes.sql("create table notes (id integer primary key, name text, note text)")
        nodes.attach("notes", south={"p_columns": '["id", "name"]'})
        hub = nodes["hub"]
        assert capturing(hub) == 2
        hub.sql("insert into notes values (1, 'a', 'b')")
        assert written(hub, "update notes set note = 'c'") == ["(east,u,1)", "(north,u,1)"]
        hub.sql("select rowferry.attach('notes', p_peer => 'east', p_filter => 'id < 10')")
        assert capturing(hub) == 3
        assert written(hub, "insert into notes values (10, 'x', 'y')") == ["(north,i,10)", "(south,i,10)"]
        hub.sql("select rowferry.attach('notes', p_peer => 'east', p_filter => '')")
        hub.sql("select rowferry.attach('notes', p_peer => 'south', p_columns => '\"*\"')")
        assert capturing(hub) == 1
        assert written(hub, "update notes set note = 'z' where id = 10") == [f"({peer},u,10)" for peer in sorted(SPOKES)]
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
