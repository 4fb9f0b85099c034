"""How fast waiting changes arrive: written while nothing flows, then released, until the last one is seen on the other side."""

from __future__ import annotations

import time
from collections.abc import Callable

import psycopg

from bench.bed import ROWS, Bed, Native, Ours, Way, await_true, equal
from bench.noise import Noise
from bench.report import Result, compared

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
        v_id := 1 + floor(random() * {ids});
        update items set amount = amount + 1, changed_at = clock_timestamp() where id = v_id;
        commit;
      end loop;
    end $$"""


class Drain:
    """Runs of both ways on one bed, alternated. Sizes are in thousands of rows for a whole run."""

    def __init__(self, bed: Bed, noise: Noise, scale: int, runs: int, say: Callable[[str], None]) -> None:
        self.bed, self.noise, self.runs, self.say = bed, noise, runs, say
        self.rows, self.some, self.hot = 500_000 // scale, 200_000 // scale, 1_000
        self.ours, self.native = Ours(bed), Native(bed)
        self.number = 0
        for way in (self.ours, self.native):  # the first time, functions are planned and files made
            way.source.sql(ROWS.format(name="items", first=-20_000, last=-10_000))
            self.flow(way, way.source)

    def flow(self, way: Way, *senders: object) -> float:
        """Release what waits, and the seconds until the beacon of each sender has arrived."""
        self.number += 1
        pairs = [(s, t, i) for i, (s, t) in enumerate(((way.source, way.target), (way.target, way.source)), 1) if s in senders]
        for sender, _, beacon in pairs:
            sender.sql(BEACON.format(id=beacon, number=self.number))
        self.bed.checkpoint()
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

    def small_transactions(self, way: Way, ids: int) -> None:
        """One-row updates, each in a transaction, spread over so many rows."""
        with way.source.connect(options="-c synchronous_commit=off") as connection:
            connection.execute(SMALL.format(count=self.some, ids=ids))

    def compare(self, name: str, count: int, write: Callable[[Way, int], None], goal: float) -> Result:
        """Rows/s of both ways, as medians of alternated runs."""
        rates: dict[Way, list[float]] = {self.ours: [], self.native: []}
        for run in range(self.runs):
            for way in (self.ours, self.native)[:: 1 if run % 2 == 0 else -1]:
                self.noise.look()
                if way is self.native:
                    self.native.pass_by()
                write(way, run)
                rates[way].append(count / self.flow(way, way.source))
            self.say(f"{name}: ours {rates[self.ours][-1]:,.0f}, native {rates[self.native][-1]:,.0f} rows/s")
        return compared(name, rates[self.ours], rates[self.native], "rows/s", goal, "more")

    def inserts(self) -> Result:
        def write(way: Way, run: int) -> None:
            way.source.sql(ROWS.format(name="items", first=run * self.rows + 1, last=(run + 1) * self.rows))

        return self.compare("drain_inserts", self.rows, write, 1.0)

    def updates(self) -> Result:
        def write(way: Way, run: int) -> None:
            way.source.sql(f"update items set amount = amount + 1, changed_at = now() where id between 1 and {self.rows}")

        return self.compare("drain_updates", self.rows, write, 1.6)

    def small(self) -> Result:
        def write(way: Way, run: int) -> None:
            self.small_transactions(way, self.rows)

        return self.compare("drain_small", self.some, write, 3.0)

    def few(self) -> Result:
        def write(way: Way, run: int) -> None:
            self.small_transactions(way, self.hot)

        return self.compare("drain_hot", self.some, write, 6.0)

    def deletes(self) -> Result:
        def write(way: Way, run: int) -> None:
            first = run * self.rows + 1
            way.source.sql(f"delete from items where id between {first} and {first + self.some - 1}")

        return self.compare("drain_deletes", self.some, write, 1.5)

    def both_ways(self, one_way: Result) -> Result:
        """Half of the rows from each side at once, against all of them from one (`one_way`, of the same run)."""
        rates = []
        for run in range(self.runs):
            self.noise.look()
            first = (self.runs + run) * self.rows + 1
            half = self.rows // 2
            for node, start in ((self.ours.source, first), (self.ours.target, first + half)):
                node.sql(ROWS.format(name="items", first=start, last=start + half - 1))
            rates.append(self.rows / self.flow(self.ours, self.ours.source, self.ours.target))
            self.say(f"both_ways: {rates[-1]:,.0f} rows/s")
        return compared("both_ways", rates, one_way.ours_runs, "rows/s", 1.2, "more")
