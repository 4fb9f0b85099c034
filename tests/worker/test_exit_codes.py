"""What rowferry says and the exit code with which it ends: to cron, to a person, to a program."""

import json
import os
import re
import subprocess
import sys

import psycopg
import pytest

from harness import REPO, Nodes, wait_until
from harness.accounts import count, insert
from harness.command import Command, advisory_locks, courier, rows, run, status
from rowferry import config
from rowferry.connection import describe


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "--interval", "0"], "--interval"),
        (["run", "--twice"], "--twice"),
        ([], "COMMAND"),
        (["--config", "/nowhere.ini", "run"], "/nowhere.ini"),
    ],
)
def test_bad_arguments_are_one_line_and_2(arguments: list[str], said: str) -> None:
    output = run(dict(os.environ), *arguments, code=2)
    assert re.fullmatch(r"rowferry: .*\. Hint: .*\n", output)
    assert said in output


@pytest.mark.parametrize("value", ["", "postgresql://crm:secret/word@127.0.0.1/x", "postgresql://[", "host=127.0.0.1 colour=red"])
@pytest.mark.parametrize("command", [["run"], ["run", "--once"], ["status"]])
def test_a_connection_string_that_is_none_is_2(command: list[str], value: str) -> None:
    output = run({**os.environ, "ROWFERRY_NODE_CRM": value, "ROWFERRY_NODE_BILLING": "dbname=b"}, *command, code=2)
    assert re.fullmatch(r"rowferry: crm: .*ROWFERRY_NODE_CRM.*\. Hint: .*\n", output)
    assert "secret" not in output


def test_the_wrong_database_is_2(rowferry: Command, nodes: Nodes) -> None:
    output = rowferry("run", code=2, ROWFERRY_NODE_BILLING=nodes.crm.conninfo)
    assert re.fullmatch(r".*rowferry: billing: no such peer \(RF002\)\. Hint: .*ROWFERRY_NODE_BILLING.*\n", output)


@pytest.mark.case(59)
def test_a_node_out_of_reach_is_3_and_the_other_is_still_shown(rowferry: Command, nodes: Nodes) -> None:
    nowhere = nodes.billing.conninfo.replace(f":{nodes.billing.server.port}/", ":1/")
    assert re.fullmatch(
        r"rowferry: billing: cannot connect .*\. Hint: .*ROWFERRY_NODE_BILLING\n",
        rowferry("run", "--once", code=3, ROWFERRY_NODE_BILLING=nowhere),
    )
    assert re.search(r"^crm +billing +idle", rowferry("status", code=3, ROWFERRY_NODE_BILLING=nowhere), re.M)
    # The one that answers says so too.
    assert "billing is out of reach: cannot connect" in status(nodes.crm)["reason"]


@pytest.mark.case(59, 86)
def test_a_wrong_password_is_3_and_not_shown(rowferry: Command, nodes: Nodes) -> None:
    wrong = nodes.billing.conninfo.replace(nodes.billing.server.password, "hunter2%2Fhunter3")
    output = rowferry("run", "--once", code=3, ROWFERRY_NODE_BILLING=wrong)
    assert "password authentication failed" in output
    assert "hunter" not in output
    assert "hunter" not in status(nodes.crm)["reason"]


@pytest.mark.case(86)
def test_no_error_in_words_holds_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_NODE", "host=h sslmode=require password='hunter 2' sslpassword=hunter3")
    error = psycopg.OperationalError('could not use "hunter 2"\nnor hunter3')
    assert str(describe(config.Node("crm", "SOME_NODE"), error)) == 'crm: could not use "***" nor ***'


def test_an_empty_database_is_4(rowferry: Command, nodes: Nodes) -> None:
    empty = nodes.billing.server.conninfo("postgres")
    for arguments in (["run"], ["run", "--once"], ["status"]):
        assert "billing: " in (output := rowferry(*arguments, code=4, ROWFERRY_NODE_BILLING=empty))
        assert "Hint: alembic upgrade head" in output
    assert "billing answered: " in status(nodes.crm)["reason"]


def test_an_older_schema_is_4(rowferry: Command, nodes: Nodes) -> None:
    nodes.billing.sql("create or replace function rowferry.version() returns integer language sql as 'select 1'")
    assert "Hint: alembic upgrade head" in rowferry("run", code=4)


@pytest.mark.case(77)
def test_another_courier_is_5(rowferry: Command, nodes: Nodes) -> None:
    first = rowferry.start("--interval", "0.1")
    wait_until(lambda: courier(nodes.billing) == courier(nodes.crm) == first.process.pid, 20, "the first worker is at work")
    assert re.fullmatch(r"rowferry: another courier holds the lock on billing\. Hint: .*\n", rowferry.once(code=5))
    insert(nodes.crm, 1, 1)
    wait_until(lambda: count(nodes.billing) == 1, 20, "the first worker goes on")


