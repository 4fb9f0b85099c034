"""Histories step by step beside the model, which says what must be in the databases after each call.

Compared, for each link of the node that was called: rows, pending events in order with their stamps and holds, the parents
that they wait for, the link's numbers, decided conflicts.
Users have sessions of their own, whose transactions stay open, so that event ids commit out of order and rows are locked;
no statement is run that would wait.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from convergence.database import Transaction
from convergence.exchange import JUMPS, KINDS, Exchange, Post, a_link, a_side, step, two_sides
from convergence.model import Node
from convergence.stage import KEYS
from convergence.state import LAST, NOTHING, Image, Link, Rules, join

STATE = """
select
  (select coalesce(json_object_agg(r.id, r.value), '{}') from {rows} r) as rows,
  (select coalesce(json_agg(json_build_array(e.record_id, e.stamp, e.event_type = 'q', h.attempts,
    extract(epoch from h.not_before) - 1767225600, h.parent_record_id)
      order by e.id), '[]')
    from (select e.*, (extract(epoch from rowferry._stamp(e)) - 1767225600)::text as stamp from rowferry.events e
      where e.entity_id = any (n.ids)) e
    left join rowferry.held_events h on h.event_id = e.id) as events,
  (select coalesce(json_agg(json_build_array(m.record_id, m.attempts, extract(epoch from m.not_before) - 1767225600,
    m.came)), '[]') from rowferry.missing_parents m where m.entity_id = any (n.ids)) as missing,
  json_build_array(l.acked, l.received, l.top, l.built, l.ready, l.growth, l.generation,
    l.stopped_at is not null) as link,
  (select coalesce(json_object_agg(s.record_id, json_build_array(s.may_delete, s.kept)), '{}')
    from rowferry.skips s where s.peer = l.peer and s.ended_at is null) as asked,
  (select coalesce(json_agg(json_build_array(c.record_id, c.winner, (extract(epoch from c.winner_changed_at) - 1767225600)::text,
      (extract(epoch from c.loser_changed_at) - 1767225600)::text, c.winner_row ->> 'value', c.loser_row ->> 'value')), '[]')
    from rowferry.conflicts c where c.peer = l.peer) as conflicts
from rowferry.links l cross join lateral (select array_agg(n.id) as ids from rowferry.entities n where n.peer = l.peer) n
where l.peer = %s
"""
OLDEST = """
select e.id from rowferry.events e join rowferry.entities n on n.id = e.entity_id
where n.peer = %s and e.record_id = %s and e.event_type <> 'q' order by e.id limit 1
"""
NUMBERS = ("acked", "received", "top", "built", "ready", "growth", "generation")
EVENTS_SINCE = "select record_id from rowferry.events where id > %s order by id"
LAST_BATCH = """
select coalesce(array_agg(e.record_id), '{}') as keys
from rowferry.events e
where e.id <@ (select b.ids from rowferry.built_batches b join rowferry.links l on l.peer = b.peer and l.top = b.number
  where b.in_flight and b.peer = %s)
