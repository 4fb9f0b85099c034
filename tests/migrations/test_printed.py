"""Printed scripts: what was refused runs nothing more, and they do what `alembic` does online."""

from pathlib import Path

import pytest

from harness import Nodes
from harness.migrations import alembic, plant, psql, succeed

OUTSIDE = "    with op.get_context().autocommit_block():\n        sqlfile.run('revisions/{}_step.up.sql')\n"
VERSION = "select version_num from rowferry.alembic_version_site"
INDEXES = """create index concurrently t_a on t (a);
-- and one more
create unique index concurrently if not exists "T_b" on only public.t (id, a);
"""


@pytest.fixture
def installed(blank: Nodes) -> Nodes:
    succeed(blank, "upgrade", "core_0001")
    for node in blank:
        node.sql("create table t (id int primary key, a text)")
    return blank


def outside(folder: Path, number: str) -> None:
    """Let a planted revision run its file in an autocommit_block."""
    path = folder / "site" / f"{number}_step.py"
    inside = f"    sqlfile.run('revisions/{number}_step.up.sql')\n"
    assert inside in path.read_text()
    path.write_text(path.read_text().replace(inside, OUTSIDE.format(number)))


@pytest.mark.case(139)
@pytest.mark.parametrize("at", ["site_0001", "site_0003", "nothing"])
def test_a_refused_script_runs_nothing_even_where_psql_goes_on(installed: Nodes, tmp_path: Path, at: str) -> None:
    ini = plant(tmp_path, "site", "create table one ();\n", INDEXES, "create table three ();\n")
    outside(tmp_path, "0002")
    node = installed.crm
    script = succeed(
        installed, "-n", "site", "-x", "node=crm", "upgrade", "head" if at != "nothing" else "site_0001:head", "--sql", ini=ini
    )
    if at != "nothing":
        succeed(installed, "-n", "site", "-x", "node=crm", "upgrade", at, ini=ini)
    relations = "select oid::regclass::text as name from pg_class where relnamespace = 'public'::regnamespace order by 1"
    before = node.sql(relations), node.sql(VERSION) if at != "nothing" else None
    _, errors = psql(node, script, stop=False)
    assert "this script does not start at the version that is installed" in errors
    assert (node.sql(relations), node.sql(VERSION) if at != "nothing" else None) == before


@pytest.mark.case(139)
def test_after_a_part_that_fails_nothing_more_runs(installed: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site", "create table one ();\n", "select 1 / 0;\n", INDEXES, "create table four ();\n")
    outside(tmp_path, "0003")
    script = succeed(installed, "-n", "site", "-x", "node=crm", "upgrade", "head", "--sql", ini=ini)
    _, errors = psql(installed.crm, script, stop=False)
    assert "division by zero" in errors
    assert installed.crm.sql(VERSION) == [{"version_num": "site_0001"}]
    assert "cannot execute CREATE INDEX in a read-only transaction" in errors
    assert installed.crm.sql("select to_regclass('t_a') as i, to_regclass('four') as t") == [{"i": None, "t": None}]


@pytest.mark.parametrize("how", ["online", "printed"])
def test_two_indexes_of_one_file_are_built_concurrently(installed: Nodes, tmp_path: Path, how: str) -> None:
    ini = plant(tmp_path, "site", INDEXES, "create table after ();\n")
    outside(tmp_path, "0001")
    if how == "online":
        succeed(installed, "-n", "site", "-x", "node=crm", "upgrade", "head", ini=ini)
    else:
        assert psql(installed.crm, succeed(installed, "-n", "site", "-x", "node=crm", "upgrade", "head", "--sql", ini=ini)) == (
            0,
            "",
        )
    valid = """
        select c.relname from pg_index i join pg_class c on c.oid = i.indexrelid
        where i.indrelid = 't'::regclass and i.indisvalid order by 1"""
    assert [row["relname"] for row in installed.crm.sql(valid)] == ["T_b", "t_a", "t_pkey"]
    assert installed.crm.sql(VERSION) == [{"version_num": "site_0002"}]


@pytest.mark.parametrize("how", ["online", "printed"])
@pytest.mark.parametrize("text", ["-- nothing but words\n", "select 1\n", "select 'a\tb' as t into made\n\n\n-- the end", ""])
def test_what_psql_runs_runs(installed: Nodes, tmp_path: Path, text: str, how: str) -> None:
    ini = plant(tmp_path, "site", text, "create table after ();\n")
    if how == "online":
        succeed(installed, "-n", "site", "-x", "node=crm", "upgrade", "head", ini=ini)
    else:
        assert psql(installed.crm, succeed(installed, "-n", "site", "-x", "node=crm", "upgrade", "head", "--sql", ini=ini)) == (
            0,
            "",
        )
    assert installed.crm.sql(VERSION) == [{"version_num": "site_0002"}]
    if "made" in text:
        assert installed.crm.sql("select t from made") == [{"t": "a\tb"}]


@pytest.mark.case(134)
@pytest.mark.parametrize("ends", ["end", "abort", "prepare transaction 'x'", "commit and chain", "rollback", "start transaction"])
def test_a_file_that_ends_its_transaction_is_refused_before_anything_runs(installed: Nodes, tmp_path: Path, ends: str) -> None:
    ini = plant(tmp_path, "site", f"create table one ();\n/* /* why */ */ {ends};\ncreate table two ();\nselect 1 / 0;\n")
    for arguments in (["upgrade", "head"], ["-x", "node=crm", "upgrade", "head", "--sql"]):
        code, out, err = alembic(installed, "-n", "site", *arguments, ini=ini)
        assert code == 1 and out == "" and "0001_step.up.sql: line 2 begins or ends a transaction" in err
    assert installed.crm.sql("select to_regclass('one') as t") == [{"t": None}]
