"""The model explored exhaustively at a small scope: every order of every step, breadth first, with the rules that histories play.

A state is two nodes, the envelopes that are under way, and what may still happen (`Left`). An envelope may come at any time
and in any order; one that never comes is lost. From every state a new courier then drives both nodes to rest, where they are
judged as those of the random histories are. Equal nodes and equal envelopes are kept once and known by a number, so that a
call of one node with one envelope is played once, however many states it occurs in.

States that differ in nothing but names are one: nodes mirrored (`Scope.mirrored`), envelopes in another order, envelopes that
nobody would listen to any more, clocks that show other times in the same order.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from convergence.judge import CHILD, Judge, Outcome
from convergence.model import Node
from convergence.state import NOTHING, Built, Envelope, Held, Image, Link, Missing, Rules, Skip, Token, parent_of

NAMES = "ab"
State = tuple[int, ...]  # numbers of node a, node b and what is left, and then of the envelopes under way


class Left(NamedTuple):
    """What may still happen. A change is as old as one of `stamps` says, and no two are of the same age."""

    stamps: tuple[int, ...]
    couriers: int
    repeats: int
    refusals: int
    skips: int
    ticks: int


@dataclass(frozen=True)
class Scope:
    """How much may happen in a history. `writes`: statements of users. `repeats`: envelopes that come twice."""

    writes: int = 2
    couriers: int = 1  # changes of courier
    repeats: int = 1
    refusals: int = 0
    skips: int = 0
    ticks: int = 0  # how often all that waits for its time may become due
    limits: tuple[int, ...] = (5,)
    rows: tuple[tuple[str, str], ...] = ()  # that both nodes have at first
    keys: tuple[str, ...] = ("k",)
    rules: Rules = Rules()

    @property
    def mirrored(self) -> bool:
        """Whether the first write may be taken for one of node a: where no rule looks at a node's name.

        It does where both sides have changes without a time of their own, which only skips and foreign keys make.
        """
        return not self.skips and not self.rules.foreign and self.rules.conflict == "newest"


class Post(NamedTuple):
    """A call that waits to be made."""

    side: int
    token: Token
    envelope: Envelope | None


class Step(NamedTuple):
    """What happens between two states. `post`: number of the call that is made; `text`: the step in words."""

    text: str
    post: int | None = None


@dataclass
class Found:
    """What an exploration has seen, and the shortest way to what is wrong."""

    states: int = 0
    steps: int = 0
    rests: int = 0
    depth: int = 0
    seconds: float = 0.0
    whole: bool = True
    wrong: Outcome | None = None
    way: list[Step] = field(default_factory=list)

    def __str__(self) -> str:
        how = "all" if self.whole else "the first"
        text = (
            f"{how} {self.states} states, {self.steps} steps, {self.rests} pairs of nodes driven to rest, "
            f"at most {self.depth} steps deep, {self.seconds:.1f} s"
        )
        return "\n".join([text, *(f"  {step.text}" for step in self.way), *([f"  {self.wrong}"] if self.wrong else [])])


class Explored(Node):
    """A node whose writes are in a log of its own, and whose tags are a matter of its own past."""

    drawn = 0

    def tag(self) -> int:
        self.drawn += 1
        return self.drawn

    def tick(self) -> None:
        self.now += 600  # longer than any row is held

    def waits(self) -> bool:
        """Whether something becomes due when time passes."""
        return any(
            waiting.until is not None and waiting.until > self.now
            for link in self.links.values()
            for waiting in (*link.held.values(), *link.missing.values())
        )

    def quiet(self) -> bool:
        return all(link.ready and not link.events for link in self.links.values())


COPIED = {Explored, Link, Built, Held, Missing, Skip}


def fork(thing: Any) -> Any:
    """A copy that may change while the original stays. What is never changed in place is shared."""
    kind = type(thing)
    if kind is dict:
        return {key: fork(value) for key, value in thing.items()}
    if kind is list or kind is set:
        return kind(thing)
    if kind in COPIED:
        copy = kind.__new__(kind)
        copy.__dict__.update({name: fork(value) for name, value in thing.__dict__.items()})
        return copy
    return thing


def frozen(thing: Any) -> Any:
    """Equal for things that are equal, and a key of dicts."""
    kind = type(thing)
    if kind in PLAIN:
        return thing
    if kind is dict:
        return frozenset([(key, frozen(value)) for key, value in thing.items()])
    if kind is set:
        return frozenset(map(frozen, thing))
    if kind in COPIED:
        return tuple(map(frozen, thing.__dict__.values()))
    return tuple(map(frozen, thing))  # a list or a named tuple


PLAIN = {int, str, float, bool, type(None), Rules}


class Explorer:
    """Explores one scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.nodes: list[Explored] = []
        self.posts: list[Post | None] = [None]  # number 0: no answer
        self.lefts: list[Left] = []
        self.numbers: dict[Any, int] = {}
        self.called: dict[tuple[int, int, int, str], tuple[int, int]] = {}
        self.done: dict[tuple[Any, ...], Any] = {}
        self.rests: dict[tuple[int, int, bool], Outcome] = {}
        self.tokens: list[Token] = []  # of each node
        self.came_from: dict[State, list[tuple[int, State | None]]] = {}
        self.quiet: list[bool] = []
        self.waits: list[bool] = []

    # equal things have equal numbers

    def node(self, node: Explored) -> int:
        key = frozen(node)
        number = self.numbers.get(key)
        if number is None:
            number = self.numbers[key] = len(self.nodes)
            self.nodes.append(node)
            self.tokens.append(node.links[NAMES[1 - NAMES.index(node.name)]].token)
            self.quiet.append(node.quiet())
            self.waits.append(node.waits())
        return number

    def post(self, post: Post) -> int:
        key = frozen(post)
        number = self.numbers.get(key)
        if number is None:
            number = self.numbers[key] = len(self.posts)
            self.posts.append(post)
        return number

    def left(self, left: Left) -> int:
        number = self.numbers.get(left)
        if number is None:
            number = self.numbers[left] = len(self.lefts)
            self.lefts.append(left)
        return number

    # what one node does

    def call(self, number: int, post: int, limit: int, refuse: str = "") -> tuple[int, int]:
        """Numbers of the node after the call, and of its answer on its way to the other node."""
        key = number, post, limit, refuse
        found = self.called.get(key)
        if found is None:
            before, (side, token, envelope) = self.nodes[number], self.posts[post]  # type: ignore[misc]
            node = fork(before)
            answer = node.call(NAMES[1 - side], token, envelope, limit, {refuse} if refuse else ())
            traced = {(c.key, c.loser_value) for c in node.conflicts}
            node.overwritten = [lost for lost in node.overwritten if lost not in traced]
            found = self.node(node), self.post(Post(1 - side, token, answer)) if answer else 0
            self.called[key] = found
        return found

    def change(self, number: int, what: str, *how: Any) -> int:
        """The node after what a user or a person did, or after time has passed."""
        key = number, what, how
        if key not in self.done:
            node = fork(self.nodes[number])
            if what == "write":
                stamp, writes = how
                for row, value in writes:
                    node.write(row, value, stamp)
            else:
                getattr(node, what)(*how)
            self.done[key] = self.node(node)
        return int(self.done[key])

    def statements(self, number: int) -> list[tuple[str, tuple[tuple[str, str | None], ...]]]:
        """What a user of this node may do in one statement, and which rows it writes."""
        key = number, "statements"
        if key not in self.done:
            self.done[key] = list(self._statements(self.nodes[number]))
        return self.done[key]  # type: ignore[no-any-return]

    def _statements(self, node: Explored) -> Iterator[tuple[str, tuple[tuple[str, str | None], ...]]]:
        name = f"{node.name}{node.version + 1}"
        foreign = self.scope.rules.foreign
        parents = [key for key in self.scope.keys if key != CHILD and node.live(key)]
        for key in self.scope.keys:
            values = [name] if not foreign or key != CHILD else [f"{name}>{parent}" for parent in parents]
            for value in values:
                yield f"{node.name} writes {key} = {value}", ((key, value),)
            child = foreign and key != CHILD and node.live(CHILD) and parent_of(node.rows[CHILD]) == key
            if node.live(key) and (not child or foreign == "cascade"):
                yield f"{node.name} deletes {key}", (*(((CHILD, None),) if child else ()), (key, None))

    # what happens

    def start(self) -> State:
        numbers = []
        for name, peer in zip(NAMES, NAMES[::-1], strict=True):
            node = Explored(name, self.scope.rules, [])
            node.drawn = 0
            node.links[peer] = Link()
            node.rows = {key: Image(value, {}) for key, value in self.scope.rows}
            numbers.append(self.node(node))
        scope = self.scope
        left = Left(tuple(range(scope.writes)), scope.couriers, scope.repeats, scope.refusals, scope.skips, scope.ticks)
        return (*numbers, self.left(left), *self.hellos((1, 1)))

    def hellos(self, token: Token) -> list[int]:
        return [self.post(Post(side, token, None)) for side in (0, 1)]

    def next_token(self, a: int, b: int, serial: int) -> Token:
        return 1 + max(self.tokens[a][0], self.tokens[b][0]), serial

    def next(self, state: State) -> Iterator[tuple[Step, State]]:
        """Every step from here, and where it leads."""
        yield from self.deliveries(state)
        left = self.lefts[state[2]]
        posts = state[3:]
        for side in (0, 1):
            number = state[side]
            if left.stamps and not (side and self.scope.mirrored and len(left.stamps) == self.scope.writes):
                for text, writes in self.statements(number):
                    for i, stamp in enumerate(left.stamps):
                        less = self.left(left._replace(stamps=left.stamps[:i] + left.stamps[i + 1 :]))
                        after = self.change(number, "write", stamp, writes)
                        yield Step(f"{text} at {stamp}"), self.moved(state, side, after, less, posts)
            if left.skips:
                less = self.left(left._replace(skips=left.skips - 1))
                for key in self.scope.keys:
                    for delete in (False, True):
                        after = self.change(number, "skip", NAMES[1 - side], key, None, delete)
                        if after != number:
                            text = f"{NAMES[side]} skips {key}{' and says that the row may go' if delete else ''}"
                            yield Step(text), self.moved(state, side, after, less, posts)
        if left.couriers:
            token = self.next_token(state[0], state[1], 1 + self.scope.couriers - left.couriers + 1)
            less = self.left(left._replace(couriers=left.couriers - 1))
            yield Step(f"a courier comes with {token}"), (*state[:2], less, *sorted((*posts, *self.hellos(token))))
        if left.ticks and (self.waits[state[0]] or self.waits[state[1]]):
            less = self.left(left._replace(ticks=left.ticks - 1))
            yield Step("time passes"), (self.change(state[0], "tick"), self.change(state[1], "tick"), less, *posts)

    def deliveries(self, state: State) -> Iterator[tuple[Step, State]]:
        left = self.lefts[state[2]]
        posts = state[3:]
        for i, post in enumerate(posts):
            if i and posts[i - 1] == post:
                continue
            side, _, envelope = self.posts[post]  # type: ignore[misc]
            number, outcomes = state[side], set()
            refused = tuple(envelope.batch.rows) if left.refusals and envelope and envelope.batch else ()
            for refuse in ("", *refused):
                less = self.left(left._replace(refusals=left.refusals - 1)) if refuse else state[2]
                for limit in self.scope.limits:
                    outcome = after, answer = self.call(number, post, limit, refuse)
                    if outcome in outcomes or (after == number and not answer):
                        continue  # nothing that it would not do anyway
                    outcomes.add(outcome)
                    step = Step(self.told(side, post, limit, refuse), post)
                    others = posts[:i] + posts[i + 1 :]
                    yield step, self.moved(state, side, after, less, others, answer)
                    if left.repeats:
                        now = self.lefts[less]
                        once_less = self.left(now._replace(repeats=now.repeats - 1))
                        step = Step(f"{step.text}; it will come again", post)
                        yield step, self.moved(state, side, after, once_less, posts, answer)

    def moved(self, state: State, side: int, after: int, left: int, posts: tuple[int, ...], answer: int = 0) -> State:
        """The state in which this node is another one. What nobody would listen to any more is not under way."""
        nodes = (state[0], after) if side else (after, state[1])
        if answer:
            posts = (*posts, answer)
        if (answer or self.tokens[after] != self.tokens[state[side]]) and self.scope.rules.broken != "any_token":
            posts = tuple([p for p in posts if self.posts[p].token >= self.tokens[nodes[self.posts[p].side]]])  # type: ignore[union-attr]
        return (*nodes, left, *sorted(posts))

    def told(self, side: int, post: int, limit: int, refuse: str) -> str:
        _, token, envelope = self.posts[post]  # type: ignore[misc]
        text = f"{NAMES[side]} is called under {token} with "
        if envelope is None:
            text += "no envelope"
        else:
            rows = {k: image.value for k, (image, _) in envelope.batch.rows.items()} if envelope.batch else {}
            batch = f"batch {envelope.batch.number} {rows}" if envelope.batch else "no batch"
            text += f"{batch}, acknowledging {sorted(envelope.acks)}, received {envelope.received}, retired {envelope.retired}"
        return text + f", limit {limit}" * (len(self.scope.limits) > 1) + f", and refuses {refuse}" * bool(refuse)

    # at rest

    def rest(self, state: State) -> Outcome:
        """What is wrong when a courier that lives drives both nodes to rest from here."""
        key = state[0], state[1], self.lefts[state[2]].skips < self.scope.skips
        if key not in self.rests:
            self.rests[key] = self._rest(*key)
        return self.rests[key]

    def _rest(self, a: int, b: int, given_up: bool) -> Outcome:
        token = self.next_token(a, b, 99)
        there = back = 0
        hello, _ = self.hellos(token)
        for _ in range(60):
            before = a, b
            a, there = self.call(a, back or hello, 5)
            if there:
                b, back = self.call(b, there, 5)
            if not there or not back or (self.quiet[a] and self.quiet[b]):
                break  # one has stopped, or all is done
            if (a, b) == before:
                a, b = self.change(a, "tick"), self.change(b, "tick")
        nodes = {name: self.nodes[number] for name, number in zip(NAMES, (a, b), strict=True)}
        log = [entry for node in nodes.values() for entry in node.log]
        outcome = Judge(nodes, self.scope.keys, self.scope.rules, log, given_up).outcome()
        if not outcome.stopped and nodes["a"].conflicts != nodes["b"].conflicts:
            outcome.lost.append("a conflict that only one node knows of")
        return outcome

    # breadth first

    def explore(self, most: int | None = None) -> Found:
        """Sees every state, or as many as these, or all up to the first that is wrong."""
        began = time.monotonic()
        found = Found()
        level = [self.start()]
        self.came_from = {self.core(level[0]): [(level[0][2], None)]}
        while level and not found.wrong and found.whole:
            found.depth += 1
            following: list[State] = []
            for state in level:
                for _, after in self.next(state):
                    found.steps += 1
                    if self.is_new(after, state):
                        following.append(after)
                        found.wrong = self.rest(after) or None
                        if found.wrong:
                            found.way = self.way(after)
                            break
                found.whole = not found.wrong and (most is None or found.states + len(following) < most)
                if not found.whole:
                    break
            level = following
            found.states += len(following)
        found.rests = len(self.rests)
        found.seconds = time.monotonic() - began
        return found

    def core(self, state: State) -> State:
        """A state but for what may still happen."""
        return (*state[:2], *state[3:])

    def is_new(self, state: State, before: State) -> bool:
        """Notes it, unless it has been seen with at least as much that may still happen."""
        known = self.came_from.get(core := self.core(state))
        if known is None:
            self.came_from[core] = [(state[2], before)]
            return True
        if any(self.covers(left, state[2]) for left, _ in known):
            return False
        known.append((state[2], before))
        return True

    def covers(self, more: int, less: int) -> bool:
        key = more, less, "covers"
        if key not in self.done:
            (stamps, *most), (same, *few) = self.lefts[more], self.lefts[less]
            self.done[key] = stamps == same and all(m >= f for m, f in zip(most, few, strict=True))
        return bool(self.done[key])

    def way(self, state: State) -> list[Step]:
        steps: list[Step] = []
        while (before := next(b for left, b in self.came_from[self.core(state)] if left == state[2])) is not None:
            steps.append(next(step for step, after in self.next(before) if after == state))
            state = before
        return steps[::-1]
