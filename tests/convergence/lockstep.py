"""Histories step by step beside the model, which says what must be in both databases after each call.

Compared: rows, pending events in order with their stamps and holds, the parents that they wait for, the link's numbers,
decided conflicts.
Users have sessions of their own, whose transactions stay open, so that event ids commit out of order and rows are locked;
no statement is run that would wait.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from convergence.database import Transaction
from convergence.exchange import JUMPS, KINDS, Exchange, Post, step
from convergence.model import Node
from convergence.stage import KEYS
from convergence.state import LAST, NOTHING, Image, Link, Rules, join

STATE = """
select
  (select coalesce(json_object_agg(r.id, r.value), '{}') from {rows} r) as rows,
  (select coalesce(json_agg(json_build_array(e.record_id, e.stamp, e.event_type = 'q', h.attempts,
    extract(epoch from h.not_before) - 1767225600, h.parent_record_id)
      order by e.id), '[]')
    from (select e.*, (extract(epoch from rowferry._stamp(e)) - 1767225600)::text as stamp from rowferry.events e) e
    left join rowferry.held_events h on h.event_id = e.id) as events,
  (select coalesce(json_agg(json_build_array(m.record_id, m.attempts, extract(epoch from m.not_before) - 1767225600,
    m.came)), '[]') from rowferry.missing_parents m) as missing,
  (select json_build_array(l.acked, l.received, l.top, l.built, l.ready, l.growth, l.generation) from rowferry.links l) as link,
  (select coalesce(json_object_agg(s.record_id, json_build_array(s.may_delete, s.kept)), '{}')
    from rowferry.skips s where s.ended_at is null) as asked,
  (select coalesce(json_agg(json_build_array(c.record_id, c.winner, (extract(epoch from c.winner_changed_at) - 1767225600)::text,
      (extract(epoch from c.loser_changed_at) - 1767225600)::text, c.winner_row ->> 'value', c.loser_row ->> 'value')), '[]')
    from rowferry.conflicts c) as conflicts
