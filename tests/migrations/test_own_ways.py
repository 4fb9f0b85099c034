"""Revisions that do more than name SQL files, and what people do beside upgrading."""

from pathlib import Path

import pytest

from harness import Nodes
from harness.migrations import alembic, finish, plant, start, succeed

VERSION = "select coalesce(max(version_num), 'base') as at from rowferry.alembic_version_site"
COUNT = "select count(*)::int as n from t"


@pytest.fixture
def installed(blank: Nodes) -> Nodes:
    succeed(blank, "upgrade", "core_0001")
    for node in blank:
        node.sql("create table t (a int); create table u (a int)")
    return blank


@pytest.mark.case(132)
@pytest.mark.parametrize(
    "how", ["op.get_bind().commit()", "op.execute('commit')", "op.execute('COMMIT; BEGIN')", "op.execute('rollback')"]
)
def test_a_revision_that_ends_its_transaction_is_no_success(installed: Nodes, tmp_path: Path, how: str) -> None:
    body = f"    op.execute('insert into public.t values (1)')\n    {how}\n    op.execute('create table public.made ()')\n"
    ini = plant(tmp_path, "site", "select 1;\n", "select 1;\n", body=body)
    code, _, err = alembic(installed, "-n", "site", "-x", "node=crm", "upgrade", "head", ini=ini)
    assert code == 1 and "the revision has ended its transaction itself" in err and "Traceback" not in err
    assert "site_0001" not in succeed(installed, "-n", "site", "-x", "node=crm", "current", ini=ini)


@pytest.mark.case(132)
def test_what_a_revision_committed_is_not_done_twice_for_a_lock(installed: Nodes, tmp_path: Path) -> None:
    lines = [
        "op.execute('insert into public.t values (1)')",
        "op.execute('commit')",
        "op.execute('alter table public.u add b int')",
    ]
    body = "".join(f"    {line}\n" for line in lines)
    ini = plant(tmp_path, "site", "select 1;\n", body=body)
    user = installed.crm.connect(autocommit=False)
    user.execute("lock table u in share mode")
    code, _, err = alembic(installed, "-n", "site", "-x", "node=crm", "upgrade", "head", ini=ini)
    user.rollback()
    assert code == 1 and "trying again" not in err and "What the revision has committed stays" in err
    assert installed.crm.sql(COUNT) == [{"n": 1}]


