"""Histories on two real databases, step by step beside the model, which says what must be in both after each call.

Hypothesis chooses the steps and shrinks a history that fails to a short program. Users have sessions of their own, whose
transactions stay open, so that event ids commit out of order and rows are locked; no statement is run that would wait.
Compared after each call: rows, pending events in order with their stamps and holds, the link's numbers, decided conflicts.
The family machine (a child with a cascading foreign key, no open transactions) runs without the model: it is judged at rest.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from convergence.model import LAST, NOTHING, Envelope, Link, Node, Rules, Token, Transaction, join, knew_of
from convergence.stage import KEYS, Side, Stage
from harness import Nodes

F = TypeVar("F", bound=Callable[..., Any])
CALL = "select * from rowferry.process_batch(null, %s, %s, %s)"
STATE = """
select
  (select coalesce(json_object_agg(r.id, r.value), '{}') from t.records r) as rows,
  (select coalesce(json_agg(json_build_array(e.record_id, e.stamp, e.event_type = 'q', h.attempts,
    extract(epoch from h.not_before - '2026-01-01'))
      order by e.id), '[]')
    from (select e.*, extract(epoch from rowferry._stamp(e) - '2026-01-01')::text as stamp from rowferry.events e) e
    left join rowferry.held_events h on h.event_id = e.id) as events,
  (select json_build_array(l.acked, l.received, l.top, l.built, l.ready, l.growth) from rowferry.links l) as link,
  (select coalesce(json_agg(json_build_array(c.record_id, c.winner, extract(epoch from c.winner_changed_at - '2026-01-01')::text,
      extract(epoch from c.loser_changed_at - '2026-01-01')::text, c.winner_row ->> 'value', c.loser_row ->> 'value')), '[]')
    from rowferry.conflicts c) as conflicts
