"""A call that finds nothing to do notes that; the next ones compare two numbers, until anything has begun."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from harness import Nodes
from harness.exchange import sync
from harness.notes import keep_notes

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
