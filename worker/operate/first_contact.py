"""`rowferry first-contact`: two tables that were both filled before are brought together."""

import argparse
import re
import shlex

from rowferry.observe.screen import console, number, text
from rowferry.operate.report import any_failed, report
from rowferry.operate.session import acting, find_node

CALL = "select * from rowferry.first_contact(%s, p_only_here => %s, p_only_there => %s, p_different => %s)"

# A choice, as the report's state proposes it for this entity.
CHOICE = re.compile(r"p_(only_here|only_there|different) => '((?:[^']|'')*)'")


def first_contact(options: argparse.Namespace) -> int:
    """rowferry.first_contact() on one node: the report, or with a choice what is done with each kind of row."""
    node = find_node(options.config, options.node)
    chosen = [options.only_here, options.only_there, options.different]
    with acting(node) as cursor:
        rows = cursor.execute(CALL, [options.entity, *chosen]).fetchall()
        runs = [rows[0]["run_id"]]
        if any(chosen):
            for row in rows:
                records = f"{number(row['records']) or '0'} record{'' if row['records'] == 1 else 's'}"
                about = f"{records}, {row['choice'] or 'no choice'}"
                told = f"{node.name}: {row['kind']}: {about}: {row['state']}"
                console().print(text(told), soft_wrap=True)
        elif not options.wait:
            console().print(text(f"{node.name}: {rows[0]['state']}  -- on {node.name}"), soft_wrap=True)
        if not options.wait:
            return 0
        if any(chosen) and all(row["state"] != "queued" for row in rows):
            return 0
        failed = any_failed(cursor, node.name, runs)
        if any(chosen):
            if not failed:
                console().print(text(f"{node.name}: {options.entity}: done"), soft_wrap=True)
        elif report(cursor, node.name, runs):
            found = [(name.replace("_", "-"), value.replace("''", "'")) for name, value in CHOICE.findall(rows[0]["state"])]
            choices = " ".join(f"--{name} {shlex.quote(value)}" for name, value in found)
            print(f"Whose rows are to stay? {node.name} is here, the other node is there:")
            command = f"rowferry first-contact {shlex.quote(options.entity)} --node {node.name} {choices} --wait"
            console().print(text(command), soft_wrap=True)
        elif not failed:
            console().print(text("Both nodes hold the same rows, so there is nothing to choose."), soft_wrap=True)
        return int(failed)
