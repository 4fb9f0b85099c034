"""The only way a revision's SQL reaches a database: whole files, sent or printed as they are.

    sqlfile.run("revisions/0001_schema_and_roles.up.sql")

Paths are relative to sql/core, for the site lineage to its sql_location in alembic.ini. There a file may exist once for each
node: on node crm, 0001_attach.crm.up.sql is taken instead of 0001_attach.up.sql. A file of sql/core is taken as it was when the
revision was released: whoever changes it later keeps the text before in history/NNNN, NNNN being the revision that runs the new
one (new_function.py).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from alembic import op
from alembic.util import CommandError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import ExecutableDDLElement

from rowferry.migrations import statements

HERE = Path(__file__).resolve().parent

VERIFY = """do $verify$
declare
  v_missing text;
begin
  select string_agg(w.name, ', ') into v_missing
  from (
{query}
  ) w (is_there, name)
  where w.is_there::boolean is not true;
  if v_missing is not null then
    raise exception using errcode = 'RF038', message = 'the revision did not make what it should', detail = v_missing,
      hint = 'Nothing of it is left. Its SQL files were changed, or something took away what they made.';
  end if;
end
$verify$;
"""


# An index that was built concurrently and failed is still there, and `if not exists` takes it for done.
BUILT = """do $rowferry$
begin
  if exists (
    select from pg_catalog.pg_index i
    join pg_catalog.pg_class c on c.oid = i.indexrelid
    where i.indrelid = pg_catalog.to_regclass({table}) and not i.indisvalid
      and c.relname = (pg_catalog.parse_ident({index}))[pg_catalog.cardinality(pg_catalog.parse_ident({index}))]
  ) then
    raise exception using errcode = 'RF044', 
      message = pg_catalog.concat('index ', {index}, ' is invalid: an attempt to build it failed'),
      hint = pg_catalog.concat('drop index concurrently ', {index}, '; and run this again.');
  end if;
end
$rowferry$;
"""


class RawSql(ExecutableDDLElement):
    """SQL text that neither SQLAlchemy nor the driver looks into: no bind parameters, no %, one call for many statements."""

    inherit_cache = False

    def __init__(self, text: str) -> None:
        self.text = text


@compiles(RawSql)
def _compile(element: RawSql, compiler: Any, **kw: Any) -> str:
    return element.text


def shipped_sql() -> Path:
    """The folder of rowferry's SQL files: beside this one in a checkout, within it in an installed package."""
    return next(folder for folder in (HERE / "sql", HERE.parent / "sql") if (folder / "core").is_dir())


def newest_revision(core: Path = HERE / "core") -> int:
    """Number of core's newest revision, which is the version of the schema that it makes."""
    return max(int(path.name[:4]) for path in core.glob("[0-9][0-9][0-9][0-9]_*.py"))


def run(name: str) -> None:
    """Run one file of the lineage. Raises CommandError if it breaks a rule, DBAPIError with the file in a note."""
    paths = _paths(name)
    path = next(filter(Path.is_file, paths), None)
    if path is None:
        raise CommandError(f"no SQL file {' or '.join(map(str, paths))}")
    _run(path)
    op.get_context().opts.setdefault("ran", {})[name] = digest(path)


def _run(path: Path) -> None:
    text = read(path)
    _name(path)
    begun = 0
    try:
        for position, part in _parts(text):
            begun = position
            execute(part)
    except DBAPIError as error:
        error.add_note(_place(error, path, text, begun))
        raise


def _name(path: Path) -> None:
    context = op.get_context()
    if context.as_sql:
        context.impl.static_output(f"-- {path.parent.name}/{path.name}")


def _place(error: DBAPIError, path: Path, text: str, start: int) -> str:
    """The file, and the line in its text, of what began at `start` in it and failed."""
    place = getattr(getattr(error.orig, "diag", None), "statement_position", None)
    return f"in {path}, line {text.count(chr(10), 0, max(0, start + int(place) - 1)) + 1}" if place else f"in {path}"


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """What is sent in one call, and where it begins: in a transaction the whole text; in an autocommit_block each statement,
    since PostgreSQL makes a transaction of those that come together."""
    if not op.get_context().opts.get("autocommit"):
        yield 0, text
        return
    for statement in statements.split(text):
        yield statement.position, statement.text


