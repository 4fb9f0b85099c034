"""Two nodes that are well, and what check() says to a viewer."""

from __future__ import annotations

import re
from typing import Any

from harness import Node, Nodes
from harness.exchange import sync

TABLES = """
create table public.accounts (
  id integer generated always as identity (start with {first} increment by 2) primary key, name varchar(40) not null, code text);
create table public.users (id integer primary key, account_id integer references public.accounts, email text);
create table public.logs (id integer, at date not null, body text, primary key (id, at)) partition by range (at);
create table public.logs_2026 partition of public.logs for values from ('2026-01-01') to ('2027-01-01');
"""
ATTACH = "select rowferry.attach('public.accounts'), rowferry.attach('public.users'), rowferry.attach('public.logs')"


def keep_well(nodes: Nodes) -> Nodes:
    """Two nodes with three tables in sync, of which check() has nothing to say."""
    for number, node in enumerate(nodes, 1):
        node.sql(TABLES.format(first=number))
        node.sql(ATTACH)
    nodes.crm.sql("insert into accounts (name) values ('Acme'); insert into users values (1, 1, 'ann@acme.test')")
    sync(*nodes)
    return nodes


def found(node: Node, least: str = "warning") -> list[dict[str, Any]]:
    """What check() says to a viewer; without `info` unless asked for, and without what the tests' server itself is warned of."""
    rows = node.sql("set role rowferry_viewer; select * from rowferry.check()")
    return [row for row in rows if (least == "info" and "MERGE" not in row["problem"]) or row["severity"] != "info"]


def said(node: Node, least: str = "warning") -> list[str]:
    """The lines of check() as one text each."""
    return [f"{row['severity']} {row['object']}: {row['problem']}" for row in found(node, least)]


def timeless(lines: list[str]) -> list[str]:
    """Without when the peer said what a line rests on, which each such line says."""
    return [
        re.sub(r"; \w+ said so at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(, and tells anew with its next change)?$", "", line)
        for line in lines
    ]
