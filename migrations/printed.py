"""Prints the script of a node: what `alembic` would do there, for psql. Nothing of it runs on another node, from another version,
or after a part that was refused, even where psql goes on after an error.

The session can only read, but in a part whose guard has passed: a transaction, or what stands between two of them.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator, Sequence

from alembic import context

from rowferry.config import ConfigError, Link, Node
from rowferry.migrations import lock, schema, settings, step
from rowferry.migrations.settings import option
from rowferry.migrations.targets import Command, given, peers

# Held by the session as long as the script may go on: no setting, since a revision may reset those.
GOING_ON = "hashtextextended('rowferry script', 0)"


class Printer:
    """The script of one node. `heads`: the revisions that are installed at the place that is being printed."""

    def __init__(self, command: Command, node: Node, links: Sequence[Link]) -> None:
        self.command, self.node, self.links, self.output = command, node, links, io.StringIO()
        self.heads: list[str] = []

    def run(self) -> None:
        """Print the whole script or, after an error, nothing."""
        start = given()["starting_rev"] or "base"  # nothing before the colon of :head
        self.heads = [script.revision for script in context.script.get_revisions(start) if script]
        steps = self.command.steps(self.heads)
        if not steps and self.command.name == "upgrade":
            if self.command.given == "base" and self.heads:
                raise ConfigError(f"base is before {start}. Hint: downgrade {start}:base --sql")
            target = {script.revision for script in context.script.get_revisions(self.command.given) if script}
            if target - set(self.heads):
                raise ConfigError(f"{self.command.given} is before {start}. Hint: downgrade {start}:{self.command.given} --sql")
        title = f"{option('lineage')} from {', '.join(self.heads) or 'base'} to {self.command.end(self.heads, steps)}"

        def applied(**kw: object) -> None:
            self.heads = sorted(kw["heads"])  # type: ignore[call-overload]

        step.configure(
            self.node,
            lambda heads: steps,
            dialect_name="postgresql",
            dialect_opts={"paramstyle": "named"},  # with the driver's own, % would be printed twice
            literal_binds=True,
            output_buffer=self.output,
            on_version_apply=(applied, step.log),
            starting_rev=start,
        )
        self._guard_each_part()
        context.static_output(
            f"-- rowferry, node {self.node.name}: {title}.\n"
            f'-- Run it on that node only: psql -X -v ON_ERROR_STOP=1 -f THIS_FILE "${self.node.variable}"\n'
            "-- It checks where it starts and keeps other migrations out. Each revision is a transaction, which checks again."
        )
        context.static_output(f"{settings.OURS}\n{settings.READ_ONLY}")
        context.static_output(self._opening(bool(steps)))
        with context.begin_transaction():
            context.run_migrations()
        if self.command.name == "upgrade" and option("lineage") == "core":
            self._configure_node()
        context.static_output(
            f"do $rowferry$ begin perform pg_advisory_unlock({GOING_ON}), pg_advisory_unlock({lock.KEY}); end $rowferry$;"
        )
        context.static_output("reset all;")
        stream = context.config.output_buffer or sys.stdout
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")
        stream.write(self.output.getvalue())
        stream.flush()

    def _guard_each_part(self) -> None:
        """Put a guard behind each BEGIN, and at the start of an autocommit_block."""
        migration = context.get_context()
        block = migration.autocommit_block

        def emit_begin() -> None:
            context.static_output(f"begin read write;\n\n{self._guard()}")
            for check in migration.opts.pop(
                "built", ()
            ):  # behind an autocommit_block, where psql may have gone on after an error
                context.static_output(check)

        @contextlib.contextmanager
        def autocommit_block() -> Iterator[None]:
            with block():
                context.static_output(self._guard(lets_write=True))
                yield
                context.static_output(settings.READ_ONLY)

        migration.impl.emit_begin, migration.autocommit_block = emit_begin, autocommit_block  # type: ignore[method-assign]

    def _opening(self, has_steps: bool) -> str:
        """The script's first statement: takes the lock, looks at schema, node and version, and lets the rest go on.

        The lock is the session's, since a transaction's would leave the gaps between revisions without one.
        """
        table = f"rowferry.{option('version_table')}"
        # A downgrade leaves the version table behind, empty; going up from base, Alembic prints a create table.
        drop = f"\n  if to_regclass('{table}') is not null then\n    drop table {table};\n  end if;"
        drop = "" if self.heads or not has_steps else drop
        return f"""begin read write;

do $rowferry$
declare
  v_found text[] := '{{}}';
begin
  if not pg_try_advisory_lock({lock.KEY}) then
    raise exception using errcode = 'RF036', message = 'another migration of this database is running',
      hint = 'Wait for it to end, then run this script again.';
  end if;{schema.CHECK}{schema.identity(self.node.name, self.command.core_first())}{self._check_version()}{schema.CREATE}{drop}
  perform pg_advisory_lock({GOING_ON});
end
$rowferry$;

commit;"""

    def _guard(self, lets_write: bool = False) -> str:
        """Raises, so that nothing of its part happens, unless all before it has happened."""
        write = "\n  perform set_config('default_transaction_read_only', 'off', false);" if lets_write else ""
        return f"""do $rowferry$
declare
  v_found text[] := '{{}}';
begin
  if not exists (
    select from pg_locks l
    where l.pid = pg_backend_pid() and l.locktype = 'advisory' and l.objsubid = 1 and l.granted
      and (l.classid::bigint << 32) | l.objid::bigint = {GOING_ON}
  ) then
    raise exception using errcode = 'RF036', message = 'this script was refused at its start',
      hint = 'The first error says why; nothing more of it runs.';
  end if;{self._check_version()}{write}
end
$rowferry$;"""

    def _check_version(self) -> str:
        table = f"rowferry.{option('version_table')}"
        expected = f"array[{', '.join(repr(head) for head in self.heads)}]::text[]"
        return f"""
  if to_regclass('{table}') is not null then
    select coalesce(array_agg(version_num::text order by version_num), '{{}}') into v_found from {table};
  end if;
  if v_found <> {expected} then
    raise exception using errcode = 'RF037', message = 'this script does not start at the version that is installed',
      detail = format('It starts at %s, installed is %s.', {expected}, v_found),
      hint = 'Print it again from the installed version: alembic upgrade INSTALLED:head --sql';
  end if;"""

    def _configure_node(self) -> None:
        lists = ", ".join(
            f"array[{', '.join('null' if name is None else repr(name) for name in names)}]::text[]"
            for names in peers(self.node, self.links)
        )
        context.static_output(
            f"begin read write;\n\n{self._guard()}\n\n"
            "do $rowferry$\nbegin\n"
            "  if to_regproc('rowferry.configure_node') is not null then\n"
            f"    perform rowferry.configure_node('{self.node.name}', {lists});\n"
            "  end if;\nend\n$rowferry$;\n\ncommit;"
        )
