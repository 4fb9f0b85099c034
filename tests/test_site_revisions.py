"""Revisions of the site: files of one node, new ones, and new versions of core's functions."""

import configparser
import shutil
import subprocess
import sys
from pathlib import Path

from harness import REPO, Nodes
from harness.migrations import INI, alembic, plant, relations, succeed
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


def test_a_new_version_of_a_function_goes_up_and_down_with_its_revision(blank: Nodes, tmp_path: Path) -> None:
    for part in ("migrations", "sql"):
        shutil.copytree(REPO / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    ini = Path(shutil.copy(INI, tmp_path))
    before = max(int(path.name[:4]) for path in (REPO / "migrations" / "core").glob("0*.py"))
    parser = configparser.RawConfigParser()
    parser.read(ini)
    parser["alembic"]["version_locations"] = str(tmp_path / "migrations" / "core")
    parser["alembic"]["sql_location"] = str(tmp_path / "sql" / "core")
    with ini.open("w") as file:
        parser.write(file)
    begin = [sys.executable, "-m", "rowferry.migrations.new_function"]
    done = subprocess.run([*begin, "pause"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = {tmp_path / name for name in done.stdout.split()}
    assert len(made) == 3 and all(path.is_file() for path in made)
    [function] = (path for path in made if path.name.startswith("pause_v"))
    function.write_text(function.read_text().replace(" is '", " is 'New: ", 1))
    succeed(blank, "upgrade", "head", ini=ini)
    read = "select rowferry.version() as version, obj_description(p.oid) as comment from pg_proc p where p.proname = 'pause'"
    [after] = blank.crm.sql(read)
    assert after["version"] == before + 1 and after["comment"].startswith("New: ")
    succeed(blank, "downgrade", "-1", ini=ini)
    [again] = blank.crm.sql(read)
    assert again["version"] == before and not again["comment"].startswith("New: ")
    for name, hint in (("pauze", "pause"), ("version", "_session"), ("", "ls sql"), ("/x", "ls sql")):
        wrong = subprocess.run([*begin, name], cwd=tmp_path, capture_output=True, text=True)
        assert wrong.returncode == 2 and f"Hint: {hint}" in wrong.stderr and len(wrong.stderr.splitlines()) == 1
