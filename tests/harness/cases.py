"""A table made on both nodes, and what is to be the same on both at the end."""

from __future__ import annotations

from harness import Nodes
from harness.clock import end_back_off, set_clocks, write_at
from harness.exchange import rows, sync, waiting
from harness.notes import PUT, keep_notes

ROWS = "winner, winner_row ->> 'body' as won, loser_row ->> 'body' as lost"


def keep_first_note(nodes: Nodes) -> Nodes:
    """Two nodes that keep one table in sync, and whose clocks the test sets; row 1 is on both."""
    keep_notes(nodes)
    set_clocks(nodes)
    write_at(nodes.crm, 0, PUT.format("old"))
    sync(*nodes)
    return nodes


def make(nodes: Nodes, query: str, *tables: str) -> None:
    """Runs the query on both nodes and attaches the tables."""
    for node in nodes:
        node.sql(query)
        for table in tables:
            node.sql(f"select rowferry.attach('{table}')")


def conflicts(nodes: Nodes, columns: str = ROWS) -> list[str]:
    """What both nodes have recorded, the same on each."""
    crm, billing = (rows(node, f"select {columns} from rowferry.conflicts") for node in nodes)
    assert crm == billing
    return crm


def at_rest(nodes: Nodes) -> None:
    """Nothing waits on either node."""
    assert waiting(nodes.crm) + waiting(nodes.billing) == []


def tried_again(nodes: Nodes) -> None:
    """All that is held is tried at once."""
    for node in nodes:
        end_back_off(node)
    sync(*nodes)
