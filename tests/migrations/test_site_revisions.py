"""Revisions of the site: files of one node, new ones, and new versions of core's functions."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from harness import Nodes
from harness.migrations import alembic, plant, psql, relations, succeed
from harness.roles import role
from harness.worker import PROGRAM
from rowferry.migrations import sqlfile


def test_a_nodes_own_file_is_taken_in_place_of_the_common_one(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site", "create table public.common ();\n")
    (tmp_path / "site_sql" / "revisions" / "0001_step.crm.up.sql").write_text("create table public.own ();\n")
    succeed(blank, "upgrade", "core_0001")
    succeed(blank, "-n", "site", "upgrade", "head", ini=ini)
    tables = "select to_regclass('public.own')::text as own, to_regclass('public.common')::text as common"
    assert blank.crm.sql(tables) == [{"own": "own", "common": None}]
    assert blank.billing.sql(tables) == [{"own": None, "common": "common"}]
    assert "alembic_version_site" in relations(blank.crm)


def test_core_has_no_files_of_a_node(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "core", "create table public.common ();\n")
    (tmp_path / "core_sql" / "revisions" / "0001_step.crm.up.sql").write_text("create table public.own ();\n")
    succeed(blank, "upgrade", "head", ini=ini)
    assert blank.crm.sql("select to_regclass('public.own') as t") == [{"t": None}]


def test_a_missing_file_is_named_in_both_forms(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site", "select 1;\n")
    (tmp_path / "site_sql" / "revisions" / "0001_step.up.sql").unlink()
    succeed(blank, "upgrade", "core_0001")
    code, _, err = alembic(blank, "-n", "site", "upgrade", "head", ini=ini)
    assert code == 2
    assert "0001_step.crm.up.sql or " in err
    assert "0001_step.up.sql" in err


def test_a_file_that_breaks_a_rule_prints_no_script(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site", "select 1;\n", "select 1;\r\n")
    code, out, err = alembic(blank, "-n", "site", "-x", "node=crm", "upgrade", "head", "--sql", ini=ini)
    assert (code, out) == (1, "")
    assert "0002_step.up.sql: line 1 has a carriage return" in err


def test_a_new_revision_has_the_next_number_and_sql_files_to_fill_in(blank: Nodes, tmp_path: Path) -> None:
    succeed(blank, "upgrade", "head")
    ini = plant(tmp_path, "site")
    for message in ("sync accounts", "Sync users!"):
        succeed(blank, "-n", "site", "revision", "-m", message, ini=ini)
    assert sorted(path.name for path in (tmp_path / "site").glob("*.py")) == ["0001_sync_accounts.py", "0002_sync_users.py"]
    assert 'sqlfile.run("revisions/0001_sync_accounts.up.sql")' in (tmp_path / "site" / "0001_sync_accounts.py").read_text()
    assert "site_0001" in (tmp_path / "site" / "0002_sync_users.py").read_text()
    files = tmp_path / "site_sql" / "revisions"
    # As written nothing happens.
    code, _, err = alembic(blank, "-n", "site", "upgrade", "head", ini=ini)
    assert code == 1 and "schema" in err and "does not exist" in err
    for name in ("accounts", "users"):
        blank.crm.sql(f"create table {name} (id int primary key)")
        blank.billing.sql(f"create table {name} (id int primary key)")
    for number, name in (("0001", "accounts"), ("0002", "users")):
        for direction in ("up", "down"):
            path = files / f"{number}_sync_{name}.{direction}.sql"
            path.write_text(path.read_text().replace("schema.table", f"public.{name}").replace("'table'", f"'{name}'"))
            assert list(sqlfile.broken_rules(path.read_bytes())) == []
    succeed(blank, "-n", "site", "upgrade", "head", ini=ini)
    assert blank.crm.sql("select name from rowferry.entities order by name") == [{"name": "accounts"}, {"name": "users"}]
    succeed(blank, "-n", "site", "downgrade", "base", ini=ini)
    assert blank.crm.sql("select name from rowferry.entities") == []


def test_a_new_revision_keeps_the_id_that_its_user_gave_and_files_that_are_there(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site")
    kept = tmp_path / "site_sql" / "revisions" / "0007_attach_customers.up.sql"
    kept.write_text("select 1;\n")
    succeed(blank, "-n", "site", "revision", "--rev-id", "own", "-m", "take part", ini=ini)
    assert (tmp_path / "site_sql" / "revisions" / "take_part.up.sql").read_text().startswith("-- take part: runs on every node.")
    succeed(blank, "-n", "site", "revision", "--rev-id", "site_0007", "-m", "0007 attach customers", ini=ini)
    assert "site_0007" in (tmp_path / "site" / "0007_attach_customers.py").read_text()
    assert kept.read_text() == "select 1;\n"


@pytest.mark.parametrize("script", [False, True], ids=["alembic", "script"])
def test_a_file_is_read_alike_whatever_the_database_has_set(nodes: Nodes, tmp_path: Path, script: bool) -> None:
    text = (
        "create table public.said as select 'C:\\new' as path, '{null}'::text[] as list, 1 = null as equal;\n"
        "create function public.f() returns text language sql set search_path = pg_catalog, pg_temp as 'select null::text';\n"
    )
    ini = plant(tmp_path, "site", text)
    node = nodes.crm
    for setting in (
        "standard_conforming_strings = off",
        "quote_all_identifiers = on",
        "transform_null_equals = on",
        "array_nulls = off",
    ):
        node.sql(f"alter database {node.database} set {setting}")
    if script:
        code, errors = psql(node, succeed(nodes, "-n", "site", "-x", "node=crm", "upgrade", "head", "--sql", ini=ini))
        assert (code, errors) == (0, "")
    else:
        succeed(nodes, "-n", "site", "-x", "node=crm", "upgrade", "head", ini=ini)
    assert node.sql("select * from public.said") == [{"path": "C:\\new", "list": [None], "equal": None}]
    assert node.sql("select proconfig from pg_proc where oid = 'public.f'::regproc") == [
        {"proconfig": ["search_path=pg_catalog, pg_temp"]}
    ]


def drift(nodes: Nodes, ini: Path) -> tuple[int, list[tuple[str, str, str]]]:
    """The exit code, and node, file and problem without the time of each line."""
    command = [PROGRAM, "--config", str(ini), "drift", "--json"]
    done = subprocess.run(command, env=nodes.env, cwd="/", capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    return done.returncode, [
        (row["node"], Path(row["object"]).name, row["problem"].rpartition(",")[0]) for row in json.loads(done.stdout)
    ]


@pytest.mark.parametrize("script", [False, True], ids=["alembic", "script"])
def test_a_file_that_was_edited_after_it_ran_is_named(nodes: Nodes, tmp_path: Path, script: bool) -> None:
    ini = plant(tmp_path, "site", "select 'it''s \\ %';\n", "select 2;\n")
    files = tmp_path / "site_sql" / "revisions"
    (files / "0002_step.crm.up.sql").write_text("select 'crm';\n")
    (files / "0001_step.verify.sql").write_text("select true, 'one';\n")
    for node in nodes:
        if script:
            code, errors = psql(
                node, succeed(nodes, "-n", "site", "-x", f"node={node.name}", "upgrade", "head", "--sql", ini=ini)
            )
            assert (code, errors) == (0, "")
        else:
            succeed(nodes, "-n", "site", "-x", f"node={node.name}", "upgrade", "head", ini=ini)
    assert drift(nodes, ini) == (0, [])
    (files / "0002_step.crm.up.sql").write_text("select 'other';\n")
    (files / "0001_step.down.sql").write_text("select 'down';\n")
    (files / "0001_step.verify.sql").write_text("select true, 'two';\n")
    edited = ("crm", "0002_step.crm.up.sql", "it was edited after revision site_0002 had run it")
    assert drift(nodes, ini) == (1, [edited])
    (files / "0001_step.up.sql").unlink()
    removed = [(name, "0001_step.up.sql", "it was removed after revision site_0001 had run it") for name in ("crm", "billing")]
    assert drift(nodes, ini) == (1, [removed[0], edited, removed[1]])
    (files / "0001_step.up.sql").write_bytes(b"select 'it''s \\ %';\n")
    assert drift(nodes, ini) == (1, [edited])


def test_a_revision_that_is_applied_again_is_compared_with_what_ran_then(nodes: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site", "select 1;\n", "select 2;\n")
    files = tmp_path / "site_sql" / "revisions"
    succeed(nodes, "-n", "site", "upgrade", "head", ini=ini)
    (files / "0002_step.up.sql").write_text("select 3;\n")
    assert len(drift(nodes, ini)[1]) == 2
    succeed(nodes, "-n", "site", "-x", "node=crm", "downgrade", "-1", ini=ini)
    assert [node for node, _, _ in drift(nodes, ini)[1]] == ["billing"]
    succeed(nodes, "-n", "site", "-x", "node=crm", "upgrade", "head", ini=ini)
    succeed(nodes, "-n", "site", "-x", "node=billing", "stamp", "site_0001", ini=ini)
    assert drift(nodes, ini) == (0, [])
    (files / "0002_step.up.sql").write_text("select 2;\n")
    (files / "0001_step.up.sql").write_text("select 0;\n")
    named = [(node, name) for node, name, _ in drift(nodes, ini)[1]]
    assert named == [("crm", "0001_step.up.sql"), ("crm", "0002_step.up.sql"), ("billing", "0001_step.up.sql")]


def test_a_reader_without_the_files_hears_that_they_are_not_compared(nodes: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site", "select 1;\n")
    succeed(nodes, "-n", "site", "upgrade", "head", ini=ini)
    env = dict(nodes.env)
    for node in nodes:
        reader = role(node, "login password 'word'")
        node.sql(f"grant rowferry_viewer to {reader}")
        env[f"ROWFERRY_NODE_{node.name.upper()}"] = node.server.conninfo(node.database, reader, "word")

    def run() -> tuple[int, int, str]:
        command = [PROGRAM, "--config", str(ini), "drift"]
        done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True)
        return done.returncode, done.stdout.count("it was edited after revision site_0001 had run it"), done.stderr

    (tmp_path / "site_sql" / "revisions" / "0001_step.up.sql").write_text("select 2;\n")
    assert run() == (1, 2, "")
    shutil.rmtree(tmp_path / "site_sql")
    code, named, said = run()
    assert (code, named) == (0, 0)
    assert said.endswith("site_sql: files of your revisions are not compared\n")
