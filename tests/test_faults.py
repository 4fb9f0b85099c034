"""Crashes and killed processes while clients write on both sides: nothing is lost, nothing is done twice, nobody else notices."""

import os
import random
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness import Node, Nodes, wait_until
from harness.exchange import sync
from harness.worker import explained, left, start_worker, wait_for_rest, worker

CLIENTS = 4  # on each side
PAUSE = 0.02  # seconds between the transactions of one client
SHARED = 40  # accounts that all clients of both sides update
# Besides a row of its own in each transaction, a client changes accounts that others change too. It takes them in the order of
# their keys, as every careful user does: clients of one side then cannot block each other for good, only the sync could.
TABLES = """
    create table ledger (client integer, number integer, note text not null, primary key (client, number));
    create table accounts (id integer primary key, owner text not null, amount integer not null);
    create table entries (id bigint primary key, account integer not null references accounts, amount integer not null);
    select rowferry.attach('entries');
    select rowferry.attach('ledger');
    select rowferry.attach('accounts')"""
EQUAL = ("ledger", "accounts", "entries")
WRITES = "select sum(n_tup_ins + n_tup_upd + n_tup_del) as writes from pg_stat_user_tables where schemaname = 'public'"


class Client(threading.Thread):
    """Writes until told to stop: a numbered ledger row of its own in each transaction, and updates of shared and own accounts.

    `kept`: ledger rows whose commit was confirmed; `unknown`: those whose commit was cut off, so that either outcome is right.
    `failed`: SQLSTATE of every statement that failed. A lost connection is opened again at once.
    """

    def __init__(self, node: Node, number: int, seed: str) -> None:
        super().__init__(daemon=True)
        self.node, self.number = node, number
        self.dice = random.Random(f"{seed} {number}")
        self.halt = threading.Event()
        self.kept: set[int] = set()
        self.unknown: set[int] = set()
        self.failed: Counter[str] = Counter()
        self.messages: list[str] = []
        self.slowest = 0.0

    def run(self) -> None:
        number = 0
        while not self.halt.is_set():
            try:
                with psycopg.connect(self.node.conninfo, connect_timeout=10) as connection:
                    while not self.halt.is_set():
                        number += 1
                        began = time.monotonic()
                        self.transaction(connection, number)
                        self.slowest = max(self.slowest, time.monotonic() - began)
                        self.halt.wait(PAUSE)
            except psycopg.Error as error:
                self.failed[error.sqlstate or "08006"] += 1
                self.messages.append(f"{self.node.name} {number}: {error.sqlstate} {error}")
                self.halt.wait(0.02)

    def transaction(self, connection: psycopg.Connection[Any], number: int) -> None:
        own, mark = 1000 * (self.number + 1) + self.dice.randrange(20), f"{self.number} {number}"
        connection.execute("insert into ledger values (%s, %s, %s)", [self.number, number, f"of {self.node.name}"])
        for account in sorted(self.dice.sample(range(SHARED), 2)):
            connection.execute("update accounts set amount = amount + 1, owner = %s where id = %s", [mark, account])
        connection.execute(
            "insert into accounts as a values (%s, %s, 0)"
            " on conflict (id) do update set amount = a.amount + 1, owner = excluded.owner",
            [own, mark],
        )
        if number % 3 == 0:
            connection.execute("insert into entries values (%s, %s, %s)", [self.number * 10**9 + number, own, number])
        if number % 9 == 0:
            connection.execute("delete from entries where id = %s", [self.number * 10**9 + number - 6])
        if number % 20 == 0:
            connection.rollback()
            return
        self.unknown.add(number)
        connection.commit()
        self.unknown.discard(number)
        self.kept.add(number)


@contextmanager
def clients(nodes: Nodes, seed: str) -> Iterator[list[Client]]:
    """Four clients on each side, at work for as long as the block lasts."""
    found = [Client(node, side * CLIENTS + n, seed) for side, node in enumerate(nodes) for n in range(CLIENTS)]
    for client in found:
        client.start()
    try:
        yield found
    finally:
        for client in found:
            client.halt.set()
        for client in found:
            client.join(60)
    assert not any(client.is_alive() for client in found), "a client hangs"


