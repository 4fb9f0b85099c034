"""What the triggers cost whoever writes: the same statements on a table with capture and on one without, no worker running."""

from __future__ import annotations

import re
import time

from bench.bed import DEBIAN, ROWS, TABLE, Ours, Pair, bed, pgbench
from bench.peers_bucardo import Bucardo
from bench.report import Result, compared
from bench.run import Run
from harness.nodes import Node

ROW_COUNT = 500_000
SECONDS_EACH = 8
UPDATE = """
\\set id random(1, {rows})
update items set amount = amount + 1, changed_at = now() where id = :id;
"""
OPTIONS = ["-c", "8", "-j", "2", "-M", "prepared"]
ROUNDS = 10
UPDATES = 2000
# The loop runs in the server, so that a round trip does not stand beside microseconds.
ONE_BY_ONE = """
    create procedure update_{name}() language plpgsql as $$
    begin
      for i in 1..{count} loop update {name} set amount = amount + 1, changed_at = now() where id = i; end loop;
    end $$"""
# Nothing but the event: no look at what has changed or at who writes. It has the rights of the capture function.
LEANEST = """
    create function leanest() returns trigger language plpgsql security definer as $$
    begin
      insert into rowferry.events (changed_at, entity_id, event_type, record_id)
      select clock_timestamp(), 0, 'u', id::text from new_rows;
      return null;
    end $$;
    alter function leanest() owner to rowferry_owner;
    create trigger leanest after update on lean
    referencing new table as new_rows for each statement execute function leanest()"""


class Plain(Pair):
    """The same table without any sync."""

    def __init__(self, run: Run, database: str) -> None:
        super().__init__(run.bed, database)
        for node in self.nodes:
            node.sql(TABLE.format(name="items"))


def clear(node: Node) -> None:
    """Forget what was captured, outside the measured time."""
    if node.sql("select to_regclass('rowferry.events') as events")[0]["events"]:
        node.sql("truncate rowferry.events")


