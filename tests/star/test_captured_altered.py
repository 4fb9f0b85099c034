"""A table that is attached for several peers is altered: attach(), detach() and remove_peer() go on, and no change is missed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from harness.exchange import rows
from harness.nodes import Node
from harness.star import SPOKES, star
from harness.waiting import wait_until
from rowferry.demo.embedded import Server

NOTES = "create table notes (id integer primary key, name text, note text)"
EVENTS = """
    select coalesce(e.peer, 'nobody'), v.event_type, v.record_id
    from rowferry.events v left join rowferry.entities e on e.id = v.entity_id
    order by 1, 3, 2"""
DRIFT = "select * from rowferry.drift()"


def written(node: Node, statement: str) -> list[str]:
    """The events of a statement, also those of entities that are gone; they are removed again."""
    node.sql("delete from rowferry.events")
    node.sql(statement)
    found = rows(node, EVENTS)
    node.sql("delete from rowferry.events")
    return found


@pytest.mark.parametrize("altered", ["rename id to number", "drop id, add number uuid primary key default gen_random_uuid()"])
def test_each_entity_can_go_while_the_key_is_another_one(servers: tuple[Server, ...], tmp_path: Path, altered: str) -> None:
    with star(servers, tmp_path, {"hub": SPOKES}) as nodes:
        nodes.sql(NOTES)
        nodes.attach("notes")
        hub = nodes["hub"]
        hub.sql(f"alter table notes {altered}")
        hub.sql("select rowferry.set_rules('notes@south', p_triggers => 'fire')")
        hub.sql("begin; select rowferry.detach('notes@south'); select rowferry.attach('notes', p_peer => 'south'); commit")
        hub.sql("select rowferry.detach('notes@north')")
        hub.sql("select * from rowferry.remove_peer('east')")
        values = "(name) values ('a')" if "uuid" in altered else "values (1)"
        [event] = written(hub, f"insert into notes {values}")
        assert event.startswith("(south,i,")
        assert rows(hub, DRIFT) == []


def test_attach_begins_with_any_entity_after_the_key_was_renamed(servers: tuple[Server, ...], tmp_path: Path) -> None:
    with star(servers, tmp_path, {"hub": SPOKES}) as nodes:
        nodes.sql(NOTES)
        nodes.attach("notes")
        hub = nodes["hub"]
        hub.sql("alter table notes rename id to number")
        for spoke in reversed(SPOKES):
            hub.sql(f"select rowferry.attach('notes', p_peer => '{spoke}')")
        assert written(hub, "insert into notes values (1)") == [f"({peer},i,1)" for peer in sorted(SPOKES)]
        assert rows(hub, DRIFT) == []


def test_the_entity_that_stays_captures_though_a_column_was_dropped(servers: tuple[Server, ...], tmp_path: Path) -> None:
    with star(servers, tmp_path, {"hub": ("north", "south")}) as nodes:
        nodes.sql(f"{NOTES}; create table parts (id integer primary key, name text, note text)")
        nodes.attach("notes")
        nodes.attach("parts")
        hub = nodes["hub"]
        hub.sql("alter table notes drop column note; alter table parts drop column note")
        hub.sql("select rowferry.detach('notes@north'); select rowferry.detach('parts@south')")
        assert written(hub, "insert into notes values (1, 'a')") == ["(south,i,1)"]
        assert written(hub, "insert into parts values (1, 'a')") == ["(north,i,1)"]


@pytest.mark.parametrize("partitioned", ["", " partition by hash (id)"])
@pytest.mark.parametrize("lacking", ["", "create view notes_out as select id, name from notes"])
def test_no_change_is_missed_while_a_view_is_not_the_one_that_was_attached(
    servers: tuple[Server, ...], tmp_path: Path, partitioned: str, lacking: str
) -> None:
    """The capture function is made anew for another entity meanwhile."""
    with star(servers, tmp_path, {"hub": ("north", "south")}) as nodes:
        nodes.sql(NOTES + partitioned)
        if partitioned:
            nodes.sql("create table notes_0 partition of notes for values with (modulus 1, remainder 0)")
        hub = nodes["hub"]
        hub.sql("create view notes_out as select id, name, note from notes")
        nodes.attach("notes", south={"p_outbound": "public.notes_out", "p_direction": "send"})
        hub.sql("insert into notes values (1, 'a', 'b')")
        nodes.sync()
        hub.sql(f"drop view notes_out; {lacking}")
        assert [row for row in rows(hub, DRIFT) if "capture_" in row] == []
        hub.sql("select rowferry.attach('notes', p_peer => 'north')")
        hub.sql("update notes set note = 'c'; insert into notes values (2, 'd', 'e')")
        assert [row for row in rows(hub, DRIFT) if "capture_" in row] == []
        hub.sql("drop view if exists notes_out; create view notes_out as select id, name, note from notes")
        hub.sql("select rowferry.attach('notes', p_peer => 'south')")
        nodes.sync()
        assert nodes.assert_equal("notes") == ["(1,a,c)", "(2,d,e)"]
        assert rows(hub, DRIFT) == []


def test_what_a_view_needs_of_the_key_is_asked_of_the_table(servers: tuple[Server, ...], tmp_path: Path) -> None:
    with star(servers, tmp_path, {"hub": ("north", "south")}) as nodes:
        nodes.sql(NOTES)
        hub = nodes["hub"]
        hub.sql("create view notes_out as select id, name from notes")
        hub.sql("select rowferry.attach('notes', p_peer => 'north')")
        hub.sql("select rowferry.attach('notes', p_peer => 'south', p_outbound => 'public.notes_out', p_direction => 'send')")
        hub.sql("alter table notes rename id to number")
        hub.sql("select rowferry.attach('notes', p_peer => 'north')")
        with pytest.raises(psycopg.errors.UndefinedColumn, match="changes of notes@south cannot be captured"):
            hub.sql("insert into notes values (1)")
        hub.sql("select rowferry.detach('notes@south')")
        assert written(hub, "insert into notes values (1)") == ["(north,i,1)"]


def test_what_a_dry_run_prints_captures_for_all_peers(servers: tuple[Server, ...], tmp_path: Path) -> None:
    with star(servers, tmp_path, {"hub": SPOKES}) as nodes:
        nodes.sql(NOTES)
        hub = nodes["hub"]
        for spoke, direction in (("north", "both"), ("south", "both"), ("north", "receive"), ("east", "both")):
            given = f"'notes', p_peer => '{spoke}', p_direction => '{direction}', p_dry_run => true"
            printed = hub.psql(f"select rowferry.attach({given});", "-At")
            hub.psql(f"set quote_all_identifiers = off; {printed}")
        assert written(hub, "insert into notes values (1)") == ["(east,i,1)", "(south,i,1)"]
        assert rows(hub, DRIFT) == []


def test_detach_for_one_peer_and_attach_for_another_wait_for_each_other(servers: tuple[Server, ...], tmp_path: Path) -> None:
    """attach() locks the table and then its parent, which detach() locks too."""
    waiting = "select count(*) as n from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    with star(servers, tmp_path, {"hub": ("north", "south")}) as nodes:
        hub = nodes["hub"]
        hub.sql(f"{NOTES}; create table parts (id int primary key, note int references notes); create index on parts (note)")
        for spoke in ("north", "south"):
            hub.sql(f"select rowferry.attach('notes', p_peer => '{spoke}', p_filter => 'id > 0')")
        hub.sql("select rowferry.attach('parts', p_peer => 'north')")
        user = hub.connect(autocommit=False)
        user.execute("lock table parts in row exclusive mode")
        calls = (
            "select rowferry.attach('parts', p_peer => 'north', p_within => 'notes')",
            "select rowferry.detach('notes@south')",
        )
        with ThreadPoolExecutor() as pool:
            done = []
            for count, call in enumerate(calls, 1):
                done.append(pool.submit(hub.sql, call))
                wait_until(lambda count=count: hub.sql(waiting)[0]["n"] == count, 20, "the call waits")
            user.commit()
            for answer in done:
                assert answer.result()
        assert rows(hub, DRIFT) == []
