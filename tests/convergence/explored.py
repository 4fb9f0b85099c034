"""Nodes and envelopes of an exploration: those that are equal are kept once, have one number, and what they do is played once."""

from __future__ import annotations

from typing import Any, NamedTuple

from convergence.model import Node
from convergence.state import Built, Conflict, Envelope, Event, Held, Link, Missing, Rules, Skip, Token

NAMES = "ab"


class Explored(Node):
    """A node whose log has the writes of its own users, and whose tags depend on its own past alone."""

    def __init__(self, name: str, rules: Rules) -> None:
        super().__init__(name, rules, [])
        self.tags = 0
        self.links[NAMES[1 - NAMES.index(name)]] = Link()

    @property
    def link(self) -> Link:
        return next(iter(self.links.values()))

    def tag(self) -> int:
        self.tags += 1
        return self.tags

    def tick(self) -> None:
        self.now += 600  # longer than any row is held

    def waits(self) -> bool:
        """Whether something becomes due when time passes."""
        waiting = (*self.link.held.values(), *self.link.missing.values())
        return any(w.until is not None and w.until > self.now for w in waiting)


class Post(NamedTuple):
    """A call that may be made."""

    side: int
    token: Token
    envelope: Envelope | None


COPIED = {Explored, Link, Built, Held, Missing, Skip}
PLAIN = {int, str, float, bool, type(None), Event, Conflict, Rules}


def fork(thing: Any) -> Any:
    """A copy that may change while the original stays. What nobody changes in place is shared."""
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
    """The same value as something that dicts take as a key."""
    kind = type(thing)
    if kind in PLAIN:
        return thing
    if kind is dict:
        return frozenset([(key, frozen(value)) for key, value in thing.items()])
    if kind is set:
        return frozenset(thing)
    if kind in COPIED:
        return tuple([frozen(value) for value in thing.__dict__.values()])
    return tuple([frozen(value) for value in thing])  # a list or a named tuple


class Known:
    """All nodes and posts that were met, by their numbers, and what became of each node after each step."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.nodes: list[Explored] = []
        self.posts: list[Post] = []
        self._numbers: dict[Any, int] = {}
        self._calls: dict[tuple[int, int, int, str], tuple[int, int | None]] = {}
        self._changes: dict[tuple[Any, ...], int] = {}
        self._matters: dict[tuple[int, int], bool] = {}

    def _number(self, thing: Any, kept: list[Any]) -> int:
        number = self._numbers.setdefault(frozen(thing), len(kept))
        if number == len(kept):
            kept.append(thing)
        return number

    def node(self, node: Explored) -> int:
        return self._number(node, self.nodes)

    def post(self, side: int, token: Token, envelope: Envelope | None = None) -> int:
        return self._number(Post(side, token, envelope), self.posts)

    def call(self, node: int, post: int, limit: int, refuse: str = "") -> tuple[int, int | None]:
        """The node after this call, and its answer, which is for the other node."""
        key = node, post, limit, refuse
        if key not in self._calls:
            side, token, envelope = self.posts[post]
            after = fork(self.nodes[node])
            answer = after.call(NAMES[1 - side], token, envelope, limit, {refuse} if refuse else ())
            traced = {(c.key, c.loser_value) for c in after.conflicts}
            after.overwritten = [lost for lost in after.overwritten if lost not in traced]
            self._calls[key] = self.node(after), None if answer is None else self.post(1 - side, token, answer)
        return self._calls[key]

    def written(self, node: int, stamp: int, writes: tuple[tuple[str, str | None], ...]) -> int:
        """The node after a statement of a user."""
        key = node, stamp, writes
        if key not in self._changes:
            after = fork(self.nodes[node])
            for row, value in writes:
                after.write(row, value, stamp)
            self._changes[key] = self.node(after)
        return self._changes[key]

    def skipped(self, node: int, row: str, delete: bool) -> int:
        """The node after a person gave the changes of this row up."""
        key = node, row, delete
        if key not in self._changes:
            after = fork(self.nodes[node])
            after.skip(next(iter(after.links)), row, delete=delete)
            self._changes[key] = self.node(after)
        return self._changes[key]

    def later(self, node: int) -> int:
        """The node when all that waits for its time is due."""
        if (node,) not in self._changes:
            after = fork(self.nodes[node])
            after.tick()
            self._changes[(node,)] = self.node(after)
        return self._changes[(node,)]

    def matters(self, node: int, post: int) -> bool:
        """Whether the node may ever do for this call what it would not do for a call without an envelope."""
        key = node, post
        if key not in self._matters:
            self._matters[key] = self._has_news(self.nodes[node].link, *self.posts[post][1:])
        return self._matters[key]

    def _has_news(self, link: Link, token: Token, envelope: Envelope | None) -> bool:
        if token != link.token or self.rules.broken == "any_token":
            return token > link.token or self.rules.broken == "any_token"
        if envelope is None or not link.ready:
            return True
        taken = {i for ack in envelope.acks.values() for i in ack.ids}
        return (
            envelope.received > link.acked
            or (envelope.batch is not None and envelope.batch.number > link.received)
            or any(number <= envelope.retired for number in link.taken)
            or any(event.id in taken for event in link.events)
        )
