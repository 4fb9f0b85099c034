"""Whether the files of the site's revisions fit together, before anything runs: none missing, none that no revision names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from alembic import context
from alembic.script import Script, ScriptDirectory

from rowferry.config import ConfigError, Node
from rowferry.migrations import sqlfile
from rowferry.migrations.settings import option

REVISION = re.compile(r"^revision(?:\s*:[^=]+)?\s*=\s*[\"']([^\"']+)[\"']", re.MULTILINE)
FOLLOWS = re.compile(r"^down_revision(?:\s*:[^=]+)?\s*=\s*[\"']([^\"']+)[\"']", re.MULTILINE)
NAMED = re.compile(r"revisions/([^\"'/]+?)\.(up|down)\.sql")


def check_revisions(script: ScriptDirectory) -> None:
    """Refuse (ConfigError) two revisions of one id or after one revision: a lineage is a line."""
    sources = _sources(script)
    ids, before = dict[str, Path](), dict[str, Path]()
    for path, text in sources.items():
        revision, follows = (found[1] if (found := pattern.search(text)) else "" for pattern in (REVISION, FOLLOWS))
        if not revision:
            continue
        if revision in ids:
            raise ConfigError(f"{revision} is two revisions: {ids[revision].name} and {path.name}. {_rename(sources, path)}")
        if follows in before:
            raise ConfigError(f"{before[follows].name} and {path.name} both follow {follows or 'base'}. {_rename(sources, path)}")
        ids[revision], before[follows] = path, path


def check_sql(script: ScriptDirectory, nodes: Sequence[Node]) -> None:
    """Refuse (ConfigError) SQL files of the site that belong to no revision, or to no node: they would never run, in silence."""
    if option("lineage") == "core":
        return
    sources = _sources(script)
    stems = {path.stem for path in sources} | {stem for text in sources.values() for stem, _ in NAMED.findall(text)}
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
    for stem, named in NAMED.findall(Path(script.path).read_text(encoding="utf-8")):
        common = sql_location() / "revisions" / f"{stem}.{named}.sql"
        own = common.with_name(f"{stem}.{node.name}.{named}.sql")
        if named == kind and not common.is_file() and not own.is_file():
            yield f"{own} or {common}"


def _sources(script: ScriptDirectory) -> dict[Path, str]:
    folders = [Path(location) for location in script._version_locations]
    return {
        path: path.read_text(encoding="utf-8")
        for folder in folders
        for path in sorted(folder.glob("*.py"))
        if path.name != "__init__.py"
    }


def _rename(sources: dict[Path, str], path: Path) -> str:
    lineage = option("lineage")
    numbers = [int(number) for text in sources.values() for number in re.findall(rf"(?m)^revision\b.*{lineage}_(\d+)", text)]
    last = max(numbers, default=0)
    free = re.sub(r"^\d+", f"{last + 1:04}", path.stem)
    return (
        f"Hint: rename the one that ran nowhere and its SQL files, say to {free}, "
        f"with revision = '{lineage}_{last + 1:04}' and down_revision = '{lineage}_{last:04}' in it"
    )