"""
EVENTS_SINCE = "select record_id from rowferry.events where id > %s order by id"
LAST_BATCH = """
select coalesce(array_agg(e.record_id), '{}') as keys
from rowferry.events e
where e.id <@ (select b.ids from rowferry.built_batches b join rowferry.links l on l.top = b.number where b.in_flight)
"""


class Beside(Exchange):
    """The model does what the databases do, and both are compared after each call."""

    agreed = Rules()
    rows_of = "t.records"

    @staticmethod
    def entity_of(key: str) -> str:
        return "records"

    def __init__(self) -> None:
        self.nodes = [Node(side.name, self.agreed, []) for side in self.stage.sides]
        for node, peer in zip(self.nodes, self.nodes[::-1], strict=True):
            node.links[peer.name] = Link(token=(0, ""))
        self.open: dict[tuple[int, int], Transaction] = {}
        self.given_up = False
        super().__init__()
        for node in self.nodes:
            node.log = self.log
        self.last_ids = [self.last_id(side) for side in (0, 1)]

    def last_id(self, side: int) -> int:
        row = (
            self.sides[side]
            .courier.execute("select pg_sequence_last_value(pg_get_serial_sequence('rowferry.events', 'id')::regclass) as id")
            .fetchone()
        )
        assert row
        return int(row["id"])

    def free(self, side: int, key: str) -> bool:
        return key not in self.nodes[side].locks

    def set_clock(self, side: int, seconds: float) -> None:
        super().set_clock(side, seconds)
        self.nodes[side].now = seconds

    @precondition(lambda self: self.may_skip)
    @rule(side=st.integers(0, 1), which=st.integers(0, 3), delete=st.booleans())
    @step
    def skip(self, side: int, which: int, delete: bool) -> None:
        """A person gives the pending change of a record up, and may say that the row may go."""
        pending = sorted({e.key for link in self.nodes[side].links.values() for e in link.events if not e.question})
        self.give_up(side, (pending or self.keys)[which % len(pending or self.keys)], delete)

    def give_up(self, side: int, key: str, delete: bool) -> None:
        query = "select id from rowferry.events where record_id = %s and event_type <> 'q' order by id limit 1"
        event = self.sides[side].courier.execute(query, (key,)).fetchone()
        if event:
            self.sides[side].courier.execute("select * from rowferry.skip(%s, 'by chance', %s)", (event["id"], delete))
        done = self.nodes[side].skip(self.nodes[1 - side].name, key, delete=delete)
        assert event or not done
        self.given_up |= done

    @rule(side=st.integers(0, 1), which=st.integers(0, 3))
    @step
    def backfill(self, side: int, which: int) -> None:
        """A row is sent as it is."""
        node, key = self.nodes[side], self.keys[which % len(self.keys)]
        if node.live(key) and key not in node.locks:
            self.sides[side].courier.execute("select * from rowferry.replay(%s, %s)", (self.entity_of(key), key))
            node.backfill(self.nodes[1 - side].name, key)

    @precondition(lambda self: self.may_resync)
    @rule(side=st.integers(0, 1))
    @step
    def resync(self, side: int) -> None:
        """A person starts a new generation; the courier's exchange is over, and the other node follows when it hears of it."""
        self.sides[side].courier.execute("select * from rowferry.resync()")
        self.nodes[side].resync(self.nodes[1 - side].name)
        number, random = self.nodes[side].links[self.nodes[1 - side].name].token
        self.tokens[side] = (number, random)
        self.courier.__wrapped__(self)  # type: ignore[attr-defined]

    def exchange(self, post: Post, limit: int) -> Post | None:
        courier, node, peer = self.sides[post.side].courier, self.nodes[post.side], self.nodes[1 - post.side]
        before = self.last_id(post.side)
        row = self.real_call(post, limit)
        order = [r["record_id"] for r in courier.execute(EVENTS_SINCE, (before,)).fetchall()]
        batch = courier.execute(LAST_BATCH).fetchone() if row["sent"] else None
        keys = batch["keys"] if batch else ()
        envelope = node.call(peer.name, post.token, post.model, limit, self.refused[post.side], order)
        self.compare(post.side)
        sent = [e.key for _, events in envelope.batch.rows.values() for e in events] if envelope and envelope.batch else []
        assert sorted(keys) == sorted(sent), f"{node.name} sends events of {sorted(keys)}, the model of {sorted(sent)}"
        assert (envelope is None) == (row["envelope"] is None), (
            f"{node.name} is {row['status']}, the model's answer is {envelope}"
        )
        return None if envelope is None else Post(1 - post.side, post.token, row["envelope"], envelope)

    def compare(self, side: int) -> None:
        """The node is where the model is."""
        node, link = self.nodes[side], self.nodes[side].links[self.nodes[1 - side].name]
        row = self.sides[side].courier.execute(STATE.replace("{rows}", self.rows_of)).fetchone()
        assert row is not None
        held = {e.id: link.held.get(e.id) for e in link.events}
        model = {
            "rows": {k: i.value for k, i in node.rows.items() if i.value is not None},
            "events": [
                (
                    e.key,
                    None if e.question else e.stamp,
                    e.question,
                    *((h.attempts, h.until, h.parent) if (h := held[e.id]) else (None, None, None)),
                )
                for e in sorted(link.events)
            ],
            "missing": {(key, m.attempts, m.until, m.came) for key, m in link.missing.items()},
            "link": [link.acked, link.received, link.top, link.built, link.ready, link.growth, link.generation],
            "asked": {key: [skip.delete, skip.kept] for key, skip in link.asked.items()},
            "conflicts": {tuple(c) for c in node.conflicts},
        }
        real = {
            "rows": row["rows"],
            "events": [
                (k, number(stamp), q, tries, number(until), parent) for k, stamp, q, tries, until, parent in row["events"]
            ],
            "missing": {tuple(m) for m in row["missing"]},
            "link": row["link"],
            "asked": row["asked"],
            "conflicts": {(k, w, number(won), number(lost), *values) for k, w, won, lost, *values in row["conflicts"]},
        }
        self.tally.comparisons += 1
        self.tally.rows += len(real["rows"])
        apart = [
            f"{what} on {node.name}: {real[what]}, the model says {model[what]}" for what in model if real[what] != model[what]
        ]
        assert not apart, "; ".join(apart)

    def quiet(self) -> bool:
        return not any(link.events for node in self.nodes for link in node.links.values()) and super().quiet()

    def finish(self) -> None:
        for side, who in sorted(self.open):
            self.end(side, who, True)
        self.rest()
        for side in (0, 1):
            self.compare(side)
        for key in self.keys:
            self.judge(key, *(node.rows.get(key, NOTHING) for node in self.nodes))
        if not self.may_resync:  # which forgets what was not told yet
            assert self.nodes[0].conflicts == self.nodes[1].conflicts, "each node knows of every conflict"
        self.tally.conflicts += len(self.nodes[0].conflicts)

    def on_purpose(self, key: str, final: Image, other: Image) -> bool:
        """Whether a skip keeps this row on the one node that has it, or gave the answer up that the other node has asked for."""
        skips = [link.asked.get(key) for node in self.nodes for link in node.links.values()]
        kept = [skip is not None and skip.kept for skip in skips]
        if any(skip and skip.answer for skip in skips):
            return True
        return any(kept) and kept == [final.value is not None, other.value is not None]

    def judge(self, key: str, final: Image, other: Image) -> None:
        """What must be true of a record at rest."""
        if self.on_purpose(key, final, other):
            return
        assert final.value == other.value, f"{key} is {final.value} on one node and {other.value} on the other"
        if not self.given_up and not self.may_resync:
            assert not (lost := list(self.undone(key, final.seen))), f"{lost} knew of {key} = {final.value}"


