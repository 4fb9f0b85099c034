"""In a long rest the worker looks in second sessions, which wait in the server; the first ones are free for calls meanwhile."""

import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from harness import Node, Nodes, wait_until
from harness.accounts import ACCOUNTS, count, insert
from harness.command import Command
from harness.worker import OF_WORKERS, beside_time, wait_for_rest, worker
from rowferry.courier.rounds import STALL_SECONDS

ASLEEP = f"select pid from pg_stat_activity where {OF_WORKERS} and wait_event = 'PgSleep'"
WATCH = """
    create or replace function rowferry._watch(
      p_peer text, p_token text, p_pause interval, out o_last_id bigint, out o_first_due bigint, out o_last_due bigint)
    language plpgsql as $$ begin perform nextval('public.watched'); {body}; end $$"""
PATIENT = """
import sys
from rowferry import cli
from rowferry.courier import rest
rest.WATCHER_SECONDS = 60
sys.exit(cli.main(sys.argv[1:]))
"""
FAULTS = {"ended": "perform pg_sleep(60)", "silent": "perform pg_sleep(60)", "refused": "raise exception 'no'"}


def await_sleep(nodes: Nodes) -> None:
    wait_until(lambda: all(node.sql(ASLEEP) for node in nodes), 20, "a look waits on each node")


def end(node: Node, which: str) -> None:
    """Those of the worker's sessions on the node."""
    node.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where {OF_WORKERS} and {which}")


def troubles(log: Path) -> list[str]:
    """What the worker has said, but that it is at work."""
    return [line for line in beside_time(log.read_text()).splitlines() if "at work" not in line]


def test_a_change_after_a_long_rest_arrives(nodes: Nodes, tmp_path: Path) -> None:
    for node in nodes:
        node.sql(ACCOUNTS)
    with worker(nodes, tmp_path / "log"):
        for first, (source, target) in enumerate((nodes, reversed(list(nodes)))):
            await_sleep(nodes)
            insert(source, first, first)
            wait_until(lambda: count(target) == first + 1, 10, "it has arrived")  # noqa: B023
    assert troubles(tmp_path / "log") == []


def test_work_after_a_long_rest_is_no_reason_to_open_anew(nodes: Nodes, tmp_path: Path) -> None:
    """The rows to be sent again are due before anything moves; the rest before that is no time in which nothing moved."""
    for node in nodes:
        node.sql(ACCOUNTS)
    log = tmp_path / "log"
    choice = "select * from rowferry.first_contact('accounts', p_only_here => 'here', p_different => 'there')"
    with worker(nodes, log):
        for number in range(4):
            insert(nodes.billing, number, number)
            nodes.billing.sql(f"update accounts set name = 'theirs' where id = {number}")
            nodes.crm.sql(
                f"""alter table accounts disable trigger all;
                insert into accounts values ({number}, 'ours'), ({number + 100}, 'only here')
                on conflict (id) do update set name = excluded.name;
                alter table accounts enable trigger all"""
            )
            wait_for_rest(nodes, 20)
            nodes.crm.sql("select * from rowferry.first_contact('accounts')")
            finished = "select from rowferry.compare_runs where state = 'finished'"
            wait_until(lambda: nodes.crm.sql(finished), 20, "the report is there")  # noqa: B023
            rested = time.monotonic() + STALL_SECONDS + 0.5
            wait_until(lambda: time.monotonic() > rested, 10, "a rest")  # noqa: B023
            nodes.crm.sql(choice)
            wait_until(lambda: not nodes.crm.sql("select from accounts where name = 'ours'"), 20, "the choice is carried out")
    assert troubles(log) == []


def test_a_look_that_waits_keeps_no_other_node_waiting(rowferry: Command, nodes: Nodes) -> None:
    """crm's look answers at once, billing's goes on for a minute."""
    replace_watch(nodes.billing, "perform pg_sleep(60)")
    rowferry.start(program=(sys.executable, "-c", PATIENT))
    await_sleep(nodes)
    insert(nodes.crm, 1, 1)
    wait_until(lambda: count(nodes.billing) == 1, 10, "it has arrived")
    assert nodes.billing.sql(ASLEEP)
    end(nodes.billing, "true")


def replace_watch(node: Node, body: str) -> None:
    """What a look does that is to wait; the sequence `watched` tells that it began."""
    node.sql("create sequence watched; grant usage on sequence watched to public")
    node.sql(WATCH.format(body=body))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_second_session_that_fails_disturbs_nothing(nodes: Nodes, tmp_path: Path, fault: str) -> None:
    """The first sessions look in its place, and nobody is told."""
    for node in nodes:
        node.sql(ACCOUNTS)
        replace_watch(node, FAULTS[fault])
    with worker(nodes, tmp_path / "log"):
        wait_until(lambda: nodes.billing.sql("select from watched where is_called"), 20, "a look has begun that is to wait")
        if fault == "ended":
            end(nodes.billing, "wait_event = 'PgSleep'")
        insert(nodes.crm, 1, 1)
        wait_until(lambda: count(nodes.billing) == 1, 20, "it has arrived")
    assert troubles(tmp_path / "log") == []
    for node in nodes:
        end(node, "true")


def test_a_first_session_that_ends_meanwhile_is_noticed(nodes: Nodes, tmp_path: Path) -> None:
    for node in nodes:
        node.sql(ACCOUNTS)
    with worker(nodes, tmp_path / "log"):
        await_sleep(nodes)
        end(nodes.billing, "wait_event <> 'PgSleep'")
        wait_until(lambda: "terminating connection" in (tmp_path / "log").read_text(), 20, "the worker says so")
        insert(nodes.crm, 1, 1)
        wait_until(lambda: count(nodes.billing) == 1, 20, "it has arrived")


def test_a_long_interval_needs_no_second_session(nodes: Nodes, tmp_path: Path) -> None:
    for node in nodes:
        node.sql(ACCOUNTS)
    # The pause between two looks has grown to the interval, and that some seconds ago.
    paused = f"""select state_change from pg_stat_activity
      where {OF_WORKERS} and clock_timestamp() - state_change > '0.5 s' and state_change > %s"""
    with worker(nodes, tmp_path / "log", "--interval", "0.6"):
        [first] = wait_until(lambda: nodes.crm.sql(paused, ["-infinity"]), 30, "a long pause")
        wait_until(lambda: nodes.crm.sql(paused, [first["state_change"] + timedelta(seconds=2)]), 30, "one some seconds later")
        assert [len(node.sql(f"select from pg_stat_activity where {OF_WORKERS}")) for node in nodes] == [1, 1]
