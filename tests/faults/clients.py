"""Clients of both nodes: careful users, whose statements may never fail because of the sync."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import psycopg

from harness import Node, Nodes

CLIENTS = 4  # on each side
PAUSE = 0.02  # seconds between the transactions of one client
SHARED = 40  # accounts that all clients of both sides update
# Besides a row of its own in each transaction, a client changes accounts that others change too. It takes them in the order of
# their keys, as every careful user does: clients of one side then cannot block each other for good, only the sync could.
# A ledger row is written once and never changed: `effects` holds what really happened to it on this node.
TABLES = """
    create table ledger (client integer, number integer, note text not null, primary key (client, number));
    create table accounts (id integer primary key, owner text not null, amount integer not null);
    create table entries (id bigint primary key, account integer not null references accounts, amount integer not null);
    create table effects (client integer, number integer, what text);
    create function note_effect() returns trigger language plpgsql as $$
    begin
      insert into effects values (coalesce(new.client, old.client), coalesce(new.number, old.number), tg_op);
      return null;
    end $$;
    create trigger note_effect after insert or update or delete on ledger for each row execute function note_effect();
    alter table ledger enable always trigger note_effect;
    select rowferry.attach('entries');
    select rowferry.attach('ledger');
    select rowferry.attach('accounts')"""
EQUAL = ("ledger", "accounts", "entries")


class Failure(NamedTuple):
    """A statement of a client that failed; `at` on the monotonic clock."""

    at: float
    node: str
    sqlstate: str
    message: str


class Client(threading.Thread):
    """Writes until told to stop: a numbered ledger row of its own in each transaction, and updates of shared and own accounts.

    `kept`: ledger rows whose commit was confirmed; `unknown`: those whose commit was cut off, so that either outcome is right.
    `failures`: every statement that failed. A lost connection is opened again at once.
    """

    def __init__(self, node: Node, number: int, seed: str) -> None:
        super().__init__(daemon=True)
        self.node, self.number = node, number
        self.dice = random.Random(f"{seed} {number}")
        self.halt = threading.Event()
        self.kept: set[int] = set()
        self.unknown: set[int] = set()
        self.failures: list[Failure] = []
        self.slowest = 0.0

    @property
    def failed(self) -> Counter[str]:
        return Counter(failure.sqlstate for failure in self.failures)

    @property
    def messages(self) -> list[str]:
        return [failure.message for failure in self.failures]

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
                state = error.sqlstate or "08006"
                message = f"{self.node.name} {number}: {error.sqlstate} {error}"
                self.failures.append(Failure(time.monotonic(), self.node.name, state, message))
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


def install(nodes: Nodes) -> None:
    """The tables of the clients on both nodes, attached, and the shared accounts on one."""
    for node in nodes:
        node.sql(TABLES)
    nodes.crm.sql(f"insert into accounts select n, '', 0 from generate_series(0, {SHARED - 1}) n")


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
