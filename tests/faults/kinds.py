"""The kinds of faults: each hits once, at a random place, and leaves behind what the system must mend alone."""

from __future__ import annotations

import contextlib
import math
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from faults.clients import Failure
from faults.judge import SERVER_GONE
from faults.processes import backends, checkpointer, signal_server
from harness import Node, Nodes, wait_until
from harness.proxy import Proxies, Proxy

NOTICE = 5.0  # seconds after a server's return in which a client may still learn that it was gone


@dataclass
class Scene:
    """Where faults happen: nodes, the workers' ways to them, the workers, and when which server was down by our own doing."""

    nodes: Nodes
    proxies: Proxies
    workers: list[Callable[[], subprocess.Popen[Any]]]
    dice: random.Random
    ends: float  # on the monotonic clock; a long fault is for when there is time
    down: list[tuple[str, float, float]] = field(default_factory=list)  # node, from, until
    frozen: list[tuple[str, float, float]] = field(default_factory=list)  # the same, of processes that we stopped

    def node(self) -> Node:
        return self.dice.choice([self.nodes.crm, self.nodes.billing])

    def way(self) -> Proxy:
        return self.dice.choice([self.proxies.crm, self.proxies.billing])

    def worker(self) -> subprocess.Popen[Any]:
        return self.dice.choice(self.workers)()

    def time_left(self) -> float:
        return self.ends - time.monotonic()

    @contextmanager
    def server_down(self, node: Node) -> Iterator[None]:
        """For as long as the block lasts, and a moment longer, this node's clients may lose their connections."""
        began = time.monotonic()
        self.down.append((node.name, began, math.inf))
        try:
            yield
        finally:
            self.down.remove((node.name, began, math.inf))
            self.down.append((node.name, began, time.monotonic() + NOTICE))

    def excuses(self, failure: Failure) -> bool:
        """Whether the server of a statement was itself down, and the error is one that this gives."""
        return failure.sqlstate.startswith(SERVER_GONE) and self.within(self.down, failure)

    def stopped_in_a_cycle(self, failure: Failure) -> bool:
        """Whether a user met a deadlock while a process of the server was stopped by us.

        No timeout fires in a stopped process: one that waits for a row cannot give way, and the server's deadlock check chooses.
        That is counted, but it is no fault of the sync.
        """
        return failure.sqlstate == "40P01" and self.within(self.frozen, failure)

    @staticmethod
    def within(windows: list[tuple[str, float, float]], failure: Failure) -> bool:
        return any(name == failure.node and since <= failure.at <= until for name, since, until in windows)


def kill_worker(scene: Scene) -> None:
    scene.worker().kill()


def freeze_worker(scene: Scene) -> None:
    """For a moment; or, when there is time, for so long that the other worker takes over."""
    process = scene.worker()
    seconds = 28.0 if scene.time_left() > 90 and scene.dice.random() < 0.3 else scene.dice.uniform(0.2, 2)
    process.send_signal(signal.SIGSTOP)
    try:
        time.sleep(seconds)
    finally:
        process.send_signal(signal.SIGCONT)


def terminate_sessions(scene: Scene) -> None:
    for node in scene.dice.choice([[scene.nodes.crm], [scene.nodes.billing], list(scene.nodes)]):
        node.sql("select pg_terminate_backend(pid) from unnest(%s::integer[]) pid", [backends(node)])


def kill_backend(scene: Scene) -> None:
    """kill -9, at which PostgreSQL restarts."""
    node = scene.node()
    before = checkpointer(node)

    def restarted() -> bool:
        found = checkpointer(node)
        if found == before:  # one that was just ending by itself takes no server with it
            with contextlib.suppress(ProcessLookupError, psycopg.OperationalError):
                for pid in backends(node)[:1]:
                    os.kill(pid, signal.SIGKILL)
        return found not in (0, before)

    with scene.server_down(node):
        wait_until(restarted, 40, "the server has restarted")


def crash_server(scene: Scene) -> None:
    """pg_ctl stop -m immediate, and a start soon after."""
    node = scene.node()
    with scene.server_down(node):
        node.server.stop("immediate")
        time.sleep(scene.dice.uniform(0, 1))
        node.server.start_again()
        wait_until(lambda: checkpointer(node), 40, "the server takes connections")


def freeze_backend(scene: Scene) -> None:
    node = scene.node()
    pids = backends(node)
    began = time.monotonic()
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(scene.dice.uniform(0.1, 1.5))
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        scene.frozen.append((node.name, began, time.monotonic() + 1))


def freeze_server(scene: Scene) -> None:
    node = scene.node()
    began = time.monotonic()
    with scene.server_down(node):
        signal_server(node, signal.SIGSTOP)
        try:
            time.sleep(scene.dice.uniform(0.1, 1.5))
        finally:
            signal_server(node, signal.SIGCONT)
            scene.frozen.append((node.name, began, time.monotonic() + 1))


def black_hole(scene: Scene) -> None:
    """Then the way is open again for new connections; the old ones get a reset, or are left for the worker to give up."""
    way = scene.way()
    way.black_hole(*scene.dice.choice([(), ("to_server",), ("to_client",)]))
    time.sleep(scene.dice.uniform(0.2, 2))
    if scene.time_left() < 45 or scene.dice.random() < 0.7:
        way.reset()
    way.heal()


def reset(scene: Scene) -> None:
    scene.way().reset()


def half_close(scene: Scene) -> None:
    scene.way().half_close()


def cut_answer(scene: Scene) -> None:
    way = scene.way()
    way.cut(scene.dice.choice([0, 1, 5, scene.dice.randrange(2000), scene.dice.randrange(20000)]))
    deadline = time.monotonic() + 3
    while way.cutting and time.monotonic() < deadline:
        time.sleep(0.01)
    way.heal()


def delay(scene: Scene) -> None:
    way = scene.way()
    way.delay(scene.dice.uniform(0.01, 0.3))
    time.sleep(scene.dice.uniform(0.3, 2))
    way.heal()


def refuse(scene: Scene) -> None:
    way = scene.way()
    way.refuse()
    time.sleep(scene.dice.uniform(0.1, 1))
    way.heal()


KINDS: dict[str, Callable[[Scene], None]] = {
    "kill -9 of a worker": kill_worker,
    "freeze of a worker": freeze_worker,
    "terminated sessions": terminate_sessions,
    "kill -9 of a backend": kill_backend,
    "crash of a server": crash_server,
    "freeze of a backend": freeze_backend,
    "freeze of a server": freeze_server,
    "black hole": black_hole,
    "reset": reset,
    "half-close": half_close,
    "cut in mid answer": cut_answer,
    "slow network": delay,
    "refused connections": refuse,
}
