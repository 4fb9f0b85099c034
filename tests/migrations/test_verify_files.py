"""What is written to be checked is checked; a file that would never run is an error."""

from pathlib import Path

import pytest

from harness import Nodes
from harness.migrations import alembic, plant, psql, succeed

LONG = "sync customer accounts with their invoices and whatever else belongs to a customer of ours, " * 3


@pytest.mark.case(133)
@pytest.mark.parametrize("how", ["online", "printed"])
@pytest.mark.parametrize(
    "message", ["words", LONG, 'with "quotes" and c:\\users\\x\\', "Straße naïve 日本語"], ids=["short", "long", "odd", "wide"]
)
def test_a_new_revision_works_and_its_verify_file_runs(blank: Nodes, tmp_path: Path, message: str, how: str) -> None:
    succeed(blank, "upgrade", "core_0001")
    ini = plant(tmp_path, "site")
    succeed(blank, "-n", "site", "revision", "-m", message, ini=ini)
    [script] = (tmp_path / "site").glob("*.py")
    revisions = tmp_path / "site_sql" / "revisions"
    assert sorted(path.name for path in revisions.iterdir()) == [f"{script.stem}.{kind}.sql" for kind in ("down", "up", "verify")]
    (revisions / f"{script.stem}.up.sql").write_text("create table public.made ();\n")
    (revisions / f"{script.stem}.down.sql").write_text("drop table public.made;\n")
    (revisions / f"{script.stem}.verify.sql").write_text("select to_regclass('public.other') is not null, 'the other table';\n")
    if how == "online":
        code, _, err = alembic(blank, "-n", "site", "-x", "node=crm", "upgrade", "head", ini=ini)
        assert code == 1
    else:
        _, err = psql(blank.crm, succeed(blank, "-n", "site", "-x", "node=crm", "upgrade", "head", "--sql", ini=ini), stop=False)
    assert "RF038" in err or "the revision did not make what it should" in err
    assert "the other table" in err
    assert blank.crm.sql("select to_regclass('public.made') as t") == [{"t": None}]
    blank.crm.sql("create table public.other ()")
    succeed(blank, "-n", "site", "-x", "node=crm", "upgrade", "head", ini=ini)
    assert message.strip().split()[-1].strip("\\") in succeed(blank, "-n", "site", "history", ini=ini)


@pytest.mark.case(133)
def test_a_renamed_revision_keeps_its_verify_file(blank: Nodes, tmp_path: Path) -> None:
    succeed(blank, "upgrade", "core_0001")
    ini = plant(tmp_path, "site", "select 1;\n")
    (tmp_path / "site_sql" / "revisions" / "0001_step.verify.sql").write_text("select false, 'anything';\n")
    (tmp_path / "site" / "0001_step.py").rename(tmp_path / "site" / "0001_other.py")
    code, _, err = alembic(blank, "-n", "site", "upgrade", "head", ini=ini)
    assert code == 1 and "anything" in err


@pytest.mark.case(133)
@pytest.mark.parametrize("name", ["0001_stepp.verify.sql", "0002_gone.up.sql", "0001_step.crmm.up.sql", "0001_step.verfy.sql"])
def test_a_file_that_nothing_runs_is_an_error(blank: Nodes, tmp_path: Path, name: str) -> None:
    succeed(blank, "upgrade", "core_0001")
    ini = plant(tmp_path, "site", "create table public.one ();\n")
    (tmp_path / "site_sql" / "revisions" / name).write_text("select true, 'all';\n")
    for arguments in (["upgrade", "head"], ["-x", "node=crm", "upgrade", "head", "--sql"]):
        code, out, err = alembic(blank, "-n", "site", *arguments, ini=ini)
        assert (code, out, len(err.splitlines())) == (2, "", 1) and name in err
    assert blank.crm.sql("select to_regclass('public.one') as t") == [{"t": None}]


@pytest.mark.case(133)
def test_a_name_that_looks_like_the_end_of_the_check_is_a_name(blank: Nodes, tmp_path: Path) -> None:
    succeed(blank, "upgrade", "core_0001")
    ini = plant(tmp_path, "site", "create table public.made ();\n")
    verify = tmp_path / "site_sql" / "revisions" / "0001_step.verify.sql"
    verify.write_text("select true, 'a$verify$; create table public.other (); $verify_$';\n")
    printed = succeed(blank, "-n", "site", "-x", "node=billing", "upgrade", "head", "--sql", ini=ini)
    psql(blank.billing, printed, stop=False)
    succeed(blank, "-n", "site", "-x", "node=crm", "upgrade", "head", ini=ini)
    for node in blank:
        found = node.sql("select to_regclass('public.made')::text as made, to_regclass('public.other')::text as other")
        assert found == [{"made": "made", "other": None}]