def test_each_revision_has_the_whole_time_to_wait_for_a_lock(installed: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site", "select pg_sleep(4);\n", "alter table public.u add b int;\n")  # lock_wait is 3 s
    user = installed.crm.connect(autocommit=False)
    user.execute("lock table u in share mode")
    process = start(installed, "-n", "site", "-x", "node=crm", "upgrade", "head", ini=ini)
    assert process.stderr
    assert any("trying again" in line for line in process.stderr)
    user.rollback()
    code, _, err = finish(process)
    assert code == 0, err


@pytest.mark.parametrize(
    "statement",
    [
        "op.create_index('t_a', 't', ['a'], unique=True, postgresql_concurrently=True, if_not_exists=True)",
        "op.execute('create unique index concurrently if not exists t_a on t (a)')",
    ],
)
def test_an_invalid_index_is_never_taken_for_done(installed: Nodes, tmp_path: Path, statement: str) -> None:
    node = installed.crm
    node.sql("insert into t values (1), (1)")
    ini = plant(tmp_path, "site", "select 1;\n", body=f"    with op.get_context().autocommit_block():\n        {statement}\n")
    arguments = ("-n", "site", "-x", "node=crm", "upgrade", "head")
    code, _, err = alembic(installed, *arguments, ini=ini)
    assert code == 1 and "index public.t_a is invalid: drop index concurrently public.t_a;" in err
    code, _, err = alembic(installed, *arguments, ini=ini)
    assert code == 1 and "RF044" in err
    node.sql("drop index concurrently t_a")
    node.sql("delete from t")
    succeed(installed, *arguments, ini=ini)


def test_words_of_any_kind_stand_in_the_log(installed: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site")
    succeed(installed, "-n", "site", "revision", "-m", "it's $rowferry$ and $rowferry_$", ini=ini)
    [script] = (tmp_path / "site").glob("*.py")
    for kind in ("up", "down"):
        (tmp_path / "site_sql" / "revisions" / f"{script.stem}.{kind}.sql").write_text("select 1;\n")
    succeed(installed, "-n", "site", "upgrade", "head", ini=ini)
    assert "$rowferry$" in succeed(installed, "-n", "site", "-x", "node=crm", "downgrade", "site_0001:base", "--sql", ini=ini)


@pytest.mark.parametrize(
    "text", ["select true, 'a';\n\n", "-- why\nselect true, 'a' ;\n-- the end\n", "select true, 'a'", "select null, 'x';\n"]
)
def test_a_verify_file_is_one_query_as_psql_takes_it(installed: Nodes, tmp_path: Path, text: str) -> None:
    ini = plant(tmp_path, "site", "create table made ();\n")
    path = tmp_path / "site_sql" / "revisions" / "0001_step.verify.sql"
    path.write_text(text)
    code, _, err = alembic(installed, "-n", "site", "-x", "node=crm", "upgrade", "head", ini=ini)
    assert (code, "RF038" in err) == ((1, True) if "null" in text else (0, False)), err
    succeed(installed, "-n", "site", "-x", "node=crm", "downgrade", "base", ini=ini)
    installed.crm.sql("drop table if exists made")
    for wrong, said in (
        ("", "is one query"),
        ("select true, 'a'; select 1;\n", "is one query"),
        ("select true,\n nothing;\n", "verify.sql"),
    ):
        path.write_text(wrong)
        code, _, err = alembic(installed, "-n", "site", "-x", "node=crm", "upgrade", "head", ini=ini)
        assert code == 1 and said in err


def test_what_editors_leave_and_names_built_at_run_time_are_taken(installed: Nodes, tmp_path: Path) -> None:
    body = "    for kind in ('a', 'b'):\n        sqlfile.run(f'revisions/0001_{kind}.up.sql')\n"
    ini = plant(tmp_path, "site", "select 1;\n", body=body)
    for kind in ("a", "b"):
        (tmp_path / "site_sql" / "revisions" / f"0001_{kind}.up.sql").write_text(f"create table made_{kind} ();\n")
    (tmp_path / "site" / ".#0001_step.py").symlink_to("nobody@nowhere.1")
    succeed(installed, "-n", "site", "upgrade", "head", ini=ini)
    assert installed.billing.sql("select to_regclass('made_b')::text as t") == [{"t": "made_b"}]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("down_revision = None", "down_revision = 'site_0009'"), "0001_step.py follows site_0009, which no file has"),
        (("down_revision = None", "down_revision = None\ndepends_on = 'core_0003'"), "has depends_on"),
        (("def upgrade", "def upgrade(\n"), "cannot be read"),
    ],
)
def test_a_revision_that_fits_nowhere_is_one_line(installed: Nodes, tmp_path: Path, change: tuple[str, str], said: str) -> None:
    ini = plant(tmp_path, "site", "select 1;\n")
    path = tmp_path / "site" / "0001_step.py"
    assert change[0] in path.read_text()
    path.write_text(path.read_text().replace(*change))
    for arguments in (["upgrade", "head"], ["current"], ["-x", "node=crm", "upgrade", "head", "--sql"]):
        code, out, err = alembic(installed, "-n", "site", *arguments, ini=ini)
        assert (code, out, len(err.splitlines())) == (2, "", 1) and said in err, err


def test_a_version_that_no_file_has_is_named_with_the_way_out(installed: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site", "select 1;\n")
    succeed(installed, "-n", "site", "upgrade", "head", ini=ini)
    installed.crm.sql("update rowferry.alembic_version_site set version_num = 'site_0099'")
    code, _, err = alembic(installed, "-n", "site", "upgrade", "head", ini=ini)
    assert code == 2 and len(err.splitlines()) == 1 and "site_0099 is installed, and no file here has it" in err
    assert "-n site -x node=crm stamp --purge REVISION" in err
    succeed(installed, "-n", "site", "-x", "node=crm", "stamp", "--purge", "site_0001", ini=ini)
    assert installed.crm.sql(VERSION) == [{"at": "site_0001"}]


def test_core_is_stamped_with_nothing_but_what_is_installed(blank: Nodes) -> None:
    code, _, err = alembic(blank, "stamp", "head")
    assert code == 2 and "what is installed is base" in err
    succeed(blank, "upgrade", "head")
    for target in ("base", "core_0002"):
        code, _, err = alembic(blank, "stamp", target)
        assert code == 2 and len(err.splitlines()) == 1
    assert blank.crm.sql("select count(*)::int as n from rowferry.alembic_version_core") == [{"n": 1}]
    succeed(blank, "stamp", "head")


def test_hints_name_the_ini_file_that_was_given(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site", "select 1;\n")
    code, _, err = alembic(blank, "-n", "site", "upgrade", "head", ini=ini)
    assert code == 1 and f"HINT: alembic -c {ini} upgrade head" in err


@pytest.mark.parametrize("text", ["select pg_advisory_unlock_all();\n", "discard all;\n", "copy t to stdout;\n"])
def test_a_file_gives_up_no_lock_and_copies_to_nobody(installed: Nodes, tmp_path: Path, text: str) -> None:
    ini = plant(tmp_path, "site", text)
    code, _, err = alembic(installed, "-n", "site", "upgrade", "head", ini=ini)
    assert code == 1 and "0001_step.up.sql: line 1" in err and len(err.splitlines()) <= 4
