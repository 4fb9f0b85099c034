"""`rowferry check`: what would go wrong, on all nodes at once."""

import argparse
import json
from collections import Counter
from typing import cast

from rich.text import Text

from rowferry.config import Node
from rowferry.connection import Connection
from rowferry.observe.ask import Cursor, Rows, ask
from rowferry.observe.screen import coloured, console, text

CHECK = "select * from rowferry.check()"
CHECK_SECONDS = 600.0  # some thousand tables may be looked at meanwhile


def check(options: argparse.Namespace) -> int:
    """rowferry.check() of each node: the object, what is wrong with it, and below it what to type; 1 if one is an error."""
    rows, code = ask(options.config, read)
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        screen = console()
        for row in rows:
            head = Text.assemble(f"{row['node']}: ", coloured(row["severity"]), text(f": {row['object']}: {row['problem']}"))
            screen.print(head, soft_wrap=not screen.is_terminal)
            screen.print(text(f"  {row['fix']}", "cyan"), soft_wrap=True)  # so that it can be copied
        counts = Counter(row["severity"] for row in rows)
        kinds = [("error", "errors"), ("warning", "warnings"), ("info", "info")]
        found = ", ".join(f"{counts[one]} {one if counts[one] == 1 else more}" for one, more in kinds if counts[one])
        screen.print(text(found or ("nothing to say" if not code else "")), style="dim")
    return max(code, int(any(row["severity"] == "error" for row in rows)))


def read(_: Node, cursor: Cursor) -> Rows:
    cast(Connection, cursor.connection).seconds = CHECK_SECONDS
    return cursor.execute(CHECK).fetchall()
