"""What histories on real databases have in common: couriers, clocks, refusals, and what must be so at rest.

A node is a side, by its number; a link is its two sides. Two nodes are a star with one spoke.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from convergence.stage import KEYS, Side, Stage
from convergence.state import Envelope, Token, join, knew_of

F = TypeVar("F", bound=Callable[..., Any])
LOGGED = "select number, tag, records, events, refused, conflicts from rowferry.batches where peer = %s and direction = %s"
CALL = "select * from rowferry.process_batch(%s, %s, %s, %s)"
SEEN = "select by, array_agg(pid order by pid) as pids from t.seen where by = 'users' or pid <> pg_backend_pid() group by by"
JUMPS = st.sampled_from([0, 0, 1, -7, 9])


@st.composite
def a_side(draw: st.DrawFn) -> int:
    return draw(st.integers(0, len(draw(st.runner()).sides) - 1))


@st.composite
def two_sides(draw: st.DrawFn) -> tuple[int, int]:
    count = len(draw(st.runner()).sides)
    first, second, *_ = draw(st.permutations(range(count))) if count > 2 else (0, 1)
    return first, second


@st.composite
def a_link(draw: st.DrawFn) -> tuple[int, int]:
    """From either end."""
    links: list[tuple[int, int]] = sorted(draw(st.runner()).tokens)
    return draw(st.sampled_from(links))


@st.composite
def a_pair(draw: st.DrawFn) -> tuple[int, int]:
    pairs: list[tuple[int, int]] = draw(st.runner()).stage.pairs
    return draw(st.sampled_from(pairs))


KINDS = st.sampled_from(["write", "write", "write", "delete"])


@dataclass
class Tally:
    """What was played and compared."""

    histories: int = 0
    steps: int = 0
    calls: int = 0
    rows: int = 0
    conflicts: int = 0
    comparisons: int = 0
    by_machine: dict[str, int] = field(default_factory=dict)


@dataclass
class Post:
    """A call of process_batch that waits to be made, on this side for this peer."""

    side: int
    peer: int
    token: Token
    real: bytes | None
    model: Envelope | None


def step(function: F) -> F:
    """A step of a history: after one that failed nothing more is done."""

    @functools.wraps(function)
    def taken(self: Any, *args: Any, **kw: Any) -> Any:
        self.tally.steps += 1
        try:
            return function(self, *args, **kw)
        except BaseException:
            self.failed = True
            raise

    return taken  # type: ignore[return-value]


class Exchange(RuleBasedStateMachine):
    """What all machines have: couriers, clocks, refusals, skips."""

    stage: Stage
    tally: Tally
    conflict_rule = "newest"
    orphan_rule = "hold"
    turns_at_rest = 1
    keys: tuple[str, ...] = KEYS  # of records that a node may refuse

    def __init__(self) -> None:
        super().__init__()
        self.stage.reset()
        self.failed = False
        self.may_skip = self.may_resync = False
        self.serial = 0
        self.clocks = [0.0 for _ in self.sides]
        self.refused: list[set[str]] = [set() for _ in self.sides]
        self.posts: list[Post] = []
        self.tokens: dict[tuple[int, int], Token] = {link: (0, "") for pair in self.stage.pairs for link in (pair, pair[::-1])}
        self.log: list[tuple[str, str, str | None, dict[str, int]]] = []
        for side in self.stage.sides:
            side.set_clock(0)
        for pair in self.stage.pairs:
            self.come(*pair)

    @initialize(skips=st.booleans(), resyncs=st.sampled_from([False, False, False, True]))
    @step
    def begin(self, skips: bool, resyncs: bool) -> None:
        """Whether people give changes up, or start new generations: then what is lost is theirs, and not judged."""
        self.may_skip, self.may_resync = skips, resyncs

    @property
    def sides(self) -> list[Side]:
        return self.stage.sides

    def peers(self, side: int) -> list[int]:
        return sorted(peer for mine, peer in self.tokens if mine == side)

    @rule(pair=a_pair())
    @step
    def courier(self, pair: tuple[int, int]) -> None:
        self.come(*pair)

    def come(self, one: int, other: int) -> None:
        """A new courier opens both nodes of a link; the old one's calls may still come."""
        self.serial += 1
        known = self.tokens[one, other], self.tokens[other, one]
        token: Token = (1 + max(int(t[0]) for t in known), f"{self.serial:06d}")
        self.posts += [Post(one, other, token, None, None), Post(other, one, token, None, None)]

    @rule(
        which=st.sampled_from([0, 0, 0, 0, 1, 2, 5]),
        again=st.sampled_from([False] * 6 + [True]),
        lost=st.sampled_from([False] * 8 + [True]),
        limit=st.sampled_from([1, 2, 5]),
    )
    @step
    def call(self, which: int, again: bool, lost: bool, limit: int) -> None:
        """The courier makes a call: not always the oldest; it may come once more; its answer may be lost."""
        if self.posts:
            post = self.posts[which % len(self.posts)] if again else self.posts.pop(which % len(self.posts))
            answer = self.exchange(post, limit)
            if answer is not None and not lost:
                self.posts.append(answer)

    @rule(calls=st.integers(1, 6), limit=st.sampled_from([1, 2, 5]))
    @step
    def carry(self, calls: int, limit: int) -> None:
        """Some calls without a fault."""
        for _ in range(calls * len(self.stage.pairs)):
            self.call.__wrapped__(self, 0, False, False, limit)  # type: ignore[attr-defined]

    @rule(side=a_side(), limit=st.sampled_from([1, 2, 5]))
    @step
    def overtake(self, side: int, limit: int) -> None:
        """Its peers make their calls, and what they say last comes first to this node."""
        elsewhere = [post for post in self.posts if side not in (post.side, post.peer)]
        self.posts = sorted((post for post in self.posts if side in (post.side, post.peer)), key=lambda post: post.side == side)
        while self.posts and self.posts[0].side != side:
            self.call.__wrapped__(self, 0, False, False, limit)  # type: ignore[attr-defined]
        self.posts = self.posts[::-1] + elsewhere

    @rule(side=a_side(), seconds=st.sampled_from([1, 1, 1, 5, 60, -7, -60]))
    @step
    def tick(self, side: int, seconds: int) -> None:
        self.set_clock(side, self.clocks[side] + seconds)

    @rule(side=a_side(), which=st.integers(0, 3))
    @step
    def refuse(self, side: int, which: int) -> None:
        """The node refuses this row until this is said again."""
        key = self.keys[which % len(self.keys)]
        if self.free(side, key):
            self.toggle(side, key)

    def toggle(self, side: int, key: str) -> None:
        connection = self.sides[side].courier
        if key in self.refused[side]:
            connection.execute("delete from t.refused where id = %s", (key,))
        else:
            connection.execute("insert into t.refused values (%s)", (key,))
        self.refused[side] ^= {key}

    def free(self, side: int, key: str) -> bool:
        return True

    def set_clock(self, side: int, seconds: float) -> None:
        self.clocks[side] = seconds
        self.sides[side].set_clock(seconds)

    def ask(self, post: Post, limit: int) -> dict[str, Any] | None:
        peer = None if len(self.peers(post.side)) == 1 else self.sides[post.peer].name
        token = f"{post.token[0]}-{post.token[1]}"
        return self.sides[post.side].courier.execute(CALL, (peer, token, post.real, limit)).fetchone()

    def real_call(self, post: Post, limit: int) -> dict[str, Any]:
        self.tally.calls += 1
        row = None
        # A lock of the server's own work, such as autovacuum's, may hold it: the courier tries again too.
        while row is None:
            with contextlib.suppress(psycopg.errors.LockNotAvailable):
                row = self.ask(post, limit)
        assert row["status"] in ("moved", "idle", "superseded", "stopped"), f"{row['status']}: {row['reason']}"
        if row["status"] != "superseded":
            self.tokens[post.side, post.peer] = max(self.tokens[post.side, post.peer], post.token)
        return row

    def exchange(self, post: Post, limit: int) -> Post | None:
        """Makes the call; the answer on its way to the other node."""
        row = self.real_call(post, limit)
        return Post(post.peer, post.side, post.token, row["envelope"], None) if row["envelope"] is not None else None

    def quiet(self) -> bool:
        return all(not side.courier.execute("select from rowferry.events limit 1").fetchall() for side in self.sides)

    def rest(self) -> None:
        """No more writes, and a courier that lives: everything is delivered."""
        self.posts.clear()
        for side, keys in enumerate(self.refused):
            for key in sorted(keys):
                self.toggle(side, key)
        for pair in self.stage.pairs:
            self.come(*pair)
        quiet = 0
        for turn in range(200):
            for side in range(len(self.sides)):
                self.set_clock(side, max(self.clocks) + 600)
            for _ in range(min(2 * len(self.stage.pairs), len(self.posts))):
                answer = self.exchange(self.posts.pop(0), 5)
                assert answer is not None, "a call at rest has no answer"
                self.posts.append(answer)
            quiet = quiet + 1 if self.quiet() else 0
            if turn > 2 and quiet >= self.turns_at_rest:
                self.compare_logs()
                return
        left = [side.courier.execute("select * from rowferry.sync_events").fetchall() for side in self.sides]
        raise AssertionError(f"never at rest: {left}")

    def compare_logs(self) -> None:
        """What a node has noted as sent, the other one has noted as applied, with the same numbers."""
        for side, peer in self.tokens:
            sent, applied = (
                {tuple(row.values()) for row in self.sides[at].courier.execute(LOGGED, (self.sides[of].name, how)).fetchall()}
                for at, of, how in ((side, peer, "sent"), (peer, side, "applied"))
            )
            assert sent <= applied

    def teardown(self) -> None:
        if not self.failed:
            self.finish()
            self.look_at_triggers()
            self.tally.histories += 1
            name = type(self).__name__
            self.tally.by_machine[name] = self.tally.by_machine.get(name, 0) + 1

    def finish(self) -> None:
        """Each machine's last steps, and what must hold then. Not abstract: Hypothesis brings a metaclass of its own."""
        raise NotImplementedError

    def look_at_triggers(self) -> None:
        """A user's trigger has run for each row that a user wrote, and for none of a peer's."""
        for side in self.sides:
            seen = {row["by"]: row["pids"] for row in side.courier.execute(SEEN).fetchall()}
            assert seen.get("users") == seen.get("every"), f"on {side.name} the users' trigger ran for {seen}"

    def undone(self, key: str, *finals: dict[str, int]) -> Iterator[str]:
        """Writes of this record that knew of the final row and are not in it. Equal rows may know of different writes."""
        for writer, written, value, seen in self.log:
            if written == key and all(final != join(final, seen) and knew_of(seen, final) for final in finals):
                yield f"{value or 'a delete'} of {writer}"