def test_half_the_lock_is_given_back(rowferry: Command, nodes: Nodes) -> None:
    holder = nodes.crm.connect()
    holder.execute("select pg_advisory_lock(hashtextextended('rowferry courier billing crm', 0))")
    worker = rowferry.start("--interval", "0.1")
    wait_until(lambda: "lock on crm" in worker.log(), 20, "the worker finds the lock taken")
    wait_until(lambda: not advisory_locks(nodes.billing), 5, "it gives the other one back")
    holder.close()
    wait_until(lambda: courier(nodes.crm) == worker.process.pid, 10, "it is the courier")


@pytest.mark.slow
def test_once_gives_up_when_nothing_moves(rowferry: Command, nodes: Nodes) -> None:
    insert(nodes.crm, 1, 1)
    rowferry.once()
    user = nodes.billing.connect(autocommit=False)
    user.execute("select from accounts where id = 1 for update")
    nodes.crm.sql("update accounts set name = 'new'")
    assert re.fullmatch(r"rowferry: nothing has moved for 10 s, .*1 pending on crm.*\. Hint: .*\n", rowferry.once(code=1))
    user.rollback()
    assert rowferry.once() == ""
    assert rows(nodes.billing) == [(1, "new")]


def test_status_as_json(rowferry: Command, nodes: Nodes) -> None:
    insert(nodes.crm, 1, 3)
    crm, billing = json.loads(rowferry("status", "--json"))
    assert (crm["node"], crm["peer"], crm["state"], crm["pending"]) == ("crm", "billing", "waiting", 3)
    assert crm["oldest"] >= 0
    assert (billing["node"], billing["state"], billing["pending"]) == ("billing", "idle", 0)


def test_status_says_below_the_table_why_a_link_is_not_well(rowferry: Command, nodes: Nodes) -> None:
    nodes.crm.sql("select rowferry.pause()")
    printed = rowferry("status", code=1).splitlines()
    assert re.fullmatch(r"crm: error: paused by postgres \(link to billing, since .*\)", printed[-2])
    assert printed[-1] == "  next: select * from rowferry.resume('billing');"
    crm, billing = json.loads(rowferry("status", "--json", code=1))
    assert [cause["cause"] for cause in crm["why"]] == ["paused by postgres"]
    assert billing["why"] == []
    nodes.crm.sql(crm["why"][0]["type_next"])
    assert "error" not in rowferry("status")


def test_status_of_nodes_without_a_link_is_empty(rowferry: Command, nodes: Nodes) -> None:
    for node in nodes:
        node.sql("delete from rowferry.entities; delete from rowferry.links")
    assert rowferry("status") == "\n"


def test_version() -> None:
    assert re.fullmatch(r"rowferry \d+\.\d+\.\d+\n", run(dict(os.environ), "--version", code=0))


def test_once_tries_again_what_the_last_of_the_others_has_made_due(rowferry: Command, nodes: Nodes) -> None:
    """A delete is held, because a child keeps its row there; in one of the last of many rounds the child goes."""
    for node in nodes:
        node.sql("create table parents (id integer primary key)")
        child = "create table children (id integer primary key, parent_id integer"
        node.sql(f"{child})" if node is nodes.crm else f"{child} references parents)")
        node.sql("create table others (id integer primary key)")
        node.sql("select rowferry.attach(t) from unnest(array['parents', 'children', 'others']) t")
    nodes.crm.sql("insert into parents values (1)")
    nodes.crm.sql("insert into children values (1, 1)")
    rowferry.once()
    nodes.crm.sql("delete from parents")
    rowferry.once(code=1)
    nodes.crm.sql(
        "update rowferry.held_events set not_before = now() + interval '1 h'; update rowferry.links set batch_limit = 1"
    )
    nodes.billing.sql(  # so that batches do not grow
        """create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.15); return new; end';
        create trigger slow before insert on others for each row execute function slow();
        alter table others enable always trigger slow"""
    )
    nodes.crm.sql("insert into others select generate_series(1, 8)")
    nodes.crm.sql("delete from children")
    rowferry.once()
    assert nodes.billing.sql("select id from parents") == []


def test_the_worker_imports_nothing_that_only_migrations_need() -> None:
    """So cron can start it every few seconds."""
    code = "import sys, rowferry.cli; print({'alembic', 'sqlalchemy', 'sqlglot', 'tabulate'} & {*sys.modules})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


def test_no_signal_comes_to_the_thread_that_waits_for_it(nodes: Nodes) -> None:
    """One that came while this thread had the lock of its event would wait for itself."""
    code = """if True:
        import sys, threading
        from rowferry import cli
        from rowferry.courier import attempts
        attempts.Courier.run = lambda self: print(threading.current_thread() is threading.main_thread())
        cli.main(["run"])"""
    done = subprocess.run([sys.executable, "-c", code], env=nodes.env, capture_output=True, text=True, cwd=REPO)
    assert (done.stdout, done.stderr) == ("False\n", "")
