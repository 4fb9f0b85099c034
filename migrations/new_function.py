"""Begins a new version of a function: copies its last file to _vNN+1 and adds a revision of core that runs it.

    make new-function NAME=pause

The revision raises version() by one, notes what it released, and its downgrade runs the files before it. What is left is to edit
the copy; where parameters change, drop the old one in the revision's own SQL (create or replace would make another beside it).
"""

from __future__ import annotations

import difflib
import re
import sys
from pathlib import Path

from rowferry.migrations.sqlfile import newest_revision

ROOT = Path.cwd()  # a checkout: an installed package has no functions of its own to change
FUNCTIONS = ROOT / "sql" / "core" / "functions"
CORE = ROOT / "migrations" / "core"
REVISION = '''"""{title}"""

from rowferry.migrations import sqlfile

revision = "core_{number:04}"
down_revision = "core_{before:04}"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "functions/{new}",
            "functions/{new_version}",
            "revisions/rights.sql",
            "revisions/note_release.sql",
            "revisions/as_runner.sql",
        ]
    )


def downgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "functions/{old}",
            "functions/{old_version}",
            "revisions/rights.sql",
            "revisions/note_release.sql",
            "revisions/as_runner.sql",
        ]
    )
'''


def newest_files() -> dict[str, Path]:
    """The newest file of each function, by the function's name."""
    return {path.stem[:-4]: path for path in sorted(FUNCTIONS.glob("*_v??.sql"))}


def following(path: Path) -> Path:
    """The file of the version after this one; it does not exist yet."""
    return path.with_name(f"{path.stem[:-2]}{int(path.stem[-2:]) + 1:02}.sql")


def main(name: str) -> int:
    """Write the files and print their names. Returns 0, or 2 if there is no such function."""
    files = newest_files()
    old_version = files.pop("version")  # each revision makes a new one
    old = files.get(name)
    if old is None:
        near = ", ".join(difflib.get_close_matches(name, files)) or "ls sql/core/functions"
        print(f"no function {name!r} to make a new version of. Hint: {near}", file=sys.stderr)
        return 2
    before = newest_revision(CORE)
    new, new_version = following(old), following(old_version)
    revision = CORE / f"{before + 1:04}_{name.strip('_')}.py"
    texts = {
        new: old.read_text(encoding="utf-8"),
        new_version: re.sub(r"\bselect \d+ \$\$", f"select {before + 1} $$", old_version.read_text(encoding="utf-8")),
        revision: REVISION.format(
            title=f"a new version of {name}",
            number=before + 1,
            before=before,
            new=new.name,
            old=old.name,
            new_version=new_version.name,
            old_version=old_version.name,
        ),
    }
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
