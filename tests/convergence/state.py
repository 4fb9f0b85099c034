"""What the model of the exchange keeps: rows, events, batches, and all that a node remembers of a link."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

LAST = float("-inf")  # stamp of a consequence, a backfill, an answer: loses to every real change
PARENTS = ("p", "q")
CHILDREN = ("c", "d")  # their values end in >p or >q
TAGS = itertools.count(1)
Token = tuple[int, object]


class Event(NamedTuple):
    """A pending change; a question has no stamp of its own and wins nothing."""

    id: int
    key: str
    stamp: float
    question: bool = False
    answer: bool = False


class Image(NamedTuple):
    """A row, or that there is none, and what it knows of."""

    value: str | None
    seen: dict[str, int]


NOTHING = Image(None, {})


class Conflict(NamedTuple):
    """A decision, the same on both nodes."""

    key: str
    winner: str
    winner_stamp: float
    loser_stamp: float
    winner_value: str | None
    loser_value: str | None


class Batch(NamedTuple):
    number: int
    tag: int
    rows: dict[str, tuple[Image, list[Event]]]


class Ack(NamedTuple):
    """What was taken of a batch; `left`: key -> why it stays with its sender; `parents`: key -> the parent that is missing."""

    tag: int
    ids: set[int]
    left: dict[str, str]
    parents: dict[str, str]
    conflicts: list[Conflict]


class Envelope(NamedTuple):
    sender: str
    token: Token
    generation: int
    batch: Batch | None
    acks: dict[int, Ack]
    top: int
    built: int
    received: int
    received_tag: int
    retired: int
    waiting: bool  # a child's change may be older than this batch without being in it


@dataclass
class Built:
    """A batch that is not acknowledged yet, of whichever courier."""

    number: int
    ids: set[int]
    whole: bool
    at: float
    in_flight: bool = True


@dataclass
class Held:
    """An event set aside. `parent`: the record that it waits for, which the peer lacks; it then has no time of its own."""

    attempts: int
    until: float | None
    reason: str
    since: float = 0
    parent: str | None = None


@dataclass
class Missing:
    """A record that the peer lacks, for which others wait; one of them is tried now and then. `came`: the peer has it now."""

    attempts: int
    until: float
    came: bool = False


@dataclass
class Skip:
    """What a person gave up last of a record, until its question is answered. `delete`: the row may go if the peer has none;
    `kept`: it has none, or may have none, and the row stays, different on purpose, until the record changes again. `answer`:
    it was an answer, and the peer keeps whatever it has."""

    ids: set[int]
    delete: bool
    kept: bool = False
    answer: bool = False


@dataclass
class Link:
    """What a node keeps about one peer. `unsettled`: since resync() either node may have what the other one never heard of."""

    generation: int = 1
    peer_generation: int = 0
    unsettled: bool = False
    events: list[Event] = field(default_factory=list)
    acked: int = 0
    acked_tag: int = 0
    top: int = 0
    built: int = 0
    batches: dict[int, Built] = field(default_factory=dict)  # by tag
    received: int = 0
    received_tag: int = 0
    taken: dict[int, Ack] = field(default_factory=dict)
    held: dict[int, Held] = field(default_factory=dict)  # by event
    missing: dict[str, Missing] = field(default_factory=dict)  # by key
    skips: list[tuple[str, set[int]]] = field(default_factory=list)  # not performed yet
    asked: dict[str, Skip] = field(default_factory=dict)
    by_rule: set[int] = field(default_factory=set)  # events that the orphan rule has given up, and no person
    token: Token = (0, 0)
    ready: bool = False
    stopped: str = ""
    growth: int = 1
    conflicts: set[Conflict] = field(default_factory=set)
    said: dict[str, bool] = field(default_factory=dict)  # for the judge, of the last skip of a record: whether its row may go

    def drop(self, ids: Iterable[int]) -> int:
        """Removes these events; how many there were."""
        ids = set(ids)
        before = len(self.events)
        self.events = [e for e in self.events if e.id not in ids]
        self.held = {i: h for i, h in self.held.items() if i not in ids}
        return before - len(self.events)

    def renew(self, generation: int) -> None:
        """A new generation: numbers begin again, events stay, and no answer of before is counted on."""
        self.generation, self.unsettled = generation, True
        self.acked = self.acked_tag = self.top = self.built = self.received = self.received_tag = 0
        self.batches, self.taken = {}, {}
        self.ready, self.stopped = False, ""
        performed = {key: skip for key, skip in self.asked.items() if (key, skip.ids) not in self.skips and not skip.kept}
        self.asked = {key: skip for key, skip in self.asked.items() if key not in performed or not skip.delete}
        for skip in performed.values():
            skip.kept = True

    def flying(self) -> set[int]:
        return union(b.ids for b in self.batches.values() if b.in_flight)


@dataclass(frozen=True)
class Rules:
    """What the nodes of a history agree on."""

    conflict: str = "newest"  # newest, fixed (node a), merge (by the arbiter), join (by both)
    foreign: str = ""  # rule of the foreign key from CHILDREN to PARENTS: cascade, hold, drop, revive
    favoured: str = "a"  # under fixed
    window: int = 2
    coalesce: bool = True
    merge: Callable[[str | None, str | None], str] = lambda mine, theirs: f"({mine}+{theirs})"
    broken: str = ""


NO_HOLD = Held(0, 0, "")
LACKS_PARENT = {"parent missing", "parent deleted"}
LACKING = {*LACKS_PARENT, "child kept", "child left", "child waits"}
UNCOUNTED = {"locked", "wait"}
LONG_FOR_A_MERGE = 10  # seconds
GIVEN_UP_BY = {"parent deleted": "drop", "child kept": "revive"}


def union(sets: Iterable[set[int]]) -> set[int]:
    return set().union(*sets)


def join(*seen: dict[str, int]) -> dict[str, int]:
    """What whoever knows all of these knows."""
    return {name: max(s.get(name, 0) for s in seen) for name in set().union(*seen)}


def top(events: Iterable[Event]) -> float:
    return max((e.stamp for e in events), default=LAST)


def parent_of(image: Image | None) -> str | None:
    return image.value.rpartition(">")[2] if image and image.value and ">" in image.value else None


def knew_of(writer: dict[str, int], other: dict[str, int]) -> bool:
    """Whether the writer knew of the other and of more."""
    return other != writer and all(writer.get(name, 0) >= count for name, count in other.items())
