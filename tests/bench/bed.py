"""Two servers with fsync and synchronous_commit on, and a table kept equal by rowferry, or by native replication."""

from __future__ import annotations

import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import psutil
import psycopg

from harness.nodes import REPO, Node, Nodes, alembic
from harness.worker import start_worker
from rowferry.demo import embedded

SETTINGS = {
    "wal_level": "logical",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "16GB",  # no checkpoint in the middle of a run
    "checkpoint_timeout": "1h",
    "max_worker_processes": "20",
    "wal_retrieve_retry_interval": "100ms",
    "track_commit_timestamp": "on",  # latency is counted from the commit
}
DEBIAN = Path("/usr/lib/postgresql/15")  # the version for which Debian has Bucardo and pglogical
SECONDS = 180.0  # no single step of the benchmark takes longer, but for millions of rows
TABLE = """
    create table {name} (
      id int primary key,
      name text not null,
      amount int not null,
      price numeric(12,2) not null,
      changed_at timestamptz not null,
      note text
    )"""
ROWS = """
    insert into {name}
    select i, 'name of ' || i, i % 1000, i / 100.0, timestamptz '2026-01-01' + i * interval '1 s',
      'a note of some length, ' || md5(i::text)
    from generate_series({first}, {last}) i"""


def await_true(what: str, condition: Callable[[], Any], pause: float = 0.005, seconds: float = SECONDS) -> Any:
    """Poll until the condition returns something true; TimeoutError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        late = time.monotonic() > deadline
        found = condition()
        if found:
            return found
        if late:
            raise TimeoutError(f"waited {seconds:g} s in vain: {what}")
        time.sleep(pause)


class Bed:
    """The two servers."""

    def __init__(self, crm: embedded.Server, billing: embedded.Server, keeps: bool = False) -> None:
        self.keeps = keeps  # databases until the servers end
        self.servers = {"crm": crm, "billing": billing}
        self.log = Path(crm.socket_dir) / "worker.log"

    def nodes(self, database: str) -> Nodes:
        """A new database of that name on both servers."""
        pair = Nodes(*(Node(name, server, database) for name, server in self.servers.items()))
        for node in pair:
            Node(node.name, node.server, "postgres").sql(f"create database {database}")
        return pair

    def drop(self, database: str) -> None:
        """The database of that name on both servers, and all sessions in it."""
        for name, server in () if self.keeps else self.servers.items():
            Node(name, server, "postgres").sql(f"drop database if exists {database} with (force)")

    def checkpoint(self) -> None:
        """So that no run pays for what another has written."""
        for name, server in self.servers.items():
            Node(name, server, "postgres").sql("checkpoint")


@contextmanager
def bed(bin_dir: Path | None = None, keeps: bool = False, **settings: str) -> Iterator[Bed]:
    """The two servers, as long as the block lasts; `settings` beside those that all runs have."""
    with ExitStack() as stack:
        started = [stack.enter_context(embedded.start(name, SETTINGS | settings, bin_dir)) for name in ("crm", "billing")]
        yield Bed(*started, keeps)


class Pair:
    """Two databases of one name, dropped at the end of the block: a context manager."""

    def __init__(self, bed: Bed, database: str) -> None:
        self.bed, self.database = bed, database
        self.nodes = bed.nodes(database)
        self.source, self.target = self.nodes.crm, self.nodes.billing

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()

    def drop(self) -> None:
        """End for good."""
        self.bed.drop(self.database)


class Way(Pair, ABC):
    """One way to keep the table `items` equal from crm to billing. It may run all the time, and is measured from the commit."""

    @abstractmethod
    def release(self) -> None:
        """Let changes flow."""

    @abstractmethod
    def hold(self) -> None:
        """Let changes wait; one that runs all the time ends."""

    @abstractmethod
    def settle(self) -> None:
        """Until nothing is left to do."""


class Holdable(Way):
    """A way that can be held and released again and again, and is measured from its release on."""

    @abstractmethod
    def began(self) -> float:
        """When changes began to flow, in seconds since the epoch: the start of programs is not what is measured."""


class Ours(Holdable):
    """rowferry, with its worker as a process of its own at the default settings."""

    def __init__(self, bed: Bed, database: str = "ours", *tables: str) -> None:
        super().__init__(bed, database)
        self.log = bed.log
        self.worker: subprocess.Popen[Any] | None = None
        alembic(self.nodes.env, "upgrade", "head")
        for node in self.nodes:
            for table in tables or ("items",):
                self.create(node, table)
                node.sql(f"select rowferry.attach('{table}')")

    def create(self, node: Node, table: str) -> None:
        node.sql(TABLE.format(name=table))

    def release(self) -> None:
        self.worker = start_worker(self.nodes, self.log)

    def hold(self) -> None:
        if self.worker:
            self.worker.terminate()
            self.worker.wait(60)
            self.worker = None

    def drop(self) -> None:
        self.hold()
        super().drop()

    def began(self) -> float:
        return float(self.source.sql("select extract(epoch from opened_at) as at from rowferry.links")[0]["at"])

    def settle(self) -> None:
        # Asked as the worker asks: a search of the table itself would walk past all that has left and no vacuum could remove.
        query = "select 1 from rowferry.process_batch() where pending > 0"
        for node in (*self.nodes, self.source):
            with psycopg.connect(node.conninfo, autocommit=True) as connection:
                await_true("all events have left", lambda c=connection: not c.execute(query).fetchone(), 0.02)


class Native(Holdable):
    """Native logical replication of an identical table, with the defaults of publication and subscription."""

    def __init__(self, bed: Bed, database: str = "native", *tables: str) -> None:
        super().__init__(bed, database)
        self.slot = f"of_{database}"
        tables = tables or ("items",)
        for node in self.nodes:
            for table in tables:
                node.sql(TABLE.format(name=table))
        self.source.sql(f"create publication p for table {', '.join(tables)}")
        self.source.sql(f"select pg_create_logical_replication_slot('{self.slot}', 'pgoutput')")
        with psycopg.connect(self.target.conninfo, autocommit=True) as connection:
            connection.execute(
                psycopg.sql.SQL(
                    "create subscription s connection {} publication p"
                    " with (copy_data = false, create_slot = false, enabled = false, slot_name = {})"
                ).format(psycopg.sql.Literal(self.source.conninfo), psycopg.sql.Identifier(self.slot))
            )

    def release(self) -> None:
        self.target.sql("alter subscription s enable")

    def hold(self) -> None:
        self.target.sql("alter subscription s disable")
        query = "select 1 from pg_replication_slots where slot_name = %s and active"
        await_true("it is off", lambda: not self.source.sql(query, [self.slot]))

    def began(self) -> float:
        query = """select extract(epoch from a.backend_start) as at
            from pg_replication_slots s join pg_stat_activity a on a.pid = s.active_pid where s.slot_name = %s"""
        return float(await_true("it streams", lambda: self.source.sql(query, [self.slot]))[0]["at"])

    def settle(self) -> None:
        # A record of this database, so that the slot has something to confirm.
        self.source.sql("select pg_logical_emit_message(false, 'bench', '')")
        at = self.source.sql("select pg_current_wal_insert_lsn()::text as at")[0]["at"]
        self.source.sql("select pg_switch_wal()")
        query = "select 1 from pg_replication_slots where slot_name = %s and confirmed_flush_lsn >= %s::pg_lsn"
        await_true("the slot has confirmed all", lambda: self.source.sql(query, [self.slot, at]))

    def drop(self) -> None:
        self.hold()
        self.target.sql("alter subscription s set (slot_name = none)")
        self.target.sql("drop subscription s")
        self.source.sql(f"select pg_drop_replication_slot('{self.slot}')")
        super().drop()

    def pass_by(self) -> None:
        """Read over what others have written on this server, which is not to be paid for in a run."""
        self.release()
        self.settle()
        self.hold()


def digest(node: Node, table: str = "items") -> str:
    """One text that differs if a row does."""
    query = f"select count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) as digest from {table} t"
    return str(node.sql(query)[0]["digest"])


def equal(way: Pair, table: str = "items") -> None:
    """RuntimeError if the two tables differ: a figure without the rows is none."""
    first, second = (digest(node, table) for node in way.nodes)
    if first != second:
        raise RuntimeError(f"{table} differs between the nodes of {way.source.database}: {first} against {second}")


@contextmanager
def pgbench_started(
    node: Node, *arguments: str, script: str, env: dict[str, str] | None = None, folder: Path | None = None
) -> Iterator[subprocess.Popen[str]]:
    """The real pgbench with that script, as long as the block lasts and until it ends by itself; RuntimeError with its errors.

    Its output is in the attribute `said` of the process afterwards; logs go to `folder`.
    """
    program = node.server.bin_dir / "pgbench"
    variables = {**embedded.environment(node.server.bin_dir), **(env or {})}
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as file, tempfile.TemporaryFile("w+") as output:
        file.write(script)
        file.flush()
        command = [str(program), "-n", *arguments, "-f", file.name, node.conninfo]
        process = subprocess.Popen(command, env=variables, cwd=folder or REPO, stdout=output, stderr=output, text=True)
        try:
            yield process
            process.wait(SECONDS)
        finally:
            process.kill()
            process.wait()
            output.seek(0)
            process.said = output.read()  # type: ignore[attr-defined]
        if process.returncode:
            raise RuntimeError(f"pgbench: {process.said}")  # type: ignore[attr-defined]


def pgbench(node: Node, *arguments: str, script: str, env: dict[str, str] | None = None) -> str:
    """Output of the real pgbench."""
    with pgbench_started(node, *arguments, script=script, env=env) as process:
        pass
    return str(process.said)  # type: ignore[attr-defined]


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """User and system time of these processes so far."""
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))
