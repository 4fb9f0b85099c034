"""Runs `alembic` on every node of alembic.ini, in its order, or on the one that -x node= names.

First it is found out what the command means on each node (targets.py), and whether the files fit together (files.py); then each
node is migrated under a lock (lock.py, online.py), revision by revision (step.py, sqlfile.py), or its script is printed
(printed.py). What is said, and the exit codes, stand in report.py; new revisions begin in new_revision.py.
"""

from __future__ import annotations

import sys
from types import TracebackType


def ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Ctrl-C while what follows is read."""
    if kind is KeyboardInterrupt:
        print("interrupted; nothing was begun", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


before = sys.excepthook
sys.excepthook = ended

from collections.abc import Sequence

from alembic import command, context

from rowferry.config import ConfigError, Link, Node, read_links, read_nodes
from rowferry.migrations import files, new_revision, online, report, targets
from rowferry.migrations.printed import Printer

config = context.config


def main() -> None:
    verb = getattr(config.cmd_opts, "cmd", (None,))[0]
    asked = targets.given()
    nodes, links = read_nodes(config.config_file_name), read_links(config.config_file_name)
    context.script.version_locations = [
        location if ":" in location else str(files.beside_the_ini(location)) for location in context.script.version_locations
    ]
    files.check_revisions(context.script)
    if "revision_context" in asked or getattr(asked.get("fn"), "__name__", "") == "nothing":  # revision, merge
        new_revision.begin()
        return
    if verb is command.history and not asks_for_a_node():
        context.configure(dialect_name="postgresql", as_sql=True)
        context.run_migrations()
        return
    selected = choose(nodes)
    found = targets.Command.read()
    if found:
        files.check_sql(context.script, nodes)
    if context.is_offline_mode() and found:
        if len(selected) > 1:
            raise ConfigError(f"--sql prints the script of one node. Hint: -x node={nodes[0].name}, then the others")
        Printer(found, selected[0], links).run()
    elif found:
        migrate(targets.resolve(found, selected), links)
    else:
        for node in selected:
            try:
                with report.about(node):
                    online.look(node)
            except report.ERRORS as error:
                report.finish(error, node)


def choose(nodes: Sequence[Node]) -> Sequence[Node]:
    """The nodes that -x node= names, or all."""
    given = [argument.partition("=") for argument in context.get_x_argument()]
    for key, _, value in given:
        if key != "node" and (key, value) != ("force", "true"):  # a misspelled one would migrate every node
            raise ConfigError(f"-x {key} means nothing. Hint: -x node={nodes[0].name}")
    chosen = [value for key, _, value in given if key == "node"]
    return targets.pick(nodes, chosen) if chosen else nodes


def asks_for_a_node() -> bool:
    """Whether `history` is to show what is installed."""
    options = config.cmd_opts
    return bool(getattr(options, "indicate_current", False) or "current" in (getattr(options, "rev_range", None) or ""))


def migrate(found: Sequence[targets.Target], links: Sequence[Link]) -> None:
    """Take each node to its target; where one fails, say which are done and how to go on."""
    for place, target in enumerate(found):
        try:
            with report.about(target.node):
                online.migrate(target, links)
        except report.ERRORS as error:
            done = [f"{before.node.name} is done." for before in found[:place]]
            left = [f"Not done: {after.node.name}. To go on: {after.typed()}" for after in found[place:]]
            report.finish(error, target.node, [*done, *left] if len(found) > 1 else ())


sys.excepthook = before
try:
    main()
except report.ERRORS as error:
    report.finish(error)
