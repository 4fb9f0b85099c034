"""Attaching on one node: what it leaves in the schema, and what it says when it refuses."""

import re
import subprocess

import psycopg
import pytest

from harness import Node
from harness.exchange import rows
from harness.roles import as_role
from rowferry.demo.embedded import environment

PLAIN = "create table items (id int primary key, v text)"


def dump(node: Node) -> str:
    """The whole catalog as pg_dump writes it, and the registered entities."""
    own = node.server.bin_dir / "pg_dump"
    done = subprocess.run(
        [str(own) if own.exists() else "pg_dump", "--schema-only", "-d", node.conninfo],
        env=environment(node.server.bin_dir),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    entities = rows(node, "select id, name, peer, relation, key_columns, columns, local_columns from rowferry.entities")
    return re.sub(r"(?m)^\\(un)?restrict .*\n", "", done.stdout) + "\n".join(entities)


def refusal(node: Node, statement: str, user: str | None = None) -> psycopg.Error:
    """The error of a statement that must leave everything as it was."""
    before = dump(node)
    connection = as_role(node, user) if user else node.connect()
    with connection, pytest.raises(psycopg.Error) as caught:
        connection.execute(statement)
    assert dump(node) == before
    return caught.value


def refused(node: Node, call: str, message: str, user: str | None = None) -> psycopg.Error:
    """As refusal, of rowferry.attach(call): with this in its message, and a hint."""
    error = refusal(node, f"select rowferry.attach({call})", user)
    assert re.search(message, str(error)), error
    assert error.diag.message_hint, error
    return error


def refused_fast(node: Node, call: str, message: str) -> None:
    """rowferry.attach(call) is refused with this in its message, and a hint, and registers nothing."""
    with node.connect() as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute(f"select rowferry.attach({call})")
    assert re.search(message, str(caught.value)), f"{call}: {caught.value}"
    assert str(caught.value.sqlstate).startswith("RF"), f"{call}: {caught.value.sqlstate}"
    assert caught.value.diag.message_hint, call
