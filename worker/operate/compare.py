"""`rowferry compare`: whether both nodes hold the same rows."""

import argparse

from rowferry.config import Node
from rowferry.observe.screen import console, text
from rowferry.operate.report import any_failed, report
from rowferry.operate.session import acting, find_hubs, find_node

REPAIR = (
    "Whose rows of {entity} are to stay? In psql on {node}: select * from rowferry.repair({literal}, p_from => '{node}');"
    "  -- or '{peer}'; first it only says what it would do"
)
SEVERAL = "Type them for all of these tables: deletes of a parent wait until its children have gone."
COMPARE = "select * from rowferry.compare(%s)"
COMPARE_ALL = "select * from rowferry.compare_all()"


def compare(options: argparse.Namespace) -> int:
    """rowferry.compare() of each entity, or of all on each hub; with --wait its report, and 1 where rows differ."""
    asked = [find_node(options.config, options.node)] if options.node else find_hubs(options.config)
    return max(compare_on(node, options) for node in (asked[:1] if options.entities else asked))


def compare_on(node: Node, options: argparse.Namespace) -> int:
    """The same, on one node."""
    with acting(node) as cursor:
        started = [cursor.execute(COMPARE, [name]).fetchall()[0] for name in options.entities]
        if not options.entities:
            started = cursor.execute(COMPARE_ALL).fetchall()
        runs = [row["run_id"] for row in started]
        if not options.wait:
            for row in started:
                print(f"{node.name}: run {row['run_id']}: {row['entity']} with {row['peer']}: {row['state']}")
            return 0
        failed = any_failed(cursor, node.name, runs)
        different = report(cursor, node.name, runs)
        peers = {row["entity"]: row["peer"] for row in started}
        for entity in different:
            literal = "'" + entity.replace("'", "''") + "'"
            told = REPAIR.format(entity=entity, literal=literal, node=node.name, peer=peers[entity])
            console().print(text(told), soft_wrap=True)
        if len(different) > 1:
            console().print(text(SEVERAL), soft_wrap=True)
        return int(failed or bool(different))
