"""How a node of the model builds the next batch: which events go, and with which companions."""

from __future__ import annotations

from convergence.hearing import Hearing
from convergence.state import CHILDREN, LAST, NO_HOLD, NOTHING, Batch, Built, Envelope, Held, Link, parent_of, union


class Building(Hearing):
    """A database that builds batches for its peers."""

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
        batch = Batch(link.top, self.tag(), rows)
        link.batches[batch.tag] = Built(link.top, {e.id for _, events in rows.values() for e in events}, whole, self.now)
        return batch
