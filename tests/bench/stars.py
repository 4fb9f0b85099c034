"""A star of four nodes on one machine, beside two nodes: how fast the hub's rows reach every spoke, and how soon."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from bench.bed import ROWS, TABLE, await_true, digest
from bench.latency import INSERT, milliseconds
from bench.report import Result, shown
from bench.run import Run, Section, percentile
from harness.nodes import REPO
from harness.star import SPOKES, Star, star
from harness.worker import PROGRAM

ROW_COUNT = 100_000
SECONDS_EACH = 15


class Way:
    """The hub and one of its spokes, as the measure of latency wants them."""

    def __init__(self, nodes: Star) -> None:
        self.source, self.target = nodes["hub"], nodes[SPOKES[0]]


@contextmanager
def working(nodes: Star, log: Path) -> Iterator[None]:
    """A worker for all links, as long as the block lasts."""
    with log.open("ab") as output:
        worker = subprocess.Popen([PROGRAM, "run"], env=nodes.env, cwd=REPO, stdout=output, stderr=output)
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(60)


def left(nodes: Star) -> float:
    """When the last event had left the hub, in seconds since the epoch."""
    with psycopg.connect(nodes["hub"].conninfo, autocommit=True) as connection:
        newest = "select 1 from rowferry.events order by id desc limit 1"
        await_true("all events have left", lambda: not connection.execute(newest).fetchone())
    return time.time()


def began(nodes: Star) -> float:
    """When the first link of the hub was opened."""
    query = "select extract(epoch from min(opened_at)) as at from rowferry.links"
    return float(nodes["hub"].sql(query)[0]["at"])


def measured(run: Run, spokes: tuple[str, ...]) -> list[float]:
    """Rows per second to each spoke, and p50 and p99 in ms to one of them."""
    rows = ROW_COUNT // run.scale
    servers: Any = tuple(run.bed.servers.values())
    with tempfile.TemporaryDirectory() as folder, star(servers, Path(folder), {"hub": spokes}) as nodes:
        log = Path(folder) / "worker.log"
        for node in nodes:
            node.sql(TABLE.format(name="items"))
        nodes.attach("items")
        nodes["hub"].sql("create sequence ids")
        nodes["hub"].sql(INSERT)
        with working(nodes, log):  # the first time, functions are planned and files made
            left(nodes)
        nodes["hub"].sql(f"alter sequence ids restart with {rows + 2}")
        nodes["hub"].sql(ROWS.format(name="items", first=2, last=rows + 1))
        run.noise.look()
        run.bed.checkpoint()
        before = began(nodes)
        with working(nodes, log):
            await_true("the worker is at work", lambda: began(nodes) != before)
            seconds = left(nodes) - began(nodes)
            taken, _ = milliseconds(Way(nodes), SECONDS_EACH / run.scale)  # type: ignore[arg-type]
            left(nodes)
        if len({digest(node) for node in nodes}) > 1:
            raise RuntimeError("the nodes of the star differ")
    return [rows / seconds, percentile(taken, 0.5), percentile(taken, 0.99)]


def measure(run: Run) -> tuple[Section, list[Result]]:
    """A line for two nodes, and one for four."""
    section = Section(
        "star",
        "A star of four nodes",
        f"All on this machine. Rows/s: {ROW_COUNT // run.scale:,} inserts of one transaction on the hub, until the last is"
        " acknowledged. Latency: as above, on one of the links.",
        ["", "rows/s to each node", "rows/s in all", "p50, ms", "p99, ms"],
    )
    for spokes in (SPOKES[:1], SPOKES):
        rate, p50, p99 = measured(run, spokes)
        section.lines.append([f"{len(spokes) + 1} nodes", shown(rate), shown(rate * len(spokes)), shown(p50), shown(p99)])
        run.say(f"star: {' '.join(section.lines[-1])}")
    return section, []