"""


class Beside(Exchange):
    """The model does what the databases do, and they are compared after each call."""

    agreed = Rules()
    rows_of = "t.records"

    @staticmethod
    def table_of(key: str) -> str:
        return "records"

    def __init__(self) -> None:
        self.nodes = [Node(side.name, self.agreed, []) for side in self.stage.sides]
        for one, other in self.stage.pairs:
            for node, peer in ((self.nodes[one], self.nodes[other]), (self.nodes[other], self.nodes[one])):
                node.links[peer.name] = Link(token=(0, ""))
        self.open: dict[tuple[int, int], Transaction] = {}
        self.given_up = False
        super().__init__()
        for node in self.nodes:
            node.log = self.log

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
    @rule(side=a_side(), which=st.integers(0, 3), delete=st.booleans())
    @step
    def skip(self, side: int, which: int, delete: bool) -> None:
        """A person gives the pending change of a record up, and may say that the row may go."""
        links = {peer: self.nodes[side].links[self.nodes[peer].name] for peer in self.peers(side)}
        pending = sorted({(e.key, peer) for peer, link in links.items() for e in link.events if not e.question})
        pending = pending or [(key, peer) for key in self.keys for peer in links]
        key, peer = pending[which % len(pending)]
        self.give_up(side, key, delete, peer)

    def give_up(self, side: int, key: str, delete: bool, peer: int | None = None) -> None:
        name = self.sides[self.peers(side)[0] if peer is None else peer].name
        event = self.sides[side].courier.execute(OLDEST, (name, key)).fetchone()
        if event:
            self.sides[side].courier.execute("select * from rowferry.skip(%s, 'by chance', %s)", (event["id"], delete))
        done = self.nodes[side].skip(name, key, delete=delete)
        assert event or not done
        self.given_up |= done

    @rule(side=a_side(), which=st.integers(0, 3))
    @step
    def backfill(self, side: int, which: int) -> None:
        """A row is sent as it is."""
        peers = self.peers(side)
        self.send_again(side, peers[which % len(peers)], self.keys[which % len(self.keys)])

    def send_again(self, side: int, peer: int, key: str) -> None:
        node, name = self.nodes[side], self.nodes[peer].name
        if node.live(key) and key not in node.locks:
            entity = self.sides[side].entities[f"t.{self.table_of(key)}", name]
            self.sides[side].courier.execute("select * from rowferry.replay(%s, %s)", (entity, key))
            node.backfill(name, key)

    @precondition(lambda self: self.may_resync)
    @rule(link=a_link())
    @step
    def resync(self, link: tuple[int, int]) -> None:
        self.begin_anew(*link)
        self.come(*sorted(link))

    def begin_anew(self, side: int, peer: int) -> None:
        """A person starts a new generation; the courier's exchange is over, and the other node follows when it hears of it."""
        name = self.sides[peer].name
        self.sides[side].courier.execute("select * from rowferry.resync(%s)", (name,))
        self.nodes[side].resync(name)
        self.tokens[side, peer] = self.nodes[side].links[name].token

    def exchange(self, post: Post, limit: int) -> Post | None:
        courier, node, peer = self.sides[post.side].courier, self.nodes[post.side], self.nodes[post.peer]
        before = self.last_id(post.side)
        row = self.real_call(post, limit)
        order = [r["record_id"] for r in courier.execute(EVENTS_SINCE, (before,)).fetchall()]
        batch = courier.execute(LAST_BATCH, (peer.name,)).fetchone() if row["sent"] else None
        keys = batch["keys"] if batch else ()
        envelope = node.call(peer.name, post.token, post.model, limit, self.refused[post.side], order)
        self.compare(post.side)
        sent = [e.key for _, events in envelope.batch.rows.values() for e in events] if envelope and envelope.batch else []
        assert sorted(keys) == sorted(sent), f"{node.name} sends events of {sorted(keys)}, the model of {sorted(sent)}"
        if row["status"] == "idle" and row["envelope"] is None and envelope is not None and envelope.batch is None:
            return Post(post.peer, post.side, post.token, None, None)  # there is nothing to say: the peer is called without it
        assert (envelope is None) == (row["envelope"] is None), (
            f"{node.name} is {row['status']}, the model's answer is {envelope}"
        )
        return None if envelope is None else Post(post.peer, post.side, post.token, row["envelope"], envelope)

    def compare(self, side: int) -> None:
        """The node is where the model is."""
        for peer in self.nodes[side].links:
            self.compare_link(side, peer)

    def compare_link(self, side: int, peer: str) -> None:
        node, link = self.nodes[side], self.nodes[side].links[peer]
        row = self.sides[side].courier.execute(STATE.replace("{rows}", self.rows_of), (peer,)).fetchone()
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
            "link": [*map(vars(link).get, NUMBERS), bool(link.stopped)],
            "asked": {key: [skip.delete, skip.kept] for key, skip in link.asked.items()},
            "conflicts": {tuple(c) for c in link.conflicts},
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
            f"{what} on {node.name} for {peer}: {real[what]}, the model says {model[what]}"
            for what in model
            if real[what] != model[what]
        ]
        assert not apart, "; ".join(apart)

    def quiet(self) -> bool:
        return not any(link.events for node in self.nodes for link in node.links.values()) and super().quiet()

    def finish(self) -> None:
        for side, who in sorted(self.open):
            self.end(side, who, True)
        self.rest()
        for side in range(len(self.sides)):
            self.compare(side)
        for node, peer in ((self.nodes[one], self.nodes[other]) for one, other in self.stage.pairs):
            for key in self.keys:
                if not node.on_purpose(key, peer):
                    self.judge(key, node.rows.get(key, NOTHING), peer.rows.get(key, NOTHING))
            if not self.may_resync:  # which forgets what was not told yet
                assert node.links[peer.name].conflicts == peer.links[node.name].conflicts, "each node knows of every conflict"
            self.tally.conflicts += len(node.links[peer.name].conflicts)

    def judge(self, key: str, final: Image, other: Image) -> None:
        """What must be true of a record on the two nodes of a link at rest."""
        assert final.value == other.value, f"{key} is {final.value} on one node and {other.value} on the other"
        if not self.given_up and not self.may_resync:
            assert not (lost := list(self.undone(key, final.seen, other.seen))), f"{lost} knew of {key} = {final.value}"


class Lockstep(Beside):
    """One table, several sessions on each node."""

    @rule(
        side=a_side(),
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
            query = "select record_id from rowferry.events order by id desc limit 2"  # each link has them in this order
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
        sides=two_sides(),
        key=st.sampled_from(KEYS),
        moves=st.lists(st.tuples(st.sampled_from(["first", "second", "call"]), KINDS, JUMPS), min_size=3, max_size=9),
    )
    @step
    def clash(self, sides: tuple[int, int], key: str, moves: list[tuple[str, str, int]]) -> None:
        """Two nodes change one record while envelopes are on their way."""
        for who, kind, jump in moves:
            if who == "call":
                self.call.__wrapped__(self, 0, False, False, 2)  # type: ignore[attr-defined]
            else:
                self.user.__wrapped__(self, sides[who == "second"], 0, kind, key, KEYS[0], False, jump)  # type: ignore[attr-defined]

    @precondition(lambda self: self.may_skip)
    @rule(side=a_side(), key=st.sampled_from(KEYS), delete=st.booleans(), before=st.integers(0, 6), calls=st.integers(0, 9))
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
