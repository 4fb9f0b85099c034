"""Runs a command on a node: each revision in a transaction of its own, which is tried again while a table is locked."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from alembic import context
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from rowferry.config import Link, Node
from rowferry.migrations import lock, schema, settings, step
from rowferry.migrations.report import log
from rowferry.migrations.settings import option
from rowferry.migrations.targets import Target, peers

INSTALLED = "select to_regclass('rowferry.alembic_version_core') is not null"
CONFIGURE_EXISTS = "select to_regproc('rowferry.configure_node') is not null"
CONFIGURE = "select rowferry.configure_node(%s::text, %s::text[], %s::text[])"
RETRY_SECONDS = 1.0
INVALID = """
    select format('index %s is invalid: drop index concurrently %1$s;', i.indexrelid::regclass)
    from pg_index i join pg_class c on c.oid = i.indexrelid
    where not i.indisvalid and c.relkind = 'i'
      and not exists (select from pg_stat_progress_create_index p where p.index_relid = i.indexrelid or p.relid = i.indrelid)
    order by 1"""


def look(node: Node) -> None:
    """Run a command that changes nothing."""
    with _connection(node) as connection:
        if option("lineage") != "core" and not connection.exec_driver_sql(INSTALLED).scalar():
            log.warning(
                "rowferry itself is not installed here yet, and your revisions need it. Hint: %s upgrade head", settings.alembic()
            )
        connection.rollback()
        step.configure(node, connection=connection, dont_mutate=True)
        with context.begin_transaction():
            context.run_migrations()


def migrate(target: Target, links: Sequence[Link]) -> None:
    """Take a node to its target. A revision that finds a table locked is tried again until lock_wait has passed, and only
    that one: those before it are installed by then."""
    wait = settings.seconds("lock_wait")
    revision, deadline = None, 0.0
    with lock.held(target.node, time.monotonic() + wait) as holder:
        schema.check(holder, schema.CREATE)
        while True:
            try:
                return _run(target, links)
            except DBAPIError as error:
                if step.committed(holder):
                    error.add_note(_left(holder))
                    raise
                if step.running() != revision:
                    revision, deadline = step.running(), time.monotonic() + wait
                if not isinstance(error.orig, psycopg.errors.LockNotAvailable) or time.monotonic() > deadline:
                    raise
                log.info("a table is locked by another session, trying again")
                # Nobody can wait for the lock itself: whoever stands in its queue keeps the users of the table waiting too.
                time.sleep(RETRY_SECONDS)


def _run(target: Target, links: Sequence[Link]) -> None:
    with _connection(target.node) as connection:
        step.configure(target.node, target.steps, connection=connection, on_version_apply=step.log)
        with context.begin_transaction():
            context.run_migrations()
        # Without a step to run, what Alembic read has left a transaction open.
        connection.rollback()
        if not (target.command.name == "upgrade" and option("lineage") == "core"):
            return
        if connection.exec_driver_sql(CONFIGURE_EXISTS).scalar():
            connection.exec_driver_sql(CONFIGURE, (target.node.name, *peers(target.node, links)))
            connection.commit()


def _tell(notice: psycopg.errors.Diagnostic) -> None:
    """A warning or a notice, and what to type."""
    log.info("%s: %s", notice.severity, notice.message_primary)
    if notice.message_hint:
        log.info("HINT: %s", notice.message_hint)


@contextlib.contextmanager
def _connection(node: Node) -> Iterator[Connection]:
    """A connection on which nothing has run since its last commit: else Alembic would take the transaction that this began for
    a foreign one and leave the commit to it."""

    def connect() -> psycopg.Connection[Any]:
        connection = node.connect(autocommit=True, application_name="rowferry migrations")
        connection.add_notice_handler(_tell)
        connection.execute(settings.OURS)
        schema.check(connection, schema.identity(node.name))
        connection.autocommit = False
        return connection

    with create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool).connect() as connection:
        yield connection


def _left(holder: psycopg.Connection[Any]) -> str:
    """What a revision that had committed a part of itself has left."""
    invalid = [str(row[0]) for row in holder.execute(INVALID)]
    return "\n".join(["What the revision has committed stays, and it is not tried again by itself.", *invalid])
