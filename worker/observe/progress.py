"""One line on a terminal that says how far backfills and comparisons are; nothing where nobody looks on."""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 20


class Progress:
    """Rewrites its line on stderr with each new state, and wipes it when there is nothing left to show."""

    shown = ""

    def show(self, nodes: Mapping[str, Sequence[dict[str, Any]]]) -> None:
        """`nodes`: what each node's process_batch() said in its column progress, by the node's name."""
        bars = [bar(name, work) for name, works in nodes.items() for work in works]
        if (bars or self.shown) and sys.stderr.isatty() and (line := fitting(bars)) != self.shown:
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
            self.shown = line


def fitting(bars: Sequence[str]) -> str:
    """The first of them, on one line of the terminal whatever its width, and how many more there are."""
    width = (os.get_terminal_size(sys.stderr.fileno()).columns or 80) - 1  # 0: the terminal does not say
    for shown in range(len(bars), 0, -1):
        more = f", and {len(bars) - shown} more" if shown < len(bars) else ""
        if shown == 1 or len(", ".join(bars[:shown]) + more) <= width:
            return (", ".join(bars[:shown]) + more)[:width]
    return ""


def bar(node: str, work: dict[str, Any]) -> str:
    """`crm: backfill accounts [#####---------------] 25 % of 40,000`"""
    share = work["done"] / work["of"] if work["of"] else 0.0
    filled = "#" * int(share * WIDTH)
    return f"{node}: {work['what']} {work['entity']} [{filled:-<{WIDTH}}] {share:.0%} of {work['of']:,}"
