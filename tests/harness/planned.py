"""plan() asked on both nodes, as rowferry plan asks it, by a plain role."""

from __future__ import annotations

import json
from typing import Any

import psycopg

from harness.nodes import Node, Nodes

Files = dict[str, list[str]]  # up, down and verify, in lines


def planned(nodes: Nodes, filters: dict[str, str] | None = None, role: str = "postgres") -> dict[str, Files]:
    """The files of each node; whatever was asked is rolled back."""
    facts = {node.name: ask(node, role, "select rowferry.plan_facts()")[0][0] for node in nodes}
    plans = {}
    for node, other in zip(nodes, (nodes.billing, nodes.crm), strict=True):
        given = [json.dumps(value) for value in (facts[node.name], facts[other.name], filters or {})]
        rows = ask(node, role, "select file, line from rowferry.plan(%s, %s, %s)", given)
        plans[node.name] = {file: [line for name, line in rows if name == file] for file in ("up", "down", "verify")}
    return plans


def ask(node: Node, role: str, query: str, params: Any = None) -> list[Any]:
    with psycopg.connect(node.conninfo) as connection:
        connection.execute(f"set role {role}")  # type: ignore[call-overload]
        rows = connection.execute(query, params).fetchall()  # type: ignore[call-overload]
        connection.rollback()
        return rows


def run(node: Node, lines: list[str], role: str = "postgres") -> list[dict[str, Any]]:
    """Run a file; rows of its last statement."""
    return node.sql(f"set role {role};\n" + "\n".join(lines))


def calls(files: Files) -> list[str]:
    """The statements of the file up that attach something, in order."""
    return [line for line in files["up"] if line.startswith("select rowferry.attach(")]


def reasons(files: Files) -> dict[str, str]:
    """Why tables are not attached, by table."""
    lines = files["up"]
    place = lines.index("-- Not attached, and why:") + 1 if "-- Not attached, and why:" in lines else len(lines)
    return dict(line.removeprefix("-- ").split(": ", 1) for line in lines[place:] if ": " in line)
