"""`rowferry first-contact`: two tables that were both filled before are brought together."""

import argparse

from rowferry.observe.screen import console, number, text
from rowferry.operate.report import any_failed, report
from rowferry.operate.session import acting, find_node

CALL = "select * from rowferry.first_contact(%s, p_only_here => %s, p_only_there => %s, p_different => %s)"


def first_contact(options: argparse.Namespace) -> int:
    """rowferry.first_contact() on one node: the report, or with a choice what is done with each kind of row."""
    node = find_node(options.config, options.node)
    chosen = [options.only_here, options.only_there, options.different]
    with acting(node) as cursor:
        rows = cursor.execute(CALL, [options.entity, *chosen]).fetchall()
        runs = [rows[0]["run_id"]]
        if any(chosen):
            for row in rows:
                about = f"{number(row['records']) or '0'} records, {row['choice'] or 'no choice'}"
                told = f"{node.name}: {row['kind']}: {about}: {row['state']}"
                console().print(text(told), soft_wrap=True)
        elif not options.wait:
            console().print(text(f"{node.name}: {rows[0]['state']}"), soft_wrap=True)
        if not options.wait:
            return 0
        if any(chosen) and all(row["state"] != "queued" for row in rows):
            return 0
        failed = any_failed(cursor, node.name, runs)
        if not any(chosen):
            report(cursor, node.name, runs)
            console().print(text(rows[0]["state"].partition("then choose: ")[2]), soft_wrap=True)
        return int(failed)
