"""What a breaker counts: in long queues and large tables, and with what cascades would take along."""

from __future__ import annotations

import pytest

from harness import Nodes
from harness.breaker import ATTACH, HELD, TABLE, count, install, waits
from harness.courier import Courier
from harness.exchange import assert_equal, sync


@pytest.mark.parametrize(("last", "expected"), [(60, False), (80, True)])
def test_a_few_deletes_in_a_long_queue_are_counted(nodes: Nodes, last: int, expected: bool) -> None:
    """Before and behind 300,000 events of another table."""
    install(nodes, 120)
    nodes.crm.sql("delete from notes where id <= 20")
    nodes.crm.sql("insert into others select generate_series(1, 300000)")
    nodes.crm.sql(f"delete from notes where id <= {last}")
    Courier(nodes).meet(nodes)
    assert waits(nodes.crm) == expected


def test_many_deletes_that_wait_delay_no_other_change_and_go_when_they_are_approved(nodes: Nodes) -> None:
    """Long runs of what waits are left out of every search; what is there besides is found nevertheless."""
    install(nodes, 30000)
    nodes.crm.sql(
        "insert into others values (1); delete from notes; insert into others values (2); insert into notes values (1, 'again')"
    )
    sync(*nodes)
    assert nodes.billing.sql("select id from others order by id") == [{"id": 1}, {"id": 2}]
    assert nodes.crm.sql("select upper(ids) - lower(ids) as run from rowferry.waiting_runs") == [{"run": 30000}]
    assert nodes.crm.sql("select pending, held from rowferry.status") == [{"pending": 30001, "held": 30001}]
    answer = Courier(nodes).call(nodes.crm)
    assert (answer["pending"], answer["held"], answer["next_id"]) == (10000, 10000, None)
    nodes.crm.sql("select * from rowferry.approve('notes')")
    sync(*nodes)
    assert assert_equal(nodes) == ["(1,again)"]


def test_rows_loaded_anew_and_then_deleted_are_deletes_of_what_the_peer_has(nodes: Nodes) -> None:
    """Whatever was coalesced before the breaker looked."""
    install(nodes, 240)
    nodes.crm.sql("update rowferry.links set batch_limit = 485")
    nodes.crm.sql("delete from notes")
    nodes.crm.sql("insert into notes select g, 'x' from generate_series(1, 240) g")
    nodes.crm.sql("delete from notes")
    sync(*nodes)
    assert (waits(nodes.crm), count(nodes.billing)) == (True, 240)


def test_a_mass_delete_behind_a_long_queue_waits(nodes: Nodes) -> None:
    """However little of the queue is looked at."""
    install(nodes, 120)
    nodes.crm.sql("select rowferry.pause(p_entity => 'others')")
    nodes.crm.sql("insert into others select generate_series(1, 10)")
    nodes.crm.sql("select setval('rowferry.events_id_seq', 3000000)")
    sync(*nodes)
    nodes.crm.sql("delete from notes")
    sync(*nodes)
    assert (waits(nodes.crm), count(nodes.billing)) == (True, 120)


@pytest.mark.parametrize("condition", ["", ", p_filter => 'part = 1', p_filter_left => 'keep'"])
@pytest.mark.parametrize("at_once", [True, False])
def test_a_large_table_is_counted_as_far_as_its_deletes_need(nodes: Nodes, condition: str, at_once: bool) -> None:
    """Its statistics are of a table of three times the rows, and half of the rows are not in the filter."""
    for node in nodes:
        node.sql("create table notes (id integer primary key, part integer)")
        node.sql("insert into notes select g, case when g <= 240000 then g % 2 else 1 end from generate_series(1, 720000) g")
        node.sql("analyze notes; delete from notes where id > 240000")
        node.sql(f"select rowferry.attach('notes'{condition})")
    sync(*nodes)
    nodes.crm.sql("delete from notes where id = 1")
    sync(*nodes)
    assert (nodes.crm.sql(HELD), count(nodes.billing)) == ([{"held_sqlstate": None, "held_error": None}], 239999)
    last, step = (136000, 8000) if condition else (168000, 24000)
    if at_once:
        nodes.crm.sql(f"delete from notes where id <= {last}")
        sync(*nodes)
        assert (waits(nodes.crm), count(nodes.billing)) == (True, 239999)
        return
    for to in range(step, last + 1, step):
        nodes.crm.sql(f"delete from notes where id <= {to}")
        sync(*nodes)
        if waits(nodes.crm):
            break
    assert waits(nodes.crm)
    assert to > 120000 - step, "deletes of less than half of the rows wait"


