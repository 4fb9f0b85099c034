"""`rowferry init`: a project with the user's own parts; rowferry's revisions and SQL stay in the package."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from rowferry.config import NODE_NAME, ConfigError

TOP = Path(__file__).resolve().parent.parent

# The names that the shipped files use, in comments too.
SHIPPED = ("crm", "billing")

NEXT = """\
{folder} holds your part of rowferry: alembic.ini, and migrations/site and sql/site for revisions of your own.
{names}In {folder}:
  export ROWFERRY_NODE_{first}='postgresql://..' ROWFERRY_NODE_{second}='postgresql://..'
  alembic upgrade head                                # rowferry itself, on both
  alembic -n site revision -m "sync tables"           # a revision of your own, still empty
  rowferry plan --into sql/site/revisions/0001_sync_tables    # fills it; read what it wrote
  alembic -n site upgrade head
  rowferry run"""
RENAME = "Give the nodes in alembic.ini your two names (or begin again: rowferry init {folder} --nodes north,south).\n"

# Before the ini file where the folder's path has a percent sign, which no ini file can hold.
PERCENT = """\
# Paths below are from this file's folder, since the name of a folder above it has a percent sign.
[DEFAULT]
here = .

"""


def init(options: argparse.Namespace) -> None:
    """The command: options.folder becomes a project of the nodes that options.nodes names."""
    names = tuple(map(str.strip, options.nodes.split(","))) if options.nodes else SHIPPED
    if len(set(names)) != 2 or len(names) != 2 or not all(map(NODE_NAME.fullmatch, names)):
        raise ConfigError(f"--nodes {options.nodes} are not two names. Hint: --nodes crm,billing (lower case, then digits, _)")
    print(lay_out(options.folder, names))


def shipped(*places: str) -> Path:
    """A file that is copied: of the package, or in a checkout the one at its top."""
    return next(path for path in (TOP / place for place in places) if path.is_file())


def lay_out(folder: Path, names: tuple[str, ...] = SHIPPED) -> str:
    """Make the project in a new or empty folder and return what to do next; ConfigError, and nothing is written, in any other."""
    if folder.resolve().name == "rowferry":
        raise ConfigError(f"{folder} would hide the package of this name. Hint: name it sync")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already and not an empty folder. Hint: name a new one")
    copies = {
        "alembic.ini": shipped("template/alembic.ini", "alembic.ini"),
        "migrations/site/README.md": shipped("migrations/site/README.md"),
        "sql/site/README.md": shipped("migrations/sql/site/README.md", "sql/site/README.md"),
        "sql/psql/rowferry.psqlrc": shipped("migrations/sql/psql/rowferry.psqlrc", "sql/psql/rowferry.psqlrc"),
    }
    try:
        for part in ("migrations/site", "sql/site/revisions"):
            (folder / part).mkdir(parents=True)
            (folder / part / ".gitkeep").touch()
        (folder / "sql" / "psql").mkdir()
        for name, path in copies.items():
            text = renamed(path.read_text(encoding="utf-8"), names)
            if name == "alembic.ini" and "%" in str(folder.absolute()):
                text = PERCENT + text
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made: {error.strerror}. Hint: name another folder") from None
    first, second = map(str.upper, names)
    return NEXT.format(folder=folder, first=first, second=second, names=RENAME.format(folder=folder) if names == SHIPPED else "")


def renamed(text: str, names: tuple[str, ...]) -> str:
    """The text with the names of these nodes in place of the shipped ones, in variables too."""
    new = dict(zip(SHIPPED, names, strict=True))
    new |= {old.upper(): name.upper() for old, name in new.items()}
    return re.sub(r"(?<![a-z])(crm|billing)(?![a-z])|(?<=_)(CRM|BILLING)\b", lambda match: new[match[0]], text)
