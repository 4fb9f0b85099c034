"""The processes that faults hit: workers that are started again, the servers' own processes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from harness import Node, Nodes, wait_until
from harness.worker import explained, start_worker


@contextmanager
def supervised(nodes: Nodes, log: Path, *arguments: str) -> Iterator[Callable[[], subprocess.Popen[Any]]]:
    """A worker that is started again whenever it has ended, as systemd does; the process that runs now."""
    stop = threading.Event()
    current = [start_worker(nodes, log, *arguments)]

    def watch() -> None:
        while not stop.is_set():
            current[0].wait()
            if not stop.wait(0.1):
                current[0] = start_worker(nodes, log, *arguments)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield lambda: current[0]
    finally:
        stop.set()
        while watcher.is_alive():
            current[0].kill()
            watcher.join(0.2)


def received(nodes: Nodes) -> list[int]:
    """The number of the last batch that each node has applied."""
    return [node.sql("select received from rowferry.links")[0]["received"] for node in nodes]


def wait_for_exchange(nodes: Nodes, seconds: float = 30) -> None:
    """Until each node has applied a batch that was not applied when this was called."""
    before = received(nodes)
    with explained(nodes):
        wait_until(
            lambda: all(now > then for now, then in zip(received(nodes), before, strict=True)),
            seconds,
            "both nodes apply a batch",
        )


def backends(node: Node) -> list[int]:
    """Process ids of the worker's backends on a node."""
    query = "select pid from pg_stat_activity where application_name = 'rowferry' and datname = current_database()"
    return [row["pid"] for row in node.sql(query)]


def checkpointer(node: Node) -> int:
    """Process id of the server's checkpointer, another one after each restart; 0 while the server takes no connections."""
    try:
        return int(node.sql("select pid from pg_stat_activity where backend_type = 'checkpointer'")[0]["pid"])
    except (psycopg.OperationalError, IndexError):
        return 0


def signal_server(node: Node, number: int) -> None:
    """Send a signal to all processes of a node's server (Linux)."""
    children = Path(f"/proc/{node.server.pid}/task/{node.server.pid}/children").read_text().split()
    for pid in [node.server.pid, *map(int, children)]:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.kill(pid, number)
