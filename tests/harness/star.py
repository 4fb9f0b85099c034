"""A hub and its spokes, each a database on one of the servers that tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import prefork
from harness.exchange import rows, sync
from harness.nodes import REPO, Node
from harness.waiting import wait_until
from harness.worker import REASONS
from rowferry.demo.embedded import Server

SPOKES = ("north", "south", "east")
UNFINISHED = """
    select from rowferry.backfills where finished_at is null
    union all select from rowferry.comparisons where state in ('queued', 'walking', 'resolving')"""


class Star:
    """The nodes by their names, and what alembic and rowferry need to work on them. `links`: the lines of section [links]."""

    def __init__(self, nodes: dict[str, Node], links: dict[str, tuple[str, ...]], folder: Path) -> None:
        self.nodes, self.links, self.ini = nodes, links, folder / "alembic.ini"
        self.pairs = [(nodes[hub], nodes[spoke]) for hub, spokes in links.items() for spoke in spokes]
        self.write_ini(links)

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())

    @property
    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "ROWFERRY_"))}
        return (
            kept
            | {f"NODE_{name.upper()}": node.conninfo for name, node in self.nodes.items()}
            | {"ROWFERRY_CONFIG": str(self.ini)}
        )

    def write_ini(self, links: dict[str, tuple[str, ...]]) -> None:
        """The repository's alembic.ini with these nodes and links."""
        before, _, rest = (REPO / "alembic.ini").read_text().replace("%(here)s", str(REPO)).partition("[nodes]\n")
        _, _, after = rest.partition("\n\n")
        nodes = "".join(f"{name} = NODE_{name.upper()}\n" for name in self.nodes)
        lines = "".join(f"{hub} = {', '.join(spokes)}\n" for hub, spokes in links.items())
        self.ini.write_text(f"{before}[nodes]\n{nodes}\n[links]\n{lines}\n{after}")

    def add(self, hub: str, name: str) -> None:
        """One more spoke, in a new database on the server of the hub; all nodes know of it."""
        server, number = self[hub].server, self[hub].database.removeprefix(hub)
        self.nodes[name] = node = Node(name, server, f"{name}{number}")
        Node(name, server, "postgres").sql(f'create database "{node.database}"')
        self.links = {**self.links, hub: (*self.links[hub], name)}
        self.pairs.append((self[hub], node))
        self.write_ini(self.links)
        code, _, err = self.alembic("upgrade", "head")
        assert code == 0, err

    @contextmanager
    def worker(self, log: Path, code: int = 0) -> Iterator[None]:
        """`rowferry run` with the present alembic.ini, for as long as the block lasts; it ends with this exit code."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                [str(Path(sys.executable).parent / "rowferry"), "run"], env=self.env, cwd=REPO, stderr=output
            )
        try:
            wait_until(lambda: log.stat().st_size, 30, "the worker has read its configuration and says something")
            yield
            assert process.poll() is None, log.read_text()
        finally:
            process.terminate()
            assert process.wait(30) == code, log.read_text()

    def wait_for_rest(self, seconds: float = 60) -> None:
        """Until a worker has carried everything: neither events nor backfills nor comparisons are left."""
        try:
            wait_until(lambda: not self.pending() and not any(node.sql(UNFINISHED) for node in self), seconds, "nothing is left")
        except BaseException:
            for node in self:
                for query in ("select * from rowferry.status", REASONS):
                    print(node.name, *node.sql(query), sep="\n  ")
            raise

    def alembic(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        return prefork.run(["-c", str(self.ini), *arguments], self.env, "/")

    def sql(self, query: str) -> None:
        """On all nodes."""
        for node in self:
            node.sql(query)

    def attach(self, table: str, **options: dict[str, str]) -> None:
        """On all nodes; `options`: more arguments of the hub's attach(), by the name of the spoke."""
        for hub, spoke in self.pairs:
            given = "".join(f", {name} => $v${value}$v$" for name, value in options.get(spoke.name, {}).items())
            hub.sql(f"select rowferry.attach('{table}', p_peer => '{spoke.name}'{given})")
            spoke.sql(f"select rowferry.attach('{table}', p_peer => '{hub.name}')")

    def sync(self) -> None:
        """Link after link, until no node has anything left for another."""
        for _ in range(20):
            if all([sync(hub, spoke) <= 3 and not self.pending() for hub, spoke in self.pairs]):
                return
        raise AssertionError("the star does not come to rest")

    def pending(self) -> int:
        """Events that wait on all nodes."""
        return sum(int(node.sql("select count(*) as n from rowferry.events")[0]["n"]) for node in self)

    def assert_equal(self, table: str) -> list[str]:
        """All nodes hold the same rows; these."""
        found = {node.name: rows(node, f"select * from {table}") for node in self}
        first, *others = found.values()
        assert all(other == first for other in others), found
        return first


@contextmanager
def star(servers: tuple[Server, ...], folder: Path, links: dict[str, tuple[str, ...]]) -> Iterator[Star]:
    """New databases with rowferry's core installed, dealt out to the servers; dropped at the end."""
    names = list(dict.fromkeys(name for hub, spokes in links.items() for name in (hub, *spokes)))
    number = f"{folder.name[-40:]}_{os.getpid()}".replace("-", "_")
    nodes = {name: Node(name, servers[i % len(servers)], f"{name}_{number}") for i, name in enumerate(names)}
    try:
        for node in nodes.values():
            Node(node.name, node.server, "postgres").sql(f'create database "{node.database}"')
        made = Star(nodes, links, folder)
        code, _, err = made.alembic("upgrade", "head")
        assert code == 0, err
        yield made
    finally:
        for node in nodes.values():
            node.close()
            Node(node.name, node.server, "postgres").sql(f'drop database if exists "{node.database}" with (force)')
