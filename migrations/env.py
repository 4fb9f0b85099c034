"""Runs `alembic` on every node of alembic.ini, in its order, or on the one that -x node= names.

Online, each node gets two connections: one idle in autocommit that holds the advisory lock of migrations, and one that migrates,
on which nothing may run before Alembic has been configured: it would take the transaction that this began for a foreign one and
leave the commit to it.

Exit codes: 1 the database refused, 2 configuration, 3 a node is out of reach, 5 another migration holds the lock.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import io
import json
import logging
import re
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

import psycopg
from alembic import command, context
from alembic.util import CommandError
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from rowferry.config import ConfigError, Node, NodeUnreachable, pick, read_nodes
from rowferry.migrations import schema, sqlfile

config = context.config
log = logging.getLogger("rowferry.migrations")
POLL_SECONDS = 0.2

# Also for whoever repairs functions by hand: who holds it may create or replace them, and no two do so at once.
LOCK_KEY = "hashtextextended('rowferry migrations', 0)"
TRY_LOCK = f"select pg_try_advisory_lock({LOCK_KEY})"
LOCK_HOLDER = f"""
    select l.pid, a.application_name, a.usename
    from pg_locks l left join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
      and l.database = (select oid from pg_database where datname = current_database())
      and (l.classid::bigint << 32) | l.objid::bigint = {LOCK_KEY}"""
LOG = """do $rowferry$
begin
  if to_regclass('rowferry.migration_log') is not null then
    insert into rowferry.migration_log (lineage, revision, title, direction, toolkit, files)
    values ('{}', '{}', '{}', '{}', '{}', '{}');
  end if;
end
$rowferry$;
"""
# Nothing that somebody else made in a schema of the session's search_path is taken for PostgreSQL's own; and whatever a database
# or a role has set, the files are read alike, and what PostgreSQL notes of their functions is written alike.
PINNED = {
    "search_path": "pg_catalog, pg_temp",
    "quote_all_identifiers": "off",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "array_nulls": "on",
}
PIN = "; ".join(f"set {name} = {value}" for name, value in PINNED.items())
FORCE = "rowferry.force"
MARK = "rowferry.running_script"
CONFIGURE_EXISTS = "select to_regprocedure('rowferry.configure_node(text,text[])') is not null"
CONFIGURE = "select rowferry.configure_node(%s::text, %s::text[])"


class Refusal(Exception):
    """Ends the command with a message for people and an exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


ERRORS = (ConfigError, NodeUnreachable, Refusal, CommandError, DBAPIError, psycopg.Error)


class Prefixed:
    """A text stream that begins each line with a node's name."""

    def __init__(self, stream: TextIO, prefix: str) -> None:
        self.stream, self.prefix, self.at_start = stream, prefix, True
        self.encoding = stream.encoding

    def write(self, text: str) -> None:
        for line in text.splitlines(keepends=True):
            self.stream.write(f"{self.prefix}{line}" if self.at_start else line)
            self.at_start = line.endswith("\n")

    def flush(self) -> None:
        self.stream.flush()


def option(name: str) -> str:
    """An option of the ini file's section, which is the lineage."""
    value = config.get_section_option(config.config_ini_section, name)
    if not value:
        section = f"section [{config.config_ini_section}]"
        raise ConfigError(f"{config.config_file_name}: {section} has no {name}. Hint: see rowferry's own alembic.ini")
    return value


def main() -> None:
    if is_new_revision():
        number_revision()
        return
    nodes = read_nodes(config.config_file_name)
    given = [argument.partition("=") for argument in context.get_x_argument()]
    for key, _, value in given:
        if key != "node" and (key, value) != ("force", "true"):  # a misspelled one would migrate every node
            raise ConfigError(f"-x {key} means nothing. Hint: -x node={nodes[0].name}")
    chosen = [value for key, _, value in given if key == "node"]
    selected = pick(nodes, chosen) if chosen else nodes
    if context.is_offline_mode():
        if len(selected) > 1:
            raise ConfigError(f"--sql prints the script of one node. Hint: -x node={nodes[0].name}, then the others")
        print_script(selected[0], nodes)
        return
    stdout = config.stdout
    for node in selected:
        config.stdout = Prefixed(stdout, f"{node.name}: ")  # type: ignore[assignment]
        try:
            with logging_to_stderr(node):
                migrate(node, nodes)
        except ERRORS as error:
            finish(error, node)
        finally:
            config.stdout = stdout


