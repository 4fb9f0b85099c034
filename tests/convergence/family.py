"""Histories of a child with a cascading foreign key, judged at rest: no model beside them."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from convergence.exchange import JUMPS, Exchange, step
from convergence.stage import KEYS
from convergence.state import join


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

    @rule(side=st.integers(0, 1), key=st.sampled_from(KEYS), ahead=st.sampled_from([0, 9]), calls=st.integers(1, 6))
    @step
    def follow(self, side: int, key: str, ahead: int, calls: int) -> None:
        """A parent's new key goes ahead of what is written to its child; the other node's clock may be ahead too."""
        self.statement(side, "move", "parents", key)
        self.statement(side, "write", "children", KEYS[1 - KEYS.index(key)])
        self.set_clock(1 - side, max(self.clocks) + ahead)
        self.carry.__wrapped__(self, calls, 2)  # type: ignore[attr-defined]

    @precondition(lambda self: self.may_skip)
    @rule(side=st.integers(0, 1), which=st.integers(0, 3))
    @step
    def skip(self, side: int, which: int) -> None:
        """A person gives a pending change up."""
        events = self.sides[side].courier.execute("select id from rowferry.events where event_type <> 'q' order by id").fetchall()
        if events:
            self.sides[side].courier.execute(
                "select * from rowferry.skip(%s, 'by chance', true)", (events[which % len(events)]["id"],)
            )
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
            query = "select entity || '/' || record_id as key from rowferry.conflicts where rule = 'cascade'"
            lost_rows -= {r["key"] for side in self.sides for r in side.courier.execute(query).fetchall()}
            assert not lost_rows, f"nobody deleted {lost_rows}"
        for key, (value, parent) in found[0].items():
            assert not parent or f"parents/{parent}" in found[0], f"{key} has no parent"
            if not self.given_up:
                assert not (lost := list(self.undone(key, self.seen[value]))), f"{lost} knew of {key} = {value}"
