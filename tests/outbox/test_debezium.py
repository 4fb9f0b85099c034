"""The real Debezium engine reads the outbox, with the settings of the documentation."""

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness import Node, Nodes, wait_until
from harness.debezium import Engine
from harness.outbox import add_outbox, deliver
from harness.worker import explained, left, start_worker

pytestmark = [pytest.mark.debezium, pytest.mark.slow]
TABLE = "create table accounts (id int primary key, owner int, version bigint)"
USERS, STAGES, CHANGES, ROWS = {"crm": 4, "billing": 2}, 4, 10_000, 100


@pytest.fixture
def engine(bare: Nodes, tmp_path: Path) -> Iterator[Engine]:
    """Its login may replicate and nothing else. It makes the slot itself."""
    for node in bare:
        node.sql(TABLE)
        node.sql("select rowferry.attach('accounts')")
    add_outbox(bare.crm, slot=False)
    bare.crm.sql("select rowferry.attach('accounts', p_peer => 'kafka')")
    bare.crm.sql("create role debezium login replication password 'secret'")
    made = Engine(bare.crm, "debezium", "secret", tmp_path, {"slot.name": f"of_{bare.crm.database}"})
    try:
        yield made
    except BaseException:
        print(made.last_words())
        raise
    finally:
        made.kill()
        bare.crm.sql("drop role debezium")


class User:
    """Changes rows of its own, each change of a row with the next version."""

    def __init__(self, node: Node, number: int) -> None:
        self.node, self.number, self.random = node, number, random.Random(number)
        self.version, self.there = 0, set[int]()

    def write(self, changes: int) -> None:
        with psycopg.connect(self.node.conninfo) as connection:
            for _ in range(changes):
                key = self.number + 100 * self.random.randrange(ROWS)
                self.version += 1
                if key not in self.there:
                    connection.execute("insert into accounts values (%s, %s, %s)", [key, self.number, self.version])
                    self.there.add(key)
                elif self.random.random() < 0.1:
                    connection.execute("delete from accounts where id = %s", [key])
                    self.there.remove(key)
                else:
                    connection.execute("update accounts set version = %s where id = %s", [self.version, key])
                if self.random.random() < 0.2:
                    connection.commit()


@pytest.mark.promise("R15")
@pytest.mark.timeout(600)
def test_what_debezium_delivers_ends_as_the_rows_whatever_is_killed(
    engine: Engine, bare: Nodes, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    users = [User(node, 10 * place + i) for place, node in enumerate(bare) for i in range(USERS[node.name])]
    log = tmp_path / "worker.log"
    worker = start_worker(bare, log)
    try:
        for _ in range(STAGES):
            engine.start()
            before = len(engine.messages())
            with ThreadPoolExecutor(len(users)) as pool:
                writing = [pool.submit(user.write, CHANGES // STAGES // len(users) + 1) for user in users]
                wait_until(lambda: len(engine.messages()) > before + 50, 90, "the engine delivers")  # noqa: B023
                engine.kill()
                worker.kill()
                worker.wait()
                worker = start_worker(bare, log)
                for done in writing:
                    done.result()
        engine.start()
        with explained(bare):
            wait_until(lambda: not left(bare), 90, "no event is left")
        expected = {str(row["id"]): row for row in bare.crm.sql("select * from accounts")}
        assert len(expected) > 100
        wait_until(lambda: rows_there(engine.messages()) == expected, 90, "Debezium has delivered all")
    finally:
        worker.kill()
        worker.wait()
    messages = engine.messages()
    distinct = list({message["headers"]["id"]: message for message in reversed(messages)}.values())[::-1]
    record_property(
        "counted",
        f"Debezium: {sum(user.version for user in users)} changes, {len(messages)} messages, "
        f"{len(messages) - len(distinct)} of them doubles",
    )
    assert {message["topic"] for message in messages} == {"outbox.event.accounts"}
    assert all((message["value"] is None) == (message["headers"]["type"] == "delete") for message in messages)
    versions: dict[str, list[int]] = {}
    for message in distinct:
        if message["value"]:
            versions.setdefault(message["key"], []).append(message["value"]["version"])
    assert [seen for seen in versions.values() if seen != sorted(set(seen))] == []


def rows_there(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """What a reader has who keeps the last message of each key."""
    kept = {message["key"]: message["value"] for message in messages}
    return {key: value for key, value in kept.items() if value is not None}


def test_the_slot_moves_on_while_only_other_tables_are_written(engine: Engine, bare: Nodes) -> None:
    """Else the server would keep the log for as long as no row goes into the outbox. Nothing is lost when it starts again."""
    engine.start()
    bare.crm.sql("create table others (id int)")
    slot = "select from pg_replication_slots where database = current_database() and active"
    for key in (1, 2):
        wait_until(lambda: bare.crm.sql(slot), 90, "the engine reads")
        bare.crm.sql(f"insert into accounts values ({key})")
        deliver(bare.crm)
        wait_until(lambda key=key: str(key) in rows_there(engine.messages()), 60, "the row has arrived")
        bare.crm.sql("insert into others select generate_series(1, 10000)")
        [at] = bare.crm.sql("select pg_current_wal_insert_lsn()::text as lsn")
        moved = f"{slot} and confirmed_flush_lsn >= '{at['lsn']}'"
        wait_until(lambda moved=moved: bare.crm.sql(moved), 90, "the slot has moved on")
        engine.kill()
        bare.crm.sql(f"insert into accounts values (1{key})")
        deliver(bare.crm)
        engine.start()
        wait_until(lambda key=key: f"1{key}" in rows_there(engine.messages()), 90, "what was written meanwhile has arrived")