"""
BACKFILL = """
insert into rowferry.events (changed_at, entity_id, event_type, record_id)
select rowferry._now(), e.id, 'b', %s from rowferry.entities e where e.name = 'records'
"""
EVENTS_SINCE = "select record_id from rowferry.events where id > %s order by id"
LAST_BATCH = """
select coalesce(array_agg(e.record_id), '{}') as keys
from rowferry.events e
where e.id <@ (select b.ids from rowferry.built_batches b join rowferry.links l on l.top = b.number where b.in_flight)
"""


JUMPS = st.sampled_from([0, 0, 1, -7, 9])
KINDS = st.sampled_from(["write", "write", "write", "delete"])


@dataclass
class Tally:
    """What was played and compared."""

    histories: int = 0
    steps: int = 0
    calls: int = 0
    rows: int = 0
    conflicts: int = 0
    comparisons: int = 0
    by_machine: dict[str, int] = field(default_factory=dict)


@dataclass
class Post:
    """A call of process_batch that waits to be made."""

    side: int
    token: Token
    real: bytes | None
    model: Envelope | None


def step(function: F) -> F:
    """A step of a history: after one that failed nothing more is done."""

    @functools.wraps(function)
    def taken(self: Any, *args: Any, **kw: Any) -> Any:
        self.tally.steps += 1
        try:
            return function(self, *args, **kw)
        except BaseException:
            self.failed = True
            raise

    return taken  # type: ignore[return-value]


class Exchange(RuleBasedStateMachine):
    """What both machines have: couriers, clocks, refusals, skips."""

    stage: Stage
    tally: Tally
    agreed = Rules()
    conflict_rule = "newest"

    def __init__(self) -> None:
        super().__init__()
        self.stage.reset()
        self.failed = False
        self.may_skip = False
        self.serial = 0
        self.clocks = [0.0, 0.0]
        self.refused: list[set[str]] = [set(), set()]
        self.posts: list[Post] = []
        self.tokens: list[Token] = [(0, ""), (0, "")]
        self.log: list[tuple[str, str, str | None, dict[str, int]]] = []
        for side in self.stage.sides:
            side.set_clock(0)
        self.courier()

    @initialize(skips=st.sampled_from([False, False, True]))
    @step
    def begin(self, skips: bool) -> None:
        """Whether people give changes up in this history: then what is lost is theirs, and not judged."""
        self.may_skip = skips

    @property
    def sides(self) -> list[Side]:
        return self.stage.sides

    @rule()
    @step
    def courier(self) -> None:
        """A new courier opens both nodes; the old one's calls may still come."""
        self.serial += 1
        token: Token = (1 + max(int(t[0]) for t in self.tokens), f"{self.serial:06d}")
        self.posts += [Post(0, token, None, None), Post(1, token, None, None)]

    @rule(
        which=st.sampled_from([0, 0, 0, 0, 1, 2, 5]),
        again=st.sampled_from([False] * 6 + [True]),
        lost=st.sampled_from([False] * 8 + [True]),
        limit=st.sampled_from([1, 2, 5]),
    )
    @step
    def call(self, which: int, again: bool, lost: bool, limit: int) -> None:
        """The courier makes a call: not always the oldest; it may come once more; its answer may be lost."""
        if self.posts:
            post = self.posts[which % len(self.posts)] if again else self.posts.pop(which % len(self.posts))
            answer = self.exchange(post, limit)
            if answer is not None and not lost:
                self.posts.append(answer)

    @rule(calls=st.integers(1, 6), limit=st.sampled_from([1, 2, 5]))
    @step
    def carry(self, calls: int, limit: int) -> None:
        """Some calls without a fault."""
        for _ in range(calls):
            self.call.__wrapped__(self, 0, False, False, limit)  # type: ignore[attr-defined]

    @rule(side=st.integers(0, 1), seconds=st.sampled_from([1, 1, 1, 5, 60, -7, -60]))
    @step
    def tick(self, side: int, seconds: int) -> None:
        self.set_clock(side, self.clocks[side] + seconds)

    @rule(side=st.integers(0, 1), key=st.sampled_from(KEYS))
    @step
    def refuse(self, side: int, key: str) -> None:
        """The node refuses this row until this is said again."""
        if self.free(side, key):
            self.toggle(side, key)

    def toggle(self, side: int, key: str) -> None:
        connection = self.sides[side].courier
        if key in self.refused[side]:
            connection.execute("delete from t.refused where id = %s", (key,))
        else:
            connection.execute("insert into t.refused values (%s)", (key,))
        self.refused[side] ^= {key}

    def free(self, side: int, key: str) -> bool:
        return True

    def set_clock(self, side: int, seconds: float) -> None:
        self.clocks[side] = seconds
        self.sides[side].set_clock(seconds)

    def real_call(self, post: Post, limit: int) -> dict[str, Any]:
        self.tally.calls += 1
        token = f"{post.token[0]}-{post.token[1]}"
        row = None
        while (
            row is None
        ):  # a lock of the server's own work, such as autovacuum's, may hold it: the courier tries again too
            with contextlib.suppress(psycopg.errors.LockNotAvailable):
                row = self.sides[post.side].courier.execute(CALL, (token, post.real, limit)).fetchone()
        assert row["status"] in ("moved", "idle", "superseded"), f"{row['status']}: {row['reason']}"
        if row["status"] != "superseded":
            self.tokens[post.side] = max(self.tokens[post.side], post.token)
        return row

    def exchange(self, post: Post, limit: int) -> Post | None:
        """Makes the call; the answer on its way to the other node."""
        row = self.real_call(post, limit)
        return Post(1 - post.side, post.token, row["envelope"], None) if row["envelope"] is not None else None

    def quiet(self) -> bool:
        return all(not side.courier.execute("select from rowferry.events limit 1").fetchall() for side in self.sides)

    def rest(self) -> None:
        """No more writes, and a courier that lives: everything is delivered."""
        self.posts.clear()
        for side, keys in enumerate(self.refused):
            for key in sorted(keys):
                self.toggle(side, key)
        self.courier.__wrapped__(self)  # type: ignore[attr-defined]
        for turn in range(200):
            for side in (0, 1):
                self.set_clock(side, max(self.clocks) + 600)
            for _ in range(min(2, len(self.posts))):
                answer = self.exchange(self.posts.pop(0), 5)
                assert answer is not None, "a call at rest has no answer"
                self.posts.append(answer)
            if turn > 2 and self.quiet():
                return
        left = [side.courier.execute("select * from rowferry.sync_events").fetchall() for side in self.sides]
        raise AssertionError(f"never at rest: {left}")

    def teardown(self) -> None:
        if not self.failed:
            self.finish()
            self.tally.histories += 1
            name = type(self).__name__
            self.tally.by_machine[name] = self.tally.by_machine.get(name, 0) + 1

    def finish(self) -> None:
        raise NotImplementedError

    def undone(self, key: str, final: dict[str, int]) -> Iterator[str]:
        """Writes of this record that knew of the final row and are not in it."""
        for writer, written, value, seen in self.log:
            if written == key and final != join(final, seen) and knew_of(seen, final):
                yield f"{value or 'a delete'} of {writer}"


