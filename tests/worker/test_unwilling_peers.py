"""Peers that are there and take nothing for a while: locked, read-only, full, or with hostile timeouts; and cron after a gap."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from faults import failpoints

from harness import Nodes, wait_until
from harness.accounts import ACCOUNTS, count, insert
from harness.worker import OF_WORKERS, PROGRAM, beside_time, left, lines, wait_for_rest, worker


@pytest.mark.case(22)
@pytest.mark.parametrize("node_name", ["crm", "billing"])
def test_a_locked_table_is_waited_out(nodes: Nodes, tmp_path: Path, node_name: str) -> None:
    """LOCK TABLE on the target or the source: the holder gets no error, other tables go on, and afterwards so does this one."""
    for node in nodes:
        node.sql(ACCOUNTS)
        node.sql("create table others (id integer primary key); select rowferry.attach('others')")
    log = tmp_path / "log"
    with worker(nodes, log, "--interval", "0.1"):
        insert(nodes.crm, 1, 1)
        wait_for_rest(nodes, 20)
        user = getattr(nodes, node_name).connect(autocommit=False)
        insert(nodes.crm, 2, 50)
        user.execute("lock table accounts in access exclusive mode")
        nodes.crm.sql("insert into others select generate_series(1, 10)")
        wait_until(lambda: nodes.billing.sql("select 1 from others where id = 10"), 20, "the other table goes on")
        user.execute("update accounts set name = 'locked' where id = 1")
        user.commit()
        wait_until(lambda: not left(nodes), 25, "it goes on by itself")
    assert nodes.crm.sql("select * from accounts order by 1") == nodes.billing.sql("select * from accounts order by 1")
    assert count(nodes.billing) == 50


@pytest.mark.case(22)
def test_vacuum_full_on_the_peer_is_waited_out(nodes: Nodes, tmp_path: Path) -> None:
    for node in nodes:
        node.sql(ACCOUNTS)
    nodes.billing.sql("insert into accounts select -n, repeat('x', 200) from generate_series(1, 60000) n")
    nodes.billing.sql("truncate rowferry.events")
    with worker(nodes, tmp_path / "log", "--interval", "0.1"):
        for turn in range(4):
            insert(nodes.crm, 1 + turn * 50, 50 + turn * 50)
            nodes.billing.sql("vacuum full accounts")
        wait_for_rest(nodes, 20)
    assert nodes.billing.sql("select count(*) from accounts where id > 0")[0]["count"] == 200


@pytest.mark.case(64)
def test_a_standby_is_waited_for_until_it_is_promoted(own_servers: Nodes, tmp_path: Path) -> None:
    """billing comes back as a standby, which takes no writes; once promoted, on a new timeline, all goes on."""
    nodes, log = own_servers, tmp_path / "log"
    for node in nodes:
        node.sql(ACCOUNTS)
    server = nodes.billing.server
    with worker(nodes, log, "--interval", "0.1"):
        insert(nodes.crm, 1, 10)
        wait_for_rest(nodes, 20)
        server.stop()
        signal_file = server.data_dir / "standby.signal"
        signal_file.touch()
        signal_file.chmod(0o666)
        insert(nodes.crm, 11, 20)
        server.start_again()
        wait_until(lambda: any("read-only" in line for line in lines(log)), 20, "the worker says why it waits")
        assert count(nodes.billing) == 10
        assert nodes.crm.sql("select count(*) from rowferry.events")[0]["count"] == 10
        nodes.billing.sql("select pg_promote()")
        wait_until(lambda: not left(nodes), 30, "it goes on by itself")
        assert count(nodes.billing) == 20


@pytest.fixture
def plain_login(nodes: Nodes) -> Iterator[str]:
    """A login with nothing but rowferry_worker; limits do not bind superusers."""
    login = f"ferry_{nodes.crm.database}"
    for node in nodes:
        node.sql(ACCOUNTS)
        node.sql(f"create role {login} login password 'p'; grant rowferry_worker to {login}")
    yield login
    for node in nodes:
        node.sql(f"drop owned by {login}; drop role {login}")


class AsLogin(Nodes):
    """Nodes whose worker connects as a plain login."""

    login = ""

    @property
    def env(self) -> dict[str, str]:
        own = {f"ROWFERRY_NODE_{node.name.upper()}": node.server.conninfo(node.database, self.login, "p") for node in self}
        return {**super().env, **own}


@pytest.mark.case(67)
def test_too_many_connections_are_waited_out(nodes: Nodes, plain_login: str, tmp_path: Path) -> None:
    """53300 for real: no row is blamed, and it goes on when there is room again."""
    behind, log = AsLogin(nodes.crm, nodes.billing), tmp_path / "log"
    behind.login = plain_login
    with worker(behind, log, "--interval", "0.1"):
        insert(nodes.crm, 1, 1)
        wait_for_rest(nodes, 20)
        nodes.billing.sql(f"alter role {plain_login} connection limit 0")
        nodes.billing.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where {OF_WORKERS}")
        insert(nodes.crm, 2, 100)
        wait_until(lambda: any("too many connections" in line for line in lines(log)), 20, "the worker says so")
        assert nodes.crm.sql("select count(*) from rowferry.held_events")[0]["count"] == 0
        nodes.billing.sql(f"alter role {plain_login} connection limit -1")
        wait_until(lambda: not left(nodes), 30, "it goes on by itself")
    assert count(nodes.billing) == 100


@pytest.mark.case(67)
@pytest.mark.parametrize("state", ["53100", "53200"])
def test_a_full_disk_or_memory_blames_no_row(nodes: Nodes, tmp_path: Path, state: str) -> None:
    for node in nodes:
        node.sql(ACCOUNTS)
    failpoints.install(nodes.billing, ["_write_sections"])
    failpoints.arm(nodes.billing, "_write_sections", state)
    log = tmp_path / "log"
    with worker(nodes, log, "--interval", "0.1"):
        insert(nodes.crm, 1, 100)
        wait_until(lambda: count(nodes.billing) == 100, 20, "it goes on by itself")
        assert failpoints.hits(nodes.billing) > 0
        assert nodes.crm.sql("select count(*) from rowferry.held_events")[0]["count"] == 0


@pytest.mark.case(68)
@pytest.mark.parametrize("where", ["everywhere", "in the database"])
def test_hostile_settings_of_the_role_do_not_disturb(nodes: Nodes, plain_login: str, tmp_path: Path, where: str) -> None:
    """A call that applies, a look that waits and a session at rest all take longer than the settings allow."""
    known = {row["name"] for row in nodes.crm.sql("select name from pg_settings")}
    hostile = {
        "statement_timeout": "800ms",  # binds the first statement of a session, which a busy machine delays
        "idle_in_transaction_session_timeout": "10ms",
        "transaction_timeout": "1s",
        "idle_session_timeout": "1s",
        "default_transaction_isolation": "serializable",
    }
    for node in nodes:
        role = plain_login if where == "everywhere" else f"{plain_login} in database {node.database}"
        for setting in known & set(hostile):
            node.sql(f"alter role {role} set {setting} = '{hostile[setting]}'")
        node.sql(f"alter database {node.database} set deadlock_timeout = '10s'")  # the worker's own limit is 7 s then
    bound = psycopg.connect(nodes.crm.server.conninfo(nodes.crm.database, plain_login, "p"), autocommit=True)
    with bound as connection, pytest.raises(psycopg.Error, match="timeout"):
        connection.execute("select pg_sleep(60)")
    nodes.billing.sql("""
      create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(1.2); return new; end';
      create trigger slow before insert on accounts for each row execute function slow();
      alter table accounts enable always trigger slow""")
    behind, log = AsLogin(nodes.crm, nodes.billing), tmp_path / "log"
    behind.login = plain_login
    rests = f"select 1 from pg_stat_activity where {OF_WORKERS} and state = 'idle' and now() - state_change > interval '2 s'"
    with worker(behind, log, "--interval", "0.1"):
        insert(nodes.crm, 1, 1)
        wait_until(lambda: count(nodes.billing) == 1, 30, "the slow row has arrived")
        wait_for_rest(nodes, 30)
        insert(nodes.billing, 2, 2)
        wait_for_rest(nodes, 30)
        for node in nodes:
            wait_until(lambda: node.sql(rests), 90, "a session rests while second ones look")  # noqa: B023
    assert [line for line in lines(log) if "at work" not in line] == []


@pytest.mark.case(77)
def test_runs_of_cron_that_overlap(nodes: Nodes) -> None:
    """Five at once, three times: each is done or says that another is at work, and everything has arrived."""
    for node in nodes:
        node.sql(ACCOUNTS)
    codes: list[int] = []
    for turn in range(3):
        insert(nodes.crm, turn * 1000, turn * 1000 + 499)
        insert(nodes.billing, turn * 1000 + 500, turn * 1000 + 999)
        how: dict[str, Any] = {"env": nodes.env, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        runs = [subprocess.Popen([PROGRAM, "run", "--once"], **how) for _ in range(5)]
        for run in runs:
            output, _ = run.communicate(timeout=60)
            codes.append(run.returncode)
            assert run.returncode == 0 or re.search("another courier holds the lock", output), output
    assert set(codes) <= {0, 5} and 0 in codes
    assert not left(nodes)
    assert count(nodes.crm) == count(nodes.billing) == 3000


@pytest.mark.case(77)
def test_a_gap_of_a_week_is_caught_up_in_bounded_batches(nodes: Nodes) -> None:
    """30,000 events that have waited for eight days: one run of cron delivers them, none of its batches above the bound."""
    for node in nodes:
        node.sql(ACCOUNTS)
    insert(nodes.crm, 1, 30_000)
    insert(nodes.billing, 30_001, 30_100)
    for node in nodes:
        node.sql("update rowferry.events set changed_at = changed_at - interval '8 days'")
    nodes.crm.sql("""
        create table sizes (n integer);
        create function note() returns trigger language plpgsql
        as 'begin insert into public.sizes values (new.keys); return null; end';
        create trigger note after insert on rowferry.built_batches for each row execute function note();
        grant insert on sizes to rowferry_owner; grant usage on schema public to rowferry_owner""")
    done = subprocess.run([PROGRAM, "run", "--once"], env=nodes.env, capture_output=True, text=True, timeout=120)
    assert (done.returncode, beside_time(done.stderr)) == (0, ""), done.stderr
    assert count(nodes.crm) == count(nodes.billing) == 30_100
    sizes = [row["n"] for row in nodes.crm.sql("select n from sizes")]
    assert sum(sizes) >= 30_000 and max(sizes) <= 20_000