def is_new_revision() -> bool:
    """Whether this is `alembic revision`, which touches no node."""
    return getattr(config.cmd_opts, "cmd", (None,))[0] is command.revision


def number_revision() -> None:
    """Give the new revision the next number of its lineage, in its id and before its message, unless its user gave an id."""

    def number(_: Any, __: Any, directives: list[Any]) -> None:
        if getattr(config.cmd_opts, "rev_id", None) is None:
            lineage = option("lineage")
            used = [script.revision for script in context.script.walk_revisions()]
            numbers = [int(found[1]) for found in (re.fullmatch(rf"{lineage}_(\d+)", name) for name in used) if found]
            place = f"{max(numbers, default=0) + 1:04}"
            directives[0].rev_id = f"{lineage}_{place}"
            directives[0].message = f"{place} {directives[0].message or 'changes'}"

    # As for a script, Alembic then asks for no connection.
    context.configure(dialect_name="postgresql", as_sql=True, process_revision_directives=number)
    context.run_migrations()


@contextlib.contextmanager
def logging_to_stderr(node: Node) -> Iterator[None]:
    """What Alembic runs and what the database says, a line each, for one node."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{node.name}: %(message)s"))
    handler.addFilter(lambda record: record.name == log.name or record.msg.startswith("Running") or record.levelno > logging.INFO)
    quiet = getattr(config.cmd_opts, "quiet", False)
    loggers = [log, logging.getLogger("alembic.runtime.migration")]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING if quiet else logging.INFO)
        logger.propagate = False
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger, level, propagate in before:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


def sql_location() -> str:
    """Where the lineage's SQL files are. Those of core come with the package, unless the ini file says otherwise."""
    core = config.get_section_option(config.config_ini_section, "sql_location") is None and option("lineage") == "core"
    return str(sqlfile.shipped_sql() / "core") if core else option("sql_location")


def forced() -> bool:
    """Whether -x force=true lets a downgrade give up events that are not delivered."""
    return "force=true" in context.get_x_argument()


def verify_and_log(*, step: Any, **_: Any) -> None:
    """In the transaction of a step, its version noted: what it was to make is there, and it stands in the log."""
    script = step.up_revision
    if step.is_upgrade and not step.is_stamp:
        sqlfile.verify(f"revisions/{Path(script.path).stem}.verify.sql")
    direction = "stamp" if step.is_stamp else "upgrade" if step.is_upgrade else "downgrade"
    where = (", ".join(step.destination_revision_ids) or "base", "") if step.is_stamp else (script.revision, script.doc)
    ran = context.get_context().opts.pop("ran", {}) if option("lineage") == "site" else {}
    values = (option("lineage"), *where, direction, importlib.metadata.version("rowferry"), json.dumps(ran, ensure_ascii=False))
    sqlfile.execute(LOG.format(*(value.replace("'", "''") for value in values)))
    sqlfile.execute(schema.OWN_VERSION_TABLES)


