"""The commands of `rowferry`, their arguments, and what --help says of each: its purpose, examples, and exit codes.

Nothing of a command is imported before it runs: the worker needs few packages, and cron may start it every few seconds.
"""

from __future__ import annotations

import argparse
import math
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from rowferry.config import ConfigError

CODES = {
    0: "done, and all is well",
    1: "done, and something is not well",
    2: "wrong usage or configuration",
    3: "a node is out of reach",
    4: "the schema is missing or too old: alembic upgrade head",
    5: "another worker holds the lock",
}
NO_NODE = {code: CODES[code] for code in (0, 2)}  # of a command that asks no node
OF_RUN = {1: "done, but events are held, or a link is paused or stopped"}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message}. Hint: {self.prog} --help")


class Commands:
    """The commands of a parser."""

    def __init__(self, top: Parser) -> None:
        self.subparsers = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(
        self,
        name: str,
        module: str,
        purpose: str,
        function: str = "",
        examples: tuple[str, ...] = (),
        codes: dict[int, str] | None = None,
    ) -> argparse.ArgumentParser:
        """A command: `function` of `module`, its own name by default, is called with the options. `codes`: its exit codes."""
        parts = ["examples:", *(f"  rowferry {line}".rstrip() for line in examples)] if examples else []
        parts += ["", "exit codes:", *(f"  {code}  {meaning}" for code, meaning in sorted((codes or {0: CODES[0]}).items()))]
        added: argparse.ArgumentParser = self.subparsers.add_parser(
            name,
            help=purpose,
            description=f"{purpose[0].upper()}{purpose[1:]}.",
            epilog="\n".join(parts).strip(),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        called = function or name.replace("-", "_")
        added.set_defaults(command=lambda options: getattr(import_module(module), called)(options))
        return added


def of_nodes(not_well: str) -> dict[int, str]:
    """The exit codes of a command that asks nodes."""
    return {**{code: CODES[code] for code in (0, 2, 3, 4)}, 1: not_well}


def parser(version: str) -> Parser:
    """The parser of the command line."""
    top = Parser(
        prog="rowferry",
        description="Keeps records of two PostgreSQL databases equal, in both directions.",
        epilog="\n".join(["exit codes:", *(f"  {code}  {meaning}" for code, meaning in CODES.items())]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--config", metavar="FILE", help="the ini file that names the nodes (default: alembic.ini)")
    top.add_argument("--version", action="version", version=f"rowferry {version}")
    commands = Commands(top)
    working(commands)
    looking(commands)
    acting(commands)
    beginning(commands)
    return top


def working(commands: Commands) -> None:
    """The worker."""
    run = commands.add(
        "run",
        "rowferry.cli",
        "carry changes between the nodes until SIGTERM or Ctrl-C",
        examples=("run", "run --once", "run --json 2>> /var/log/rowferry.log"),
        codes=CODES | OF_RUN,
    )
    run.add_argument("--interval", type=seconds, default=0.07, metavar="SECONDS", help="between idle polls (default: 0.07)")
    way = run.add_mutually_exclusive_group()
    way.add_argument("--metrics", metavar="ADDRESS", help="serve /metrics and /healthz over HTTP there, such as 127.0.0.1:9187")
    way.add_argument("--once", action="store_true", help="end when all that was pending at the start has arrived or is held")
    run.add_argument("--json", action="store_true", help="log one JSON object a line")


def looking(commands: Commands) -> None:
    """What shows something and changes nothing."""
    status = commands.add(
        "status",
        "rowferry.observe.status",
        "show where each link stands; exit code 1 if not well",
        examples=("status", "status --watch", "status --watch 10", "status --json"),
        codes=of_nodes("a link is held, stuck, paused or stopped"),
    )
    form = status.add_mutually_exclusive_group()
    form.add_argument(
        "--watch", type=seconds, nargs="?", const=2.0, metavar="SECONDS", help="again and again, until Ctrl-C (default: every 2)"
    )
    check = commands.add(
        "check",
        "rowferry.observe.check",
        "show what would go wrong, on all nodes, with what to type; exit code 1 if there is an error",
        examples=("check", "check --json"),
        codes=of_nodes("there is an error; warnings alone are 0"),
    )
    drift = commands.add(
        "drift",
        "rowferry.observe.drift",
        "show what was changed by hand, in files that ran too; exit code 1 if anything was",
        examples=("drift", "drift --json"),
        codes=of_nodes("something was changed by hand"),
    )
    for group in (form, check, drift):
        group.add_argument("--json", action="store_true", help="for programs")
    plan = commands.add(
        "plan",
        "rowferry.observe.plan",
        "print the revision of your own that attaches what both nodes have; nothing is changed",
        examples=(
            "plan",
            "plan --node crm --file down",
            "plan --filter accounts=\"country = 'CH'\"",
            "plan --into sql/site/revisions/0001_sync_tables",
        ),
        codes=of_nodes("there is nothing to attach"),
    )
    node(plan, "print the files of this node alone")
    plan.add_argument("--file", choices=("up", "down", "verify"), default="up", help="which file to print (default: up)")
    plan.add_argument(
        "--filter",
        action="append",
        type=condition,
        default=[],
        metavar="TABLE=CONDITION",
        help="keep only these rows of a table in sync; rows of tables that refer to it follow",
    )
    plan.add_argument(
        "--into", type=Path, metavar="STEM", help="write STEM.NODE.up.sql, .down.sql and .verify.sql, and print their names"
    )


def acting(commands: Commands) -> None:
    """What people do with rows that are there already."""
    compare = commands.add(
        "compare",
        "rowferry.operate.compare",
        "compare the rows of both nodes while users write them; a running worker carries it",
        examples=("compare --wait", "compare accounts users --wait", "compare accounts --node billing"),
        codes=of_nodes("with --wait: rows differ, or a comparison failed"),
    )
    compare.add_argument("entities", nargs="*", metavar="ENTITY", help="an entity or its table (default: all)")
    node(compare, "the node that asks (default: the hub, or the first of two nodes)")
    contact = commands.add(
        "first-contact",
        "rowferry.operate.first_contact",
        "bring tables together that were both filled before: first a report, then your choice",
        examples=(
            "first-contact accounts --node crm --wait",
            "first-contact accounts --node crm --only-here here --only-there there --different 'newest by updated_at' --wait",
        ),
        codes=of_nodes("with --wait: the comparison failed"),
    )
    contact.add_argument("entity", metavar="ENTITY", help="an entity or its table")
    node(contact, "which node is here; the other one is there", required=True)
    contact.add_argument("--only-here", choices=("here", "there"), help="rows that only this node has: here keeps them")
    contact.add_argument("--only-there", choices=("here", "there"), help="rows that only the other node has: there keeps them")
    contact.add_argument("--different", metavar="here|there|'newest by COLUMN'", help="rows that differ: whose is to stay")
    backfill = commands.add(
        "backfill",
        "rowferry.operate.backfill",
        "send the rows that a node has already; a running worker carries them",
        examples=("backfill accounts --node crm --wait", "backfill accounts users --node crm --rows-per-second 500"),
        codes=of_nodes("with --wait: rows are held"),
    )
    backfill.add_argument("entities", nargs="+", metavar="ENTITY", help="an entity or its table")
    node(backfill, "the node whose rows are sent", required=True)
    backfill.add_argument("--rows-per-second", type=int, metavar="N", help="no more than these (default: no limit)")
    for waits in (compare, contact, backfill):
        waits.add_argument(
            "--wait", action="store_true", help="until it is done, with a bar on a terminal; Ctrl-C ends only the wait"
        )


def beginning(commands: Commands) -> None:
    """First steps."""
    init = commands.add(
        "init",
        "rowferry.migrations.project",
        "lay out a project: alembic.ini, and folders for your own revisions",
        examples=("init sync", "init sync --nodes crm,billing"),
        codes=NO_NODE,
    )
    init.add_argument("folder", type=Path, metavar="FOLDER", help="new, or empty")
    init.add_argument("--nodes", default="", metavar="NAME,NAME", help="what your two nodes are called (default: crm,billing)")
    demo = commands.add(
        "demo",
        "rowferry.demo.pair",
        "two throw-away databases and the worker between them, which you can try",
        "main",
        examples=("demo", "demo --star"),
    )
    demo.add_argument(
        "--star",
        action="store_const",
        dest="command",
        const=lambda options: import_module("rowferry.demo.star").main(options),
        help="four databases: a hub and three others",
    )
    completion = commands.add(
        "completion",
        "rowferry.completion",
        "print what a shell reads to complete rowferry's commands and options",
        examples=(
            "completion bash > ~/.local/share/bash-completion/completions/rowferry",
            "completion zsh > ~/.zfunc/_rowferry  # with fpath+=~/.zfunc before compinit",
        ),
        codes=NO_NODE,
    )
    completion.add_argument("shell", choices=("bash", "zsh", "tcsh"))


def node(command: argparse.ArgumentParser, purpose: str, required: bool = False) -> None:
    command.add_argument("--node", metavar="NAME", required=required, help=purpose)


def seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("must be more than 0")
    return value


def condition(text: str) -> tuple[str, str]:
    table, _, rest = text.partition("=")
    if not (table.strip() and rest.strip()):
        raise argparse.ArgumentTypeError(f"{text}: a filter is TABLE=CONDITION, such as accounts=\"country = 'CH'\"")
    return table.strip(), rest.strip()
