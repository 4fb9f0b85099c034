"""Random histories of the model: what users, couriers, clocks and people do to it, and what must be so at rest.

scenario  what it adds to couriers that die or overlap, envelopes lost, repeated or late, rows refused, clocks that jump
couriers  nothing
open      user transactions that stay open: event ids commit out of order, rows are locked
held      rows refused for long: they wait ever longer, the others go on
skip      people give changes up, and backfill
fk        a child with a cascading foreign key, deletes of the parent and changes of its key
orphans   a foreign key without cascade, under one of the rules hold, drop and revive
restore   node a goes back to an older state of itself
resync    the same, and people start a new generation and backfill
clone     an old copy of node a is used beside it
star      three to five nodes in a star or a tree, what is applied goes on to the others; some histories have
          skips, some refusals, some a leaf that goes back and resync(), some clocks that are right: then the newest row must stay
fixed     rule: node a wins; backfills
merge     rule: the arbiter merges both rows; backfills
join      rule: both sides unite both rows; writes only add
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterable
from dataclasses import dataclass

from convergence.database import Transaction
from convergence.judge import CHILD, Judge, Outcome
from convergence.model import Node
from convergence.state import NOTHING, PARENTS, Envelope, Link, Rules, Token, parent_of

# Rules that can be left out, by scenario. Those of RARE need more histories than a test has time for: test_model.py plays
# some step by step, and test_explore.py finds early_retire and known_counts. HARMLESS ones stay to show that they are.
MUTATIONS = {
    "couriers": ("no_guard", "partial_keys", "unseen_ignored", "any_token", "coalesce_sent", "beaten_stay"),
    "open": ("unseen_ignored", "coalesce_sent"),
    "held": ("no_retry",),
    "skip": ("skip_forgets", "skip_deletes"),
    "fk": ("consequence_now", "no_capture"),
    "orphans": ("skip_forgets", "never_gives_up", "asks_for_ever", "any_parent", "waits_for_ever"),
    "restore": ("no_memory_check",),
    "resync": ("settled_at_once",),
    "clone": ("no_memory_check", "no_tags"),
    "star": ("no_forward", "forward_now", "echoes", "ring"),
    "fixed": ("last_is_real",),
    "merge": ("both_merge", "other_takes"),
    "join": ("join_drops_events", "join_overwrites"),
}
RARE = {
    "couriers": ("early_retire",),
    "open": ("known_counts",),
    "skip": ("skip_in_flight",),
    "fk": ("no_companions",),
    "restore": ("no_tags",),
}
HARMLESS = {"couriers": ("coalesce_oldest",), "fixed": ("blind",), "orphans": ("never_looks",)}


@dataclass
class Call:
    node: str
    peer: str
    token: Token
    envelope: Envelope | None


class History:
    """One random history; all luck comes from its seed."""

    def __init__(self, seed: int, scenario: str, broken: str = "") -> None:
        rng = self.rng = random.Random(seed)
        self.scenario = scenario
        foreign = {"fk": "cascade", "orphans": rng.choice(["hold", "drop", "revive"])}.get(scenario, "")
        self.rules = Rules(
            conflict=scenario if scenario in ("fixed", "merge", "join") else "newest",
            foreign=foreign,
            window=rng.choice([1, 2, 2, 3]),
            broken=broken,
        )
        star = scenario == "star"
        names = "abcde"[: rng.choice([3, 4, 5]) if star else 2]
        self.log: list[tuple[str, str, str | None, dict[str, int]]] = []
        self.nodes = {n: Node(n, self.rules, self.log) for n in names}
        tree = star and rng.random() < 0.5
        self.pairs = [(names[rng.randrange(i)] if tree else "a", names[i]) for i in range(1, len(names))]
        if broken == "ring":
            self.pairs = list(zip(names, names[1:] + names[0], strict=True))
        for x, y in self.pairs:
            self.nodes[x].links[y], self.nodes[y].links[x] = Link(), Link()
        self.keys = [*PARENTS, CHILD] if foreign else ["k", "l"][: rng.choice([1, 2])]
        self.right_clocks = star and rng.random() < 0.4
        self.people = rng.choice(["", "skip", "held", "resync"]) if star else scenario
        self.fragile = names[-1] if star else "a"  # the node that may go back; of a tree a leaf
        self.skew = {n: 0 if self.right_clocks else rng.choice([0, 0, 5, -5, 50]) for n in names}
        self.written: dict[str, list[tuple[float, str | None]]] = {}
        self.clock = self.serial = 0
        self.calls: list[Call] = []
        self.open: list[Transaction] = []
        self.refused: dict[str, set[str]] = {n: set() for n in names}  # for longer than one call
        self.backup: Node | None = None
        self.spare: Node | None = None
        self.lost_memory = False
        self.given_up = False

    # what happens

    def play(self) -> None:
        rng = self.rng
        busy, late, again, loss, fresh, bad, wild, more = (
            rng.choice(c)
            for c in ((0.2, 0.3, 0.45), (0, 0.3, 0.6), (0, 0.15), (0, 0.1), (0, 0.03, 0.08), (0, 0.1), (False, True), (0, 0.15))
        )
        for x, y in self.pairs:
            self.courier(x, y)
        for step in range(rng.randint(3, 60)):
            self.clock += rng.choice([0, 1, 2])
            for name, node in self.nodes.items():
                node.now = self.clock + self.skew[name]
            luck = rng.random()
            if luck < busy:
                node = self.nodes[rng.choice(list(self.nodes))]
                time = rng.randrange(10) if wild else node.now + rng.choice([0, 0, 0, -7])
                if self.right_clocks:
                    time = node.now
                self.user(node, time, f"{node.name}{step}")
            elif luck < busy + 0.1:
                self.mischief()
            elif luck < 1 - fresh and self.calls:
                if rng.random() < more:  # both nodes at work at once
                    x, y = rng.sample(rng.choice(self.pairs), 2)
                    self.calls.append(Call(x, y, self.nodes[x].links[y].token, None))
                i = rng.randrange(len(self.calls)) if rng.random() < late else 0
                call = self.calls[i] if rng.random() < again else self.calls.pop(i)  # else it comes once more
                self.deliver(call, [k for k in self.keys if rng.random() < bad], rng.random() < loss)
            else:
                self.courier(*rng.choice(self.pairs))

    def courier(self, x: str, y: str) -> None:
        self.serial += 1
        token = (1 + max(self.nodes[x].links[y].token[0], self.nodes[y].links[x].token[0]), self.serial)
        self.calls += [Call(x, y, token, None), Call(y, x, token, None)]

    def deliver(self, call: Call, refuse: Iterable[str], lost: bool) -> None:
        refuse = {*refuse, *self.refused[call.node]}
        answer = self.nodes[call.node].call(call.peer, call.token, call.envelope, self.rng.choice([1, 2, 5]), refuse)
        if answer is not None and not lost:
            self.calls.append(Call(call.peer, call.node, answer.token, answer))

    def user(self, node: Node, time: float, name: str) -> None:
        """One statement of a user."""
        rng = self.rng
        key = rng.choice(self.keys)
        if key in node.locks:
            return  # waits for the other user
        value = None if rng.random() < 0.2 and not self.right_clocks else name
        if self.rules.foreign:
            self.family(node, key, time, name)
        elif self.scenario == "join" and self.rules.broken != "join_overwrites":
            old = node.rows.get(key, NOTHING).value or ""
            node.write(key, "|".join(sorted({*old.split("|"), name} - {""})), time)
        elif len(self.keys) == 2 and rng.random() < 0.1 and not (node.locks or self.right_clocks):
            old_key, new_key = rng.sample(self.keys, 2)  # the key changes: an event for the old and one for the new
            self.write(node, old_key, None, time)
            self.write(node, new_key, value, time)
        elif self.scenario == "open" and rng.random() < 0.6:
            transaction = rng.choice([*(t for t in self.open if t.node is node), Transaction(node)])
            transaction.write(key, value, time)
            if transaction not in self.open:
                self.open.append(transaction)
        else:
            self.write(node, key, value, time)

    def write(self, node: Node, key: str, value: str | None, time: float) -> None:
        node.write(key, value, time)
        self.written.setdefault(key, []).append((time, value))

    def family(self, node: Node, key: str, time: float, name: str) -> None:
        """A parent or its child, as the foreign key allows it on this node."""
        rng, cascade = self.rng, self.rules.foreign == "cascade"
        parents = [p for p in PARENTS if node.live(p)]
        if key == CHILD:
            if parents:
                gone = node.live(CHILD) and rng.random() < 0.2
                node.write(CHILD, None if gone else f"{name}>{rng.choice(parents)}", time)
            return
        child = parent_of(node.rows.get(CHILD)) == key
        other = PARENTS[1 - PARENTS.index(key)]
        if not node.live(key) or rng.random() < 0.6 or (child and not cascade):
            node.write(key, name, time)
            return
        moves = not node.live(other) and rng.random() < 0.5
        if moves:
            node.write(other, name, time)
        if child:
            node.write(CHILD, f"{name}>{other}" if moves else None, time)
        node.write(key, None, time)

    def mischief(self) -> None:
        """What else may happen in this scenario."""
        rng, nodes = self.rng, self.nodes
        node = nodes[rng.choice(list(nodes))]
        peer = rng.choice(sorted(node.links))
        key = rng.choice(self.keys)
        if self.open:
            transaction = self.open.pop(rng.randrange(len(self.open)))
            transaction.roll_back() if rng.random() < 0.2 else transaction.commit()
        elif self.people == "skip":
            if rng.random() < 0.3 and node.live(key):
                node.backfill(peer, key)
            self.given_up |= node.skip(peer, key, delete=rng.random() < 0.3)
        elif self.people == "held":
            self.refused[node.name] ^= {key}
        elif self.scenario in ("fixed", "merge") and node.live(key) and key not in node.locks:
            node.backfill(peer, key)
        elif self.people in ("restore", "clone", "resync") and not self.lost_memory:
            self.forget()
        elif self.people == "resync" and node.links[peer].stopped:
            node.resync(peer)
        if self.spare is not None and rng.random() < 0.5:  # the courier finds the other copy
            nodes["a"], self.spare, self.calls = self.spare, nodes["a"], []
            self.courier("a", "b")

    def forget(self) -> None:
        node = self.nodes[self.fragile]
        if self.backup is None:
            log, node.log = node.log, []  # the log is not the node's own
            self.backup = copy.deepcopy(node)
            self.backup.log = node.log = log
            self.backup.writer += "'"
        elif self.rng.random() < 0.3:
            self.lost_memory = True
            if self.scenario != "clone":  # its connections broke: nothing under way reaches it
                self.nodes[node.name] = self.backup
                self.calls = [c for c in self.calls if c.node != node.name and (c.peer != node.name or c.envelope is None)]
            else:
                self.spare, self.calls = self.backup, []

    # at rest

    def rest(self) -> Outcome:
        """No more writes and a courier that lives: what is wrong then."""
        while self.open:
            self.open.pop().commit()
        self.exchange()
        if self.people == "resync" and self.lost_memory:
            for _ in range(3):  # who follows may have stopped itself, for what it heard before
                for node in self.nodes.values():
                    for peer in node.links:
                        if node.links[peer].stopped:
                            node.resync(peer)
                self.exchange()
            peer = next(iter(self.nodes[self.fragile].links))
            for name, other in ((peer, self.fragile), (self.fragile, peer)):
                for key in [k for k in self.keys if self.nodes[name].live(k)]:
                    self.nodes[name].backfill(other, key)
                self.exchange()
        return Judge(
            self.nodes,
            self.keys,
            self.rules,
            self.log,
            self.given_up,
            self.lost_memory,
            may_stop=self.lost_memory and self.people != "resync",
            again=self.people == "resync",
            newest=self.newest() if self.right_clocks and not self.lost_memory else {},
        ).outcome()

    def newest(self) -> dict[str, set[str | None]]:
        """What the last users wrote, by key: several if they wrote at the same time."""
        last = {key: max(time for time, _ in writes) for key, writes in self.written.items()}
        return {key: {value for time, value in writes if time == last[key]} for key, writes in self.written.items()}

    def exchange(self) -> None:
        """A courier that lives, until nothing moves."""
        tokens = {}
        for x, y in self.pairs:
            tokens[x, y] = (1 + max(self.nodes[x].links[y].token[0], self.nodes[y].links[x].token[0]), self.serial + 1)
        back: dict[tuple[str, str], Envelope | None] = {}
        limit = self.rng.choice([1, 5])
        for _ in range(120):
            self.clock += 600  # longer than any row is held
            for name, node in self.nodes.items():
                node.now = self.clock + self.skew[name]
            for x, y in self.pairs:
                there = self.nodes[x].call(y, tokens[x, y], back.get((x, y)), limit)
                back[x, y] = self.nodes[y].call(x, tokens[x, y], there, limit)
            quiet = not any(link.events for n in self.nodes.values() for link in n.links.values())
            if quiet and all(link.ready for n in self.nodes.values() for link in n.links.values()):
                break


def run(
    scenario: str, histories: int, broken: str = "", first: int = 0, enough: int = 1
) -> tuple[list[tuple[int, Outcome]], int]:
    """Plays histories of the seeds from `first` on until `enough` went wrong: those, and how many were played."""
    wrong = []
    for seed in range(first, first + histories):
        history = History(seed, scenario, broken)
        history.play()
        outcome = history.rest()
        if outcome:
            wrong.append((seed, outcome))
            if len(wrong) >= enough:
                return wrong, seed - first + 1
    return wrong, histories
