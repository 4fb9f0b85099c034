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
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import psycopg
from psycopg.rows import dict_row

from rowferry import logs, project, site_files, sql
from rowferry.config import ConfigError, Node, NodeUnreachable, read_nodes
from rowferry.connection import Error, connect, describe, wait_at_most
from rowferry.loop import Courier

Cursor = psycopg.Cursor[dict[str, Any]]

# All functions of some thousand tables may be compared meanwhile.
DRIFT_SECONDS = 600.0

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

    run_ = commands.add_parser("run", help="carry changes between the two nodes until SIGTERM or Ctrl-C")
    run_.add_argument("--interval", type=seconds, default=2.0, metavar="SECONDS", help="between idle polls (default: 2)")
    run_.add_argument("--once", action="store_true", help="end when all that was pending at the start has arrived or is held")
    run_.add_argument("--json", action="store_true", help="log one JSON object a line")
    run_.set_defaults(command=run)

    status_ = commands.add_parser("status", help="show where each link stands; exit code 1 if not well")
    status_.add_argument("--json", action="store_true", help="for programs")
    status_.set_defaults(command=status)

    drift_ = commands.add_parser(
        "drift", help="show what was changed by hand, in files that ran too; exit code 1 if anything was"
    )
    drift_.add_argument("--json", action="store_true", help="for programs")
    drift_.set_defaults(command=drift)

    init_ = commands.add_parser("init", help="lay out a project: alembic.ini, and folders for your own revisions")
    init_.add_argument("folder", metavar="FOLDER", help="new, or empty")
    init_.set_defaults(command=init)

    demo_ = commands.add_parser("demo", help="two throw-away databases and the worker between them")
    demo_.set_defaults(command=demo)
    return top


def seconds(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or value <= 0:
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
    rows: list[dict[str, Any]] = []
    codes = [0]
    for node, found in ask(options.config, read_status):
        if isinstance(found, Error):
            rows.append({"node": node.name, "state": "unknown", "reason": found.message})
            codes.append(found.code)
        else:
            rows += [{"node": node.name, **row} for row in found]
            codes += [1 for row in found if row["state"] in UNWELL]
    if options.json:
        print(json.dumps(rows, default=plain, indent=2))
    else:
        print(table([{name: value for name, value in row.items() if name != "why"} for row in rows]))
        for row in rows:
            for cause in row.get("why", ()):
                print("\n" + paragraph(row["node"], cause))
    return max(codes)


def drift(options: argparse.Namespace) -> int:
    """rowferry.drift() of each node: the object, what was done to it, and below it the line that heals it in psql; and the files
    of the site's revisions that are not what the node ran."""
    rows: list[dict[str, Any]] = []
    codes = [0]
    site = site_files.Site(options.config)
    for node, found in ask(options.config, lambda node, cursor: read_drift(cursor) + site.edited(node, read_site_log(cursor))):
        if isinstance(found, Error):
            codes.append(found.code)
        else:
            rows += [{"node": node.name, **row} for row in found]
            codes += [1 for _ in found]
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        for row in rows:
            print(f"{row['node']}: {row['object']}: {row['problem']}\n  {row['fix']}")
    return max(codes)


def ask(
    config: str | None, read: Callable[[Node, Cursor], list[dict[str, Any]]]
) -> Iterator[tuple[Node, list[dict[str, Any]] | Error]]:
    """What each node answers, or why it does not, which is also said on stderr."""
    for node in read_nodes(config):
        try:
            with connect(node) as connection, connection.cursor(row_factory=dict_row) as cursor:
                try:
                    answer = read(node, cursor)
                except (
                    psycopg.errors.UndefinedTable,
                    psycopg.errors.UndefinedFunction,
                    psycopg.errors.InvalidSchemaName,
                ) as error:
                    error.add_note("alembic upgrade head")
                    raise
                except psycopg.errors.InsufficientPrivilege as error:
                    error.add_note(f"grant rowferry_viewer to {connection.info.user};")
                    raise
        except (psycopg.Error, NodeUnreachable) as error:
            said = describe(node, error)
            print(f"rowferry: {said}", file=sys.stderr)
            yield node, said
        else:
            yield node, answer


def read_drift(cursor: Cursor) -> list[dict[str, Any]]:
    wait_at_most(cursor.connection, DRIFT_SECONDS)
    return cursor.execute(sql.DRIFT).fetchall()


def read_site_log(cursor: Cursor) -> list[dict[str, Any]]:
    return cursor.execute(sql.SITE_LOG).fetchall()


def read_status(_: Node, cursor: Cursor) -> list[dict[str, Any]]:
    rows = cursor.execute(sql.STATUS).fetchall()
    return [row | {"why": cursor.execute(sql.WHY, [row["peer"]]).fetchall() if row["state"] in UNWELL else []} for row in rows]


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
    print(project.lay_out(Path(options.folder)))


def demo(_: argparse.Namespace) -> int:
    from .demo.run import main as run_demo  # needs packages that the worker does not

    return run_demo([])
