"""The rules of the exchange as a model: nodes, links and envelopes in memory, close enough to the SQL to be its oracle.

A row is an Image: its value (None: there is no row) and what its writer knew, the number of each node's writes behind it.
`Rules.broken` names a rule that is left out, to show that a check would notice; scenarios.py says what each one is.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
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


class Transaction:
    """A user's transaction: event ids are drawn when it writes, and its events are seen when it commits."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.writes: list[tuple[str, str | None, float, dict[str, int]]] = []

    def write(self, key: str, value: str | None, stamp: float) -> None:
        self.lock(key)
        self.writes.append((key, value, stamp, {peer: self.node.draw() for peer in self.node.links}))

    def sees(self, key: str) -> str | None:
        """The row's value as this transaction reads it."""
        return next((v for k, v, *_ in reversed(self.writes) if k == key), self.node.rows.get(key, NOTHING).value)

    def lock(self, key: str) -> None:
        assert self.node.locks.setdefault(key, self) is self, "the model's user would have to wait"

    def roll_back(self) -> None:
        self.writes.clear()
        self.node.locks = {k: t for k, t in self.node.locks.items() if t is not self}

    def commit(self, knew: dict[str, int] | None = None) -> None:
        """`knew`: what the writer knew beyond the row that it replaces."""
        node = self.node
        for key, value, stamp, ids in self.writes:
            node.version += 1
            seen = join(node.rows.get(key, NOTHING).seen, knew or {}, {node.writer: node.version})
            node.rows[key] = Image(value, seen)
            for peer, link in node.links.items():
                link.events.append(Event(ids[peer], key, stamp))
            node.log.append((node.name, key, value, seen))
        self.roll_back()


