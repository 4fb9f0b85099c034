"""`rowferry run --metrics`: the numbers of each node's view rowferry.metrics for Prometheus, and whether work moves, on /healthz.

Each request asks all nodes, at the same time and in sessions of its own, so it never waits for an exchange nor holds one up.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from rowferry.config import ConfigError, Node
from rowferry.connection import FAILURES, Error, connect, describe, hints

try:
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.core import GaugeMetricFamily
    from prometheus_client.exposition import MetricsHandler
    from prometheus_client.registry import Collector
except ModuleNotFoundError:
    raise ConfigError("--metrics needs the package prometheus-client. Hint: pip install 'rowferry[metrics]'") from None

log = logging.getLogger("rowferry")

METRICS = "select name, help, labels, value from rowferry.metrics"
WORKS = METRICS + " where name = 'rowferry_works'"
LOOPBACK = "127.0.0.1"
HIGHEST_PORT = 65535
CLIENT_SECONDS = 10.0  # how long a client may take to say what it wants


class Nodes(Collector):
    """What the nodes say; one request asks them at a time, however many come."""

    def __init__(self, nodes: Collection[Node]) -> None:
        self.nodes = sorted(nodes, key=lambda node: node.name)
        self.asking, self.said = threading.Lock(), dict[str, str]()

    def ask(self, query: str) -> dict[str, list[Any] | None]:
        """The rows of each node by its name, or None where it did not answer. Why it did not is logged, once."""
        found: dict[str, list[Any] | None] = {}
        with self.asking, ThreadPoolExecutor(len(self.nodes)) as pool:
            for node, answer in zip(self.nodes, pool.map(lambda node: read(node, query), self.nodes), strict=True):
                error = str(answer) if isinstance(answer, Error) else ""
                if error and error != self.said.get(node.name):
                    log.warning("metrics: %s", error)
                self.said[node.name] = error
                found[node.name] = None if isinstance(answer, Error) else answer
        return found

    def collect(self) -> Iterator[GaugeMetricFamily]:
        up = GaugeMetricFamily("rowferry_up", "1 if the node has answered the worker that serves this", labels=["node"])
        families: dict[str, GaugeMetricFamily] = {}
        for node, rows in self.ask(METRICS).items():
            up.add_metric([node], rows is not None)
            for row in rows or ():
                family = families.setdefault(row.name, GaugeMetricFamily(row.name, row.help, labels=sorted(row.labels)))
                family.add_metric([row.labels[name] for name in sorted(row.labels)], row.value)
        yield from (up, *families.values())

    def health(self) -> tuple[HTTPStatus, str]:
        """OK only while work moves on every link, or there is none; and a line for each link."""
        lines, well = [], True
        for node, rows in self.ask(WORKS).items():
            if rows is None:
                well = False
                lines.append(f"{node}: no answer")
            for row in rows or ():
                well = well and row.value == 1
                lines.append(f"{node}: {row.labels['peer']}: {'well' if row.value == 1 else 'work waits and nothing moves'}")
        return HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE, "".join(f"{line}\n" for line in lines)


def read(node: Node, query: str) -> list[Any] | Error:
    """The rows, or why there are none."""
    try:
        with connect(node) as connection, hints(node, connection, "rowferry_viewer"):
            return connection.execute(query).fetchall()
    except FAILURES as error:
        return describe(node, error)


class Server(ThreadingHTTPServer):
    """Ends with the worker, whoever is still reading."""

    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no news."""


class Handler(MetricsHandler):
    """/metrics, /healthz, and nothing else; it logs no request."""

    nodes: Nodes
    timeout = CLIENT_SECONDS

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path == "/metrics" and self.command == "GET":
            super().do_GET()
        elif path in ("/metrics", "/healthz"):
            status, text = self.nodes.health() if path == "/healthz" else (HTTPStatus.OK, "")
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(text.encode())
        else:
            self.send_error(HTTPStatus.NOT_FOUND, explain="There are /metrics and /healthz")  # a full stop is added

    def do_HEAD(self) -> None:
        """The same without a body, as monitors ask."""
        self.do_GET()


def serve(address: str, nodes: Collection[Node]) -> None:
    """Serve in the background from now on. Raises ConfigError if nothing can listen at the address."""
    host, port = parse(address)
    found = Nodes(nodes)
    registry = CollectorRegistry()
    registry.register(found)
    ProcessCollector(registry=registry)  # processor time and memory of this worker
    handler = type("Bound", (Handler,), {"registry": registry, "nodes": found})
    try:
        [(family, *_), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        server = type("Bound", (Server,), {"address_family": family})((host, port), handler)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this is no name of a host"
        raise ConfigError(f"--metrics: nothing can listen at {address}: {reason}. Hint: name another address") from None
    shown = f"[{host}]" if ":" in host else host
    log.info("metrics at http://%s:%d/metrics", shown, server.server_address[1])
    threading.Thread(target=server.serve_forever, daemon=True).start()


def parse(address: str) -> tuple[str, int]:
    """Host and port of "127.0.0.1:9187" or "[::1]:9187"; "9187" alone is a port of the loopback. Raises ConfigError."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or len(port) > len(str(HIGHEST_PORT)) or int(port) > HIGHEST_PORT:
        raise ConfigError(f"--metrics {address}: no port. Hint: --metrics {LOOPBACK}:9187")
    return host.strip("[]") or LOOPBACK, int(port)
