"""What users on both nodes notice while a long queue drains: their own small transactions, at a fixed rate."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg

from bench.bed import ROWS, TABLE, Holdable, Native, Ours, Pair, await_true, pgbench_started
from bench.capture import Plain
from bench.report import Result
from bench.run import Run, Section, percentile

ROW_COUNT = 500_000
ACCOUNTS = 100_000
RATE = 100  # transactions per second on each node
SECONDS_EACH = 30
UPDATE = """
\\set half {half}
\\set id random(1, {accounts} / 2) * 2 - :half
update accounts set amount = amount + 1, changed_at = now() where id = :id;
"""


def latencies(folder: Path, first: float, last: float) -> list[float]:
    """Milliseconds, from the moment a transaction was due, of those that ended between these times (seconds since the epoch)."""
    found = []
    for file in folder.glob("pgbench_log.*"):
        for line in file.read_text().splitlines():
            fields = line.split()  # client, number, µs, script, time: seconds, and its µs; then how late it began
            if first <= int(fields[4]) + int(fields[5]) / 1e6 <= last:
                found.append(int(fields[2]) / 1000)
    return found


def run_users(run: Run, way: Pair) -> tuple[float | None, dict[str, list[float]]]:
    """Seconds that the queue took, if there is one, and the latencies of the users of each node meanwhile, in ms."""
    drains = isinstance(way, Holdable)
    rows, seconds = ROW_COUNT // run.scale, max(6, SECONDS_EACH // run.scale)
    for node in way.nodes:
        node.sql("vacuum analyze accounts")
    if drains:
        way.source.sql(ROWS.format(name="items", first=1, last=rows))
    run.bed.checkpoint()
    with ExitStack() as stack:
        folders = {node.name: Path(stack.enter_context(tempfile.TemporaryDirectory())) for node in way.nodes}
        with ExitStack() as users:
            for half, node in enumerate(way.nodes):
                options = ["-c", "4", "-M", "prepared", "--rate", str(RATE), "-T", str(seconds), "-l"]
                script = UPDATE.format(half=half, accounts=ACCOUNTS)
                users.enter_context(pgbench_started(node, *options, script=script, folder=folders[node.name]))
            at_work = "select 1 from pg_stat_activity where application_name = 'pgbench' and datname = current_database()"
            for node in way.nodes:
                await_true("users are at work", lambda node=node: node.sql(at_work))
            began = ended = time.time()
            if isinstance(way, Holdable):
                way.release()
                with psycopg.connect(way.target.conninfo, autocommit=True) as target:
                    query = "select 1 from items where id = %s"
                    await_true("the last row arrives", lambda: target.execute(query, [rows]).fetchone())
                ended, began = time.time(), way.began()
        last = ended if drains else time.time()
        found = {name: latencies(folder, began, last) for name, folder in folders.items()}
    return (ended - began if drains else None), found


def measure(run: Run) -> tuple[Section, list[Result]]:
    """The figures of each node, and those of the users of both nodes together beside native's."""
    section = Section(
        "users",
        "Users while a queue drains",
        f"{ROW_COUNT // run.scale:,} rows drain while users on both nodes update rows of another table, {RATE} transactions per"
        " second on each node, each side half of the rows. Milliseconds from the moment a transaction was due to its end. Native"
        " replication carries the first table one way, and nothing of the users' table.",
        ["", "the queue drains in", "crm p50", "crm p99", "billing p50", "billing p99"],
    )

    with Plain(run, "users_plain") as plain, Native(run.bed, "users_native") as native:
        for node in (*plain.nodes, *native.nodes):
            node.sql(TABLE.format(name="accounts"))
            node.sql(ROWS.format(name="accounts", first=1, last=ACCOUNTS))
        with Ours(run.bed, "users_ours", "items", "accounts") as ours:
            ours.source.sql(ROWS.format(name="accounts", first=1, last=ACCOUNTS))
            ours.release()
            ours.settle()
            ours.hold()
            native.pass_by()
            all_users: dict[str, list[float]] = {}
            for title, way in (("no sync", plain), ("rowferry", ours), ("native", native)):
                run.noise.look()
                seconds, found = run_users(run, way)
                all_users[title] = [latency for name in found for latency in found[name]]
                cells = [f"{percentile(found[name], share):.2f}" for name in ("crm", "billing") for share in (0.5, 0.99)]
                section.lines.append([title, "–" if seconds is None else f"{seconds:.1f} s", *cells])
                run.say(f"users, {title}: {' '.join(section.lines[-1][1:])}")
                if isinstance(way, Holdable):
                    way.hold()
    results = []
    for name, share, goal in (("users_p50", 0.5, 1.5), ("users_p99", 0.99, 1.0)):
        mine, natives = (percentile(all_users[title], share) for title in ("rowferry", "native"))
        results.append(Result(name, mine, natives, "ms", goal, "less"))
    return section, results
