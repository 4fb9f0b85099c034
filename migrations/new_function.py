"""Begins new versions of functions, views and tables that were released, with a revision of core that runs them.

    make new-function NAME="pause rights"

The text as it was released is kept in sql/core/history/NNNN, NNNN being the new revision: all revisions before it go on to run
that. The revision raises version() by one; its downgrade runs what was there before. What is left is to edit the files
themselves; a table also wants its `alter table` in the revision's own SQL files. Where parameters change, drop the old function
there (create or replace would make another beside it).
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from rowferry.migrations.sqlfile import newest_revision

ROOT = Path.cwd()  # a checkout: an installed package has no functions of its own to change
SQL = ROOT / "sql" / "core"
CORE = ROOT / "migrations" / "core"
REVISION = '''"""{title}"""

from rowferry.migrations import sqlfile

revision = "core_{number:04}"
down_revision = "core_{before:04}"


def upgrade() -> None:
    sqlfile.run_all(
        [
{up}        ]
    )


def downgrade() -> None:
    """Each file as it was at the revision before."""
    sqlfile.run_all(
        [
{down}        ]
    )
'''
# Each revision ends with these.
LAST = ["rights", "note_release", "as_runner"]


def files() -> dict[str, Path]:
    """The file of each function, view, table and list of rights, by its name."""
    found = [path for path in sorted(SQL.glob("*/*.sql")) if path.parent.name != "history" and not path.name[:4].isdigit()]
    return {path.stem: path for path in found}


def keep(path: Path, number: int) -> Path:
    """Keep the text that revision `number` replaces. Returns the file that holds it."""
    kept = SQL / "history" / f"{number:04}" / path.relative_to(SQL)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(path.read_bytes())
    return kept


def main(names: Sequence[str]) -> int:
    """Write the files and print their names, those to edit first. Returns 0, or 2 if something has no such name."""
    found = files()
    version = found.pop("version")  # each revision makes a new one
    unknown = [name for name in names or [""] if name not in found]
    if unknown:
        near = ", ".join(difflib.get_close_matches(unknown[0], found)) or "ls sql/core/*"
        print(f"nothing has the name {unknown[0]!r} to make a new version of. Hint: {near}", file=sys.stderr)
        return 2
    number = newest_revision(CORE) + 1
    stem = f"{number:04}_{names[0].strip('_')}"
    paths = [found[name] for name in names]
    tables = [path.stem for path in paths if path.parent.name == "tables"]
    functions = [path for path in paths if path.parent.name not in ("tables", "revisions")]
    own = {way: SQL / "revisions" / f"{stem}.{way}.sql" for way in ("up", "down")} if tables else {}
    kept = [keep(path, number) for path in [*paths, version]]
    for file in own.values():
        file.write_text("".join(f"-- alter table rowferry.{table} ..;\n" for table in tables), encoding="utf-8")
    text = re.sub(r"\bselect \d+ \$\$", f"select {number} $$", version.read_text(encoding="utf-8"))
    version.write_text(text, encoding="utf-8")
    check = SQL / "revisions" / f"{stem}.verify.sql"
    check.write_text(f"select rowferry.version() >= {number}, 'version() says {number} or more';\n", encoding="utf-8")
    first, last = [found["as_owner"]], [found[name] for name in LAST]
    up = [*first, *filter(None, [own.get("up")]), *functions, version, *last]
    down = [*first, *functions, version, *filter(None, [own.get("down")]), *last]
    revision = CORE / f"{stem}.py"
    values = {"title": f"a new version of {', '.join(names)}", "number": number, "before": number - 1}
    revision.write_text(REVISION.format(up=_listed(up), down=_listed(down), **values), encoding="utf-8")
    for file in [*paths, *own.values(), check, *kept, revision]:
        print(file.relative_to(ROOT))
    return 0


def _listed(paths: Sequence[Path]) -> str:
    return "".join(f'            "{path.relative_to(SQL).as_posix()}",\n' for path in paths)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
