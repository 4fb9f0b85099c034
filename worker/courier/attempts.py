"""Attempt after attempt to connect to both nodes, open the exchange and keep it going, until the worker is told to stop."""

import contextlib
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence

from rowferry import sql
from rowferry.config import Node
from rowferry.connection import connect
from rowferry.courier.calls import Calls
from rowferry.courier.headway import Headway
from rowferry.courier.news import News
from rowferry.courier.opening import Opening
from rowferry.courier.rest import Rest
from rowferry.courier.rounds import Rounds
from rowferry.courier.side import USUAL_LIMIT, Side, Trouble, sides_of

LARGE_QUEUE = 1000  # events that wait: from so many on it pays for `run --once` that the servers keep memory between calls


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
        self.sides, self.outbox = sides_of(nodes, outbox), outbox
        self.once, self.stop, self.alone = once, stop, alone
        self.opened = False  # whether it has ever been
        self.news, self.headway = News(), Headway()
        self.calls = Calls(self.sides, interval, stop, serve, self.news, self.headway)
        self.opening = Opening(self.calls, once)
        self.rest = Rest(self.calls, once)
        self.rounds = Rounds(self.calls, self.opening, self.rest, once)

    def run(self) -> None:
        """Attempt after attempt, until told to stop. Raises SystemExit with an exit code once it has said why it ends."""
        self.news.supervisor.tell("READY=1")  # a node that is away is waited for, which is work too
        try:
            while not self.stop.is_set():
                try:
                    self.attempt()
                except Trouble as trouble:
                    self.back_off(trouble)
        finally:
            self.news.supervisor.tell("STOPPING=1")

    def account(self) -> list[str]:
        """What went, a line for each node that was heard: `crm: 1,000 sent, 55 taken, 2 held`."""
        heard = [side for side in self.sides if side.row is not None]
        to = f" to {self.outbox}" if self.outbox else ""
        return [f"{side.node.name}{to}: {side.sent:,} sent, {side.taken:,} taken, {side.row.held or 0:,} held" for side in heard]

    def back_off(self, trouble: Trouble) -> None:
        """Say what is wrong and wait a while before the next attempt; raises SystemExit where another attempt is no use."""
        if self.outbox and any(error.sqlstate == "RF002" for error in trouble.errors.values()):
            self.news.say(logging.INFO, f"the outbox {self.outbox} is removed")
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
            ends = self.once and self.headway.is_missing()
        else:
            ends = self.once or (self.alone and code in (2, 4))
        self.news.say(logging.ERROR if ends else logging.WARNING, message)
        if ends:
            raise SystemExit(code)
        for side, error in trouble.errors.items():
            side.error = error
        self.stop.wait(self.headway.pause * random.uniform(0.5, 1))
        late = [side for side, error in trouble.errors.items() if error.sqlstate == "57014"]
        for side in late:  # it was applying, and then the peer builds smaller once it is told, or building
            side.limit = max(1, min(side.limit or USUAL_LIMIT, side.pending) // 4)
        if not late:  # else the next batch is smaller, and there is no point in waiting longer
            self.headway.pause_longer()

    def attempt(self) -> None:
        """Connect, lock, open, and exchange until there is a reason to open anew. Raises Trouble or SystemExit."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.rest.close)

            def enter(side: Side) -> None:
                side.inbox = None
                side.connection = connect(side.node)
                stack.callback(side.connection.close)

            try:
                self.calls.each(enter, self.sides)
                # Before the lock: both variables may hold one database, or it may be no node.
                self.calls.each(self.calls.read, self.sides)
                if not self.once or any(side.row.pending >= LARGE_QUEUE for side in self.sides):
                    self.calls.each(lambda side: side.connection.execute(sql.KEEP_MEMORY), self.sides)
                if not self.opening.lock():
                    return
                token = self.opening.token(self.sides)
                self.calls.step(self.sides, token, opening=True)
            except Trouble as trouble:
                self.opening.tell_reachable(trouble)
                raise
            for side in self.sides:
                side.error = side.told = None
                side.target = side.target if self.opened else side.row.last_id
            if not self.opened:
                self.opened, self.headway.at = True, time.monotonic()
            self.rounds.exchange(token)
