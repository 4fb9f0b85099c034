"""What why_stuck() says to whoever may only read."""

from typing import Any

import psycopg

from harness import Node, Nodes
from harness.notes import keep_notes

Row = dict[str, Any]


def in_sync(nodes: Nodes) -> Nodes:
    """The nodes, which keep notes in sync and have just exchanged a row."""
    return keep_notes(nodes, "values (0, 'there')")


def why(node: Node) -> list[Row]:
    """What whoever may only read is told."""
    with psycopg.connect(node.conninfo, row_factory=psycopg.rows.dict_row) as connection:
        connection.execute("set role rowferry_viewer")
        return connection.execute("select * from rowferry.why_stuck()").fetchall()


def cause(node: Node, what: str) -> Row:
    """The one row whose cause holds these words."""
    found = [row for row in why(node) if what in row["cause"]]
    assert len(found) == 1, why(node)
    return found[0]
