"""`rowferry status`: where each link stands, and below it why those that are not well are not."""

import argparse
import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from rowferry.config import Node
from rowferry.observe.ask import Cursor, Rows, ask

STATUS = "select * from rowferry.status order by peer"
WHY = "select * from rowferry.why_stuck(%s)"

UNWELL = {"stuck", "held", "stopped", "paused"}


def status(options: argparse.Namespace) -> int:
    """The view rowferry.status of each node, and below it rowferry.why_stuck() of each link that is not well."""
    rows, code = ask(options.config, read_status, lambda error: [{"state": "unknown", "reason": error.message}])
    if options.json:
        print(json.dumps(rows, default=plain, indent=2))
    else:
        print(table([{name: value for name, value in row.items() if name != "why"} for row in rows]))
        for row in rows:
            for cause in row.get("why", ()):
                print("\n" + paragraph(row["node"], cause))
    return max([code, *(1 for row in rows if row["state"] in UNWELL)])


def read_status(_: Node, cursor: Cursor) -> Rows:
    rows = cursor.execute(STATUS).fetchall()
    return [row | {"why": cursor.execute(WHY, [row["peer"]]).fetchall() if row["state"] in UNWELL else []} for row in rows]


def plain(value: Any) -> Any:
    """For JSON: intervals in seconds, times in ISO 8601."""
    return value.total_seconds() if isinstance(value, timedelta) else value.isoformat()


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Aligned columns under their names; the columns of the row that has most."""
    names = max(map(list, rows), key=len)
    cells = [names] + [[shown(row.get(name)) for name in names] for row in rows]
    widths = [max(len(line[column]) for line in cells) for column in range(len(names))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells)


def shown(value: Any) -> str:
    """For people: an interval with its sign, which Python would write as a day before and the rest."""
    if isinstance(value, timedelta) and value < timedelta():
        return f"-{-value}"
    return "" if value is None else str(value)


def paragraph(node: str, cause: dict[str, Any]) -> str:
    """A row of why_stuck() in two lines: what is wrong, and what to type next."""
    since = f", since {cause['since']:%Y-%m-%d %H:%M:%S}" if cause["since"] else ""
    return f"{node}: {cause['severity']}: {cause['cause']} ({cause['object']}{since})\n  next: {cause['type_next']}"