class Lockstep(Exchange):
    """One table, several sessions on each node, the model beside it."""

    def __init__(self) -> None:
        self.nodes = [Node(side.name, self.agreed, []) for side in self.stage.sides]
        for node, peer in zip(self.nodes, self.nodes[::-1], strict=True):
            node.links[peer.name] = Link()
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

    @precondition(lambda self: self.may_skip)
    @rule(side=st.integers(0, 1), key=st.sampled_from(KEYS))
    @step
    def skip(self, side: int, key: str) -> None:
        """A person gives the pending change of a record up."""
        query = "select id from rowferry.events where record_id = %s and event_type <> 'q' order by id limit 1"
        event = self.sides[side].courier.execute(query, (key,)).fetchone()
        if event:
            self.sides[side].courier.execute("select * from rowferry.skip(%s, 'by chance')", (event["id"],))
        done = self.nodes[side].skip(self.nodes[1 - side].name, key)
        assert event or not done
        self.given_up |= done

    @rule(side=st.integers(0, 1), key=st.sampled_from(KEYS))
    @step
    def backfill(self, side: int, key: str) -> None:
        """A row is sent as it is."""
        node = self.nodes[side]
        if node.live(key) and key not in node.locks:
            self.sides[side].courier.execute(BACKFILL, (key,))
            node.emit(key, LAST, node.links)

    def exchange(self, post: Post, limit: int) -> Post | None:
        courier, node, peer = self.sides[post.side].courier, self.nodes[post.side], self.nodes[1 - post.side]
        before = self.last_id(post.side)
        row = self.real_call(post, limit)
        order = [r["record_id"] for r in courier.execute(EVENTS_SINCE, (before,)).fetchall()]
        batch = courier.execute(LAST_BATCH).fetchone() if row["sent"] else None
        prefer = batch["keys"] if batch else ()
        envelope = node.call(peer.name, post.token, post.model, limit, self.refused[post.side], order, prefer)
        self.compare(post.side)
        sent = [e.key for _, events in envelope.batch.rows.values() for e in events] if envelope and envelope.batch else []
        assert sorted(prefer) == sorted(sent), f"{node.name} sends events of {sorted(prefer)}, the model of {sorted(sent)}"
        assert (envelope is None) == (row["envelope"] is None), (
            f"{node.name} is {row['status']}, the model's answer is {envelope}"
        )
        return None if envelope is None else Post(1 - post.side, post.token, row["envelope"], envelope)

    def compare(self, side: int) -> None:
        """The node is where the model is."""
        node, link = self.nodes[side], self.nodes[side].links[self.nodes[1 - side].name]
        row = self.sides[side].courier.execute(STATE).fetchone()
        assert row is not None
        held = {e.id: link.held.get(e.id) for e in link.events}
        model = {
            "rows": {k: i.value for k, i in node.rows.items() if i.value is not None},
            "events": [
                (
                    e.key,
                    None if e.question else e.stamp,
                    e.question,
                    *((h.attempts, h.until) if (h := held[e.id]) else (None, None)),
                )
                for e in sorted(link.events)
            ],
            "link": [link.acked, link.received, link.top, link.built, link.ready, link.growth],
            "conflicts": {tuple(c) for c in node.conflicts},
        }
        real = {
            "rows": row["rows"],
            "events": [(k, number(stamp), q, attempts, number(until)) for k, stamp, q, attempts, until in row["events"]],
            "link": row["link"],
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
        first, second = (node.rows for node in self.nodes)
        for side in (0, 1):
            self.compare(side)
        for key in KEYS:
            final, other = first.get(key, NOTHING), second.get(key, NOTHING)
            assert final.value == other.value, f"{key} is {final.value} on one node and {other.value} on the other"
            if not self.given_up:
                assert not (lost := list(self.undone(key, final.seen))), f"{lost} knew of {key} = {final.value}"
            if not self.given_up and self.agreed.conflict == "merge":
                missed = [value for _, k, value, seen in self.log if k == key and join(seen, final.seen) != final.seen]
                assert not missed, f"{missed} are not in {key} = {final.value}"
        assert self.nodes[0].conflicts == self.nodes[1].conflicts, "each node knows of every conflict"
        self.tally.conflicts += len(self.nodes[0].conflicts)


class Merging(Lockstep):
    """The arbiter merges both rows: nothing is lost."""

    agreed = Rules(conflict="merge")
    conflict_rule = "merge:t.merge"


class Favouring(Lockstep):
    """One node wins every conflict."""

    agreed = Rules(conflict="fixed", favoured="crm")
    conflict_rule = "node:crm"


class Family(Exchange):
    """Parents whose key may change, and a child that follows by a cascading foreign key; judged at rest."""

    def __init__(self) -> None:
        self.versions = [0, 0]
        self.may_delete = False
        self.deleted = False
        self.given_up = False
        super().__init__()
        self.seen: dict[str, dict[str, int]] = {}  # each value is written once, so that it tells what its writer knew

    @initialize(deletes=st.booleans())
    @step
    def begin_deletes(self, deletes: bool) -> None:
        """Whether rows are deleted in this history: where none is, none may be missing at rest."""
        self.may_delete = deletes
        for table in ("parents", "children"):
            self.statement(0, "write", table, KEYS[0])

    @rule(
        side=st.integers(0, 1),
        statements=st.lists(
            st.tuples(
                st.sampled_from(["write", "write", "write", "delete", "move"]),
                st.sampled_from(["parents", "children"]),
                st.sampled_from(KEYS),
            ),
            min_size=1,
            max_size=5,
        ),
        jump=JUMPS,
    )
    @step
    def user(self, side: int, statements: list[tuple[str, str, str]], jump: int) -> None:
        """Statements of a user, each a transaction of its own."""
        if jump:
            self.set_clock(side, self.clocks[side] + jump)
        for kind, table, key in statements:
            self.statement(side, kind, table, key)

    def statement(self, side: int, kind: str, table: str, key: str) -> None:
        connection, name = self.sides[side].users[0], self.sides[side].name
        found = {r["id"]: r for r in connection.execute("select id, value from t.parents").fetchall()}
        record = key if table == "parents" else "c"
        row = connection.execute(f"select * from t.{table} where id = %s", (record,)).fetchone()
        if (
            (kind == "delete" and not self.may_delete)
            or (kind != "write" and row is None)
            or (table == "children" and (kind == "move" or not found))
        ):
            return
        other = KEYS[1 - KEYS.index(key)]
        child = connection.execute("select value from t.children where parent_id = %s", (key,)).fetchone()
        if kind == "move" and other in found:
            return
        self.versions[side] += 1
        self.serial += 1
        value: str | None = f"{name}{self.serial}"
        seen = join(self.seen.get(row["value"], {}) if row else {}, {name: self.versions[side]})
        if kind == "delete":
            value = None
            self.deleted = True
            connection.execute(f"delete from t.{table} where id = %s", (record,))
        elif kind == "move":
            with connection.transaction():  # the child that follows gets a new value, to tell what its writer knew
                connection.execute("update t.parents set id = %s, value = %s where id = %s", (other, value, key))
                if child:
                    connection.execute("update t.children set value = %s where parent_id = %s", (f"{value}c", other))
                    self.versions[side] += 1
                    self.seen[f"{value}c"] = join(self.seen[child["value"]], {name: self.versions[side]})
                    self.log.append((name, "children/c", f"{value}c", self.seen[f"{value}c"]))
            self.log.append((name, f"parents/{key}", None, seen))
            record = other
        elif table == "parents":
            connection.execute(
                "insert into t.parents values (%s, %s) on conflict (id) do update set value = excluded.value", (key, value)
            )
        else:
            parent = key if key in found else other
            connection.execute(
                "insert into t.children values ('c', %s, %s)"
                " on conflict (id) do update set parent_id = excluded.parent_id, value = excluded.value",
                (parent, value),
            )
        if value:
            self.seen[value] = seen
        self.log.append((name, f"{table}/{record}", value, seen))

    @precondition(lambda self: self.may_skip)
    @rule(side=st.integers(0, 1), which=st.integers(0, 3))
    @step
    def skip(self, side: int, which: int) -> None:
        """A person gives a pending change up."""
        events = self.sides[side].courier.execute("select id from rowferry.events where event_type <> 'q' order by id").fetchall()
        if events:
            self.sides[side].courier.execute("select * from rowferry.skip(%s, 'by chance')", (events[which % len(events)]["id"],))
            self.given_up = True

    def finish(self) -> None:
        self.rest()
        found = []
        for side in self.sides:
            rows = side.courier.execute(
                "select 'parents/' || id as key, value, '' as parent from t.parents"
                " union all select 'children/' || id, value, parent_id from t.children"
            ).fetchall()
            found.append({r["key"]: (r["value"], r["parent"]) for r in rows})
        assert found[0] == found[1]
        self.tally.rows += len(found[0])
        conflicts = [side.courier.execute("select count(*) from rowferry.conflicts").fetchone() for side in self.sides]
        self.tally.conflicts += sum(c["count"] for c in conflicts if c)
        if not self.given_up and not self.deleted:
            moved = {key for _, key, value, _ in self.log if value is None}
            lost_rows = {key for _, key, _, _ in self.log} - moved - set(found[0])
            assert not lost_rows, f"nobody deleted {lost_rows}"
        for key, (value, parent) in found[0].items():
            assert not parent or f"parents/{parent}" in found[0], f"{key} has no parent"
            if not self.given_up:
                assert not (lost := list(self.undone(key, self.seen[value]))), f"{lost} knew of {key} = {value}"


def number(text: str | float | None) -> float | None:
    if text is None:
        return None
    return LAST if str(text) == "-Infinity" else float(text)


NO_FAULT = settings(
    deadline=None,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
    stateful_step_count=50,
    report_multiple_bugs=False,
)


def play(
    machine: type[Exchange], stage: Stage, first: int, histories: int, shrink: bool = True, tally: Tally | None = None
) -> Tally:
    """Plays histories of this machine; raises with the shortest program that fails."""
    tally = tally or Tally()
    stage.set_rule(machine.conflict_rule)
    numbered = seed(first)(type(machine.__name__, (machine,), {"stage": stage, "tally": tally}))
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    run_state_machine_as_test(numbered, settings=settings(NO_FAULT, max_examples=histories, phases=phases))
    return tally


@contextlib.contextmanager
def staged(nodes: Nodes) -> Iterator[Stage]:
    stage = Stage(nodes)
    try:
        yield stage
    finally:
        stage.close()


def run(nodes: Nodes, seconds: float, first: int) -> Tally:
    """Plays histories of all machines for so long; the same seed on the same machine plays the same ones."""
    total = Tally()
    end = time.monotonic() + seconds
    with staged(nodes) as stage:
        for chunk, machine in enumerate(itertools.cycle(MACHINES)):
            if time.monotonic() > end:
                return total
            add(total, play(machine, stage, first + chunk, 10))
    return total


def add(total: Tally, part: Tally) -> None:
    for name in ("histories", "steps", "calls", "rows", "conflicts", "comparisons"):
        setattr(total, name, getattr(total, name) + getattr(part, name))
    for name, count in part.by_machine.items():
        total.by_machine[name] = total.by_machine.get(name, 0) + count


MACHINES: list[type[Exchange]] = [Lockstep, Family, Merging, Favouring]
