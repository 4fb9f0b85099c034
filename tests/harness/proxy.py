"""A TCP proxy between the worker and a server, on loopback: it can delay, lose, cut and end what passes through it."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from harness.nodes import Nodes

Direction = Literal["to_server", "to_client"]
BOTH: tuple[Direction, ...] = ("to_server", "to_client")


class Link:
    """One connection through the proxy: the client's socket, the server's, and whether bytes of it were lost."""

    def __init__(self, client: socket.socket, server: socket.socket | None) -> None:
        self.client, self.server = client, server
        self.lost: set[Direction] = set()
        self.ended: set[Direction] = set()

    def reset(self) -> None:
        """RST to both ends; bytes that wait to be sent are thrown away."""
        for end in (self.client, self.server):
            if end is not None:
                with contextlib.suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RD)  # wakes the thread that reads from it
                end.close()

    @property
    def alive(self) -> bool:
        return self.client.fileno() != -1


class Proxy:
    """Listens on a port of its own and passes what comes to a server's port, as it was last told to."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.passed: dict[Direction, int] = {"to_server": 0, "to_client": 0}  # bytes, of all connections
        self.taken = 0  # connections, ever
        self._delay = 0.0
        self._lose: set[Direction] = set()
        self._cut: int | None = None
        self._silent = False
        self._stalled = False
        self._links: list[Link] = []
        self._mutex = threading.Lock()
        self._listener: socket.socket | None = None
        self.port = 0
        self.listen()

    @property
    def links(self) -> list[Link]:
        """The connections that are open."""
        with self._mutex:
            self._links = [link for link in self._links if link.alive]
            return list(self._links)

    def listen(self) -> None:
        """Take connections; after refuse() on the same port as before."""
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            self.port = self._listener.getsockname()[1]
            threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def refuse(self) -> None:
        """End all connections, and refuse new ones until listen()."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
            listener.close()
        self.reset()

    def silent(self) -> None:
        """From now on take new connections and say nothing on them."""
        self._silent = True

    def delay(self, seconds: float) -> None:
        """From now on pass everything so much later, in either direction."""
        self._delay = seconds

    def black_hole(self, *directions: Direction) -> None:
        """From now on lose all bytes in these directions, or in both. A connection that lost some stays dead, as in TCP."""
        self._lose = set(directions or BOTH)

    def stall(self) -> None:
        """From now on read nothing of what servers say: their answers stay with them, once the buffers between are full."""
        self._stalled = True

    def cut(self, after: int) -> None:
        """Let so many more bytes reach clients, then reset the connection on which the next one comes."""
        self._cut = after

    @property
    def cutting(self) -> bool:
        """Whether cut() has not hit yet."""
        return self._cut is not None

    def half_close(self) -> None:
        """End what servers say on the present connections; what clients say goes on."""
        for link in self.links:
            link.ended.add("to_client")
            with contextlib.suppress(OSError):
                link.client.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """RST on all present connections."""
        for link in self.links:
            link.reset()

    def heal(self) -> None:
        """Pass everything again, at once; for connections that have lost nothing."""
        self._delay, self._cut, self._silent, self._stalled, self._lose = 0.0, None, False, False, set()
        self.listen()

    def close(self) -> None:
        self.refuse()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.taken += 1
            if self._silent:
                with self._mutex:
                    self._links.append(Link(client, None))
                continue
            try:
                server = socket.socket()
                server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**18)  # it would grow to many times that
                server.connect(("127.0.0.1", self.target))
            except OSError:
                Link(client, None).reset()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(client, server)
            with self._mutex:
                self._links.append(link)
            for source, sink, direction in ((client, server, "to_server"), (server, client, "to_client")):
                threading.Thread(target=self._pump, args=(link, source, sink, direction), daemon=True).start()

    def _pump(self, link: Link, source: socket.socket, sink: socket.socket, direction: Direction) -> None:
        """Pass what comes in one direction until it ends, and then the end; what was lost has no end either."""
        try:
            while data := self._read(source, direction):
                if self._delay:
                    time.sleep(self._delay)
                if direction in self._lose:
                    link.lost.add(direction)
                if direction in link.lost or direction in link.ended:
                    continue
                if direction == "to_client" and self._cut is not None and not self._within_cut(link, data):
                    return
                sink.sendall(data)
                self.passed[direction] += len(data)
            if direction not in link.lost | self._lose:
                sink.shutdown(socket.SHUT_WR)
                link.ended.add(direction)
                if link.ended >= set(BOTH):
                    link.reset()
        except OSError:
            if direction not in link.lost | self._lose:
                link.reset()

    def _read(self, source: socket.socket, direction: Direction) -> bytes:
        while self._stalled and direction == "to_client" and source.fileno() != -1:
            time.sleep(0.01)
        return source.recv(65536)

    def _within_cut(self, link: Link, data: bytes) -> bool:
        """Whether the data may pass whole; otherwise its first part has passed and the connection is reset."""
        left = self._cut or 0
        self._cut = left - len(data) if len(data) <= left else None
        if self._cut is not None:
            return True
        if left:
            link.client.sendall(data[:left])
            time.sleep(0.01)  # a reset overtakes what the other end has not read yet
        link.reset()
        return False


@dataclass
class Behind(Nodes):
    """The nodes of a test, which the worker reaches on other ports: those of proxies or poolers."""

    ports: dict[str, int] = field(default_factory=dict)

    @property
    def env(self) -> dict[str, str]:
        found = super().env
        for node in self:
            if node.name in self.ports:
                found[f"ROWFERRY_NODE_{node.name.upper()}"] = node.conninfo.replace(
                    f"@127.0.0.1:{node.server.port}/", f"@127.0.0.1:{self.ports[node.name]}/"
                )
        return found


@dataclass
class Proxies:
    """A proxy before each node, and the nodes as the worker sees them."""

    crm: Proxy
    billing: Proxy
    nodes: Behind

    def __iter__(self) -> Iterator[Proxy]:
        return iter((self.crm, self.billing))


@contextlib.contextmanager
def proxied(nodes: Nodes) -> Iterator[Proxies]:
    """Proxies before both nodes, for as long as the block lasts."""
    crm, billing = (Proxy(node.server.port) for node in nodes)
    try:
        yield Proxies(crm, billing, Behind(nodes.crm, nodes.billing, {"crm": crm.port, "billing": billing.port}))
    finally:
        crm.close()
        billing.close()
