"""`rowferry plan`: the revision of the site that attaches what both nodes have. Nothing is changed in either database."""

import argparse
import json
import shlex
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rowferry.config import ConfigError, Link, Node, read_links
from rowferry.observe.ask import Cursor
from rowferry.operate.session import acting, find_node

FACTS = "select rowferry.plan_facts(%s) as facts"
PLAN = "select file, line from rowferry.plan(%s, %s, %s)"
FILES = ("up", "down", "verify")

Plan = dict[str, list[str]]  # a file's name, up, down or verify, and its lines


def plan(options: argparse.Namespace) -> int:
    """rowferry.plan() on each node of each link, by what rowferry.plan_facts() says on both; 1 if nothing can be attached."""
    wanted = find_node(options.config, options.node) if options.node else None
    links = [link for link in read_links(options.config) if wanted in (None, *link.nodes)]
    plans = [(node, peer, files) for link in links for node, peer, files in of_link(link, dict(options.filter))]
    mine = [(node, peer, files) for node, peer, files in plans if wanted in (None, node)]
    found = any(line.startswith("select rowferry.attach(") for _, _, files in plans for line in files["up"])
    if options.into and not found:
        print("rowferry: there is nothing to attach, so no file is written. Hint: rowferry plan says why", file=sys.stderr)
        return 1
    if options.into:
        write(mine, options.into)
    for node, peer, files in [] if options.into else mine:
        if len(mine) > 1:
            print(f"-- ===== {node.name}, for {peer.name}: a file of its own, WORDS.{node.name}.{options.file}.sql =====")
        print("\n".join(files[options.file]) + ("\n" if len(mine) > 1 else ""))
    if sys.stdout.isatty() and not options.into:
        print("\nTo write these files: rowferry plan --into sql/site/revisions/0001_words", file=sys.stderr)
    return int(not found)


def of_link(link: Link, filters: dict[str, str]) -> Iterator[tuple[Node, Node, Plan]]:
    """The plan of each of the two nodes. Both are asked at the same time."""
    first, second = link.nodes
    pairs = [(first, second), (second, first)]
    with ThreadPoolExecutor(2) as pool:
        facts = dict(pool.map(lambda pair: (pair[0].name, facts_of(*pair)), pairs))
        plans = list(pool.map(lambda pair: plan_of(pair[0], pair[1], facts, filters), pairs))
    for (node, peer), files in zip(pairs, plans, strict=True):
        yield node, peer, files


def facts_of(node: Node, peer: Node) -> Any:
    with acting(node, "rowferry_owner") as cursor:
        return rolled_back(cursor, FACTS, [peer.name])[0]["facts"]


def plan_of(node: Node, peer: Node, facts: dict[str, Any], filters: dict[str, str]) -> Plan:
    given = [json.dumps(value) for value in (facts[node.name], facts[peer.name], filters)]
    with acting(node, "rowferry_owner") as cursor:
        rows = rolled_back(cursor, PLAN, given)
    return {file: [row["line"] for row in rows if row["file"] == file] for file in FILES}


def rolled_back(cursor: Cursor, query: str, parameters: list[Any]) -> list[dict[str, Any]]:
    """The rows of a query whose transaction leaves nothing: a filter is proved on a temporary table."""
    with cursor.connection.transaction(force_rollback=True):
        return cursor.execute(query, parameters).fetchall()


def write(plans: list[tuple[Node, Node, Plan]], stem: Path) -> None:
    """STEM.NODE.FILE.sql of each node, of a node with several links all in one file. Raises ConfigError, and writes nothing,
    where one is there already."""
    texts: dict[Path, list[str]] = {}
    for node, _, files in plans:
        for file in FILES:
            texts.setdefault(stem.with_name(f"{stem.name}.{node.name}.{file}.sql"), []).append("\n".join(files[file]))
    there = [path for path in texts if path.exists()]
    if there:
        names = " ".join(shlex.quote(str(path)) for path in there)
        raise ConfigError(f"{there[0]} is there already. Hint: name another revision, or rm {names}")
    for path, parts in texts.items():
        try:
            # A verify file is one query.
            whole = (
                " union all\n".join(part.rstrip(";") for part in parts) + ";" if ".verify." in path.name else "\n\n".join(parts)
            )
            path.write_text(whole + "\n", encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}. Hint: --into FOLDER/0001_words") from None
        print(f"  Write {path}")
