"""Two real servers for each test process, and two fresh databases with rowferry's core for each test."""

import os
from collections.abc import Iterator

import pytest

from harness import Node, Nodes, alembic
from harness.pair import NUMBERS, SETTINGS, Servers, copies, started

# What CI runs where: the whole suite on one version of PostgreSQL, the tests of rights on every version, on the oldest one
# the smoke tests too, and on a second one CATALOG: what reads the catalog, or the text of a view or an expression, which
# versions spell otherwise.
CATALOG = [
    "attach",
    "attach_names",
    "attach_refused",
    "capture",
    "captured_keys",
    "check",
    "check_peer",
    "drift",
    "facts",
    "filter",
    "outbound_refused",
    "partitions",
    "row_status",
    "status",
    "triggers",
    "types",
    "why_stuck",
    "why_stuck_transactions",
]
SECURITY = [
    "attach_rights",
    "attach_triggers",
    "attached_table",
    "capture_rights",
    "catalog",
    "deferred_triggers",
    "dump",
    "filter_pinned",
    "forged",
    "guards",
    "guards_given_back",
    "hostile_settings",
    "installation_rights",
    "left_behind",
    "readers_rights",
    "rights",
    "security",
    "strangers_locks",
    "table_shape",
    "triggers_work",
    "workers_login",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by its file, so that the two lists above are the only place that says it; what asks no server has no rights
    to test on each version."""
    for item in items:
        subject = item.path.stem.removeprefix("test_")
        if subject in CATALOG:
            item.add_marker(pytest.mark.catalog)
        if subject in SECURITY and {"servers", "stopped"}.intersection(item.fixturenames):  # type: ignore[attr-defined]
            item.add_marker(pytest.mark.security)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests have counted, of whichever process."""
    for report in terminalreporter.getreports("passed"):
        for name, text in report.user_properties:
            if name == "counted":
                terminalreporter.write_line(str(text))


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
    with copies(templates, copying) as pair:
        yield pair


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
