"""Histories of rows whose parents are deleted on the other node, under each orphan rule, beside the model.

Two orders and two lines, whose foreign key does not cascade: what a user deletes, it first takes the lines off.
"""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import strategies as st
from hypothesis.stateful import rule

from convergence.database import Transaction
from convergence.exchange import JUMPS, a_side, step
from convergence.lockstep import Beside
from convergence.state import CHILDREN, LACKING, NO_HOLD, PARENTS, Image, Rules, parent_of

WRITE = {
    True: "insert into t.orders (id, value) values (%s, %s) on conflict (id) do update set value = excluded.value",
    False: "insert into t.lines (id, value, order_id) values (%s, %s, %s)"
    " on conflict (id) do update set order_id = excluded.order_id, value = excluded.value",
}
WHATS = st.sampled_from(["order", "line", "line", "line", "delete line", "delete", "delete", "leave", "leave", "move"])


class Orphans(Beside):
    """Both changes are held for a person."""

    agreed = Rules(foreign="hold")
    keys = (*PARENTS, *CHILDREN)
    rows_of = "(select id, value from t.orders union all select id, value from t.lines)"
    turns_at_rest = 8

    def __init__(self) -> None:
        self.left: list[tuple[int, ...]] = []
        super().__init__()

    @staticmethod
    def table_of(key: str) -> str:
        return "orders" if key in PARENTS else "lines"

    @rule(side=a_side(), what=WHATS, order=st.sampled_from(PARENTS), line=st.sampled_from(CHILDREN), jump=JUMPS)
    @step
    def user(self, side: int, what: str, order: str, line: str, jump: int) -> None:
        """A transaction of a user."""
        if jump:
            self.set_clock(side, self.clocks[side] + jump)
        node, connection = self.nodes[side], self.sides[side].users[0]
        transaction = Transaction(node)
        with connection.transaction():
            for key, value in list(self.changes(side, what, order, line)):
                if value is None:
                    connection.execute(f"delete from t.{self.table_of(key)} where id = %s", (key,))
                else:
                    connection.execute(WRITE[key in PARENTS], (key, value, *([] if key in PARENTS else [value[-1]])))
                transaction.write(key, value, self.clocks[side])
        transaction.commit()

    def changes(self, side: int, what: str, order: str, line: str) -> Iterator[tuple[str, str | None]]:
        """What a user writes, in order: keys and values. None: deleted."""
        node, other = self.nodes[side], PARENTS[1 - PARENTS.index(order)]
        self.serial += 1
        value = f"{node.name}{self.serial}"
        if what == "order":
            yield order, value
        elif what == "line":
            parents = [p for p in (order, other) if node.live(p)]
            if parents:
                yield line, f"{value}>{parents[0]}"
        elif what == "delete line":
            if node.live(line):
                yield line, None
        elif node.live(order):
            if what == "move":  # the order has a new key
                if node.live(other):
                    return
                yield other, value
            for child in node.children(order):
                yield child, f"{value}>{other}" if what == "move" or (what == "leave" and node.live(other)) else None
            yield order, None

    @rule(
        moves=st.lists(
            st.tuples(
                st.sampled_from(["first", "second", "call"]), WHATS, st.sampled_from(PARENTS), st.sampled_from(CHILDREN), JUMPS
            ),
            min_size=3,
            max_size=9,
        )
    )
    @step
    def clash(self, moves: list[tuple[str, str, str, str, int]]) -> None:
        """Both nodes change these rows while envelopes are on their way."""
        for who, what, order, line, jump in moves:
            if who == "call":
                self.call.__wrapped__(self, 0, False, False, 5)  # type: ignore[attr-defined]
            else:
                self.user.__wrapped__(self, int(who == "second"), what, order, line, jump)  # type: ignore[attr-defined]

    @rule(deleter=st.integers(0, 1), order=st.sampled_from(PARENTS), line=st.sampled_from(CHILDREN), calls=st.integers(0, 4))
    @step
    def cross(self, deleter: int, order: str, line: str, calls: int) -> None:
        """One node deletes an order, the other writes a line of it."""
        user = self.user.__wrapped__  # type: ignore[attr-defined]
        user(self, 1 - deleter, "order", order, line, 0)
        self.carry.__wrapped__(self, 6, 5)  # type: ignore[attr-defined]
        user(self, deleter, "leave", order, line, 0)
        user(self, 1 - deleter, "line", order, line, 0)
        self.carry.__wrapped__(self, calls, 5)  # type: ignore[attr-defined]

    @rule(line=st.sampled_from(CHILDREN), orders=st.permutations(PARENTS), calls=st.integers(0, 6))
    @step
    def cross_twice(self, line: str, orders: list[str], calls: int) -> None:
        """Each node moves a line to the order that the other one deletes."""
        user = self.user.__wrapped__  # type: ignore[attr-defined]
        for order in orders:
            user(self, 0, "order", order, line, 0)
        self.carry.__wrapped__(self, 6, 5)  # type: ignore[attr-defined]
        for side, (kept, deleted) in enumerate((orders, orders[::-1])):
            user(self, side, "line", kept, line, 0)
            user(self, side, "delete", deleted, line, 0)
        self.carry.__wrapped__(self, calls, 5)  # type: ignore[attr-defined]

    @rule(
        side=a_side(),
        changes=st.lists(st.tuples(WHATS, st.sampled_from(PARENTS), st.sampled_from(CHILDREN)), min_size=2, max_size=4),
        calls=st.integers(1, 6),
    )
    @step
    def trickle(self, side: int, changes: list[tuple[str, str, str]], calls: int) -> None:
        """Changes of one node in batches of one."""
        for what, order, line in changes:
            self.user.__wrapped__(self, side, what, order, line, 0)  # type: ignore[attr-defined]
        self.carry.__wrapped__(self, calls, 1)  # type: ignore[attr-defined]

    def apart(self) -> set[str]:
        """Lines whose order the other node deleted, and their orders: what the rule hold leaves."""
        found = set()
        for node, other in zip(self.nodes, self.nodes[::-1], strict=True):
            for line in CHILDREN:
                order = parent_of(node.rows.get(line))
                if order and not other.live(order):
                    orders = [parent_of(n.rows.get(line)) for n in self.nodes]
                    found |= {line, *(o for o in orders if o)}
        return found if self.agreed.foreign == "hold" else set()

    def quiet(self) -> bool:
        """Nothing is left, or what the rule hold leaves, and nothing changes there any more."""
        links = [link for node in self.nodes for link in node.links.values()]
        if not self.apart():
            return super().quiet()
        before, self.left = self.left, [tuple(e.id for e in link.events) for link in links]
        held = all(link.held.get(e.id, NO_HOLD).reason in LACKING for link in links for e in link.events)
        return held and self.left == before

    def finish(self) -> None:
        super().finish()
        apart, links = self.apart(), [link for node in self.nodes for link in node.links.values()]
        left = {e.key for link in links for e in link.events}
        assert left <= apart, f"{left - apart} are pending"
        for side in self.sides:
            query = "select sqlstate from rowferry.sync_events where sqlstate is distinct from '23503'"
            assert side.courier.execute(query).fetchall() == [], "held for another cause"
            query = "select l.id from t.lines l where l.value not like '%%>' || l.order_id"
            assert side.courier.execute(query).fetchall() == [], "a line of another order"

    def judge(self, key: str, final: Image, other: Image) -> None:
        if key in self.apart():
            return
        if key in self.given_up_by_rule():
            assert final.value == other.value, f"{key} is {final.value} on one node and {other.value} on the other"
            return
        super().judge(key, final, other)
        deleted = {k for _, k, value, _ in self.log if value is None}
        written = {k for _, k, _, _ in self.log}
        assert final.value or self.given_up or key in deleted or key not in written, f"nobody deleted {key}"

    def given_up_by_rule(self) -> set[str]:
        query = "select record_id from rowferry.conflicts where rule in ('drop', 'revive')"
        return {r["record_id"] for side in self.sides for r in side.courier.execute(query).fetchall()}


class Dropping(Orphans):
    """The row is given up."""

    agreed = Rules(foreign="drop")
    orphan_rule = "drop"


class Reviving(Orphans):
    """The parent comes back."""

    agreed = Rules(foreign="revive")
    orphan_rule = "revive"
