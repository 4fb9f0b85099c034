"""A hub and its spokes, each a database on one of the servers that tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import prefork
from harness.exchange import rows, sync
from harness.nodes import REPO, Node
from rowferry.demo.embedded import Server

SPOKES = ("north", "south", "east")


class Star:
    """The nodes by their names, and what alembic and rowferry need to work on them. `links`: the lines of section [links]."""

    def __init__(self, nodes: dict[str, Node], links: dict[str, tuple[str, ...]], folder: Path) -> None:
        self.nodes, self.ini = nodes, folder / "alembic.ini"
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
