"""The servers of a demo, each with an empty database, and how its commands find them."""

import contextlib
import os
import secrets
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import psycopg

from rowferry.demo import embedded
from rowferry.demo.children import Signals
from rowferry.demo.screen import Node, say

CLEANER = Path(__file__).resolve().parent / "cleaner.py"
SETTINGS = {"fsync": "off"}  # nothing here outlives the demo


def start_servers(signals: Signals, stack: contextlib.ExitStack, bin_dir: Path, names: Sequence[str]) -> list[Node]:
    """Servers, each with an empty database of its name; gone when the stack ends, or this process however it ends."""
    mark = f"demo-{os.getpid()}-{secrets.token_hex(2)}"
    with signals.held():
        # In a session of its own, so that it outlives us when we are killed with our whole group.
        cleaner = subprocess.Popen(
            [sys.executable, str(CLEANER), f"/tmp/rowferry-{mark}-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        stack.callback(cleaner.communicate)
    nodes = []
    for name in names:
        with signals.held():
            server = stack.enter_context(embedded.start(f"{mark}-{name}", SETTINGS, bin_dir))
        with psycopg.connect(server.conninfo(), autocommit=True) as connection:
            version = connection.execute("select split_part(version(), ' on ', 1)").fetchone()
            connection.execute(f"create database {name}".encode())
        node = Node(name, server, signals)
        stack.callback(node.close)
        nodes.append(node)
        say(f"{name + ':':8} {version[0] if version else ''}, port {server.port}")
    say()
    return nodes


def environment(nodes: Sequence[Node]) -> dict[str, str]:
    """For the commands: where the nodes are, and this installation's alembic and rowferry first on PATH."""
    ours = {"PATH", "ROWFERRY_CONFIG", "ALEMBIC_CONFIG"}
    path = os.pathsep.join([sysconfig.get_path("scripts"), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {
        **{name: value for name, value in os.environ.items() if name not in ours},
        "PATH": path,
        **{f"ROWFERRY_NODE_{node.name.upper()}": node.uri for node in nodes},
    }
