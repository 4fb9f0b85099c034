"""All links of a hub at work at the same time, with users on all nodes."""

import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness import wait_until
from harness.star import SPOKES, Star, star

SECONDS = 8.0
TABLES = """
    create table accounts (id int primary key, amount int);
    create table notes (id int primary key, account int not null references accounts on delete cascade, v text)"""


@pytest.fixture
def hub(servers: Any, tmp_path: Path) -> Iterator[Star]:
    with star(servers, tmp_path, {"hub": SPOKES}) as made:
        made.sql(TABLES)
        for table in ("accounts", "notes"):
            made.attach(table)
        yield made


def use(hub: Star, name: str, until: float) -> None:
    """A user of a node, who changes a few records again and again; an error of a constraint is the user's own."""
    dice = random.Random(name)
    with psycopg.connect(hub[name].conninfo, autocommit=True) as connection:
        while time.monotonic() < until:
            key, other = dice.randint(1, 30), dice.randint(1, 30)
            change = dice.choice(
                (
                    f"insert into accounts values ({key}, {other}) on conflict (id) do update set amount = excluded.amount",
                    f"insert into notes values ({other}, {key}, '{name}') on conflict (id) do update set v = excluded.v",
                    f"update accounts set amount = amount + 1 where id between {key} and {key + 3}",
                    f"delete from accounts where id = {key}",
                    f"delete from notes where id = {other}",
                )
            )
            try:
                connection.execute(change)
            except psycopg.errors.ForeignKeyViolation:
                continue


@pytest.mark.case(147)
@pytest.mark.slow
def test_users_on_all_nodes_and_one_worker_end_equal(hub: Star, tmp_path: Path) -> None:
    with hub.worker(tmp_path / "log"):
        until = time.monotonic() + SECONDS
        users = [threading.Thread(target=use, args=(hub, name, until)) for name in hub.nodes]
        for user in users:
            user.start()
        for user in users:
            user.join()
        wait_until(lambda: hub.pending() == 0, 60, "all events have left")
    assert hub.assert_equal("accounts")
    hub.assert_equal("notes")