class Node:
    """One database. `log`: every committed write as (node, key, value, what it knew)."""

    def __init__(self, name: str, rules: Rules, log: list[tuple[str, str, str | None, dict[str, int]]]) -> None:
        self.name, self.rules, self.log = name, rules, log
        self.rows: dict[str, Image] = {}
        self.links: dict[str, Link] = {}
        self.locks: dict[str, Transaction] = {}
        self.conflicts: set[Conflict] = set()
        self.last_id = self.version = 0
        self.waiting = False  # while a batch is taken: a change of a child is still to come
        self.now = 0.0
        self.writer = name  # whose writes these are: of a node that was set back, not those that it has forgotten
        # For the judge: rows that were overwritten by one that did not know of them, and rows that a skip took without the word.
        self.overwritten: list[tuple[str, str]] = []
        self.taken_away: list[str] = []
        self.said: dict[str, bool] = {}  # of the last skip of a record: whether its row may go

    # what users do

    def draw(self) -> int:
        self.last_id += 1
        return self.last_id

    def live(self, key: str) -> bool:
        return self.rows.get(key, NOTHING).value is not None

    def write(self, key: str, value: str | None, stamp: float, knew: dict[str, int] | None = None) -> None:
        transaction = Transaction(self)
        transaction.write(key, value, stamp)
        transaction.commit(knew)

    def emit(self, key: str, stamp: float, peers: Iterable[str], question: bool = False, answer: bool = False) -> None:
        for peer in peers:
            self.links[peer].events.append(Event(self.draw(), key, stamp, question, answer))

    def backfill(self, peer: str, key: str) -> None:
        """Sends a row as it is; not while the answer to a skip is awaited."""
        link = self.links[peer]
        if (key not in link.asked or link.asked[key].kept) or self.rules.broken == "backfills_asked":
            self.emit(key, LAST, [peer])

    def resync(self, peer: str) -> None:
        """Starts a new generation, which the peer follows when it hears of it; the courier's exchange is over."""
        link = self.links[peer]
        link.renew(max(link.generation, link.peer_generation) + 1)
        link.token = (link.token[0] + 1, type(link.token[1])())

    def skip(self, peer: str, key: str, ids: set[int] | None = None, delete: bool = False) -> bool:
        """A person gives the pending changes of a record up. False: there is none that is not given up already."""
        link = self.links[peer]
        if self._give_up(link, key, ids, delete):
            return True
        if key in link.asked and not link.asked[key].kept and any(e.key == key and not e.question for e in link.events):
            link.asked[key].delete = self.said[key] = delete  # given up already: the word counts
        return False

    def _give_up(self, link: Link, key: str, ids: set[int] | None, delete: bool) -> bool:
        """Done when the next batch is built."""
        given_up = union(i for _, i in link.skips)
        ids = {
            e.id for e in link.events if e.key == key and not e.question and e.id not in given_up and (ids is None or e.id in ids)
        }
        if ids:
            link.skips.append((key, ids))
            link.asked[key] = Skip(ids, delete)
            self.said[key] = delete
        return bool(ids)

    # the exchange

    def call(
        self,
        peer: str,
        token: Token,
        envelope: Envelope | None = None,
        limit: int = 1000,
        refuse: Iterable[str] = (),
        order: Sequence[str] = (),
    ) -> Envelope | None:
        """process_batch(): None if there is no answer. `order`: which keys are answered first, where the rules leave it open."""
        link, broken = self.links[peer], self.rules.broken
        if token < link.token and broken != "any_token":
            return None
        if token != link.token:
            self._open(link, token)
        if envelope is not None and envelope.token != token:
            return None
        if envelope is not None and envelope.generation > link.generation:
            link.renew(envelope.generation)
        if envelope is not None and not link.stopped:
            link.stopped = self._memory(link, envelope)
            number = envelope.batch.number if envelope.batch else 0
            if not link.stopped and number <= link.received + 1 and envelope.generation == link.generation:
                link.peer_generation = envelope.generation
                if number == link.received + 1:
                    self._take(peer, link, envelope, set(refuse), order)
                if envelope.top <= link.received or broken == "no_guard":
                    self._hear(peer, link, envelope)
                if envelope.top <= link.received or broken == "early_retire":
                    link.taken = {n: a for n, a in link.taken.items() if n > envelope.retired}
        return None if link.stopped else self._build(peer, link, limit)

    def _open(self, link: Link, token: Token) -> None:
        link.token, link.ready, link.top = token, False, link.acked
        for built in link.batches.values():
            built.in_flight = False

    def _memory(self, link: Link, envelope: Envelope) -> str:
        if self.rules.broken == "no_memory_check":
            return ""
        if envelope.generation < link.generation:  # it has not heard of resync() here
            return "the peer was set back" if not link.ready and envelope.generation < link.peer_generation else ""
        if envelope.received > link.built or envelope.retired > link.received:
            return "this node was set back"
        if envelope.received > link.acked and link.acked + 1 not in envelope.acks:
            return "this node forgot an acknowledgement"
        if envelope.received >= link.acked and self.rules.broken != "no_tags":
            built = link.batches.get(envelope.received_tag)
            same = envelope.received == link.acked and envelope.received_tag == link.acked_tag
            if not same and (built is None or built.number != envelope.received):
                return "the peer took a batch from another copy of this node"
        if not link.ready and (envelope.received < link.acked or envelope.built < link.received):
            return "the peer was set back"
        return ""

    def _take(self, peer: str, link: Link, envelope: Envelope, refuse: set[str], order: Sequence[str]) -> None:
        batch = envelope.batch
        assert batch is not None
        heard, known = union(a.ids for a in envelope.acks.values()), union(a.ids for a in link.taken.values())
        ack = Ack(batch.tag, set(), {}, {}, [])
        before = self.last_id
        self.waiting = envelope.waiting
        for key in sorted(sorted(batch.rows), key=lambda k: self._turn(k, *batch.rows[k], order)):
            image, events = batch.rows[key]
            reason = self._take_record(peer, link, key, image, events, heard, known, refuse, ack)
            if reason:
                ack.left[key] = reason
                self.waiting = self.waiting or key in CHILDREN
            else:
                ack.ids.update(e.id for e in events)
            if reason in LACKS_PARENT:
                ack.parents[key] = parent_of(image) or ""
        self._in_order(link, before, order)
        link.received, link.received_tag = batch.number, batch.tag
        link.taken[batch.number] = ack
        if len(ack.left) < len(batch.rows):
            self._parents_came(link, {key for key in batch.rows if key not in ack.left})
            self._retry_related(link, batch.rows)
        self.conflicts.update(ack.conflicts)

    def _turn(self, key: str, image: Image, events: list[Event], order: Sequence[str]) -> tuple[int, int]:
        """Parents first, but deleted last."""
        gone = image.value is None and not all(e.question for e in events)
        turn = 0 if key not in PARENTS or not self.rules.foreign else 2 if gone else -1
        return turn, order.index(key) if key in order else len(order)

    def _in_order(self, link: Link, before: int, order: Sequence[str]) -> None:
        """Answers of one call bear their ids in this order."""
        answers = [e for e in link.events if e.id > before]
        sorted_keys = sorted((e.key for e in answers), key=lambda k: order.index(k) if k in order else len(order))
        for i, (event, key) in enumerate(zip(answers, sorted_keys, strict=True), len(link.events) - len(answers)):
            link.events[i] = event._replace(key=key)

    def _take_record(
        self,
        peer: str,
        link: Link,
        key: str,
        image: Image,
        events: list[Event],
        heard: set[int],
        known: set[int],
        refuse: set[str],
        ack: Ack,
    ) -> str:
        """Applies one record of a batch. Empty: it is taken; else why it stays with its sender."""
        broken = self.rules.broken
        unseen = [e for e in link.events if e.key == key and not e.question and (e.id not in heard or broken == "unseen_ignored")]
        if unseen and key in self.locks and self.live(key):
            return "locked"
        real = [e for e in events if not e.question]
        if not real:  # the sender gave its change up and asks for mine
            if not unseen:
                self.emit(key, LAST, [peer], answer=True)
            return ""
        theirs = [e for e in real if e.id not in known or broken == "known_counts"]
        answers = all(e.answer for e in real)
        asked = link.asked.get(key)
        conflict = []
        if unseen:
            mine = self.rows.get(key, NOTHING).value
            verdict = self._verdict(peer, key, image, unseen, theirs)
            if verdict == "wait":
                return "wait"
            if verdict == "merge":
                if mine != image.value and (reason := self._refusal(link, key, image, heard, refuse)):
                    return reason
                self._merge(peer, key, image, unseen, max(top(unseen), top(theirs)))
                verdict = "mine"
            if theirs and mine != image.value:
                ours, other = (top(unseen), mine), (top(theirs), image.value)
                winner, won, lost = (self.name, ours, other) if verdict == "mine" else (peer, other, ours)
                conflict = [Conflict(key, winner, won[0], lost[0], won[1], lost[1])]
            if verdict == "mine":
                ack.conflicts.extend(conflict)
                self._answered(link, key, heard)
                return ""
        if image.value is None and answers and asked and not asked.delete and self.live(key) and broken != "skip_deletes":
            link.drop(e.id for e in unseen)
            asked.kept = True
            return ""
        reason = self._refusal(link, key, image, heard, refuse)
        if GIVEN_UP_BY.get(reason) == self.rules.foreign:
            ack.conflicts.append(self._orphaned(link, key, image, real, heard))
        if reason == "parent deleted" and self.rules.foreign == "drop" and answers and broken != "asks_for_ever":
            # An answer that is an orphan here too: each node has deleted the other's parent, and to ask again would have no end.
            image, reason = Image(None, join(image.seen, self.rows.get(key, NOTHING).seen)), ""
            self.emit(key, LAST, [peer], answer=True)
            # What stays is that it is gone.
            conflict = [c._replace(winner_value=None) for c in conflict if c.loser_value is not None]
        if reason:
            return reason
        mine = self.rows.get(key, NOTHING).value
        if not conflict and mine not in (None, image.value) and self._may_be_lost(link, key):
            conflict = [Conflict(key, peer, top(real), LAST, image.value, mine)]
        ack.conflicts.extend(conflict)
        if broken != "beaten_stay":
            link.drop(e.id for e in unseen)
        if answers and image.value is None and mine is not None and self.said.get(key) is False:
            self.taken_away.append(key)
        self._store(key, image, max(e.stamp for e in real), peer)
        self._answered(link, key, heard)
        return ""

    def _answered(self, link: Link, key: str, heard: set[int]) -> None:
        """A row of the peer has been taken: the answer to a skip, if that has been performed and its question is on no way."""
        skip = link.asked.get(key)
        asks = any(e.question and e.key == key and e.id not in heard for e in link.events)
        if skip and (key, skip.ids) not in link.skips and not asks:
            del link.asked[key]

    def _may_be_lost(self, link: Link, key: str) -> bool:
        """Whether the row here may be one that the peer never heard of, although no event says so."""
        kept = key in link.asked and link.asked[key].kept
        return (link.unsettled and self.rules.broken != "settled_at_once") or kept

    def _verdict(self, peer: str, key: str, image: Image, unseen: list[Event], theirs: list[Event]) -> str:
        """mine: my row stays; theirs: the peer's is written; merge: both, here; wait: until the arbiter's row comes."""
        rule, broken = self.rules.conflict, self.rules.broken
        if not theirs and broken != "blind":  # I know all of it: my change is the later one, no conflict
            return "mine"
        stamps = top(unseen), top(theirs)
        if rule == "join":
            return self._join(peer, key, image, unseen)
        if rule != "newest" and (LAST in stamps) and stamps[0] != stamps[1] and broken != "last_is_real":
            return "mine" if stamps[0] > stamps[1] else "theirs"
        if rule == "fixed":
            return "mine" if self.name == self.rules.favoured else "theirs"
        if rule == "merge":
            return "merge" if self.name < peer or broken == "both_merge" else "mine" if broken == "other_takes" else "wait"
        return "mine" if (stamps[0], self.name) > (stamps[1], peer) else "theirs"

    def _merge(self, peer: str, key: str, image: Image, unseen: list[Event], stamp: float) -> None:
        mine = self.rows.get(key, NOTHING)
        if self.rules.broken == "both_merge":
            self.rows[key] = Image("+".join(sorted((str(mine.value), str(image.value)))), join(mine.seen, image.seen))
            self.links[peer].drop(e.id for e in unseen)
        elif mine.value != image.value:
            self.write(key, self.rules.merge(mine.value, image.value), max(stamp, self.now), image.seen)
        else:  # equal: nothing to write, and what both knew is in it
            self.rows[key] = Image(mine.value, join(mine.seen, image.seen))

    def _join(self, peer: str, key: str, image: Image, unseen: list[Event]) -> str:
        """Both sides take the union of both and keep their own events; they meet because a union only grows."""
        mine = self.rows.get(key, NOTHING)
        parts = set((mine.value or "").split("|")) | set((image.value or "").split("|"))
        self.rows[key] = Image("|".join(sorted(parts - {""})) or None, join(mine.seen, image.seen))
        if self.rules.broken == "join_drops_events":
            self.links[peer].drop(e.id for e in unseen)
        return "mine"

    def _refusal(self, link: Link, key: str, image: Image, heard: set[int], refuse: set[str]) -> str:
        """Why this row cannot be written here now; empty: it can."""
        if image.value is None and not self.live(key):
            return ""  # nothing to delete: no trigger fires, no lock is in the way
        if key in refuse:
            return "refused"
        if key in self.locks:
            return "locked"
        if not self.rules.foreign:
            return ""
        mine = {e.key for e in link.events if not e.question and e.id not in heard}
        parent = parent_of(image)
        if key in CHILDREN and parent and not self.live(parent):
            return "parent deleted" if parent in mine or self.rules.broken == "any_parent" else "parent missing"
        children = self.children(key) if image.value is None else []
        if self.rules.foreign == "cascade":
            # What the peer has not deleted is taken along only where no change of it is still to come.
            return "child waits" if self.waiting and not mine.issuperset(children) else ""
        if children:
            return "child kept" if mine.intersection(children) else "child left"
        return ""

    def children(self, key: str) -> list[str]:
        return [c for c in CHILDREN if parent_of(self.rows.get(c)) == key]

    def _orphaned(self, link: Link, key: str, image: Image, real: list[Event], heard: set[int]) -> Conflict:
        """What the orphan rule decides: the row here stays, and with it that its parent is gone, or that a row refers to it."""
        because = [parent_of(image)] if key in CHILDREN else [c for c in CHILDREN if self.live(c)]
        here = top(e for e in link.events if e.key in because and not e.question and e.id not in heard)
        return Conflict(key, self.name, here, top(real), self.rows.get(key, NOTHING).value, image.value)

    def _store(self, key: str, image: Image, stamp: float, peer: str) -> None:
        broken = self.rules.broken
        mine = self.rows.get(key, NOTHING)
        if mine.value not in (None, image.value) and image.seen != join(image.seen, mine.seen):
            self.overwritten.append((key, str(mine.value)))
        self.rows[key] = image
        if broken != "no_forward":
            self.emit(key, self.now if broken == "forward_now" else stamp, [p for p in self.links if p != peer])
        for child in self.children(key) if self.rules.foreign == "cascade" and image.value is None else []:
            self.rows[child] = Image(None, self.rows[child].seen)
            if broken != "no_capture":
                self.emit(child, self.now if broken == "consequence_now" else LAST, self.links)

    def _hear(self, peer: str, link: Link, envelope: Envelope) -> None:
        for number, ack in sorted(envelope.acks.items()):
            built = link.batches.get(ack.tag)
            if number <= link.acked or built is None:
                continue
            lacking = self._note_left(peer, link, built, ack)
            link.growth = min(link.growth * 4, 256) if lacking and not built.whole else 1
            self.conflicts.update(ack.conflicts)
        heard = union(a.ids for a in envelope.acks.values()) & union(b.ids for b in link.batches.values())
        taken = [e for e in link.events if e.id in heard]
        # A row that waited and went as it was shows that its parent is there.
        newest = {e.key: e.id for e in sorted(link.events)}
        proofs = {link.held.get(e.id, NO_HOLD).parent for e in taken if newest[e.key] == e.id}
        self._parents_came(link, {e.key for e in taken} | proofs)
        self._retry_related(link, {e.key for e in taken})
        for event in link.events:
            skip = link.asked.get(event.key)
            if event.id not in heard or event.question or skip is None:
                continue
            if (skip.kept and not event.answer) or (event.stamp > LAST and event.id > max(skip.ids)):
                del link.asked[event.key]  # it has changed again, or was sent again
            elif event.id > max(skip.ids) and skip.delete:
                del link.asked[event.key]
            elif event.id > max(skip.ids):  # who has won there is not known: the row stays, whatever the answer is
                skip.kept = True
        link.drop(heard)
        if envelope.received > link.acked:
            link.acked, link.acked_tag = envelope.received, envelope.received_tag
            link.top = max(link.top, link.acked)
            link.batches = {t: b for t, b in link.batches.items() if b.number > link.acked}
        link.ready = True

    def _retry_related(self, link: Link, keys: Iterable[str]) -> None:
        """What a foreign key held is tried as soon as rows of a related table have moved."""
        moved = {key in PARENTS for key in keys}
        for event in link.events:
            held = link.held.get(event.id)
            if held and held.until is not None and held.reason in LACKING and (event.key not in PARENTS) in moved:
                held.until = min(held.until, self.now)

    def _parents_came(self, link: Link, keys: Iterable[str | None]) -> None:
        """What waits for these records follows them."""
        for key in keys:
            if key in link.missing and self.rules.broken != "waits_for_ever":
                link.missing[key].came = True

    def _follows(self, link: Link, held: Held) -> bool:
        return held.parent in link.missing and link.missing[held.parent].came

    def _may_go(self, link: Link, key: str) -> bool:
        """Whether a change of this record may be sent now."""
        holds = [link.held.get(e.id) for e in link.events if e.key == key]
        return any(h is None or (h.until is not None and h.until <= self.now) or self._follows(link, h) for h in holds)

    def _note_left(self, peer: str, link: Link, built: Built, ack: Ack) -> bool:
        """Holds what the peer did not take; whether a row was refused for want of one that the next batch may bring."""
        hold_lacking = built.whole or link.growth >= 64
        given_up = {k for k, reason in ack.left.items() if GIVEN_UP_BY.get(reason) == self.rules.foreign and self.rules.foreign}
        if self.rules.broken == "never_gives_up":
            given_up = set()
        waits = {
            key
            for key, parent in ack.parents.items()
            if not self._may_go(link, parent) or any(e.key == parent and e.id in built.ids for e in link.events)
        }
        for key, reason in ack.left.items():
            pending = [e for e in link.events if e.key == key and not e.question]
            if key in given_up and {e.id for e in pending} <= built.ids:  # else it has changed since
                given_up_before = union(i for _, i in link.skips)
                self._give_up(link, key, None, True)
                link.by_rule |= {e.id for e in pending} - given_up_before
            for event in link.events:
                if event.key != key or event.id not in built.ids or key in given_up:
                    continue
                if reason in LACKING and not hold_lacking and key not in waits:
                    continue
                kept = key in link.asked and link.asked[key].kept
                if kept and reason not in UNCOUNTED and event.stamp == LAST and not event.answer:
                    link.drop([event.id])  # a backfill of what was given up: one skip is enough
                    continue
                held = link.held.setdefault(event.id, Held(0, None, reason, self.now))
                held.reason, held.parent = reason, ack.parents.get(key)
                counted = reason not in UNCOUNTED or (reason == "wait" and held.since < self.now - LONG_FOR_A_MERGE)
                asked_again = held.until is not None and built.at < held.until <= self.now
                if not asked_again:
                    held.until = self.now + (min(2 ** min(held.attempts, 10), 300) if counted else 0.25)
                held.attempts += counted
                if held.parent:
                    self._wait(link, held)
        return any(reason in LACKING for key, reason in ack.left.items() if key not in given_up | waits)

    def _wait(self, link: Link, held: Held) -> None:
        """It waits for its parent, which may be there already but for what this node has heard."""
        held.until = None
        missing = link.missing.setdefault(held.parent or "", Missing(0, self.now + 8))
        missing.came = False

    def _look_for_parents(self, link: Link) -> None:
        """Tries one of those that wait for a parent: somebody may have made it on the peer."""
        for parent, missing in list(link.missing.items()):
            children = sorted(e.id for e in link.events if link.held.get(e.id, NO_HOLD).parent == parent)
            if (missing.came or missing.until <= self.now) and not children:
                del link.missing[parent]
            elif not missing.came and missing.until <= self.now:
                missing.until = self.now + min(2 ** (min(missing.attempts, 10) + 4), 300)
                missing.attempts += 1
                if self.rules.broken not in ("never_looks", "waits_for_ever"):
                    link.held[children[0]].until = self.now

    def _perform_skips(self, link: Link, peer: str) -> None:
        flying, waiting = link.flying(), []
        for key, ids in link.skips:
            if ids & flying and self.rules.broken != "skip_in_flight":
                waiting.append((key, ids))
                continue
            skip = link.asked.get(key)
            answers = all(e.answer for e in link.events if e.id in ids) and not ids & link.by_rule
            if not link.drop(ids):  # they had gone before
                if skip and skip.ids == ids:
                    del link.asked[key]
            elif answers:  # the peer has asked: to ask back would have no end
                if skip and skip.ids == ids:
                    skip.kept = skip.answer = True
            elif self.rules.broken != "skip_forgets":
                self.emit(key, LAST, [peer], question=True)
        link.skips = waiting

    def _chosen(self, link: Link, limit: int) -> tuple[set[str], bool, bool]:
        """Keys of the next batch, whether they are all that is free to go, and whether held ones that are due had to stay."""
        flying, given_up = link.flying(), union(i for _, i in link.skips)
        pending = sorted(e for e in link.events if e.id not in flying)
        fresh = [e for e in pending if e.id not in link.held and e.id not in given_up]
        first = {e.key for e in fresh[:limit]}
        given_up_keys = {k for k, _ in link.skips}
        held = [(link.held[e.id], e) for e in pending if e.id in link.held and e.key not in given_up_keys]
        # What follows its parent is as good as any that was never refused.
        followers = [e.key for h, e in held if h.until is None and self._follows(link, h)]
        if limit < 4 and fresh:
            followers = []
        due = sorted((h.until, e.id, e.key) for h, e in held if h.until is not None and h.until <= self.now)
        if self.rules.broken == "no_retry":
            due = []
        share = max(1, limit // 4) if limit >= 4 or not (fresh or followers) else 0
        keys = first | set(followers[:limit]) | {key for *_, key in due[:share]}
        return keys, len(fresh) <= limit, len(due) > share or len(followers) > limit

    def _coalesce(self, link: Link, limit: int) -> None:
        """Of changes of a record that no batch has held, the newest is enough, where these are half of the oldest."""
        sent = union(b.ids for b in link.batches.values()) if self.rules.broken != "coalesce_sent" else set()
        spared = sent | set(link.held) | union(i for _, i in link.skips)
        newest = min if self.rules.broken == "coalesce_oldest" else max
        window = limit + 1
        while True:
            looked = sorted(e for e in link.events if not e.question and e.id not in spared)[:window]
            stay = {
                key: newest((e for e in looked if e.key == key), key=lambda e: (e.stamp, e.id)).id
                for key in {e.key for e in looked}
            }
            old = [e.id for e in looked if e.id != stay[e.key]]
            if not old or len(old) < len(looked) // 2:
                return
            link.drop(old)
            if len(looked) < window:
                return
            window = min(window * 4, 50000)  # mostly one record: it may fill the whole queue

    def _build(self, peer: str, link: Link, limit: int) -> Envelope:
        batch, waiting = None, False
        if link.ready and sum(b.in_flight for b in link.batches.values()) < self.rules.window:
            self._perform_skips(link, peer)
            self._look_for_parents(link)
            limit = max(1, limit) * (link.growth if self.rules.broken != "no_companions" else 1)
            looked = limit
            while True:
                if self.rules.coalesce:
                    self._coalesce(link, looked)
                keys, whole = self._records(link, looked)
                if any([self._left_waiting(link, key) for key in self._rows_of(link, keys)]):
                    looked = max(limit, min(looked * 2, 2000))  # what is left waiting makes room for others
                elif looked > limit:
                    looked = limit
                else:
                    break
            if keys:
                waiting = not whole or any(b.in_flight for b in link.batches.values())
                waiting = waiting or any(e.id in link.held for e in link.events if e.key in CHILDREN)
                batch = self._batch(link, keys, whole)
        return Envelope(
            self.name,
            link.token,
            link.generation,
            batch,
            dict(link.taken),
            link.top,
            link.built,
            link.received,
            link.received_tag,
            link.acked,
            waiting,
        )

    def _records(self, link: Link, limit: int) -> tuple[set[str], bool]:
        """Keys of the next batch, with their companions, and whether they are all that is free to go."""
        keys, whole, cut = self._chosen(link, limit)
        if self.rules.foreign and (cut or not whole or link.missing) and self.rules.broken != "no_companions":
            # A row travels with its pending parent, unless that is to wait.
            parents = {parent_of(self.rows.get(key)) for key in self._rows_of(link, keys)}
            keys |= {e.key for e in link.events if e.key in parents and self._may_go(link, e.key)}
        return keys, whole

    def _rows_of(self, link: Link, keys: set[str]) -> set[str]:
        """Those of the keys that are rows with a parent, and are sent."""
        return {e.key for e in link.events if not e.question} & keys.intersection(CHILDREN)

    def _left_waiting(self, link: Link, key: str) -> bool:
        """Whether the record is left out and waits, since its parent is known to be missing there and stays here."""
        parent = parent_of(self.rows.get(key)) or ""
        holds = [link.held.get(e.id, NO_HOLD) for e in link.events if e.key == key]
        if (
            not self.rules.foreign
            or parent not in link.missing
            or link.missing[parent].came
            or self._may_go(link, parent)
            or any(h.parent and h.until is not None and h.until <= self.now for h in holds)
        ):
            return False
        for event in link.events:
            if event.key == key:
                held = link.held.setdefault(event.id, Held(0, None, "", self.now))
                held.reason, held.parent = "parent missing", parent
                self._wait(link, held)
        return True

    def _batch(self, link: Link, keys: set[str], whole: bool) -> Batch:
        flying = link.flying() if self.rules.broken == "partial_keys" else set()
        rows = {
            key: (self.rows.get(key, NOTHING), sorted(e for e in link.events if e.key == key and e.id not in flying))
            for key in keys
        }
        link.top += 1
        link.built = max(link.built, link.top)
        batch = Batch(link.top, next(TAGS), rows)
        link.batches[batch.tag] = Built(link.top, {e.id for _, events in rows.values() for e in events}, whole, self.now)
        return batch


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
