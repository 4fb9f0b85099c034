"""What a migration says: a line for each thing, each with the name of its node, and one exit code.

1 the database refused, 2 configuration, 3 a node is out of reach, 5 another migration holds the lock, 130 Ctrl-C.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn, TextIO

import psycopg
from alembic import context
from alembic.script.revision import RevisionError
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from rowferry.config import ConfigError, Node, NodeUnreachable

log = logging.getLogger("rowferry.migrations")


class Refusal(Exception):
    """Ends the command with a message for people and an exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


ERRORS = (ConfigError, NodeUnreachable, Refusal, CommandError, RevisionError, SQLAlchemyError, psycopg.Error, KeyboardInterrupt)


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


@contextlib.contextmanager
def about(node: Node) -> Iterator[None]:
    """What commands print, what Alembic runs and what the database says, a line each, for one node."""
    config = context.config
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(f"{node.name}: %(message)s"))
    handler.addFilter(lambda record: record.name == log.name or record.msg.startswith("Running") or record.levelno > logging.INFO)
    quiet = getattr(config.cmd_opts, "quiet", False)
    loggers = [log, logging.getLogger("alembic.runtime.migration")]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    stdout = config.stdout
    config.stdout = Prefixed(stdout, f"{node.name}: ")  # type: ignore[assignment]
    for logger in loggers:
        logger.setLevel(logging.WARNING if quiet else logging.INFO)
        logger.propagate = False
        logger.addHandler(handler)
    try:
        yield
    finally:
        config.stdout = stdout
        for logger, level, propagate in before:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagate


def finish(error: BaseException, node: Node | None = None, after: Sequence[str] = ()) -> NoReturn:
    """Say what went wrong and how to go on, without a traceback; programs that call Alembic get the exception itself.

    `after`: further lines, which are not about this node alone.
    """
    config = context.config
    if config.cmd_opts is None or getattr(config.cmd_opts, "raiseerr", False):
        raise error
    lines, code = _words(error)
    lines += getattr(error, "__notes__", [])
    prefix = f"{node.name}: " if node else ""
    for line in "\n".join(lines).splitlines():
        print(line if line.startswith(prefix) else f"{prefix}{line}", file=sys.stderr)
    for line in after:
        print(line, file=sys.stderr)
    sys.exit(code)


def _words(error: BaseException) -> tuple[list[str], int]:
    database_error = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(error, KeyboardInterrupt):
        return ["interrupted; of the revision in hand nothing is left but what it had committed itself"], 130
    if isinstance(error, ConfigError):
        return [str(error)], 2
    if isinstance(error, NodeUnreachable):
        return [str(error)], 3
    if isinstance(error, Refusal):
        return [str(error)], error.code
    if isinstance(database_error, psycopg.Error) and database_error.diag.sqlstate:
        diag = database_error.diag
        lines = [f"ERROR {diag.sqlstate}: {diag.message_primary}"]
        # Where a check of rowferry's own raises, the error itself says all.
        where = None if (diag.context or "").startswith("PL/pgSQL function inline_code_block") else diag.context
        for word, text in (("DETAIL", diag.message_detail), ("HINT", diag.message_hint), ("CONTEXT", where)):
            lines += [f"{word}: {text}"] if text else []
        if diag.sqlstate == "55P03" and not diag.message_hint:
            lines.append("HINT: a transaction that stays open is in the way (see pg_stat_activity.xact_start).")
        return lines, 1
    if isinstance(database_error, psycopg.OperationalError):
        return [f"the connection was lost: {' '.join(str(database_error).split())}"], 3
    if isinstance(error, SQLAlchemyError):
        return [f"{' '.join(str(error).split())} Hint: SQL as it stands goes into a file: sqlfile.run(..)"], 1
    return [str(error)], 1
