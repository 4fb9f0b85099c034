"""A worker's connection to a node: its settings, how long it waits for a silent server, and errors in words without secrets."""

import contextlib
import selectors
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row

from rowferry import sql
from rowferry.config import CONNECTION_DEFAULTS, Node, NodeUnreachable

Connection = psycopg.Connection[Any]

# How long a server may say nothing beyond the time that it gives a statement. One that is stopped (SIGSTOP, a suspended machine)
# or waits for a lost synchronous standby still acknowledges at the level of TCP, so no setting of libpq or the kernel notices.
SILENCE_SECONDS = 10.0
# As long as no statement is limited yet: reading where things stand takes far less, and whoever waits for an answer that was
# lost keeps the other node's lock meanwhile.
READ_SECONDS = 15.0


@dataclass
class Error(Exception):
    """What a node answered, or that it did not: one line each, without secrets."""

    node: str
    sqlstate: str
    message: str
    hint: str = ""

    @property
    def code(self) -> int:
        """Exit code of a worker that ends because of it before it has ever opened an exchange."""
        if self.sqlstate in ("42883", "3F000", "42P01", "RF006", "RF007"):
            return 4
        if self.sqlstate in ("42501", "RF002", "0A000"):
            return 2
        return 3 if self.sqlstate.startswith(("08", "57P0")) else 1

    def __str__(self) -> str:
        code = "" if self.sqlstate.startswith("08") else f" ({self.sqlstate})"
        return f"{self.node}: {self.message}{code}{self.hint and '. Hint: '}{self.hint}"


FAILURES = (Error, NodeUnreachable, psycopg.Error, OSError)


def connect(node: Node) -> Connection:
    """A connection in autocommit that no role's settings disturb; not yet limited (see limit_calls).

    Raises ConfigError, NodeUnreachable, Error or psycopg.Error.
    """
    defaults = CONNECTION_DEFAULTS | {"target_session_attrs": "read-write"}
    connection = node.connect(defaults, autocommit=True, row_factory=namedtuple_row)
    try:
        wait_at_most(connection, READ_SECONDS)
        refuse_pooler(node, connection)  # before anything that a session keeps: the next client of a pooler would have it
        connection.execute(sql.NEUTRALISE)
        with contextlib.suppress(psycopg.errors.InvalidParameterValue):
            connection.execute(sql.CHECK_CLIENT)
    except BaseException:
        connection.close()
        raise
    return connection


def refuse_pooler(node: Node, connection: Connection) -> None:
    """Raises Error if the connection ends at a pooler: the worker's lock and settings live as long as a session.

    A server tells its process id when a session begins, for cancelling; a pooler makes one up (tried: pgbouncer, in every mode).
    In session mode the worker would work, but that mode cannot be told from the others, and a lock that is left behind in a pool
    stops every later worker. What only passes bytes (HAProxy, an ssh tunnel) passes the process id too.
    """
    row = connection.execute(sql.BACKEND).fetchone()
    if row and row[0] != connection.info.backend_pid:
        message = "a connection pooler stands before the server, and the worker needs a session of its own"
        raise Error(node.name, "0A000", message, f"name the server itself in {node.variable}")


def limit_calls(connection: Connection, patience: int) -> float:
    """From here on each statement ends in time not to be in a user's way (R11), or the server is taken for frozen: the seconds.
    `patience`: how many times as long as usual they are, as process_batch() asks for."""
    row = connection.execute(sql.LIMIT_CALLS, {"patience": patience}).fetchone()
    seconds = float(row[0]) / 1000  # type: ignore[index]
    wait_at_most(connection, seconds + SILENCE_SECONDS)
    return seconds


def wait_at_most(connection: Connection, seconds: float) -> None:
    """Give the connection up when nothing has come or gone for so long; a big envelope on a slow line may take its time.

    Takes the place of psycopg.Connection.wait, which drives a statement's generator and waits for as long as it takes.
    """

    def wait(generator: Generator[int, int, Any], *_: Any, **__: Any) -> Any:
        try:
            event = next(generator)
            with selectors.DefaultSelector() as selector:
                while True:
                    selector.register(connection.fileno(), event)
                    ready = selector.select(seconds)
                    selector.unregister(connection.fileno())
                    if not ready:
                        connection.close()
                        raise psycopg.OperationalError(f"the server has been silent for {seconds:.0f} s")
                    event = generator.send(ready[0][1])
        except StopIteration as end:
            return end.value

    connection.wait = wait  # type: ignore[method-assign,assignment]


@contextlib.contextmanager
def hints(node: Node, connection: Connection, role: str) -> Iterator[None]:
    """Errors that the installation or the configuration causes get a note: what to type. `role`: whoever asks needs it."""
    try:
        yield
    except psycopg.Error as error:
        if describe(node, error).code == 4:
            error.add_note("alembic upgrade head")
        elif error.sqlstate == "42501":
            error.add_note(f"grant {role} to {connection.info.user};")
        elif error.sqlstate == "RF002":
            error.add_note(f"check the database in {node.variable}; alembic upgrade head names each node's peers")
        raise


def describe(node: Node, error: Exception) -> Error:
    """An error in words: of the server's the SQLSTATE and primary message, no detail or query; libpq's without a password."""
    if isinstance(error, Error):
        return error
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    message = node.masked(primary or str(error) or type(error).__name__)
    if isinstance(error, NodeUnreachable):
        message, _, hint = message.removeprefix(f"{node.name}: ").partition(". Hint: ")
        return Error(node.name, "08001", message, hint)
    sqlstate = getattr(error, "sqlstate", None) or "08006"
    return Error(node.name, sqlstate, message, "; ".join(getattr(error, "__notes__", [])))
