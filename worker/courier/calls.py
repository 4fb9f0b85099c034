"""Calls of process_batch() on the nodes of a link, on both at the same time, and how long they may take."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import psycopg

from rowferry import sql
from rowferry.config import Node
from rowferry.connection import FAILURES, SILENCE_SECONDS, Error, describe, finish
from rowferry.courier.headway import Headway
from rowferry.courier.news import News
from rowferry.courier.side import Side, Trouble

LONGEST_REST = 2.0  # until the next step while something waits that no look can tell from what was there before
BUSY_PAUSE, BUSY_SECONDS = 0.02, 10.0  # another call for the link is at work: what an earlier worker left behind, or a person
MOST_EVENTS = 100000  # events in a batch, while rows need each other


class Calls:
    """Calls on the nodes of a link.

    `interval`: seconds between polls when there is nothing to do. `serve` is told of each outbox that a node has.
    """

    def __init__(
        self,
        sides: Sequence[Side],
        interval: float,
        stop: threading.Event,
        serve: Callable[[Node, str], None] | None,
        news: News,
        headway: Headway,
    ) -> None:
        self.sides, self.interval, self.stop, self.serve = sides, interval, stop, serve
        self.news, self.headway = news, headway
        self.took = 0.0  # seconds of the last call on both
        self.patience = 1  # how many times as long as usual the next calls may take, for a large row

    def each(self, action: Callable[[Side], Any], sides: Sequence[Side]) -> list[Any]:
        """Do it on each node, one after the other; raises Trouble when all have had their turn."""
        results, errors = [], {}
        for side in sides:
            try:
                results.append(action(side))
            except FAILURES as error:
                errors[side] = describe(side.node, error)
            self.news.supervisor.alive()
        if errors:
            raise Trouble(errors)
        return results

    def read(self, side: Side) -> None:
        """Where things stand on a node, and whether it has an outbox to be served."""
        side.read()
        self.look_for_outbox(side)

    def look_for_outbox(self, side: Side) -> None:
        if self.serve and side.row.outbox:
            self.serve(side.node, side.row.outbox)

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

    def step(self, sides: Sequence[Side], token: str, opening: bool = False) -> None:
        """One call on each node, at the same time; then each is handed what the other's call returned."""
        began = time.monotonic()
        try:
            self.call(sides, token, opening)
        finally:
            if self.patience > 1:  # time that was asked for is not time in which nothing moves
                self.headway.at += time.monotonic() - began
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
