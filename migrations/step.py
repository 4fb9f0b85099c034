"""One revision: it knows nothing of the one before, is looked at when it has run, and stands in the log."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from alembic import context

from rowferry.config import Node
from rowferry.migrations import files, schema, settings, sqlfile
from rowferry.migrations.settings import option

LOG = """do $rowferry$
begin
  if to_regclass('rowferry.migration_log') is not null then
    insert into rowferry.migration_log (lineage, revision, title, direction, toolkit, files)
    values ('{}', '{}', '{}', '{}', '{}', '{}');
  end if;
end
$rowferry$;
"""
Steps = Callable[[tuple[str, ...]], Iterable[Any]]


def configure(node: Node, steps: Steps | None = None, **options: Any) -> None:
    """Tell Alembic, and through it sqlfile, which node and lineage this is; `steps` in place of those of the command."""
    if steps:
        options["fn"] = functools.partial(_each, steps)
    context.configure(
        version_table=option("version_table"),
        version_table_schema="rowferry",
        transaction_per_migration=True,
        lineage=option("lineage"),
        sql_location=str(files.sql_location()),
        node=node.name,
        **options,
    )
    migration = context.get_context()
    block = migration.autocommit_block

    @contextlib.contextmanager
    def autocommit_block() -> Iterator[None]:
        migration.opts["committed"] = True
        with block():
            migration.opts["autocommit"] = True
            try:
                yield
            finally:
                migration.opts["autocommit"] = False

    migration.autocommit_block = autocommit_block  # type: ignore[method-assign]


def committed() -> bool:
    """Whether the revision that ran last has committed a part of itself, in an autocommit_block."""
    return bool(context.get_context().opts.get("committed"))


def _each(steps: Steps, heads: tuple[str, ...], migration: Any) -> Iterator[Any]:
    for step in steps(heads):
        step.migration_fn = _apart(step, migration)
        yield step


def _apart(step: Any, migration: Any) -> Callable[..., None]:
    """A revision in settings of its own, and what looks at it and what Alembic writes after it in theirs."""
    migration_fn = step.migration_fn

    @functools.wraps(migration_fn)
    def run(**kw: Any) -> None:
        migration.opts.update(committed=False, ran={})
        sqlfile.execute(settings.of_a_revision())
        migration_fn(**kw)
        sqlfile.execute(settings.of_a_revision())
        if step.is_upgrade and hasattr(step, "revision"):  # no stamp
            stems = [Path(step.revision.path).stem, *(Path(name).name.partition(".")[0] for name in migration.opts["ran"])]
            for stem in dict.fromkeys(stems):
                sqlfile.verify(f"revisions/{stem}.verify.sql")
        sqlfile.execute(settings.PIN + "\n")

    return run


def log(*, step: Any, **_: Any) -> None:
    """In the transaction of a step, its version noted: a line of the log."""
    script = step.up_revision
    direction = "stamp" if step.is_stamp else "upgrade" if step.is_upgrade else "downgrade"
    where = (", ".join(step.destination_revision_ids) or "base", "") if step.is_stamp else (script.revision, script.doc)
    ran = context.get_context().opts["ran"] if option("lineage") == "site" else {}
    values = (option("lineage"), *where, direction, importlib.metadata.version("rowferry"), json.dumps(ran, ensure_ascii=False))
    sqlfile.execute(LOG.format(*(value.replace("'", "''") for value in values)))
    sqlfile.execute(schema.OWN_VERSION_TABLES)
