"""A worker's connection to a node: its settings, how long it waits for a silent server, and errors in words without secrets."""

import contextlib
import selectors
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import psycopg
from psycopg.rows import namedtuple_row

from rowferry import sql
from rowferry.config import CONNECTION_DEFAULTS, Node, NodeUnreachable

# How long a server may say nothing beyond the time that it gives a statement. One that is stopped (SIGSTOP, a suspended machine)
# or waits for a lost synchronous standby still acknowledges at the level of TCP, so no setting of libpq or the kernel notices.
SILENCE_SECONDS = 10.0
READ_SECONDS = 15.0  # as long as no statement is limited yet: whoever waits for a lost answer keeps the other node's lock


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


class Connection(psycopg.Connection[Any]):
    """Gives itself up when nothing has come or gone for `seconds`; a big envelope on a slow line may take its time."""

    seconds = READ_SECONDS
    begins = False  # whether a statement only begins, and finish() runs it to its end
    statement: Any = None  # the generator by which psycopg drives it
    awaited: int | None = None  # what the socket has to be ready for, so that it goes on; None: it has ended
    until = 0.0  # when it is given up
    error: Exception | None = None

    def begin(self, query: str, **parameters: Any) -> psycopg.Cursor[Any]:
        """Begin a statement, whose rows are there after finish()."""
        self.begins = True
        cursor = self.execute(query, parameters, binary=True)
        self.begins = False
        return cursor

    def wait(self, gen: Any, *_: Any, **__: Any) -> Any:
        """Takes the place of psycopg's own, which waits for as long as it takes."""
        self.statement, self.error = gen, None
        self.go_on()
        if not self.begins:
            for error in finish([self]).values():
                raise error

    def go_on(self, event: int | None = None) -> None:
        """Run the statement until it waits for the server again, or ends."""
        self.awaited, self.until = None, time.monotonic() + self.seconds
        with contextlib.suppress(StopIteration):
            try:
                self.awaited = self.statement.send(event)
            except (psycopg.Error, OSError) as error:
                self.error = error


def finish(connections: Sequence[Connection], first: bool = False) -> dict[Connection, Exception]:
    """Run the statements that were begun to their end, all at once, or with `first` until one of them has ended: the errors."""
    with selectors.PollSelector() as selector:
        while waiting := [connection for connection in connections if connection.awaited]:
            if first and len(waiting) < len(connections):
                break
            for connection in waiting:
                selector.register(connection, connection.awaited or 0)
            ready = selector.select(max(0, min(connection.until for connection in waiting) - time.monotonic()))
            now = time.monotonic()
            for connection in waiting:
                selector.unregister(connection)
            for key, event in ready:
                cast(Connection, key.fileobj).go_on(event)
            for connection in waiting:
                if connection.until <= now:
                    connection.close()
                    connection.awaited = None
                    connection.error = psycopg.OperationalError(f"the server has been silent for {connection.seconds:.0f} s")
    return {connection: connection.error for connection in connections if connection.error}


def connect(node: Node) -> Connection:
    """A connection in autocommit that no role's settings disturb. Raises ConfigError, NodeUnreachable, Error or psycopg.Error."""
    defaults = CONNECTION_DEFAULTS | {"target_session_attrs": "read-write"}
    connection = cast(Connection, node.connect(defaults, Connection, autocommit=True, row_factory=namedtuple_row))
    try:
        refuse_pooler(node, connection)  # before anything that a session keeps: the next client of a pooler would have it
        connection.execute(sql.NEUTRALISE)
        with contextlib.suppress(psycopg.errors.InvalidParameterValue):
            connection.execute(sql.CHECK_CLIENT)
    except BaseException:
        connection.close()
        raise
    return connection


def refuse_pooler(node: Node, connection: Connection) -> None:
    """Raises Error if the connection ends at a pooler, which makes up the process id: a lock left in a pool stops later workers.

    Session mode cannot be told from the others. What only passes bytes (HAProxy, an ssh tunnel) passes the process id too.
    """
    row = connection.execute(sql.BACKEND).fetchone()
    if row and row[0] != connection.info.backend_pid:
        message = "a connection pooler stands before the server, and the worker needs a session of its own"
        raise Error(node.name, "0A000", message, f"name the server itself in {node.variable}")


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
