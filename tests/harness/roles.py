"""Roles with the rights of any user, and sessions of theirs."""

import itertools
from typing import Any

import psycopg

from harness.nodes import Node

NUMBERS = itertools.count(1)


def role(node: Node, options: str = "") -> str:
    """A new role of the node's server with the rights of any user, and no more."""
    name = f"somebody_{next(NUMBERS)}"
    node.sql(f"create role {name} {options}")
    return name


def as_role(node: Node, name: str) -> psycopg.Connection[Any]:
    """A session of this role, closed at the test's end."""
    connection = node.connect()
    connection.execute(f"set session authorization {name}")
    return connection
