"""A lineage is a line: what would branch it is refused in one line, without a traceback and without files."""

from pathlib import Path

import pytest

from harness import Nodes
from harness.migrations import alembic, plant, psql, succeed


def files(folder: Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob("*") if path.suffix in (".py", ".sql"))


@pytest.mark.case(138)
@pytest.mark.parametrize("target", ["head", "heads", "+1", "site_0002"])
@pytest.mark.parametrize("kind", ["one id", "one before"])
def test_two_revisions_of_one_number_get_one_line_and_the_way_out(blank: Nodes, tmp_path: Path, kind: str, target: str) -> None:
    ini = plant(tmp_path, "site", "select 1;\n", "create table public.mine ();\n")
    theirs = (tmp_path / "site" / "0002_step.py").read_text().replace("0002_step", "0002_theirs")
    if kind == "one before":
        theirs = theirs.replace("'site_0002'", "'site_0002b'")
    (tmp_path / "site" / "0002_theirs.py").write_text(theirs)
    for way in ("up", "down"):
        (tmp_path / "site_sql" / "revisions" / f"0002_theirs.{way}.sql").write_text("select 1;\n")
    succeed(blank, "upgrade", "core_0001")
    for arguments in (
        ["upgrade", target],
        ["-x", "node=crm", "upgrade", target, "--sql"],
        ["revision", "-m", "third"],
        ["current"],
    ):
        code, out, err = alembic(blank, "-n", "site", *arguments, ini=ini)
        assert (code, out, len(err.splitlines())) == (2, "", 1), err
        assert "0002_step.py and 0002_theirs.py" in err
        assert "say to 0003_theirs, with revision = 'site_0003' and down_revision = 'site_0002' in it" in err
    # What the hint says is enough.
    (tmp_path / "site" / "0002_theirs.py").rename(tmp_path / "site" / "0003_theirs.py")
    renamed = (
        theirs.replace("site_0002b", "site_0002").replace("'site_0002'", "'site_0003'").replace("'site_0001'", "'site_0002'")
    )
    (tmp_path / "site" / "0003_theirs.py").write_text(renamed.replace("0002_theirs", "0003_theirs"))
    for way in ("up", "down"):
        path = tmp_path / "site_sql" / "revisions" / f"0002_theirs.{way}.sql"
        path.rename(path.with_name(f"0003_theirs.{way}.sql"))
    succeed(blank, "-n", "site", "upgrade", "head", ini=ini)
    assert blank.crm.sql("select to_regclass('public.mine')::text as t") == [{"t": "mine"}]


@pytest.mark.case(138)
@pytest.mark.parametrize(
    "arguments",
    [
        ["merge", "-m", "both", "heads"],
        ["merge", "site_0001", "site_0002"],
        ["revision", "-m", "x", "--branch-label", "side"],
        ["revision", "-m", "x", "--depends-on", "site_0001"],
        ["revision", "-m", "x", "--head", "site_0001", "--splice"],
        ["revision", "-m", "x", "--head", "base"],
        ["revision", "-m", "x", "--autogenerate"],
        ["revision", "-m", "x", "--rev-id", "it's"],
        ["revision", "-m", "x", "--rev-id", "a" * 33],
        ["revision", "-m", "x", "--rev-id", "site_0002"],
        ["-x", "node=crm", "upgrade", "site_0002:site_0001", "--sql"],
        ["-x", "node=crm", "downgrade", "site_0001:site_0002", "--sql"],
        ["-x", "node=crm", "upgrade", "site_0009", "--sql"],
        ["upgrade", "site_0009"],
        ["upgrade", "+9"],
        ["downgrade", "-9"],
        ["check"],
    ],
    ids=" ".join,
)
def test_what_would_branch_or_leads_nowhere_is_one_line(blank: Nodes, tmp_path: Path, arguments: list[str]) -> None:
    ini = plant(tmp_path, "site", "select 1;\n", "select 1;\n")
    succeed(blank, "upgrade", "core_0001")
    before = files(tmp_path)
    code, out, err = alembic(blank, "-n", "site", *arguments, ini=ini)
    said = [line for line in (out + err).splitlines() if line.strip()]
    assert code != 0 and len(said) == 1 and "Traceback" not in err, said
    assert files(tmp_path) == before


def test_core_gets_no_revision_by_mistake(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "core", "select 1;\n")
    before = files(tmp_path)
    for arguments in (["revision", "-m", "sync accounts"], ["merge", "heads"]):
        code, _, err = alembic(blank, *arguments, ini=ini)
        assert code == 2 and len(err.splitlines()) == 1
        assert files(tmp_path) == before
    assert "alembic -n site revision -m" in alembic(blank, "revision", "-m", "x", ini=ini)[2]


@pytest.mark.case(138)
@pytest.mark.parametrize("target", ["heads", ":head", "base:head", "base:+2"])
def test_each_way_to_name_the_newest_prints_a_script(blank: Nodes, tmp_path: Path, target: str) -> None:
    ini = plant(tmp_path, "site", "select 1;\n", "create table public.two ();\n")
    succeed(blank, "upgrade", "core_0001")
    script = succeed(blank, "-n", "site", "-x", "node=crm", "upgrade", target, "--sql", ini=ini)
    assert psql(blank.crm, script) == (0, "")
    assert blank.crm.sql("select version_num from rowferry.alembic_version_site") == [{"version_num": "site_0002"}]
