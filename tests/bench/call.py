"""What one call costs the server: one that has nothing to do, one that builds a batch of one row, and one that applies it."""

from __future__ import annotations

import time
from typing import Any

import psycopg

from bench.bed import ROWS, Ours
from bench.report import Result
from bench.run import Run, percentile
from rowferry import sql

ROUNDS = 300
GOALS = {"idle": 0.1, "build": 0.6, "apply": 0.7}
LIMIT = "set statement_timeout = '700ms'"


class Calls:
    """Calls of process_batch() on both nodes, timed in the client; what a client pays for an empty statement is taken off."""

    def __init__(self, ours: Ours) -> None:
        self.connections = [psycopg.connect(node.conninfo, autocommit=True, prepare_threshold=0) for node in ours.nodes]
        self.peers = [node.name for node in (ours.nodes.billing, ours.nodes.crm)]
        for connection in self.connections:
            connection.execute(LIMIT)

    def timed(self, side: int, query: str, **parameters: Any) -> tuple[float, Any]:
        """Milliseconds, and the first row. The commit, which waits for the disk, is not counted."""
        self.connections[side].execute("begin")
        began = time.perf_counter()
        row = self.connections[side].execute(query, parameters, binary=True).fetchone()
        milliseconds = (time.perf_counter() - began) * 1000
        self.connections[side].execute("commit")
        return milliseconds, row

    def call(self, side: int, envelope: bytes | None = None) -> tuple[float, Any]:
        peer = self.peers[side]
        return self.timed(side, sql.EXCHANGE, peer=peer, token="1-bench", envelope=envelope, limit=None, courier=None)

    def settle(self) -> None:
        """Exchange until both nodes are idle."""
        rows = [self.call(side)[1] for side in (0, 1)]
        while any(row[0] != "idle" for row in rows):
            envelopes = [row[1] if row[0] != "idle" else None for row in rows]
            rows = [self.call(side, envelopes[1 - side])[1] for side in (0, 1)]


def measure(run: Run) -> list[Result]:
    """The quarter of the calls that were fastest ends at this figure: others were disturbed by other programs."""
    taken: dict[str, list[float]] = {kind: [] for kind in ("empty", *GOALS)}
    with Ours(run.bed, "calls") as ours:
        ours.source.sql(ROWS.format(name="items", first=1, last=100))
        calls = Calls(ours)
        calls.settle()
        for number in range(ROUNDS):
            ours.source.sql(f"update items set amount = amount + 1 where id = 1 + {number} % 100")
            milliseconds, row = calls.call(0)
            taken["build"].append(milliseconds)
            milliseconds, row = calls.call(1, row[1])
            taken["apply"].append(milliseconds)
            for side in (0, 1, 0, 1):
                row = calls.call(side, row[1] if row[0] != "idle" else None)[1]
            calls.settle()
            taken["idle"].append(calls.call(0)[0])
            taken["empty"].append(calls.timed(0, "select 1")[0])
        for connection in calls.connections:
            connection.close()
    empty = percentile(taken["empty"], 0.25)
    figures = {kind: percentile(taken[kind], 0.25) - empty for kind in GOALS}
    run.say("call: " + ", ".join(f"{kind} {figure:.2f}" for kind, figure in figures.items()) + " ms of server time")
    return [Result(f"call_{kind}", figure, None, "ms", GOALS[kind], "less") for kind, figure in figures.items()]
