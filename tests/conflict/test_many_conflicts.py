"""Thousands of records that both sides changed, and users who go on changing them.

Each is decided or left for later, and no call fails for it.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from harness import Node, Nodes, wait_until
from harness.clock import at, end_back_off, set_clocks, write_at
from harness.courier import Courier
from harness.exchange import assert_equal, sync, waiting
from harness.notes import keep_notes
from harness.steps import GATE, Meanwhile, install_gate

LEAST = 100  # so many conflicts a call decides however little time there is


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes that keep one table in sync, each with a clock that its writers set."""
    for node in keep_notes(nodes):
        node.sql("select rowferry.set_breaker('notes', null)")
    set_clocks(nodes)
    return nodes


def write_both(nodes: Nodes, count: int) -> None:
    """New records on both sides, which neither knows of; later are those of crm for odd keys, of billing for even ones."""
    for node, odd in ((nodes.crm, 200), (nodes.billing, 100)):
        for second, rest in ((odd, 1), (300 - odd, 0)):
            new = f"select i, '{node.name}' from generate_series(1, {count}) i where i % 2 = {rest}"
            write_at(node, second, f"insert into notes {new}")


def assert_both_rows_kept(nodes: Nodes, count: int) -> None:
    """At rest and equal, each record as decided above, and both rows of each on both nodes."""
    assert assert_equal(nodes) == sorted(f"({i},{'crm' if i % 2 else 'billing'})" for i in range(1, count + 1))
    assert waiting(nodes.crm) == waiting(nodes.billing) == []
    kept = """
        select count(*)::int as n, count(distinct record_id)::int as records from rowferry.conflicts
        where record_id = winner_row ->> 'id' and record_id = loser_row ->> 'id' and rule = 'newest'
          and winner = winner_row ->> 'body' and loser_row ->> 'body' <> winner
          and winner_row ->> 'body' = case when record_id::int % 2 = 1 then 'crm' else 'billing' end
          and extract(second from winner_changed_at - loser_changed_at) = 40"""
    for node in nodes:
        assert node.sql(kept) == [{"n": count, "records": count}]


def hurried(courier: Courier) -> None:
    """A batch is to take next to no time: a superuser's setting, which the tests' sessions may change."""
    for connection in courier.connections.values():
        connection.execute("set deadlock_timeout = '4ms'")


def test_conflicts_beyond_a_calls_time_are_left_uncounted_and_each_node_begins_at_its_own_end(notes: Nodes) -> None:
    count = 3 * LEAST
    write_both(notes, count)
    courier = Courier(notes)
    hurried(courier)
    crm, billing = courier.meet(notes)
    to_crm, to_billing = courier.call(notes.billing, crm), courier.call(notes.crm, billing)
    for node, answer, first in ((notes.crm, to_billing, False), (notes.billing, to_crm, True)):
        assert (answer["applied"], answer["refused"], answer["conflicts"]) == (LEAST, 0, LEAST)
        order = "order by record_id" + ("" if first else " desc")
        first = "select array_agg(record_id order by record_id) as ids from (select record_id from {} {} limit {}) c"
        every = f'(select i::text collate "C" as record_id from generate_series(1, {count}) i) r'
        mine = node.sql(first.format("rowferry.conflicts", order, LEAST))
        all_of_them = node.sql(first.format(every, order, LEAST))
        assert mine == all_of_them
    # Nothing of what was left is held.
    assert courier.call(notes.crm, to_crm["envelope"])["held"] == 0
    assert courier.call(notes.billing, to_billing["envelope"])["held"] == 0
    sync(*notes)
    assert_both_rows_kept(notes, count)


def assert_in_proportion(few: Callable[[], float], many: Callable[[], float]) -> None:
    """Ten times as many take less than forty times as long. Of up to three measurements the shortest says what work it is."""
    short = long = float("inf")
    for _ in range(3):
        short, long = min(short, few()), min(long, many())
        if long < 40 * short:
            return
    raise AssertionError(f"{short:.2f} s for few, {long:.2f} s for ten times as many")


