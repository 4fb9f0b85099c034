"""What comparisons found, as people read it."""

from rich.table import Table

from rowferry.observe.ask import Cursor
from rowferry.observe.screen import console, number, text

# Comparisons on their way, for waiting.wait().
RUNS = """
select r.run_id, r.entity as label, r.state, r.rows_here as done, rowferry._estimated_rows(e.relation) as total, r.error
from rowferry.compare_runs r
join rowferry.entities e on e.name = r.entity
where r.run_id = any(%s)
order by r.run_id"""

REPORT = "select * from rowferry.compare_report where run_id = any(%s)"


def report(cursor: Cursor, runs: list[int]) -> bool:
    """Print what these runs found, a line for each kind of record; whether the two nodes hold the same."""
    rows = cursor.execute(REPORT, [runs]).fetchall()
    lines = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("entity", "kind", "records", "some of their keys"):
        lines.add_column(name, justify="right" if name == "records" else "left", overflow="fold")
    for row in rows:
        bad = row["kind"] in ("different", "only_here", "only_there", "pending") and row["records"]
        keys = text(", ".join(row["sample"] or ()) if bad else "")
        lines.add_row(
            text(row["entity"]), text(row["kind"], "yellow" if bad else ""), text(number(row["records"]) or "0"), keys
        )
    console().print(lines)
    return not any(row["records"] for row in rows if row["kind"] in ("different", "only_here", "only_there", "pending"))


def failures(rows: list[dict[str, object]]) -> list[str]:
    """A line for each run that failed."""
    return [f"{row['label']}: {row['error']}" for row in rows if row["state"] == "failed"]
