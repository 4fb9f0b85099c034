"""`rowferry drift`: what was changed by hand, in a node's database or in SQL files of the site's revisions that it has run.

`rowferry.migration_log` keeps the digest of each file that a step ran; here it is compared with the file on this machine.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from rowferry.config import Node, config_file
from rowferry.connection import Connection
from rowferry.migrations import sqlfile
from rowferry.observe.ask import Cursor, Rows, ask

DRIFT = "select * from rowferry.drift()"
DRIFT_SECONDS = 600.0  # all functions of some thousand tables may be compared meanwhile
SITE_LOG = "select revision, direction, files, ran_at from rowferry.migration_log where lineage = 'site' order by ran_at"

FIX = 'Put its old text back; for what is to change make a new revision: alembic -n site revision -m "what it does"'


def drift(options: argparse.Namespace) -> int:
    """rowferry.drift() of each node: the object, what was done to it, and below it the line that heals it in psql; and the files
    of the site's revisions that are not what the node ran."""
    rows, code = ask(options.config, Site(options.config).read)
    if options.json:
        print(json.dumps(rows, indent=2))
    else:
        for row in rows:
            print(f"{row['node']}: {row['object']}: {row['problem']}\n  {row['fix']}")
    return max(code, int(bool(rows)))


class Site:
    """The site's files on this machine, as the ini file has them; none where it has no section for them."""

    def __init__(self, path: str | None) -> None:
        self.config = Config(str(config_file(path)), ini_section="site")
        section = self.config.file_config.has_section("site")
        named = self.config.get_main_option("sql_location") if section else None
        self.location = config_file(path).absolute().parent / named if named else None
        if self.location is not None and not self.location.is_dir():
            print(f"rowferry: no folder {self.location}: files of your revisions are not compared", file=sys.stderr)
            self.location = None

    def read(self, node: Node, cursor: Cursor) -> Rows:
        """A row (object, problem, fix) for each thing that was changed by hand. Raises psycopg.Error."""
        cast(Connection, cursor.connection).seconds = DRIFT_SECONDS
        in_database = cursor.execute(DRIFT).fetchall()
        return in_database + self.edited(node, cursor.execute(SITE_LOG))

    def edited(self, node: Node, log: Iterable[dict[str, Any]]) -> Rows:
        """A row (object, problem, fix) for each file that is not what the node ran last, by the log's rows, oldest first."""
        if self.location is None:
            return []
        rows = []
        for revision, step in self.applied(log).items():
            ran = f"after revision {revision} had run it, {step['ran_at']:%Y-%m-%d %H:%M:%S}"
            for name, digest in step["files"].items():
                places = sqlfile.places(str(self.location), name, node.name)
                path = next(filter(Path.is_file, places), None)
                if path is None:
                    rows.append({"object": str(places[-1]), "problem": f"it was removed {ran}", "fix": FIX})
                elif sqlfile.digest(path) != digest:
                    rows.append({"object": str(path), "problem": f"it was edited {ran}", "fix": FIX})
        return rows

    def applied(self, log: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
        """The last upgrade of each revision that was not taken back. What a stamp leaves out is not applied any more."""
        steps: dict[str, dict[str, Any]] = {}
        for step in log:
            if step["direction"] == "upgrade":
                steps[step["revision"]] = step
            elif step["direction"] == "downgrade":
                steps.pop(step["revision"], None)
            else:
                kept = self.up_to(step["revision"])
                steps = {revision: step for revision, step in steps.items() if revision in kept}
        return steps

    def up_to(self, stamped: str) -> set[str]:
        """The revisions that a stamp stands for, as the log writes it: "site_0002", "site_0002, other", or "base"."""
        if stamped == "base":
            return set()
        targets = tuple(stamped.split(", "))
        try:
            found = ScriptDirectory.from_config(self.config).iterate_revisions(targets, "base")
            return {script.revision for script in found}
        except CommandError:  # its file is not on this machine
            return set(targets)
