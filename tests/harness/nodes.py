"""A node of a test: one database on one server, seen through psycopg and psql."""

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from harness import prefork
from rowferry.demo.embedded import Server, environment

REPO = Path(__file__).resolve().parents[2]


@dataclass
class Node:
    """One database; `name` is the node's name, `database` the database's."""

    name: str
    server: Server
    database: str
    _connections: list[psycopg.Connection[Any]] = field(default_factory=list)
    _courier: psycopg.Connection[dict[str, Any]] | None = None
    _settings: str = ""

    @property
    def conninfo(self) -> str:
        """A libpq URI of the superuser."""
        return self.server.conninfo(self.database)

    @property
    def major(self) -> int:
        """Major version of the server."""
        return int(self.sql("select current_setting('server_version_num')::integer / 10000 as major")[0]["major"])

    def flush_statistics(self, connection: psycopg.Connection[Any]) -> None:
        """What the connection did is in the node's statistics now; skips the test where the server has no way to say so."""
        if self.major < 15:
            pytest.skip("before PostgreSQL 15 no session can be made to report its statistics")
        connection.execute("select pg_stat_force_next_flush()")

    def connect(self, **kw: Any) -> psycopg.Connection[Any]:
        """A new connection, autocommit unless told otherwise, closed at the test's end; `kw` as for psycopg.connect."""
        connection = psycopg.connect(self.conninfo, **{"autocommit": True, **kw})
        self._connections.append(connection)
        return connection

    def courier(self) -> psycopg.Connection[dict[str, Any]]:
        """A session of rowferry_worker's, the same until it ends or its settings would be others: a worker keeps its own too."""
        settings = repr(self.sql("select s::text from pg_db_role_setting s order by 1"))
        if self._courier is not None and self._settings == settings:
            with contextlib.suppress(psycopg.OperationalError):
                self._courier.execute("select 1")
                return self._courier
        self._courier, self._settings = self.connect(row_factory=dict_row), settings
        self._courier.execute("set role rowferry_worker")
        return self._courier

    def sql(self, query: str, params: Any = None) -> list[dict[str, Any]]:
        """Rows of the last statement, on a connection of its own: no session state is left, and a restart does not matter.

        With params, a percent sign in the query is written %%; without, the query may hold several statements.
        """
        with psycopg.connect(self.conninfo, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(query, params)  # type: ignore[call-overload]
            while cursor.nextset():
                pass
            return cursor.fetchall() if cursor.description is not None else []

    def psql(self, script: str, *options: str) -> str:
        """Output of the script in the real psql -X -v ON_ERROR_STOP=1; fails the test with psql's errors."""
        own = self.server.bin_dir / "psql"
        program = str(own) if own.exists() else shutil.which("psql")
        assert program, f"no psql in {self.server.bin_dir} nor on PATH"
        done = subprocess.run(
            [program, "-X", "-v", "ON_ERROR_STOP=1", *options, "-f", "-", self.conninfo],
            input=script,
            env=environment(self.server.bin_dir),
            cwd=REPO,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            pytest.fail(f"psql on {self.name}: {done.stderr}")
        return done.stdout

    def close(self) -> None:
        """Close what connect() opened."""
        while self._connections:
            self._connections.pop().close()


@dataclass
class Nodes:
    """The two nodes of a test, and the environment for rowferry and alembic as subprocesses."""

    crm: Node
    billing: Node

    @property
    def env(self) -> dict[str, str]:
        """This process's environment without PG*, with ROWFERRY_NODE_CRM and ROWFERRY_NODE_BILLING."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "ROWFERRY_NODE_"))}
        return {**env, "ROWFERRY_NODE_CRM": self.crm.conninfo, "ROWFERRY_NODE_BILLING": self.billing.conninfo}

    def __iter__(self) -> Any:
        return iter((self.crm, self.billing))


def alembic(env: dict[str, str], *arguments: str) -> str:
    """Output of the real alembic with the repository's alembic.ini; fails the test with its errors."""
    code, out, err = prefork.run(["-c", str(REPO / "alembic.ini"), *arguments], env, REPO)
    if code:
        pytest.fail(f"alembic {' '.join(arguments)}: {out}{err}")
    return out
