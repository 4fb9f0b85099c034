"""What comparisons found, as people read it."""

import sys

from rich.table import Table

from rowferry.observe.ask import Cursor
from rowferry.observe.screen import console, text
from rowferry.operate.waiting import wait

# Comparisons on their way, for waiting.wait().
RUNS = """
select r.run_id, r.entity as label, r.state, coalesce(r.rows_here, 0) as done,
  rowferry._estimated_rows(e.relation) as total, r.error
from rowferry.compare_runs r
join rowferry.entities e on e.name = r.entity
where r.run_id = any(%s)
order by r.run_id"""

FOUND = "select * from rowferry.compare_runs where run_id = any(%s) order by run_id"
SAMPLES = """
select entity, kind, records, sample from rowferry.compare_report
where run_id = any(%s) and kind in ('different', 'only_here', 'only_there', 'pending') and records > 0
order by run_id"""

KINDS = ("same", "different", "only_here", "only_there", "pending")


def any_failed(cursor: Cursor, node: str, runs: list[int]) -> bool:
    """Wait until these runs have ended, and print a line for each that failed; whether there is one."""
    failed = [row for row in wait(cursor, RUNS, runs) if row["state"] == "failed"]
    for row in failed:
        print(f"rowferry: {node}: {row['label']}: {row['error']}", file=sys.stderr)
    return bool(failed)


def report(cursor: Cursor, node: str, runs: list[int]) -> list[str]:
    """Print what these runs found, a line for each, and keys of records that differ; the entities that have any of these."""
    rows = cursor.execute(FOUND, [runs]).fetchall()
    samples = cursor.execute(SAMPLES, [runs]).fetchall()
    peers = {row["entity"]: row["peer"] for row in rows}
    screen = console()
    lines = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("entity", "with", *(kind.replace("_", " ") for kind in KINDS)):
        lines.add_column(name, justify="left" if name in ("entity", "with") else "right", overflow="fold")
    for row in rows:
        counts = [text(f"{row[kind] or 0:,}", "yellow" if row[kind] and kind != "same" else "") for kind in KINDS]
        lines.add_row(text(row["entity"]), text(row["peer"]), *counts)
    screen.print(lines)
    for row in samples:
        places = {"only_here": f"only on {node}", "only_there": f"only on {peers[row['entity']]}"}
        keys = ", ".join(row["sample"] or ()) + (", .." if row["records"] > len(row["sample"] or ()) else "")
        screen.print(text(f"{row['entity']}: {places.get(row['kind'], row['kind'])}: {keys}"), soft_wrap=True)
    return list(dict.fromkeys(row["entity"] for row in samples))
