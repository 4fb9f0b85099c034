"""What a command means on each node: found out once, on all of them, before the first is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from alembic import context
from alembic.util import CommandError

from rowferry.config import ConfigError, Link, Node, NodeUnreachable
from rowferry.migrations import files, schema, settings
from rowferry.migrations.report import finish
from rowferry.migrations.settings import option

LOOKING = (ConfigError, NodeUnreachable, psycopg.Error, CommandError)


@dataclass(frozen=True)
class Command:
    """upgrade, downgrade or stamp: its target as it was typed, and Alembic's own reading of it."""

    name: str
    given: str
    fn: Callable[[Any, Any], Iterable[Any]]

    @classmethod
    def read(cls) -> Command | None:
        """The command that runs; None if it has no target, and so changes nothing."""
        options = given()
        if "destination_rev" not in options:
            return None
        return cls(options["fn"].__name__.removeprefix("do_"), str(options["destination_rev"]), options["fn"])

    def core_first(self) -> str | None:
        """The line that installs rowferry itself, where that has to be there first."""
        return f"{settings.alembic()} upgrade head" if option("lineage") != "core" and self.name == "upgrade" else None

    def steps(self, heads: Sequence[str], revision: str | None = None) -> list[Any]:
        """Alembic's steps from the revisions that are installed, to a revision or to what was typed. With a revision none is
        done twice, whatever others have done meanwhile."""
        script, installed = context.script, tuple(heads)
        if revision is None:
            return list(self.fn(installed, None))
        if self.name == "stamp":
            return list(script._stamp_revs(revision, installed))
        if self.name == "downgrade":
            return list(script._downgrade_revs(revision, installed))  # type: ignore[arg-type]
        passed = {found.revision for head in installed for found in script.iterate_revisions(head, "base")}
        return [] if revision in passed | {"base"} else list(script._upgrade_revs(revision, installed))  # type: ignore[arg-type]

    def end(self, heads: Sequence[str], steps: Sequence[Any]) -> str:
        """The revision at which it ends, or base."""
        ends = steps[-1].to_revisions if steps else heads
        return str(ends[0]) if ends else "base"


@dataclass(frozen=True)
class Target:
    """A node, and where the command ends on it: the id of a revision, or base."""

    command: Command
    node: Node
    revision: str

    def steps(self, heads: Sequence[str]) -> list[Any]:
        """Alembic's steps to it from the revisions that are installed."""
        return self.command.steps(heads, self.revision)

    def typed(self, on_this_node: bool = True) -> str:
        """The command as one types it, for this node or for all."""
        parts = [settings.alembic()]
        parts += [] if option("lineage") == "core" else [f"-n {context.config.config_ini_section}"]
        parts += [f"-x node={self.node.name}"] if on_this_node else []
        parts += ["-x force=true"] if settings.forced() else []
        return " ".join([*parts, self.command.name, self.revision])


def resolve(command: Command, selected: Sequence[Node]) -> list[Target]:
    """The target of each node. Ends the command where a node is out of reach, is another one, or has no way to the target."""
    found = []
    for node in selected:
        try:
            found.append(Target(command, node, _end(command, node)))
        except LOOKING as error:
            finish(error, node)
    if len({target.revision for target in found}) > 1 and command.given[:1] in "+-":
        ends = " and ".join(f"at {target.revision} on {target.node.name}" for target in found)
        raise ConfigError(f"{command.given} ends {ends}. Hint: name the revision: {found[0].typed(on_this_node=False)}")
    return found


def _end(command: Command, node: Node) -> str:
    heads = _installed(command, node)
    steps = command.steps(heads)
    for step in steps:
        script = getattr(step, "revision", None)
        if script is not None and option("lineage") != "core":
            lacking = list(files.missing(script, node, "up" if step.is_upgrade else "down"))
            if lacking:
                raise ConfigError(f"no SQL file {', '.join(lacking)}. Hint: write it, or take its line out of {script.path}")
    end = command.end(heads, steps)
    if command.name == "stamp" and option("lineage") == "core":
        _check_stamp(node, end)
    return end


def _check_stamp(node: Node, end: str) -> None:
    """A note of another version than the schema's would run revisions twice, or none, or leave the schema to nobody."""
    with node.connect(autocommit=True, application_name="rowferry migrations") as connection:
        connection.execute(settings.OURS)
        found = connection.execute(
            "select to_regprocedure('rowferry.version()') is not null, to_regclass('rowferry.node') is not null"
        )
        has_version, has_node = found.fetchone() or (False, False)
        if has_version:
            version = connection.execute("select rowferry.version()").fetchone()
            right = f"core_{version[0]:04}" if version else end
        else:
            right = end if has_node else "base"
    if end != right:
        raise ConfigError(
            f"what is installed is {right}: a note of {end} would be wrong. Hint: upgrade and downgrade change what is installed"
        )


def _installed(command: Command, node: Node) -> tuple[str, ...]:
    """The revisions that are installed, once the node is known to be the one that alembic.ini names."""
    table = f"rowferry.{option('version_table')}"
    with node.connect(autocommit=True, application_name="rowferry migrations") as connection:
        connection.execute(settings.OURS)
        schema.check(connection, schema.identity(node.name, command.core_first()))
        found = connection.execute("select to_regclass(%s) is not null", [table]).fetchone()
        if not found or not found[0]:
            return ()
        if given().get("purge"):
            return ()
        heads = tuple(row[0] for row in connection.execute(f"select version_num from {table}"))
    known = {script.revision for script in context.script.walk_revisions()}
    for unknown in sorted(set(heads) - known):
        purge = Target(command, node, "REVISION").typed().replace(f" {command.name} ", " stamp --purge ")
        raise ConfigError(
            f"{unknown} is installed, and no file here has it. Hint: get its file; or, to note another one: {purge}"
        )
    return heads


def given() -> dict[str, Any]:
    """What Alembic's command says of itself: its target, where it starts, and how it finds the steps."""
    return dict(context._proxy.context_opts)  # type: ignore[attr-defined]


def peers(node: Node, links: Sequence[Link]) -> tuple[list[str], list[str | None]]:
    """The names of the nodes that it is linked with, and the spoke of each of these links."""
    mine = [link for link in links if node in link.nodes]
    return [other.name for link in mine for other in link.nodes if other != node], [link.spoke for link in mine]


def pick(nodes: Sequence[Node], names: Iterable[str]) -> list[Node]:
    """Those of the nodes that are named, in their own order; ConfigError for a name that none has."""
    wanted = set(names)
    unknown = sorted(wanted - {node.name for node in nodes})
    if unknown:
        raise ConfigError(f"no node is named {unknown[0]!r}. Hint: the nodes are {', '.join(node.name for node in nodes)}")
    return [node for node in nodes if node.name in wanted]