def writes() -> bool:
    """Whether this is a command with a target revision: upgrade, downgrade or stamp."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


def is_upgrade() -> bool:
    return bool(context.get_context().opts["fn"].__name__ == "upgrade")


def configure(node: Node, **options: Any) -> None:
    """Tell Alembic, and through it sqlfile, which node and lineage this is."""
    context.configure(
        version_table=option("version_table"),
        version_table_schema="rowferry",
        transaction_per_migration=True,
        dont_mutate=not writes(),
        lineage=option("lineage"),
        sql_location=sql_location(),
        node=node.name,
        **options,
    )


def migrate(node: Node, nodes: Sequence[Node]) -> None:
    """Run the command on one node; a table that stays locked is tried again until lock_wait has passed."""
    if not writes():
        run(node, nodes)
        return
    deadline = time.monotonic() + float(option("lock_wait"))
    with advisory_lock(node, deadline) as holder:
        holder.execute(f"do $$ begin {schema.CHECK}{schema.CREATE} end $$")
        while True:
            try:
                return run(node, nodes)
            except DBAPIError as error:
                if not isinstance(error.orig, psycopg.errors.LockNotAvailable) or time.monotonic() > deadline:
                    raise
                log.info("a table is locked by another session, trying again")
                time.sleep(1)


@contextlib.contextmanager
def advisory_lock(node: Node, deadline: float) -> Iterator[psycopg.Connection[Any]]:
    """Hold the lock of migrations on a connection that is idle and in no transaction: one that waited for the lock in a
    transaction would deadlock with `create index concurrently`, and with the process killed the lock is free at once."""
    with node.connect(autocommit=True, application_name="rowferry migrations") as connection:
        connection.execute(PIN)  # none of what runs here is the user's
        waiting = False
        while not connection.execute(TRY_LOCK).fetchone()[0]:  # type: ignore[index]
            if time.monotonic() > deadline:
                pid, application, user = connection.execute(LOCK_HOLDER).fetchone() or ("unknown", None, None)
                raise Refusal(
                    f"another migration holds the lock: process {pid} ({application or 'no name'}, user {user or 'unknown'}). "
                    f"Hint: wait for it, or end it: select pg_terminate_backend({pid});",
                    5,
                )
            if not waiting:
                log.info("waiting for another migration to end")
                waiting = True
            time.sleep(POLL_SECONDS)
        yield connection


def run(node: Node, nodes: Sequence[Node]) -> None:
    """Run the command on a connection of its own."""

    def connect() -> psycopg.Connection[Any]:
        connection = node.connect(autocommit=True, application_name="rowferry migrations")
        connection.add_notice_handler(lambda notice: log.info("%s: %s", notice.severity, notice.message_primary))
        connection.execute(PIN)
        connection.execute(f"do $$ begin {schema.CHECK} end $$")
        connection.execute("select set_config('lock_timeout', %s, false)", [option("lock_timeout")])
        if option("lineage") != "core":
            connection.execute("reset search_path")
        if forced():
            connection.execute(f"set {FORCE} = 'on'")
        with contextlib.suppress(psycopg.Error):  # not on every platform
            connection.execute("set client_connection_check_interval = '2s'")
        connection.autocommit = False
        return connection

    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    with engine.connect() as connection:
        configure(node, connection=connection, on_version_apply=verify_and_log)
        with context.begin_transaction():
            context.run_migrations()
        # Without a step to run, what Alembic read has left a transaction open.
        connection.rollback()
        if is_upgrade() and option("lineage") == "core" and connection.exec_driver_sql(CONFIGURE_EXISTS).scalar():
            connection.exec_driver_sql(CONFIGURE, (node.name, peers(node, nodes)))
            connection.commit()


def peers(node: Node, nodes: Sequence[Node]) -> list[str]:
    return [other.name for other in nodes if other != node]


def print_script(node: Node, nodes: Sequence[Node]) -> None:
    """Print the script of one node, all of it or, after an error, nothing."""
    output = io.StringIO()
    heads: list[str] = []

    def applied(**kw: Any) -> None:
        heads[:] = sorted(kw["heads"])

    options: dict[str, Any] = {
        "dialect_name": "postgresql",
        "dialect_opts": {"paramstyle": "named"},  # with the driver's own, % would be printed twice
        "literal_binds": True,
        "output_buffer": output,
        "on_version_apply": (applied, verify_and_log),
    }
    configure(node, **options)
    heads.extend(sorted(context.get_context().get_current_heads()))
    steps = context.get_context().opts["fn"]
    script = f"{option('lineage')} from {', '.join(heads) or 'base'} to {context.get_revision_argument() or 'base'}"

    @functools.wraps(steps)
    def guarded(revisions: tuple[str, ...], migration_context: Any) -> Iterator[Any]:
        for step in steps(revisions, migration_context):
            step.migration_fn = after_guard(step.migration_fn)
            yield step

    def after_guard(migration_fn: Any) -> Any:
        @functools.wraps(migration_fn)
        def guard_and_migrate(**kw: Any) -> None:
            context.static_output(guard(heads, script))
            migration_fn(**kw)

        return guard_and_migrate

    configure(node, fn=guarded, **options)
    context.static_output(
        f"-- rowferry, node {node.name}: {script}.\n"
        f'-- Run it on that node only: psql -X -v ON_ERROR_STOP=1 -f THIS_FILE "${node.variable}"\n'
        "-- It checks where it starts and keeps other migrations out. Each revision is a transaction, which checks again."
    )
    context.static_output("set client_encoding = 'UTF8';")
    context.static_output(f"{PIN};")
    context.static_output(opening(heads, script))
    if option("lineage") != "core":
        context.static_output("reset search_path;")
    context.static_output(f"set lock_timeout = '{option('lock_timeout')}';")
    if forced():
        context.static_output(f"set {FORCE} = 'on';")
    with context.begin_transaction():
        context.run_migrations()
    if is_upgrade() and option("lineage") == "core":
        names = ", ".join(f"'{name}'" for name in peers(node, nodes))
        context.static_output(
            f"begin;\n\n{guard(heads, script)}\n\n"
            "do $rowferry$\nbegin\n"
            "  if to_regprocedure('rowferry.configure_node(text,text[])') is not null then\n"
            f"    perform rowferry.configure_node('{node.name}', array[{names}]::text[]);\n"
            "  end if;\nend\n$rowferry$;\n\ncommit;"
        )
    context.static_output(f"reset lock_timeout;\n\nreset {FORCE};\n\nreset {MARK};")
    context.static_output(f"do $rowferry$ begin perform pg_advisory_unlock({LOCK_KEY}); end $rowferry$;")
    context.static_output("\n".join(f"reset {name};" for name in PINNED))
    stream = config.output_buffer or sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8")
    stream.write(output.getvalue())
    stream.flush()


def opening(heads: Sequence[str], script: str) -> str:
    """The script's first statement: takes the lock, checks schema and version, creates the schema, and lets the rest go on.

    The lock is the session's, since a transaction's would leave the gaps between revisions without one. The mark, a setting,
    is gone if anything here fails, so that nothing runs when psql is told to go on after an error.
    """
    table = f"rowferry.{option('version_table')}"
    # A downgrade leaves the version table behind, empty; going up from base, Alembic prints a create table.
    drop = "" if heads else f"\n  if to_regclass('{table}') is not null then\n    drop table {table};\n  end if;"
    return f"""do $rowferry$
