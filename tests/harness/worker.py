"""The worker as a process of its own, and when nothing is left for it to do."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness.nodes import REPO, Nodes
from harness.waiting import wait_until

PROGRAM = Path(sys.executable).parent / "rowferry"
LEFT = """
    select (select count(*) from rowferry.events) as events, (select count(*) from rowferry.held_events) as held,
      (select count(*) from rowferry.backfills where finished_at is null) as backfills"""

REASONS = "select entity, event_type, sqlstate, last_error, count(*) from rowferry.sync_events group by 1, 2, 3, 4"

OF_WORKERS = "application_name = 'rowferry' and datname = current_database()"  # sessions in pg_stat_activity


def start_worker(nodes: Nodes, log: Path, *arguments: str) -> subprocess.Popen[Any]:
    """`rowferry run` on these nodes; its output is appended to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen([PROGRAM, "run", *arguments], env=nodes.env, cwd=REPO, stdout=output, stderr=output)


@contextmanager
def worker(nodes: Nodes, log: Path, *arguments: str) -> Iterator[subprocess.Popen[Any]]:
    """A worker for as long as the block lasts, which it must outlive; ended with SIGTERM."""
    process = start_worker(nodes, log, *arguments)
    try:
        yield process
        assert process.poll() is None, f"the worker has ended: {log.read_text()}"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def left(nodes: Nodes) -> dict[str, Any]:
    """What is still to be delivered by each node that is not at rest; empty: both are."""
    found = {node.name: node.sql(LEFT)[0] for node in (*nodes, nodes.crm)}  # crm last again: what billing sends can make it write
    return {name: row for name, row in found.items() if row["events"] or row["backfills"]}


@contextmanager
def explained(nodes: Nodes) -> Iterator[None]:
    """If the block fails, print where both nodes stand."""
    try:
        yield
    except BaseException:
        for node in nodes:
            for query in ("select * from rowferry.status", LEFT, REASONS, "select * from rowferry.links"):
                print(node.name, node.sql(query))
        raise


def wait_for_rest(nodes: Nodes, seconds: float) -> None:
    """Until no event is left and no backfill is unfinished."""
    with explained(nodes):
        wait_until(lambda: not left(nodes), seconds, "no event is left")


def beside_time(said: str) -> str:
    """What a worker has said but for calls that ran out of time (57014): it repeats them, and a busy machine cuts some."""
    return "".join(line for line in said.splitlines(keepends=True) if "(57014)" not in line)


def lines(log: Path) -> list[str]:
    """What the worker has said, without the times."""
    return [line.partition("rowferry: ")[2] for line in log.read_text().splitlines()]
