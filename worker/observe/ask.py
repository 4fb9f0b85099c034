"""Both nodes are asked the same; one that does not answer keeps nobody from the answer of the other."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from psycopg.rows import dict_row

from rowferry.config import Node, read_nodes
from rowferry.connection import FAILURES, READ_SECONDS, Error, connect, describe, hints

NAME = "select rowferry.node_name() as name"

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
            with session(node, "rowferry_viewer") as cursor:
                found = read(node, cursor)
        except FAILURES as error:
            said = describe(node, error)
            print(f"rowferry: {said}", file=sys.stderr)
            found, code = instead(said), max(code, said.code)
        rows += [{"node": node.name, **row} for row in found]
    return rows, code


@contextlib.contextmanager
def session(node: Node, role: str, seconds: float = READ_SECONDS) -> Iterator[Cursor]:
    """A cursor whose rows are dicts, in autocommit. Raises FAILURES. `role`: whoever asks needs it. `seconds`: of silence."""
    with (
        connect(node) as connection,
        connection.cursor(row_factory=dict_row) as cursor,
        hints(node, connection, role),
    ):
        connection.seconds = seconds
        refuse_another(node, cursor)
        yield cursor


def refuse_another(node: Node, cursor: Cursor) -> None:
    """Raises Error if this is the database of another node: both variables may hold one string, or each the other's."""
    [row] = cursor.execute(NAME).fetchall()
    if row["name"] not in (node.name, None):
        hint = f"{node.variable} holds the connection string of another database than that of {node.name}"
        raise Error(node.name, "RF002", f"this is the database of {row['name']}", hint)
