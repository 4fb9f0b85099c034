"""The command `rowferry`. Exit codes: 0 done, 1 done but events are held or a link is at rest, 2 usage or configuration,
3 a node is out of reach, 4 schema version, 5 another courier holds the lock.
"""

import argparse
import contextlib
import logging
import math
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, NoReturn

from rowferry.config import ConfigError, read_links
from rowferry.loop import Courier
from rowferry.observe import logs


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}. Hint: {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code, or raise it as SystemExit."""
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
    top.add_argument("--version", action="version", version=f"rowferry {metadata.version('rowferry')}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(name: str, module: str, purpose: str, function: str = "") -> argparse.ArgumentParser:
        """The module, which may need packages that the worker does not, is imported when its function is called."""
        added = commands.add_parser(name, help=purpose)
        added.set_defaults(command=lambda options: getattr(import_module(module), function or name)(options))
        return added

    run_ = add("run", __name__, "carry changes between the nodes until SIGTERM or Ctrl-C")
    run_.add_argument("--interval", type=seconds, default=0.08, metavar="SECONDS", help="between idle polls (default: 0.08)")
    ways = run_.add_mutually_exclusive_group()
    ways.add_argument("--once", action="store_true", help="end when all that was pending at the start has arrived or is held")
    ways.add_argument("--metrics", metavar="ADDRESS", help="serve /metrics and /healthz over HTTP there, such as 127.0.0.1:9187")
    run_.add_argument("--json", action="store_true", help="log one JSON object a line")
    status_ = add("status", "rowferry.observe.status", "show where each link stands; exit code 1 if not well")
    drift_ = add(
        "drift", "rowferry.observe.drift", "show what was changed by hand, in files that ran too; exit code 1 if anything was"
    )
    for reader in (status_, drift_):
        reader.add_argument("--json", action="store_true", help="for programs")
    init_ = add("init", "rowferry.migrations.project", "lay out a project: alembic.ini, and folders for your own revisions")
    init_.add_argument("folder", type=Path, metavar="FOLDER", help="new, or empty")
    demo_ = add("demo", "rowferry.demo.run", "two throw-away databases and the worker between them, which you can try", "main")
    demo_.add_argument(
        "--star",
        action="store_const",
        dest="command",
        const=lambda options: import_module("rowferry.demo.star").main(options),
        help="four databases: a hub and three others",
    )
    return top


def seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def run(options: argparse.Namespace) -> None:
    """The worker, a courier for each link. The first SIGTERM or SIGINT lets the calls in hand end, the second ends it at once."""
    # With --once only what went wrong is said; otherwise when it happened matters too.
    logs.start(logging.WARNING if options.once else logging.INFO, as_json=options.json, with_time=not options.once)
    stop = threading.Event()

    def end(number: int, _: Any) -> None:
        signal.signal(number, signal.SIG_DFL)
        stop.set()

    links = read_links(options.config)
    nodes = {node for link in links for node in link.nodes}
    for node in nodes:
        node.conninfo()  # raises ConfigError
    if options.metrics:
        import_module("rowferry.observe.metrics").serve(options.metrics, nodes)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    # Not in this thread: a signal that came while this one waits for the event would wait for itself. Only this one runs end(),
    # but the kernel may hand a signal to the other. So this one waits for a byte, which each signal sends, and the courier's end.
    wake, sender = socket.socketpair()
    sender.setblocking(False)
    signal.set_wakeup_fd(sender.fileno())
    pool, codes = ThreadPoolExecutor(len(links)), [0]
    couriers = [pool.submit(Courier(link.nodes, options.interval, options.once, stop, len(links) == 1).run) for link in links]

    def ended(courier: Future[None]) -> None:
        if not isinstance(courier.exception(), SystemExit | None):
            stop.set()  # a defect: the other links end, and then it is raised
        with contextlib.suppress(OSError):  # whoever waits may have seen the end before, and be gone
            sender.send(b".")

    for courier in couriers:
        courier.add_done_callback(ended)
    while not all(courier.done() for courier in couriers):
        wake.recv(1)
    for courier in couriers:
        try:
            courier.result()
        except SystemExit as exit:
            codes.append(int(exit.code or 0))
    raise SystemExit(max(codes))