class Lockstep(Beside):
    """One table, several sessions on each node."""

    @rule(
        side=st.integers(0, 1),
        who=st.integers(0, 1),
        kind=st.sampled_from(["write", "write", "write", "delete", "move", "touch", "undo"]),
        key=st.sampled_from(KEYS),
        other=st.sampled_from(KEYS),
        stays_open=st.sampled_from([False, False, True]),
        jump=JUMPS,
    )
    @step
    def user(self, side: int, who: int, kind: str, key: str, other: str, stays_open: bool, jump: int) -> None:
        """A statement of a user's session, in its open transaction or one of its own."""
        if jump:
            self.set_clock(side, self.clocks[side] + jump)
        node, connection = self.nodes[side], self.sides[side].users[who]
        transaction = self.open.get((side, who)) or Transaction(node)
        keys = [key, other] if kind == "move" else [key]
        if any(node.locks.get(k, transaction) is not transaction for k in keys):
            return  # it would wait for the other session
        exists = transaction.sees(key) is not None
        if (kind in ("delete", "touch") and not exists) or (
            kind == "move" and (not exists or key == other or transaction.sees(other) is not None)
        ):
            return
        for k in keys:
            if k in self.refused[side]:
                self.toggle(side, k)
        if (side, who) not in self.open:
            connection.execute("begin")
            self.open[side, who] = transaction
        self.serial += 1
        value = f"{node.name}{self.serial}"
        stamp = self.clocks[side]
        if kind == "undo":
            connection.execute("savepoint s")
            connection.execute(
                "insert into t.records values (%s, %s) on conflict (id) do update set value = excluded.value", (key, value)
            )
            connection.execute("rollback to savepoint s")
            node.draw()
        elif kind == "touch":
            connection.execute("update t.records set value = value where id = %s", (key,))
            transaction.lock(key)
        elif kind == "delete":
            connection.execute("delete from t.records where id = %s", (key,))
            transaction.write(key, None, stamp)
        elif kind == "move":
            connection.execute("update t.records set id = %s, value = %s where id = %s", (other, value, key))
            query = "select record_id from rowferry.events order by id desc limit 2"
            order = [r["record_id"] for r in connection.execute(query).fetchall()][::-1]
            assert sorted(order) == sorted((key, other)), f"a moved key made events of {order}"
            for k in order:
                transaction.write(k, value if k == other else None, stamp)
        else:
            connection.execute(
                "insert into t.records values (%s, %s) on conflict (id) do update set value = excluded.value", (key, value)
            )
            transaction.write(key, value, stamp)
        if not stays_open:
            self.end(side, who, True)

    @rule(
        key=st.sampled_from(KEYS),
        moves=st.lists(st.tuples(st.sampled_from(["first", "second", "call"]), KINDS, JUMPS), min_size=3, max_size=9),
    )
    @step
    def clash(self, key: str, moves: list[tuple[str, str, int]]) -> None:
        """Both nodes change one record while envelopes are on their way."""
        for who, kind, jump in moves:
            if who == "call":
                self.call.__wrapped__(self, 0, False, False, 2)  # type: ignore[attr-defined]
            else:
                self.user.__wrapped__(self, int(who == "second"), 0, kind, key, KEYS[0], False, jump)  # type: ignore[attr-defined]

    @precondition(lambda self: self.may_skip)
    @rule(
        side=st.integers(0, 1), key=st.sampled_from(KEYS), delete=st.booleans(), before=st.integers(0, 6), calls=st.integers(0, 9)
    )
    @step
    def regret(self, side: int, key: str, delete: bool, before: int, calls: int) -> None:
        """A record is made anew, perhaps where the other node has none, and given up."""
        user, carry = self.user.__wrapped__, self.carry.__wrapped__  # type: ignore[attr-defined]
        user(self, side, 0, "delete", key, KEYS[0], False, 0)
        carry(self, before, 2)
        user(self, side, 0, "write", key, KEYS[0], False, 0)
        self.give_up(side, key, delete)
        carry(self, calls, 2)

    @precondition(lambda self: self.open)
    @rule(which=st.integers(0, 3), keep=st.sampled_from([True, True, False]))
    @step
    def end_transaction(self, which: int, keep: bool) -> None:
        """A session commits or rolls back."""
        side, who = sorted(self.open)[which % len(self.open)]
        self.end(side, who, keep)

    def end(self, side: int, who: int, keep: bool) -> None:
        self.sides[side].users[who].execute("commit" if keep else "rollback")
        transaction = self.open.pop((side, who))
        transaction.commit() if keep else transaction.roll_back()


class Merging(Lockstep):
    """The arbiter merges both rows: nothing is lost."""

    agreed = Rules(conflict="merge")
    conflict_rule = "merge:t.merge"

    def judge(self, key: str, final: Image, other: Image) -> None:
        super().judge(key, final, other)
        if not self.given_up and not self.may_resync:
            missed = [value for _, k, value, seen in self.log if k == key and join(seen, final.seen) != final.seen]
            assert not missed, f"{missed} are not in {key} = {final.value}"


class Favouring(Lockstep):
    """One node wins every conflict."""

    agreed = Rules(conflict="fixed", favoured="crm")
    conflict_rule = "node:crm"


def number(text: str | float | None) -> float | None:
    if text is None:
        return None
    return LAST if str(text) == "-Infinity" else float(text)
