"""The command `rowferry`. Exit codes: 0 done, 1 done but events are held or a link is at rest, 2 usage or configuration,
3 a node is out of reach, 4 schema version, 5 another courier holds the lock.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import logging
import math
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import psycopg
from psycopg.rows import dict_row

from rowferry import logs, sql
from rowferry.config import ConfigError, Node, NodeUnreachable, read_nodes
from rowferry.connection import Error, connect, describe, hints
from rowferry.loop import Courier
from rowferry.migrations.drift import Site
from rowferry.migrations.project import lay_out

Cursor = psycopg.Cursor[dict[str, Any]]
Rows = list[dict[str, Any]]

UNWELL = {"stuck", "held", "stopped", "paused"}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}. Hint: {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    try:
        options = parser().parse_args(arguments)
        return int(options.command(options) or 0)
    except ConfigError as error:
        print(f"rowferry: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def parser() -> Parser:
    top = Parser(prog="rowferry", description="Keeps records of two PostgreSQL databases equal, in both directions.")
    top.add_argument("--config", metavar="FILE", help="the ini file that names the nodes (default: alembic.ini)")
    top.add_argument("--version", action="version", version=f"rowferry {importlib.metadata.version('rowferry')}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(command: Callable[[argparse.Namespace], int | None], purpose: str) -> argparse.ArgumentParser:
        added = commands.add_parser(command.__name__, help=purpose)
        added.set_defaults(command=command)
        return added

    run_ = add(run, "carry changes between the two nodes until SIGTERM or Ctrl-C")
    run_.add_argument("--interval", type=seconds, default=2.0, metavar="SECONDS", help="between idle polls (default: 2)")
    run_.add_argument("--once", action="store_true", help="end when all that was pending at the start has arrived or is held")
    run_.add_argument("--json", action="store_true", help="log one JSON object a line")
    status_ = add(status, "show where each link stands; exit code 1 if not well")
    drift_ = add(drift, "show what was changed by hand, in files that ran too; exit code 1 if anything was")
    for reader in (status_, drift_):
        reader.add_argument("--json", action="store_true", help="for programs")
    init_ = add(init, "lay out a project: alembic.ini, and folders for your own revisions")
    init_.add_argument("folder", type=Path, metavar="FOLDER", help="new, or empty")
    add(demo, "two throw-away databases and the worker between them")
    return top


def seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def run(options: argparse.Namespace) -> int:
    """The worker. It finishes the calls in hand on the first SIGTERM or SIGINT, and ends at once on the second."""
    # With --once only what went wrong is said; otherwise when it happened matters too.
    logs.start(logging.WARNING if options.once else logging.INFO, as_json=options.json, with_time=not options.once)
    stop = threading.Event()

    def end(number: int, _: Any) -> None:
        stop.set()
        signal.signal(number, signal.SIG_DFL)

    nodes = read_nodes(options.config)
    for node in nodes:
        node.conninfo()  # raises ConfigError
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    return Courier(nodes, options.interval, options.once, stop).run()


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
    return max(code, *(int(row["state"] in UNWELL) for row in rows))


def read_status(_: Node, cursor: Cursor) -> Rows:
    rows = cursor.execute(sql.STATUS).fetchall()
    return [row | {"why": cursor.execute(sql.WHY, [row["peer"]]).fetchall() if row["state"] in UNWELL else []} for row in rows]


def drift(options: argparse.Namespace) -> int:
    """rowferry.drift() of each node: the object, what was done to it, and below it the line that heals it in psql; and the files
    of the site's revisions that are not what the node ran."""
    rows, code = ask(options.config, Site(options.config).drift)
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        for row in rows:
            print(f"{row['node']}: {row['object']}: {row['problem']}\n  {row['fix']}")
    return max(code, int(bool(rows)))


def ask(
    config: str | None, read: Callable[[Node, Cursor], Rows], instead: Callable[[Error], Rows] = lambda _: []
) -> tuple[Rows, int]:
    """What each node answers, or `instead` of an answer, as rows that begin with its name; and an exit code: 0, or the highest
    one of the nodes that did not answer. Why they did not is said on stderr."""
    rows, code = [], 0
    for node in read_nodes(config):
        try:
            with (
                connect(node) as connection,
                connection.cursor(row_factory=dict_row) as cursor,
                hints(node, connection, "rowferry_viewer"),
            ):
                found = read(node, cursor)
        except (psycopg.Error, NodeUnreachable) as error:
            said = describe(node, error)
            print(f"rowferry: {said}", file=sys.stderr)
            found, code = instead(said), max(code, said.code)
        rows += [{"node": node.name, **row} for row in found]
    return rows, code


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


def init(options: argparse.Namespace) -> None:
    print(lay_out(options.folder))


def demo(_: argparse.Namespace) -> int:
    from .demo.run import main as run_demo  # needs packages that the worker does not

    return run_demo([])