def test_ten_times_as_many_conflicts_take_about_ten_times_as_long(notes: Nodes) -> None:
    """Once that was a hundred times: each was compared with each."""

    def decided(count: int) -> float:
        for node in notes:
            node.sql("truncate rowferry.conflicts; update rowferry.links set batch_limit = 20000")
        write_both(notes, count)
        courier = Courier(notes)
        for connection in courier.connections.values():
            connection.execute("set deadlock_timeout = '1000s'")  # all in one call
        courier.limit = count
        _, billing = courier.meet(notes)
        began = time.monotonic()
        answer = courier.call(notes.crm, billing)
        assert answer["conflicts"] == count
        took = time.monotonic() - began
        sync(*notes)
        assert_both_rows_kept(notes, count)
        for node in notes:
            node.sql("delete from notes")
        sync(*notes)
        return took

    decided(800)
    assert_in_proportion(lambda: decided(800), lambda: decided(8000))


@pytest.mark.parametrize("filtered", [None, "id > 0"])
def test_ten_times_as_many_merges_take_about_ten_times_as_long(nodes: Nodes, filtered: str | None) -> None:
    for node in nodes:
        node.sql("""
            create table notes (id integer primary key, body text);
            create function merge_notes(mine notes, theirs notes) returns notes language plpgsql as $$
              begin mine.body := mine.body || theirs.body; return mine; end $$""")
        node.sql("select rowferry.attach('notes', p_conflict_rule => 'merge:public.merge_notes', p_filter => %s)", [filtered])
        node.sql("select rowferry.set_breaker('notes', null)")

    def merged(first: int, count: int) -> float:
        for node in nodes:
            node.sql(f"insert into notes select i, '{node.name}' from generate_series({first}, {first + count - 1}) i")
            node.sql("update rowferry.links set batch_limit = 20000")
        courier = Courier(nodes)
        for connection in courier.connections.values():
            connection.execute("set deadlock_timeout = '1000s'")  # all in one call
        courier.limit = 20000
        crm, _ = courier.meet(nodes)
        began = time.monotonic()
        answer = courier.call(nodes.billing, crm)
        assert answer["conflicts"] == count
        took = time.monotonic() - began
        sync(*nodes)
        assert set(assert_equal(nodes, "(select body from notes) n")) == {"(billingcrm)"}
        return took

    merged(1, 800)
    first = itertools.count(10000, 10000)
    assert_in_proportion(lambda: merged(next(first), 800), lambda: merged(next(first), 8000))


def test_a_row_whose_parent_is_left_for_the_next_call_is_no_orphan_yet(nodes: Nodes) -> None:
    """crm deleted the parents, billing changed them later and gave one a child, which is decided in a later call.

    The parents come back, so the child is not given up.
    """
    for node in nodes:
        node.sql(
            "create table parents (id integer primary key, body text);"
            "create table children (id integer primary key, parent_id integer references parents);"
            "select rowferry.attach('parents'), rowferry.attach('children', p_orphan_rule => 'drop')"
        )
        node.sql("select rowferry.set_breaker('parents', null)")
    set_clocks(nodes)
    count = 2 * LEAST
    nodes.crm.sql(f"insert into parents select i, 'old' from generate_series(1, {count}) i")
    sync(*nodes)
    write_at(nodes.crm, 200, "delete from parents")
    write_at(nodes.billing, 300, "update parents set body = 'new'; insert into children values (1, 1)")
    courier = Courier(nodes)
    hurried(courier)
    _, billing = courier.meet(nodes)
    answer = courier.call(nodes.crm, billing)
    assert (answer["applied"], answer["refused"], answer["conflicts"]) == (LEAST, 0, LEAST)
    sync(*nodes)
    assert assert_equal(nodes, "children") == ["(1,1)"]
    assert len(assert_equal(nodes, "parents")) == count
    assert waiting(nodes.crm) == waiting(nodes.billing) == []


# users who change the records of a batch between the look at them and the write


@contextmanager
def stepped(node: Node, courier: Courier, function: str) -> Iterator[Steps]:
    """The courier's calls on this node wait at each beginning of the function until they are let go once."""
    install_gate(node, function)
    with node.connect() as keeper:
        keeper.execute("select pg_advisory_lock(%s)", [GATE])
        yield Steps(node, courier.connections[node.name], keeper)


