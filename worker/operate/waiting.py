"""Waits for work that a running worker carries, with a bar for each piece of it on a terminal."""

import time
from collections.abc import Sequence
from typing import Any

from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from rowferry.observe.ask import Cursor, Rows
from rowferry.observe.screen import console, text

PAUSE = 0.5  # seconds between looks
GRACE = 2.0  # until whoever waits for nobody is told so
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
        TextColumn("{task.fields[rows]}", markup=False),
        TimeRemainingColumn(),
    )
    began, warned = time.monotonic(), False
    with Progress(*columns, console=screen, disable=not screen.is_terminal, transient=True) as progress:
        bars: dict[str, Any] = {}
        while True:
            rows = cursor.execute(query, [list(things)]).fetchall()
            for row in rows:
                label, ended = row["label"], row["state"] in ENDED
                if label not in bars:
                    bars[label] = progress.add_task(label, total=None, rows="")
                # The statistics of the server may know of fewer rows than there are, or of none.
                known = row["done"] < row["total"] and not ended
                progress.update(
                    bars[label],
                    description=str(text(f"{label}: {row['state']}")),
                    completed=(row["done"] or 1) if ended else row["done"],
                    total=(row["done"] or 1) if ended else row["total"] if known else None,
                    rows=f"{row['done']:,} of {row['total']:,} rows" if known else f"{row['done']:,} rows",
                )
            if all(row["state"] in ENDED for row in rows):
                return rows
            if not warned and time.monotonic() - began > GRACE:
                for alone in cursor.execute(ALONE).fetchall():
                    reason = alone["reason"] or "no worker is at work: start rowferry run"
                    screen.print(text(f"the link to {alone['peer']} does not move: {reason}", "yellow"), soft_wrap=True)
                    warned = True
            time.sleep(PAUSE)
