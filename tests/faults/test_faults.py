"""Crashes and killed processes while clients write on both sides: nothing is lost, nothing is done twice, nobody else notices."""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from faults.clients import Client, clients
from faults.clients import install as install_tables
from faults.judge import assert_nothing_lost, failures
from faults.kinds import KINDS
from faults.processes import backends, checkpointer, supervised, wait_for_exchange
from faults.runner import run
from harness import Nodes, wait_until
from harness.exchange import sync
from harness.worker import left, wait_for_rest, worker

WRITES = "select sum(n_tup_ins + n_tup_upd + n_tup_del) as writes from pg_stat_user_tables where schemaname = 'public'"


def install(nodes: Nodes) -> str:
    """The clients' tables, and the seed of all luck."""
    seed = os.environ.get("ROWFERRY_SEED") or str(random.randrange(10**9))
    print("ROWFERRY_SEED", seed)
    install_tables(nodes)
    return seed


def settled_writes(nodes: Nodes) -> list[int]:
    """Rows that have ever been written to tables of the user, on each node, once every other session has ended and reported."""
    others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    found = []
    for node in nodes:
        node.close()
        wait_until(lambda: node.sql(others)[0]["count"] == 0, 20, "other sessions have ended")  # noqa: B023
        found.append(int(node.sql(WRITES)[0]["writes"]))
    return found


def more_writes(nodes: Nodes, before: list[int]) -> list[int]:
    return [now - then for now, then in zip(settled_writes(nodes), before, strict=True)]


@contextmanager
def under_load(nodes: Nodes, log: Path) -> Iterator[tuple[random.Random, list[Client]]]:
    """Users write on both sides and the worker carries while the block lasts; nothing is lost. Yields luck and users."""
    seed = install(nodes)
    with worker(nodes, log):
        wait_for_rest(nodes, 20)
        with clients(nodes, seed) as found:
            yield random.Random(seed), found
            wait_for_exchange(nodes)
        wait_for_rest(nodes, 60)
    assert_nothing_lost(nodes, found)


def assert_only_servers_failed(found: list[Client]) -> None:
    """Users have noticed that a server went away, and nothing else."""
    assert not failures(found), [message for client in found for message in client.messages]
    assert sum((client.failed for client in found), Counter()), "no client noticed, so no server was away"


@pytest.mark.promise("R11")
@pytest.mark.slow
@pytest.mark.case(21)
def test_users_on_both_sides_get_no_error(nodes: Nodes, tmp_path: Path) -> None:
    """8 clients write on both sides, the same rows too, for 15 s: not one statement fails, and both sides end equal (R11)."""
    with under_load(nodes, tmp_path / "log") as (_, found):
        time.sleep(15)
    assert [message for client in found for message in client.messages] == []
    conflicts = [node.sql("select count(*) from rowferry.conflicts")[0]["count"] for node in nodes]
    assert min(conflicts) > 0, "no conflict, so nothing was tried"


@pytest.mark.slow
@pytest.mark.case(5)
def test_killed_worker(nodes: Nodes, tmp_path: Path) -> None:
    """kill -9 of the worker at random moments, six times: the next one goes on, and no user notices."""
    seed = install(nodes)
    dice = random.Random(seed)
    with supervised(nodes, tmp_path / "log") as process:
        wait_for_rest(nodes, 20)
        with clients(nodes, seed) as found:
            for _ in range(6):
                wait_for_exchange(nodes)
                time.sleep(dice.uniform(0, 0.3))
                process().kill()
            wait_for_exchange(nodes)
        wait_for_rest(nodes, 60)
    assert [message for client in found for message in client.messages] == []
    assert_nothing_lost(nodes, found)


@pytest.mark.slow
@pytest.mark.case(61)
def test_terminated_backends(nodes: Nodes, tmp_path: Path) -> None:
    """pg_terminate_backend of the worker's sessions, on either node and on both: it connects again, and no user notices."""
    with under_load(nodes, tmp_path / "log") as (dice, found):
        for hit in (nodes.crm,), (nodes.billing,), tuple(nodes), (nodes.crm,), (nodes.billing,):
            wait_for_exchange(nodes)
            time.sleep(dice.uniform(0, 0.3))
            found_on = [(node, wait_until(lambda: backends(node), 30, "the worker is connected")) for node in hit]  # noqa: B023
            for node, pids in found_on:
                node.sql("select pg_terminate_backend(pid) from unnest(%s::integer[]) pid", [pids])
    assert [message for client in found for message in client.messages] == []


