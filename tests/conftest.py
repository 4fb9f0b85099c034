"""Two real servers for each test process, and two fresh databases with rowferry's core for each test."""

import contextlib
import itertools
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

from harness import REPO, Node, Nodes, alembic
from rowferry.demo import embedded

os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(REPO / ".pytest_cache" / "hypothesis"))

SETTINGS = {"fsync": "off", "max_connections": "60", "deadlock_timeout": "1s", "shared_buffers": "32MB", "max_wal_size": "256MB"}
NUMBERS = itertools.count(1)

# A database is 400 files, and each test makes two: on a disk this takes a third of the time of all tests.
MEMORY = Path("/dev/shm")
FOLDER = MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= 8 * 2**30 else Path("/tmp")

# What CI runs where: the whole suite on one version of PostgreSQL, the tests of rights on every version, on the oldest one
# the smoke tests too, and on a second one CATALOG: what reads the catalog, or the text of a view or an expression, which
# versions spell otherwise.
CATALOG = [
    "attach",
    "attach_names",
    "capture",
    "check",
    "drift",
    "filter",
    "many_tables",
    "outbound_refused",
    "partitions",
    "row_status",
    "status",
    "triggers",
    "types",
    "why_stuck",
]
SECURITY = [
    "attach_rights",
    "attached_table",
    "capture_rights",
    "catalog",
    "deferred_triggers",
    "dump",
    "filter_pinned",
    "guards",
    "hostile_settings",
    "installation_rights",
    "left_behind",
    "readers_rights",
    "rights",
    "security",
    "strangers_locks",
    "table_shape",
    "workers_login",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by its file, so that the two lists above are the only place that says it."""
    for item in items:
        subject = item.path.stem.removeprefix("test_")
        if subject in CATALOG:
            item.add_marker(pytest.mark.catalog)
        if subject in SECURITY:
            item.add_marker(pytest.mark.security)


class Servers(NamedTuple):
    """The server of each node."""

    crm: embedded.Server
    billing: embedded.Server


@contextlib.contextmanager
def started(settings: dict[str, str], copy_of: Servers | None = None) -> Iterator[Servers]:
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


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Two servers shared by the tests of this process: do not stop them (see own_servers)."""
    with started(SETTINGS) as pair:
        yield pair


@pytest.fixture(scope="session")
def templates(servers: Servers) -> Nodes:
    """Two databases with rowferry's core, to copy: installing takes a second, copying a twentieth."""
    nodes = Nodes(Node("crm", servers.crm, "template_crm"), Node("billing", servers.billing, "template_billing"))
    for node in nodes:
        Node(node.name, node.server, "postgres").sql(f"create database {node.database}")
    alembic(nodes.env, "upgrade", "head")
    return nodes


@pytest.fixture(scope="session")
def copying(templates: Nodes) -> str:
    """How to copy a database: file by file, since writing each page to the log takes longer. PostgreSQL 14 knows no other way."""
    return "strategy file_copy" if templates.crm.major >= 15 else ""


@pytest.fixture
def nodes(templates: Nodes, copying: str) -> Iterator[Nodes]:
    """Two databases of this test alone with rowferry's core installed, on the servers that tests share."""
    number = next(NUMBERS)
    pair = Nodes(*(Node(node.name, node.server, f"{node.name}_{number}") for node in templates))
    try:
        for node, template in zip(pair, templates, strict=True):
            make = f"create database {node.database} template {template.database} {copying}"
            Node(node.name, node.server, "postgres").sql(make)
            node.sql("update rowferry.node set database_oid = (select oid from pg_database where datname = current_database())")
        yield pair
    finally:
        for node in pair:
            node.close()
            Node(node.name, node.server, "postgres").sql(f"drop database if exists {node.database} with (force)")


@pytest.fixture(scope="session")
def stopped() -> Iterator[Servers]:
    """Two servers with rowferry's core in a database of their node's name, stopped: own_servers are copies of them."""
    with started(SETTINGS) as pair:
        nodes = Nodes(*(Node(name, server, name) for name, server in zip(("crm", "billing"), pair, strict=True)))
        for node in nodes:
            Node(node.name, node.server, "postgres").sql(f"create database {node.database}")
        alembic(nodes.env, "upgrade", "head")
        for server in pair:
            server.stop()
        yield pair


@pytest.fixture
def own_servers(request: pytest.FixtureRequest, stopped: Servers) -> Iterator[Nodes]:
    """As nodes, on two servers of this test alone, which it may stop; @pytest.mark.settings(fsync="on") adds settings."""
    marker = request.node.get_closest_marker("settings")
    with started({**SETTINGS, **(marker.kwargs if marker else {})}, stopped) as pair:
        nodes = Nodes(*(Node(name, server, name) for name, server in zip(("crm", "billing"), pair, strict=True)))
        yield nodes
        for node in nodes:
            node.close()


@pytest.fixture
def blank(servers: Servers) -> Iterator[Nodes]:
    """Two empty databases, on the servers that tests share."""
    number = f"{next(NUMBERS)}_{os.getpid()}"
    pair = Nodes(Node("crm", servers.crm, f"blank_crm_{number}"), Node("billing", servers.billing, f"blank_billing_{number}"))
    for node in pair:
        Node(node.name, node.server, "postgres").sql(f"create database {node.database}")
    yield pair
    for node in pair:
        node.close()
        Node(node.name, node.server, "postgres").sql(f"drop database {node.database} with (force)")
