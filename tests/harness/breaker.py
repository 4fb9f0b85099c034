"""The table notes with rows on both nodes, and what waits of their deletes."""

from __future__ import annotations

from harness import Node, Nodes
from harness.exchange import sync

TABLE = "create table public.notes (id integer primary key, body text)"
ATTACH = "select rowferry.attach('public.notes')"
PROPAGATE = "select rowferry.attach('public.notes', p_truncate => 'propagate')"
HELD = "select held_sqlstate, held_error from rowferry.entities where name = 'notes'"


def install(nodes: Nodes, count: int = 100, table: str = TABLE, attach: str = ATTACH) -> None:
    """Both nodes keep public.notes in sync, which has this many rows."""
    for node in nodes:
        node.sql(table)
        node.sql(attach)
        node.sql("create table public.others (id integer primary key); select rowferry.attach('public.others')")
    nodes.crm.sql(f"insert into notes select g, 'n' || g from generate_series(1, {count}) g")
    sync(*nodes)


def count(node: Node) -> int:
    """How many notes the node has."""
    return int(node.sql("select count(*) from notes")[0]["count"])


def waits(node: Node) -> bool:
    """Whether deletes of the node's table wait for a person."""
    return bool(node.sql(HELD)[0]["held_sqlstate"] == "RF026")
