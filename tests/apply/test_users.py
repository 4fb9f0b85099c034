"""Users at work while rows come and go: whatever they do between two steps of a call arrives, and none of them is disturbed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from harness import Node, Nodes
from harness.clock import end_back_off
from harness.courier import Courier
from harness.exchange import assert_equal, rows, sync, waiting
from harness.notes import keep_notes
from harness.steps import Meanwhile, closed, held_while_building, install_gate, keep_two_tables, wait_for_lock

NEXT_ID = "select txid_snapshot_xmax(txid_current_snapshot()) as id"
# A user's transaction may hold at most so many before every snapshot of the server costs more: our calls stay below.
CACHED_SUBTRANSACTIONS = 64
LOCK_TIMEOUT = "alter function rowferry._exchange(text, text, bytea, integer, jsonb) set lock_timeout = '{}'"


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes that keep one table in sync."""
    return keep_notes(nodes)


def released(node: Node) -> None:
    """What waits for a moment to be tried again is due now."""
    end_back_off(node, "attempts = 0")


# while a batch is built


@pytest.mark.promise("R4")
@pytest.mark.case(14)
@pytest.mark.parametrize("change", ["update notes set body = 'newest'", "delete from notes"])
def test_a_row_that_changes_between_its_event_and_its_reading_ends_in_its_newest_state(notes: Nodes, change: str) -> None:
    notes.crm.sql("insert into notes values (1, 'old')")
    courier = Courier(notes)
    with held_while_building(notes, courier, "read_notes") as (build, open_gate):
        notes.crm.sql(change)
        open_gate()
        batch = build.result()["envelope"]
    answer = courier.call(notes.billing, batch)
    assert notes.billing.sql("select body from notes") == [{"body": "old"}]  # of the moment when the events were chosen
    assert courier.call(notes.crm, answer["envelope"])["retired"] == 1
    assert len(waiting(notes.crm)) == 1
    sync(*notes)
    assert assert_equal(notes) == (["(1,newest)"] if "newest" in change else [])


