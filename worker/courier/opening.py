"""Becoming the courier of a link: the lock on each node, and a token greater than any before."""

import contextlib
import logging
import secrets
import time
from collections.abc import Sequence

from rowferry import sql
from rowferry.connection import Error
from rowferry.courier.calls import LONGEST_REST, Calls
from rowferry.courier.side import Side, Trouble

LAST_TOKEN = 999_999_999_999_999  # what process_batch() takes; rowferry.resync() begins again
TELL_AGAIN = 60.0  # that the peer is out of reach


class Opening:
    """With `once` nobody is waited for who holds the lock."""

    def __init__(self, calls: Calls, once: bool) -> None:
        self.calls, self.once = calls, once
        self.stop, self.news = calls.stop, calls.news

    def lock(self) -> bool:
        """Become the courier; waits for the present one to go. False if told to stop meanwhile."""
        while not self.stop.is_set():
            if (holder := self.try_lock(self.calls.sides)) is None:
                return True
            message = f"another courier holds the lock on {holder}"
            if self.once:
                self.news.say(logging.ERROR, f"{message}. Hint: rowferry status shows where it runs")
                raise SystemExit(5)
            self.news.say(logging.INFO, f"{message}, waiting for it to go")
            self.stop.wait(max(self.calls.interval, LONGEST_REST / 2))
        return False

    def try_lock(self, sides: Sequence[Side]) -> str | None:
        """Take the lock on each node, in the order of their names: None, or the node on which another has it; then keep none."""
        for position, side in enumerate(sides):
            self.calls.each(lambda side: side.read(sql.BECOME_COURIER), [side])
            if side.row.status == "busy":
                self.calls.each(lambda side: side.connection.execute(sql.UNLOCK), sides[:position])
                return side.node.name
            if side.row.status == "idle" and side.row.reason:
                self.news.say(logging.WARNING, f"{side.node.name}: {side.row.reason}")
        return None

    def token(self, sides: Sequence[Side]) -> str:
        """A token greater than each node's own, and the connections made ready for calls with it."""
        self.calls.each(self.calls.read, sides)
        number = 1
        for side in sides:
            number = max(number, 1 + int(side.row.token.partition("-")[0]))
            if number > LAST_TOKEN:
                message = "the number of its token has reached its end, no courier can open any more"
                raise Trouble({side: Error(side.node.name, "RF003", message, "there: select * from rowferry.resync();")})
        self.calls.limit(sides, max(side.row.patience for side in sides))  # what is told at once may be large
        return f"{number}-{secrets.token_hex(8)}"

    def tell_reachable(self, trouble: Trouble) -> None:
        """Open on the node that did answer, at once and then each minute, so that its status says why nothing moves."""
        for silent, error in trouble.errors.items():
            side = silent.peer
            if side in trouble.errors or (side.told == error and time.monotonic() < side.told_at + TELL_AGAIN):
                continue
            silent.error = error
            with contextlib.suppress(Trouble):  # of its own: the next attempt meets it
                if self.try_lock([side]) is None:
                    self.calls.step([side], self.token([side]), opening=True)
                    side.told, side.told_at = error, time.monotonic()
