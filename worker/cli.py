"""The command `rowferry`. Exit codes: 0 done, 1 done but events are held or a link is at rest, 2 usage or configuration,
3 a node is out of reach, 4 schema version, 5 another courier holds the lock.
"""

import argparse
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib import import_module, metadata
from typing import Any

from rowferry.arguments import parser
from rowferry.config import ConfigError, Node, read_links
from rowferry.connection import Error
from rowferry.courier.attempts import Courier
from rowferry.observe import logs


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code, or raise it as SystemExit."""
    try:
        options = parser(metadata.version("rowferry")).parse_args(arguments)
        return int(options.command(options) or 0)
    except ConfigError as error:
        print(f"rowferry: {error}", file=sys.stderr)
        return 2
    except Error as error:
        print(f"rowferry: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read the output has gone, such as head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what Python still has to write at its end goes there
        return 141


def run(options: argparse.Namespace) -> None:
    """The worker, a courier for each link and for each outbox that a node has.

    The first SIGTERM or SIGINT lets the calls in hand end, the second ends it at once.
    """
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
    pool, codes = ThreadPoolExecutor(len(links) + len(nodes)), [0]
    works: list[Courier] = []
    couriers: list[Future[None]] = []
    outboxes: dict[tuple[str, str], Future[None]] = {}
    adding = threading.Lock()

    def ended(courier: Future[None]) -> None:
        if not isinstance(courier.exception(), SystemExit | None):
            stop.set()  # a defect: the other links end, and then it is raised
        with contextlib.suppress(OSError):  # whoever waits may have seen the end before, and be gone
            sender.send(b".")

    def start(courier: Courier) -> Future[None]:
        works.append(courier)
        future = pool.submit(courier.run)
        couriers.append(future)
        future.add_done_callback(ended)
        return future

    def serve(node: Node, outbox: str) -> None:
        with adding:
            if (node.name, outbox) not in outboxes or outboxes[node.name, outbox].done():
                for work in works:
                    work.alone = False  # this process goes on for the outbox, so a link that fails is tried again
                courier = Courier([node], options.interval, options.once, stop, alone=False, outbox=outbox)
                outboxes[node.name, outbox] = start(courier)

    for link in links:
        start(Courier(link.nodes, options.interval, options.once, stop, len(links) == 1, serve))
    while not all(courier.done() for courier in list(couriers)):
        wake.recv(1)
    for courier in couriers:
        try:
            courier.result()
        except SystemExit as exit:
            codes.append(int(exit.code or 0))
    if options.once and sys.stdout.isatty():
        for work in works:
            print("\n".join(work.account()))
    raise SystemExit(max(codes))