@pytest.mark.promise("R4")
@pytest.mark.case(15)
def test_a_parent_that_is_made_between_the_event_and_the_reading_of_its_child_breaks_no_constraint(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(
            "create table parents (id integer primary key, code integer unique);"
            "create table children (id integer primary key, parent integer references parents);"
            "select rowferry.attach('parents'), rowferry.attach('children')"
        )
    nodes.crm.sql("insert into parents values (1, 1); insert into children values (1, 1)")
    courier = Courier(nodes)
    with held_while_building(nodes, courier, "read_children") as (build, open_gate):
        nodes.crm.sql("insert into parents values (2, 2); update children set parent = 2; delete from parents where id = 1")
        open_gate()
        batch = build.result()["envelope"]
    answer = courier.call(nodes.billing, batch)
    assert (answer["applied"], answer["refused"]) == (2, 0)
    assert rows(nodes.billing, "select * from children") == ["(1,1)"]
    sync(*nodes)
    assert assert_equal(nodes, "children") == ["(1,2)"]
    assert assert_equal(nodes, "parents") == ["(2,2)"]


# while a transaction is open


@pytest.mark.case(16, 17)
def test_an_open_transaction_delays_its_own_changes_and_no_others(notes: Nodes) -> None:
    """Its events have the lowest numbers and are committed last: none is passed over."""
    notes.crm.sql("insert into notes select i, 'old' from generate_series(1, 20) i")
    sync(*notes)
    user = notes.crm.connect(autocommit=False)
    user.execute("update notes set body = 'late' where id <= 10; insert into notes values (100, 'late')")
    for n in range(3):
        notes.crm.sql(
            f"update notes set body = 'early {n}' where id between 11 and 20; insert into notes values ({n + 101}, 'early')"
        )
        notes.billing.sql(f"insert into notes values ({n + 201}, 'back')")
        sync(*notes)
        assert waiting(notes.crm) + waiting(notes.billing) == []
        assert notes.billing.sql("select count(*) as n from notes where body like 'early%'") == [{"n": 10 + n + 1}]
    notes.billing.sql("update notes set body = 'billing' where id = 1")  # a row that the transaction holds
    sync(*notes)
    assert waiting(notes.billing) == ["update notes 1 55P03"]
    user.commit()
    released(notes.billing)
    sync(*notes)
    assert notes.billing.sql("select count(*) as n from notes where body = 'late'")[0]["n"] >= 10
    assert len(assert_equal(notes)) == 27
    assert waiting(notes.crm) + waiting(notes.billing) == []


# while a batch is applied


@pytest.mark.promise("R11")
@pytest.mark.case(19)
def test_an_applier_that_loses_a_deadlock_tries_again_and_blames_no_row(nodes: Nodes) -> None:
    keep_two_tables(nodes)
    nodes.crm.sql("update a set body = 'crm'; update b set body = 'crm'")
    install_gate(nodes.billing, "apply_b")
    courier = Courier(nodes)
    batch, _ = courier.meet(nodes)
    applier = courier.connections["billing"]
    # The one that looks first is the one that gives way, and nothing else ends its wait before.
    applier.execute("set deadlock_timeout = '20ms'")
    nodes.billing.sql(LOCK_TIMEOUT.format("20s"))
    user = nodes.billing.connect(autocommit=False, options="-c deadlock_timeout=20s")
    user.execute("update b set body = 'user'")
    with closed(nodes.billing) as open_gate:
        call = Meanwhile(lambda: courier.call(nodes.billing, batch))
        wait_for_lock(nodes.billing, applier, "advisory")
        wait = Meanwhile(lambda: user.execute("update a set body = 'user'"))
        wait_for_lock(nodes.billing, user)
        open_gate()
        with pytest.raises(psycopg.errors.DeadlockDetected):
            call.result()
        wait.result()
        user.commit()
    assert nodes.crm.sql("select * from rowferry.held_events") == []
    sync(*nodes)
    assert [assert_equal(nodes, "a"), assert_equal(nodes, "b")] == [["(1,user)"], ["(1,user,)"]]
    assert waiting(nodes.crm) + waiting(nodes.billing) == []


@pytest.mark.promise("R11")
@pytest.mark.case(20)
def test_a_user_who_takes_rows_in_the_other_order_gets_no_error_again_and_again(nodes: Nodes) -> None:
    """The user has b and wants a, the applier has a and wants b; in three turns the user waits first, in three the applier."""
    keep_two_tables(nodes)
    install_gate(nodes.billing, "apply_b")
    for turn in range(6):
        nodes.crm.sql("update rowferry.links set batch_limit = 500")  # it follows the time that the gate was closed
        nodes.crm.sql(f"update a set body = 'crm {turn}'; update b set body = 'crm {turn}'")
        opposite_orders(nodes, f"user {turn}", user_waits_first=turn < 3)
        released(nodes.crm)
        sync(*nodes)
        assert (len(assert_equal(nodes, "a")), len(assert_equal(nodes, "b"))) == (1, 1)
        assert waiting(nodes.crm) + waiting(nodes.billing) == []


def opposite_orders(nodes: Nodes, mark: str, user_waits_first: bool) -> None:
    """Where the user waits first, an applier that waited for more than a second would lose the deadlock. So it must not.

    Where the applier waits first, all waits are twenty times as long as usual, so that its wait can be seen.
    """
    courier = Courier(nodes)
    batch, _ = courier.meet(nodes)
    applier = courier.connections["billing"]
    user = nodes.billing.connect(autocommit=False, options="-c deadlock_timeout=20s")
    if not user_waits_first:
        nodes.billing.sql(LOCK_TIMEOUT.format("2s"))
        applier.execute("set deadlock_timeout = '20s'")
    user.execute("update b set body = %s", [mark])
    with closed(nodes.billing) as open_gate:
        call = Meanwhile(lambda: courier.call(nodes.billing, batch))
        wait_for_lock(nodes.billing, applier, "advisory")
        if not user_waits_first:
            open_gate()
            wait_for_lock(nodes.billing, applier, "transactionid")
        wait = Meanwhile(lambda: user.execute("update a set body = %s", [mark]))
        if user_waits_first:
            wait_for_lock(nodes.billing, user)
            open_gate()
        assert call.result()["refused"] == 0
        wait.result()
        user.commit()
    for node in nodes:
        node.close()


@pytest.mark.case(23)
def test_serializable_transactions_that_have_nothing_in_common_have_nothing_in_common_with_capture(nodes: Nodes) -> None:
    """Each writes a table of its own, while the other is open: what rowferry adds makes no dependency between them."""
    tables = ("mine", "yours")
    for node in nodes:
        for table in tables:
            node.sql(f"create table {table} (id integer primary key, body text); select rowferry.attach('{table}')")
    sessions = [nodes.crm.connect(autocommit=False) for _ in tables]
    for session in sessions:
        session.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    for turn in range(20):
        for query in ("insert into {} values ({}, 'new')", "update {} set body = 'changed' where id = {}"):
            for session, table in zip(sessions, tables, strict=True):
                session.execute(query.format(table, turn))  # type: ignore[call-overload]
        for session in sessions:
            session.commit()
    sync(*nodes)
    assert [len(assert_equal(nodes, table)) for table in tables] == [20, 20]


@pytest.mark.case(24)
def test_ten_thousand_savepoints_are_captured_right_and_applied_with_few(notes: Nodes) -> None:
    """Every tenth is rolled back, its rows are not there."""
    notes.crm.sql(
        "do $$ begin for i in 1..10000 loop begin insert into notes values (i, 'n');"
        " if i % 10 = 0 then raise sqlstate 'XX999'; end if; exception when sqlstate 'XX999' then null; end; end loop; end $$"
    )
    assert notes.crm.sql("select count(*) as n from rowferry.events") == [{"n": 9000}]
    courier = Courier(notes)
    envelope, _ = courier.meet(notes)
    drawn = []
    for _ in range(40):
        before = notes.billing.sql(NEXT_ID)[0]["id"]
        answer = courier.call(notes.billing, envelope)
        drawn.append(notes.billing.sql(NEXT_ID)[0]["id"] - before)
        if not courier.call(notes.crm, answer["envelope"])["pending"]:
            break
        envelope = courier.call(notes.crm)["envelope"]
    assert max(drawn) < CACHED_SUBTRANSACTIONS
    sync(*notes)
    assert len(assert_equal(notes)) == 9000
    assert waiting(notes.crm) == []


@pytest.mark.case(16, 17)
def test_what_commits_long_after_it_was_written_is_found_however_much_has_left_since(notes: Nodes) -> None:
    """The search for the next batch begins behind what has left, but never behind an id whose transaction is still open."""
    late = notes.crm.connect(autocommit=False)
    late.execute("insert into notes values (-1, 'late')")
    for n in range(6):
        notes.crm.sql(f"insert into notes select i, 'n' from generate_series({n * 10}, {n * 10 + 9}) i")
        sync(*notes)
    late.commit()
    notes.crm.sql("insert into notes values (-2, 'last')")
    sync(*notes)
    assert rows(notes.billing, "select id from notes where id < 0") == ["(-1)", "(-2)"]
    for _ in range(3):
        notes.crm.sql("update notes set body = body || '.' where id = -2")
        sync(*notes)
    link = notes.crm.sql("select first_id, pg_sequence_last_value('rowferry.events_id_seq') as last_id from rowferry.links")[0]
    assert link["first_id"] > link["last_id"] - 3, "once it has committed, the search has moved on"


@pytest.fixture
def under_old_snapshot(own_servers: Nodes) -> Iterator[Nodes]:
    """As notes, and a snapshot on crm that is held for long: no vacuum can remove the events that have left since."""
    keep_notes(own_servers)
    reader = own_servers.crm.connect(autocommit=False)
    reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    reader.execute("select 1")
    yield own_servers
    reader.rollback()


def call_and_pages(courier: Courier, notes: Nodes, envelope: bytes) -> tuple[dict[str, Any], int]:
    """A call on crm, and how many pages of events it reads; the courier's last."""
    before = pages(notes.crm)
    answer = courier.call(notes.crm, envelope)
    notes.crm.flush_statistics(courier.connections["crm"])
    read = pages(notes.crm) - before
    for connection in courier.connections.values():
        connection.close()
    return answer, read


@pytest.mark.slow
@pytest.mark.case(25)
@pytest.mark.settings(autovacuum="off")  # or its transactions, which are older than what they meet, would count as users'
def test_under_an_old_snapshot_no_build_reads_what_was_sent_before(under_old_snapshot: Nodes) -> None:
    """The tenth batch does not walk through the events of all others."""
    notes, read = under_old_snapshot, []
    for n in range(10):
        notes.crm.sql(f"insert into notes select i, 'n' from generate_series({n * 500}, {n * 500 + 499}) i")
        courier = Courier(notes)
        hello = courier.call(notes.billing)["envelope"]
        courier.call(notes.crm)
        answer, count = call_and_pages(courier, notes, hello)
        assert answer["sent"] == 500
        read.append(count)
        sync(*notes)
    assert max(read) < 1.5 * read[0]


@pytest.mark.slow
@pytest.mark.case(25)
@pytest.mark.settings(autovacuum="off")  # or its transactions, which are older than what they meet, would count as users'
def test_under_an_old_snapshot_no_apply_reads_what_was_sent_before(under_old_snapshot: Nodes) -> None:
    """The node that applies looks for changes of its own: among those that wait, not among all that have ever left."""
    notes, read = under_old_snapshot, []
    for n in range(10):
        notes.crm.sql(f"insert into notes select i, 'n' from generate_series({n * 500}, {n * 500 + 499}) i")
        sync(*notes)
        notes.billing.sql(f"insert into notes values ({-n - 1}, 'of billing')")
        courier = Courier(notes)
        _, billing = courier.meet(notes)
        answer, count = call_and_pages(courier, notes, billing)
        assert answer["applied"] == 1
        read.append(count)
        sync(*notes)
    assert max(read[1:]) < 2 * read[1]


def pages(node: Node) -> int:
    """Pages of the event table and its indexes that have ever been read, as the server has counted them."""
    query = """
        select sum(pg_stat_get_blocks_fetched(c)) as n
        from (select 'rowferry.events'::regclass union all
          select indexrelid from pg_index where indrelid = 'rowferry.events'::regclass) r (c)"""
    return int(node.sql(query)[0]["n"])


@pytest.mark.slow
@pytest.mark.case(36)
def test_a_storm_of_updates_of_one_row_ships_one_state(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, '')")
    sync(*notes)
    notes.billing.sql(
        "create table effects (body text);"
        "create function note_effect() returns trigger language plpgsql as"
        " $$ begin insert into effects values (new.body); return null; end $$;"
        "create trigger effect after insert or update on notes for each row execute function note_effect();"
        "alter table notes enable always trigger effect"
    )
    notes.crm.sql("do $$ begin for i in 1..20000 loop update notes set body = i where id = 1; end loop; end $$")
    sync(*notes)
    assert notes.billing.sql("select body from effects") == [{"body": "20000"}]
    assert assert_equal(notes) == ["(1,20000)"]
    assert waiting(notes.crm) + waiting(notes.billing) == []