class Steps:
    """What happens at a gate, one pass after the other."""

    def __init__(self, node: Node, applier: psycopg.Connection, keeper: psycopg.Connection) -> None:  # type: ignore[type-arg]
        self.node, self.applier, self.keeper = node, applier, keeper

    def at_gate(self, call: threading.Thread) -> bool:
        """Wait for the call to come to the gate: True, or to end: False."""
        query = "select 1 from pg_stat_activity where pid = %s and wait_event_type = 'Lock' and wait_event = 'advisory'"
        pid = self.applier.info.backend_pid
        wait_until(lambda: not call.is_alive() or bool(self.node.sql(query, [pid])), 20, "the call is at the gate, or has ended")
        return call.is_alive()

    def let_go(self) -> None:
        """One pass: the next one finds the gate closed, however soon it comes, since whoever waits has the lock before us."""
        self.keeper.execute("select pg_advisory_unlock(%s), pg_advisory_lock(%s)", [GATE, GATE])


def write(node: Node, query: str) -> Meanwhile[object]:
    """A user's statement, done or waiting for a lock when this returns."""
    user = node.connect()
    statement = Meanwhile(lambda: user.execute(query))  # type: ignore[arg-type]
    waits = "select 1 from pg_stat_activity where pid = %s and wait_event_type = 'Lock'"
    pid = user.info.backend_pid
    wait_until(lambda: not statement.is_alive() or bool(node.sql(waits, [pid])), 10, "the user has written, or waits")
    return statement


def test_rows_that_users_change_while_a_batch_is_written_are_decided_and_the_rest_goes(notes: Nodes) -> None:
    notes.crm.sql("insert into notes select i, 'old' from generate_series(1, 20) i")
    sync(*notes)
    write_at(notes.crm, 200, "update notes set body = 'crm'")
    courier = Courier(notes)
    batch, _ = courier.meet(notes)
    users = []
    with stepped(notes.billing, courier, "_write_sections") as steps:
        call = Meanwhile(lambda: courier.call(notes.billing, batch))
        for i in range(1, 20):
            if not steps.at_gate(call):
                break
            users.append(write(notes.billing, f"{at(300)}; update notes set body = 'user' where id = {i}"))
            steps.let_go()
        answer = call.result()
    for user in users:
        user.result()
    # The first one came in between; the second one found its row locked, and waited.
    assert (answer["applied"], answer["refused"], answer["conflicts"], len(users)) == (20, 0, 1, 2)
    sync(*notes)
    assert assert_equal(notes) == sorted(f"({i},{'user' if i <= 2 else 'crm'})" for i in range(1, 21))
    assert waiting(notes.crm) == waiting(notes.billing) == []


@pytest.mark.parametrize("users", [3, 50])
def test_records_that_users_make_while_a_batch_is_written_are_left_and_the_call_does_not_fail(notes: Nodes, users: int) -> None:
    """There is no row yet that could be locked. However many users come, one at each try: the call ends."""
    write_at(notes.crm, 200, "insert into notes select i, 'crm' from generate_series(1, 60) i")
    courier = Courier(notes)
    batch, _ = courier.meet(notes)
    with stepped(notes.billing, courier, "_write_sections") as steps:
        call = Meanwhile(lambda: courier.call(notes.billing, batch))
        made = 0
        while steps.at_gate(call):
            if made < users:
                made += 1
                write(notes.billing, f"{at(300)}; insert into notes values ({made}, 'user')").result()
            steps.let_go()
        answer = call.result()
    assert answer["status"] == "moved"
    if users == 3:
        # The first one tells that these are not only new rows, the second one's is decided at the second try;
        # the third one's is left, as a locked row is.
        assert (answer["applied"], answer["conflicts"]) == (59, 2)
    else:
        assert (answer["applied"], answer["conflicts"]) == (0, 0)
        assert made < 20
    end_back_off(notes.crm)
    assert notes.crm.sql("select * from rowferry.held_events where attempts > 0") == []
    sync(*notes)
    assert assert_equal(notes) == sorted(f"({i},{'user' if i <= made else 'crm'})" for i in range(1, 61))
    assert waiting(notes.crm) == waiting(notes.billing) == []
