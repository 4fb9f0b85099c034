"""why_stuck() names the cause and what to type next; each cause is provoked for real, and what is typed next mends it."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness import Node, Nodes, wait_until
from harness.clock import put_forward
from harness.exchange import rows, sync
from harness.roles import role
from harness.steps import Meanwhile
from harness.stuck import cause, in_sync, why
from harness.worker import worker

ROWFERRY = Path(sys.executable).parent / "rowferry"
COURIER = "select pg_advisory_lock(rowferry._courier_lock('crm', 'billing'))"


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes that keep one table in sync and have just exchanged a row."""
    return in_sync(nodes)


@contextmanager
def courier_at_work(node: Node) -> Iterator[psycopg.Connection[Any]]:
    """A session that holds the courier's lock and does nothing."""
    connection = node.connect()
    connection.execute(COURIER)
    yield connection
    connection.close()


def test_a_link_that_is_well_has_no_rows(notes: Nodes, tmp_path: Path) -> None:
    assert [why(node) for node in notes] == [[], []]
    with worker(notes, tmp_path / "log", "--interval", "0.1"):
        notes.crm.sql("insert into notes values (1, 'a')")
        wait_until(lambda: rows(notes.billing, "select * from notes where id = 1"), 20, "it arrives")
        wait_until(lambda: [why(node) for node in notes] == [[], []], 5, "no cause is left")