@contextmanager
def supervised(nodes: Nodes, log: Path) -> Iterator[Callable[[], subprocess.Popen[Any]]]:
    """A worker that is started again whenever it has ended, as systemd does; the process that runs now."""
    stop = threading.Event()
    current = [start_worker(nodes, log)]

    def watch() -> None:
        while not stop.is_set():
            current[0].wait()
            if not stop.wait(0.1):
                current[0] = start_worker(nodes, log)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: current[0]
    finally:
        stop.set()
        while watcher.is_alive():
            current[0].kill()
            watcher.join(0.2)


def install(nodes: Nodes) -> str:
    seed = os.environ.get("ROWFERRY_SEED") or str(random.randrange(10**9))
    print("ROWFERRY_SEED", seed)
    for node in nodes:
        node.sql(TABLES)
    nodes.crm.sql(f"insert into accounts select n, '', 0 from generate_series(0, {SHARED - 1}) n")
    return seed


def wait_for_exchange(nodes: Nodes, seconds: float = 30) -> None:
    """Until each node has applied a batch that was not applied when this was called."""

    def received() -> list[int]:
        return [node.sql("select received from rowferry.links")[0]["received"] for node in nodes]

    before = received()
    with explained(nodes):
        wait_until(
            lambda: all(now > then for now, then in zip(received(), before, strict=True)), seconds, "both nodes apply a batch"
        )


def backends(node: Node) -> list[int]:
    """Process ids of the worker's backends on a node."""
    query = "select pid from pg_stat_activity where application_name = 'rowferry' and datname = current_database()"
    return [row["pid"] for row in node.sql(query)]


def checkpointer(node: Node) -> int:
    """Process id of the server's checkpointer, another one after each restart; 0 while the server takes no connections."""
    try:
        return int(node.sql("select pid from pg_stat_activity where backend_type = 'checkpointer'")[0]["pid"])
    except (psycopg.OperationalError, IndexError):
        return 0


def assert_nothing_lost(nodes: Nodes, found: list[Client]) -> None:
    """Every confirmed ledger row is on both sides, every other one on both or on none, and all tables are equal."""
    for table in EQUAL:
        here, there = ({row["t"] for row in node.sql(f"select t::text as t from {table} t")} for node in nodes)
        assert here == there, f"{table}: {len(here ^ there)} rows differ, such as {sorted(here ^ there)[:6]}"
    for node in nodes:
        for client in found:
            rows = {row["number"] for row in node.sql("select number from ledger where client = %s", [client.number])}
            assert client.kept <= rows, f"{node.name} has lost {sorted(client.kept - rows)[:10]} of client {client.number}"
            assert rows <= client.kept | client.unknown, (
                f"{node.name} has invented {sorted(rows - client.kept - client.unknown)[:10]}"
            )
    total = sum(len(client.kept) for client in found)
    failed = sum((client.failed for client in found), Counter())
    conflicts = [node.sql("select count(*) from rowferry.conflicts")[0]["count"] for node in nodes]
    print(f"{total} transactions, failed {dict(failed)}, conflicts {conflicts}, slowest {max(c.slowest for c in found):.2f} s")
    assert total > 200


def failures(found: list[Client]) -> set[str]:
    """SQLSTATEs of the statements that failed, except what a client gets whose server crashes or starts."""
    states = {state for client in found for state in client.failed}
    return {state for state in states if not state.startswith("08") and state not in ("57P01", "57P02", "57P03")}


def settled_writes(nodes: Nodes) -> list[int]:
    """Rows that have ever been written to tables of the user, on each node, once every other session has ended and reported."""
    others = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    found = []
    for node in nodes:
        wait_until(lambda: node.sql(others)[0]["count"] == 0, 20, "other sessions have ended")  # noqa: B023
        found.append(int(node.sql(WRITES)[0]["writes"]))
    return found


