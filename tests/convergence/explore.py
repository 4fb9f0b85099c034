"""The model explored exhaustively at a small scope: each step at every point where it can happen, breadth first.

The nodes are those that the random histories play, with the same rules. A state is both nodes, the envelopes that may come
to them, and what may still happen. Each envelope that was ever made may come at any time, as often as it likes, or never:
so envelopes are lost, repeated and late without a bound, and each node may be called at any time without one.
From every state a new courier drives both nodes to rest, and there they are judged as those of the random histories are.

States that differ in nothing that matters are one:
- Envelopes have no order. One with no news for its node is left out: it is as good as a call without an envelope.
- A node that would say something without changing has said it, since this may happen at any time.
- Of two nodes that are alike, the one that writes first is called a (`Scope.mirrored`).
- Only the order of stamps and of the times at which something is due matters: there is one stamp for each write.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from convergence.explored import NAMES, Explored, Known
from convergence.judge import CHILD, Judge, Outcome
from convergence.state import Image, Rules, Token, parent_of

NEWEST = Rules()


class Left(NamedTuple):
    """What may still happen. Each write takes one of the stamps."""

    stamps: tuple[int, ...]
    couriers: int
    refusals: int
    skips: int
    ticks: int


class State(NamedTuple):
    """Nodes and posts by their numbers."""

    nodes: tuple[int, int]
    left: Left
    posts: tuple[int, ...]


class Step(NamedTuple):
    """`how`: of a write its stamp and rows, of a call its post, limit and the row that is refused, of a skip its row and word."""

    what: str
    side: int = 0
    how: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Scope:
    """How much may happen in one history. A node has two batches in flight at most."""

    writes: int = 2  # statements of users
    couriers: int = 1  # how often the courier changes
    refusals: int = 0  # rows that a node does not take
    skips: int = 0
    ticks: int = 0  # how often all that waits for its time becomes due
    limits: tuple[int, ...] = (5,)
    rows: tuple[tuple[str, str], ...] = ()  # which both nodes have at first
    keys: tuple[str, ...] = ("k",)
    rules: Rules = NEWEST

    @property
    def mirrored(self) -> bool:
        """Whether nodes are alike: no rule has a favourite, and no two changes are of one age, which decides by name.

        Changes without a time of their own are of one age; skips and foreign keys make them.
        """
        return self.rules.conflict == "newest" and not self.skips and not self.rules.foreign


@dataclass
class Found:
    """What an exploration has seen. `way`: the shortest one to what is wrong; `told`: the same in words."""

    states: int = 1
    steps: int = 0
    rests: int = 0
    depth: int = 0
    seconds: float = 0.0
    whole: bool = False
    wrong: Outcome | None = None
    way: list[Step] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    @property
    def counts(self) -> str:
        return (
            f"{'all' if self.whole else 'the first'} {self.states:,} states, {self.steps:,} steps between them, "
            f"{self.rests:,} pairs of nodes driven to rest, up to {self.depth} steps deep, {self.seconds:.1f} s"
        )

    def __str__(self) -> str:
        return "\n  ".join([self.counts, *self.told])


class Explorer:
    """Explores one scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.known = Known(scope.rules)
        self.rests: dict[tuple[int, int, bool], Outcome] = {}
        self.came_from: dict[State, State | None] = {}
        self.lefts: dict[Left, Left] = {}

    # what happens

    def start(self) -> State:
        nodes = []
        for name in NAMES:
            node = Explored(name, self.scope.rules)
            node.rows = {key: Image(value, {}) for key, value in self.scope.rows}
            nodes.append(self.known.node(node))
        scope = self.scope
        left = Left(tuple(range(scope.writes)), scope.couriers, scope.refusals, scope.skips, scope.ticks)
        return State((nodes[0], nodes[1]), left, self.hellos((1, 1)))

    def hellos(self, token: Token) -> tuple[int, ...]:
        return tuple(self.known.post(side, token) for side in (0, 1))

    def next_token(self, nodes: tuple[int, int], serial: int) -> Token:
        return 1 + max(self.known.nodes[n].link.token[0] for n in nodes), serial

    def next(self, state: State) -> Iterator[tuple[Step, State]]:
        """Every step from here, and where it leads."""
        yield from self.calls(state)
        known, left = self.known, state.left
        for side in (0, 1):
            node = state.nodes[side]
            if left.stamps and not (side and self.scope.mirrored and len(left.stamps) == self.scope.writes):
                for writes in self.statements(known.nodes[node]):
                    for i, stamp in enumerate(left.stamps):
                        less = left._replace(stamps=left.stamps[:i] + left.stamps[i + 1 :])
                        after = known.written(node, stamp, writes)
                        yield Step("write", side, (stamp, writes)), self.moved(state, side, after, less)
            if left.skips:
                for key in self.scope.keys:
                    for delete in (False, True):
                        if (after := known.skipped(node, key, delete)) != node:
                            less = left._replace(skips=left.skips - 1)
                            yield Step("skip", side, (key, delete)), self.moved(state, side, after, less)
        if left.couriers:
            token = self.next_token(state.nodes, 2 + self.scope.couriers - left.couriers)
            posts = tuple(sorted((*state.posts, *self.hellos(token))))
            yield Step("courier", 0, token), State(state.nodes, left._replace(couriers=left.couriers - 1), posts)
        if left.ticks and any(known.nodes[n].waits() for n in state.nodes):
            less = left._replace(ticks=left.ticks - 1)
            yield Step("tick"), State((known.later(state.nodes[0]), known.later(state.nodes[1])), less, state.posts)

    def calls(self, state: State) -> Iterator[tuple[Step, State]]:
        known, left = self.known, state.left
        for post in state.posts:
            side, _, envelope = known.posts[post]
            refused = tuple(envelope.batch.rows) if left.refusals and envelope and envelope.batch else ()
            outcomes: set[tuple[int, int | None]] = set()
            for refuse in ("", *refused):
                less = left._replace(refusals=left.refusals - 1) if refuse else left
                for limit in self.scope.limits:
                    outcome = after, answer = known.call(state.nodes[side], post, limit, refuse)
                    if outcome not in outcomes:
                        outcomes.add(outcome)
                        yield Step("call", side, (post, limit, refuse)), self.moved(state, side, after, less, answer)

    def moved(self, state: State, side: int, after: int, left: Left, answer: int | None = None) -> State:
        """The state in which this node is another one."""
        known, left = self.known, self.lefts.setdefault(left, left)
        nodes = (state.nodes[0], after) if side else (after, state.nodes[1])
        posts = {*state.posts} if answer is None else {*state.posts, answer}
        hello = known.post(side, known.nodes[after].link.token)
        if after != state.nodes[side] and hello in posts:
            same, said = known.call(after, hello, self.scope.limits[0])
            posts |= {said} if same == after and said is not None else set()
        return State(nodes, left, tuple(sorted([p for p in posts if known.matters(nodes[known.posts[p].side], p)])))

    def statements(self, node: Explored) -> Iterator[tuple[tuple[str, str | None], ...]]:
        """What a user of this node may write in one statement."""
        name, foreign = f"{node.name}{node.version + 1}", self.scope.rules.foreign
        parents = [key for key in self.scope.keys if key != CHILD and node.live(key)]
        for key in self.scope.keys:
            values = [f"{name}>{parent}" for parent in parents] if foreign and key == CHILD else [name]
            for value in values:
                yield ((key, value),)
            child = foreign and key != CHILD and node.live(CHILD) and parent_of(node.rows[CHILD]) == key
            if node.live(key) and (not child or foreign == "cascade"):
                yield ((CHILD, None), (key, None)) if child else ((key, None),)

    # at rest

    def rest(self, state: State) -> Outcome:
        """What is wrong when a courier that lives drives both nodes to rest from here."""
        key = *state.nodes, state.left.skips < self.scope.skips
        if key not in self.rests:
            self.rests[key] = self._rest(*key)
        return self.rests[key]

    def _rest(self, a: int, b: int, given_up: bool) -> Outcome:
        known = self.known
        back: int | None = self.hellos(self.next_token((a, b), 99))[0]
        for _ in range(60):
            before = a, b
            there = None
            if back is not None:
                a, there = known.call(a, back, 5)
            if there is not None:
                b, back = known.call(b, there, 5)
            if there is None or all(known.nodes[n].link.ready and not known.nodes[n].link.events for n in (a, b)):
                break  # a node has stopped, or all is done
            if (a, b) == before:
                a, b = known.later(a), known.later(b)
        nodes = {name: known.nodes[n] for name, n in zip(NAMES, (a, b), strict=True)}
        log = [write for node in nodes.values() for write in node.log]
        outcome = Judge(nodes, self.scope.keys, self.scope.rules, log, given_up).outcome()
        if not outcome.stopped and nodes["a"].conflicts != nodes["b"].conflicts:
            outcome.lost.append("a conflict of which only one node knows")
        return outcome

    # breadth first

    def explore(self, seconds: float = float("inf")) -> Found:
        """Sees all states, or those of so much time, or those up to the first that is wrong."""
        began = time.monotonic()
        gc.disable()  # nothing here refers to itself, and there is much to look through
        try:
            found = self._explore(began + seconds)
        finally:
            gc.enable()
        found.seconds = time.monotonic() - began
        return found

    def _explore(self, until: float) -> Found:
        found = Found()
        level = [self.start()]
        self.came_from = {level[0]: None}
        while level and not found.wrong and time.monotonic() < until:
            found.depth += 1
            following: list[State] = []
            for state in level:
                for _, after in self.next(state):
                    found.steps += 1
                    if after not in self.came_from:
                        self.came_from[after] = state
                        following.append(after)
                        found.wrong = found.wrong or self.rest(after) or None
                if found.wrong or time.monotonic() > until:
                    break
            else:
                found.whole = not following
            level = following
        found.states, found.rests = len(self.came_from), len(self.rests)
        if found.wrong:
            found.way = self.way(next(s for s in self.came_from if self.rest(s)))
            found.told = [*map(self.told, found.way), f"then, at rest: {found.wrong}"]
        return found

    def way(self, state: State) -> list[Step]:
        """The steps that lead to this state."""
        steps: list[Step] = []
        while (before := self.came_from[state]) is not None:
            steps.append(next(step for step, after in self.next(before) if after == state))
            state = before
        return steps[::-1]

    def told(self, step: Step) -> str:
        name = NAMES[step.side]
        if step.what == "courier":
            return f"a courier comes with token {step.how}"
        if step.what == "tick":
            return "time passes"
        if step.what == "write":
            return f"{name} writes {dict(step.how[1])} at {step.how[0]}"
        if step.what == "skip":
            return f"{name} skips {step.how[0]}" + (" and says that the row may go" if step.how[1] else "")
        post, limit, refuse = step.how
        _, token, envelope = self.known.posts[post]
        text = f"{name} is called under {token}, limit {limit}, "
        if envelope is None:
            return f"{text}without an envelope"
        rows = {key: image.value for key, (image, _) in envelope.batch.rows.items()} if envelope.batch else {}
        text += f"batch {envelope.batch.number} {rows}" if envelope.batch else "no batch"
        text += f", acknowledging {sorted(envelope.acks)}, retired {envelope.retired}"
        return text + f", and refuses {refuse}" * bool(refuse)


