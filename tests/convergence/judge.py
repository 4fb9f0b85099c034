"""What must hold of the model's nodes at rest: equal rows, nothing pending, nothing undone, nothing lost without a trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field

from convergence.database import Database
from convergence.state import CHILDREN, GIVEN_UP_BY, LACKING, NO_HOLD, NOTHING, PARENTS, Rules, join, knew_of, parent_of

CHILD = CHILDREN[0]  # one is enough here


@dataclass
class Outcome:
    """What was wrong at rest: nothing, if all lists are empty."""

    unequal: list[str] = field(default_factory=list)
    undone: list[str] = field(default_factory=list)
    stopped: bool = False
    lost: list[str] = field(default_factory=list)  # without a trace

    def __bool__(self) -> bool:
        return bool(self.unequal or self.undone or self.lost)


@dataclass
class Judge:
    """Two or more nodes at rest, and all writes of their users as (node, key, value, what the writer knew).

    `given_up`: people have given changes up, and what is lost is their choice. `forgot`: node a went back to an older state
    of itself, so its writes are not judged. `may_stop`: links may have stopped for that. `again`: old events may come again.
    `newest`: of records whose writers' clocks were right, the values of which one must stay.
    """

    nodes: Mapping[str, Database]
    keys: Sequence[str]
    rules: Rules
    log: Sequence[tuple[str, str, str | None, dict[str, int]]]
    given_up: bool = False
    forgot: bool = False
    may_stop: bool = False
    again: bool = False
    newest: Mapping[str, Set[str | None]] = field(default_factory=dict)

    def outcome(self) -> Outcome:
        nodes = self.nodes.values()
        if any(link.stopped for n in nodes for link in n.links.values()):
            return Outcome([] if self.may_stop else ["stopped without a cause"], [], True)
        outcome = Outcome(self.unequal())
        if not outcome.unequal and not self.again:
            outcome.undone = self.undone()
        if not outcome.unequal and not self.given_up:
            first = next(iter(nodes))
            outcome.undone += [f"{k}: a newer write" for k, v in self.newest.items() if first.rows[k].value not in v]
        outcome.lost = [f"{key} was deleted by a skip without the word" for n in nodes for key in n.taken_away]
        if not self.given_up and len(self.nodes) == 2:  # in a tree a conflict is decided by others
            traced = {(c.key, c.loser_value) for n in nodes for c in n.conflicts}
            outcome.lost += [f"{k}: {v}" for n in nodes for k, v in n.overwritten if (k, v) not in traced]
        return outcome

    def unequal(self) -> list[str]:
        """Records that differ or are not delivered."""
        nodes = list(self.nodes.values())
        wrong = [
            f"{k} differs"
            for k in self.keys
            for node, peer in self.linked()
            if node.rows.get(k, NOTHING).value != peer.rows.get(k, NOTHING).value and not node.on_purpose(k, peer)
        ]
        wrong += [f"{e.key} is pending on {n.name}" for n in nodes for link in n.links.values() for e in link.events]
        if self.rules.foreign:
            for node in nodes:
                parent = parent_of(node.rows.get(CHILD))
                if parent and not node.live(parent):
                    wrong.append(f"{CHILD} is an orphan on {node.name}")
        if self.rules.foreign == "hold" and wrong:
            wrong = [w for w in wrong if not self.apart(w)]
        return wrong

    def linked(self) -> Iterator[tuple[Database, Database]]:
        """The two nodes of each link. Where those are equal, all are."""
        for node in self.nodes.values():
            for peer in node.links:
                if node.name < peer:
                    yield node, self.nodes[peer]

    def apart(self, wrong: str) -> bool:
        """Whether this is what the rule hold leaves: children of a parent that the other node deleted, held with their kin."""
        nodes = list(self.nodes.values())
        parents = [parent_of(n.rows.get(CHILD)) for n in nodes]
        if not any(parent and not other.live(parent) for parent, other in zip(parents, nodes[::-1], strict=True)):
            return False
        held = all(
            link.held.get(e.id, NO_HOLD).reason in LACKING for n in nodes for link in n.links.values() for e in link.events
        )
        return held and wrong.split()[0] in (CHILD, *parents)

    def undone(self) -> list[str]:
        """Writes that knew of the final row and are not in it; under merge and join, all writes that it does not know of."""
        found = []
        gone = {key for _, key, value, _ in self.log if value is None and key in PARENTS}
        for writer, key, value, seen in self.log:
            if self.given_up or (self.forgot and writer != "b"):  # people's choice; whoever forgets is not judged
                continue
            if self.rules.foreign in GIVEN_UP_BY.values() and gone and (key in gone or key == CHILD):
                continue  # may have been given up by rule
            if any(e.key == key for n in self.nodes.values() for link in n.links.values() for e in link.events):
                continue  # stays apart, by the rule hold
            # Equal rows may know of different writes: a hub passes on no row that it had already.
            finals = [node.rows.get(key, NOTHING).seen for node in self.nodes.values()]
            missed = all(final != join(final, seen) for final in finals)
            if missed and (self.rules.conflict in ("merge", "join") or all(knew_of(seen, final) for final in finals)):
                found.append(f"{key}: {value} of {writer}")
        return found
