"""In a long rest the worker looks in second sessions, which wait in the server; the first ones are free for calls meanwhile."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Node, Nodes, wait_until
from harness.accounts import ACCOUNTS, count, insert
from harness.worker import OF_WORKERS, lines, start_worker, worker

ASLEEP = f"select pid from pg_stat_activity where {OF_WORKERS} and wait_event = 'PgSleep'"
# A look that is still at work long after each of these tests has ended.
SLEEPS = """
    create or replace function rowferry._watch(
      p_peer text, p_token text, p_pause interval, out o_last_id bigint, out o_first_due bigint, out o_last_due bigint,
      out o_noted boolean)
    language plpgsql as 'begin perform pg_sleep(60); end'"""


@pytest.fixture
def asleep(nodes: Nodes) -> Iterator[Nodes]:
    """The nodes, with a table, where a look that waits does so for a minute."""
    for node in nodes:
        node.sql(ACCOUNTS)
        node.sql(SLEEPS)
    yield nodes
    for node in nodes:
        end(node, "true")


def await_sleep(nodes: Nodes) -> None:
    wait_until(lambda: all(node.sql(ASLEEP) for node in nodes), 20, "a look waits on each node")


def end(node: Node, which: str) -> None:
    """Those of the worker's sessions on the node."""
    node.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where {OF_WORKERS} and {which}")


def test_a_change_after_a_long_rest_arrives(nodes: Nodes, tmp_path: Path) -> None:
    for node in nodes:
        node.sql(ACCOUNTS)
    with worker(nodes, tmp_path / "log"):
        for first, (source, target) in enumerate((nodes, reversed(list(nodes)))):
            await_sleep(nodes)
            insert(source, first, first)
            wait_until(lambda: count(target) == first + 1, 10, "it has arrived")  # noqa: B023
    assert all("at work" in line for line in lines(tmp_path / "log"))


def test_a_look_that_waits_keeps_no_other_node_waiting(asleep: Nodes, tmp_path: Path) -> None:
    """crm's look answers at once, billing's goes on for a minute."""
    asleep.crm.sql(SLEEPS.replace("60", "0.05"))
    with worker(asleep, tmp_path / "log"):
        wait_until(lambda: asleep.billing.sql(ASLEEP), 20, "a look waits")
        insert(asleep.crm, 1, 1)
        wait_until(lambda: count(asleep.billing) == 1, 10, "it has arrived")
        assert asleep.billing.sql(ASLEEP)


def test_a_worker_that_watches_ends_at_once(asleep: Nodes, tmp_path: Path) -> None:
    process = start_worker(asleep, tmp_path / "log")
    await_sleep(asleep)
    process.terminate()
    assert process.wait(10) == 0  # sooner than it takes the look for lost


@pytest.mark.parametrize("which", ["wait_event = 'PgSleep'", "wait_event <> 'PgSleep'"], ids=["its look", "its lock"])
def test_a_session_that_ends_meanwhile_is_noticed_at_once(asleep: Nodes, tmp_path: Path, which: str) -> None:
    with worker(asleep, tmp_path / "log"):
        await_sleep(asleep)
        end(asleep.billing, which)
        wait_until(lambda: "terminating connection" in (tmp_path / "log").read_text(), 20, "the worker says so")
        insert(asleep.crm, 1, 1)
        wait_until(lambda: count(asleep.billing) == 1, 20, "it has arrived")


def test_a_long_interval_needs_no_second_session(nodes: Nodes, tmp_path: Path) -> None:
    for node in nodes:
        node.sql(ACCOUNTS)
    # The pause between two looks has grown to the interval.
    paused = f"select state_change from pg_stat_activity where {OF_WORKERS} and clock_timestamp() - state_change > '0.29 s'"
    with worker(nodes, tmp_path / "log", "--interval", "0.3"):
        [first] = wait_until(lambda: nodes.crm.sql(paused), 30, "a long pause")
        wait_until(lambda: nodes.crm.sql(paused) not in ([], [first]), 10, "another one")
        assert [len(node.sql(f"select from pg_stat_activity where {OF_WORKERS}")) for node in nodes] == [1, 1]
