"""Two servers with fsync and synchronous_commit on, and a table kept equal by rowferry, or by native replication."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg

from harness.nodes import REPO, Node, Nodes, alembic
from harness.worker import start_worker
from rowferry import embedded

SETTINGS = {
    "wal_level": "logical",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "16GB",  # no checkpoint in the middle of a run
    "checkpoint_timeout": "1h",
    "max_worker_processes": "20",
    "wal_retrieve_retry_interval": "100ms",
}
SECONDS = 300.0  # no single step of the benchmark takes longer
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
    """Poll until the condition returns something true; stop the benchmark after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        late = time.monotonic() > deadline
        found = condition()
        if found:
            return found
        if late:
            sys.exit(f"waited {seconds:g} s in vain: {what}")
        time.sleep(pause)


class Bed:
    """The two servers."""

    def __init__(self, crm: embedded.Server, billing: embedded.Server) -> None:
        self.servers = {"crm": crm, "billing": billing}
        self.log = Path(crm.socket_dir) / "worker.log"

    def nodes(self, database: str) -> Nodes:
        """A new database of that name on both servers."""
        pair = Nodes(*(Node(name, server, database) for name, server in self.servers.items()))
        for node in pair:
            Node(node.name, node.server, "postgres").sql(f"create database {database}")
        return pair

    def checkpoint(self) -> None:
        """So that no run pays for what another has written."""
        for name, server in self.servers.items():
            Node(name, server, "postgres").sql("checkpoint")


@contextmanager
def bed() -> Iterator[Bed]:
    """The two servers, as long as the block lasts."""
    with ExitStack() as stack:
        yield Bed(*(stack.enter_context(embedded.start(name, SETTINGS)) for name in ("crm", "billing")))


class Way:
    """One way to keep the table `items` equal from crm to billing, which can be held and released."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.source, self.target = nodes.crm, nodes.billing

    def release(self) -> None:
        """Let changes flow."""
        raise NotImplementedError

    def hold(self) -> None:
        """Let changes wait."""
        raise NotImplementedError

    def began(self) -> float:
        """When they began to flow, in seconds since the epoch: the start of programs is not what is measured."""
        raise NotImplementedError

    def settle(self) -> None:
        """Until nothing is left to do."""
        raise NotImplementedError


class Ours(Way):
    """rowferry, with its worker as a process of its own at the default settings."""

    def __init__(self, bed: Bed, database: str = "ours", *tables: str) -> None:
        super().__init__(bed.nodes(database))
        self.log = bed.log
        self.worker: subprocess.Popen[Any] | None = None
        alembic(self.nodes.env, "upgrade", "head")
        for node in self.nodes:
            for table in tables or ("items",):
                node.sql(TABLE.format(name=table))
                node.sql(f"select rowferry.attach('{table}')")

    def release(self) -> None:
        self.worker = start_worker(self.nodes, self.log)

    def hold(self) -> None:
        if self.worker:
            self.worker.terminate()
            self.worker.wait(60)
            self.worker = None

    def began(self) -> float:
        return float(self.source.sql("select extract(epoch from opened_at) as at from rowferry.links")[0]["at"])

    def settle(self) -> None:
        for node in (*self.nodes, self.source):
            await_true("all events have left", lambda node=node: not node.sql("select 1 from rowferry.events limit 1"))


class Native(Way):
    """Native logical replication of an identical table, with the defaults of publication and subscription."""

    def __init__(self, bed: Bed, database: str = "native", *tables: str) -> None:
        super().__init__(bed.nodes(database))
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

    def pass_by(self) -> None:
        """Read over what others have written on this server, which is not to be paid for in a run."""
        self.release()
        self.settle()
        self.hold()


def digest(node: Node, table: str = "items") -> str:
    """One text that differs if a row does."""
    query = f"select count(*) || ' ' || coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) as digest from {table} t"
    return str(node.sql(query)[0]["digest"])


def equal(way: Way, table: str = "items") -> None:
    """Stop the benchmark if the two tables differ: a figure without the rows is none."""
    first, second = (digest(node, table) for node in way.nodes)
    if first != second:
        sys.exit(f"{table} differs between the nodes of {way.source.database}: {first} against {second}")


def pgbench(node: Node, *arguments: str, script: str | None = None, env: dict[str, str] | None = None) -> str:
    """Output of the real pgbench; stops the benchmark with its errors."""
    server = node.server
    command = [str(server.bin_dir / "pgbench"), "-n", *arguments, *(["-f", "/dev/stdin"] if script else []), node.conninfo]
    variables = {**embedded.environment(server.bin_dir), **(env or {})}
    done = subprocess.run(command, env=variables, cwd=REPO, input=script, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"pgbench: {done.stderr}")
    return done.stdout


def cpu_seconds(processes: list[psutil.Process]) -> float:
    """User and system time of these processes so far."""
    return sum(times.user + times.system for times in (process.cpu_times() for process in processes))
