"""Both nodes are asked the same; one that does not answer keeps nobody from the answer of the other."""

import sys
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.rows import dict_row

from rowferry.config import Node, NodeUnreachable, read_nodes
from rowferry.connection import Error, connect, describe, hints

Cursor = psycopg.Cursor[dict[str, Any]]
Rows = list[dict[str, Any]]


def ask(
    config: str | None, read: Callable[[Node, Cursor], Rows], instead: Callable[[Error], Rows] = lambda _: []
) -> tuple[Rows, int]:
    """What each node answers, or `instead` of an answer, as rows that begin with its name; and an exit code: 0, or the highest
    one of the nodes that did not answer. Why they did not is said on stderr. Raises ConfigError."""
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
