"""Chinook, a shop's database (eleven tables, foreign keys everywhere), filled on one side, then written on both at once."""

import random
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from convergence.chinook import assert_equal, load, new_seed, users
from harness import Nodes
from harness.worker import left, wait_for_rest, worker

CALL = "select status, envelope, split_part(token, '-', 1), reason from rowferry.process_batch(null, %s, %s, %s)"
TRANSIENT = ("40001", "40P01", "55P03", "57014")  # what makes a worker open anew
MOST_ROUNDS = 5_000


def sync(nodes: Nodes, limit: int | None) -> int:
    """Drive exchanges as the worker does, both nodes at once, until both are idle; the number of rounds."""
    with (
        ThreadPoolExecutor(2) as pool,
        psycopg.connect(nodes.crm.conninfo) as crm,
        psycopg.connect(nodes.billing.conninfo) as billing,
    ):
        connections = (crm, billing)
        for connection in connections:
            connection.autocommit = True
            connection.execute("set statement_timeout = '800ms'")

        def call(connection: psycopg.Connection[Any], token: str | None, envelope: bytes | None) -> Any:
            return connection.execute(CALL, (token, envelope, limit), binary=True).fetchone()

        rounds, token, envelopes = 0, None, [None, None]
        while rounds < MOST_ROUNDS:
            rounds += 1
            if token is None:
                token = f"{1 + max(int(call(connection, None, None)[2]) for connection in connections)}-{secrets.token_hex(4)}"
                envelopes = [None, None]
            try:
                here, there = pool.map(call, connections, [token, token], envelopes)
            except psycopg.Error as error:
                assert error.sqlstate in TRANSIENT, error
                token = None
                continue
            assert {here[0], there[0]} <= {"moved", "idle"}, (here, there)
            envelopes = [there[1], here[1]]
            if here[0] == there[0] == "idle" and not left(nodes):
                return rounds
    pytest.fail(f"not at rest after {rounds} rounds: {left(nodes)}")


@pytest.mark.slow
@pytest.mark.parametrize(("limit", "fraction", "transactions"), [(1, 40, 8), (7, 10, 40), (100, 1, 100)])
def test_chinook_with_small_batches(nodes: Nodes, limit: int, fraction: int, transactions: int) -> None:
    """Parents come with their children whatever the limit: nothing is refused, nothing is left, both sides are equal."""
    seed = new_seed()
    names = load(nodes, random.Random(seed), fraction)
    rounds = sync(nodes, limit)
    assert_equal(nodes, names)
    with users(nodes, seed, transactions) as clients:
        while any(client.is_alive() for client in clients):
            rounds += sync(nodes, limit)
    rounds += sync(nodes, limit)
    print(rounds, "rounds")
    assert not left(nodes)
    assert_equal(nodes, names)


def test_gone_parents_go_with_their_children(nodes: Nodes) -> None:
    """Two parents whose older events come first, their children's last: with batches of one event too, they get there."""
    for node in nodes:
        node.sql("create table parent (id integer primary key, name text); select rowferry.attach('parent')")
        node.sql("create table child (id integer primary key, parent integer references parent); select rowferry.attach('child')")
    nodes.crm.sql("insert into parent values (1), (2); insert into child values (1, 1), (2, 2)")
    sync(nodes, 1)
    assert nodes.billing.sql("select * from child order by id") == [{"id": 1, "parent": 1}, {"id": 2, "parent": 2}]
    nodes.crm.sql("update parent set name = 'b'; delete from child; delete from parent")
    sync(nodes, 1)
    assert nodes.billing.sql("select id from parent union all select id from child") == []


@pytest.mark.slow
def test_chinook_with_the_worker(nodes: Nodes, tmp_path: Path) -> None:
    """Four users on two sides and the worker between them: no statement fails, nothing is left, both sides are equal."""
    seed = new_seed()
    with worker(nodes, tmp_path / "log"):
        names = load(nodes, random.Random(seed))
        wait_for_rest(nodes, 60)
        assert_equal(nodes, names)
        with users(nodes, seed, 250):
            pass
        wait_for_rest(nodes, 60)
    assert_equal(nodes, names)
