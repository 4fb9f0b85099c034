"""One line on a terminal that says how far backfills and comparisons are; nothing where nobody looks on."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

WIDTH = 20


class Progress:
    """Rewrites its line with each new state, and wipes it when there is nothing left to show."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.shown = ""

    def show(self, nodes: Mapping[str, Sequence[dict[str, Any]]]) -> None:
        """`nodes`: what each node's process_batch() said in its column progress, by the node's name."""
        if not self.stream.isatty():
            return
        line = ", ".join(bar(name, work) for name, works in nodes.items() for work in works)
        if line != self.shown:
            print(f"\r{line}\x1b[K", end="", file=self.stream, flush=True)
            self.shown = line


def bar(node: str, work: dict[str, Any]) -> str:
    """`crm: backfill accounts [#####---------------] 25 % of 40,000`"""
    share = work["done"] / work["of"] if work["of"] else 0.0
    filled = int(share * WIDTH)
    return f"{node}: {work['what']} {work['entity']} [{'#' * filled}{'-' * (WIDTH - filled)}] {share:.0%} of {work['of']:,}"
