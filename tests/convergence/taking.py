"""How a node of the model takes a batch: record by record it is written, decided, or left with its sender for a reason."""

from __future__ import annotations

from collections.abc import Sequence

from convergence.hearing import Hearing
from convergence.state import (
    CHILDREN,
    GIVEN_UP_BY,
    LACKS_PARENT,
    LAST,
    NOTHING,
    PARENTS,
    Ack,
    Conflict,
    Envelope,
    Event,
    Image,
    Link,
    join,
    parent_of,
    top,
    union,
)


class Taking(Hearing):
    """A database that takes batches of its peers."""

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
        link.conflicts.update(ack.conflicts)

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
        if image.value is None and answers and asked and not asked.delete and broken != "skip_deletes":
            asked.kept = self.live(key)
            if asked.kept:
                link.drop(e.id for e in unseen)
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
        if answers and image.value is None and mine is not None and link.said.get(key) is False:
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
        if image.value == self.rows.get(key, NOTHING).value:
            return ""  # nothing to write or to delete: no trigger fires, no lock is in the way
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
        if mine.value != image.value and broken != "no_forward":  # a row that stays as it is sets off no trigger
            others = [p for p in self.links if p != peer or broken == "echoes"]
            self.emit(key, self.now if broken == "forward_now" else stamp, others)
        for child in self.children(key) if self.rules.foreign == "cascade" and image.value is None else []:
            self.rows[child] = Image(None, self.rows[child].seen)
            if broken != "no_capture":
                self.emit(child, self.now if broken == "consequence_now" else LAST, self.links)