@pytest.mark.slow
def test_users_on_both_sides_get_no_error(nodes: Nodes, tmp_path: Path) -> None:
    """8 clients write on both sides, the same rows too, for 15 s: not one statement fails, and both sides end equal (R11)."""
    seed = install(nodes)
    with worker(nodes, tmp_path / "log"):
        wait_for_rest(nodes, 20)
        with clients(nodes, seed) as found:
            time.sleep(15)
            wait_for_exchange(nodes)
        wait_for_rest(nodes, 60)
    assert [message for client in found for message in client.messages] == []
    assert_nothing_lost(nodes, found)
    conflicts = [node.sql("select count(*) from rowferry.conflicts")[0]["count"] for node in nodes]
    assert min(conflicts) > 0, "no conflict, so nothing was tried"


@pytest.mark.slow
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
def test_terminated_backends(nodes: Nodes, tmp_path: Path) -> None:
    """pg_terminate_backend of the worker's sessions, on either node and on both: it connects again, and no user notices."""
    seed = install(nodes)
    dice = random.Random(seed)
    with worker(nodes, tmp_path / "log"):
        wait_for_rest(nodes, 20)
        with clients(nodes, seed) as found:
            for hit in (nodes.crm,), (nodes.billing,), tuple(nodes), (nodes.crm,), (nodes.billing,):
                wait_for_exchange(nodes)
                time.sleep(dice.uniform(0, 0.3))
                for node, pids in [(node, backends(node)) for node in hit]:
                    assert pids, "the worker is not connected"
                    node.sql("select pg_terminate_backend(pid) from unnest(%s::integer[]) pid", [pids])
            wait_for_exchange(nodes)
        wait_for_rest(nodes, 60)
    assert [message for client in found for message in client.messages] == []
    assert_nothing_lost(nodes, found)


@pytest.mark.slow
def test_killed_backend(own_servers: Nodes, tmp_path: Path) -> None:
    """kill -9 of the worker's backend on either node, at which PostgreSQL restarts: the same worker goes on by itself."""
    nodes = own_servers
    seed = install(nodes)
    dice = random.Random(seed)
    with worker(nodes, tmp_path / "log"):
        wait_for_rest(nodes, 20)
        with clients(nodes, seed) as found:
            for node in (nodes.crm, nodes.billing, nodes.crm):
                wait_for_exchange(nodes)
                time.sleep(dice.uniform(0, 0.3))
                before = checkpointer(node)
                os.kill(wait_until(lambda: backends(node), 10, "the worker is connected")[0], signal.SIGKILL)  # noqa: B023
                wait_until(lambda: checkpointer(node) not in (0, before), 30, "the server has restarted")  # noqa: B023
            wait_for_exchange(nodes)
        wait_for_rest(nodes, 60)
    assert not failures(found), [message for client in found for message in client.messages]
    assert sum((client.failed for client in found), Counter()), "no client noticed, so no server has restarted"
    assert_nothing_lost(nodes, found)


@pytest.mark.slow
def test_crashed_servers(own_servers: Nodes, tmp_path: Path) -> None:
    """pg_ctl stop -m immediate of either server and of both at random moments: the same worker goes on by itself."""
    nodes = own_servers
    seed = install(nodes)
    dice = random.Random(seed)
    with worker(nodes, tmp_path / "log"):
        wait_for_rest(nodes, 20)
        with clients(nodes, seed) as found:
            for hit in (nodes.crm,), (nodes.billing,), tuple(nodes), (nodes.billing,):
                wait_for_exchange(nodes)
                time.sleep(dice.uniform(0, 0.3))
                for node in hit:
                    node.server.stop("immediate")
                time.sleep(dice.uniform(0, 1))
                for node in hit:
                    node.server.start_again()
            wait_for_exchange(nodes)
        wait_for_rest(nodes, 60)
    assert not failures(found), [message for client in found for message in client.messages]
    assert sum((client.failed for client in found), Counter()), "no client noticed, so no server has stopped"
    assert_nothing_lost(nodes, found)


@pytest.mark.slow
def test_no_echo(nodes: Nodes, tmp_path: Path) -> None:
    """10,000 changes each way leave no event, and exchanges that go on write to no row of a user's."""
    install(nodes)
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
    assert settled_writes(nodes) == [writes + 1 for writes in before]


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
        wait_for_rest(nodes, 10)
    assert [node.sql("select value from counters")[0]["value"] for node in nodes] == [300_000, 300_000]
    assert [node.sql("select count(*) from rowferry.conflicts")[0]["count"] for node in nodes] == [1, 1]
