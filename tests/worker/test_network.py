"""Networks that fail in every way: the worker waits, says so once, and goes on alone."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from faults import failpoints

from harness import Node, Nodes, wait_until
from harness.accounts import ACCOUNTS, count, insert
from harness.proxy import Proxies, Proxy, proxied
from harness.worker import OF_WORKERS, left, lines, start_worker, wait_for_rest, worker

# What the sync may hold while nothing but the network is slow: the lock of its session, and no transaction.
HELD = f"""
    select a.state, a.wait_event, k.mode, k.locktype
    from pg_stat_activity a left join pg_locks k on k.pid = a.pid and k.locktype <> 'advisory'
    where {OF_WORKERS} and (a.state <> 'idle' or k.pid is not null or a.backend_xmin is not null)"""

# A look that waits for work sleeps too, and locks no table.
IN_THE_TRIGGER = f"""
    select 1 from pg_stat_activity a join pg_locks l using (pid)
    where {OF_WORKERS} and a.wait_event = 'PgSleep' and l.relation = 'accounts'::regclass and l.mode = 'RowExclusiveLock'"""


@pytest.fixture
def through(nodes: Nodes) -> Iterator[Proxies]:
    """The nodes, with a table, and a proxy before each for the worker."""
    for node in nodes:
        node.sql(ACCOUNTS)
    with proxied(nodes) as proxies:
        yield proxies


def at_work(through: Proxies, log: Path) -> None:
    wait_until(lambda: "at work" in log.read_text(), 20, "the worker is at work")
    insert(through.nodes.crm, 1, 1)
    wait_for_rest(through.nodes, 20)


class Service:
    """billing as an entry of libpq's service file, read at every connect: a test can change it under a running worker."""

    def __init__(self, folder: Path, node: Node, port: int) -> None:
        self.path = folder / "services"
        self.good = {"host": "127.0.0.1", "port": str(port), "dbname": node.database, "user": "postgres"}
        self.good |= {"password": node.server.password, "connect_timeout": "2"}
        self.write()

    def write(self, **changed: str) -> None:
        text = "[billing]\n" + "".join(f"{name}={value}\n" for name, value in {**self.good, **changed}.items())
        self.path.write_text(text)


