"""A session on one node, in which a person acts; errors come with the server's detail and hint."""

import contextlib
from collections.abc import Iterator

import psycopg

from rowferry.config import ConfigError, Node, read_links, read_nodes
from rowferry.connection import FAILURES, Error, describe
from rowferry.observe.ask import Cursor, session

SECONDS = 600.0  # of silence


def find_node(config: str | None, name: str | None) -> Node:
    """The node of this name, or the first one. Raises ConfigError."""
    nodes = read_nodes(config)
    found = [node for node in nodes if name in (None, node.name)]
    if not found:
        raise ConfigError(f"no node is named {name!r}. Hint: the nodes are {', '.join(node.name for node in nodes)}")
    return found[0]


def find_hubs(config: str | None) -> list[Node]:
    """The nodes from which all links lead: the hub of a star, or the first of two nodes. Raises ConfigError."""
    return list(dict.fromkeys(link.nodes[0] for link in read_links(config)))


@contextlib.contextmanager
def acting(node: Node, role: str = "rowferry_operator") -> Iterator[Cursor]:
    """A cursor whose rows are dicts, in autocommit. Raises Error. `role`: whoever acts needs it."""
    try:
        with session(node, role, SECONDS) as cursor:
            yield cursor
    except FAILURES as error:
        raise told(node, error) from None


def told(node: Node, error: Exception) -> Error:
    """In words, with the detail and the hint of the server's, which a person who acts may read."""
    said = describe(node, error)
    if isinstance(error, psycopg.Error):
        detail, hint = error.diag.message_detail, error.diag.message_hint
        said.message = said.message + (f": {node.masked(detail).rstrip('.')}" if detail else "")
        said.hint = said.hint or (node.masked(hint) if hint else "")
    return said
