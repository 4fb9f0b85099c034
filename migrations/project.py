"""`rowferry init`: a project with the user's own parts; rowferry's revisions and SQL stay in the package."""

from __future__ import annotations

from pathlib import Path

from rowferry.config import ConfigError

TOP = Path(__file__).resolve().parent.parent

NEXT = """\
{folder} holds your part of rowferry: alembic.ini, and migrations/site and sql/site for revisions of your own.
Give the nodes in alembic.ini your two names; then, in {folder}:
  export ROWFERRY_NODE_CRM='postgresql://..' ROWFERRY_NODE_BILLING='postgresql://..'
  alembic upgrade head                                # rowferry itself, on both
  alembic -n site revision -m "sync accounts"         # then fill in the SQL files that it names
  alembic -n site upgrade head
  rowferry run"""

# Before the ini file where the folder's path has a percent sign, which no ini file can hold.
PERCENT = """\
# Paths below are from this file's folder, since the name of a folder above it has a percent sign.
[DEFAULT]
here = .

"""


def shipped_ini() -> Path:
    """The alembic.ini that is copied: the package's, or in a checkout the one at its top."""
    return next(path for path in (TOP / "template" / "alembic.ini", TOP / "alembic.ini") if path.is_file())


def lay_out(folder: Path) -> str:
    """Make the project in a new or empty folder and return what to do next; ConfigError, and nothing is written, in any other."""
    if folder.resolve().name == "rowferry":
        raise ConfigError(f"{folder} would hide the package of this name. Hint: name it sync")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is there already and not an empty folder. Hint: name a new one")
    try:
        for part in ("migrations/site", "sql/site/revisions"):
            (folder / part).mkdir(parents=True)
            (folder / part / ".gitkeep").touch()
        ini = shipped_ini().read_text(encoding="utf-8")
        if "%" in str(folder.absolute()):
            ini = PERCENT + ini
        (folder / "alembic.ini").write_text(ini, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made: {error.strerror}. Hint: name another folder") from None
    return NEXT.format(folder=folder)
