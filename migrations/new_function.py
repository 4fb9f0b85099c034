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

ROOT = Path(__file__).parent.parent
FUNCTIONS = ROOT / "sql" / "core" / "functions"
CORE = ROOT / "migrations" / "core"
REVISION = '''"""{title}"""

from migrations import sqlfile

revision = "core_{number:04}"
down_revision = "core_{before:04}"


def upgrade() -> None:
    sqlfile.run_all(
        [
            "revisions/as_owner.sql",
            "functions/{new}",
            "functions/{new_version}",
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
            "revisions/note_release.sql",
            "revisions/as_runner.sql",
        ]
    )
'''


def last(name: str) -> Path | None:
    """The newest file of a function."""
    return max((path for path in FUNCTIONS.glob(f"{name}_v??.sql") if path.stem[:-4] == name), default=None)


def following(path: Path) -> Path:
    """The file of the version after this one; it does not exist yet."""
    return path.with_name(f"{path.stem[:-2]}{int(path.stem[-2:]) + 1:02}.sql")


def main(name: str) -> int:
    """Write the files and print their names. Returns 0, or 2 if there is no such function."""
    old, old_version = last(name), last("version")
    if old is None or old_version is None or name == "version":
        names = {path.stem[:-4] for path in FUNCTIONS.glob("*_v??.sql")} - {"version"}
        near = ", ".join(difflib.get_close_matches(name, names)) or "ls sql/core/functions"
        print(f"no function {name!r} to make a new version of. Hint: {near}", file=sys.stderr)
        return 2
    before = max(int(path.name[:4]) for path in CORE.glob("[0-9][0-9][0-9][0-9]_*.py"))
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
