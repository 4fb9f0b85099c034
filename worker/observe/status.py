"""`rowferry status`: where each link stands, and below it why those that are not well are not."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from rowferry.config import Node
from rowferry.observe.ask import Cursor, Rows, ask

if TYPE_CHECKING:
    from rich.console import RenderableType

STATUS = "select * from rowferry.status order by peer"
WHY = "select * from rowferry.why_stuck(%s)"

UNWELL = {"stuck", "held", "stopped", "paused"}

# From this width on a column is shown.
WIDTHS = {"oldest": 60, "records/s": 70, "last exchange": 84, "worker": 110, "clock": 124}


def status(options: argparse.Namespace) -> int:
    """The view rowferry.status of each node, and below it rowferry.why_stuck() of each link that is not well."""
    if options.watch:
        return watch(options)
    rows, code = look(options)
    if options.json:
        print(json.dumps(rows, default=plain, indent=2))
    else:
        show(rows)
    return code


def look(options: argparse.Namespace) -> tuple[Rows, int]:
    """What each node says, and the exit code."""
    rows, code = ask(options.config, read_status, lambda error: [{"state": "unknown", "reason": error.message}])
    return rows, max([code, *(1 for row in rows if row["state"] in UNWELL)])


def read_status(_: Node, cursor: Cursor) -> Rows:
    rows = cursor.execute(STATUS).fetchall()
    return [row | {"why": cursor.execute(WHY, [row["peer"]]).fetchall() if row["state"] in UNWELL else []} for row in rows]


def watch(options: argparse.Namespace) -> int:
    """Again and again until Ctrl-C, on a terminal in place; the exit code is that of the last look."""
    code = 0
    with contextlib.suppress(KeyboardInterrupt):
        if not sys.stdout.isatty():
            while True:
                rows, code = look(options)
                print(f"{datetime.now():%Y-%m-%d %H:%M:%S}")
                show(rows)
                print(flush=True)
                time.sleep(options.watch)
        from rich.console import Group
        from rich.live import Live

        from rowferry.observe.screen import console, text

        screen = console()
        with Live(console=screen, screen=True, auto_refresh=False) as live:
            while True:
                with contextlib.redirect_stderr(io.StringIO()):  # what it says there stands in the table too
                    rows, code = look(options)
                title = text(f"rowferry status at {datetime.now():%H:%M:%S}, every {options.watch:g} s; Ctrl-C ends it", "dim")
                live.update(Group(title, text(""), pictured(rows, screen.width)), refresh=True)
                time.sleep(options.watch)
    return code


def show(rows: Rows) -> None:
    """For people on a terminal within its width; elsewhere as a plain table, which grep can read."""
    if sys.stdout.isatty():
        from rowferry.observe.screen import console

        screen = console()
        screen.print(pictured(rows, screen.width))
        return
    print(table([{name: value for name, value in row.items() if name != "why"} for row in rows]))
    for row in rows:
        for cause in row.get("why", ()):
            print("\n" + paragraph(row["node"], cause))


def pictured(rows: Rows, width: int) -> RenderableType:
    """A line for each link, and paragraphs about those that have something to say."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from rowferry.observe.screen import ago, coloured, number, span, text

    lines = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("link", "state", "pending", "held", "oldest", "records/s", "last exchange", "worker", "clock"):
        if width >= WIDTHS.get(name, 0):
            right = name in ("pending", "held", "oldest", "records/s", "clock")
            lines.add_column(name, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    for row in rows:
        cells = {
            "link": text(f"{row['node']} → {row['peer']}" if row.get("peer") else row["node"]),
            "state": coloured(row["state"]),
            "pending": text(number(row.get("pending"))),
            "held": text(number(row.get("held"))),
            "oldest": text(span(row.get("oldest"))),
            "records/s": text(number(row.get("rate"))),
            "last exchange": text(ago(row.get("last_exchange"))),
            "worker": text(row.get("courier") or "none"),
            "clock": text(span(row.get("clock_difference"))),
        }
        lines.add_row(*(cell for name, cell in cells.items() if width >= WIDTHS.get(name, 0)))
    said: list[RenderableType] = [lines]
    for row in rows:
        for cause in row.get("why") or ():
            since = f", since {cause['since']:%Y-%m-%d %H:%M:%S}" if cause["since"] else ""
            what = text(f" {row['node']}: {cause['cause']} ({cause['object']}{since})")
            said += [text(""), Text.assemble(coloured(cause["severity"]), what), text(f"  next: {cause['type_next']}", "cyan")]
        if row.get("reason") and not row.get("why"):
            said += [text(""), text(f"{row['node']}: {row['reason']}")]
    return Group(*said)


def plain(value: Any) -> Any:
    """For JSON: intervals in seconds, times in ISO 8601."""
    return value.total_seconds() if isinstance(value, timedelta) else value.isoformat()


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Aligned columns under their names; the columns of the row that has most."""
    names = max(map(list, rows), key=len, default=[])
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
