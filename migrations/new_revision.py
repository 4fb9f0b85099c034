"""Writes the SQL files that a new revision of the site names, filled with what most revisions begin with.

Alembic runs it after `alembic -n site revision` (section [post_write_hooks] of alembic.ini):

    python -m rowferry.migrations.new_revision REVISION_FILE SITE_REVISIONS SITE_SQL

Each argument is a path; a revision that lies elsewhere than in SITE_REVISIONS is left alone, and so is a file that is there.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from rowferry.migrations.sqlfile import newest_revision

UP = """\
-- {title}: runs on every node. Where the nodes differ, make a file for each: {stem}.crm.up.sql.
-- The name below is no table, so that nothing happens before you have written yours.
select rowferry.require_core({version});

-- p_entity   the name that both nodes use, if it is not the table's
-- p_columns  '{{"id": "customer_id", "name": "title"}}', entity column to column, or an array; without it all of them
-- p_key      array['code']: columns of a unique index that name a record on both nodes, if the primary key does not
-- p_filter   'country = ''CH''': only these rows; p_direction 'send' or 'receive': one way only
-- p_outbound a view whose columns travel in place of the table's; p_inbound a function that makes rows of the table of them
-- p_conflict_rule  newest, node:crm, or merge:schema.function; the same on both nodes
-- Rows that are there already are sent later, in psql, by the node that has them: select * from rowferry.backfill('table');
select rowferry.attach('schema.table');
"""
DOWN = """\
-- Refused while changes wait to be sent.
select rowferry.detach('table');
"""
VERIFY = """\
-- What this revision is to have made, a row for each thing (is_there, name). It runs after it, in the same transaction, and
-- where one is not true nothing of the revision is left.
-- select exists (select from rowferry.entities e where e.name = 'accounts'), 'entity accounts'
select true, 'nothing is looked at yet';
"""


def main(file: str, site_revisions: str, site_sql: str) -> None:
    """Write the files that the revision names and that are missing, and print their names."""
    path, folder = Path(file), Path(site_sql)
    if path.parent.resolve() != Path(site_revisions).resolve():
        return
    for name in re.findall(r'sqlfile\.run\("([^"]+)"\)', path.read_text(encoding="utf-8")):
        target = folder / name
        stem = target.name.partition(".")[0]
        title = re.sub(r"^\d+_", "", stem).replace("_", " ")
        if name.endswith(".down.sql"):
            write(target, DOWN)
        else:
            write(target, UP.format(title=title, stem=stem, version=newest_revision()))
            write(target.with_name(f"{stem}.verify.sql"), VERIFY)


def write(target: Path, text: str) -> None:
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        print(f"  Write {target}, which is yours to fill in")


if __name__ == "__main__":
    main(*sys.argv[1:])
