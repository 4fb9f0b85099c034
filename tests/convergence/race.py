"""One record, the applier against two users, statement by statement, under READ COMMITTED: each sees what was committed when
its statement began, waits for a row that another has locked, and finds no row where the other has replaced it.

The applier writes, then looks for changes of this node in a newer statement; if there are any it rolls back, locks the row,
decides, writes, and looks again. At rest a pending change must still be in its row. Left out: `no_second_look`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

NOBODY = ""


@dataclass(frozen=True)
class Row:
    """`line` tells a row from one that was inserted under the same key after it was deleted."""

    line: int
    value: str


class Table:
    def __init__(self, rng: random.Random) -> None:
        self.row: Row | None = Row(1, "old") if rng.random() < 0.5 else None
        self.before: Row | None = None  # what others see while somebody holds the record
        self.holder = NOBODY
        self.line = 1
        self.events: set[int] = set()  # committed and pending
        self.last_id = 0

    def seen_by(self, who: str) -> Row | None:
        return self.row if self.holder in (NOBODY, who) else self.before

    def reach(self, who: str, snapshot: Row | None, insert: bool) -> str:
        """What a statement of `who` that began with this snapshot meets: wait, missing, or ready (and it is locked)."""
        if self.holder not in (NOBODY, who):
            same = snapshot and self.before and snapshot.line == self.before.line
            return "wait" if insert or same else "missing"
        if not insert and not (snapshot and self.row and self.row.line == snapshot.line):
            return "missing"
        if self.holder == NOBODY:
            self.holder, self.before = who, self.row
        return "ready"

    def let_go(self, who: str, keep: bool) -> None:
        if self.holder == who:
            self.row = self.row if keep else self.before
            self.holder = NOBODY


def reached(table: Table, who: str, snapshot: Row | None, insert: bool) -> Iterator[str]:
    """Yields while it waits, then what the statement met."""
    while (met := table.reach(who, snapshot, insert)) == "wait":
        yield met
    yield met


def user(table: Table, name: str, rng: random.Random) -> Iterator[None]:
    """One or two statements, then commit, or a rollback now and then."""
    mine: set[int] = set()
    for _ in range(rng.choice([1, 1, 2])):
        snapshot = table.seen_by(name)
        insert = snapshot is None
        delete = not insert and rng.random() < 0.5
        yield
        met = ""
        for met in reached(table, name, snapshot, insert):
            if met == "wait":
                yield
        if met == "missing" or (insert and table.row is not None):  # no row to change, or a duplicate key
            break
        table.last_id += 1
        mine.add(table.last_id)
        if insert:
            table.line += 1
        line = table.row.line if table.row else table.line
        table.row = None if delete else Row(line, name)
        yield
    keep = rng.random() < 0.9
    if table.holder == name and keep:
        table.events |= mine
    table.let_go(name, keep)


def applier(table: Table, image: str | None, peer_wins: bool, broken: str) -> Iterator[None]:
    decided: set[int] = set()
    for attempt in range(20):
        if attempt:  # there was a change of this node: lock the row, then decide in a newer statement
            snapshot = table.seen_by("applier")
            yield
            for met in reached(table, "applier", snapshot, False):
                if met == "wait":
                    yield
            yield
            decided = set(table.events)
            yield
            if not peer_wins:
                table.let_go("applier", True)
                return
        snapshot = table.seen_by("applier")
        yield
        met = ""
        for met in reached(table, "applier", snapshot, image is not None):
            if met == "wait":
                yield
        if met == "ready":
            if image is not None and table.row is None:
                table.line += 1
            table.row = Row(table.row.line if table.row else table.line, image) if image is not None else None
        yield
        if table.events <= decided or (attempt and broken == "no_second_look"):
            table.events -= decided
            table.let_go("applier", True)
            return
        table.let_go("applier", False)
        yield


def play(seed: int, broken: str = "") -> str:
    """What went wrong in the race of this seed; empty: nothing."""
    rng = random.Random(seed)
    table = Table(rng)
    if rng.random() < 1 / 3:  # a change of this node from before
        table.last_id = 1
        table.events = {1}
        table.row = None if rng.random() < 0.5 else Row(1, "mine")
    image = rng.choice(["peer", "peer", None])
    running = [
        applier(table, image, rng.random() < 0.7, broken),
        user(table, "u", rng),
        user(table, "v", rng),
    ]
    for _ in range(400):
        if not running:
            break
        process = rng.choice(running)
        if next(process, "end") == "end":
            running.remove(process)
    if running:
        return "somebody waits for ever"
    if table.events and table.row is not None and table.row.value == "peer":
        return "a pending change is not in its row"
    return ""
