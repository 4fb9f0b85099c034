"""Deletes of a large part of a table, and TRUNCATE, wait for a person."""

from __future__ import annotations

import pytest

from harness import Node, Nodes
from harness.courier import Courier
from harness.exchange import assert_equal, refused_with, sync, waiting
from harness.roles import as_role, role

TABLE = "create table public.notes (id integer primary key, body text)"
ATTACH = "select rowferry.attach('public.notes')"
PROPAGATE = "select rowferry.attach('public.notes', p_truncate => 'propagate')"
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


@pytest.mark.parametrize(("last", "expected"), [(60, False), (80, True)])
def test_a_few_deletes_in_a_long_queue_are_counted(nodes: Nodes, last: int, expected: bool) -> None:
    """Before and behind 300,000 events of another table."""
    install(nodes, 120)
    nodes.crm.sql("delete from notes where id <= 20")
    nodes.crm.sql("insert into others select generate_series(1, 300000)")
    nodes.crm.sql(f"delete from notes where id <= {last}")
    Courier(nodes).meet(nodes)
    assert waits(nodes.crm) == expected


def test_truncate_waits_for_approval_and_then_empties_the_other_side(nodes: Nodes) -> None:
    install(nodes, 5, attach=PROPAGATE)
    nodes.crm.sql("truncate notes; insert into notes values (3, 'new')")
    sync(*nodes)
    assert count(nodes.billing) == 5
    [status] = nodes.crm.sql("select state, reason from rowferry.status")
    assert status["state"] == "held"
    assert status["reason"].startswith(
        "notes: postgres truncated public.notes: its rows are to be deleted on billing. Let them go: "
    )
    nodes.crm.sql("select * from rowferry.approve('notes')")
    sync(*nodes)
    assert assert_equal(nodes) == ["(3,new)"]


def test_a_truncated_table_can_be_had_back(nodes: Nodes) -> None:
    install(nodes, 5, attach=PROPAGATE)
    nodes.crm.sql("truncate notes")
    nodes.crm.sql("select * from rowferry.skip_deletes('notes')")
    sync(*nodes)
    assert len(assert_equal(nodes)) == 5


def test_truncate_is_refused_unless_it_was_asked_for(nodes: Nodes) -> None:
    install(nodes, 5)
    refused_with("RF005", nodes.crm, "truncate notes")


def test_a_truncate_that_is_rolled_back_leaves_nothing_behind(nodes: Nodes) -> None:
    install(nodes, 5, attach=PROPAGATE)
    nodes.crm.sql("begin; truncate notes; rollback")
    assert (waiting(nodes.crm), waits(nodes.crm)) == ([], False)


def test_truncate_by_an_old_snapshot_is_refused(nodes: Nodes) -> None:
    """It would take rows that it does not see."""
    install(nodes, 5, attach=PROPAGATE)
    refused_with("RF005", nodes.crm, "begin isolation level repeatable read; truncate notes; commit")


def test_truncate_of_one_partition_empties_that_part_of_the_other_side(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table public.notes (id integer primary key, body text) partition by range (id)")
        node.sql("create table public.low partition of notes for values from (0) to (4)")
        node.sql("create table public.high partition of notes default")
        node.sql(PROPAGATE)
    nodes.crm.sql("insert into notes select generate_series(1, 6)")
    sync(*nodes)
    for table, left in (("low", 3), ("notes", 0)):
        nodes.crm.sql(f"truncate {table}")
        nodes.crm.sql("select * from rowferry.approve('notes')")
        sync(*nodes)
        assert len(assert_equal(nodes)) == left


def test_truncate_cascade_empties_both_tables_once_both_are_approved(nodes: Nodes) -> None:
    install(nodes, 5, attach=PROPAGATE)
    for node in nodes:
        node.sql("create table public.marks (id integer primary key, note integer references notes)")
        node.sql("select rowferry.attach('public.marks', p_truncate => 'propagate')")
    nodes.crm.sql("insert into marks values (1, 1)")
    sync(*nodes)
    nodes.crm.sql("truncate notes cascade")
    for entity in ("notes", "marks"):
        nodes.crm.sql("select * from rowferry.approve(%s)", [entity])
    sync(*nodes)
    assert assert_equal(nodes) == assert_equal(nodes, "marks") == []


def test_a_table_owner_may_truncate_and_writes_with_no_more_rights(nodes: Nodes) -> None:
    owner = role(nodes.crm)
    for node in nodes:
        node.sql(TABLE)
    nodes.crm.sql(f"alter table notes owner to {owner}")
    for node in nodes:
        node.sql(PROPAGATE)
    nodes.crm.sql("insert into notes values (1)")
    as_role(nodes.crm, owner).execute("truncate notes")
    nodes.crm.sql("select * from rowferry.approve('notes')")
    assert waiting(nodes.crm) == ["insert notes 1", "delete notes 1"]


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
