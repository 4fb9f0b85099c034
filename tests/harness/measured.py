"""A worker that serves metrics, with a plain login that may see what viewers see."""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from harness.command import Command, Worker
from harness.nodes import Node, Nodes
from harness.waiting import wait_until

NOTES = "create table notes (id integer primary key, body text); select rowferry.attach('notes')"


def login(node: Node, *roles: str) -> str:
    """A libpq URI of a new login that is granted these roles and nothing else."""
    name, password = f"ferry_{secrets.token_hex(4)}", secrets.token_hex(8)
    node.sql(f"create role {name} login password '{password}' in role {', '.join(roles)}")
    return psycopg.conninfo.make_conninfo(node.conninfo, user=name, password=password)


@contextmanager
def measured(nodes: Nodes, folder: Path) -> Iterator[Command]:
    """The command for nodes that keep the table notes in sync; its workers end with the block."""
    for node in nodes:
        node.sql(NOTES)
    found = Command(nodes, folder)
    for node in nodes:
        found.env[f"ROWFERRY_NODE_{node.name.upper()}"] = login(node, "rowferry_worker", "rowferry_viewer")
    yield found
    for worker in found.workers:
        worker.process.kill()
        worker.process.wait()
        assert "Traceback" not in worker.log()


def address(worker: Worker) -> str:
    """Where it serves, which it has logged."""
    found = wait_until(lambda: re.search(r"metrics at (http://\S+)/metrics", worker.log()), 20, "the worker serves metrics")
    return found[1]
