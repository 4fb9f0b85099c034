"""One database of the model, and what its users do: write in transactions, give up, send again, begin the link anew."""

from __future__ import annotations

from collections.abc import Iterable

from convergence.state import LAST, NOTHING, TAGS, Conflict, Event, Image, Link, Rules, Skip, join, union


class Transaction:
    """A user's transaction: event ids are drawn when it writes, and its events are seen when it commits."""

    def __init__(self, node: Database) -> None:
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


class Database:
    """One database. `log`: every committed write as (node, key, value, what it knew)."""

    def __init__(self, name: str, rules: Rules, log: list[tuple[str, str, str | None, dict[str, int]]]) -> None:
        self.name, self.rules, self.log = name, rules, log
        self.rows: dict[str, Image] = {}
        self.links: dict[str, Link] = {}
        self.locks: dict[str, Transaction] = {}
        self.last_id = self.version = 0
        self.waiting = False  # while a batch is taken: a change of a child is still to come
        self.now = 0.0
        self.writer = name  # whose writes these are: of a node that was set back, not those that it has forgotten
        # For the judge: rows that were overwritten by one that did not know of them, and rows that a skip took without the word.
        self.overwritten: list[tuple[str, str]] = []
        self.taken_away: list[str] = []

    @property
    def conflicts(self) -> set[Conflict]:
        """Those of all links."""
        return {conflict for link in self.links.values() for conflict in link.conflicts}

    def draw(self) -> int:
        self.last_id += 1
        return self.last_id

    def tag(self) -> int:
        """A number that no other batch has, of whichever copy of this node."""
        return next(TAGS)

    def live(self, key: str) -> bool:
        return self.rows.get(key, NOTHING).value is not None

    def on_purpose(self, key: str, peer: Database) -> bool:
        """Whether a skip lets this record differ on these two: it keeps a row that the other one has not, or gave the answer up
        for which the other one had asked."""
        for mine, other in ((self, peer), (peer, self)):
            skip = mine.links[other.name].asked.get(key)
            if skip and (skip.answer or (skip.kept and mine.live(key) and not other.live(key))):
                return True
        return False

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
            link.asked[key].delete = link.said[key] = delete  # given up already: the word counts
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
            link.said[key] = delete
        return bool(ids)