def index_checks(text: str) -> Iterator[str]:
    """For each index that these statements build concurrently: what fails (RF044) if it is not valid then."""
    for built in filter(None, (statement.index() for statement in statements.split(text))):
        index, table = ("'" + name.replace("'", "''") + "'" for name in built)
        yield BUILT.format(index=index, table=table)


def verify(name: str) -> None:
    """Fail (RF038) unless is_there is true in every row of a file's query (is_there, name). Nothing without such a file."""
    path = next(filter(Path.is_file, _paths(name)), None)
    if path is None:
        return
    text = read(path)
    queries = [statement for statement in statements.split(text) if statement.words != (";",)]
    if len(queries) != 1:
        raise CommandError(f"{path}: a verify file is one query of two columns, whether a thing is there and its name")
    query = queries[0].text.rstrip().removesuffix(";")
    whole = VERIFY
    while (tag := whole.split()[1]) in query:  # a name may hold what ends the block
        whole = whole.replace(tag, f"{tag[:-1]}_$")
    _name(path)
    try:
        execute(whole.format(query=query))
    except DBAPIError as error:
        error.add_note(_place(error, path, text, queries[0].position - whole.index("{query}")))
        raise


def execute(text: str) -> None:
    """Send SQL to the database, or print it, as it stands."""
    context = op.get_context()
    if not context.as_sql:
        op.execute(RawSql(text), execution_options={"no_parameters": True})
        return
    parts = statements.split(text)
    ended = not parts or parts[-1].words[-1] == ";"
    context.impl.static_output(text.strip("\n") + ("" if ended else "\n;"))


def run_all(names: Iterable[str]) -> None:
    """Run files of the lineage in the order given."""
    for name in names:
        run(name)


def read(path: Path) -> str:
    """The text of an SQL file that keeps all rules; CommandError otherwise. Our own files keep them, as our tests say: to look
    at all of them takes longer than to run them."""
    data = path.read_bytes()
    broken = [] if path.is_relative_to(shipped_sql() / "core") else list(broken_rules(data))
    if broken:
        raise CommandError(f"{path}: {'; '.join(broken)}")
    return data.decode("utf-8")


def broken_rules(data: bytes) -> Iterable[str]:
    """What keeps a file from running the same way online, with --sql and with psql -f."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        yield f"line {line} is not UTF-8"
        return
    if text.startswith("\ufeff"):
        yield "begins with a byte order mark"
    for character, name in (("\r", "a carriage return"), ("\0", "a zero byte")):
        if character in text:
            yield f"line {text.count(chr(10), 0, text.index(character)) + 1} has {name}"
    try:
        found = statements.split(text)
    except statements.Unfinished:
        yield "has a quotation or comment without an end"
        return
    for statement in found:
        if statement.is_of_a_transaction():
            yield f"line {statement.line} begins or ends a transaction, which is the runner's part: {statement.words[0]}"
        if "\\" in statement.words:
            yield f"line {statement.line} has a psql command, which only psql understands"
        if statement.copies():
            yield f"line {statement.line} copies from stdin or to stdout, which only psql can"
        if statement.gives_up_locks():
            yield f"line {statement.line} gives up all locks of the session, the migration's too"


def _paths(name: str) -> list[Path]:
    """Where a file of the lineage may be, the node's own before the common one."""
    options = op.get_context().opts
    if options["lineage"] == "site":
        return places(options["sql_location"], name, options["node"])
    return [as_of(Path(options["sql_location"]), name, options["as_of"])]


def as_of(core: Path, name: str, revision: int) -> Path:
    """The file that holds what `name` was at a revision, by its number: the first that a later one replaced, or the present."""
    for folder in sorted((core / "history").glob("[0-9][0-9][0-9][0-9]")):
        if int(folder.name) > revision and (folder / name).is_file():
            return folder / name
    return core / name


def places(location: str, name: str, node: str) -> list[Path]:
    """Where a file of the site may be, the node's own before the common one."""
    common = Path(location) / name
    stem, _, rest = common.name.partition(".")
    return [common.with_name(f"{stem}.{node}.{rest}"), common]


def digest(path: Path) -> str:
    """SHA-256 of a file, as migration_log keeps it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
