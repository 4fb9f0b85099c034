"""Rests: while nothing moves, the nodes are only asked whether there is anything to do, ever more rarely."""

import contextlib
import time
from typing import Any

from rowferry import sql
from rowferry.connection import connect, finish
from rowferry.courier.calls import LONGEST_REST, Calls
from rowferry.courier.side import Side, Trouble

FIRST_POLL, POLLS = 0.0005, 8  # when nothing moves: an eighth of the time since something did, up to the interval
LONGEST_WAIT = 0.25  # the longest interval at which looks wait in the server
WATCH_SECONDS, WATCHER_SECONDS, WATCH_AGAIN = 5.0, 3.0, 60.0  # until the first session looks; of silence; after a failure


class Rest:
    """With `once` each rest ends with a step, which tells whether all is done."""

    def __init__(self, calls: Calls, once: bool) -> None:
        self.calls, self.once = calls, once
        self.sides, self.stop, self.interval = calls.sides, calls.stop, calls.interval
        self.watchers, self.watch_at = contextlib.ExitStack(), 0.0  # second sessions; when they may be opened again
        self.looked: list[Any] = []  # what the nodes said before the last step that moved nothing

    def close(self) -> None:
        """End the second sessions."""
        self.watchers.close()

    def forget(self) -> None:
        """A step has moved something, so what the nodes said before it is past."""
        self.looked = []

    def until_due(self, token: str, moved_at: float) -> None:
        """Look until a node has something to do that the last step has not met, or it is time to try again. Raises Trouble.

        Looks, and steps that move nothing, take a tenth of the time at most.
        """
        began = time.monotonic()
        longest = min(max((began - moved_at) / POLLS, FIRST_POLL), LONGEST_REST)
        pause = 10 * self.calls.took if self.looked else 0.0
        while not self.stop.wait(min(max(pause, FIRST_POLL), max(self.interval, LONGEST_REST))):
            self.calls.call(self.sides, token, look=True)
            rested = (time.monotonic() - moved_at) / POLLS
            pause = max(10 * self.calls.took, min(rested, self.interval))
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
                self.calls.each(look, self.sides)
                if finish([side.watcher for side in self.sides], first=True):
                    raise Trouble({})
                if any(side.watching.fetchone().status != "idle" for side in self.sides if not side.watcher.awaited):
                    return True
        except Trouble:
            self.watchers.close()
            self.watch_at = time.monotonic() + WATCH_AGAIN
        return False
