"""One revision: it knows nothing of the one before, is looked at when it has run, and stands in the log."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
from alembic import context
from sqlalchemy import event

from rowferry.config import Node
from rowferry.migrations import files, schema, settings, sqlfile
from rowferry.migrations.report import Refusal
from rowferry.migrations.settings import option

TRANSACTION = "select pg_catalog.pg_current_xact_id()::pg_catalog.text"
LOG = """do {tag}
begin
  if to_regclass('rowferry.migration_log') is not null then
    insert into rowferry.migration_log (lineage, revision, title, direction, toolkit, files)
    values ({values});
  end if;
end
{tag};
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
        # Alembic keeps options from one node to the next.
        committed=False,
        transaction=None,
        running=None,
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
                with _indexes_are_valid(migration):
                    yield
            finally:
                migration.opts["autocommit"] = False
                sqlfile.execute(settings.of_a_revision())
        _note_transaction(migration)

    migration.autocommit_block = autocommit_block  # type: ignore[method-assign]


def committed(holder: psycopg.Connection[Any]) -> bool:
    """Whether the revision that ran last has committed a part of itself: in an autocommit_block, or in whatever way."""
    options = context.get_context().opts
    transaction = options.get("transaction")
    if options.get("committed") or transaction is None:
        return bool(options.get("committed"))
    found = holder.execute("select pg_xact_status(%s::text::xid8) = 'committed'", [transaction]).fetchone()
    return bool(found and found[0])


def running() -> str | None:
    """The id of the revision that ran last."""
    return context.get_context().opts.get("running")


def _note_transaction(migration: Any) -> None:
    if not migration.as_sql:
        migration.opts["transaction"] = migration.connection.exec_driver_sql(TRANSACTION).scalar()


@contextlib.contextmanager
def _indexes_are_valid(migration: Any) -> Iterator[None]:
    """Look at each index that is built concurrently, by whatever statement: IF NOT EXISTS skips one that failed before."""
    if migration.as_sql:
        output = migration.impl.static_output

        def static_output(text: str) -> None:
            output(text)
            for check in sqlfile.index_checks(text):
                output(check)
                migration.opts.setdefault("built", []).append(check)

        migration.impl.static_output = static_output
        try:
            yield
        finally:
            migration.impl.static_output = output
        return

    def executed(connection: Any, _: Any, statement: str, *__: Any) -> None:
        for check in sqlfile.index_checks(statement):
            connection.exec_driver_sql(check)

    connection = migration.connection
    event.listen(connection, "after_cursor_execute", executed)
    try:
        yield
    finally:
        event.remove(connection, "after_cursor_execute", executed)


def _each(steps: Steps, heads: tuple[str, ...], migration: Any) -> Iterator[Any]:
    for step in steps(heads):
        step.migration_fn = _apart(step, migration)
        yield step


def _apart(step: Any, migration: Any) -> Callable[..., None]:
    """A revision in settings of its own, and what looks at it and what Alembic writes after it in theirs."""
    migration_fn = step.migration_fn

    @functools.wraps(migration_fn)
    def run(**kw: Any) -> None:
        migration.opts.update(committed=False, ran={}, transaction=None, running=repr(step), as_of=_number(step))
        sqlfile.execute(settings.of_a_revision())
        _note_transaction(migration)
        migration_fn(**kw)
        if not migration.as_sql and migration.connection.exec_driver_sql(TRANSACTION).scalar() != migration.opts["transaction"]:
            migration.opts["committed"] = True
            raise Refusal(
                "the revision has ended its transaction itself: what it had run until then stays, if that was a commit, and the "
                "rest is taken back. Hint: no commit in op.execute() or op.get_bind(); see autocommit_block in docs/upgrading.md",
                1,
            )
        sqlfile.execute(settings.of_a_revision())
        if step.is_upgrade and hasattr(step, "revision"):  # no stamp
            stems = [Path(step.revision.path).stem, *(Path(name).name.partition(".")[0] for name in migration.opts["ran"])]
            for stem in dict.fromkeys(stems):
                sqlfile.verify(f"revisions/{stem}.verify.sql")
        sqlfile.execute(settings.PIN + "\n")

    return run


def _number(step: Any) -> int:
    """The number of the revision that a step of core leads to; 0 of any other lineage, whose files have no history."""
    if option("lineage") != "core" or not hasattr(step, "revision"):
        return 0
    return int(step.revision.revision[-4:]) - (not step.is_upgrade)


def log(*, step: Any, **_: Any) -> None:
    """In the transaction of a step, its version noted: a line of the log."""
    script = step.up_revision
    direction = "stamp" if step.is_stamp else "upgrade" if step.is_upgrade else "downgrade"
    where = (", ".join(step.destination_revision_ids) or "base", "") if step.is_stamp else (script.revision, script.doc)
    ran = context.get_context().opts["ran"] if option("lineage") == "site" else {}
    values = (option("lineage"), *where, direction, importlib.metadata.version("rowferry"), json.dumps(ran, ensure_ascii=False))
    quoted = ", ".join("'" + value.replace("'", "''") + "'" for value in values)
    tag = "$rowferry$"
    while tag in quoted:
        tag = f"{tag[:-1]}_$"
    sqlfile.execute(LOG.format(tag=tag, values=quoted))
    sqlfile.execute(schema.OWN_VERSION_TABLES)
