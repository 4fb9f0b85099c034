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
            insert into accounts select n, n from generate_series(1, 200) n;
            insert into notes select n, n, 'old' from generate_series(1, 200) n""")
        yield made


def use(hub: Star, name: str, stop: threading.Event, failures: list[BaseException]) -> None:
    """A user of a node, who changes records again and again. Nobody deletes a parent: orphans wait for a person."""
    dice = random.Random(name)
    try:
        with psycopg.connect(hub[name].conninfo, autocommit=True) as connection:
            while not stop.wait(0.5):
                key, other = dice.randint(1, 320), dice.randint(1, 320)
                change = dice.choice(
                    (
                        f"insert into accounts values ({key}, {other}) on conflict (id) do update set amount = excluded.amount",
                        f"insert into notes values ({other}, {key}, '{name}') on conflict (id) do update set v = excluded.v",
                        f"update accounts set amount = amount + 1 where id = {key}",
                        f"delete from notes where id = {other}",
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


@pytest.mark.slow
@pytest.mark.case(151)
@pytest.mark.parametrize("how", ["backfill", "first_contact"])
def test_a_spoke_is_added_under_load(hub: Star, tmp_path: Path, how: str) -> None:
    """Parents first: children would wait for them."""
    node = hub["hub"]
    with users(hub, "hub", "north", "south"), hub.worker(tmp_path / "first"):
        hub.add("hub", "east")
        east = hub["east"]
        east.sql(TABLES)
        if how == "first_contact":
            east.sql("""
                    insert into accounts select n, -n from generate_series(121, 300) n;
                    insert into notes select n, n, 'of east' from generate_series(121, 300) n""")
        for table in ("accounts", "notes"):
            node.sql(f"select rowferry.attach('{table}', p_peer => 'east')")
            east.sql(f"select rowferry.attach('{table}')")
        with hub.worker(tmp_path / "second"), users(hub, "east"):  # which shares the links with the first
            for table in ("accounts", "notes"):
                bring_together(hub, table, how)
    with hub.worker(tmp_path / "last"):
        hub.wait_for_rest(90)
    assert [each.sql("select * from rowferry.held_events") for each in hub] == [[]] * 4
    found = len(hub.assert_equal("accounts"))
    assert found > (280 if how == "first_contact" else 190)
    hub.assert_equal("notes")


def bring_together(hub: Star, table: str, how: str) -> None:
    """East gets the rows of the hub, and keeps those that only it has; waits until that is done."""
    node = hub["hub"]

    def comes(query: str) -> None:
        wait_until(lambda: node.sql(f"{query} and entity = '{table}@east'"), 180, query)

    node.sql(f"select * from rowferry.{how}('{table}@east')")
    if how == "backfill":
        comes("select from rowferry.backfill_progress where state = 'finished'")
    else:
        comes("select from rowferry.compare_runs where state = 'finished'")
        node.sql(f"select rowferry.first_contact('{table}@east', 'key', 'here', 'there', 'here')")
        comes("select from rowferry.compare_runs where state = 'resolved'")
