"""One line on a terminal that says how far backfills and comparisons are; nothing where nobody looks on."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 20


class Progress:
    """Rewrites its line on stderr with each new state, and wipes it when there is nothing left to show."""

    shown = ""

    def show(self, nodes: Mapping[str, Sequence[dict[str, Any]]]) -> None:
        """`nodes`: what each node's process_batch() said in its column progress, by the node's name."""
        line = ", ".join(bar(name, work) for name, works in nodes.items() for work in works)
        if line != self.shown and sys.stderr.isatty():
            print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)
            self.shown = line


def bar(node: str, work: dict[str, Any]) -> str:
    """`crm: backfill accounts [#####---------------] 25 % of 40,000`"""
    share = work["done"] / work["of"] if work["of"] else 0.0
    filled = "#" * int(share * WIDTH)
    return f"{node}: {work['what']} {work['entity']} [{filled:-<{WIDTH}}] {share:.0%} of {work['of']:,}"
