"""How a node of the model honours acknowledgements: what was taken leaves, what was not is held, or waits for its parent."""

from __future__ import annotations

from collections.abc import Iterable

from convergence.database import Database
from convergence.state import (
    GIVEN_UP_BY,
    LACKING,
    LAST,
    LONG_FOR_A_MERGE,
    NO_HOLD,
    PARENTS,
    UNCOUNTED,
    Ack,
    Built,
    Envelope,
    Held,
    Link,
    Missing,
    union,
)


class Hearing(Database):
    """A database that hears what its peers took."""

    def _hear(self, peer: str, link: Link, envelope: Envelope) -> None:
        for number, ack in sorted(envelope.acks.items()):
            built = link.batches.get(ack.tag)
            if number <= link.acked or built is None:
                continue
            lacking = self._note_left(peer, link, built, ack)
            link.growth = min(link.growth * 4, 256) if lacking and not built.whole else 1
            link.conflicts.update(ack.conflicts)
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
