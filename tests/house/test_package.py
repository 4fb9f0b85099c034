"""What is shipped: a wheel that brings migrations and SQL along, and a project of one's own around it."""

import configparser
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from email.parser import HeaderParser
from pathlib import Path

import pytest

from harness import REPO, Nodes
from harness.exchange import rows

pytestmark = pytest.mark.slow

PROJECT = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
PYTHONS = [name.rpartition(" ")[2] for name in PROJECT["classifiers"] if re.search(r"Python :: 3\.\d+$", name)]

TAG = re.compile(r"\browferry(?:\[\w+\])?(?::|==)(\d[\w.]*)")


def run(command: list[str], cwd: Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist, built of what is committed or not yet, and the wheel that is built of the sdist."""
    folder = tmp_path_factory.mktemp("build")
    names = run(["git", "ls-files", "-co", "--exclude-standard", "-z"], REPO).split("\0")
    source = folder / "source"
    for name in filter(None, names):
        if (REPO / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((REPO / name).read_bytes())
    build = "import sys; from setuptools import build_meta; print(getattr(build_meta, sys.argv[1])(sys.argv[2]))"
    run([sys.executable, "-c", build, "build_sdist", str(folder)], source)
    [sdist] = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked")
    [unpacked] = (folder / "unpacked").iterdir()
    run([sys.executable, "-c", build, "build_wheel", str(folder)], unpacked)
    [wheel] = folder.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs' folder of a new environment in which nothing but the wheel and what it needs was installed."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    run([str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", str(built[1])], folder)
    return folder / "bin"


def test_the_wheel_holds_every_file_that_a_project_needs_and_no_other(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        licenses = [name for name in archive.namelist() if name.endswith("/LICENSE")]
    wanted = {f"rowferry/{path.relative_to(REPO / 'worker')}" for path in (REPO / "worker").rglob("*") if path.is_file()}
    for top in ("migrations", "sql"):
        inside = "rowferry/migrations" + ("/sql" if top == "sql" else "")
        wanted |= {
            f"{inside}/{path.relative_to(REPO / top)}"
            for path in (REPO / top).rglob("*")
            if path.is_file() and (path.suffix != ".md" or path.parent.name == "site") and not path.name.startswith(".")
        }
    wanted.add("rowferry/template/alembic.ini")
    assert names == {name for name in wanted if "__pycache__" not in name}
    assert len(licenses) == 1


def test_the_version_and_the_license_are_those_of_the_project(built: tuple[Path, Path]) -> None:
    version = PROJECT["version"]
    assert [path.name for path in built] == [f"rowferry-{version}.tar.gz", f"rowferry-{version}-py3-none-any.whl"]
    with zipfile.ZipFile(built[1]) as archive:
        said = HeaderParser().parsestr(archive.read(f"rowferry-{version}.dist-info/METADATA").decode())
    assert (said["Version"], said["License-Expression"], said["License-File"]) == (version, "PostgreSQL", "LICENSE")
    headings = re.findall(r"(?m)^## (\S+) \((.+)\)$", (REPO / "CHANGELOG.md").read_text())
    assert headings[0][0] == version, "the newest section of CHANGELOG.md is of another version"
    assert all(re.fullmatch(r"unreleased|\d{4}-\d\d-\d\d", day) for _, day in headings)
    tags = [tag for path in (REPO / "docs" / "deploy").iterdir() for tag in TAG.findall(path.read_text())]
    assert set(tags) == {version}


def python(version: str) -> str:
    """A Python of this version on this machine, with venv and pip; skips the test where there is none."""
    places = [shutil.which(f"python{version}"), f"/usr/bin/python{version}"]
    places += sorted(map(str, Path.home().glob(f".pyenv/versions/{version}.*/bin/python3")), reverse=True)
    probe = f"import ensurepip, ssl, sys, venv; sys.exit(sys.version_info[:2] != {tuple(map(int, version.split('.')))})"
    for place in filter(None, places):
        if Path(place).exists() and subprocess.run([place, "-c", probe], capture_output=True).returncode == 0:
            return place
    pytest.skip(f"no Python {version} with venv on this machine")


@pytest.mark.parametrize("version", PYTHONS)
def test_the_demo_runs_from_the_wheel_in_an_empty_environment(built: tuple[Path, Path], tmp_path: Path, version: str) -> None:
    program, folder = python(version), tmp_path / "empty"
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **{k: v for k, v in os.environ.items() if k.startswith("PIP_")}}
    run([program, "-m", "venv", str(folder)], tmp_path, env)
    run([str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check", f"{built[1]}[demo]"], tmp_path)
    assert run([str(folder / "bin" / "rowferry"), "--version"], tmp_path, env) == f"rowferry {PROJECT['version']}\n"
    shown = run([str(folder / "bin" / "rowferry"), "demo"], tmp_path, env)
    assert "          5 |           3 | hank@globex.test | Hank\n" in shown
    assert shown.count(" 1         | billing | newest | Acme AG | Acme Inc\n") == 2


def test_a_project_around_the_installed_wheel_syncs_a_table(installed: Path, tmp_path: Path, blank: Nodes) -> None:
    env = {**blank.env, "PATH": f"{installed}{os.pathsep}{os.environ['PATH']}"}
    project = tmp_path / "my project"
    said = run([str(installed / "rowferry"), "init", str(project)], tmp_path, env)
    assert "alembic -n site revision" in said
    assert (project / "alembic.ini").read_bytes() == (REPO / "alembic.ini").read_bytes()
    run(["alembic", "upgrade", "head"], project, env)
    run(["alembic", "-n", "site", "revision", "-m", "sync accounts"], project, env)
    up, down = (project / "sql" / "site" / "revisions" / f"0001_sync_accounts.{way}.sql" for way in ("up", "down"))
    for path in (up, down):
        path.write_text(path.read_text().replace("'schema.table'", "'public.accounts'").replace("'table'", "'accounts'"))
    for node in blank:
        node.sql("create table public.accounts (id integer primary key, name text)")
    run(["alembic", "-n", "site", "upgrade", "head"], project, env)
    blank.crm.sql("insert into accounts values (1, 'Acme')")
    run(["rowferry", "run", "--once"], project, env)
    assert rows(blank.billing, "select * from accounts") == ["(1,Acme)"]
    script = run(["alembic", "-x", "node=crm", "upgrade", "head", "--sql"], project, env)
    assert "create table rowferry.links" in script
    assert "core_0001" in run(["alembic", "history"], project, env)
    run(["alembic", "-n", "site", "downgrade", "base"], project, env)
    run(["alembic", "downgrade", "base"], project, env)
    assert blank.crm.sql("select tgname from pg_trigger") == []


def test_init_writes_nothing_into_a_folder_that_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("kept")
    program = Path(sys.executable).parent / "rowferry"
    for folder in (tmp_path, tmp_path / "mine", Path("/proc/nothing")):
        done = subprocess.run([program, "init", folder], capture_output=True, text=True)
        assert done.returncode == 2 and "Hint: " in done.stderr and len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


LAID_OUT = [
    "alembic.ini",
    "migrations/site/.gitkeep",
    "migrations/site/README.md",
    "sql/psql/rowferry.psqlrc",
    "sql/site/README.md",
    "sql/site/revisions/.gitkeep",
]


def test_init_in_a_checkout_lays_out_the_same_project(tmp_path: Path) -> None:
    run([str(Path(sys.executable).parent / "rowferry"), "init", "project"], tmp_path)
    parser = configparser.RawConfigParser()
    parser.read(tmp_path / "project" / "alembic.ini")
    assert list(parser["nodes"]) == ["crm", "billing"]
    found = sorted(str(path.relative_to(tmp_path / "project")) for path in (tmp_path / "project").rglob("*") if path.is_file())
    assert found == LAID_OUT


def test_init_with_names_names_no_other_node_anywhere(tmp_path: Path) -> None:
    rowferry = str(Path(sys.executable).parent / "rowferry")
    said = run([rowferry, "init", "project", "--nodes", "shop,books"], tmp_path)
    assert "ROWFERRY_NODE_SHOP" in said and "Give the nodes" not in said
    project = tmp_path / "project"
    run([str(Path(sys.executable).parent / "alembic"), "-n", "site", "revision", "-m", "sync accounts"], project)
    texts = [path.read_text() for path in project.rglob("*") if path.is_file()]
    assert not any(re.search(r"\b(crm|billing)\b|_CRM|_BILLING", text) for text in texts)
    assert any("0001_sync_accounts.shop.up.sql" in text for text in texts)
    for names in ("shop", "shop,shop", "Shop,books", "a,b,c"):
        done = subprocess.run([rowferry, "init", "another", "--nodes", names], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 2 and "Hint: --nodes crm,billing" in done.stderr
