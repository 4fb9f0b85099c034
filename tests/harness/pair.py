"""The two servers on which the nodes of a test run."""

import contextlib
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg

from harness.identity import adopt_identity
from harness.nodes import Node, Nodes
from rowferry.demo import embedded

NUMBERS = itertools.count(1)
SETTINGS = {"fsync": "off", "max_connections": "60", "deadlock_timeout": "1s", "shared_buffers": "32MB", "max_wal_size": "256MB"}

# A database is 400 files, and each test makes two: on a disk this takes a third of the time of all tests.
MEMORY = Path("/dev/shm")
FOLDER = MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= 8 * 2**30 else Path("/tmp")


class Servers(NamedTuple):
    """The server of each node."""

    crm: embedded.Server
    billing: embedded.Server


@contextlib.contextmanager
def started(settings: dict[str, str], copy_of: Servers | None = None) -> Iterator[Servers]:
    """Two servers for as long as the block lasts, new ones or copies of stopped ones."""
    left, right = copy_of or (None, None)
    with (
        embedded.start("crm", settings, copy_of=left, folder=FOLDER) as crm,
        embedded.start("billing", settings, copy_of=right, folder=FOLDER) as billing,
    ):
        if copy_of is None:
            quicken(crm)
            quicken(billing)
        yield Servers(crm, billing)


def quicken(server: embedded.Server) -> None:
    """Passwords that are cheap to check: tests make tens of thousands of connections, each of which took twice as long."""
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        if connection.info.server_version >= 160000:
            connection.execute("set scram_iterations = 1")
            connection.execute(f"alter role postgres password '{server.password}'")


def named_anew(template: Nodes) -> Nodes:
    """Nodes on the servers of the template whose databases have names that no other has, and are still to be made."""
    number = next(NUMBERS)
    return Nodes(*(Node(node.name, node.server, f"{node.name}_{number}") for node in template))


def copy(template: Nodes, nodes: Nodes, how: str = "") -> None:
    """Makes the databases of the nodes as copies of the template's; `how`: options of create database."""
    for source, node in zip(template, nodes, strict=True):
        Node(node.name, node.server, "postgres").sql(f"create database {node.database} template {source.database} {how}")
        adopt_identity(node)


@contextlib.contextmanager
def copies(template: Nodes, how: str = "") -> Iterator[Nodes]:
    """Databases copied from the template's, which are there as long as the block lasts."""
    nodes = named_anew(template)
    try:
        copy(template, nodes, how)
        yield nodes
    finally:
        for node in nodes:
            node.close()
            Node(node.name, node.server, "postgres").sql(f"drop database if exists {node.database} with (force)")
