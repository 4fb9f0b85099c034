"""Any login may take any advisory lock: one that may do nothing here keeps nothing still, and whoever does is named
with what to type."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness import Node, Nodes, wait_until
from harness.courier import Courier
from harness.exchange import assert_equal, rows, sync
from harness.notes import keep_notes
from harness.roles import role
from harness.steps import Meanwhile, closed, held_while_building, install_gate, wait_for_lock
from harness.worker import worker

LINK = "hashtextextended('rowferry link billing', 0)"
COURIER = "hashtextextended('rowferry courier billing crm', 0)"


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    return keep_notes(nodes, "values (0, 'there')")


def login(node: Node, *memberships: str) -> tuple[str, psycopg.Connection[Any]]:
    """A login of its own and a session of it."""
    name = role(node, "login password 'x'")
    for membership in memberships:
        node.sql(f"grant {membership} to {name}")
    settings = psycopg.conninfo.conninfo_to_dict(node.conninfo) | {"user": name, "password": "x"}
    return name, psycopg.connect(**settings, autocommit=True)  # type: ignore[arg-type]


@pytest.fixture
def stranger(notes: Nodes) -> Iterator[tuple[str, psycopg.Connection[Any]]]:
    name, connection = login(notes.crm)
    with connection:
        yield name, connection
    notes.crm.sql(f"drop role {name}")


@pytest.mark.parametrize("lock", ["pg_advisory_lock", "pg_advisory_lock_shared"])
@pytest.mark.parametrize("keys", [[LINK], [COURIER], [LINK, COURIER]], ids=["link", "courier", "both"])
def test_rows_arrive_while_a_role_without_rights_holds_the_locks(
    notes: Nodes, tmp_path: Path, stranger: tuple[str, psycopg.Connection[Any]], lock: str, keys: list[str]
) -> None:
    name, connection = stranger
    for key in keys:
        connection.execute(f"select {lock}({key})")  # type: ignore[call-overload]
    pid = connection.info.backend_pid
    log = tmp_path / "log"
    with worker(notes, log, "--interval", "0.1"):
        notes.crm.sql("insert into notes values (1, 'a')")
        notes.billing.sql("insert into notes values (2, 'b')")
        wait_until(
            lambda: len(rows(notes.billing, "select * from notes")) == len(rows(notes.crm, "select * from notes")) == 3,
            30,
            "they arrive",
        )
        notes.crm.sql("insert into notes values (3, 'c')")
        [status] = notes.crm.sql("select reason, courier from rowferry.status")
        assert f"pid {pid} of {name}" in status["reason"] and f"select pg_terminate_backend({pid});" in status["reason"]
        assert status["courier"] is not None
        why = notes.crm.sql("select cause, object, type_next from rowferry.why_stuck()")
        assert {(row["object"].split(",")[0], row["type_next"]) for row in why} == {
            (f"pid {pid} of {name}", f"select pg_terminate_backend({pid});")
        }
    said = [line for line in log.read_text().splitlines() if "holds the courier's lock" in line]
    assert len(said) == (1 if COURIER in keys else 0) and all(f"pid {pid} of {name}" in line for line in said)


def test_the_lock_of_a_stranger_makes_no_courier(notes: Nodes, stranger: tuple[str, psycopg.Connection[Any]]) -> None:
    stranger[1].execute(f"select pg_advisory_lock({COURIER})")  # type: ignore[call-overload]
    notes.crm.sql("insert into notes values (1, 'a')")
    assert notes.crm.sql("select courier from rowferry.status") == [{"courier": None}]
    assert notes.crm.sql("select severity from rowferry.why_stuck() where cause ~ 'no worker is at work'") == [
        {"severity": "error"}
    ]


def test_people_act_while_a_stranger_holds_the_lock(notes: Nodes, stranger: tuple[str, psycopg.Connection[Any]]) -> None:
    stranger[1].execute(f"select pg_advisory_lock({LINK})")  # type: ignore[call-overload]
    notes.crm.sql("set lock_timeout = '1s'; select rowferry.resync()")
    notes.crm.sql("set lock_timeout = '1s'; select rowferry.set_rules('notes', 'node:crm')")
    notes.billing.sql("select rowferry.set_rules('notes', 'node:crm')")
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(*notes)
    assert len(assert_equal(notes, "notes")) == 2


def test_of_two_calls_without_the_lock_one_is_busy(notes: Nodes, stranger: tuple[str, psycopg.Connection[Any]]) -> None:
    stranger[1].execute(f"select pg_advisory_lock({LINK})")  # type: ignore[call-overload]
    notes.crm.sql("insert into notes values (1, 'a')")
    courier = Courier(notes)
    with held_while_building(notes, courier, "read_notes") as (build, open_gate):
        other = notes.crm.connect()
        [(status, reason)] = other.execute(
            "select status, reason from rowferry.process_batch(p_token => %s)", [courier.token]
        ).fetchall()
        assert status == "busy" and stranger[0] in reason
        open_gate()
        assert build.result()["sent"] == 1


def test_a_call_that_ran_beside_one_without_the_lock_changes_nothing(notes: Nodes) -> None:
    """It took the lock in a moment when the stranger had let go; the other one had begun before."""
    install_gate(notes.crm, "read_notes")
    courier = Courier(notes)
    _, billing = courier.meet(notes)
    notes.crm.sql("insert into notes values (1, 'a')")
    with closed(notes.crm) as open_gate:
        build = Meanwhile(lambda: courier.call(notes.crm, billing))
        wait_for_lock(notes.crm, courier.connections["crm"], "advisory")
        notes.crm.sql("update rowferry.links set unlocked = unlocked + 1")  # as such a call does
        open_gate()
        with pytest.raises(psycopg.errors.SerializationFailure):
            build.result()
    assert notes.crm.sql("select * from rowferry.built_batches") == []
    sync(*notes)
    assert len(assert_equal(notes, "notes")) == 2


@pytest.mark.parametrize("membership", ["rowferry_worker", "rowferry_operator", "noinherit"])
def test_who_may_call_holds_the_link_and_is_named(notes: Nodes, membership: str) -> None:
    name, connection = login(notes.crm, "rowferry_worker" if membership == "noinherit" else membership)
    if membership == "noinherit":
        notes.crm.sql(f"alter role {name} noinherit")
    with connection:
        connection.execute(f"select pg_advisory_lock({LINK})")  # type: ignore[call-overload]
        pid = connection.info.backend_pid
        answer = Courier(notes).call(notes.crm)
        assert answer["status"] == "busy" and f"pid {pid} of {name}" in answer["reason"]
        notes.crm.sql("insert into notes values (1, 'a'); update rowferry.events set changed_at = now() - interval '2 min'")
        notes.crm.sql("update rowferry.links set last_exchange_at = now() - interval '2 min'")
        [status] = notes.crm.sql("select state, reason from rowferry.status")
        assert (
            status["state"] == "stuck"
            and f"pid {pid} of {name}" in status["reason"]
            and f"pg_terminate_backend({pid})" in status["reason"]
        )
        [why] = notes.crm.sql("select object, type_next from rowferry.why_stuck() where cause ~ 'lock of the link'")
        assert f"pid {pid} of {name}" in why["object"] and why["type_next"] == f"select pg_terminate_backend({pid});"
        with pytest.raises(psycopg.Error) as caught:
            notes.crm.sql("select rowferry.resync()")
        assert caught.value.sqlstate == "RF052"
        assert f"pid {pid} of {name}" in str(caught.value.diag.message_detail)
        assert f"select pg_terminate_backend({pid});" in str(caught.value.diag.message_hint)
    notes.crm.sql(f"drop role {name}")
    sync(*notes)


def test_resync_waits_for_the_call_at_work(notes: Nodes) -> None:
    with notes.crm.connect() as exchange:
        exchange.execute(f"select pg_advisory_lock({LINK})")
        waits = threading.Thread(target=notes.crm.sql, args=["select rowferry.resync()"])
        waits.start()
        wait_until(lambda: notes.crm.sql("select 1 from pg_locks where locktype = 'advisory' and not granted"), 20, "it waits")
    waits.join(20)
    assert notes.crm.sql("select generation from rowferry.links") == [{"generation": 2}]


@pytest.mark.settings(max_prepared_transactions="5")
def test_a_transaction_that_a_stranger_has_prepared_keeps_nothing_still(own_servers: Nodes) -> None:
    keep_notes(own_servers)
    name, connection = login(own_servers.crm)
    with connection:
        connection.autocommit = False
        connection.execute(f"select pg_advisory_xact_lock({LINK})")  # type: ignore[call-overload]
        connection.execute("prepare transaction 'forgotten'")
    own_servers.crm.sql("insert into notes values (1, 'a')")
    sync(*own_servers)
    assert len(assert_equal(own_servers, "notes")) == 1
    [why] = own_servers.crm.sql("select object, type_next from rowferry.why_stuck() where cause ~ 'lock of the link'")
    assert why == {"object": f"prepared transaction forgotten of {name}", "type_next": "rollback prepared 'forgotten';"}
    own_servers.crm.sql(why["type_next"])


def test_rows_arrive_while_a_role_without_rights_holds_the_courier_s_lock_and_the_one_beside(
    notes: Nodes, tmp_path: Path, stranger: tuple[str, psycopg.Connection[Any]]
) -> None:
    _, connection = stranger
    connection.execute(f"select pg_advisory_lock({COURIER}), pg_advisory_lock({COURIER} # 1)")  # type: ignore[call-overload]
    with worker(notes, tmp_path / "log", "--interval", "0.1"):
        notes.crm.sql("insert into notes values (1, 'a')")
        wait_until(lambda: rows(notes.billing, "select from notes where id = 1"), 30, "it arrives")
