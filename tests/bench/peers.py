"""rowferry beside what else keeps two databases equal: the same rows, inserted in one transaction, until the last is there."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import psycopg

from bench.bed import DEBIAN, ROWS, Bed, Holdable, Ours, Way, await_true, bed, equal
from bench.peers_article import Article
from bench.peers_bucardo import Bucardo
from bench.peers_pglogical import Pglogical
from bench.report import Result, compared
from bench.run import Run

ROW_COUNT = 100_000
FEW = 4_000  # for the naive loop, whose rate does not depend on how many wait
NEEDED = {
    "bucardo": Path("/usr/bin/bucardo"),
    "postgresql-15-pglogical": DEBIAN / "lib" / "pglogical.so",
    "postgresql-plperl-15": DEBIAN / "lib" / "plperl.so",
}


def lacking() -> list[str]:
    """Debian packages without which capture_vs_bucardo, vs_bucardo and vs_pglogical cannot be measured."""
    return [package for package, file in NEEDED.items() if not file.exists()]


def rate(bed: Bed, way: Way, first: int, count: int) -> float:
    """Rows per second of so many new rows, of one transaction, until the last one is there."""
    if isinstance(way, Holdable):
        way.hold()
    bed.checkpoint()
    way.source.sql(ROWS.format(name="items", first=first, last=first + count - 1))
    began = time.time()
    if isinstance(way, Holdable):
        bed.checkpoint()
        way.release()
    with psycopg.connect(way.target.conninfo, autocommit=True) as connection:
        last = first + count - 1
        await_true("the last row arrives", lambda: connection.execute("select 1 from items where id = %s", [last]).fetchone())
    ended = time.time()
    if isinstance(way, Holdable):
        began = way.began()
    way.settle()
    equal(way)
    return count / (ended - began)


def compare(run: Run, bed: Bed, name: str, peer: Callable[[Bed], Way], count: int, goal: float) -> Result:
    """Rates of both, as medians of alternated runs on the same servers; `count`: rows of a run of the peer."""
    rates: dict[str, list[float]] = {"ours": [], "peer": []}
    many = ROW_COUNT // run.scale
    with ExitStack() as stack:
        ways: dict[str, Way] = {
            "ours": stack.enter_context(Ours(bed, f"ours_{name}")),
            "peer": stack.enter_context(peer(bed)),
        }
        first = 1
        for way in ways.values():  # the first time, functions are planned and files made
            if not isinstance(way, Holdable):
                way.release()
            rate(bed, way, first, 1000)
        for number, key in run.alternated(list(ways)):
            run.noise.look()
            first += ROW_COUNT
            rates[key].append(rate(bed, ways[key], first, min(count, many) if key == "peer" else many))
            run.say(f"{name} {number + 1}: {key} {rates[key][-1]:,.0f} rows/s")
    return compared(name, rates["ours"], rates["peer"], "rows/s", goal, "more")


def article(run: Run) -> list[Result]:
    return [compare(run, run.bed, "vs_article", Article, FEW, 150)]


def pglogical(run: Run) -> list[Result]:
    """On servers of version 15, for which Debian has it. No database is dropped there: its processes do not make way for that."""
    with bed(DEBIAN / "bin", keeps=True, shared_preload_libraries="pglogical") as servers:
        return [compare(run, servers, "vs_pglogical", Pglogical, ROW_COUNT, 1.0)]


def bucardo(run: Run) -> list[Result]:
    """On servers of version 15, for which Debian has it."""
    with bed(DEBIAN / "bin") as servers:
        return [compare(run, servers, "vs_bucardo", Bucardo, ROW_COUNT, 6.0)]
