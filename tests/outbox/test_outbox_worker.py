"""The worker serves the outbox of a node beside its links, without being told of it."""

import subprocess
from pathlib import Path

import pytest

from harness import REPO, Nodes, wait_until
from harness.exchange import assert_equal
from harness.outbox import add_outbox, drop_slots, last, make_slot, read
from harness.worker import PROGRAM, lines, wait_for_rest, worker


def run_once(nodes: Nodes) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROGRAM), "run", "--once"], env=nodes.env, cwd=REPO, capture_output=True, text=True, timeout=90)


def test_run_once_serves_the_outbox_too(nodes: Nodes) -> None:
    nodes.crm.sql("insert into accounts values (1, 'a', 1)")
    done = run_once(nodes)
    assert (done.returncode, done.stderr) == (0, "")
    assert assert_equal(nodes, "accounts") == ["(1,a,1.00)"]
    assert last(read(nodes.crm)).keys() == {"1"}


def test_run_once_says_why_the_outbox_does_not_take_what_waits(nodes: Nodes) -> None:
    drop_slots(nodes.crm)
    nodes.crm.sql("insert into accounts values (1, 'a', 1)")
    done = run_once(nodes)
    assert done.returncode == 1
    assert "there is no replication slot" in done.stderr
    assert assert_equal(nodes, "accounts") == ["(1,a,1.00)"]


def test_the_outbox_is_served_while_the_other_node_is_away(nodes: Nodes) -> None:
    nodes.crm.sql("insert into accounts values (1, 'a', 1)")
    away = {**nodes.env, "ROWFERRY_NODE_BILLING": "host=127.0.0.1 port=1 dbname=away connect_timeout=2"}
    done = subprocess.run([str(PROGRAM), "run", "--once"], env=away, cwd=REPO, capture_output=True, text=True, timeout=90)
    assert done.returncode == 3
    assert last(read(nodes.crm)).keys() == {"1"}


def test_a_link_that_fails_at_first_is_tried_again_while_the_outbox_is_served(nodes: Nodes, tmp_path: Path) -> None:
    [made] = nodes.billing.sql("select pg_get_functiondef('rowferry.version()'::regprocedure) as sql")
    nodes.billing.sql("create or replace function rowferry.version() returns integer language sql as 'select 0'")
    nodes.crm.sql("insert into accounts values (1, 'a', 1)")
    log = tmp_path / "log"
    with worker(nodes, log):
        wait_until(lambda: any("the schema has version 0" in line for line in lines(log)), 20, "billing is too old")
        wait_until(lambda: last(read(nodes.crm, "peek")).keys() == {"1"}, 20, "the outbox has the row")
        nodes.billing.sql(made["sql"])
        wait_for_rest(nodes, 30)
    assert assert_equal(nodes, "accounts") == ["(1,a,1.00)"]


def test_an_outbox_that_is_added_or_removed_while_the_worker_runs_is_served_or_left(bare: Nodes, tmp_path: Path) -> None:
    for node in bare:
        node.sql("create table accounts (id int primary key)")
        node.sql("select rowferry.attach('accounts')")
    log = tmp_path / "log"
    with worker(bare, log):
        wait_until(lambda: "at work between billing and crm" in lines(log), 20, "the worker is at work")
        for key in (1, 2):
            add_outbox(bare.crm)
            bare.crm.sql("select rowferry.attach('accounts', p_peer => 'kafka')")
            bare.crm.sql(f"insert into accounts values ({key})")
            wait_until(lambda key=key: last(read(bare.crm, "peek")).keys() == {str(key)}, 20, "the outbox has the row")
            wait_for_rest(bare, 20)
            rests = "select from rowferry.links where slot is not null and rest_event_id is not null"
            wait_until(lambda: bare.crm.sql(rests), 20, "the outbox rests")  # noqa: B023
            bare.crm.sql("select rowferry.detach('accounts@kafka')")
            bare.crm.sql("select rowferry.remove_outbox()")
            wait_until(lambda key=key: lines(log).count("the outbox kafka is removed") == key, 20, "the worker has left it")
            drop_slots(bare.crm)
    assert lines(log).count("at work between crm and kafka") == 2


def test_two_workers_share_the_links_and_the_outbox(nodes: Nodes, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    with worker(nodes, second), worker(nodes, first):
        wait_until(lambda: any("holds the lock" in line for line in lines(first) + lines(second)), 20, "one waits for the other")
        nodes.crm.sql("insert into accounts values (1, 'a', 1)")
        wait_for_rest(nodes, 20)
        assert [message.aggregateid for message in read(nodes.crm)] == ["1"]


def test_a_worker_waits_for_the_slot_and_then_goes_on(nodes: Nodes, tmp_path: Path) -> None:
    drop_slots(nodes.crm)
    log = tmp_path / "log"
    nodes.crm.sql("insert into accounts values (1, 'a', 1)")
    with worker(nodes, log):
        wait_until(lambda: any("there is no replication slot" in line for line in lines(log)), 20, "the worker says why")
        make_slot(nodes.crm)
        wait_for_rest(nodes, 20)
        assert last(read(nodes.crm)).keys() == {"1"}


@pytest.mark.slow
def test_a_large_row_travels_alone_and_others_go_between(nodes: Nodes, tmp_path: Path) -> None:
    nodes.crm.sql("insert into accounts select i, repeat(chr(64 + i), 6000000), i from generate_series(1, 3) i")
    nodes.crm.sql("insert into accounts select i, 'small', i from generate_series(11, 500) i")
    with worker(nodes, tmp_path / "log"):
        wait_for_rest(nodes, 120)
    found = last(read(nodes.crm))
    assert len(found) == 493
    assert {key: len(found[key]["name"]) for key in "123"} == dict.fromkeys("123", 6000000)
