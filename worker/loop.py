"""The courier: carries envelopes between two nodes. It knows nothing of what is inside; all logic is in rowferry.process_batch().

It may be killed at any moment, and two at once are slow but never wrong: the nodes look after themselves.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import random
import secrets
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg

from rowferry import sql
from rowferry.config import Node
from rowferry.connection import FAILURES, SILENCE_SECONDS, Connection, Error, connect, describe, finish, hints
from rowferry.observe.progress import Progress
from rowferry.supervisor import Supervisor

log = logging.getLogger("rowferry")

SCHEMA_VERSION = 3  # the first whose process_batch() this module can call
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0  # after errors
FIRST_POLL, POLLS = 0.0005, 8  # when nothing moves: an eighth of the time since something did, up to the interval
LONGEST_WAIT = 0.25  # the longest interval at which looks wait in the server
WATCH_SECONDS, WATCHER_SECONDS, WATCH_AGAIN = 5.0, 3.0, 60.0  # until the first session looks; of silence; after a failure
LONGEST_REST = 2.0  # until the next step while something waits that no look can tell from what was there before
BUSY_PAUSE, BUSY_SECONDS = 0.02, 10.0  # another call for the link is at work: what an earlier worker left behind, or a person
USUAL_LIMIT, MOST_EVENTS = 20000, 100000  # events in a batch: process_batch()'s own bound, and that while rows need each other
LAST_TOKEN = 999_999_999_999_999  # what process_batch() takes; rowferry.resync() begins again
AT_REST = ("paused", "stopped")
STALL_SECONDS = 2.0  # without a number moving although work is due: then open anew
TELL_AGAIN = 60.0  # that the peer is out of reach
ONCE_SECONDS = 10.0  # how long `run --once` bears that nothing arrives
ONCE_ROUNDS = 5  # open, build, apply, acknowledge, retire: held events that were due have had their turn, however busy users are


class Trouble(Exception):
    """One node or both did not answer, or with an error; or both did, and it is no use (no errors)."""

    def __init__(self, errors: dict[Side, Error], message: str = "") -> None:
        super().__init__(message or "; ".join(str(error).rstrip(";") for error in errors.values()))
        self.errors = errors


@dataclass(eq=False)
class Side:
    """A node, and what the worker knows of it. `peer`: of a node that only writes into an outbox, itself."""

    node: Node
    peer_name: str
    peer: Side = field(init=False)
    connection: Connection = field(init=False)
    watcher: Any = None  # a session that only looks, from the first long rest on
    watching: Any = None  # the cursor of its look
    row: Any = None  # the last one of process_batch()
    inbox: bytes | None = None  # what the peer's last call handed out
    target: int = 0  # its last event when this worker first opened
    pending: int = USUAL_LIMIT  # its events when it last answered a step, counted up to 10,000
    limit: int | None = None  # events for its next batch, since it ran out of time itself
    error: Error | None = None  # its last one, until the peer knows
    told: Error | None = None  # the peer's error that it knows of, while the peer is out of reach
    told_at: float = 0.0
    sent: int = 0  # of its own events that left the queue since this worker began; and of the peer's records that it took
    taken: int = 0

    def read(self, query: str = sql.READ) -> None:
        """Where things stand, into row. Raises Error, or psycopg.Error with a note that says what to type."""
        with hints(self.node, self.connection, "rowferry_worker"):
            self.row = self.connection.execute(query, {"peer": self.peer_name}).fetchone()
        if self.row.version < SCHEMA_VERSION:
            message = f"the schema has version {self.row.version}, this worker needs {SCHEMA_VERSION}"
            raise Error(self.node.name, "RF007", message, "alembic upgrade head")


class Courier:
    """Runs until `stop` is set, or with `once` until what was pending at its start has gone.

    `interval`: seconds between polls when there is nothing to do. `alone`: the process serves no other link, so it ends where no
    attempt can be of use. `serve` is told of each outbox that a node has. With `outbox` there is one node, which writes into it.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        interval: float,
        once: bool,
        stop: threading.Event,
        alone: bool = True,
        serve: Callable[[Node, str], None] | None = None,
        outbox: str | None = None,
    ) -> None:
        first, *others = sorted(nodes, key=lambda node: node.name)
        self.sides = [Side(first, outbox or others[0].name), *(Side(node, first.name) for node in others)]
        for side, peer in zip(self.sides, reversed(self.sides), strict=True):
            side.peer = peer
        self.between = f"{first.name} and {self.sides[0].peer_name}"
        self.serve, self.outbox = serve, outbox
        self.interval, self.once, self.stop, self.alone = interval, once, stop, alone
        self.pause, self.progress_at, self.opened = FIRST_PAUSE, time.monotonic(), False  # opened: whether it has ever been
        self.turns, self.held = 0, math.inf  # rounds in which only held events were left; the least that were held in one of them
        self.took = 0.0  # seconds of the last call on both
        self.watchers, self.watch_at = contextlib.ExitStack(), 0.0  # second sessions; when they may be opened again
        self.looked: list[Any] = []  # what the nodes said before the last step that moved nothing
        self.patience = 1  # how many times as long as usual the next calls may take, for a large row
        self.said = ""
        self.progress, self.supervisor = Progress(), Supervisor()
        self.far: list[Any] = []  # what each node last said of its backfills and comparisons

    def run(self) -> None:
        """Attempt after attempt, until told to stop. Raises SystemExit with an exit code once it has said why it ends."""
        self.supervisor.tell("READY=1")  # a node that is away is waited for, which is work too
        try:
            while not self.stop.is_set():
                try:
                    self.attempt()
                except Trouble as trouble:
                    self.back_off(trouble)
        finally:
            self.supervisor.tell("STOPPING=1")

    def account(self) -> list[str]:
        """What went, a line for each node that was heard: `crm: 1,000 sent, 55 taken, 2 held`."""
        heard = [side for side in self.sides if side.row is not None]
        to = f" to {self.outbox}" if self.outbox else ""
        return [f"{side.node.name}{to}: {side.sent:,} sent, {side.taken:,} taken, {side.row.held or 0:,} held" for side in heard]

    def back_off(self, trouble: Trouble) -> None:
        """Say what is wrong and wait a while before the next attempt; raises SystemExit where another attempt is no use."""
        if self.outbox and any(error.sqlstate == "RF002" for error in trouble.errors.values()):
            self.say(logging.INFO, f"the outbox {self.outbox} is removed")
            raise SystemExit(0)
        code = max((error.code for error in trouble.errors.values()), default=1)
        message = str(trouble)
        if removed := self.opened and next((side for side, error in trouble.errors.items() if error.sqlstate == "RF002"), None):
            code, ends = 2, True
            message = (
                f"{removed.node.name} has no link to {removed.peer.node.name} any more, so this worker no longer serves it. "
                "Hint: take it out of alembic.ini"
            )
        elif self.opened:
            code = 3 if code == 3 else 1
            ends = self.once and time.monotonic() - self.progress_at > ONCE_SECONDS
        else:
            ends = self.once or (self.alone and code in (2, 4))
        self.say(logging.ERROR if ends else logging.WARNING, message)
        if ends:
            raise SystemExit(code)
        for side, error in trouble.errors.items():
            side.error = error
        self.stop.wait(self.pause * random.uniform(0.5, 1))
        late = [side for side, error in trouble.errors.items() if error.sqlstate == "57014"]
        for side in late:  # it was applying, and then the peer builds smaller once it is told, or building
            side.limit = max(1, min(side.limit or USUAL_LIMIT, side.pending) // 4)
        if not late:  # else the next batch is smaller, and there is no point in waiting longer
            self.pause = min(self.pause * 2, LONGEST_PAUSE)

    def attempt(self) -> None:
        """Connect, lock, open, and exchange until there is a reason to open anew. Raises Trouble or SystemExit."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.watchers.close)

            def enter(side: Side) -> None:
                side.inbox = None
                side.connection = connect(side.node)
                stack.callback(side.connection.close)

            try:
                self.each(enter, self.sides)
                # Before the lock: both variables may hold one database, or it may be no node.
                self.each(self.read, self.sides)
                if not self.lock():
                    return
                token = self.token(self.sides)
                self.step(self.sides, token, opening=True)
            except Trouble as trouble:
                self.tell_reachable(trouble)
                raise
            for side in self.sides:
                side.error = side.told = None
                side.target = side.target if self.opened else side.row.last_id
            if not self.opened:
                self.opened, self.progress_at = True, time.monotonic()
            self.exchange(token)

    def read(self, side: Side) -> None:
        """Where things stand on a node, and whether it has an outbox to be served."""
        side.read()
        self.look_for_outbox(side)

    def look_for_outbox(self, side: Side) -> None:
        if self.serve and side.row.outbox:
            self.serve(side.node, side.row.outbox)

    def token(self, sides: Sequence[Side]) -> str:
        """A token greater than each node's own, and the connections made ready for calls with it."""
        self.each(self.read, sides)
        number = 1
        for side in sides:
            number = max(number, 1 + int(side.row.token.partition("-")[0]))
            if number > LAST_TOKEN:
                message = "the number of its token has reached its end, no courier can open any more"
                raise Trouble({side: Error(side.node.name, "RF003", message, "there: select * from rowferry.resync();")})
        self.limit(sides, max(side.row.patience for side in sides))  # what is told at once may be large
        return f"{number}-{secrets.token_hex(8)}"

    def limit(self, sides: Sequence[Side], patience: int) -> None:
        """From here on each call ends in time not to be in a user's way (R11), or the server is taken for frozen.

        `patience`: how many times as long as usual a call may take, as process_batch() asks for.
        """
        rows = self.each(lambda side: side.connection.execute(sql.LIMIT_CALLS, {"patience": patience}).fetchone(), sides)
        longest = max(float(row.milliseconds) / 1000 for row in rows)
        for side in sides:
            side.connection.seconds = longest + SILENCE_SECONDS
        silence = longest + SILENCE_SECONDS + 2 * max(self.interval, LONGEST_REST) + BUSY_SECONDS  # while the peer's call lasts
        self.each(lambda side: side.connection.execute(sql.LIMIT_SILENCE, [min(int(silence * 1000), 2**30)]), sides)
        self.patience = patience

    def lock(self) -> bool:
        """Become the courier; waits for the present one to go. False if told to stop meanwhile."""
        while not self.stop.is_set():
            if (holder := self.try_lock(self.sides)) is None:
                return True
            message = f"another courier holds the lock on {holder}"
            if self.once:
                self.say(logging.ERROR, f"{message}. Hint: rowferry status shows where it runs")
                raise SystemExit(5)
            self.say(logging.INFO, f"{message}, waiting for it to go")
            self.stop.wait(max(self.interval, LONGEST_REST / 2))
        return False

    def try_lock(self, sides: Sequence[Side]) -> str | None:
        """Take the lock on each node, in the order of their names: None, or the node on which another has it; then keep none."""
        for position, side in enumerate(sides):
            self.each(lambda side: side.read(sql.BECOME_COURIER), [side])
            if side.row.status == "busy":
                self.each(lambda side: side.connection.execute(sql.UNLOCK), sides[:position])
                return side.node.name
            if side.row.status == "idle" and side.row.reason:
                self.say(logging.WARNING, f"{side.node.name}: {side.row.reason}")
        return None

    def exchange(self, token: str) -> None:
        """Rounds, until there is a reason to open anew. Raises Trouble or SystemExit."""
        self.turns, moved_at = 0, time.monotonic()
        while not self.stop.is_set():
            rows = [side.row for side in self.sides]
            if any(row.status in AT_REST for row in rows):
                self.wait_for_release(token)
                return
            if any(row.status == "superseded" for row in rows):
                raise Trouble({}, "another courier has opened the exchange, trying again later")
            moved = any(row.status == "moved" for row in rows)
            due = any(row.next_id is not None or row.backfilling for row in rows)
            now = time.monotonic()
            far = [row.progress for row in rows]
            self.progress.show({side.node.name: side.row.progress or [] for side in self.sides})
            if far != self.far or any(row.applied or row.refused or row.retired for row in rows) or not (due or moved):
                self.far, self.pause, self.progress_at = far, FIRST_PAUSE, now
                self.say(logging.INFO, f"at work between {self.between}")
            if self.once:
                self.end_if_done(moved)
            patience = max(row.patience for row in rows)
            if patience != self.patience:
                self.limit(self.sides, patience)
                moved = True  # there is something to do with it
            if moved:
                moved_at = now
                self.looked = []
            elif due and now - moved_at > STALL_SECONDS:
                raise Trouble({}, "work is due and nothing moves, opening anew")
            else:
                self.rest(token, moved_at)
            if not self.stop.is_set():
                self.step(self.sides, token)

    def rest(self, token: str, moved_at: float) -> None:
        """Look until a node has something to do that the last step has not met, or it is time to try again. Raises Trouble.

        Looks, and steps that move nothing, take a tenth of the time at most.
        """
        began = time.monotonic()
        longest = min(max((began - moved_at) / POLLS, FIRST_POLL), LONGEST_REST)
        pause = 10 * self.took if self.looked else 0.0
        while not self.stop.wait(min(max(pause, FIRST_POLL), max(self.interval, LONGEST_REST))):
            self.call(self.sides, token, look=True)
            rested = (time.monotonic() - moved_at) / POLLS
            pause = max(10 * self.took, min(rested, self.interval))
            looked = [(side.row.status, side.row.next_id, side.row.last_id) for side in self.sides]
            idle = not self.once and all(side.row.status == "idle" for side in self.sides)
            if not idle and (looked != self.looked or time.monotonic() - began >= longest):
                self.looked = looked
                return
            if idle and self.interval <= min(rested, LONGEST_WAIT) and time.monotonic() > self.watch_at and self.watch(token):
                self.looked = []
                return

    def watch(self, token: str) -> bool:
        """Wait in second sessions for work on either node: whether there is any. If one fails, the first look for a while."""

        def look(side: Side) -> None:
            if side.watcher is None or side.watcher.closed:
                side.watcher = self.watchers.enter_context(contextlib.closing(connect(side.node)))
                side.watcher.seconds = WATCHER_SECONDS
            if not side.watcher.awaited:
                side.watching = side.watcher.begin(sql.WATCH, peer=side.peer_name, token=token, wait=self.interval)

        until = time.monotonic() + WATCH_SECONDS
        try:
            while not self.stop.is_set() and time.monotonic() < until:
                self.each(look, self.sides)
                if finish([side.watcher for side in self.sides], first=True):
                    raise Trouble({})
                if any(side.watching.fetchone().status != "idle" for side in self.sides if not side.watcher.awaited):
                    return True
        except Trouble:
            self.watchers.close()
            self.watch_at = time.monotonic() + WATCH_AGAIN
        return False

    def end_if_done(self, moved: bool) -> None:
        """Raises SystemExit when all that was pending at the start has arrived or is held, or when nothing has moved for long.

        Held events may be due once the others have arrived, so they have their turn then, and again while they become fewer.
        """
        behind = any(side.row.backfilling or (side.row.next_id or math.inf) <= side.target for side in self.sides)
        held = sum(side.row.held for side in self.sides)
        self.turns = 0 if behind or held < self.held else self.turns + 1
        self.held = math.inf if behind else min(held, self.held)
        if not behind and (not moved or self.turns >= ONCE_ROUNDS):
            told = ", ".join(f"{side.row.held} on {side.node.name}" for side in self.sides if side.row.held)
            if held:
                self.say(logging.WARNING, f"events are held: {told}. Hint: select * from rowferry.sync_events where attempts > 0")
            raise SystemExit(1 if held else 0)
        if time.monotonic() - self.progress_at > ONCE_SECONDS:
            waiting = ", ".join(f"{side.row.pending} pending on {side.node.name}" for side in self.sides)
            self.say(logging.ERROR, f"nothing has moved for {ONCE_SECONDS:.0f} s, {waiting}. Hint: rowferry status says why")
            raise SystemExit(1)

    def step(self, sides: Sequence[Side], token: str, opening: bool = False) -> None:
        """One call on each node, at the same time; then each is handed what the other's call returned."""
        began = time.monotonic()
        try:
            self.call(sides, token, opening)
        finally:
            if self.patience > 1:  # time that was asked for is not time in which nothing moves
                self.progress_at += time.monotonic() - began
        for side in sides:
            side.pending = side.row.pending
            if side.limit and side.row.sent:  # in time
                side.limit = min(side.limit * 2, MOST_EVENTS)
            side.inbox = side.peer.row.envelope if side.peer in sides and side.peer.row.status != "idle" else None

    def call(self, sides: Sequence[Side], token: str, opening: bool = False, look: bool = False) -> None:
        """process_batch() on each node at once; `look`: only to hear whether there is anything to do. Raises Trouble."""

        def begin(side: Side) -> psycopg.Cursor[Any]:
            error = side.peer.error and asdict(side.peer.error)
            courier = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "error": error}) if opening else None
            given: Any = {"envelope": None, "limit": 0} if look else {"envelope": side.inbox, "limit": side.limit}
            return side.connection.begin(sql.EXCHANGE, peer=side.peer_name, token=token, courier=courier, **given)

        tries, began, busy = 0, time.monotonic(), sides
        while busy and not (tries and self.stop.wait(BUSY_PAUSE)):
            cursors = self.each(begin, busy)
            errors = finish([side.connection for side in busy])
            for side, cursor in zip(busy, cursors, strict=True):
                if side.connection not in errors:
                    side.row = cursor.fetchone()
                    side.sent, side.taken = side.sent + (side.row.retired or 0), side.taken + (side.row.applied or 0)
                    self.look_for_outbox(side)
            if errors:
                raise Trouble({side: describe(side.node, errors[side.connection]) for side in busy if side.connection in errors})
            self.took = time.monotonic() - began
            busy = [side for side in busy if side.row.status == "busy"]
            tries += 1
            if busy and tries * BUSY_PAUSE > BUSY_SECONDS:
                raise Trouble(
                    {side: Error(side.node.name, "55P03", f"{side.row.reason} for {BUSY_SECONDS:.0f} s") for side in busy}
                )

    def wait_for_release(self, token: str) -> None:
        """Poll paused and stopped nodes, which then change nothing, until a person has released one of them."""
        still = [side for side in self.sides if side.row.status in AT_REST]
        others = [side for side in self.sides if side not in still]
        for side in still:
            self.say(logging.WARNING, f"{side.node.name}: {side.row.status}: {side.row.reason}")
            side.inbox = None
            side.error = Error(side.node.name, "RF024", f"the link is {side.row.status} there: {side.row.reason}")
        if self.once:
            raise SystemExit(1)
        if others:  # so that their status says why nothing moves
            self.step(others, self.token(others), opening=True)
        for side in still:
            side.error = None
        while not self.stop.wait(max(self.interval, LONGEST_REST / 2)):
            self.call(still, token)
            self.each(lambda side: side.connection.execute(sql.BACKEND), others)  # their sessions are in use
            if any(side.row.status not in AT_REST for side in still):
                return

    def tell_reachable(self, trouble: Trouble) -> None:
        """Open on the node that did answer, at once and then each minute, so that its status says why nothing moves."""
        for silent, error in trouble.errors.items():
            side = silent.peer
            if side in trouble.errors or (side.told == error and time.monotonic() < side.told_at + TELL_AGAIN):
                continue
            silent.error = error
            with contextlib.suppress(Trouble):  # of its own: the next attempt meets it
                if self.try_lock([side]) is None:
                    self.step([side], self.token([side]), opening=True)
                    side.told, side.told_at = error, time.monotonic()

    def each(self, action: Callable[[Side], Any], sides: Sequence[Side]) -> list[Any]:
        """Do it on each node, one after the other; raises Trouble when all have had their turn."""
        results, errors = [], {}
        for side in sides:
            try:
                results.append(action(side))
            except FAILURES as error:
                errors[side] = describe(side.node, error)
            self.supervisor.alive()
        if errors:
            raise Trouble(errors)
        return results

    def say(self, level: int, message: str) -> None:
        """Log a change of state, once."""
        if message != self.said:
            self.said = message
            self.progress.show({})
            self.supervisor.tell(f"STATUS={message}")
            log.log(level, "%s", message)
