"""Deletes of a large part of a table, and TRUNCATE, wait for a person."""

from __future__ import annotations

import psycopg
import pytest

from harness import Node, Nodes
from harness.courier import Courier
from harness.exchange import assert_equal, rows, sync, waiting

TABLE = "create table public.notes (id integer primary key, body text)"
ATTACH = "select rowferry.attach('public.notes')"
HELD = "select held_sqlstate, held_error from rowferry.entities where name = 'notes'"


def install(nodes: Nodes, count: int = 100, table: str = TABLE, attach: str = ATTACH) -> None:
    """Both nodes keep public.notes in sync, which has this many rows."""
    for node in nodes:
        node.sql(table)
        node.sql(attach)
        node.sql("create table public.others (id integer primary key); select rowferry.attach('public.others')")
    nodes.crm.sql(f"insert into notes select g, 'n' || g from generate_series(1, {count}) g")
    sync(*nodes)


def count(node: Node) -> int:
    return int(node.sql("select count(*) from notes")[0]["count"])


def waits(node: Node) -> bool:
    return bool(node.sql(HELD)[0]["held_sqlstate"] == "RF026")


@pytest.mark.parametrize("limit", [None, 7])
def test_deletes_of_more_than_half_the_rows_wait_and_nothing_of_them_leaves(nodes: Nodes, limit: int | None) -> None:
    install(nodes)
    nodes.crm.sql("delete from notes where id <= 51; insert into others values (1)")
    sync(*nodes, limit)
    assert count(nodes.billing) == 100
    assert nodes.billing.sql("select id from others") == [{"id": 1}]
    [status] = nodes.crm.sql("select state, pending, held, reason from rowferry.status")
    assert (status["state"], status["pending"], status["held"]) == ("held", 51, 51)
    assert "notes: 51 of about 100 rows are to be deleted on billing" in status["reason"]
    assert "select * from rowferry.approve('notes')" in status["reason"]


def test_deletes_of_half_the_rows_go_unasked(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("delete from notes where id <= 50")
    sync(*nodes)
    assert len(assert_equal(nodes)) == 50


def test_a_table_of_fewer_than_100_rows_has_no_breaker(nodes: Nodes) -> None:
    install(nodes, 99)
    nodes.crm.sql("delete from notes")
    sync(*nodes)
    assert assert_equal(nodes) == []


def test_deletes_are_counted_across_batches(nodes: Nodes) -> None:
    install(nodes)
    for first in range(0, 60, 10):
        nodes.crm.sql(f"delete from notes where id > {first} and id <= {first + 10}")
        sync(*nodes)
    assert waits(nodes.crm)
    assert count(nodes.billing) == 50


def test_approved_deletes_go_and_the_next_ones_wait_again(nodes: Nodes) -> None:
    install(nodes, 1000)
    nodes.crm.sql("delete from notes where id <= 600")
    sync(*nodes)
    with nodes.crm.connect() as connection:
        connection.execute("set role rowferry_operator")
        assert connection.execute("select peer, entity, deletes from rowferry.approve('notes')").fetchall() == [("billing", "notes", 600)]
    sync(*nodes, 100)
    assert len(assert_equal(nodes)) == 400
    nodes.crm.sql("delete from notes where id <= 900")
    sync(*nodes)
    assert waits(nodes.crm)
    assert count(nodes.billing) == 400
