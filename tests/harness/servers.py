"""What befalls whole servers: set back to a copy of their files, cloned, replaced by a promoted standby."""

from __future__ import annotations

import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.nodes import Node
from harness.waiting import wait_until
from rowferry.demo import embedded
from rowferry.demo.embedded import PORTS, Server


def backup(node: Node) -> Path:
    """A copy of the server's files, taken while it was stopped; it runs again."""
    node.close()
    node.server.stop()
    copy = node.server.socket_dir / "backup"
    _copy(node.server.data_dir, copy)
    node.server.start_again()
    return copy


def put_back(node: Node, copy: Path) -> None:
    """The server with the files of the backup; what happened since is gone."""
    node.close()
    node.server.stop()
    shutil.rmtree(node.server.data_dir)
    _copy(copy, node.server.data_dir)
    node.server.start_again()


@contextmanager
def clone(node: Node) -> Iterator[Node]:
    """The same files on another port, beside the original."""
    copy = backup(node)
    with _another(node.server) as server:
        copy.rename(server.data_dir)
        _launch(server)
        yield Node(node.name, server, node.database)


@contextmanager
def standby(node: Node) -> Iterator[Node]:
    """A streaming standby that has all that the node has; it follows until one of the two stops."""
    with _another(node.server) as server:
        program(
            [
                f"{server.bin_dir}/pg_basebackup",
                "-D",
                str(server.data_dir),
                "-R",
                "-c",
                "fast",
                "-X",
                "stream",
                "-d",
                node.server.conninfo(),
            ],
            server,
        )
        _launch(server)
        found = Node(node.name, server, node.database)
        # A standby gets what is flushed; what follows the last commit may be flushed by nobody for long.
        node.sql("select pg_logical_emit_message(true, 'standby', '')")
        [at] = node.sql("select pg_current_wal_flush_lsn()::text as lsn")
        reached = "select pg_last_wal_replay_lsn() >= %s::pg_lsn as reached"
        wait_until(lambda: found.sql(reached, [at["lsn"]])[0]["reached"], 20, "the standby has all that the primary has")
        yield found


def promote(node: Node) -> None:
    """The standby becomes a server of its own."""
    assert node.sql("select pg_promote(true, 20) as promoted") == [{"promoted": True}]


@contextmanager
def fresh(server: Server) -> Iterator[Server]:
    """A new, empty server with the settings of another."""
    with embedded.start("new", server._settings, server.bin_dir) as new:
        yield new


def program(command: list[str], server: Server, text: str | None = None) -> str:
    """Output of one of PostgreSQL's programs, run as the account of the server; fails with its errors."""
    how = embedded._how(server.bin_dir, server._account, server.socket_dir)
    done = subprocess.run(command, **how, input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _copy(source: Path, target: Path) -> None:
    subprocess.run(["cp", "-a", str(source), str(target)], check=True)


@contextmanager
def _another(server: Server) -> Iterator[Server]:
    home = Path(tempfile.mkdtemp(prefix="rowferry-copy-", dir=server.socket_dir.parent))
    if server._account:
        shutil.chown(home, server._account.pw_uid, server._account.pw_gid)
    new = Server(home, server.bin_dir, server._account, server._settings)
    new.password = server.password
    with new:
        yield new


def _launch(server: Server) -> None:
    assert any(server._launch() for server.port in random.sample(PORTS, 20)), "no free port"
