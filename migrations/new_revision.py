"""Begins a revision of the site: `alembic -n site revision -m "words"` gives it the next number and writes its SQL files,
filled with what most revisions begin with.

env.py calls begin(), which decides names or refuses; Alembic then writes the revision, and after it calls write_sql_files(),
since alembic.ini names that hook.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

from alembic import context
from alembic.script import write_hooks

from rowferry.config import ConfigError, read_nodes
from rowferry.migrations import files, targets
from rowferry.migrations.settings import option
from rowferry.migrations.sqlfile import newest_revision

MOST_BYTES = 150  # of a name: the longest that a file system takes, 255, less what comes behind it
REV_ID = re.compile(r"(?!(?:base|heads?|current)$)[A-Za-z0-9_.]{1,32}")
BEGIN = "Hint: alembic -n site revision -m 'words'"
LINE = "revisions are a line here, each after the newest"

UP = """\
-- {title}: runs on every node. Where the nodes differ, make a file for each: {stem}.{node}.up.sql.
-- The name below is no table, so that nothing happens before you have written yours.
select rowferry.require_core({version});

-- p_entity   the name that both nodes use, if it is not the table's
-- p_columns  '{{"id": "customer_id", "name": "title"}}', entity column to column, or an array; without it all of them
-- p_key      array['code']: columns of a unique index that name a record on both nodes, if the primary key does not
-- p_filter   'country = ''CH''': only these rows; p_direction 'send' or 'receive': one way only
-- p_outbound a view whose columns travel in place of the table's; p_inbound a function that makes rows of the table of them
-- p_conflict_rule  newest, node:{node}, or merge:schema.function; the same on both nodes
-- rowferry plan prints such a file for all tables that both nodes have.
-- Rows that are there already are sent later, in psql, by the node that has them: select * from rowferry.backfill('table');
select rowferry.attach('schema.table');
"""
DOWN = """\
-- Refused while changes wait to be sent.
select rowferry.detach('table', p_if_attached => true);
"""
VERIFY = """\
-- What this revision is to have made, a row for each thing (is_there, name). It runs after it, in the same transaction, and
-- where one is not true nothing of the revision is left.
-- select exists (select from rowferry.entities e where e.name = 'accounts'), 'entity accounts'
select true, 'nothing is looked at yet';
"""


def begin() -> None:
    """Decide the id and the names of a new revision; ConfigError, and nothing is written, where it would be no line's next."""
    options = context.config.cmd_opts
    if "revision_context" not in targets.given():
        raise ConfigError(f"there is nothing to merge: {LINE}. Hint: where two have one number, rename one of them")
    if option("lineage") == "core":
        raise ConfigError(
            "rowferry's own revisions come with it. Hint: one of yours: alembic -n site revision -m 'sync accounts'"
        )
    for name in ("head", "splice", "branch_label", "depends_on", "version_path"):
        if getattr(options, name, None) not in (None, False, "head"):
            raise ConfigError(f"--{name.replace('_', '-')} has no place: {LINE}. {BEGIN}")
    if getattr(options, "autogenerate", False):
        raise ConfigError(f"--autogenerate finds nothing: there are no models. {BEGIN}, then fill in its SQL files")
    write_hooks.register("rowferry")(
        functools.partial(write_sql_files, files.sql_location(), read_nodes(context.config.config_file_name)[0].name)
    )
    # As for a script, Alembic then asks for no connection.
    context.configure(dialect_name="postgresql", as_sql=True, process_revision_directives=_name)
    context.run_migrations()


def _name(_: Any, __: Any, directives: list[Any]) -> None:
    """The next number of the lineage, in the id and before the words, unless the user gave an id."""
    directive, lineage = directives[0], option("lineage")
    given = getattr(context.config.cmd_opts, "rev_id", None)
    if given is None:
        place = f"{files.last_number(script.revision for script in context.script.walk_revisions()) + 1:04}"
        directive.rev_id = f"{lineage}_{place}"
        directive.message = f"{place} {directive.message or 'changes'}"
    elif not REV_ID.fullmatch(given):
        raise ConfigError(f"--rev-id {given} cannot be an id. Hint: letters, digits, _ and ., 32 of them at most")
    elif given in {script.revision for script in context.script.walk_revisions()}:
        raise ConfigError(f"--rev-id {given} is the id of a revision already. Hint: without it the next number is taken")
    stem = "_".join(re.findall(r"\w+", directive.message or directive.rev_id)).lower()
    stem = stem.strip("_") or "changes"
    while len(stem.encode()) > MOST_BYTES:
        stem = stem[: stem.rfind("_")] if "_" in stem[5:] else stem[:-1]
    for location in context.script._version_locations:
        if (Path(location) / f"{stem}.py").exists():
            raise ConfigError(f"{Path(location) / stem}.py is there already. Hint: another message")
    context.script.file_template = stem
    context.config.attributes["stem"] = stem  # for script.py.mako


def write_sql_files(folder: Path, node: str, file: str, _: Any) -> None:
    """Write the SQL files that a new revision names and that are missing, and print their names. `node`: one, for comments."""
    for stem, kind in sorted(files.Revision.read(Path(file)).sql, reverse=True):
        target = folder / "revisions" / f"{stem}.{kind}.sql"
        title = re.sub(r"^\d+_", "", stem).replace("_", " ")
        if kind == "down":
            _write(target, DOWN)
        else:
            _write(target, UP.format(title=title, stem=stem, node=node, version=newest_revision()))
            _write(target.with_name(f"{stem}.verify.sql"), VERIFY)


def _write(target: Path, text: str) -> None:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(f"  Write {target}, which is yours to fill in")
