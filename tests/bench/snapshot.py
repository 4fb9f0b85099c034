"""What a batch costs while an old snapshot, which keeps vacuum from removing what has left the queue, is held open."""

from __future__ import annotations

import time

import psycopg

from bench.bed import ROWS, Ours
from bench.report import Result, compared
from bench.run import Run
from harness.courier import Courier

ROW_COUNT = 500_000
TIMES = 4  # each row is updated: 2,000,000 events
BATCHES, BATCH = 25, 100
CHANGE = "update items set amount = amount + 1 where id = any(array(select generate_series(%s, %s, %s)))"
CONSUME = "update items set amount = amount + 1, changed_at = now()"
ROUNDS = 50  # a batch needs about four


def cost(ours: Ours, rows: int, first: int) -> list[float]:
    """Milliseconds of all calls on both nodes, for each of some batches until it is acknowledged and retired."""
    courier = Courier(ours.nodes)
    told = dict.fromkeys(("crm", "billing"))
    costs = []

    def exchange() -> tuple[float, int]:
        """A call on each node: the ms of both, and the events that left."""
        spent, retired = 0.0, 0
        answers = {}
        for node in ours.nodes:
            began = time.perf_counter()
            answers[node.name] = courier.call(node, told[node.name])
            spent += time.perf_counter() - began
            retired += answers[node.name]["retired"]
        told["crm"], told["billing"] = answers["billing"]["envelope"], answers["crm"]["envelope"]
        return spent * 1000, retired

    for number in range(BATCHES + 5):
        at = first + number
        ours.source.sql(CHANGE, [at, at + (BATCH - 1) * (rows // BATCH), rows // BATCH])
        spent, gone, rounds = 0.0, 0, 0
        while gone < BATCH:
            if rounds == ROUNDS:
                raise TimeoutError(f"{gone} of {BATCH} events have left after {rounds} rounds")
            ms, retired = exchange()
            spent, gone, rounds = spent + ms, gone + retired, rounds + 1
        costs.append(spent)
    for node in ours.nodes:
        node.close()
    return costs[5:]  # the first ones open the exchange and fill caches


def measure(run: Run) -> list[Result]:
    rows = ROW_COUNT // run.scale
    with Ours(run.bed, "snapshot") as ours:
        ours.source.sql(ROWS.format(name="items", first=1, last=rows))
        ours.release()
        ours.settle()
        ours.hold()
        for node in ours.nodes:
            node.sql("vacuum analyze items")
        run.bed.checkpoint()
        run.noise.look()
        before = cost(ours, rows, 1)
        snapshots = [psycopg.connect(node.conninfo) for node in ours.nodes]
        try:
            for snapshot in snapshots:
                snapshot.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                snapshot.execute("select count(*) from rowferry.events")
            ours.release()
            for _ in range(TIMES):
                ours.source.sql(CONSUME)
                ours.settle()
            ours.hold()
            run.bed.checkpoint()
            run.noise.look()
            after = cost(ours, rows, 1 + rows // BATCH // 2)
        finally:
            for snapshot in snapshots:
                snapshot.close()
    run.say(f"held_xmin: {min(before):.1f} to {max(before):.1f} ms before, {min(after):.1f} to {max(after):.1f} ms after")
    return [compared("held_xmin", after, before, "ms", 1.3, "less")]
