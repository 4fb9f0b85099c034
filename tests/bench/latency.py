"""How long after its commit a row is seen on the other side, under a steady trickle of small transactions."""

from __future__ import annotations

import random
import subprocess
import time
from statistics import median

import psycopg

from bench.bed import SECONDS, Native, Ours, Way, await_true, pgbench_started
from bench.idle import AT_REST
from bench.report import Result, compared
from bench.run import Run, Section, percentile
from harness.nodes import Node

RATE = 200  # transactions per second
WARM = 2.0  # seconds at the start that are not counted: a worker at rest polls less often
PAUSE = 0.0001  # seconds between two looks of the poller; with the query itself about 0.2 ms
INSERT = "insert into items values (nextval('ids'), 'name', 1, 2.5, now(), 'a note of some length');\n"
LOOK = "select extract(epoch from statement_timestamp())::float8, array(select id from items where id > %s)"
PLAN = "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_bitmapscan=off"
COMMITTED = """
    select id, extract(epoch from pg_xact_commit_timestamp(xmin))::float8 from items where id > %s order by id"""
CLIENTS = 4
RESTS = 15


class Poller:
    """Looks at the target again and again; `seen` maps each new id to the middle between the last snapshot without it and the
    first one with it, in seconds since the epoch.
    """

    def __init__(self, target: Node, after: int) -> None:
        self.target, self.after = target, after
        self.seen: dict[int, float] = {}
        self.widths: list[float] = []  # seconds between two looks

    def follow(self, program: subprocess.Popen[str], source: Node) -> None:
        """Until the program has ended and all that it wrote has arrived."""
        low, before, wanted = self.after, 0.0, 0
        deadline = time.monotonic() + SECONDS
        with psycopg.connect(self.target.conninfo, autocommit=True, prepare_threshold=0, options=PLAN) as connection:
            cursor = connection.cursor(binary=True)
            looks = 0
            while True:
                at, ids = cursor.execute(LOOK, [low]).fetchone()  # type: ignore[misc]
                if before:
                    self.widths.append(at - before)
                    for id in ids:
                        self.seen.setdefault(id, (before + at) / 2)
                elif ids:
                    raise RuntimeError("rows arrived before the poller looked")
                before = at
                while low + 1 in self.seen:
                    low += 1
                looks += 1
                if not wanted and looks % 100 == 0 and program.poll() is not None:
                    wanted = int(source.sql("select max(id) as last from items")[0]["last"])
                if wanted and low >= wanted:
                    return
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{low - self.after} of {wanted - self.after} rows have arrived")
                time.sleep(PAUSE)


def milliseconds(way: Way, seconds: float) -> tuple[list[float], float]:
    """From commit to sight of each row of a run, and the median time between two looks, in ms."""
    after = int(way.source.sql("select coalesce(max(id), 0) as last from items")[0]["last"])
    options = ["-c", str(CLIENTS), "-j", "2", "-M", "prepared", "--rate", str(RATE), "-T", f"{seconds + WARM:.0f}"]
    with pgbench_started(way.source, *options, script=INSERT) as program:
        poller = Poller(way.target, after)
        poller.follow(program, way.source)
    with psycopg.connect(way.source.conninfo) as connection:
        committed = connection.execute(COMMITTED, [after]).fetchall()
    first = min(at for _, at in committed) + WARM
    return [(poller.seen[id] - at) * 1000 for id, at in committed if at >= first], median(poller.widths) * 1000


def measure(run: Run) -> list[Result]:
    """p50 and p99 of both ways, as medians of alternated runs."""
    seconds = 30 / run.scale
    found: dict[str, list[list[float]]] = {"ours": [], "native": []}
    with Ours(run.bed, "latency_ours") as ours, Native(run.bed, "latency_native") as native:
        ways: dict[str, Way] = {"ours": ours, "native": native}
        for way in ways.values():
            way.source.sql("create sequence ids")
            way.source.sql(INSERT)
            way.release()
            way.settle()
            way.hold()
        for _, name in run.alternated(list(ways)):
            run.noise.look()
            way = ways[name]
            if way is native:
                native.pass_by()
            run.bed.checkpoint()
            way.release()
            way.settle()
            taken, width = milliseconds(way, seconds)
            found[name].append(taken)
            way.settle()
            way.hold()
            p50, p99 = percentile(taken, 0.5), percentile(taken, 0.99)
            run.say(f"latency: {name} p50 {p50:.2f}, p99 {p99:.2f} ms of {len(taken)} rows, looked every {width:.2f} ms")
    return [
        compared(name, *([percentile(taken, share) for taken in found[way]] for way in ways), "ms", goal, "less")
        for name, share, goal in (("latency_p50", 0.5, 5.0), ("latency_p99", 0.99, 4.0))
    ]


def rest(run: Run) -> tuple[Section, list[Result]]:
    """The first row after a rest, which waits for the worker's next look."""
    section = Section(
        "rest",
        "The first change after a rest",
        f"Milliseconds from its commit until it is seen; {RESTS} rows, each after a rest in which the worker's looks have"
        " become as rare as they do (`--interval`), and at a random moment between two of them.",
        ["", "least", "median", "most"],
    )
    with Ours(run.bed, "rest_ours") as ours, Native(run.bed, "rest_native") as native:
        for title, way in (("rowferry", ours), ("native", native)):
            run.noise.look()
            way.source.sql("create sequence ids")
            way.source.sql(INSERT)
            way.release()
            way.settle()
            taken = []
            for _ in range(RESTS):
                if way is ours:
                    for node in way.nodes:
                        await_true("the worker polls at its full interval", lambda node=node: node.sql(AT_REST))
                time.sleep(random.uniform(0, 0.5))
                after = int(way.source.sql("select max(id) as last from items")[0]["last"])
                with pgbench_started(way.source, "-c", "1", "-t", "1", script=INSERT) as program:
                    poller = Poller(way.target, after)
                    poller.follow(program, way.source)
                with psycopg.connect(way.source.conninfo) as connection:
                    taken += [(poller.seen[id] - at) * 1000 for id, at in connection.execute(COMMITTED, [after]).fetchall()]
            if way is ours:
                result = Result("latency_rest", median(taken), None, "ms", 50, "less")
            section.lines.append([title, *(f"{figure:.1f}" for figure in (min(taken), median(taken), max(taken)))])
            run.say(f"rest: {' '.join(section.lines[-1])} ms")
            way.hold()
    return section, [result]
