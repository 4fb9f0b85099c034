"""The command rowferry as a process on real servers: what it promises to cron, to systemd and to whoever reads its output."""

import functools
import itertools
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from faults.processes import signal_server

from harness import Nodes, wait_until
from harness.accounts import count, insert
from harness.command import Command, advisory_locks, at_rest, courier, rows, status, transactions
from harness.worker import beside_time

WITHOUT_LOCK = """
import sys
from rowferry import cli
from rowferry.courier import opening
opening.Opening.try_lock = lambda *_: None
sys.exit(cli.main(sys.argv[1:]))
"""


def page_faults(pid: int) -> int:
    """How often a process was given a page of memory so far."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[7])


def test_once_moves_rows_both_ways(rowferry: Command, nodes: Nodes) -> None:
    insert(nodes.crm, 1, 1200)
    insert(nodes.billing, 2001, 3200)
    assert rowferry.once() == ""
    assert count(nodes.crm) == 2400
    assert rows(nodes.crm) == rows(nodes.billing)
    assert at_rest(nodes)


def test_once_ends_with_nothing_to_do(rowferry: Command) -> None:
    assert rowferry.once() == ""


def test_once_includes_backfills(rowferry: Command, nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table old (id integer primary key)")
    nodes.crm.sql("insert into old select generate_series(1, 2500)")
    for node in nodes:
        node.sql("select rowferry.attach('old')")
    nodes.crm.sql("select rowferry.backfill('old')")
    rowferry.once()
    assert nodes.billing.sql("select count(*) from old")[0]["count"] == 2500


def test_held_row_stops_nothing_and_goes_after_retry(rowferry: Command, nodes: Nodes) -> None:
    nodes.billing.sql("alter table accounts add constraint no_dots check (name not like '%.%')")
    nodes.crm.sql("insert into accounts values (1, 'a'), (2, 'b.'), (3, 'c')")
    said = rowferry.once(code=1)
    assert re.fullmatch(r"rowferry: events are held: 1 on crm\. Hint: select .*\n", said)
    assert rows(nodes.billing) == [(1, "a"), (3, "c")]
    [event] = nodes.crm.sql("select id, sqlstate, last_error from rowferry.sync_events")
    assert event["sqlstate"] == "23514"
    assert "no_dots" in event["last_error"]
    assert "held" in rowferry("status", code=1)
    nodes.billing.sql("alter table accounts drop constraint no_dots")
    nodes.crm.sql("select rowferry.retry(%s)", [event["id"]])
    assert rowferry.once() == ""
    assert rows(nodes.billing) == [(1, "a"), (2, "b."), (3, "c")]
    assert at_rest(nodes)


@pytest.mark.case(5)
def test_the_second_worker_takes_over_within_two_intervals(rowferry: Command, nodes: Nodes) -> None:
    first = rowferry.start("--interval", "2")
    wait_until(lambda: courier(nodes.crm) == first.process.pid, 20, "the first worker is at work")
    second = rowferry.start("--interval", "2")
    wait_until(lambda: "another courier" in second.log(), 20, "the second worker waits")
    first.end(signal.SIGKILL)
    wait_until(lambda: courier(nodes.crm) == courier(nodes.billing) == second.process.pid, 4, "the second worker has taken over")
    insert(nodes.billing, 1, 1)
    wait_until(lambda: count(nodes.crm) == 1, 10, "it carries")
    assert second.log().count("another courier") == 1


@pytest.mark.promise("R3")
@pytest.mark.case(9)
def test_two_couriers_at_once_stay_correct(rowferry: Command, nodes: Nodes) -> None:
    workers = [rowferry.start("--interval", "0.05", program=(sys.executable, "-c", WITHOUT_LOCK)) for _ in range(2)]
    number = 0

    def write() -> bool:
        nonlocal number
        number += 1
        for node, offset in ((nodes.crm, 0), (nodes.billing, 100000)):
            insert(node, offset + number * 10, offset + number * 10 + 9)
            node.sql(f"update accounts set name = '{node.name} again {number}' where id % 7 = {number % 7}")
        return all("has opened the exchange" in worker.log() for worker in workers) and number > 20

    wait_until(write, 60, "each has overtaken the other")
    wait_until(lambda: at_rest(nodes), 60, "all has arrived")
    assert count(nodes.crm) == number * 20
    assert rows(nodes.crm) == rows(nodes.billing)
    assert not any(re.search(r"\(\w{5}\)", beside_time(worker.log())) for worker in workers), [w.log() for w in workers]


@pytest.mark.parametrize("higher", ["crm", "billing"])
def test_it_opens_above_the_tokens_of_both(rowferry: Command, nodes: Nodes, higher: str) -> None:
    getattr(nodes, higher).sql("update rowferry.links set token_number = 41")
    insert(nodes.crm, 1, 1)
    assert rowferry.once() == ""
    assert count(nodes.billing) == 1
    assert [node.sql("select token_number as n from rowferry.links")[0]["n"] for node in nodes] == [42, 42]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.case(11)
def test_a_signal_ends_it_cleanly(rowferry: Command, nodes: Nodes, number: int) -> None:
    worker = rowferry.start("--interval", "60")
    insert(nodes.crm, 1, 5000)
    wait_until(lambda: count(nodes.billing) > 0, 20, "it is at work")
    assert worker.end(number) == 0
    assert courier(nodes.crm) == courier(nodes.billing) == 0
    assert advisory_locks(nodes.crm) == advisory_locks(nodes.billing) == 0
    assert rowferry.once() == ""
    assert rows(nodes.crm) == rows(nodes.billing)


@pytest.mark.slow
@pytest.mark.case(5)
def test_killed_again_and_again_under_load_it_loses_nothing(rowferry: Command, nodes: Nodes) -> None:
    number = 0

    def write() -> None:
        nonlocal number
        number += 1
        for node, offset in ((nodes.crm, 0), (nodes.billing, 100000)):
            insert(node, offset + number * 20, offset + number * 20 + 18)
            node.sql(f"update accounts set name = '{node.name} {number}' where id % 5 = {number % 5}")
        nodes.billing.sql(f"delete from accounts where id = {number * 20}")

    def moved(since: Any) -> bool:
        write()
        return bool(status(nodes.crm)["last_exchange"] != since)

    for _ in range(6):
        worker = rowferry.start("--interval", "0.01")
        wait_until(functools.partial(moved, status(nodes.crm)["last_exchange"]), 20, "batches move")
        write()
        worker.end(signal.SIGKILL)
    rowferry.start("--interval", "0.01")
    wait_until(lambda: at_rest(nodes), 60, "all has arrived")
    assert rows(nodes.crm) == rows(nodes.billing)
    assert {number * 20 + 18, 100000 + number * 20 + 18} <= {row[0] for row in rows(nodes.crm)}


def test_a_login_with_nothing_but_rowferry_worker_is_enough(rowferry: Command, nodes: Nodes) -> None:
    login = f"worker_{nodes.crm.database}"
    try:
        for node in nodes:
            node.sql(f"create role {login} login password 'only-this'")
            rowferry.env[f"ROWFERRY_NODE_{node.name.upper()}"] = node.server.conninfo(node.database, login, "only-this")
        assert f"Hint: grant rowferry_worker to {login};" in rowferry.once(code=2)
        for node in nodes:
            node.sql(f"grant rowferry_worker to {login}")
        insert(nodes.crm, 1, 10)
        insert(nodes.billing, 11, 20)
        assert rowferry.once() == ""
        assert len(rows(nodes.crm)) == 20
        assert rows(nodes.crm) == rows(nodes.billing)
        assert f"Hint: grant rowferry_viewer to {login};" in rowferry("status", code=2)
        with psycopg.connect(rowferry.env["ROWFERRY_NODE_CRM"], autocommit=True) as connection:
            found = nodes.crm.sql(
                "select oid::regclass::text as name from pg_class "
                "where relnamespace = 'rowferry'::regnamespace and relkind in ('r', 'v')"
            )
            assert len(found) > 8
            for name in ["public.accounts"] + [row["name"] for row in found]:
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(f"table {name}")
    finally:
        for node in nodes:
            node.sql(f"drop role if exists {login}")


@pytest.mark.promise("R11")
def test_calls_end_before_the_deadlock_check(rowferry: Command, nodes: Nodes) -> None:
    """What 0.7 s bound: a batch that takes longer on one node is built smaller by the other, and all arrives without a person."""
    nodes.billing.sql("""
      create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.02); return new; end';
      create trigger slow before insert on accounts for each row execute function slow();
      alter table accounts enable always trigger slow""")
    insert(nodes.crm, 1, 100)
    worker = rowferry.start("--interval", "0.1")
    wait_until(lambda: "billing: canceling statement due to statement timeout (57014)" in worker.log(), 20, "it is cut off")
    wait_until(lambda: count(nodes.billing) == 100, 40, "all has arrived in smaller batches")


def test_large_batches_do_not_take_their_memory_from_the_system_again_and_again(rowferry: Command, nodes: Nodes) -> None:
    rowferry.start()
    wait_until(lambda: courier(nodes.crm) and courier(nodes.billing), 20, "the worker has both locks")
    mine = "database = (select oid from pg_database where datname = current_database())"
    pids = [node.sql(f"select pid from pg_locks where locktype = 'advisory' and {mine}")[0]["pid"] for node in nodes]
    faults = [[page_faults(pid) for pid in pids]]
    for number in range(3):
        insert(nodes.crm, 40_000 * number + 1, 40_000 * (number + 1))
        wait_until(lambda: at_rest(nodes), 60, "all has arrived")
        faults.append([page_faults(pid) for pid in pids])
    first, _, last = ([after - before for before, after in zip(*pair, strict=True)] for pair in itertools.pairwise(faults))
    assert all(few < many / 4 for few, many in zip(last, first, strict=True)), (first, last)


@pytest.mark.slow
def test_a_batch_that_takes_too_long_to_build_is_built_smaller(rowferry: Command, nodes: Nodes) -> None:
    nodes.crm.sql("alter function rowferry._stamp(rowferry.events) rename to _stamp_fast")
    nodes.crm.sql("""
      create function rowferry._stamp(p_event rowferry.events) returns timestamptz language plpgsql stable
      as 'begin perform pg_sleep(0.005); return rowferry._stamp_fast(p_event); end'""")
    insert(nodes.crm, 1, 500)
    worker = rowferry.start("--interval", "0.1")
    wait_until(lambda: "crm: canceling statement due to statement timeout (57014)" in worker.log(), 20, "it is cut off")
    wait_until(lambda: count(nodes.billing) == 500, 60, "all has arrived in smaller batches")


def test_a_paused_link_is_said_once_and_goes_on_by_itself(rowferry: Command, nodes: Nodes) -> None:
    nodes.billing.sql("select rowferry.pause()")
    insert(nodes.crm, 1, 1)
    assert re.fullmatch(r"rowferry: billing: paused: paused by postgres\n", rowferry.once(code=1))
    assert "paused" in rowferry("status", code=1)
    worker = rowferry.start("--interval", "0.05")
    wait_until(lambda: "billing: paused" in worker.log(), 20, "the worker says so")
    nodes.billing.sql("select rowferry.resume()")
    wait_until(lambda: count(nodes.billing) == 1, 20, "it goes on")
    assert worker.log().count("paused: ") == 1


def test_another_call_for_the_link_is_waited_out(rowferry: Command, nodes: Nodes) -> None:
    insert(nodes.crm, 1, 1)
    person = nodes.billing.connect(autocommit=False)
    person.execute("select pg_advisory_xact_lock(hashtextextended('rowferry link crm', 0))")
    worker = rowferry.start("--interval", "0.1")
    wait_until(lambda: courier(nodes.crm) == worker.process.pid, 20, "the worker is at work")
    before = transactions(nodes.billing)
    wait_until(lambda: transactions(nodes.billing) > before + 120, 30, "it has asked for more than two seconds")
    assert count(nodes.billing) == 0
    person.rollback()
    wait_until(lambda: count(nodes.billing) == 1, 20, "the row has arrived")
    assert [line for line in worker.log().splitlines() if "at work" not in line] == []


@pytest.mark.settings(log_connections="on")
@pytest.mark.case(59)
def test_a_stopped_server_is_waited_out_and_said_once(own_servers: Nodes, make_command: Callable[[Nodes], Command]) -> None:
    rowferry = make_command(own_servers)
    worker = rowferry.start("--interval", "0.1")
    insert(own_servers.crm, 1, 1)
    wait_until(lambda: count(own_servers.billing) == 1, 20, "it is at work")
    own_servers.billing.server.stop("immediate")
    insert(own_servers.crm, 2, 2)
    wait_until(lambda: "out of reach: cannot connect" in (status(own_servers.crm)["reason"] or ""), 20, "crm's status says why")
    token = "select token_number from rowferry.links"
    before = own_servers.crm.sql(token)

    def attempts() -> int:
        return own_servers.crm.server.log_path.read_text().count("application_name=rowferry")

    enough = attempts() + 3
    wait_until(lambda: attempts() >= enough, 30, "it tries again")
    assert own_servers.crm.sql(token) == before, "the same error is told once"
    own_servers.billing.server.start_again()
    wait_until(lambda: count(own_servers.billing) == 2, 30, "it goes on by itself")
    wait_until(lambda: status(own_servers.crm)["reason"] is None, 10, "crm's status is well again")
    lines = [line.partition("rowferry: ")[2] for line in worker.log().splitlines()]
    assert len(lines) == len(set(lines)) + 1 <= 6, lines  # only "at work" stands there twice


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.case(18, 60)
def test_a_frozen_server_holds_nothing_on_the_other(own_servers: Nodes, make_command: Callable[[Nodes], Command]) -> None:
    rowferry = make_command(own_servers)
    worker = rowferry.start("--interval", "0.05")
    insert(own_servers.crm, 1, 100)
    wait_until(lambda: count(own_servers.billing) == 100, 20, "it is at work")
    worst = 0.0
    user = own_servers.crm.connect()

    def write() -> bool:
        nonlocal worst
        began = time.monotonic()
        user.execute("update accounts set name = name || '.' where id = 1")
        worst = max(worst, time.monotonic() - began)
        held = user.execute(
            "select state, query from pg_stat_activity where application_name = 'rowferry' "
            "and (state like 'idle in%' or backend_xmin is not null or xact_start < clock_timestamp() - interval '2 s')"
        ).fetchall()
        assert not [row for row in held if row[0] not in ("active", "starting")]
        return "out of reach" in (status(own_servers.crm)["reason"] or "")

    signal_server(own_servers.billing, signal.SIGSTOP)
    try:
        insert(own_servers.crm, 101, 200)
        wait_until(write, 60, "the worker gives the silent server up and crm's status says so")
        assert worst < 1, "users of the other node are not held up"
        assert "silent" in worker.log()
        assert count(own_servers.crm) == 200
    finally:
        signal_server(own_servers.billing, signal.SIGCONT)
    wait_until(lambda: rows(own_servers.billing) == rows(own_servers.crm), 60, "it goes on by itself")
