"""What a batch costs while an old snapshot, which keeps vacuum from removing what has left the queue, is held open."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg

from bench.bed import ROWS, Ours
from bench.report import Result, compared
from bench.run import Run
from harness.courier import Courier

ROW_COUNT = 500_000
TIMES = 4  # each row is updated: 2,000,000 events
WARM, BATCHES, BATCH = 10, 30, 100  # the first ones open the exchange and fill caches
CHANGE = "update items set amount = amount + 1 where id = any(array(select generate_series(%s, %s, %s)))"
CONSUME = "update items set amount = amount + 1, changed_at = now()"
ROUNDS = 50  # a batch needs about four


class Batches:
    """Batches of one way, carried one call at a time."""

    def __init__(self, ours: Ours, rows: int) -> None:
        self.ours, self.apart = ours, rows // BATCH  # between the ids of a batch
        self.courier = Courier(ours.nodes)
        self.told: dict[str, bytes | None] = dict.fromkeys(("crm", "billing"))
        self.number = 0

    def exchange(self) -> tuple[float, int]:
        """A call on each node: the ms of both, and the events that left."""
        began = time.perf_counter()
        crm, billing = (self.courier.call(node, self.told[node.name]) for node in self.ours.nodes)
        spent = time.perf_counter() - began
        self.told = {"crm": billing["envelope"], "billing": crm["envelope"]}
        return spent * 1000, crm["retired"] + billing["retired"]

    def cost(self) -> float:
        """Ms of all calls on both nodes that one batch needs until it is acknowledged and retired."""
        self.number += 1
        self.ours.source.sql(CHANGE, [self.number, self.number + (BATCH - 1) * self.apart, self.apart])
        spent, gone, rounds = 0.0, 0, 0
        while gone < BATCH:
            if rounds == ROUNDS:
                raise TimeoutError(f"{gone} of {BATCH} events have left after {rounds} rounds")
            ms, retired = self.exchange()
            spent, gone, rounds = spent + ms, gone + retired, rounds + 1
        return spent


@contextmanager
def snapshots(ours: Ours) -> Iterator[None]:
    """A snapshot of each node, held open by an idle transaction. It holds back vacuum in its own database only."""
    with ExitStack() as stack:
        for node in ours.nodes:
            connection = stack.enter_context(psycopg.connect(node.conninfo))
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.execute("select count(*) from rowferry.events")
        yield


def measure(run: Run) -> list[Result]:
    """Two pairs of databases on the same servers, alike but for the snapshots and what left meanwhile; a batch of each in turn,
    so that a busy moment of the machine falls on both.
    """
    rows = ROW_COUNT // run.scale
    with Ours(run.bed, "snapshot_none") as none, Ours(run.bed, "snapshot_held") as held:
        for ours in (none, held):
            ours.source.sql(ROWS.format(name="items", first=1, last=rows))
            ours.release()
            ours.settle()
            ours.hold()
            for node in ours.nodes:
                node.sql("vacuum analyze items")
        with snapshots(held):
            held.release()
            for _ in range(TIMES):
                held.source.sql(CONSUME)
                held.settle()
            held.hold()
            run.bed.checkpoint()
            run.noise.look()
            pairs = [Batches(ours, rows) for ours in (held, none)]
            costs = [[batches.cost() for batches in pairs] for _ in range(WARM + BATCHES)][WARM:]
            for ours in (none, held):
                for node in ours.nodes:
                    node.close()
    after, before = (list(column) for column in zip(*costs, strict=True))
    run.say(f"held_xmin: {min(before):.1f} to {max(before):.1f} ms before, {min(after):.1f} to {max(after):.1f} ms after")
    return [compared("held_xmin", after, before, "ms", 1.3, "less")]
