"""What the demo shows: headings, commands with their output, SQL as typed into psql with the rows that come back."""

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg.pq import ExecStatus

from rowferry.demo import embedded
from rowferry.demo.children import DemoError, Signals, output

NARROWEST, WIDEST = 80, 100  # columns of a table before it is shown expanded: at least, and without a terminal
NUMERIC_OIDS = {20, 21, 23, 26, 700, 701, 1700}  # types that psql aligns to the right

Row = tuple[str | None, ...]


@dataclass
class Node:
    """A database with a psql session of its own; search_path is what that session was told to set."""

    name: str
    server: embedded.Server
    signals: Signals
    search_path: str = "public"
    _connection: psycopg.Connection[Row] | None = field(default=None)

    @property
    def uri(self) -> str:
        return self.server.conninfo(self.name)

    def rows(self, query: str) -> list[Row]:
        """Rows of a query or of a statement, each value as text, without showing anything; psycopg.Error from the server."""
        return [row for _, rows in [self._run(query)] for row in rows]

    def type(self, statement: str) -> str:
        """Show a statement as typed and what psql answers; returns the answer. DemoError if the server refuses it."""
        for number, line in enumerate(statement.splitlines()):
            say(bold(f"{self.name}{'=#' if number == 0 else '-#'} ", "32") + line)
        own = self.server.bin_dir / "psql"
        answer = self._psql(own, statement) if own.exists() else self._psycopg(statement)
        say(answer)
        return answer

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _psql(self, program: Path, statement: str) -> str:
        settings = [f"--pset={setting}" for setting in ("pager=off", "expanded=auto", f"columns={width()}")]
        options = f"-c search_path={self.search_path.replace(' ', '')} -c statement_timeout=10s"
        code, text = output(
            self.signals,
            [str(program), "-X", "-v", "ON_ERROR_STOP=1", *settings, "-c", statement, self.uri],
            30,
            env={**embedded.environment(self.server.bin_dir), "PGOPTIONS": options, "PGCLIENTENCODING": "UTF8"},
        )
        if code:
            raise DemoError(f"{self.name}: {statement}\n{text.strip()}")
        return "\n".join(line.rstrip() for line in text.rstrip().splitlines())

    def _psycopg(self, statement: str) -> str:
        try:
            result, rows = self._run(statement)
        except psycopg.Error as error:
            raise DemoError(f"{self.name}: {statement}\n{error}") from None
        tag = (result.command_status or b"").decode()
        if result.status != ExecStatus.TUPLES_OK:
            return tag
        columns = range(result.nfields)
        names = [(result.fname(column) or b"").decode() for column in columns]
        right = [result.ftype(column) in NUMERIC_OIDS for column in columns]
        return table(names, right, rows) + ("" if tag.startswith("SELECT") else f"\n\n{tag}")

    def _run(self, statement: str) -> tuple[psycopg.pq.abc.PGresult, list[Row]]:
        if self._connection is None:
            self._connection = psycopg.connect(self.uri, autocommit=True, options="-c statement_timeout=10s")
        self._connection.execute("select set_config('search_path', %s, false)", [self.search_path])
        result = self._connection.pgconn.exec_(statement.encode())
        if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            raise psycopg.DatabaseError(result.error_message.decode(errors="replace").strip())
        columns = range(result.nfields)
        values = [[result.get_value(row, column) for column in columns] for row in range(result.ntuples)]
        return result, [tuple(None if value is None else value.decode() for value in row) for row in values]


def say(text: str = "") -> None:
    print(text, flush=True)


def prompt(command: str) -> None:
    say(bold("$ ", "32") + command)


def heading(text: str) -> None:
    say(f"{bold(f'=== {text}', '36')}\n")


def bold(text: str, colour: str = "") -> str:
    """The text in bold and colour (an SGR number) if this is a terminal and nobody has asked for none."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\033[1{';' if colour else ''}{colour}m{text}\033[0m"


def dim(text: str) -> str:
    plain = bold(text)
    return text if plain == text else f"\033[2m{text}\033[0m"


def width() -> int:
    """Columns for tables: the terminal's, or 100 without one."""
    return max(NARROWEST, shutil.get_terminal_size((WIDEST, 24)).columns) if sys.stdout.isatty() else WIDEST


def table(names: Sequence[str], right: Sequence[bool], rows: Sequence[Row]) -> str:
    """Rows as psql prints them, expanded if they are wider than the terminal."""
    cells = [["" if value is None else value for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(names, *cells, strict=True)]
    if rows and sum(widths) + 3 * len(widths) - 1 > width():
        widest, value_width = max(map(len, names)), max(len(value) for row in cells for value in row)
        lines = []
        for number, row in enumerate(cells, 1):
            label = f"-[ RECORD {number} ]"
            label = label if len(label) > widest + 1 else label.ljust(widest + 1, "-") + "+"
            lines.append(label.ljust(widest + 3 + value_width, "-"))
            lines += [f"{name.ljust(widest)} | {value}" for name, value in zip(names, row, strict=True)]
    else:
        lines = [" " + " | ".join(name.center(size) for name, size in zip(names, widths, strict=True))]
        lines.append("+".join("-" * (size + 2) for size in widths))
        for row in cells:
            aligned = [
                value.rjust(size) if to_right else value.ljust(size)
                for value, size, to_right in zip(row, widths, right, strict=True)
            ]
            lines.append(" " + " | ".join(aligned))
        lines.append(f"({len(rows)} row{'' if len(rows) == 1 else 's'})")
    return "\n".join(line.rstrip() for line in lines)
