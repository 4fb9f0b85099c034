"""The table accounts, which the tests of the worker keep in sync."""

from harness.nodes import Node

ACCOUNTS = "create table accounts (id integer primary key, name text); select rowferry.attach('accounts')"


def count(node: Node) -> int:
    """How many accounts the node has."""
    return int(node.sql("select count(*) from accounts")[0]["count"])


def insert(node: Node, first: int, last: int) -> None:
    """Accounts of these numbers, named after the node."""
    node.sql(f"insert into accounts select n, '{node.name} ' || n from generate_series({first}, {last}) n")
