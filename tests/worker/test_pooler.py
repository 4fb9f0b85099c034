"""A pooler between worker and server is found before any lock is taken: the worker needs sessions of its own."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from harness import Node, Nodes, wait_until
from harness.accounts import ACCOUNTS
from harness.pooler import pooler, through
from harness.proxy import Behind, Proxy
from harness.worker import PROGRAM, left, start_worker, wait_for_rest, worker

LOCKS = """
    select count(*) from pg_locks where locktype = 'advisory'
      and database = (select oid from pg_database where datname = current_database())"""
LEFT_BEHIND = "select current_setting('tcp_keepalives_interval'), current_setting('client_connection_check_interval')"


def locks(node: Node) -> int:
    """Advisory locks in the node's database."""
    return int(node.sql(LOCKS)[0]["count"])


@pytest.fixture(params=["crm", "billing", "both"])
def pooled(nodes: Nodes, request: pytest.FixtureRequest) -> Iterator[Behind]:
    """The nodes, one or both of them behind pgbouncer in transaction mode."""
    for node in nodes:
        node.sql(ACCOUNTS)
    with ExitStack() as stack:
        hit = [node for node in nodes if request.param in (node.name, "both")]
        yield Behind(nodes.crm, nodes.billing, {node.name: stack.enter_context(pooler(node, "transaction")) for node in hit})


@pytest.mark.case(63)
def test_two_workers_behind_a_pooler_are_refused_and_leave_no_lock(pooled: Behind, tmp_path: Path) -> None:
    workers = [start_worker(pooled, tmp_path / f"log{n}", *arguments) for n, arguments in enumerate([(), ("--once",)])]
    try:
        codes = [process.wait(30) for process in workers]
    finally:
        for process in workers:
            process.kill()
    assert codes == [2, 2]
    for number in range(2):
        line = (tmp_path / f"log{number}").read_text()
        assert line.count("\n") == 1
        for name in pooled.ports:
            said = f"{name}: a connection pooler stands before the server, .* \\(0A000\\). Hint: .*ROWFERRY_NODE_{name.upper()}"
            assert re.search(said, line), line
    assert [locks(node) for node in pooled] == [0, 0]
    # The next client of a pooled session finds it as if no worker had been there.
    for node in pooled:
        if node.name in pooled.ports:
            with psycopg.connect(through(node, pooled.ports[node.name])) as connection:
                assert connection.execute(LEFT_BEHIND).fetchone() == ("75", "0")  # type: ignore[call-overload]
    pooled.crm.sql("insert into accounts values (1, 'new')")
    with worker(Nodes(pooled.crm, pooled.billing), tmp_path / "direct"):
        wait_for_rest(pooled, 20)


@pytest.mark.case(63)
@pytest.mark.parametrize("pooled", ["billing"], indirect=True)
def test_status_behind_a_pooler_says_so_and_shows_the_other_node(pooled: Behind) -> None:
    done = subprocess.run([PROGRAM, "status"], env=pooled.env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert re.fullmatch(r"rowferry: billing: a connection pooler stands .*\. Hint: .*\n", done.stderr)
    assert re.search("^crm +billing +idle", done.stdout, re.M)
    assert re.search("^billing +unknown", done.stdout, re.M)


@pytest.mark.case(63)
def test_any_mode_of_a_pooler_is_refused(nodes: Nodes) -> None:
    with pooler(nodes.crm, "session") as port:
        behind = Behind(nodes.crm, nodes.billing, {"crm": port})
        done = subprocess.run([PROGRAM, "run", "--once"], env=behind.env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, "pooler" in done.stderr) == (2, True), done.stderr


@pytest.mark.case(63)
def test_a_pooler_that_comes_later_is_waited_out(nodes: Nodes, tmp_path: Path) -> None:
    """A worker that was at work does not end when its server moves behind a pooler: it says so and tries again."""
    for node in nodes:
        node.sql(ACCOUNTS)
    # The worker reaches billing on a port that is passed on to the server, then to a pooler, then to the server again.
    way = Proxy(nodes.billing.server.port)
    behind = Behind(nodes.crm, nodes.billing, {"billing": way.port})
    log = tmp_path / "log"
    try:
        with pooler(nodes.billing, "transaction") as port, worker(behind, log, "--interval", "0.1"):
            nodes.crm.sql("insert into accounts values (1, 'direct')")
            wait_for_rest(nodes, 20)
            way.target = port
            way.reset()
            wait_until(lambda: "pooler" in log.read_text(), 20, "the worker says that a pooler stands between")
            nodes.crm.sql("insert into accounts values (2, 'pooled')")
            way.target = nodes.billing.server.port
            wait_for_rest(nodes, 30)
            assert log.read_text().count("pooler") == 1
    finally:
        way.close()
    assert not left(nodes)
    assert [node.sql("select count(*) from accounts")[0]["count"] for node in nodes] == [2, 2]
