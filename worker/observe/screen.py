"""How things look to people on a terminal: colours, units, and nothing that a name in a database could do to the screen.

Colours are left out where NO_COLOR is set, and where the output goes to no terminal.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console
from rich.text import Text

STYLES = {
    "idle": "green",
    "moving": "cyan",
    "waiting": "yellow",
    "held": "yellow",
    "paused": "magenta",
    "stuck": "bold red",
    "stopped": "bold red",
    "unknown": "bold red",
    "error": "bold red",
    "warning": "yellow",
    "info": "dim",
}


def console(stderr: bool = False) -> Console:
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def text(value: Any, style: str = "") -> Text:
    """As it is, without control characters."""
    return Text("".join(letter if letter.isprintable() else " " for letter in str(value)), style)


def coloured(word: str) -> Text:
    """A state or a severity."""
    return text(word, STYLES.get(word, ""))


def number(value: float | None) -> str:
    """1,234 or 12.5; nothing for none and 0."""
    return f"{value:,.10g}" if value else ""


def span(value: timedelta | None) -> str:
    """45 s, 3 min, 2 h 10 min, 4 d 3 h; of less than a second 0.2 s."""
    if value is None:
        return ""
    seconds = abs(value.total_seconds())
    sign = "-" if value < timedelta() else ""
    if 0 < seconds < 1:
        return f"{sign}{seconds:.2g} s" if seconds >= 0.1 else f"{sign}{seconds:.3f} s"
    if seconds < 60:
        return f"{sign}{seconds:.0f} s"
    minutes = int(seconds // 60)
    if minutes < 60:
        return f"{sign}{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{sign}{hours} h {minutes} min"
    return f"{sign}{hours // 24} d {hours % 24} h"


def ago(value: datetime | None) -> str:
    """How long ago, by this machine's clock."""
    return f"{span(max(datetime.now(UTC) - value, timedelta(seconds=1)))} ago" if value else ""
