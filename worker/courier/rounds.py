"""Rounds of the exchange: step after step and rest after rest, until there is a reason to open anew."""

import logging
import math
import time
from typing import Any

from rowferry import sql
from rowferry.connection import Error
from rowferry.courier.calls import LONGEST_REST, Calls
from rowferry.courier.headway import ONCE_SECONDS
from rowferry.courier.opening import Opening
from rowferry.courier.rest import Rest
from rowferry.courier.side import Trouble

AT_REST = ("paused", "stopped")
STALL_SECONDS = 2.0  # without a number moving although work is due: then open anew
ONCE_ROUNDS = 5  # open, build, apply, acknowledge, retire: held events that were due have had their turn, however busy users are


class Rounds:
    """With `once` they end when what was pending at the start has gone."""

    def __init__(self, calls: Calls, opening: Opening, rest: Rest, once: bool) -> None:
        self.calls, self.opening, self.rest, self.once = calls, opening, rest, once
        self.sides, self.stop, self.news, self.headway = calls.sides, calls.stop, calls.news, calls.headway
        self.turns, self.held = 0, math.inf  # rounds in which only held events were left; the least that were held in one of them
        self.far: list[Any] = []  # what each node last said of its backfills and comparisons

    def exchange(self, token: str) -> None:
        """Rounds, until there is a reason to open anew. Raises Trouble or SystemExit."""
        self.turns, moved_at = 0, time.monotonic()
        due_at: float | None = None  # since when work has been due and nothing has moved; the rest before it does not count
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
            self.news.progress.show({side.node.name: side.row.progress or [] for side in self.sides})
            if far != self.far or any(row.applied or row.refused or row.retired for row in rows) or not (due or moved):
                self.far = far
                self.headway.made(now)
                self.news.say(logging.INFO, f"at work between {self.sides[0].node.name} and {self.sides[0].peer_name}")
            if self.once:
                self.end_if_done(moved)
            patience = max(row.patience for row in rows)
            if patience != self.calls.patience:
                self.calls.limit(self.sides, patience)
                moved = True  # there is something to do with it
            due_at = None if moved or not due else due_at or now
            if moved:
                moved_at = now
                self.rest.forget()
            elif due_at and now - due_at > STALL_SECONDS:
                raise Trouble({}, "work is due and nothing moves, opening anew")
            else:
                self.rest.until_due(token, moved_at)
            if not self.stop.is_set():
                self.calls.step(self.sides, token)

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
                hint = "select * from rowferry.sync_events where attempts > 0"
                self.news.say(logging.WARNING, f"events are held: {told}. Hint: {hint}")
            raise SystemExit(1 if held else 0)
        if self.headway.is_missing():
            waiting = ", ".join(f"{side.row.pending} pending on {side.node.name}" for side in self.sides)
            self.news.say(logging.ERROR, f"nothing has moved for {ONCE_SECONDS:.0f} s, {waiting}. Hint: rowferry status says why")
            raise SystemExit(1)

    def wait_for_release(self, token: str) -> None:
        """Poll paused and stopped nodes, which then change nothing, until a person has released one of them."""
        still = [side for side in self.sides if side.row.status in AT_REST]
        others = [side for side in self.sides if side not in still]
        for side in still:
            self.news.say(logging.WARNING, f"{side.node.name}: {side.row.status}: {side.row.reason}")
            side.inbox = None
            side.error = Error(side.node.name, "RF024", f"the link is {side.row.status} there: {side.row.reason}")
        if self.once:
            raise SystemExit(1)
        if others:  # so that their status says why nothing moves
            self.calls.step(others, self.opening.token(others), opening=True)
        for side in still:
            side.error = None
        while not self.stop.wait(max(self.calls.interval, LONGEST_REST / 2)):
            self.calls.call(still, token)
            self.calls.each(lambda side: side.connection.execute(sql.BACKEND), others)  # their sessions are in use
            if any(side.row.status not in AT_REST for side in still):
                return