@pytest.fixture
def service(through: Proxies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Service:
    found = Service(tmp_path, through.nodes.billing, through.billing.port)
    env = {**through.nodes.env, "PGSERVICEFILE": str(found.path), "ROWFERRY_NODE_BILLING": "service=billing"}
    monkeypatch.setattr(type(through.nodes), "env", property(lambda _: env))
    return found


def expire(through: Proxies, valid: bool) -> None:
    until = "infinity" if valid else "2000-01-01"
    through.nodes.billing.sql(f"alter role ferry_{through.nodes.billing.database} login password 'p' valid until '{until}'")


TROUBLES: dict[str, tuple[Callable[[Proxies, Service], None], str]] = {
    "refused": (lambda through, _: through.billing.refuse(), "onnection refused"),
    "silent accept": (lambda through, _: (through.billing.silent(), through.billing.reset())[0], "timeout expired"),
    "no such name": (lambda _, service: service.write(host="no-such-host.invalid"), "could not translate host name"),
    "wrong password": (lambda _, service: service.write(password="hunter2"), "password authentication failed"),
    "expired password": (lambda through, _: expire(through, False), "password authentication failed"),
    "no TLS there": (lambda _, service: service.write(sslmode="require"), "SSL"),
    "no such database": (lambda _, service: service.write(dbname="nowhere"), 'database "nowhere" does not exist'),
    "a standby": (lambda through, _: read_only(through, True), "read-only"),
}


def read_only(through: Proxies, on: bool) -> None:
    node = through.nodes.billing
    node.sql(f"begin read write; alter database {node.database} set default_transaction_read_only = {on}; commit")


@pytest.mark.case(59)
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_peer_out_of_reach_is_said_once_and_waited_for(
    through: Proxies, service: Service, tmp_path: Path, trouble: str
) -> None:
    nodes, log = through.nodes, tmp_path / "log"
    role = f"ferry_{nodes.billing.database}"
    nodes.billing.sql(f"create role {role} login password 'p' valid until 'infinity'; grant rowferry_worker to {role}")
    service.good |= {"user": role, "password": "p"}
    service.write()
    begin, said = TROUBLES[trouble]
    try:
        with worker(nodes, log, "--interval", "0.1"):
            at_work(through, log)
            begin(through, service)
            through.billing.reset()
            insert(nodes.crm, 2, 11)
            wait_until(lambda: any("cannot connect" in line for line in lines(log)), 20, "the worker says so")
            reason = "select reason from rowferry.status"
            wait_until(lambda: "out of reach" in (nodes.crm.sql(reason)[0]["reason"] or ""), 10, "crm's status says so too")
            time.sleep(2)  # some more attempts, none of which may be said
            assert count(nodes.crm) == 11 and nodes.crm.sql("select count(*) from rowferry.events")[0]["count"] == 10
            found = [line for line in lines(log) if "cannot connect" in line]
            assert len(found) == 1 and said in found[0] and "hunter2" not in log.read_text(), found
            through.billing.heal()
            service.write()
            read_only(through, False)
            expire(through, True)
            wait_until(lambda: not left(nodes), 40, "it goes on by itself")
            assert count(nodes.billing) == 11
    finally:
        nodes.billing.sql(f"drop owned by {role}; drop role {role}")


@pytest.mark.case(59)
def test_a_peer_out_of_reach_is_asked_ever_more_rarely(through: Proxies, tmp_path: Path) -> None:
    """The pauses double from a tenth of a second: half a dozen attempts in the first seconds, not hundreds."""
    with worker(through.nodes, tmp_path / "log", "--interval", "0.1"):
        at_work(through, tmp_path / "log")
        seen = connections(through.crm)
        through.billing.refuse()
        time.sleep(6)
        assert 3 <= connections(through.crm) - seen <= 14  # each attempt connects to crm too, and may tell it why


def connections(proxy: Proxy) -> int:
    """How many were ever taken."""
    return proxy.taken


@pytest.mark.slow
@pytest.mark.case(4, 18, 60)
def test_a_black_hole_is_left_in_time_and_holds_nobody_up(through: Proxies, tmp_path: Path) -> None:
    """Bytes vanish in mid exchange: meanwhile users write at once, and within half a minute all goes on, effects once."""
    nodes, log = through.nodes, tmp_path / "log"
    users = [node.connect() for node in nodes]
    worst, began, number = 0.0, 0.0, 0
    with worker(nodes, log, "--interval", "0.2"):
        at_work(through, log)
        through.billing.black_hole()
        for first in (100, 200):
            insert(nodes.crm, first, first + 99)
        began = time.monotonic()

        def write() -> bool:
            nonlocal worst, number
            number += 1
            for user, offset in zip(users, (10_000, 20_000), strict=True):
                since = time.monotonic()
                user.execute("insert into accounts values (%s, 'a user')", [offset + number])
                user.execute("update accounts set name = name || '.' where id in (1, 100)")
                worst = max(worst, time.monotonic() - since)
            if time.monotonic() - began > 2:  # what was under way has ended
                assert [node.sql(HELD) for node in nodes] == [[], []]
            return "silent" in log.read_text()

        wait_until(write, 20, "the worker gives the silent connection up")
        through.billing.heal()
        wait_until(lambda: not left(nodes), 40, "all has arrived")
        assert time.monotonic() - began < 60
    assert worst < 1, f"a user waited {worst:.1f} s"
    assert nodes.crm.sql("select * from accounts order by id") == nodes.billing.sql("select * from accounts order by id")
    assert count(nodes.crm) == 1 + 200 + 2 * number


@pytest.mark.slow
@pytest.mark.case(18)
def test_an_answer_that_nobody_reads_locks_no_row_for_long(through: Proxies, tmp_path: Path) -> None:
    """The network takes nothing of a big answer: the transaction of that answer ends before long, and users go on."""
    nodes, billing = through.nodes, through.nodes.billing
    failpoints.install(billing, ["_take"])
    billing.sql(f"alter database {billing.database} set deadlock_timeout = '20s'")  # and so calls may take 14 s
    # Two batches of 15 MB: the second one goes out with the call that applies crm's change of row 1.
    billing.sql("insert into accounts select n, (select string_agg(md5(n::text || m), '') from generate_series(1, 1000) m)"
                " from generate_series(1001, 2000) n; update rowferry.links set batch_limit = 500")  # fmt: skip
    insert(nodes.crm, 1, 1)
    gate = billing.connect()
    gate.execute("select pg_advisory_lock(%s)", [failpoints.GATE])
    failpoints.arm(billing, "_take", "wait")
    stalled = f"select 1 from pg_stat_activity where {OF_WORKERS} and wait_event = 'ClientWrite'"
    with worker(nodes, tmp_path / "log", "--interval", "0.2"):
        wait_until(lambda: failpoints.hits(billing) == 1, 30, "billing applies")
        through.billing.stall()
        gate.close()
        wait_until(lambda: billing.sql(stalled), 14, "the answer is stuck")
        began = time.monotonic()
        user = billing.connect()
        user.execute("set statement_timeout = '30s'")
        user.execute("insert into accounts values (1, 'of a user') on conflict (id) do update set name = excluded.name")
        assert time.monotonic() - began < 20
        wait_until(lambda: not billing.sql(HELD), 15, "nothing of the worker's is under way")


@pytest.mark.case(61, 62)
@pytest.mark.parametrize("fault", ["reset", "half_close", "terminated", "refused for a moment"])
@pytest.mark.parametrize("when", ["idle", "busy"])
def test_a_connection_that_dies_is_opened_again(through: Proxies, tmp_path: Path, fault: str, when: str) -> None:
    nodes, log = through.nodes, tmp_path / "log"
    with worker(nodes, log, "--interval", "0.3"):
        at_work(through, log)
        if when == "busy":
            for way in through:
                way.delay(0.05)
            insert(nodes.crm, 2, 500)
            insert(nodes.billing, 1002, 1500)
        for node, way in zip(nodes, through, strict=True):
            if fault == "reset":
                way.reset()
            elif fault == "half_close":
                way.half_close()
            elif fault == "terminated":
                node.sql(f"select pg_terminate_backend(pid) from pg_stat_activity where {OF_WORKERS}")
            else:
                way.refuse()
                way.listen()
        if when == "idle":
            insert(nodes.crm, 2, 500)
            insert(nodes.billing, 1002, 1500)
        wait_for_rest(nodes, 20)
    assert count(nodes.crm) == count(nodes.billing) == 1 + 499 + 499
    assert not any("Traceback" in line for line in lines(log))


@pytest.mark.case(60)
@pytest.mark.parametrize("after", [0, 1, 100, 5000])
def test_an_answer_that_is_cut_off_is_asked_for_again(through: Proxies, tmp_path: Path, after: int) -> None:
    nodes = through.nodes
    with worker(nodes, tmp_path / "log", "--interval", "0.1"):
        at_work(through, tmp_path / "log")
        for way in through:
            way.cut(after)
        insert(nodes.crm, 2, 500)
        insert(nodes.billing, 1002, 1500)
        wait_until(lambda: not through.crm.cutting and not through.billing.cutting, 20, "both answers are cut off")
        wait_for_rest(nodes, 20)
    assert count(nodes.crm) == count(nodes.billing) == 1 + 499 + 499


@pytest.mark.slow
@pytest.mark.case(10)
def test_a_frozen_worker_is_replaced_and_does_no_harm_when_it_wakes(through: Proxies, tmp_path: Path) -> None:
    nodes = through.nodes
    logs = [tmp_path / "first", tmp_path / "second"]
    with worker(nodes, logs[0], "--interval", "0.2") as frozen:
        at_work(through, logs[0])
        with worker(nodes, logs[1], "--interval", "0.2"):
            wait_until(lambda: "another courier" in logs[1].read_text(), 20, "the second worker waits")
            frozen.send_signal(signal.SIGSTOP)
            try:
                insert(nodes.crm, 2, 100)
                wait_until(lambda: count(nodes.billing) == 100, 40, "the second worker has taken over")
                insert(nodes.billing, 101, 200)
            finally:
                frozen.send_signal(signal.SIGCONT)
            wait_until(lambda: len(lines(logs[0])) > 1, 20, "the first worker notices")
            insert(nodes.crm, 201, 300)
            wait_for_rest(nodes, 20)
            assert count(nodes.crm) == count(nodes.billing) == 300
            wait_until(lambda: "another courier" in logs[0].read_text(), 20, "the first worker waits in its turn")


@contextlib.contextmanager
def phase(through: Proxies, name: str, log: Path) -> Iterator[subprocess.Popen[Any]]:
    """A worker in the middle of something."""
    nodes = through.nodes
    with contextlib.ExitStack() as stack:
        if name == "connecting":
            through.billing.silent()
        if name == "out of reach":
            through.billing.refuse()
        if name == "waiting for the lock":
            stack.enter_context(contextlib.closing(holder := nodes.crm.connect()))
            holder.execute("select pg_advisory_lock(hashtextextended('rowferry courier billing crm', 0))")
        if name == "paused":
            nodes.billing.sql("select rowferry.pause()")
        if name == "applying":
            nodes.billing.sql(f"alter database {nodes.billing.database} set deadlock_timeout = '10s'")  # so that no call is cut
            nodes.billing.sql("""
                create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(2); return new; end';
                create trigger slow before insert on accounts for each row execute function slow();
                alter table accounts enable always trigger slow""")
            insert(nodes.crm, 1, 1)
        process = start_worker(nodes, log, "--interval", "30" if name == "idle" else "0.2")
        stack.callback(process.wait)
        stack.callback(process.kill)
        ready: dict[str, Callable[[], object]] = {
            "connecting": lambda: through.billing.links,
            "out of reach": lambda: "cannot connect" in log.read_text(),
            "waiting for the lock": lambda: "another courier" in log.read_text(),
            "paused": lambda: "paused" in log.read_text(),
            "applying": lambda: nodes.billing.sql(IN_THE_TRIGGER),
            "idle": lambda: "at work" in log.read_text(),
        }
        wait_until(ready[name], 20, f"the worker is {name}")
        yield process


@pytest.mark.case(11)
@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("connecting", signal.SIGTERM),
        ("out of reach", signal.SIGTERM),
        ("waiting for the lock", signal.SIGINT),
        ("paused", signal.SIGTERM),
        ("applying", signal.SIGTERM),
        ("applying", signal.SIGINT),
        ("idle", signal.SIGTERM),
    ],
)
def test_a_signal_ends_the_worker_cleanly_in_every_phase(through: Proxies, tmp_path: Path, number: int, name: str) -> None:
    log = tmp_path / "log"
    with phase(through, name, log) as process:
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(25) == 0, log.read_text()
        seconds = time.monotonic() - began
    assert seconds < {"connecting": 20, "applying": 10}.get(name, 3), seconds
    assert "Traceback" not in log.read_text()
    for node in through.nodes:
        mine = f"select state from pg_stat_activity where {OF_WORKERS}"
        wait_until(lambda: not node.sql(mine), 5, "no session is left behind")  # noqa: B023
    if name == "applying":
        assert count(through.nodes.billing) == 1, "the call in hand was not finished"
