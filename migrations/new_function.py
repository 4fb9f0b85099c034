"""Begins a new version of a function or a view that was released, with a revision of core that runs it.

    make new-function NAME=pause

The text as it was released is kept in sql/core/history/NNNN, NNNN being the new revision: all revisions before it go on to run
that. The revision raises version() by one; its downgrade runs what was there before. What is left is to edit the file itself;
where parameters change, drop the old function in the revision's own SQL (create or replace would make another beside it).
"""

from __future__ import annotations

import difflib
import re
import sys
from pathlib import Path

from rowferry.migrations.sqlfile import newest_revision

ROOT = Path.cwd()  # a checkout: an installed package has no functions of its own to change
SQL = ROOT / "sql" / "core"
CORE = ROOT / "migrations" / "core"
APART = {"revisions", "tables", "history"}
REVISION = '''"""{title}"""

from rowferry.migrations import sqlfile

revision = "core_{number:04}"
down_revision = "core_{before:04}"
# Up, each file as it is at this revision; down, as it was at the one before.
FILES = [
    "revisions/as_owner.sql",
    "{file}",
    "base/version.sql",
    "revisions/rights.sql",
    "revisions/note_release.sql",
    "revisions/as_runner.sql",
]


def upgrade() -> None:
    sqlfile.run_all(FILES)


def downgrade() -> None:
    sqlfile.run_all(FILES)
'''


def files() -> dict[str, Path]:
    """The file of each function and view, by its name."""
    return {path.stem: path for path in sorted(SQL.glob("*/*.sql")) if path.parent.name not in APART}


def keep(path: Path, number: int) -> Path:
    """Keep the text that revision `number` replaces. Returns the file that holds it."""
    kept = SQL / "history" / f"{number:04}" / path.relative_to(SQL)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(path.read_bytes())
    return kept


def main(name: str) -> int:
    """Write the files and print their names, the one to edit first. Returns 0, or 2 if there is no such function."""
    found = files()
    version = found.pop("version")  # each revision makes a new one
    path = found.get(name)
    if path is None:
        near = ", ".join(difflib.get_close_matches(name, found)) or "ls sql/core/*"
        print(f"no function {name!r} to make a new version of. Hint: {near}", file=sys.stderr)
        return 2
    number = newest_revision(CORE) + 1
    revision = CORE / f"{number:04}_{name.strip('_')}.py"
    written = [path, keep(path, number), keep(version, number), revision]
    text = re.sub(r"\bselect \d+ \$\$", f"select {number} $$", version.read_text(encoding="utf-8"))
    version.write_text(text, encoding="utf-8")
    values = {"title": f"a new version of {name}", "number": number, "before": number - 1}
    revision.write_text(REVISION.format(file=path.relative_to(SQL).as_posix(), **values), encoding="utf-8")
    for file in written:
        print(file.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