def transactions(run: Run, names: tuple[str, ...]) -> list[Result]:
    """One-row updates by 8 clients: transactions per second with and without."""
    rows = ROW_COUNT // run.scale
    results = []
    with Ours(run.bed, "captured") as with_capture, Plain(run, "plain") as without:
        ways: dict[str, Pair] = {"with": with_capture, "without": without}
        for way in ways.values():
            way.source.sql(ROWS.format(name="items", first=1, last=rows))
            clear(way.source)
            way.source.sql("vacuum analyze items")
        for name, goal, commit in (("capture_oltp", 0.73, "on"), ("capture_async", 0.52, "off")):
            if name not in names:
                continue
            found: dict[str, list[float]] = {"with": [], "without": []}
            for number, key in run.alternated(list(ways)):
                run.noise.look()
                source = ways[key].source
                run.bed.checkpoint()
                environment = {"PGOPTIONS": f"-c synchronous_commit={commit}"}
                seconds = str(max(2, SECONDS_EACH // run.scale))
                said = pgbench(source, *OPTIONS, "-T", seconds, script=UPDATE.format(rows=rows), env=environment)
                tps = re.search(r"tps = ([\d.]+)", said)
                assert tps, said
                found[key].append(float(tps[1]))
                clear(source)
                run.say(f"{name} {number + 1}: {key} capture {found[key][-1]:,.0f} tps")
            results.append(compared(name, found["with"], found["without"], "tps", goal, "more"))
    return results


def bulk(run: Run) -> list[Result]:
    """One statement for all rows: seconds with and without."""
    rows = ROW_COUNT // run.scale
    statements = {
        "capture_bulk_insert": (ROWS.format(name="items", first=1, last=rows), 2.2),
        "capture_bulk_update": ("update items set amount = amount + 1, changed_at = now()", 2.0),
        "capture_bulk_delete": ("delete from items", 5.0),
    }
    found: dict[tuple[str, str], list[float]] = {(name, key): [] for name in statements for key in ("with", "without")}
    with Ours(run.bed, "bulk_captured") as with_capture, Plain(run, "bulk_plain") as without:
        ways: dict[str, Pair] = {"with": with_capture, "without": without}
        for way in ways.values():  # the first time, functions are planned and files made
            way.source.sql(ROWS.format(name="items", first=1, last=1000))
            way.source.sql("update items set amount = 0; delete from items")
            clear(way.source)
        for number, key in run.alternated(list(ways)):
            run.noise.look()
            node = ways[key].source
            for name, (statement, _) in statements.items():
                run.bed.checkpoint()
                with node.connect() as connection:
                    began = time.perf_counter()
                    connection.execute(statement)
                    found[name, key].append(time.perf_counter() - began)
                clear(node)
                node.sql("vacuum analyze items")
            took = ", ".join(f"{name.rpartition('_')[2]} {found[name, key][-1]:.2f}" for name in statements)
            run.say(f"capture_bulk {number + 1}: {key} capture {took} s")
    return [
        compared(name, found[name, "with"], found[name, "without"], "s", goal, "less") for name, (_, goal) in statements.items()
    ]


def prepare(node: Node, table: str) -> None:
    """Rows for so many updates one by one, each with room beside it for what the update writes."""
    node.sql(f"alter table {table} set (fillfactor = 40, autovacuum_enabled = off)")
    node.sql(ROWS.format(name=table, first=1, last=UPDATES))
    node.sql(ONE_BY_ONE.format(name=table, count=UPDATES))


def one_by_one(run: Run, name: str, goal: float, ways: dict[str, tuple[Node, str]]) -> Result:
    """Microseconds of an update of one row in one session. A run is the least of some rounds, which nothing else disturbed.

    `ways`: the node and the table of `ours` and of `peer`.
    """
    found: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(run.runs):
        run.noise.look()
        least = dict.fromkeys(ways, float("inf"))
        for turn in range(ROUNDS):
            for way, (node, table) in list(ways.items())[:: 1 if turn % 2 == 0 else -1]:
                clear(node)
                with node.connect() as connection:
                    connection.execute("set synchronous_commit = off; set jit = off")
                    connection.execute(f"vacuum {table}")
                    connection.execute(f"call update_{table}()")  # the first time, functions are planned
                    began = time.perf_counter()
                    connection.execute(f"call update_{table}()")
                    least[way] = min(least[way], (time.perf_counter() - began) / UPDATES * 1e6)
        for way, microseconds in least.items():
            found[way].append(microseconds)
        run.say(f"{name} {number + 1}: " + ", ".join(f"{way} {microseconds:.1f} us" for way, microseconds in least.items()))
    return compared(name, found["ours"], found["peer"], "us", goal, "less")


def lean(run: Run) -> list[Result]:
    """Beside the leanest statement trigger that writes the event, in one database."""
    with Ours(run.bed, "beside_leanest") as pair:
        node = pair.source
        node.sql(TABLE.format(name="lean"))
        node.sql(LEANEST)
        for table in ("items", "lean"):
            prepare(node, table)
        return [one_by_one(run, "capture_lean", 1.2, {"ours": (node, "items"), "peer": (node, "lean")})]


def three_peers(run: Run) -> list[Result]:
    """A table that is attached for three peers, which need not be there, beside a table that is attached for one."""
    names = ["billing", "north", "south"]
    with Ours(run.bed, "for_one") as one, Ours(run.bed, "for_three") as three:
        three.source.sql(f"select rowferry.configure_node('crm', array{names}, array{names})")
        for name in names[1:]:
            three.source.sql(f"select rowferry.attach('items', p_peer => '{name}')")
        for pair in (one, three):
            prepare(pair.source, "items")
        return [one_by_one(run, "capture_3_peers", 2.0, {"ours": (three.source, "items"), "peer": (one.source, "items")})]


def bucardo(run: Run) -> list[Result]:
    """Beside Bucardo's own trigger, on servers of version 15, for which Debian has it. Its daemon is not started."""
    with bed(DEBIAN / "bin") as servers, Ours(servers, "beside_bucardo") as ours, Bucardo(servers, "bucardos_own") as peer:
        for way in (ours, peer):
            prepare(way.source, "items")
        ways = {"ours": (ours.source, "items"), "peer": (peer.source, "items")}
        return [one_by_one(run, "capture_vs_bucardo", 1.0, ways)]
