"""The courier: carries envelopes between two nodes. It knows nothing of what is inside; all logic is in rowferry.process_batch().

It may be killed at any moment, and two at once are slow but never wrong: the nodes look after themselves.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import logging
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from rowferry import sql
from rowferry.config import ConfigError, Node, NodeUnreachable
from rowferry.connection import Connection, Error, connect, describe, limit_calls, limit_silence
from rowferry.progress import Progress
from rowferry.supervisor import Supervisor

log = logging.getLogger("rowferry")

SCHEMA_VERSION = 3  # the first whose process_batch() this module can call
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0  # after errors
FIRST_POLL, POLLS = 0.0005, 8  # when nothing moves: an eighth of the time since something did, up to the interval
BUSY_PAUSE, BUSY_SECONDS = 0.02, 10.0  # another call for the link is at work: what an earlier worker left behind, or a person
USUAL_LIMIT, MOST_EVENTS = 20000, 100000  # events in a batch: process_batch()'s own bound, and that while rows need each other
LAST_TOKEN = 999_999_999_999_999  # what process_batch() takes; rowferry.resync() begins again
STALL_SECONDS = 2.0  # without a number moving although work is due: then open anew
ONCE_SECONDS = 10.0  # how long `run --once` bears that nothing arrives
ONCE_ROUNDS = 5  # open, build, apply, acknowledge, retire: held events that were due have had their turn, however busy users are


class Trouble(Exception):
    """One node or both did not answer, or with an error; or both did, and it is no use (no errors)."""

    def __init__(self, errors: Sequence[Error], message: str = "") -> None:
        super().__init__(message or "; ".join(map(str, errors)))
        self.errors = errors


class Taken(Exception):
    """Another courier holds the lock."""


@dataclass
class Side:
    """One node during an exchange."""

    node: Node
    peer: Node
    connection: Connection = field(init=False)
    row: Any = None  # the last one of process_batch()
    inbox: bytes | None = None  # what the peer's last call handed out


@dataclass
class Courier:
    """Runs until stop is set, or with once until what was pending at its start has gone."""

    nodes: Sequence[Node]
    interval: float  # seconds between polls when there is nothing to do
    once: bool = False
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        if len(self.nodes) != 2:
            raise ConfigError(f"a worker serves two nodes, here are {len(self.nodes)}. Hint: --config, a file for each pair")
        self.nodes = sorted(self.nodes, key=lambda node: node.name)
        self.threads = concurrent.futures.ThreadPoolExecutor(2)
        self.pause = FIRST_PAUSE
        self.opened = False  # whether it has ever been
        self.targets: dict[str, int] = {}  # last event of each node when this worker started
        self.progress_at = time.monotonic()
        self.untold: dict[str, Error] = {}  # the last error of each node, until the other one knows
        self.told: dict[str, Error] = {}
        self.patience = 1  # how many times as long as usual the next calls may take, for a large row
        self.limits: dict[str, int] = {}  # events for the next batch of a node that ran out of time itself
        self.pending: dict[str, int] = {}  # events of each node when it last answered, counted up to 10,000
        self.said = ""
        self.progress = Progress()
        self.supervisor = Supervisor()
        self.strangers: set[str] = set()  # who was found to hold the lock without being a courier
        self.far: dict[str, Any] = {}  # what each node last said of its backfills and comparisons

    def run(self) -> int:
        """The exit code."""
        self.supervisor.tell("READY=1")  # a node that is away is waited for, which is work too
        try:
            return self.serve()
        finally:
            self.supervisor.tell("STOPPING=1")

    def serve(self) -> int:
        """Attempt after attempt, until told to stop or there is no use; the exit code."""
        while not self.stop.is_set():
            try:
                code = self.attempt()
                if code is not None:
                    return code
            except Taken as taken:
                self.say(logging.ERROR if self.once else logging.INFO, f"{taken}. Hint: rowferry status shows where it runs")
                return 5
            except Trouble as trouble:
                self.untold.update({error.node: error for error in trouble.errors})
                code = max((error.code for error in trouble.errors), default=1)
                if self.opened:
                    code = 3 if code == 3 else 1
                    ends = self.once and time.monotonic() - self.progress_at > ONCE_SECONDS
                else:
                    ends = self.once or code in (2, 4)
                self.say(logging.ERROR if ends else logging.WARNING, str(trouble))
                if ends:
                    return code
                self.stop.wait(self.pause * random.uniform(0.5, 1))
                late = [error.node for error in trouble.errors if error.sqlstate == "57014"]
                for name in late:  # it was applying, and then the peer builds smaller once it is told, or building
                    self.limits[name] = max(1, min(self.limits.get(name, USUAL_LIMIT), self.pending.get(name, USUAL_LIMIT)) // 4)
                if not late:  # else the next batch is smaller, and there is no point in waiting longer
                    self.pause = min(self.pause * 2, LONGEST_PAUSE)
        return 0

    def attempt(self) -> int | None:
        """Connect, lock, open, and exchange until that ends: an exit code, or None to open anew."""
        with contextlib.ExitStack() as stack:

            def enter(side: Side) -> None:
                side.connection = connect(side.node)
                stack.callback(side.connection.close)

            first, second = self.nodes
            sides = [Side(first, second), Side(second, first)]
            try:
                self.together(enter, sides)
                self.read(sides)  # before the lock: both variables may hold one database, or it may be no node
                if not self.lock(sides):
                    return None
                token = self.token(sides)
                self.step(sides, token, opening=True)
            except Trouble as trouble:
                self.tell_reachable(trouble, sides)
                raise
            if not self.opened:
                self.opened, self.progress_at = True, time.monotonic()
                self.targets = {side.node.name: side.row.last_id for side in sides}
            self.untold.clear()
            self.told.clear()
            return self.exchange(sides, token)

    def read(self, sides: Sequence[Side]) -> None:
        """Where things stand on each node, into its side's row."""
        self.together(read, sides)
        old = [side for side in sides if side.row.version < SCHEMA_VERSION]
        if old:
            message = f"the schema has version {old[0].row.version}, this worker needs {SCHEMA_VERSION}"
            raise Trouble([Error(side.node.name, "RF007", message, "alembic upgrade head") for side in old])

    def token(self, sides: Sequence[Side]) -> str:
        """A token greater than each node's own, and the connections made ready for calls with it."""
        self.read(sides)
        for side in sides:
            if int(side.row.token.partition("-")[0]) >= LAST_TOKEN:
                message = "the number of its token has reached its end, no courier can open any more"
                raise Trouble([Error(side.node.name, "RF003", message, "there: select * from rowferry.resync();")])
        self.limit(sides, max(side.row.patience for side in sides))  # what is told at once may be large
        number = 1 + max(int(side.row.token.partition("-")[0]) for side in sides)
        return f"{number}-{secrets.token_hex(8)}"

    def limit(self, sides: Sequence[Side], patience: int) -> None:
        """How long the next calls may take."""
        longest = max(self.together(lambda side: limit_calls(side.connection, patience), sides))
        silence = longest + 2 * self.interval + BUSY_SECONDS  # while the peer's call takes as long as it may
        self.together(lambda side: limit_silence(side.connection, silence), sides)
        self.patience = patience

    def lock(self, sides: Sequence[Side]) -> bool:
        """Become the courier; waits for the present one to go. False if told to stop meanwhile."""
        while not self.stop.is_set():
            holder = self.try_lock(sides)
            if holder is None:
                return True
            message = f"another courier holds the lock on {holder}"
            if self.once:
                raise Taken(message)
            self.say(logging.INFO, f"{message}, waiting for it to go")
            self.stop.wait(self.interval)
        return False

    def try_lock(self, sides: Sequence[Side]) -> str | None:
        """Take the lock on each node, in the order of their names: None, or the node on which another has it; then keep none."""
        names = [node.name for node in self.nodes]
        for position, side in enumerate(sides):
            [row] = self.together(lambda side: side.connection.execute(sql.TRY_LOCK, names).fetchone(), [side])
            if row[0] is None:
                continue
            courier, strangers, _ = row[0]
            if courier or not strangers:
                self.together(lambda side: side.connection.execute(sql.UNLOCK), sides[:position])
                return side.node.name
            message = f"{side.node.name}: {strangers} holds the courier's lock without the right to be one, going on without it"
            if message not in self.strangers:
                self.strangers.add(message)
                log.warning("%s. Hint: select * from rowferry.why_stuck(); there names who to end", message)
        return None

    def exchange(self, sides: Sequence[Side], token: str) -> int | None:
        """Rounds, until there is a reason to open anew (None) or to end (an exit code)."""
        rounds, moved_at = 1, time.monotonic()
        while not self.stop.is_set():
            rows = [side.row for side in sides]
            still = [side for side in sides if side.row.status in ("paused", "stopped")]
            if still:
                for side in still:
                    self.say(logging.WARNING, f"{side.node.name}: {side.row.status}: {side.row.reason}")
                if self.once:
                    return 1
                self.wait_for_release(still, [side for side in sides if side not in still], token)
                return None
            if any(row.status == "superseded" for row in rows):
                raise Trouble([], "another courier has opened the exchange, trying again later")
            moved = any(row.status == "moved" for row in rows)
            due = any(row.next_id is not None or row.backfilling for row in rows)
            now = time.monotonic()
            far = {side.node.name: side.row.progress or [] for side in sides}
            advanced, self.far = far != self.far, far
            self.progress.show(far)
            if advanced or any(row.applied or row.refused or row.retired for row in rows) or (not due and not moved):
                self.pause, self.progress_at = FIRST_PAUSE, now
                self.say(logging.INFO, f"at work between {' and '.join(node.name for node in self.nodes)}")
            if self.once and (not moved or rounds >= ONCE_ROUNDS) and self.delivered(sides):
                return self.held(sides)
            if self.once and now - self.progress_at > ONCE_SECONDS:
                waiting = ", ".join(f"{side.row.pending} pending on {side.node.name}" for side in sides)
                self.say(logging.ERROR, f"nothing has moved for {ONCE_SECONDS:.0f} s, {waiting}. Hint: rowferry status says why")
                return 1
            patience = max(row.patience for row in rows)
            if patience != self.patience:
                self.limit(sides, patience)
                moved = True  # there is something to do with it
            if moved:
                moved_at = now
            elif due and now - moved_at > STALL_SECONDS:
                raise Trouble([], "work is due and nothing moves, opening anew")
            else:
                self.stop.wait(min(max((now - moved_at) / POLLS, FIRST_POLL), self.interval))
            if not self.stop.is_set():
                self.step(sides, token)
                rounds += 1
        return None

    def step(self, sides: Sequence[Side], token: str, opening: bool = False) -> None:
        """One call on each node, at the same time; then each is handed what the other's call returned."""
        began = time.monotonic()
        try:
            self.together(lambda side: self.call(side, token, opening), sides)
        finally:
            if self.patience > 1:  # time that was asked for is not time in which nothing moves
                self.progress_at += time.monotonic() - began
        for side, other in zip(sides, reversed(sides), strict=True):
            side.inbox = other.row.envelope if other is not side and other.row.status != "idle" else None  # idle: no news

    def call(self, side: Side, token: str, opening: bool = False) -> None:
        """process_batch() on one node, again and again while another call for the link is at work."""
        courier: dict[str, Any] = {"host": socket.gethostname(), "pid": os.getpid()}
        if side.peer.name in self.untold:
            courier["error"] = self.untold[side.peer.name].as_dict()
        limit = self.limits.get(side.node.name)
        parameters = {"peer": side.peer.name, "token": token, "envelope": side.inbox, "limit": limit}
        parameters["courier"] = json.dumps(courier) if opening else None
        since = time.monotonic()
        while True:
            side.row = execute(side, sql.EXCHANGE, parameters)
            self.pending[side.node.name] = side.row.pending
            if limit and side.row.sent:  # in time
                self.limits[side.node.name] = min(limit * 2, MOST_EVENTS)
            if side.row.status != "busy" or self.stop.is_set():
                return
            if time.monotonic() - since > BUSY_SECONDS:
                raise psycopg.errors.LockNotAvailable(f"{side.row.reason} for {BUSY_SECONDS:.0f} s")
            self.stop.wait(BUSY_PAUSE)

    def wait_for_release(self, still: Sequence[Side], others: Sequence[Side], token: str) -> None:
        """Poll paused and stopped nodes, which then change nothing, until a person has released one of them."""
        for side in still:
            side.inbox = None
            message = f"the link is {side.row.status} there: {side.row.reason}"
            self.untold[side.node.name] = Error(side.node.name, "RF024", message)
        if others:  # so that their status says why nothing moves
            self.step(others, self.token(others), opening=True)
        self.untold.clear()
        while not self.stop.wait(self.interval):
            self.together(lambda side: self.call(side, token), still)
            self.together(lambda side: side.connection.execute(sql.IN_USE), others)
            if any(side.row.status not in ("paused", "stopped") for side in still):
                return

    def delivered(self, sides: Sequence[Side]) -> bool:
        """Whether all that was pending at the start has arrived, or is held."""
        behind = [side for side in sides if side.row.next_id is not None and side.row.next_id <= self.targets[side.node.name]]
        return not behind and not any(side.row.backfilling for side in sides)

    def held(self, sides: Sequence[Side]) -> int:
        """Say which events are held: exit code 1, or 0 if none is."""
        names = [f"{side.row.held} on {side.node.name}" for side in sides if side.row.held]
        if names:
            hint = "select * from rowferry.sync_events where attempts > 0"
            self.say(logging.WARNING, f"events are held: {', '.join(names)}. Hint: {hint}")
        return 1 if names else 0

    def tell_reachable(self, trouble: Trouble, sides: Sequence[Side]) -> None:
        """Open on the node that did answer, once for each error of the other's, so that its status says why nothing moves."""
        silent = {error.node: error for error in trouble.errors}
        for side in sides:
            error = silent.get(side.peer.name)
            if error is None or side.node.name in silent or self.told.get(side.node.name) == error:
                continue
            self.untold[error.node] = error
            with contextlib.suppress(Trouble):  # of its own: the next attempt meets it
                if self.try_lock([side]) is None:
                    self.step([side], self.token([side]), opening=True)
                    self.told[side.node.name] = error

    def together(self, action: Callable[[Side], Any], sides: Sequence[Side]) -> list[Any]:
        """Do it on each node, all at once, each in a thread; raises Trouble when all have ended."""
        futures = [self.threads.submit(action, side) for side in sides]
        concurrent.futures.wait(futures)
        self.supervisor.alive()
        failures = [(side, future.exception()) for side, future in zip(sides, futures, strict=True) if future.exception()]
        for _, failure in failures:
            if not isinstance(failure, psycopg.Error | NodeUnreachable | OSError):
                raise failure  # type: ignore[misc]
        if failures:
            raise Trouble([describe(side.node, failure) for side, failure in failures])  # type: ignore[arg-type]
        return [future.result() for future in futures]

    def say(self, level: int, message: str) -> None:
        """Log a change of state, once."""
        if message != self.said:
            self.said = message
            self.progress.show({})
            self.supervisor.tell(f"STATUS={message}")
            log.log(level, "%s", message)


def execute(side: Side, query: str, parameters: dict[str, Any]) -> Any:
    """The one row of process_batch()."""
    with side.connection.cursor(binary=True, row_factory=namedtuple_row) as cursor:
        return cursor.execute(query, parameters).fetchone()


def read(side: Side) -> None:
    """Where things stand, into side.row; errors that the configuration or the installation causes get a hint."""
    try:
        side.row = execute(side, sql.READ, {"peer": side.peer.name})
    except psycopg.Error as error:
        code = describe(side.node, error).code
        if code == 4:
            error.add_note("alembic upgrade head")
        elif error.sqlstate == "42501":
            error.add_note(f"grant rowferry_worker to {side.connection.info.user};")
        elif code == 2:
            error.add_note(f"check the database in {side.node.variable}; alembic upgrade head names each node's peers")
        raise
