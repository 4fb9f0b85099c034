"""The real pgbouncer before a test's server, as a throw-away process."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from harness.nodes import Node
from harness.waiting import wait_until
from rowferry.demo.embedded import _account

PROGRAM = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin")


@contextlib.contextmanager
def pooler(node: Node, mode: str) -> Iterator[int]:
    """pgbouncer in pool_mode `mode` (transaction, session or statement) before the node's server; the port that it listens on.

    Skips the test where there is no pgbouncer.
    """
    if PROGRAM is None:
        pytest.skip("no pgbouncer is installed: apt-get install pgbouncer")
    account = _account()  # pgbouncer refuses to run as root, as PostgreSQL does
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="rowferry-pooler-", dir="/tmp") as name:
        folder = Path(name)
        (folder / "users").write_text(f'"postgres" "{node.server.password}"\n')
        (folder / "ini").write_text(f"""
[databases]
* = host=127.0.0.1 port={node.server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = {mode}
default_pool_size = 2
""")
        who = {}
        if account:
            who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
            for path in (folder, folder / "users", folder / "ini"):
                os.chown(path, account.pw_uid, account.pw_gid)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([PROGRAM, "-q", folder / "ini"], stdout=log, stderr=log, cwd="/", **who)  # type: ignore[call-overload]
        try:

            def answers() -> bool:
                assert process.poll() is None, (folder / "log").read_text()
                with contextlib.suppress(psycopg.OperationalError), psycopg.connect(through(node, port), connect_timeout=5):
                    return True
                return False

            wait_until(answers, 20, "pgbouncer takes connections")
            yield port
        finally:
            process.terminate()
            process.wait(20)


def through(node: Node, port: int) -> str:
    """The node's connection string with another port."""
    return node.conninfo.replace(f"@127.0.0.1:{node.server.port}/", f"@127.0.0.1:{port}/")
