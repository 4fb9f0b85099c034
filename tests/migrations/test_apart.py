"""One step knows nothing of the one before, and what Alembic writes knows nothing of either."""

from pathlib import Path

import pytest

from harness import Node, Nodes
from harness.migrations import plant, psql, succeed

SCHEMA = "select relnamespace::regnamespace::text as schema, pg_get_userbyid(relowner) as owner from pg_class where relname = %s"


def run(nodes: Nodes, node: Node, ini: Path, how: str) -> None:
    if how == "online":
        succeed(nodes, "-n", "site", "-x", f"node={node.name}", "upgrade", "head", ini=ini)
    else:
        script = succeed(nodes, "-n", "site", "-x", f"node={node.name}", "upgrade", "head", "--sql", ini=ini)
        assert psql(node, script) == (0, "")


@pytest.mark.case(135)
@pytest.mark.parametrize("how", ["online", "printed"])
@pytest.mark.parametrize(
    "left",
    [
        "set search_path = mine;\n",
        "set role rowferry_viewer;\n",
        "set session authorization rowferry_viewer;\n",
        "reset all;\n",
        "set lock_timeout = 1;\nset search_path = pg_temp;\nset standard_conforming_strings = off;\n",
        "set default_transaction_read_only = on;\n",
        "do $$ begin perform set_config('rowferry.force', 'on', false), set_config('search_path', 'mine', false); end $$;\n",
    ],
)
def test_settings_of_a_step_are_gone_in_the_next(blank: Nodes, tmp_path: Path, how: str, left: str) -> None:
    succeed(blank, "upgrade", "core_0001")
    node = blank.crm
    node.sql("create schema mine")
    look = "select current_user::text as who, coalesce(current_setting('rowferry.force', true), '') as force;\n"
    ini = plant(tmp_path, "site", left, f"create table after as {look}")
    run(blank, node, ini, how)
    [owner] = node.sql("select current_user::text as name")
    assert node.sql(SCHEMA, ["after"]) == [{"schema": "public", "owner": owner["name"]}]
    assert node.sql("select * from after") == [{"who": owner["name"], "force": ""}]
    assert node.sql("select version_num from rowferry.alembic_version_site") == [{"version_num": "site_0002"}]
