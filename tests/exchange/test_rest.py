"""A call that finds nothing to do notes that; the next ones compare two numbers, until anything has begun."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from harness import Node, Nodes, wait_until
from harness.exchange import sync
from harness.notes import keep_notes
from harness.steps import Meanwhile

LOOK = """
    select p.status
    from rowferry.links l, rowferry.process_batch(l.peer, l.token_number || '-' || l.token_random, p_limit => 0) p"""
RESTS = "select rest_event_id is not null as rests from rowferry.links"
BEGUN = [
    "select rowferry.backfill('notes')",
    "select * from rowferry.replay('notes', '1')",
    "select * from rowferry.compare('notes')",
    "select * from rowferry.pause(p_entity => 'notes')",
    "select * from rowferry.set_rules('notes', 'node:crm', 'hold')",
    "create table more (id integer primary key); select rowferry.attach('more')",
    "select rowferry.detach('notes')",
    "insert into notes values (2, 'b')",
]


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes that keep one table in sync, and have come to rest."""
    keep_notes(nodes, "values (1, 'a')")
    sync(*nodes)
    for node in nodes:
        look(node)
    return nodes


def look(node: Nodes | object) -> str:
    return str(node.sql(LOOK)[0]["status"])  # type: ignore[attr-defined]


@contextmanager
def written(nodes: Nodes) -> Iterator[psycopg.Connection[object]]:
    """A transaction of a user that has written, and has not ended."""
    with nodes.crm.connect(autocommit=False) as connection:
        connection.execute("insert into notes values (2, 'b')")
        yield connection


def test_a_link_that_rests_is_idle_and_writes_nothing(notes: Nodes) -> None:
    assert notes.crm.sql(RESTS) == [{"rests": True}]
    before = notes.crm.sql("select xmin::text as writer from rowferry.links")
    assert [look(notes.crm) for _ in range(3)] == ["idle"] * 3
    assert notes.crm.sql("select xmin::text as writer from rowferry.links") == before


@pytest.mark.parametrize("statement", BEGUN)
@pytest.mark.parametrize("role", ["origin", "replica"])
def test_whatever_begins_ends_the_rest(notes: Nodes, statement: str, role: str) -> None:
    with notes.crm.connect() as connection:
        connection.execute(f"set session_replication_role = {role}")  # type: ignore[call-overload]
        for part in statement.split("; "):
            connection.execute(part)  # type: ignore[call-overload]
    assert look(notes.crm) == "due"


@pytest.mark.promise("R12")
@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_no_rest_is_noted_while_a_transaction_that_has_written_is_open(notes: Nodes, end: str) -> None:
    """Its event has a number already, which nobody sees before the commit."""
    with written(notes) as connection:
        assert [look(notes.crm) for _ in range(3)] == ["idle"] * 3
        connection.execute(end)  # type: ignore[call-overload]
    assert look(notes.crm) == ("due" if end == "commit" else "idle")


def test_a_transaction_that_began_later_is_no_reason_to_look_away(notes: Nodes) -> None:
    """Its id is greater than that of any transaction that has ended, so a snapshot does not name it."""
    notes.crm.sql("insert into notes values (3, 'c')")
    sync(*notes)
    with written(notes) as connection:
        look(notes.crm)
        connection.execute("commit")
    assert look(notes.crm) == "due"


def test_a_caller_that_has_written_itself_notes_no_rest(notes: Nodes) -> None:
    notes.crm.sql("update rowferry.links set rest_event_id = null")
    with notes.crm.connect(autocommit=False) as connection:
        connection.execute("create table mine ()")
        connection.execute(LOOK)  # type: ignore[call-overload]
        connection.execute("commit")
    assert notes.crm.sql(RESTS) == [{"rests": False}]
    assert look(notes.crm) == "idle"
    assert notes.crm.sql(RESTS) == [{"rests": True}]


def test_a_link_that_has_changed_rests_no_more(notes: Nodes) -> None:
    notes.billing.sql("insert into notes values (5, 'e')")
    sync(*notes)
    assert notes.crm.sql(RESTS) == [{"rests": False}]


# a look that waits


WATCH = LOOK.replace("p_limit => 0", "p_limit => 0, p_wait => %s")
WAITS = "select backend_xid from pg_stat_activity where pid = %s and wait_event = 'PgSleep'"


@contextmanager
def watched(notes: Nodes, wait: str = "0.02 s") -> Iterator[Meanwhile[tuple[str, float]]]:
    """A look of crm's that waits now; its result is the status, and the seconds that it took."""
    with notes.crm.connect() as connection:

        def watch() -> tuple[str, float]:
            began = time.monotonic()
            row: Any = connection.execute(WATCH, [wait]).fetchone()  # type: ignore[call-overload]
            return row[0], time.monotonic() - began

        connection.execute(LOOK)  # type: ignore[call-overload]  # the first one of a session takes longer
        call = Meanwhile(watch)
        wait_until(lambda: notes.crm.sql(WAITS, [connection.info.backend_pid]), 5, "the look waits")
        yield call


def take_long(node: Node) -> None:
    """A look waits for 20 s, in which a busy machine does what a test needs."""
    [row] = node.sql("select pg_get_functiondef('rowferry._watch'::regproc) as body")
    assert row["body"].count("'0.9 s'") == 1
    node.sql(row["body"].replace("'0.9 s'", "'20 s'"))


def test_a_look_that_waits_answers_as_soon_as_something_begins(notes: Nodes) -> None:
    take_long(notes.crm)
    with watched(notes, "0.5 s") as call:
        with notes.crm.connect() as user:  # also where the look that waits has been told that the link rests
            user.execute("insert into notes values (2, 'b')")
        assert call.result()[0] == "due"


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_a_look_that_waits_sees_what_a_transaction_wrote_before(notes: Nodes, end: str) -> None:
    """Its event drew its number before the look began, so that no number moves when it ends."""
    with written(notes) as connection:
        look(notes.crm)  # it draws an id itself, which tells the next ones that another one is at work
        if end == "commit":
            take_long(notes.crm)
        with watched(notes) as call:
            connection.execute(end)  # type: ignore[call-overload]
            assert call.result()[0] == ("due" if end == "commit" else "idle")


@pytest.mark.promise("R12")
def test_a_look_waits_for_a_second_and_writes_nothing(notes: Nodes) -> None:
    before = notes.crm.sql("select xmin::text as writer from rowferry.links")
    with watched(notes) as call:
        assert {row["backend_xid"] for row in notes.crm.sql("select backend_xid from pg_stat_activity")} == {None}
        status, seconds = call.result()
    assert status == "idle" and seconds < 10
    assert notes.crm.sql("select xmin::text as writer from rowferry.links") == before


@pytest.mark.parametrize("wait", ["0", "-1 s"])
def test_a_look_that_would_not_wait_between_two_looks_does(notes: Nodes, wait: str) -> None:
    with watched(notes, wait) as call:
        assert call.result()[0] == "idle"


def test_a_look_that_has_written_waits_no_longer(notes: Nodes) -> None:
    """It notes that the link rests; nobody is to wait for that row."""
    take_long(notes.crm)
    notes.crm.sql("update rowferry.links set rest_event_id = null")
    with notes.crm.connect() as connection:
        began = time.monotonic()
        connection.execute(WATCH, ["0.02 s"])  # type: ignore[call-overload]
        assert time.monotonic() - began < 15
    assert notes.crm.sql(RESTS) == [{"rests": True}]
