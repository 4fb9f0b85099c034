"""A courier that a test moves by hand, one call at a time: envelopes can be lost, repeated, late."""

from __future__ import annotations

import secrets
from typing import Any

import psycopg
from psycopg.rows import dict_row

from harness.nodes import Node, Nodes


class Courier:
    """An exchange of its own token. `call` is one process_batch(); nothing is passed on unless the test does it.

    `limit`: events of each batch; without one a short queue goes in parts.
    """

    limit: int | None = None

    def __init__(self, nodes: Nodes, number: int | None = None) -> None:
        self.connections: dict[str, psycopg.Connection[dict[str, Any]]] = {n.name: n.connect(row_factory=dict_row) for n in nodes}
        known = [c.execute("select * from rowferry.process_batch()").fetchone() for c in self.connections.values()]
        number = number or 1 + max(int(k["token"].partition("-")[0]) for k in known if k)
        self.token = f"{number}-{secrets.token_hex(4)}"

    def call(self, node: Node, envelope: bytes | None = None, limit: int | None = None, dry_run: bool = False) -> dict[str, Any]:
        """The row that process_batch returns."""
        query = "select * from rowferry.process_batch(null, %s, %s, %s, p_dry_run => %s)"
        row = self.connections[node.name].execute(query, (self.token, envelope, limit or self.limit, dry_run)).fetchone()
        assert row is not None
        return row

    def meet(self, nodes: Nodes) -> tuple[bytes, bytes]:
        """Opens both nodes and lets each hear the other once; returns crm's and billing's envelope, maybe with first batches."""
        hello = self.call(nodes.crm)["envelope"], self.call(nodes.billing)["envelope"]
        return self.call(nodes.crm, hello[1])["envelope"], self.call(nodes.billing, hello[0])["envelope"]


def carry_past_callers(nodes: Nodes) -> None:
    """Fifty rows of crm go over in small batches while somebody calls process_batch() a thousand times without a token."""
    nodes.crm.sql("insert into notes select i, 'n' from generate_series(1, 50) i")
    courier = Courier(nodes)
    crm, billing = courier.meet(nodes)
    for _ in range(20):
        nodes.crm.sql("select rowferry.process_batch() from generate_series(1, 50)")
        answer = courier.call(nodes.crm, billing, limit=5)
        billing = courier.call(nodes.billing, crm, limit=5)["envelope"]
        crm = answer["envelope"]
        assert answer["status"] in ("moved", "idle")