FAMILY: dict[str, Any] = {"keys": ("p", CHILD), "rows": (("p", "p0"), (CHILD, f"{CHILD}0>p"))}
PARENT: dict[str, Any] = {"keys": ("p", CHILD), "rows": (("p", "p0"),)}
CASCADE = Rules(foreign="cascade")
HOLD, DROP, REVIVE = (Rules(foreign=rule) for rule in ("hold", "drop", "revive"))
FIXED, MERGE = Rules(conflict="fixed"), Rules(conflict="merge")
# Of about a minute in all, and of many.
SMALL = {
    "three writes": Scope(writes=3, couriers=0),
    "a courier and a refused row": Scope(refusals=1, ticks=1),
    "a skip and a refused row": Scope(couriers=0, skips=1, refusals=1, ticks=1),
    "a parent that has no child yet, three writes": Scope(writes=3, couriers=0, rules=CASCADE, **PARENT),
    "a parent with a child, a refused row": Scope(couriers=0, refusals=1, ticks=1, rules=CASCADE, **FAMILY),
    "a parent with a child, a skip": Scope(couriers=0, skips=1, rules=CASCADE, **FAMILY),
    "orphans are held": Scope(couriers=0, ticks=1, rules=HOLD, **PARENT),
    "orphans are dropped": Scope(couriers=0, ticks=1, rules=DROP, **PARENT),
    "parents are revived": Scope(couriers=0, ticks=1, rules=REVIVE, **PARENT),
    "a named node wins, a courier": Scope(rules=FIXED),
    "a function merges, a courier": Scope(rules=MERGE),
}
LARGE = {
    "a courier, a skip and a refused row": Scope(skips=1, refusals=1, ticks=1),
    "three writes and a courier": Scope(writes=3),
    "a parent with a child, a courier, one record a batch": Scope(limits=(1,), rules=CASCADE, **FAMILY),
    "a parent with a child, a courier and a refused row": Scope(refusals=1, ticks=1, rules=CASCADE, **FAMILY),
    "a parent with a child, a courier and a skip": Scope(skips=1, rules=CASCADE, **FAMILY),
    "a parent with a child, a skip and a refused row": Scope(couriers=0, skips=1, refusals=1, ticks=1, rules=CASCADE, **FAMILY),
    "a parent with a child, three writes": Scope(writes=3, couriers=0, rules=CASCADE, **FAMILY),
    "orphans are held, a courier and a refused row": Scope(refusals=1, ticks=1, rules=HOLD, **PARENT),
    "orphans are dropped, a courier and a refused row": Scope(refusals=1, ticks=1, rules=DROP, **PARENT),
    "parents are revived, a courier and a refused row": Scope(refusals=1, ticks=1, rules=REVIVE, **PARENT),
    "a named node wins, three writes and a courier": Scope(writes=3, rules=FIXED),
    "a function merges, three writes and a courier": Scope(writes=3, rules=MERGE),
}