def test_new_rows_of_a_large_table_make_no_share_of_few_deletes(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(TABLE)
        node.sql("insert into notes select generate_series(1, 150000)")
        node.sql(ATTACH)
    sync(*nodes)
    nodes.crm.sql("insert into notes select generate_series(200001, 295000); delete from notes where id <= 10000")
    Courier(nodes).meet(nodes)
    assert not waits(nodes.crm)


def test_a_share_is_the_number_that_was_given(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("select rowferry.set_breaker('notes', 0.7, 100); delete from notes where id <= 70")
    sync(*nodes)
    assert len(assert_equal(nodes)) == 30


def test_deletes_whose_key_cannot_be_read_any_more_stop_no_skip_of_the_others(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create type kind as enum ('a', 'b'); create table notes (id integer, kind kind, primary key (id, kind))")
        node.sql(ATTACH)
    nodes.crm.sql("insert into notes select g, case when g = 7 then 'b' else 'a' end::kind from generate_series(1, 100) g")
    sync(*nodes)
    nodes.crm.sql("delete from notes")
    sync(*nodes)
    nodes.crm.sql("alter type kind rename value 'b' to 'c'")
    nodes.crm.sql("select * from rowferry.skip_deletes('notes', 'by mistake')")
    sync(*nodes)
    assert (count(nodes.crm), count(nodes.billing)) == (99, 100)


def test_parents_whose_cascade_would_take_what_waits_wait_too(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("""
            create table parents (id integer primary key);
            create table notes (id integer primary key, parent integer references parents on delete cascade);
            select rowferry.attach('parents'), rowferry.attach('notes')""")
    nodes.crm.sql("""
        insert into parents select generate_series(1, 200);
        insert into notes select g, case when g <= 700 then 1 + g % 40 else 50 + g % 100 end from generate_series(1, 1000) g""")
    sync(*nodes)
    nodes.crm.sql("delete from parents where id <= 41")
    sync(*nodes)
    assert (waits(nodes.crm), count(nodes.billing)) == (True, 1000)
    [parents] = nodes.crm.sql("select held_sqlstate, held_error from rowferry.entities where name = 'parents'")
    assert parents["held_sqlstate"] == "RF026" and "rows of notes" in parents["held_error"]
    nodes.crm.sql("select rowferry.approve('notes'); select rowferry.approve('parents')")
    sync(*nodes)
    assert len(assert_equal(nodes, "notes")) == 300 and len(assert_equal(nodes, "parents")) == 159


def test_one_delete_after_all_keys_have_moved_goes_unasked(nodes: Nodes) -> None:
    install(nodes, 200)
    nodes.crm.sql("update notes set id = id + 1000")
    sync(*nodes)
    nodes.crm.sql("delete from notes where id = 1001")
    sync(*nodes)
    assert not waits(nodes.crm)
    assert len(assert_equal(nodes)) == 199


def test_rows_that_were_loaded_hide_no_later_delete(nodes: Nodes) -> None:
    install(nodes, 200)
    nodes.crm.sql("insert into notes select g, 'x' from generate_series(1001, 2000) g; delete from notes where id = 1")
    sync(*nodes)
    assert count(nodes.billing) == 1199
    nodes.crm.sql("delete from notes")
    sync(*nodes)
    assert (waits(nodes.crm), count(nodes.billing)) == (True, 1199)


@pytest.mark.parametrize("breaker", [True, False])
def test_parents_without_a_breaker_of_their_own_take_no_child_along_that_waits(nodes: Nodes, breaker: bool) -> None:
    for node in nodes:
        node.sql("""
            create table parents (id integer primary key);
            create table notes (id integer primary key, parent integer references parents on delete cascade);
            select rowferry.attach('parents'), rowferry.attach('notes')""")
    if not breaker:
        nodes.crm.sql("select rowferry.set_breaker('parents', null)")
    nodes.crm.sql(
        "insert into parents select generate_series(1, 200);"
        "insert into notes select g, 1 + g % 40 from generate_series(1, 1000) g"
    )
    sync(*nodes)
    nodes.crm.sql("delete from parents where id <= 41")
    sync(*nodes)
    assert (waits(nodes.crm), count(nodes.billing)) == (True, 1000)
    nodes.crm.sql("select rowferry.approve('notes')")
    sync(*nodes)
    nodes.crm.sql("select rowferry.approve('parents')")
    sync(*nodes)
    assert count(nodes.billing) == count(nodes.crm) == 0


def test_a_child_that_was_approved_stops_no_call_that_finds_nothing_new(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("""
            create table parents (id integer primary key);
            create table notes (id integer primary key, parent integer references parents on delete cascade);
            select rowferry.attach('parents'), rowferry.attach('notes')""")
    nodes.crm.sql(
        "insert into parents select generate_series(1, 200); insert into notes select g, 1 from generate_series(1, 200) g"
    )
    sync(*nodes)
    nodes.crm.sql("select rowferry.pause(p_entity => 'parents')")
    nodes.crm.sql("delete from notes; delete from parents where id = 1")
    sync(*nodes)
    nodes.crm.sql("select rowferry.approve('notes'); select rowferry.resume(p_entity => 'parents')")
    sync(*nodes)
    assert (count(nodes.billing), nodes.billing.sql("select count(*) as n from parents")) == (0, [{"n": 199}])
