"""What selftest() promises: it tells a working installation from a broken one, and leaves nothing."""

from __future__ import annotations

import os
import re
import subprocess

import psycopg
import pytest

from harness import Node, Nodes
from harness.courier import Courier
from harness.exchange import assert_equal, refused_with, rows, sync
from harness.roles import as_role, role

pytestmark = pytest.mark.smoke

COUNT = 14


def selftest(node: Node) -> list[str]:
    return [row["line"] for row in node.sql("select line from rowferry.selftest() line")]


def failed(lines: list[str]) -> list[int]:
    return [int(line.split()[2]) for line in lines if line.startswith("not ok")]


def dump(node: Node) -> str:
    """Everything in the database but how far its sequences have come."""
    program = node.server.bin_dir / "pg_dump"
    done = subprocess.run(
        [str(program), node.conninfo], capture_output=True, text=True, check=True, env={**os.environ, "PGTZ": "UTC"}
    )
    return "\n".join(line for line in done.stdout.splitlines() if not re.match(r"SELECT pg_catalog.setval|\\(un)?restrict", line))


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes with a table in sync, a row that waits, and one that is held."""
    for node in nodes:
        node.sql("create table public.notes (id integer primary key, body text); select rowferry.attach('public.notes')")
    nodes.billing.sql("alter table notes add check (body <> 'bad')")
    nodes.crm.sql("insert into notes values (1, 'good'), (2, 'bad')")
    sync(*nodes)
    nodes.crm.sql("insert into notes values (3, 'waits')")
    return nodes


def test_all_is_well_on_what_was_installed(notes: Nodes) -> None:
    for node in notes:
        lines = selftest(node)
        assert lines[0] == f"1..{COUNT}"
        assert [line.split(" - ")[0] for line in lines[1:]] == [f"ok {number}" for number in range(1, COUNT + 1)]


def test_it_leaves_nothing_and_the_exchange_goes_on(notes: Nodes) -> None:
    before = dump(notes.crm)
    assert failed(selftest(notes.crm)) == []
    assert dump(notes.crm) == before
    sync(*notes)
    assert rows(notes.billing, "select id from notes") == ["(1)", "(3)"]


def replaced(node: Node, function: str, old: str, new: str) -> None:
    """The function with a part of its text replaced."""
    [row] = node.sql("select pg_get_functiondef(('rowferry.' || %s)::regproc) as text", [function])
    assert old in row["text"]
    node.sql(row["text"].replace(old, new))


@pytest.mark.parametrize(
    ("function", "old", "new", "numbers"),
    [
        ("_capture_part_sql", "from %5$s%6$s;", "from %5$s%6$s limit 1;", {1}),
        ("_apply_sql", "where row(%s)::record operator(pg_catalog.*<>) row(%s)::record', v_set", "where false', v_set", {2, 5}),
        ("_apply_sql", "'delete from ' || coalesce((", "'select 1 from ' || coalesce((", {2}),
        ("_hear", "rowferry._delete_events(v_heard)", "0", {4}),
        ("_record_conflicts", "jsonb_to_recordset(p_conflicts)", "jsonb_to_recordset('[]')", {5}),
        ("_note_refusals", "coalesce(r.refusal ->> 'sqlstate', case", "coalesce('XX000', case", {6}),
        ("_read_sql", "array_agg(t.%I)::text", "array_agg(null::text)::text", {2, 5, 11}),
        ("_open", "p_link.top := p_link.acked", "p_link.top := p_link.built", {13}),
        (
            "_exchange",
            "(v_header ->> 'number')::bigint = v_link.received + 1 then",
            "(v_header ->> 'number')::bigint > 0 then",
            {12},
        ),
        ("_refuse_truncate", "elsif v_entity.id is not null", "elsif false", {14}),
    ],
)
def test_a_broken_function_is_not_ok(notes: Nodes, function: str, old: str, new: str, numbers: set[int]) -> None:
    replaced(notes.crm, function, old, new)
    lines = selftest(notes.crm)
    assert numbers <= set(failed(lines)), lines


def test_a_failure_says_what_was_found_and_what_was_expected(notes: Nodes) -> None:
    replaced(notes.crm, "_refuse_truncate", "elsif v_entity.id is not null", "elsif false")
    lines = selftest(notes.crm)
    at = lines.index(f"not ok {COUNT} - a table that is kept in sync cannot be truncated")
    assert lines[at + 1 : at + 3] == ["#   found: nothing", "#   expected: refused"]


def test_what_keeps_it_from_starting_is_said(notes: Nodes) -> None:
    notes.crm.sql("create schema selftest_left")
    assert selftest(notes.crm) == [f"1..{COUNT}", 'Bail out! 42P06: schema "selftest_left" already exists']


def test_nobody_waits_while_it_runs(notes: Nodes) -> None:
    with notes.crm.connect(autocommit=False) as tester:
        tester.execute("select rowferry._selftest_prepare(), rowferry._selftest_sync()")
        with notes.crm.connect() as user:
            user.execute("set statement_timeout = '1s'")
            user.execute("insert into notes values (4, 'meanwhile')")
            user.execute("alter table notes add column more text")
            user.execute("update rowferry.entities set held_attempts = 0")
        sync(*notes)
        tester.rollback()
    assert rows(notes.billing, "select id from notes") == ["(1)", "(3)", "(4)"]


def test_it_runs_while_a_call_for_the_real_link_is_at_work(notes: Nodes) -> None:
    courier = Courier(notes)
    with courier.connections["crm"].transaction():
        courier.call(notes.crm)
        assert failed(selftest(notes.crm)) == []
    sync(*notes)
    assert len(assert_equal(notes, "(select id from public.notes where body <> 'bad') n")) == 2


def test_it_takes_the_owners_rights_and_the_right_isolation(notes: Nodes) -> None:
    name = role(notes.crm)
    notes.crm.sql(f"grant rowferry_operator to {name}; grant execute on function rowferry.selftest() to {name}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="needs the rights of rowferry_owner"):
        as_role(notes.crm, name).execute("select * from rowferry.selftest()")
    [database] = notes.crm.sql("select current_database() as name")
    notes.crm.sql(f"grant rowferry_owner to {name}; grant create on database {database['name']} to {name}")
    lines = [line for (line,) in as_role(notes.crm, name).execute("select * from rowferry.selftest()").fetchall()]
    assert failed(lines) == []
    refused_with("RF001", notes.crm, "begin isolation level serializable; select rowferry.selftest()")
