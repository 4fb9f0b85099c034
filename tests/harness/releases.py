"""Trees of revisions and SQL files beside the installed ones: the last release, and a next version of the present tree."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from rowferry.migrations.sqlfile import as_of, digest, newest_revision

from .migrations import INI
from .nodes import REPO

NOTE = Path("tests", "data", "released.sha256")


def texts(tree: Path) -> dict[str, str]:
    """SHA-256 of each text that a release fixes, by its path in the tree: core's revisions and the SQL files that they run."""
    found = [*(tree / "migrations" / "core").glob("[0-9]*.py"), *(tree / "sql" / "core").rglob("*.sql")]
    return {path.relative_to(tree).as_posix(): digest(path) for path in sorted(found)}


def fixed(tree: Path = REPO) -> dict[str, str]:
    """The same as of the last release, as `make release` has noted it; empty before the first one."""
    note = tree / NOTE
    lines = note.read_text().splitlines() if note.exists() else []
    return {name: sha256 for sha256, name in (line.split("  ") for line in lines if not line.startswith("#"))}


def place(tree: Path, name: str, number: int) -> Path:
    """The file of the tree that holds what `name` was when `number` was the newest revision."""
    core = tree / "sql" / "core"
    path = tree / name
    if not path.is_relative_to(core) or path.is_relative_to(core / "history"):
        return path
    return as_of(core, path.relative_to(core).as_posix(), number)


def newest_of(names: Iterable[str]) -> int:
    """Number of the newest revision of core among paths in a tree."""
    return max(int(Path(name).name[:4]) for name in names if name.endswith(".py"))


def altered(then: dict[str, str], tree: Path) -> list[str]:
    """Texts of a release that its revisions would find otherwise, or not at all, in the tree."""
    number = newest_of(then)
    found = {name: place(tree, name, number) for name in then}
    return [name for name, path in found.items() if not path.is_file() or digest(path) != then[name]]


def last_release(folder: Path, tree: Path = REPO) -> Path | None:
    """The last release's revisions and SQL files in a new folder, taken from the present tree; None before the first one."""
    then = fixed(tree)
    if not then:
        return None
    copy_of(tree, folder)
    for name in texts(folder):
        (folder / name).unlink()
    for name in then:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(place(tree, name, newest_of(then)), folder / name)
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
