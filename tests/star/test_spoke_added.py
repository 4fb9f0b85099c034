"""A spoke is added while users write on all nodes: one that is empty is filled, one with rows of its own is brought together."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness.star import Star, star
from harness.waiting import wait_until

TABLES = """
    create table accounts (id int primary key, amount int);
    create table notes (id int primary key, account int not null references accounts on delete cascade, v text)"""


@pytest.fixture
def hub(servers: Any, tmp_path: Path) -> Iterator[Star]:
    with star(servers, tmp_path, {"hub": ("north", "south")}) as made:
        made.sql(TABLES)
        for table in ("accounts", "notes"):
            made.attach(table)
        made["hub"].sql("""
            insert into accounts select n, n from generate_series(1, 3000) n;
            insert into notes select n, n, 'old' from generate_series(1, 3000) n""")
        yield made


def use(hub: Star, name: str, stop: threading.Event, failures: list[BaseException]) -> None:
    """A user of a node, who changes records again and again; an error of a constraint is the user's own."""
    dice = random.Random(name)
    try:
        with psycopg.connect(hub[name].conninfo, autocommit=True) as connection:
            while not stop.wait(0.002):
                key, other = dice.randint(1, 3100), dice.randint(1, 3100)
                change = dice.choice(
                    (
                        f"insert into accounts values ({key}, {other}) on conflict (id) do update set amount = excluded.amount",
                        f"insert into notes values ({other}, {key}, '{name}') on conflict (id) do update set v = excluded.v",
                        f"update accounts set amount = amount + 1 where id between {key} and {key + 3}",
                        f"delete from accounts where id = {key}",
                    )
                )
                try:
                    connection.execute(change)
                except psycopg.errors.ForeignKeyViolation:
                    continue
    except BaseException as failure:
        failures.append(failure)


@contextmanager
def users(hub: Star, *names: str) -> Iterator[None]:
    """They write until the block ends, and not one of them fails."""
    stop, failures = threading.Event(), list[BaseException]()
    at_work = [threading.Thread(target=use, args=(hub, name, stop, failures)) for name in names]
    for user in at_work:
        user.start()
    try:
        yield
    finally:
        stop.set()
        for user in at_work:
            user.join(30)
    assert failures == []


@pytest.mark.case(151)
@pytest.mark.slow
@pytest.mark.parametrize("how", ["backfill", "first_contact"])
def test_a_spoke_is_added_under_load(hub: Star, tmp_path: Path, how: str) -> None:
    node = hub["hub"]
    with users(hub, "hub", "north", "south"):
        with hub.worker(tmp_path / "first"):
            hub.add("hub", "east")
            east = hub["east"]
            east.sql(TABLES)
            if how == "first_contact":
                east.sql("""
                    insert into accounts select n, -n from generate_series(2001, 5000) n;
                    insert into notes select n, n, 'of east' from generate_series(2001, 5000) n""")
            for table in ("accounts", "notes"):
                node.sql(f"select rowferry.attach('{table}', p_peer => 'east')")
                east.sql(f"select rowferry.attach('{table}')")
            with hub.worker(tmp_path / "second"), users(hub, "east"):  # which shares the links with the first
                for table in ("accounts", "notes"):
                    node.sql(f"select * from rowferry.{how}('{table}@east')")
                if how == "first_contact":
                    finished = "select from rowferry.compare_runs where kind = 'first_contact' and state = 'finished'"
                    wait_until(lambda: len(node.sql(finished)) == 2, 60, "both reports are there")
                    for table in ("accounts", "notes"):
                        node.sql(
                            f"select rowferry.first_contact('{table}@east', p_only_here => 'here', p_only_there => 'there',"
                            " p_different => 'here')"
                        )
                left = "select from rowferry.backfills where finished_at is null union all select from rowferry.comparisons where state <> 'resolved'"
                wait_until(lambda: not node.sql(left), 90, "it has all that was there")
    with hub.worker(tmp_path / "last"):
        hub.wait_for_rest()
    assert len(hub.assert_equal("accounts")) > (4500 if how == "first_contact" else 2500)
    assert len(hub.assert_equal("notes")) > 1000
    assert [each.sql("select * from rowferry.held_events") for each in hub] == [[]] * 4
