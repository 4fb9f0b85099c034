"""Two nodes on servers whose log can be read by a slot."""

from collections.abc import Iterator

import pytest

from harness import Node, Nodes
from harness.outbox import add_outbox, drop_slots
from harness.pair import SETTINGS, Servers, copy, named_anew, started

LOGICAL = {**SETTINGS, "wal_level": "logical", "max_replication_slots": "20", "max_wal_senders": "20"}
ACCOUNTS = "create table accounts (id int primary key, name text, amount numeric(12, 2))"


@pytest.fixture(scope="session")
def logical(stopped: Servers) -> Iterator[Nodes]:
    """Two databases with rowferry's core to copy, on servers with wal_level = logical."""
    with started(LOGICAL, stopped) as pair:
        yield Nodes(Node("crm", pair.crm, "crm"), Node("billing", pair.billing, "billing"))


@pytest.fixture
def bare(logical: Nodes) -> Iterator[Nodes]:
    """Two nodes of this test alone, without a table."""
    nodes = named_anew(logical)
    try:
        copy(logical, nodes)
        yield nodes
    finally:
        for node in nodes:
            node.close()
            drop_slots(node)
            Node(node.name, node.server, "postgres").sql(f"drop database if exists {node.database} with (force)")


@pytest.fixture
def nodes(bare: Nodes) -> Nodes:
    """Two nodes that keep accounts in sync; on crm the table goes into the outbox kafka too."""
    for node in bare:
        node.sql(ACCOUNTS)
        node.sql("select rowferry.attach('accounts')")
    add_outbox(bare.crm)
    bare.crm.sql("select rowferry.attach('accounts', p_peer => 'kafka')")
    return bare
