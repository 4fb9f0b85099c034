"""Whether the files of the revisions fit together, before anything runs: a line, none missing, none that no revision names."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import context
from alembic.script import Script, ScriptDirectory

from rowferry.config import ConfigError, Node
from rowferry.migrations import sqlfile
from rowferry.migrations.settings import option

NAME = re.compile(r"revisions/([^/]+?)\.(up|down)\.sql")


@dataclass(frozen=True)
class Revision:
    """What a revision's file says: its id, those that it follows, the SQL files that it names, and whether it names others as it
    runs (`built`)."""

    path: Path
    id: str
    follows: tuple[str, ...]
    depends: bool
    sql: frozenset[tuple[str, str]]
    built: bool

    @classmethod
    def read(cls, path: Path) -> Revision:
        """Of a file; ConfigError where it is no Python."""
        try:
            with tokenize.open(path) as file:
                tree = ast.parse(file.read())
        except (SyntaxError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read: {' '.join(str(error).split())}. Hint: mend it, or take it away") from None
        set_to: dict[str, Any] = {}
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
            for target in targets:
                if isinstance(target, ast.Name) and isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                    set_to[target.id] = _literal(node.value)
        before = set_to.get("down_revision")
        texts = [text for node in ast.walk(tree) if isinstance(text := _literal(node), str)]
        named = frozenset((found[1], found[2]) for text in texts if (found := NAME.fullmatch(text)))
        calls = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("sqlfile.run", "sqlfile.run_all")
        ]
        return cls(
            path,
            str(set_to.get("revision") or ""),
            (before,) if isinstance(before, str) else tuple(before or ()),
            bool(set_to.get("depends_on")),
            named,
            any(_literal(argument) is None for call in calls for argument in call.args),
        )


def _literal(node: ast.AST) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None


def revisions(script: ScriptDirectory) -> list[Revision]:
    """Those of the lineage, by the names of their files; what Alembic leaves out is left out."""
    return [
        Revision.read(path)
        for folder in script._version_locations
        for path in sorted(Path(folder).glob("*.py"))
        if path.name != "__init__.py" and not path.name.startswith(".")
    ]


def check_revisions(script: ScriptDirectory) -> None:
    """Refuse (ConfigError) what is no line: two revisions of one id or after one revision, and one that follows nothing here."""
    found = revisions(script)
    ids, before = dict[str, Path](), dict[str, Path]()
    for revision in found:
        if not revision.id:
            continue
        first = ids.get(revision.id)
        if first:
            raise ConfigError(
                f"{revision.id} is two revisions: {first.name} and {revision.path.name}. {_rename(found, revision.path)}"
            )
        for follows in revision.follows or ("",):
            first = before.get(follows)
            if first:
                raise ConfigError(
                    f"{first.name} and {revision.path.name} both follow {follows or 'base'}. {_rename(found, revision.path)}"
                )
            before[follows] = revision.path
        ids[revision.id] = revision.path
    for revision in found:
        for follows in revision.follows:
            if follows not in ids:
                raise ConfigError(
                    f"{revision.path.name} follows {follows}, which no file has. Hint: get its file, or mend down_revision"
                )
        if revision.depends:
            raise ConfigError(
                f"{revision.path.name} has depends_on, which has no place in a line. Hint: take it out; down_revision says it"
            )


def check_sql(script: ScriptDirectory, nodes: Sequence[Node]) -> None:
    """Refuse (ConfigError) SQL files of the site that belong to no revision, or to no node: they would never run, in silence."""
    found = revisions(script)
    if option("lineage") == "core" or any(revision.built for revision in found):
        return
    stems = {revision.path.stem for revision in found} | {stem for revision in found for stem, _ in revision.sql}
    names = {node.name for node in nodes} | {""}
    for path in sorted((sql_location() / "revisions").glob("*.sql")):
        stem, _, rest = path.name.partition(".")
        if not stem:
            continue  # hidden: an editor's, or the system's
        node, _, kind = rest.removesuffix(".sql").rpartition(".")
        if stem not in stems:
            raise ConfigError(f"{path}: no revision names it. Hint: rename it as its revision does, or delete it")
        if kind not in ("up", "down", "verify") or node not in names:
            raise ConfigError(
                f"{path}: .{rest} means nothing. Hint: .up.sql, .down.sql or .verify.sql, or of one node: .{nodes[0].name}.up.sql"
            )


def sql_location() -> Path:
    """Where the lineage's SQL files are. Those of core come with the package, unless the ini file says otherwise."""
    config = context.config
    if option("lineage") == "core" and config.get_section_option(config.config_ini_section, "sql_location") is None:
        return sqlfile.shipped_sql() / "core"
    return beside_the_ini(option("sql_location"))


def beside_the_ini(location: str) -> Path:
    """A folder as alembic.ini names it: a relative one is beside alembic.ini, wherever the command was typed."""
    return Path(context.config.config_file_name or "").absolute().parent / location


def missing(script: Script, node: Node, kind: str) -> Iterable[str]:
    """The SQL files of one kind, up or down, that a revision names and that this node does not find, with either path."""
    for stem, named in sorted(Revision.read(Path(script.path)).sql):
        paths = sqlfile.places(str(sql_location()), f"revisions/{stem}.{named}.sql", node.name)
        if named == kind and not any(map(Path.is_file, paths)):
            yield " or ".join(map(str, paths))


def last_number(revisions: Iterable[str]) -> int:
    """The highest number among revisions of this lineage, by their ids; 0 if there is none."""
    numbers = (re.fullmatch(rf"{option('lineage')}_(\d+)\w*", revision) for revision in revisions)
    return max((int(number[1]) for number in numbers if number), default=0)


def _rename(found: Sequence[Revision], path: Path) -> str:
    lineage, last = option("lineage"), last_number(revision.id for revision in found)
    free = re.sub(r"^\d+", f"{last + 1:04}", path.stem)
    return (
        f"Hint: rename the one that ran nowhere and its SQL files, say to {free}, "
        f"with revision = '{lineage}_{last + 1:04}' and down_revision = '{lineage}_{last:04}' in it"
    )
