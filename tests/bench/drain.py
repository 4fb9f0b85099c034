"""How fast waiting changes arrive: written while nothing flows, then released, until the last one is seen on the other side."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from statistics import median
from typing import Self

import psycopg

from bench.bed import ROWS, Holdable, Native, Ours, await_true, equal
from bench.report import Result, compared
from bench.run import Run

BEACON = """
    insert into items values (-{id}, 'beacon', {number}, 0, now(), null)
    on conflict (id) do update set amount = excluded.amount"""
ARRIVED = "select 1 from items where id = -%s and amount = %s"
# One-row transactions; the session does not wait for each flush, which is not what is measured.
SMALL = """
    do $$
    declare
      v_id int;
    begin
      for i in 1 .. {count} loop
        v_id := 1 + floor(random() * {ids});  -- not in the statement: random() is volatile, and no index serves it
        update items set amount = amount + 1, changed_at = clock_timestamp() where id = v_id;
        commit;
      end loop;
    end $$"""

CONFLICTS = 20_000  # whatever the scale: its goal is an absolute figure
SHORT, REST = 20_000, 3.0  # rows after a rest of so many seconds, whatever the scale


class Drain:
    """Runs of both ways on one bed, alternated; a context manager."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.rows, self.some, self.hot = 500_000 // run.scale, 200_000 // run.scale, 1_000
        self.number = 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.ours, self.native = (stack.enter_context(way(self.run.bed)) for way in (Ours, Native))
            self.ways: dict[str, Holdable] = {"ours": self.ours, "native": self.native}
            for way in self.ways.values():  # the first time, functions are planned and files made
                way.source.sql(ROWS.format(name="items", first=-20_000, last=-10_000))
                self.flow(way, way.source)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def flow(self, way: Holdable, *senders: object) -> float:
        """Release what waits, and the seconds until the beacon of each sender has arrived."""
        self.number += 1
        pairs = [(s, t, i) for i, (s, t) in enumerate(((way.source, way.target), (way.target, way.source)), 1) if s in senders]
        for sender, _, beacon in pairs:
            sender.sql(BEACON.format(id=beacon, number=self.number))
        self.run.bed.checkpoint()
        way.release()
        for _, receiver, beacon in pairs:
            with psycopg.connect(receiver.conninfo, autocommit=True) as connection:
                await_true("the last row arrives", lambda c=connection, b=beacon: c.execute(ARRIVED, [b, self.number]).fetchone())
        ended = time.time()
        began = way.began()
        way.settle()
        way.hold()
        equal(way)
        return ended - began

    def small_transactions(self, way: Holdable, ids: int) -> None:
        """One-row updates, each in a transaction, spread over so many rows."""
        with way.source.connect(options="-c synchronous_commit=off") as connection:
            connection.execute(SMALL.format(count=self.some, ids=ids))

    def compare(self, name: str, count: int, write: Callable[[Holdable, int], None], goal: float) -> Result:
        """Rows/s of both ways, as medians of alternated runs."""
        rates: dict[str, list[float]] = {"ours": [], "native": []}
        for number, key in self.run.alternated(list(self.ways)):
            self.run.noise.look()
            way = self.ways[key]
            if way is self.native:
                self.native.pass_by()
            write(way, number)
            rates[key].append(count / self.flow(way, way.source))
            self.run.say(f"{name} {number + 1}: {key} {rates[key][-1]:,.0f} rows/s")
        return compared(name, rates["ours"], rates["native"], "rows/s", goal, "more")

    def inserts(self) -> Result:
        def write(way: Holdable, run: int) -> None:
            way.source.sql(ROWS.format(name="items", first=run * self.rows + 1, last=(run + 1) * self.rows))

        return self.compare("drain_inserts", self.rows, write, 1.0)

    def updates(self) -> Result:
        def write(way: Holdable, run: int) -> None:
            way.source.sql(f"update items set amount = amount + 1, changed_at = now() where id between 1 and {self.rows}")

        return self.compare("drain_updates", self.rows, write, 1.2)

    def small(self) -> Result:
        def write(way: Holdable, run: int) -> None:
            self.small_transactions(way, self.rows)

        return self.compare("drain_small", self.some, write, 1.5)

    def few(self) -> Result:
        def write(way: Holdable, run: int) -> None:
            self.small_transactions(way, self.hot)

        return self.compare("drain_hot", self.some, write, 4.0)

    def deletes(self) -> Result:
        def write(way: Holdable, run: int) -> None:
            first = run * self.rows + 1
            way.source.sql(f"delete from items where id between {first} and {first + self.some - 1}")

        return self.compare("drain_deletes", self.some, write, 1.5)

    def both_ways(self) -> Result:
        """Half of the rows from each side at once, against all of them from one; alternated, each counted until the last row."""
        rates: dict[str, list[float]] = {"both": [], "one": []}
        for number, key in self.run.alternated(list(rates)):
            self.run.noise.look()
            source, target = self.ours.source, self.ours.target
            first = (self.run.runs + len(rates["both"]) + len(rates["one"])) * self.rows + 1
            half = self.rows // 2
            for node, start in ((source, first), (target if key == "both" else source, first + half)):
                node.sql(ROWS.format(name="items", first=start, last=start + half - 1))
            rates[key].append(self.rows / self.flow(self.ours, source, *([target] if key == "both" else [])))
            self.run.say(f"both_ways {number + 1}: {key} {rates[key][-1]:,.0f} rows/s")
        return compared("both_ways", rates["both"], rates["one"], "rows/s", 1.2, "more")

    def short(self) -> Result:
        """Rows of one transaction after a rest, in which the exchange was open: from the commit until the last row is seen."""
        rates: dict[str, list[float]] = {"ours": [], "native": []}
        for number, key in self.run.alternated(list(self.ways)):
            self.run.noise.look()
            way = self.ways[key]
            if way is self.native:
                self.native.pass_by()
            way.release()
            way.settle()
            self.run.bed.checkpoint()
            time.sleep(REST)
            first = 1_000_000_000 + number * SHORT
            with psycopg.connect(way.target.conninfo, autocommit=True) as connection:
                way.source.sql(ROWS.format(name="items", first=first, last=first + SHORT - 1))
                began = time.monotonic()
                last = f"select 1 from items where id = {first + SHORT - 1}"
                await_true("the last row arrives", lambda c=connection, last=last: c.execute(last).fetchone())
                rates[key].append(SHORT / (time.monotonic() - began))
            way.settle()
            way.hold()
            equal(way)
            self.run.say(f"drain_short {number + 1}: {key} {rates[key][-1]:,.0f} rows/s")
        return compared("drain_short", rates["ours"], rates["native"], "rows/s", 0.8, "more")

    def conflicts(self) -> Result:
        """Both sides have changed the same rows, neither knowing of the other's change: until both are at rest and equal."""
        way, rates = self.ours, []
        way.source.sql(ROWS.format(name="items", first=1, last=CONFLICTS) + " on conflict do nothing")
        self.flow(way, way.source)
        for number in range(self.run.runs):
            self.run.noise.look()
            for node in way.nodes:
                node.sql("delete from rowferry.conflicts")
                changed = f"name = '{node.name} {number}', amount = amount + 1"
                node.sql(f"update items set {changed} where id between 1 and {CONFLICTS}")
            self.run.bed.checkpoint()
            before = way.began()
            way.release()
            began = await_true("the exchange is opened", lambda before=before: way.began() > before and way.began())
            way.settle()
            ended = time.time()
            way.hold()
            equal(way)
            for node in way.nodes:
                [kept] = node.sql(
                    "select count(*)::int as n from rowferry.conflicts where winner_row ->> 'name' <> loser_row ->> 'name'"
                )
                if kept["n"] != CONFLICTS:
                    raise RuntimeError(f"{node.name} keeps {kept['n']} conflicts with both rows, not {CONFLICTS}")
            if way.began() != began:
                raise RuntimeError(f"a call failed: {way.log.read_text()[-500:]}")
            rates.append(CONFLICTS / (ended - began))
            self.run.say(f"drain_conflicts {number + 1}: {rates[-1]:,.0f} rows/s")
        return Result("drain_conflicts", median(rates), None, "rows/s", 20_000, "more", rates)


def measure(run: Run, wanted: Callable[[str], bool]) -> list[Result]:
    """Those that are wanted."""
    with Drain(run) as drain:
        scenarios: dict[str, Callable[[], Result]] = {
            "drain_inserts": drain.inserts,
            "drain_updates": drain.updates,
            "drain_small": drain.small,
            "drain_hot": drain.few,
            "drain_deletes": drain.deletes,
            "drain_short": drain.short,
            "both_ways": drain.both_ways,
            "drain_conflicts": drain.conflicts,
        }
        upon_inserts = scenarios.keys() - {"drain_short", "both_ways", "drain_conflicts"}
        if any(wanted(name) for name in upon_inserts) and not wanted("drain_inserts"):
            drain.inserts()  # the others change the rows that it wrote
        return [scenario() for name, scenario in scenarios.items() if wanted(name)]
