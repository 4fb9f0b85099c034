"""Who asks for a verified server gets no other: nothing is read or sent where the authority, the name or TLS itself is wrong."""

import contextlib
import subprocess
from collections.abc import Iterator

import pytest

from harness import REPO, Node, Nodes, alembic
from harness.exchange import rows
from harness.tls import Authority, authorities, server
from harness.worker import PROGRAM


@pytest.fixture(scope="module")
def trusted() -> Iterator[tuple[Authority, Authority]]:
    with authorities() as pair:
        yield pair


@contextlib.contextmanager
def crm_with_tls(nodes: Nodes, authority: Authority, host: str) -> Iterator[Nodes]:
    """The nodes, crm on a server with a certificate for this host and with one row that waits."""
    table = "create table notes (id integer primary key); select rowferry.attach('notes')"
    with server(authority, host) as found:
        Node("crm", found, "postgres").sql("create database crm")
        pair = Nodes(Node("crm", found, "crm"), nodes.billing)
        alembic(pair.env, "-x", "node=crm", "upgrade", "head")
        for node in pair:
            node.sql(table)
        pair.crm.sql("insert into notes values (1)")
        yield pair


def run_once(nodes: Nodes, options: str) -> tuple[int, str]:
    """Exit code and output of `rowferry run --once` with these options in crm's connection string, whose host is localhost."""
    env = {**nodes.env, "ROWFERRY_NODE_CRM": nodes.crm.conninfo.replace("@127.0.0.1:", "@localhost:") + f"?{options}"}
    done = subprocess.run([PROGRAM, "run", "--once"], env=env, cwd=REPO, capture_output=True, text=True, timeout=120)
    output = done.stdout + done.stderr
    assert nodes.crm.server.password not in output
    return done.returncode, output


@pytest.mark.slow
@pytest.mark.case(88, 59)
def test_a_server_of_another_authority_is_refused(nodes: Nodes, trusted: tuple[Authority, Authority]) -> None:
    ours, theirs = trusted
    with crm_with_tls(nodes, ours, "localhost") as pair:
        code, output = run_once(pair, f"sslmode=verify-full&sslrootcert={theirs.root}")
        assert (code, "certificate verify failed" in output) == (3, True), output
        assert rows(pair.billing, "select * from notes") == []
        code, output = run_once(pair, f"sslmode=verify-full&sslrootcert={ours.root}")
        assert code == 0, output
        assert rows(pair.billing, "select * from notes") == ["(1)"]


@pytest.mark.slow
@pytest.mark.case(88, 59)
def test_a_server_of_another_name_is_refused(nodes: Nodes, trusted: tuple[Authority, Authority]) -> None:
    ours, _ = trusted
    with crm_with_tls(nodes, ours, "other.example") as pair:
        code, output = run_once(pair, f"sslmode=verify-full&sslrootcert={ours.root}")
        assert (code, 'does not match host name "localhost"' in output) == (3, True), output
        assert rows(pair.billing, "select * from notes") == []


@pytest.mark.case(88, 59)
def test_a_server_without_tls_is_refused_where_tls_is_asked_for(nodes: Nodes, trusted: tuple[Authority, Authority]) -> None:
    ours, _ = trusted
    for mode in ("require", f"verify-full&sslrootcert={ours.root}"):
        code, output = run_once(nodes, f"sslmode={mode}")
        assert (code, "server does not support SSL" in output) == (3, True), output