declare
  v_found text[] := '{{}}';
begin
  if not pg_try_advisory_lock({LOCK_KEY}) then
    raise exception using errcode = 'RF036', message = 'another migration of this database is running',
      hint = 'Wait for it to end, then run this script again.';
  end if;{schema.CHECK}{check_version(table, heads)}{schema.CREATE}{drop}
  perform set_config('{MARK}', '{script}', false);
end
$rowferry$;"""


def guard(heads: Sequence[str], script: str) -> str:
    """The first statement of each transaction: raises, so that none of it happens, unless all before it has happened."""
    return f"""do $rowferry$
declare
  v_found text[] := '{{}}';
begin
  if current_setting('{MARK}', true) is distinct from '{script}' then
    raise exception using errcode = 'RF036', message = 'this script was refused at its start',
      hint = 'The first error says why; nothing of it was run.';
  end if;{check_version(f"rowferry.{option('version_table')}", heads)}
end
$rowferry$;"""


def check_version(table: str, heads: Sequence[str]) -> str:
    expected = f"array[{', '.join(repr(head) for head in heads)}]::text[]"
    return f"""
  if to_regclass('{table}') is not null then
    select coalesce(array_agg(version_num::text order by version_num), '{{}}') into v_found from {table};
  end if;
  if v_found <> {expected} then
    raise exception using errcode = 'RF037', message = 'this script does not start at the version that is installed',
      detail = format('It starts at %s, installed is %s.', {expected}, v_found),
      hint = 'Print it again from the installed version: alembic upgrade INSTALLED:head --sql';
  end if;"""


def finish(error: Exception, node: Node | None = None) -> NoReturn:
    """Say what went wrong and how to go on, without a traceback; programs that call Alembic get the exception itself."""
    if config.cmd_opts is None or getattr(config.cmd_opts, "raiseerr", False):
        raise error
    lines, code = [str(error)], 1
    database_error = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(error, ConfigError):
        code = 2
    elif isinstance(error, NodeUnreachable):
        code = 3
    elif isinstance(error, Refusal):
        code = error.code
    elif isinstance(database_error, psycopg.Error) and database_error.diag.sqlstate:
        diag = database_error.diag
        lines = [f"ERROR {diag.sqlstate}: {diag.message_primary}"]
        for word, text in (("DETAIL", diag.message_detail), ("HINT", diag.message_hint), ("CONTEXT", diag.context)):
            lines += [f"{word}: {text}"] if text else []
        if diag.sqlstate == "55P03" and not diag.message_hint:
            lines.append(
                "HINT: a transaction that stays open is in the way (see pg_stat_activity.xact_start). Nothing was changed."
            )
    elif isinstance(database_error, psycopg.Error):
        lines, code = [f"the connection was lost: {' '.join(str(database_error).split())}"], 3
    lines += getattr(error, "__notes__", [])
    prefix = f"{node.name}: " if node else ""
    for line in "\n".join(lines).splitlines():
        print(line if line.startswith(prefix) else f"{prefix}{line}", file=sys.stderr)
    sys.exit(code)


try:
    main()
except ERRORS as error:
    finish(error)
