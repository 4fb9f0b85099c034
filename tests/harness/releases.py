"""Trees of revisions and SQL files beside the installed ones: the last release, and a next version of the present tree."""

from __future__ import annotations

import configparser
import io
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

from rowferry.migrations.sqlfile import as_of, newest_revision

from .migrations import INI
from .nodes import REPO


def release() -> str | None:
    """The last release, by its tag; None where there is none yet, or no history, as in an archive of the source."""
    command = ["git", "describe", "--tags", "--match", "v[0-9]*", "--abbrev=0"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    return done.stdout.strip() or None


def unpack(tag: str, folder: Path) -> Path:
    """The tree of a release, in a new folder."""
    packed = subprocess.run(["git", "archive", tag, "migrations", "sql"], cwd=REPO, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def copy_of(tree: Path, folder: Path) -> Path:
    """The same tree in a new folder."""
    for part in ("migrations", "sql"):
        shutil.copytree(tree / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def new_version(tree: Path, *names: str) -> list[Path]:
    """What `make new-function` writes into the tree for these names, those to edit first."""
    command = [sys.executable, "-m", "rowferry.migrations.new_function", *names]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [tree / name for name in done.stdout.split()]


def ini_of(tree: Path) -> Path:
    """An ini file that runs the revisions of that tree in place of the installed ones."""
    parser = configparser.RawConfigParser()
    parser.read(INI)
    parser["alembic"]["script_location"] = str(tree / "migrations")
    parser["alembic"]["version_locations"] = str(tree / "migrations" / "core")
    parser["alembic"]["sql_location"] = str(tree / "sql" / "core")
    ini = tree / "tree.ini"
    with ini.open("w") as file:
        parser.write(file)
    return ini


def newest(tree: Path) -> int:
    """Number of the tree's newest revision of core."""
    return newest_revision(tree / "migrations" / "core")


def altered(released: Path, present: Path) -> list[str]:
    """Files of a release that its revisions would find with another text, or none, in the present tree."""
    then, now = released / "sql" / "core", present / "sql" / "core"
    names = [path.relative_to(then).as_posix() for path in sorted(then.rglob("*.sql"))]
    found = {name: as_of(now, name, newest(released)) if not name.startswith("history/") else now / name for name in names}
    return [name for name, path in found.items() if not path.is_file() or path.read_bytes() != (then / name).read_bytes()]
