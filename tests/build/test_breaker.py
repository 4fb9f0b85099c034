"""Deletes of a large part of a table, and TRUNCATE, wait for a person."""

from __future__ import annotations

import pytest

from harness import Nodes
from harness.breaker import ATTACH, PROPAGATE, count, install, waits
from harness.courier import Courier
from harness.exchange import assert_equal, refused_with, sync, waiting


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
        assert connection.execute("select peer, entity, deletes from rowferry.approve('notes')").fetchall() == [
            ("billing", "notes", 600)
        ]
    sync(*nodes, 100)
    assert len(assert_equal(nodes)) == 400
    nodes.crm.sql("delete from notes where id <= 900")
    sync(*nodes)
    assert waits(nodes.crm)
    assert count(nodes.billing) == 400


def test_deletes_that_are_given_up_come_back_and_all_else_goes_on(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("update notes set body = 'changed' where id > 90; delete from notes where id <= 60")
    sync(*nodes)
    with nodes.crm.connect() as connection:
        connection.execute("set role rowferry_operator")
        done = connection.execute("select entity, records from rowferry.skip_deletes('notes', 'a wrong where')").fetchall()
    assert done == [("notes", 60)]
    sync(*nodes)
    assert len(assert_equal(nodes)) == 100
    assert nodes.crm.sql("select count(*) from notes where body = 'changed'") == [{"count": 10}]
    assert nodes.crm.sql("select distinct reason, requested_by from rowferry.skips") == [
        {"reason": "a wrong where", "requested_by": "postgres"}
    ]
    assert waiting(nodes.crm) == []


@pytest.mark.parametrize("act", ["approve", "skip_deletes"])
def test_where_nothing_waits_there_is_nothing_to_approve(nodes: Nodes, act: str) -> None:
    install(nodes)
    refused_with("RF008", nodes.crm, f"select * from rowferry.{act}('notes')")
    refused_with("RF011", nodes.crm, f"select * from rowferry.{act}('nothing')")


def test_trying_again_approves_nothing(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("delete from notes")
    sync(*nodes)
    for query in ("select * from rowferry.retry('notes')", "select rowferry.retry(min(id)) from rowferry.sync_events"):
        refused_with("RF026", nodes.crm, query)
    sync(*nodes)
    assert count(nodes.billing) == 100


def test_what_was_on_its_way_approves_nothing(nodes: Nodes) -> None:
    install(nodes, 5, attach=PROPAGATE)
    nodes.crm.sql("update notes set body = 'flies' where id = 5")
    courier = Courier(nodes)
    from_crm, _ = courier.meet(nodes)
    nodes.crm.sql("truncate notes")
    answer = courier.call(nodes.billing, from_crm)
    answer = courier.call(nodes.crm, answer["envelope"])
    assert (answer["retired"], answer["sent"], waits(nodes.crm)) == (1, 0, True)


def test_rows_that_were_made_again_are_no_deletes(nodes: Nodes) -> None:
    """A table that is emptied and filled again, with all rows but one, in a queue where most events are of other records."""
    install(nodes)
    nodes.crm.sql("insert into others select generate_series(1, 300)")
    nodes.crm.sql("delete from notes; insert into notes select g, 'again' from generate_series(2, 100) g")
    sync(*nodes)
    assert len(assert_equal(nodes)) == 99


def test_rows_that_came_and_went_are_no_deletes(nodes: Nodes) -> None:
    """A queue: many rows pass through, few are there."""
    install(nodes)
    for _ in range(5):
        nodes.crm.sql("insert into notes select g, 'new' from generate_series(201, 240) g")
        sync(*nodes)
        nodes.crm.sql("delete from notes where id > 200; delete from notes where id = (select min(id) from notes)")
        nodes.crm.sql("insert into notes select g, 'short' from generate_series(301, 400) g; delete from notes where id > 300")
        sync(*nodes)
    assert len(assert_equal(nodes)) == 95


def test_deletes_that_the_peer_made_are_not_counted(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("delete from notes where id = 1")
    sync(*nodes)
    nodes.billing.sql("delete from notes where id <= 50")
    sync(*nodes)
    nodes.crm.sql("insert into others select generate_series(1, 60); delete from notes where id = 60")
    sync(*nodes)
    assert len(assert_equal(nodes)) == 49


def test_an_approved_delete_waits_for_the_breaker_of_what_its_cascade_would_take(nodes: Nodes) -> None:
    install(nodes)
    for node in nodes:
        node.sql("create table public.marks (id integer primary key, note integer references notes on delete cascade)")
        node.sql("select rowferry.attach('public.marks')")
    nodes.crm.sql("insert into marks select g, g from generate_series(1, 100) g")
    sync(*nodes)
    nodes.billing.sql("delete from notes where id <= 60")
    sync(*nodes)
    nodes.billing.sql("select * from rowferry.approve('notes')")
    sync(*nodes)
    assert nodes.crm.sql("select count(*) from marks") == [{"count": 100}]
    nodes.billing.sql("select * from rowferry.approve('marks')")
    sync(*nodes)
    assert nodes.crm.sql("select count(*) from marks") == nodes.billing.sql("select count(*) from marks") == [{"count": 40}]
    assert [waiting(node) for node in nodes] == [[], []]


def test_a_key_that_moves_with_its_row_is_no_loss(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("update notes set id = id + 1000")
    sync(*nodes)
    assert len(assert_equal(nodes)) == 100


def test_a_table_with_partitions_and_a_key_of_two_columns_has_a_breaker(nodes: Nodes) -> None:
    table = """
        create table public.notes (id integer, day date default '2026-01-01', body text, primary key (id, day))
          partition by range (id);
        create table public.notes_low partition of notes for values from (0) to (50);
        create table public.notes_high partition of notes default"""
    for node in nodes:
        node.sql(table)
        node.sql(ATTACH)
    nodes.crm.sql("insert into notes (id) select generate_series(1, 100)")
    sync(*nodes)
    nodes.crm.sql("delete from notes where id > 40")
    sync(*nodes)
    assert waits(nodes.crm)
    nodes.crm.sql("select * from rowferry.approve('notes')")
    sync(*nodes)
    assert len(assert_equal(nodes)) == 40


def test_a_breaker_can_be_set_and_turned_off(nodes: Nodes) -> None:
    install(nodes, 10)
    with nodes.crm.connect() as connection:
        connection.execute("set role rowferry_operator")
        assert connection.execute("select entity, share::text, rows from rowferry.set_breaker('notes', 0.1, 5)").fetchall() == [
            ("notes", "0.1", 5)
        ]
    nodes.crm.sql("delete from notes where id <= 2")
    sync(*nodes)
    assert waits(nodes.crm)
    assert count(nodes.billing) == 10
    nodes.crm.sql("select * from rowferry.set_breaker('notes', null)")
    sync(*nodes)
    assert len(assert_equal(nodes)) == 8
    nodes.crm.sql("delete from notes")
    sync(*nodes)
    assert assert_equal(nodes) == []


@pytest.mark.parametrize("setting", ["1.5", "-0.1", "0.5, -1", "0.5, null"])
def test_a_breaker_that_makes_no_sense_is_refused(nodes: Nodes, setting: str) -> None:
    install(nodes, 1)
    refused_with("RF013", nodes.crm, f"select * from rowferry.set_breaker('notes', {setting})")
