"""How the cost grows with the work: more entities, larger rows, other keys. And what an event takes on disk."""

from __future__ import annotations

import time
from dataclasses import dataclass

import psycopg

from bench.bed import Bed, Ours, await_true
from bench.report import Result, shown
from bench.run import Run, Section
from harness.nodes import Node

ROW_COUNT = 100_000


@dataclass
class Case:
    """`tables` tables, each with `columns`; `row` is the select list of row i. `rows` in all tables together."""

    title: str
    columns: str
    row: str
    rows: int = ROW_COUNT
    tables: int = 1


SMALL = "repeat('x', 20) || md5(i::text) || md5((-i)::text)"  # with the key and what holds them about 100 bytes
HEX = "(select string_agg(md5(i || ' ' || n), '') from generate_series(1, {count}) n)"
INT = "id int primary key, v text"
CASES = [
    Case("1 entity", INT, f"i, {SMALL}"),
    Case("10 entities", INT, f"i, {SMALL}", tables=10),
    Case("100 entities", INT, f"i, {SMALL}", tables=100),
    Case("rows of 100 bytes", INT, f"i, {SMALL}"),
    Case("rows of 10 kB", INT, "i, " + HEX.format(count=320), 5_000),
    Case("rows of 10 MB", INT, "i, " + HEX.format(count=327_680), 5),
    Case("integer key", INT, f"i, {SMALL}"),
    Case("composite key", "a int, b text, v text, primary key (a, b)", f"i / 100, 'part ' || i % 100, {SMALL}"),
    Case("uuid key", "id uuid primary key, v text", f"md5('key ' || i)::uuid, {SMALL}"),
]


class Cases(Ours):
    """rowferry with the tables of a case: t1, t2 and so on."""

    def __init__(self, bed: Bed, case: Case) -> None:
        self.case = case
        super().__init__(bed, "growth", *self.names())

    def names(self) -> list[str]:
        return [f"t{number}" for number in range(1, self.case.tables + 1)]

    def create(self, node: Node, table: str) -> None:
        node.sql(f"create table {table} ({self.case.columns})")

    def write(self, first: int, count: int) -> None:
        """So many rows, in one transaction, dealt out to the tables."""
        last = first + count - 1
        deal = "; ".join(
            f"insert into {name} select {self.case.row} from generate_series({first + n}, {last}, {self.case.tables}) i"
            for n, name in enumerate(self.names())
        )
        self.source.sql(f"begin; {deal}; commit")


def arrived(ours: Cases, count: int) -> float:
    """When all events had been acknowledged, in seconds since the epoch; RuntimeError unless so many rows are there.

    Looks at the newest event only: to count the rows again and again would take a processor.
    """
    with psycopg.connect(ours.source.conninfo, autocommit=True) as connection:
        newest = "select 1 from rowferry.events order by id desc limit 1"
        await_true("all events have left", lambda: not connection.execute(newest).fetchone())
    ended = time.time()
    total = " + ".join(f"(select count(*) from {name})" for name in ours.names())
    found = ours.target.sql(f"select {total} as n")[0]["n"]
    if found != count:
        raise RuntimeError(f"{found} of {count} rows are there")
    return ended


def measure(run: Run) -> tuple[Section, list[Result]]:
    """The figures of each case, and the rate of 100 entities beside that of one."""
    rates = {}
    section = Section(
        "growth",
        "More entities, larger rows, other keys",
        "Inserts of one transaction, until the last is acknowledged. MB are those of the rows as text.",
        ["", "rows", "rows/s", "MB/s"],
    )
    for case in CASES:
        rows = max(case.rows // run.scale, min(case.rows, 2))
        with Cases(run.bed, case) as ours:
            warm = min(2_000, max(1, rows // 5))  # the first time, functions are planned and files made
            ours.write(1, warm)
            ours.release()
            arrived(ours, warm)
            ours.settle()
            ours.hold()
            run.noise.look()
            ours.write(warm + 1, rows)
            run.bed.checkpoint()
            ours.release()
            seconds = arrived(ours, warm + rows) - ours.began()
            size = sum(int(ours.source.sql(f"select sum(length(t::text)) as n from {n} t")[0]["n"] or 0) for n in ours.names())
            size = size * rows / (warm + rows)
            ours.settle()
        rates[case.title] = rows / seconds
        section.lines.append([case.title, f"{rows:,}", shown(rows / seconds), shown(size / 1e6 / seconds)])
        run.say(f"growth, {case.title}: {' '.join(section.lines[-1][1:])}")
    return section, [Result("entities_100", rates["100 entities"], rates["1 entity"], "rows/s", 0.85, "more")]


def disk(run: Run) -> tuple[Section, list[Result]]:
    """Bytes of the event table and its indexes for each waiting event, of one transaction."""
    section = Section("disk", "Disk", "What waiting events take on disk, with their indexes.", ["key", "bytes per event"])
    rows = ROW_COUNT // run.scale
    for case in CASES[-3:]:
        with Cases(run.bed, case) as ours:
            ours.write(1, rows)
            size = ours.source.sql("select pg_total_relation_size('rowferry.events') as n")[0]["n"]
            section.lines.append([case.title, f"{size / rows:.0f}"])
    return section, []
