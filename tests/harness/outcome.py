"""How a test ends: the rows and the conflicts of both nodes."""

from __future__ import annotations

from harness import Nodes
from harness.exchange import rows


def both(nodes: Nodes, table: str = "notes") -> list[list[str]]:
    """The rows of crm, and those of billing."""
    return [rows(node, f"select * from {table}") for node in nodes]


def conflicts(
    nodes: Nodes, columns: str = "winner, winner_row ->> 'body' as won, loser_row ->> 'body' as lost"
) -> list[list[str]]:
    """What each node has recorded of conflicts."""
    return [rows(node, f"select {columns} from rowferry.conflicts") for node in nodes]