@pytest.mark.slow
@pytest.mark.case(1, 2, 3)
def test_killed_backend(own_servers: Nodes, tmp_path: Path) -> None:
    """kill -9 of the worker's backend on either node, at which PostgreSQL restarts: the same worker goes on by itself."""
    nodes = own_servers
    with under_load(nodes, tmp_path / "log") as (dice, found):
        for node in (nodes.crm, nodes.billing, nodes.crm):
            wait_for_exchange(nodes)
            time.sleep(dice.uniform(0, 0.3))
            before = checkpointer(node)
            os.kill(wait_until(lambda: backends(node), 30, "the worker is connected")[0], signal.SIGKILL)  # noqa: B023
            wait_until(lambda: checkpointer(node) not in (0, before), 30, "the server has restarted")  # noqa: B023
    assert_only_servers_failed(found)


@pytest.mark.slow
@pytest.mark.case(6)
def test_crashed_servers(own_servers: Nodes, tmp_path: Path) -> None:
    """pg_ctl stop -m immediate of either server and of both at random moments: the same worker goes on by itself."""
    nodes = own_servers
    with under_load(nodes, tmp_path / "log") as (dice, found):
        for hit in (nodes.crm,), (nodes.billing,), tuple(nodes), (nodes.billing,):
            wait_for_exchange(nodes)
            time.sleep(dice.uniform(0, 0.3))
            for node in hit:
                node.server.stop("immediate")
            time.sleep(dice.uniform(0, 1))
            for node in hit:
                node.server.start_again()
    assert_only_servers_failed(found)


@pytest.mark.promise("R9")
@pytest.mark.slow
@pytest.mark.case(47)
def test_no_echo(nodes: Nodes, tmp_path: Path) -> None:
    """10,000 changes each way leave no event, and exchanges that go on write to no row of a user's."""
    install(nodes)
    for node in nodes:
        node.sql("select rowferry.set_breaker('ledger', null)")  # most of its rows are deleted
    with worker(nodes, tmp_path / "log"):
        wait_for_rest(nodes, 20)
        for side, node in enumerate(nodes):
            first = 10**6 * (side + 1)
            for n in range(first, first + 4000, 400):
                node.sql(f"insert into ledger select {side}, n, 'new' from generate_series({n}, {n + 399}) n")
            node.sql(f"update ledger set note = 'changed' where number < {first + 3000} and client = {side}")
            node.sql(f"delete from ledger where number >= {first + 1000} and client = {side}")
        wait_for_rest(nodes, 60)
        rows = [node.sql("select l::text as l from ledger l order by 1") for node in nodes]
        assert rows[0] == rows[1] and len(rows[0]) == 2000
    before = settled_writes(nodes)
    for _ in range(10):
        sync(*nodes)
    assert settled_writes(nodes) == before
    assert not left(nodes)
    nodes.crm.sql("update ledger set note = 'once more' where number = 1000000 and client = 0")
    sync(*nodes)
    # The row of the ledger, and what the trigger of the ledger notes of it.
    # Before PostgreSQL 15 statistics are late, in the order of the writes: those of the next change come after all of this one's.
    wait_until(lambda: min(more_writes(nodes, before)) >= 2, 20, "two rows are written on each node")
    nodes.crm.sql("update ledger set note = 'for the last time' where number = 1000000 and client = 0")
    sync(*nodes)
    wait_until(lambda: min(more_writes(nodes, before)) >= 4, 20, "two more rows are written on each node")
    assert more_writes(nodes, before) == [4, 4]


def test_one_row_changed_often_on_both_sides(nodes: Nodes, tmp_path: Path) -> None:
    """300 changes of one row on each side while no worker runs: one conflict, decided in no more time than any other."""
    for node in nodes:
        node.sql("create table counters (id integer primary key, value integer); select rowferry.attach('counters')")
    nodes.crm.sql("insert into counters values (1, 0)")
    sync(*nodes)
    for node, step in zip(nodes, (1, 1000), strict=True):
        with node.connect() as connection:
            for _ in range(300):
                connection.execute("update counters set value = value + %s", [step])
    with worker(nodes, tmp_path / "log"):
        wait_for_rest(nodes, 30)
    assert [node.sql("select value from counters")[0]["value"] for node in nodes] == [300_000, 300_000]
    assert [node.sql("select count(*) from rowferry.conflicts")[0]["count"] for node in nodes] == [1, 1]


@pytest.mark.slow
@pytest.mark.case(80)
def test_random_faults(own_servers: Nodes) -> None:
    """Some of what `make soak` does for longer: faults of every kind at random while 8 clients write, and nothing is wrong."""
    seed = os.environ.get("ROWFERRY_SEED") or str(random.randrange(10**9))
    print("ROWFERRY_SEED", seed)
    tally = run(own_servers, 50, seed, each_kind=True)
    print(tally)
    assert tally.clean, tally.findings
    assert set(tally.faults) == set(KINDS), "not every kind of fault has happened"
    assert tally.transactions > 200 and tally.rows > 200
