"""`rowferry compare`: whether both nodes hold the same rows."""

import argparse
import sys

from rowferry.operate.report import RUNS, failures, report
from rowferry.operate.session import acting, find_node
from rowferry.operate.waiting import wait

ENTITIES = "select name from rowferry.entities order by id"
COMPARE = "select * from rowferry.compare(%s)"


def compare(options: argparse.Namespace) -> int:
    """rowferry.compare() of each entity on one node; with --wait its report, and 1 where the nodes do not hold the same."""
    node = find_node(options.config, options.node)
    with acting(node) as cursor:
        names = options.entities or [row["name"] for row in cursor.execute(ENTITIES).fetchall()]
        started = [cursor.execute(COMPARE, [name]).fetchall()[0] for name in names]
        runs = [row["run_id"] for row in started]
        if not options.wait:
            for row in started:
                print(f"{node.name}: run {row['run_id']}: {row['entity']} with {row['peer']}: {row['state']}")
            return 0
        lost = failures(wait(cursor, RUNS, runs))
        for line in lost:
            print(f"rowferry: {node.name}: {line}", file=sys.stderr)
        return int(not report(cursor, node.name, runs) or bool(lost))
