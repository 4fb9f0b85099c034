"""`rowferry plan`: the revision of the site that attaches what both nodes have. Nothing is changed in either database."""

import argparse
import json
import re
import shlex
import sys
import textwrap
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

SEQUENCE = re.compile(r"^select \* from rowferry\.stagger_sequence\(|^-- select setval\(")
# Statements in a comment, which are not broken.
VERB = r"(?:select|alter|create|grant|revoke|drop|analyze) "
STATEMENTS = re.compile(rf"(?:\b{VERB}(?:[^;']|'[^']*')*;(?: (?={VERB}))?)+")
WIDTH = 100

Plan = dict[str, list[str]]  # a file's name, up, down or verify, and its lines


def plan(options: argparse.Namespace) -> int:
    """rowferry.plan() on each node of each link, by what rowferry.plan_facts() says on both; 1 if nothing can be attached."""
    wanted = find_node(options.config, options.node) if options.node else None
    links = [link for link in read_links(options.config) if wanted in (None, *link.nodes)]
    facts = {link: facts_of_link(link) for link in links}
    filters = dict(options.filter)
    # A link that lacks a table is planned without its filter. What no link has is refused by plan(), as what it does not know.
    known = {name for name in filters if any(has(facts[link], name) for link in links)}
    plans = [
        (node, peer, files)
        for link in links
        for node, peer, files in of_link(
            link, facts[link], {name: filters[name] for name in filters if name not in known or has(facts[link], name)}
        )
    ]
    mine = of_nodes([(node, peer, files) for node, peer, files in plans if wanted in (None, node)])
    found = any(line.startswith("select rowferry.attach(") for _, _, files in plans for line in files["up"])
    if options.into and not found:
        print("rowferry: there is nothing to attach, so no file is written. Hint: rowferry plan says why", file=sys.stderr)
        return 1
    if options.into:
        write(mine, options.into)
    for place, (node, peers, files) in enumerate([] if options.into else mine):
        if len(mine) > 1:
            name = f"WORDS.{node.name}.{options.file}.sql"
            print("\n" * (place > 0) + f"-- ===== {node.name}, for {peers}: a file of its own, {name} =====")
        print("\n".join(files[options.file]))
    if sys.stdout.isatty() and not options.into:
        print("\nTo write these files: rowferry plan --into sql/site/revisions/0001_words", file=sys.stderr)
    return int(not found)


def has(facts: dict[str, Any], name: str) -> bool:
    """Whether both nodes of a link have a table of this name, by itself, with its schema, or as an entity."""
    return all(
        any(
            name in (table, about.get("short"), about.get("entity")) and "aside" not in about
            for table, about in told["tables"].items()
        )
        for told in facts.values()
    )


def facts_of_link(link: Link) -> dict[str, Any]:
    """What rowferry.plan_facts() says on each of the two nodes, by its name. Both are asked at the same time."""
    first, second = link.nodes
    with ThreadPoolExecutor(2) as pool:
        return dict(pool.map(lambda pair: (pair[0].name, facts_of(*pair)), [(first, second), (second, first)]))


def of_link(link: Link, facts: dict[str, Any], filters: dict[str, str]) -> Iterator[tuple[Node, Node, Plan]]:
    """The plan of each of the two nodes, made at the same time."""
    first, second = link.nodes
    pairs = [(first, second), (second, first)]
    with ThreadPoolExecutor(2) as pool:
        plans = list(pool.map(lambda pair: plan_of(pair[0], pair[1], facts, filters), pairs))
    for (node, peer), files in zip(pairs, plans, strict=True):
        yield node, peer, files


def of_nodes(plans: list[tuple[Node, Node, Plan]]) -> list[tuple[Node, str, Plan]]:
    """One plan for each node, with the names of its peers; where a node has several links, each sequence is staggered once."""
    nodes = list(dict.fromkeys(node for node, _, _ in plans))
    return [
        (
            node,
            ", ".join(peer.name for own, peer, _ in plans if own == node),
            {
                file: [
                    part
                    for line in joined(file, [files[file] for own, _, files in plans if own == node])
                    for part in wrapped(line)
                ]
                for file in FILES
            },
        )
        for node in nodes
    ]


def wrapped(line: str) -> list[str]:
    """A comment in lines of 100 characters or so, of which each statement stays whole; any other line as it is."""
    if not line.startswith("-- "):
        return [line]
    whole = STATEMENTS.sub(lambda found: found[0].replace(" ", "\0"), line)
    parts = textwrap.wrap(whole, WIDTH, subsequent_indent="--   ", break_long_words=False, break_on_hyphens=False)
    return [part.replace("\0", " ") for part in parts]


def joined(file: str, parts: list[list[str]]) -> list[str]:
    """The lines of one file of a node, of which each link has a part."""
    if file == "verify":  # one query
        return (" union all\n".join("\n".join(part).rstrip(";") for part in parts) + ";").split("\n")
    lines, said = list(parts[0]), {line for line in parts[0] if SEQUENCE.search(line)}
    rest = "\n\n".join("\n".join(part) for part in parts[1:])
    for paragraph in rest.split("\n\n") if rest else ():
        old = paragraph.split("\n")
        new = [line for line in old if line not in said]
        said |= {line for line in new if SEQUENCE.search(line)}
        if new != old and not any(SEQUENCE.search(line) for line in new):
            new = [line for line in new if not line.startswith("-- ")]  # these are about sequences
        lines += ["", *new] if new else []
    return lines


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


def write(plans: list[tuple[Node, str, Plan]], stem: Path) -> None:
    """STEM.NODE.FILE.sql of each node. Raises ConfigError, and writes nothing, where one is there already."""
    texts = {
        stem.with_name(f"{stem.name}.{node.name}.{file}.sql"): "\n".join(files[file]) + "\n"
        for node, _, files in plans
        for file in FILES
    }
    there = [path for path in texts if path.exists()]
    if there:
        names = " ".join(shlex.quote(str(path)) for path in there)
        raise ConfigError(f"{there[0]} is there already. Hint: name another revision, or rm {names}")
    for path, text in texts.items():
        try:
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"{path} cannot be written: {error.strerror}. Hint: --into FOLDER/0001_words") from None
        print(f"  Write {path}")
    if any(stem.with_name(f"{stem.name}.{file}.sql").exists() for file in FILES):
        print(f"These take the place of {stem.name}.up.sql, .down.sql and .verify.sql.")
    print("Read them, then: alembic -n site upgrade head")
