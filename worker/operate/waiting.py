"""Waits for work that a running worker carries, with a bar for each piece of it on a terminal."""

import time
from collections.abc import Sequence
from typing import Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from rowferry.observe.ask import Cursor, Rows
from rowferry.observe.screen import console, text

PAUSE = 0.5  # seconds between looks
ENDED = ("finished", "resolved", "failed", "held")

# Whether anybody carries it: the links whose worker is away.
ALONE = "select peer, reason from rowferry.status where courier is null or state in ('paused', 'stopped') order by peer"


def wait(cursor: Cursor, query: str, things: Sequence[Any]) -> Rows:
    """Ask the query, whose only parameter is a list of things, until all its rows have ended; return them.

    A row has label, state (ended: one of ENDED), done and total, in rows of a table.
    """
    screen = console(stderr=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:,.0f} of {task.total:,.0f} rows", markup=False),
        TimeRemainingColumn(),
    )
    warned = False
    with Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True) as progress:
        bars: dict[str, Any] = {}
        while True:
            rows = cursor.execute(query, [list(things)]).fetchall()
            for row in rows:
                label = row["label"]
                total = max(row["done"], row["total"], 1)
                bars.setdefault(label, progress.add_task("", total=total) if label not in bars else None)
                done = total if row["state"] in ENDED else row["done"]
                progress.update(bars[label], description=str(text(f"{label}: {row['state']}")), completed=done, total=total)
            if all(row["state"] in ENDED for row in rows):
                return rows
            if not warned:
                for alone in cursor.execute(ALONE).fetchall():
                    reason = alone["reason"] or "no worker is at work: start rowferry run"
                    screen.print(text(f"the link to {alone['peer']} does not move: {reason}", "yellow"), soft_wrap=True)
                    warned = True
            time.sleep(PAUSE)
