"""What it costs while nothing is to be done."""

from __future__ import annotations

import time

import psutil

from bench.bed import ROWS, Ours, await_true, cpu_seconds
from bench.report import Result
from bench.run import Run

MEASURED = 60.0  # seconds
SESSIONS = "select pid from pg_stat_activity where application_name = 'rowferry' and datname = current_database()"
# The pause between looks has grown to its full length.
AT_REST = "select from rowferry.links where last_exchange_at < clock_timestamp() - interval '2 s'"


def measure(run: Run) -> list[Result]:
    """CPU seconds per hour of the worker and of the server processes that serve it."""
    with Ours(run.bed, "idle") as ours:
        ours.source.sql(ROWS.format(name="items", first=1, last=1000))
        ours.release()
        ours.settle()
        assert ours.worker
        for node in ours.nodes:
            await_true("the worker polls at its full interval", lambda node=node: node.sql(AT_REST))
        pids = [ours.worker.pid, *(row["pid"] for node in ours.nodes for row in node.sql(SESSIONS))]
        processes = [psutil.Process(pid) for pid in pids]
        began, before = time.monotonic(), cpu_seconds(processes)
        time.sleep(MEASURED)
        spent = (cpu_seconds(processes) - before) * 3600 / (time.monotonic() - began)
    run.say(f"idle: {spent:.1f} CPU s per hour of {len(processes)} processes")
    return [Result("idle", spent, None, "CPU s/h", 20, "less")]