@pytest.mark.promise("R12")
def test_work_without_a_courier(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    [row] = why(notes.crm)
    assert (row["severity"], row["cause"]) == ("error", "no worker is at work")
    assert row["type_next"].startswith("rowferry run ")
    assert [row["since"]] == [r["changed_at"] for r in notes.crm.sql("select changed_at from rowferry.sync_events")]


@pytest.mark.promise("R12")
def test_a_lock_of_the_courier_that_somebody_holds_who_delivers_nothing(notes: Nodes) -> None:
    """Nothing else is known: it says so, and who holds the lock."""
    with courier_at_work(notes.crm) as holder:
        notes.crm.sql("insert into notes values (1, 'a')")
        assert why(notes.crm) == []  # it may just be about to go
        put_forward(notes.crm, "1 hour")
        row = cause(notes.crm, "none of the known causes applies")
        assert row["severity"] == "error"
        assert row["object"].startswith(f"worker: pid {holder.info.backend_pid} of ")


def test_a_call_that_does_not_end_holds_the_lock_of_the_link(notes: Nodes) -> None:
    with courier_at_work(notes.crm):
        holder = notes.crm.connect(autocommit=False)
        holder.execute("select pg_advisory_xact_lock(hashtextextended('rowferry link billing', 0))")
        notes.crm.sql("insert into notes values (1, 'a')")
        assert why(notes.crm) == []
        put_forward(notes.crm, "1 hour")
        row = cause(notes.crm, "the lock of the link is held")
        assert row["object"].startswith(f"pid {holder.info.backend_pid} of ")
        assert row["type_next"] == f"select pg_terminate_backend({holder.info.backend_pid});"
        notes.crm.sql(row["type_next"])
        wait_until(lambda: "the lock of the link" not in str(why(notes.crm)), 5, "it has gone")


def test_a_call_of_the_courier_is_at_work_and_nobody_is_told_to_end_it(notes: Nodes) -> None:
    with courier_at_work(notes.crm) as courier:
        link = "select pg_advisory_xact_lock(hashtextextended('rowferry link billing', 0))"
        notes.crm.sql("insert into notes values (1, 'a')")
        call = Meanwhile(lambda: courier.execute(f"{link}, pg_sleep(60)"))
        holders = "select from rowferry._lock_holders(rowferry._link_key('billing'))"
        wait_until(lambda: notes.crm.sql(holders), 20, "it has the lock")
        put_forward(notes.crm, "1 hour")
        row = cause(notes.crm, "a call of the worker is running")
        assert (row["severity"], row["since"]) == ("info", None)  # which this role cannot see
        assert row["object"].startswith(f"pid {courier.info.backend_pid} of ")
        notes.crm.sql("grant pg_read_all_stats to rowferry_owner")
        try:
            row = cause(notes.crm, "a call of the worker is running")
            assert row["severity"] == "warning" and row["since"] is not None
        finally:
            notes.crm.sql("revoke pg_read_all_stats from rowferry_owner")
        with pytest.raises(psycopg.Error) as caught:
            notes.crm.sql("select rowferry._link_lock('billing', true)")
        assert caught.value.sqlstate == "RF052"
        assert "pg_terminate_backend" not in f"{why(notes.crm)} {caught.value.diag.message_hint}"
        courier.cancel()
        with pytest.raises(psycopg.errors.QueryCanceled):
            call.result()


def test_a_peer_out_of_reach(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    nowhere = notes.billing.conninfo.replace(f":{notes.billing.server.port}/", ":1/")
    subprocess.run([ROWFERRY, "run", "--once"], env={**notes.env, "ROWFERRY_NODE_BILLING": nowhere}, capture_output=True)
    [row] = why(notes.crm)
    assert row["severity"] == "error" and row["cause"].startswith("billing is out of reach: cannot connect")
    assert row["object"].startswith("worker on ") and row["since"] is not None
    check, _, then = row["type_next"].partition("  # ")
    assert check == 'pg_isready -d "$ROWFERRY_NODE_BILLING"'
    assert "else: select * from rowferry.why_stuck();  -- on billing" in then
    path = f"{notes.billing.server.bin_dir}:{os.environ['PATH']}"
    said = subprocess.run(
        ["sh", "-c", check], env={**os.environ, "PATH": path, "ROWFERRY_NODE_BILLING": nowhere}, capture_output=True, text=True
    )
    assert said.returncode == 2 and "no response" in said.stdout, "the line works although the node is away"
    sync(*notes)
    assert why(notes.crm) == []


def test_a_synchronous_standby_that_has_gone(own_servers: Nodes) -> None:
    """Each commit waits for it, those of the worker too; who may see other sessions is told since when."""
    notes = in_sync(own_servers)
    notes.crm.sql("alter system set synchronous_standby_names = 'gone'")
    notes.crm.sql("select pg_reload_conf()")
    user = Meanwhile(lambda: notes.crm.sql("insert into notes values (1, 'waits')"))
    waits = "select from pg_stat_activity where wait_event = 'SyncRep'"
    wait_until(lambda: bool(notes.crm.sql(waits)), 10, "the commit waits")
    row = cause(notes.crm, "each commit waits for a synchronous standby, and none is connected")
    assert (row["severity"], row["since"]) == ("error", None)
    assert row["object"] == "setting synchronous_standby_names = 'gone'"
    # What is typed here waits for nobody.
    notes.crm.sql("set synchronous_commit = local; grant pg_read_all_stats to rowferry_owner")
    put_forward(notes.crm, "1 hour", "set synchronous_commit = local")
    row = cause(notes.crm, "each commit waits for a synchronous standby, which does not answer")
    assert row["since"] is not None
    for statement in row["type_next"].partition("without it: ")[2].split("; "):
        notes.crm.sql(statement)
    user.result()
    assert "synchronous standby" not in str(why(notes.crm))


@pytest.mark.parametrize("everybody", [False, True])
def test_a_workers_login_that_becomes_another_role(notes: Nodes, everybody: bool) -> None:
    login, other = role(notes.crm, "login password 'secret'"), role(notes.crm)
    notes.crm.sql(f"grant rowferry_worker, {other} to {login}")
    notes.crm.sql(
        f"alter database {notes.crm.database} set role = {other}" if everybody else f"alter role {login} set role = {other}"
    )
    env = {**notes.env, "ROWFERRY_NODE_CRM": notes.crm.server.conninfo(notes.crm.database, login, "secret")}
    notes.billing.sql("insert into notes values (1, 'a')")
    run = [ROWFERRY, "run", "--once"]
    done = subprocess.run(run, env=env, capture_output=True, text=True)
    assert done.returncode == 2 and "permission denied" in done.stderr
    told = cause(notes.billing, "crm answered: permission denied")
    assert told["type_next"] == "select * from rowferry.why_stuck();  -- on crm"
    row = cause(notes.crm, f"becomes the role {other} as it connects, which may not call process_batch()")
    assert row["severity"] == "error" and row["object"] == (f"database {notes.crm.database}" if everybody else f"role {login}")
    notes.crm.sql("set role none; " + row["type_next"])
    assert subprocess.run(run, env=env, capture_output=True).returncode == 0
    assert [why(node) for node in notes] == [[], []]


@pytest.mark.promise("R12")
@pytest.mark.parametrize("table", ["notes", "rowferry.events"])
@pytest.mark.parametrize("mode", ["access exclusive", "share"])
def test_a_table_that_somebody_locks(notes: Nodes, table: str, mode: str) -> None:
    user = notes.crm.connect(autocommit=False)
    user.execute(f"lock table {table} in {mode} mode")
    [row] = why(notes.crm)
    name = "public.notes" if table == "notes" else table
    assert row["cause"].startswith(f"table {name} is locked ({mode.title().replace(' ', '')}Lock)")
    assert row["object"].startswith(f"pid {user.info.backend_pid} of ")
    notes.crm.sql(row["type_next"])
    wait_until(lambda: why(notes.crm) == [], 5, "the lock has gone")


def test_a_partition_that_somebody_locks(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(
            "create table parts (id integer primary key) partition by range (id); create table part partition of parts default"
        )
        node.sql("select rowferry.attach('parts')")
    user = nodes.crm.connect(autocommit=False)
    user.execute("lock table part in access exclusive mode")
    assert cause(nodes.crm, "is locked")["cause"] == "table public.part is locked (AccessExclusiveLock)"


def test_a_link_that_is_paused(notes: Nodes) -> None:
    notes.crm.sql("select rowferry.pause(); insert into notes values (1, 'a')")
    [row] = why(notes.crm)
    assert (row["severity"], row["cause"], row["object"]) == ("error", "paused by postgres", "link to billing")
    notes.crm.sql(row["type_next"])
    assert "paused" not in str(why(notes.crm))


def test_a_link_that_is_paused_on_the_other_node(notes: Nodes, tmp_path: Path) -> None:
    notes.billing.sql("select rowferry.pause()")
    notes.crm.sql("insert into notes values (1, 'a')")
    with worker(notes, tmp_path / "log", "--interval", "0.1"):
        wait_until(lambda: "the link is paused there: paused by postgres" in str(why(notes.crm)), 20, "it is named here")


def test_an_entity_that_is_paused(notes: Nodes) -> None:
    notes.crm.sql("update rowferry.entities set paused_at = now(), paused_by = 'ann'")
    [row] = why(notes.crm)
    assert (row["severity"], row["cause"], row["object"]) == ("warning", "paused by ann", "entity notes")
    assert row["type_next"] == "select * from rowferry.resume('billing', 'notes');"


def test_schemas_that_are_apart(notes: Nodes) -> None:
    notes.billing.sql("select rowferry.detach('notes', p_force => true)")
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(*notes)
    row = cause(notes.crm, "held as a whole")
    assert row["object"] == "entity notes" and "the other node has no such entity (RF020)" in row["cause"]
    assert row["type_next"] == (
        "select rowferry.attach('public.notes', 'notes');  -- on billing; delivery then goes on; "
        "or, if it is to leave the sync, on crm: select rowferry.detach('notes', p_force => true); "
        "which gives up what waits there"
    )
    notes.billing.sql(row["type_next"])
    sync(*notes)
    assert not [line for line in why(notes.crm) if "held as a whole" in line["cause"]]


def test_a_link_that_was_stopped_because_a_node_was_set_back(notes: Nodes) -> None:
    notes.crm.sql("update rowferry.links set built = 0, acked = 0, acked_tag = null")
    with pytest.raises(AssertionError, match="stopped"):
        sync(*notes)
    row = cause(notes.crm, "this node was set back")
    assert row["severity"] == "error" and row["since"] is not None
    assert row["type_next"].startswith("select * from rowferry.resync();") and "let nobody write to" in row["type_next"]


@pytest.mark.promise("R12")
def test_rows_that_the_peer_refuses(notes: Nodes) -> None:
    notes.billing.sql("alter table notes add constraint short check (length(body) < 6)")
    notes.crm.sql("insert into notes values (1, 'much too long'), (2, 'too long as well'), (3, 'ok')")
    sync(*notes)
    [row] = why(notes.crm)
    assert row["severity"] == "warning" and row["object"] == "entity notes, record 1"
    assert row["cause"].startswith("2 events are refused by billing: ") and row["cause"].endswith("(23514)")
    notes.billing.sql("alter table notes drop constraint short")
    notes.crm.sql(row["type_next"])
    sync(*notes)
    assert rows(notes.billing, "select id from notes where id = 1") == ["(1)"]


def test_a_row_that_is_locked_on_the_peer_for_long(notes: Nodes) -> None:
    user = notes.billing.connect(autocommit=False)
    user.execute("select from notes where id = 0 for update")
    notes.crm.sql("update notes set body = 'new'")
    sync(*notes)
    put_forward(notes.crm, "1 hour")
    row = cause(notes.crm, "the row is locked on the other node")
    assert row["cause"].startswith("1 event waits: ") and row["object"] == "entity notes, record 0"
    assert "on billing" in row["type_next"]


def test_a_table_whose_changes_are_not_captured(notes: Nodes) -> None:
    notes.crm.sql("alter table notes disable trigger rowferry_capture_update")
    [row] = why(notes.crm)
    assert row["cause"] == "changes of public.notes are not captured, its trigger rowferry_capture_update is disabled"
    assert row["type_next"] == (
        "alter table public.notes enable always trigger rowferry_capture_update; select rowferry.backfill('notes');"
    )


def test_a_peer_that_is_not_there_is_refused_by_name(notes: Nodes) -> None:
    with pytest.raises(psycopg.Error) as caught:
        notes.crm.sql("select * from rowferry.why_stuck('nobody')")
    assert caught.value.sqlstate == "RF002"
