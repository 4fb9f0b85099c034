"""A spoke is taken out for good by one call, and the other links go on."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness import Node, wait_until
from harness.exchange import refused_with, rows, sync
from harness.star import SPOKES, Star, star

ABOUT_PEERS = """
    select c.oid::regclass::text as name from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'rowferry'::regnamespace and c.relkind = 'r' and a.attname = 'peer' and c.relname <> 'conflicts'"""
ABOUT_ENTITIES = """
    select c.oid::regclass::text as name from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'rowferry'::regnamespace and c.relkind = 'r' and a.attname = 'entity_id'"""


@pytest.fixture
def hub(servers: Any, tmp_path: Path) -> Iterator[Star]:
    with star(servers, tmp_path, {"hub": SPOKES}) as made:
        made.sql("""
            create table orders (id int primary key, region text);
            create table lines (id int primary key, orders int not null references orders on delete cascade);
            create index on lines (orders)""")
        made.attach("orders", **{name: {"p_filter": "region is not null"} for name in SPOKES})
        for parent, spoke in made.pairs:
            parent.sql(f"select rowferry.attach('lines', p_peer => '{spoke.name}', p_within => 'orders@{spoke.name}')")
            spoke.sql("select rowferry.attach('lines')")
        made["hub"].sql("insert into orders values (1, 'N'); insert into lines values (1, 1)")
        made.sync()
        yield made


@pytest.mark.case(151)
def test_a_peer_is_removed_with_all_that_was_noted_of_it(hub: Star) -> None:
    node = hub["hub"]
    node.sql("select * from rowferry.compare('orders@north'); select rowferry.skip(id, 'x') from rowferry.sync_events")
    sync(node, hub["north"])
    gone = [row["id"] for row in node.sql("select id from rowferry.entities where peer = 'north'")]
    *detached, told = (row["remove_peer"] for row in node.sql("select rowferry.remove_peer('north')"))
    assert len(detached) == 2 and all("no longer kept in sync with north" in line for line in detached)
    assert "take north out of alembic.ini" in told and "on north" in told and "rowferry.remove_peer('hub'" in told
    for row in node.sql(ABOUT_PEERS):
        assert node.sql(f"select * from {row['name']} where peer = 'north'") == [], row["name"]
    for row in node.sql(ABOUT_ENTITIES):
        assert node.sql(f"select * from {row['name']} where entity_id = any (%s)", [gone]) == [], row["name"]
    assert node.sql("select * from rowferry.check() where severity = 'error'") == []
    node.sql("insert into orders values (2, 'S'); insert into lines values (2, 2)")
    for name in ("south", "east"):
        sync(node, hub[name])
        assert rows(hub[name], "select id from lines") == ["(1)", "(2)"]
    hub["north"].sql("select rowferry.remove_peer('hub')")
    assert hub["north"].sql("select * from rowferry.status") == []
    hub["north"].sql("truncate orders cascade")


@pytest.mark.promise("R1")
@pytest.mark.case(151)
def test_while_changes_wait_it_is_refused_unless_they_are_given_up(hub: Star) -> None:
    node = hub["hub"]
    node.sql("insert into orders values (2, 'S')")
    error = refused_with("RF012", node, "select rowferry.remove_peer('north')")
    assert "changes still wait for this peer" in error and "north: 1." in error
    assert len(node.sql("select * from rowferry.entities where peer = 'north'")) == 2, "nothing was changed"
    node.sql("select rowferry.remove_peer('north', p_force => true)")
    assert rows(node, "select peer from rowferry.status") == ["(east)", "(south)"]


@pytest.mark.case(151)
def test_a_peer_is_removed_while_batches_are_in_flight(hub: Star) -> None:
    node, north = hub["hub"], hub["north"]

    def call(at: Node, peer: str, envelope: bytes | None = None) -> bytes:
        query = "select envelope from rowferry.process_batch(%s, '1000000-ab', %s)"
        return bytes(at.sql(query, [peer, envelope])[0]["envelope"])

    hello = call(north, "hub"), call(node, "north")
    node.sql("insert into orders values (2, 'S')")
    north.sql("insert into orders values (3, 'N')")
    call(node, "north", hello[0])
    call(node, "north", call(north, "hub", hello[1]))
    noted = ["built_batches", "taken_batches"]
    assert all(node.sql(f"select from rowferry.{table} where peer = 'north'") for table in noted)
    node.sql("select rowferry.remove_peer('north', p_force => true)")
    assert [node.sql(f"select from rowferry.{table} where peer = 'north'") for table in noted] == [[], []]


@pytest.mark.parametrize("peer", ["'west'", "null"])
def test_a_name_that_is_no_peer_is_refused(hub: Star, peer: str) -> None:
    assert "This node knows: east, north, south." in refused_with("RF002", hub["hub"], f"select rowferry.remove_peer({peer})")


def test_a_table_that_somebody_uses_is_named(hub: Star) -> None:
    with psycopg.connect(hub["hub"].conninfo) as user:
        user.execute("insert into orders values (2, 'S')")
        error = refused_with("55P03", hub["hub"], "select rowferry.remove_peer('north')")
        assert "the table is in use by a transaction that stays open" in error and str(user.info.backend_pid) in error
    assert len(rows(hub["hub"], "select peer from rowferry.status")) == 3


def test_a_user_who_has_one_table_and_wants_another_finds_no_deadlock(hub: Star) -> None:
    node = hub["hub"]
    node.sql("create table others (id int primary key); select rowferry.attach('others', p_peer => 'north')")
    waiting = "select from pg_locks where not granted and locktype = 'relation' and pid = %s"
    with (
        ThreadPoolExecutor(2) as pool,
        psycopg.connect(node.conninfo) as first,
        psycopg.connect(node.conninfo) as second,
        psycopg.connect(node.conninfo, autocommit=True) as operator,
    ):
        first.execute("insert into orders values (2, 'S')")
        second.execute("insert into others values (1)")
        removing = pool.submit(operator.execute, "select rowferry.remove_peer('north', p_force => true)")
        wait_until(lambda: node.sql(waiting, [operator.info.backend_pid]), 10, "it waits for the first user")
        writing = pool.submit(second.execute, "insert into orders values (3, 'S')")
        wait_until(lambda: node.sql(waiting, [second.info.backend_pid]), 10, "the second user waits behind it")
        first.commit()
        writing.result(30)
        second.commit()
        removing.result(30)
    assert rows(node, "select peer from rowferry.status") == ["(east)", "(south)"]


@pytest.mark.case(151)
@pytest.mark.slow
def test_the_worker_serves_it_no_more_and_goes_on_with_the_others(hub: Star, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with hub.worker(log, code=2):  # alembic.ini still names north
        wait_until(lambda: log.read_text().count("at work between") == 3, 30, "all links are served")
        hub["hub"].sql("select rowferry.remove_peer('north')")
        wait_until(lambda: "hub has no link to north any more" in log.read_text(), 30, "the worker says so")
        behind = "select f.facts ->> 'behind' as names from rowferry.peer_facts f"
        wait_until(
            lambda: "north" not in hub["south"].sql(behind)[0]["names"],
            30,
            "south hears that north lies no longer behind the hub",
        )
        hub["hub"].sql("insert into orders values (7, 'S')")
        wait_until(lambda: rows(hub["south"], "select id from orders where id = 7") == ["(7)"], 30, "the others go on")
    assert log.read_text().count("north") == 2, log.read_text()
