"""A node, and what the worker knows of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rowferry import sql
from rowferry.config import Node
from rowferry.connection import Connection, Error, hints

SCHEMA_VERSION = 3  # the first whose process_batch() this worker can call
USUAL_LIMIT = 20000  # events in a batch: process_batch()'s own bound


class Trouble(Exception):
    """One node or both did not answer, or with an error; or both did, and it is no use (no errors)."""

    def __init__(self, errors: dict[Side, Error], message: str = "") -> None:
        super().__init__(message or "; ".join(str(error).rstrip(";") for error in errors.values()))
        self.errors = errors


@dataclass(eq=False)
class Side:
    """A node, and what the worker knows of it. `peer`: of a node that only writes into an outbox, itself."""

    node: Node
    peer_name: str
    peer: Side = field(init=False)
    connection: Connection = field(init=False)
    watcher: Any = None  # a session that only looks, from the first long rest on
    watching: Any = None  # the cursor of its look
    row: Any = None  # the last one of process_batch()
    inbox: bytes | None = None  # what the peer's last call handed out
    target: int = 0  # its last event when this worker first opened
    pending: int = USUAL_LIMIT  # its events when it last answered a step, counted up to 10,000
    limit: int | None = None  # events for its next batch, since it ran out of time itself
    error: Error | None = None  # its last one, until the peer knows
    told: Error | None = None  # the peer's error that it knows of, while the peer is out of reach
    told_at: float = 0.0
    sent: int = 0  # of its own events that left the queue since this worker began; and of the peer's records that it took
    taken: int = 0

    def read(self, query: str = sql.READ) -> None:
        """Where things stand, into row. Raises Error, or psycopg.Error with a note that says what to type."""
        with hints(self.node, self.connection, "rowferry_worker"):
            self.row = self.connection.execute(query, {"peer": self.peer_name}).fetchone()
        if self.row.version < SCHEMA_VERSION:
            message = f"the schema has version {self.row.version}, this worker needs {SCHEMA_VERSION}"
            raise Error(self.node.name, "RF007", message, "alembic upgrade head")


def sides_of(nodes: Sequence[Node], outbox: str | None) -> list[Side]:
    """Both nodes of a link, in the order of their names. With `outbox` there is one node, which writes into it."""
    first, *others = sorted(nodes, key=lambda node: node.name)
    sides = [Side(first, outbox or others[0].name), *(Side(node, first.name) for node in others)]
    for side, peer in zip(sides, reversed(sides), strict=True):
        side.peer = peer
    return sides
