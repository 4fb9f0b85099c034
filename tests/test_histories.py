"""Random histories on two real databases: couriers that die or overlap, envelopes lost, repeated or late, refused rows,
skips, clocks that jump, keys with a cascading child. At rest: equal rows, no event left, none that knew of the final row.

HISTORIES (default 40) and SEED (default: drawn and printed) choose how many and which.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from harness import Node, Nodes

HISTORIES = int(os.environ.get("HISTORIES", "40"))
SEED = int(os.environ.get("SEED", str(random.SystemRandom().randrange(10**6))))
KEYS = ("k", "l")

SCHEMA = """
create schema if not exists t;
create table t.parents (id text primary key, value text);
create table t.children (
  id text primary key, parent_id text references t.parents on update cascade on delete cascade, value text);
create table t.refused (id text primary key);
create function t.refuse() returns trigger language plpgsql as $$
begin
  if current_setting('rowferry.applying', true) = 'on' and exists (
      select from t.refused r where r.id = coalesce(case when tg_op = 'DELETE' then old.id else new.id end)) then
    raise exception 'refused' using errcode = '23514';
  end if;
  return case when tg_op = 'DELETE' then old else new end;
end $$;
create trigger refuse before insert or update or delete on t.parents for each row execute function t.refuse();
"""
CLOCK = """
create or replace function rowferry._now() returns timestamptz language sql volatile parallel safe as
$$ select coalesce(nullif(current_setting('test.now', true), '')::timestamptz, pg_catalog.clock_timestamp()) $$
"""


@dataclass
class Side:
    """A node in a history: its connection, and what its writes knew of."""

    name: str
    connection: psycopg.Connection[dict[str, Any]]
    skew: int = 0
    version: int = 0
    seen: dict[str, dict[str, int]] = field(default_factory=dict)


class History:
    """One random history; all luck comes from its seed."""

    def __init__(self, seed: int, crm: Node, billing: Node, judged: bool) -> None:
        self.judged = judged  # whether no change may be undone by one that did not know of it
        self.rng = random.Random(seed)
        self.sides = [Side(n.name, n.connect(row_factory=dict_row), self.rng.choice([0, 0, 5, -5, 50])) for n in (crm, billing)]
        self.calls: list[tuple[int, str, bytes | None]] = []  # side, token, envelope
        self.clock = 0
        self.serial = 0
        self.log: dict[str, list[tuple[str, dict[str, int]]]] = {}
        for side in self.sides:
            side.connection.execute("delete from t.parents; delete from t.children")
        self.rest()
        for side in self.sides:
            side.connection.execute("delete from rowferry.conflicts")

    def tick(self, side: Side, offset: int = 0) -> None:
        query = "select set_config('test.now', (timestamptz '2026-01-01' + %s * interval '1 s')::text, false)"
        side.connection.execute(query, (self.clock + side.skew + offset,))

    def write(self, side: Side) -> None:
        """One user statement on a parent or its child; each value is written once, so that it tells what its writer knew."""
        rng, connection = self.rng, side.connection
        self.tick(side, rng.choice([0, 0, 0, -7, rng.randrange(-60, 60)]))
        table, key = rng.choice([("parents", rng.choice(KEYS)), ("parents", rng.choice(KEYS)), ("children", "c")])
        old = connection.execute(f"select value from t.{table} where id = %s", (key,)).fetchone()
        side.version += 1
        value = f"{side.name}{self.serial}.{side.version}"
        seen = {**side.seen.get(old["value"], {}), side.name: side.version} if old else {side.name: side.version}
        luck = rng.random()
        if old and luck < 0.25:
            connection.execute(f"delete from t.{table} where id = %s", (key,))
            value = ""
        elif old and luck < 0.4 and table == "parents":
            # The key changes: a delete of the old record, a new value in the new one. A child that follows is a write that
            # no value tells of, so where writes are judged there is none.
            other = KEYS[1 - KEYS.index(key)]
            taken = connection.execute("select from t.parents where id = %s", (other,)).fetchone()
            followed = connection.execute("select from t.children where parent_id = %s", (key,)).fetchone()
            if taken is not None or (followed is not None and self.judged):
                return
            connection.execute("update t.parents set id = %s, value = %s where id = %s", (other, value, key))
            self.log.setdefault(f"{table}/{key}", []).append(("", seen))
            key = other
        elif table == "parents":
            connection.execute(
                "insert into t.parents values (%s, %s) on conflict (id) do update set value = excluded.value", (key, value)
            )
        else:
            parent = connection.execute("select id from t.parents order by random() limit 1").fetchone()
            if parent is None:
                return
            connection.execute(
                "insert into t.children values (%s, %s, %s)"
                " on conflict (id) do update set parent_id = excluded.parent_id, value = excluded.value",
                (key, parent["id"], value),
            )
        if value:
            for s in self.sides:
                s.seen[value] = seen
        self.log.setdefault(f"{table}/{key}", []).append((value, seen))

    def open(self) -> None:
        number, self.serial = 1, self.serial + 1
        for side in self.sides:
            row = side.connection.execute("select token from rowferry.process_batch()").fetchone()
            assert row
            number = max(number, 1 + int(row["token"].split("-")[0]))
        token = f"{number}-{self.serial:06d}"
        self.calls += [(0, token, None), (1, token, None)]

    def call(self, index: int, token: str, envelope: bytes | None, limit: int | None = None) -> dict[str, Any]:
        row = (
            self.sides[index]
            .connection.execute("select * from rowferry.process_batch(null, %s, %s, %s)", (token, envelope, limit))
            .fetchone()
        )
        assert row
        assert row["status"] != "stopped", row["reason"]
        return row

    def play(self, scenario: str) -> None:
        rng = self.rng
        busy, late, again, loss, fresh, bad = (
            rng.choice(c) for c in ((0.3, 0.45), (0, 0.3, 0.6), (0, 0.15), (0, 0.1), (0, 0.03, 0.08), (0, 0.2))
        )
        self.open()
        for _ in range(rng.randint(5, 50)):
            self.clock += rng.choice([0, 1, 2])
            luck = rng.random()
            if luck < busy:
                self.write(rng.choice(self.sides))
            elif luck < busy + 0.08 and scenario == "skip":
                side = rng.choice(self.sides)
                event = side.connection.execute("select id from rowferry.sync_events order by random() limit 1").fetchone()
                if event:
                    self.tick(side)
                    side.connection.execute("select * from rowferry.skip(%s, 'by chance')", (event["id"],))
            elif luck < 1 - fresh and self.calls:
                i = rng.randrange(len(self.calls)) if rng.random() < late else 0
                index, token, envelope = self.calls[i] if rng.random() < again else self.calls.pop(i)
                side = self.sides[index]
                self.tick(side)
                for key in KEYS:
                    if rng.random() < bad:
                        side.connection.execute("insert into t.refused values (%s) on conflict do nothing", (key,))
                row = self.call(index, token, envelope, rng.choice([1, 2, 5]))
                side.connection.execute("delete from t.refused")
                if row["envelope"] is not None and rng.random() >= loss:
                    self.calls.append((1 - index, token, row["envelope"]))
            else:
                self.open()

    def rest(self) -> int:
        """No more writes, couriers that live: both sides must end equal. Returns the number of rows compared."""
        self.calls.clear()
        self.open()
        token = self.calls[0][1]
        self.calls.clear()
        envelopes: list[bytes | None] = [None, None]
        for turn in range(200):
            self.clock += 600
            rows = []
            for index in (0, 1):
                self.tick(self.sides[index])
                rows.append(self.call(index, token, envelopes[1 - index]))
                envelopes[index] = rows[index]["envelope"]
            if turn > 2 and all(r["status"] == "idle" and r["pending"] == 0 for r in rows):
                break
        else:
            left = [s.connection.execute("select * from rowferry.sync_events").fetchall() for s in self.sides]
            raise AssertionError(f"never at rest: {left}")
        tables = [
            {
                t: {r["k"]: r["v"] for r in s.connection.execute(f"select id as k, to_jsonb(t) as v from t.{t} t").fetchall()}
                for t in ("parents", "children")
            }
            for s in self.sides
        ]
        assert tables[0] == tables[1]
        if self.judged:
            for table, rows_of in tables[0].items():
                for key, row in rows_of.items():
                    mine = self.sides[0].seen[row["value"]]
                    for value, seen in self.log.get(f"{table}/{key}", []):
                        knew = value != row["value"] and all(seen.get(n, 0) >= c for n, c in mine.items()) and seen != mine
                        assert not knew, f"{table} {key}: {value or 'a delete'} knew of {row['value']} and was undone"
        return sum(len(r) for t in tables for r in t.values())


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("scenario", ["couriers", "skip"])
def test_random_histories_converge(nodes: Nodes, scenario: str) -> None:
    for node in nodes:
        node.sql(SCHEMA)
        node.sql(CLOCK)
        node.sql("select rowferry.attach('t.parents'), rowferry.attach('t.children')")
    compared = 0
    for number in range(HISTORIES):
        seed = SEED + number
        history = History(seed, nodes.crm, nodes.billing, judged=scenario != "skip")
        try:
            history.play(scenario)
            compared += history.rest()
        except (AssertionError, psycopg.Error) as error:
            error.add_note(f"history {seed} of {scenario}: SEED={seed} HISTORIES=1")
            raise
        finally:
            for side in history.sides:
                side.connection.close()
    assert compared > 0
