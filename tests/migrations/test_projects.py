"""A project in a folder with an odd name, and Ctrl-C."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness import Nodes, wait_until
from harness.migrations import finish, plant, succeed


@pytest.mark.parametrize("name", ["100% sure", "o'brien", "two words", 'a "quoted" one', "ünïcode"])
def test_a_project_works_in_a_folder_with_any_name(blank: Nodes, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    scripts = Path(sys.executable).parent

    def run(program: str, *arguments: str, within: str = "") -> str:
        done = subprocess.run(
            [scripts / program, *arguments], cwd=folder / within, env={**os.environ, **blank.env}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    run("rowferry", "init", "sync")
    run("alembic", "upgrade", "core_0001", within="sync")
    run("alembic", "-n", "site", "revision", "-m", "first", within="sync")
    revisions = folder / "sync" / "sql" / "site" / "revisions"
    assert sorted(path.name for path in revisions.glob("*.sql")) == [
        f"0001_first.{kind}.sql" for kind in ("down", "up", "verify")
    ]
    (revisions / "0001_first.up.sql").write_text("create table public.first ();\n")
    run("alembic", "-n", "site", "upgrade", "head", within="sync")
    assert "site_0001 (head)" in run("alembic", "-n", "site", "current", within="sync")
    assert "0001 first" in run("alembic", "-n", "site", "history", within="sync")
    assert blank.billing.sql("select to_regclass('public.first')::text as t") == [{"t": "first"}]


def test_ctrl_c_is_one_line_and_says_how_to_go_on(blank: Nodes, tmp_path: Path) -> None:
    succeed(blank, "upgrade", "core_0001")
    ini = plant(tmp_path, "site", "create table one ();\nselect pg_sleep(60);\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "alembic", "-c", str(ini), "-n", "site", "upgrade", "head"],
        env={**os.environ, **blank.env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    sleeping = "select 1 from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
    wait_until(lambda: bool(blank.crm.sql(sleeping)), 30, "the migration runs")
    process.send_signal(signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130 and "Traceback" not in err
    assert [line for line in err.splitlines() if "interrupted" in line] == [
        "crm: interrupted; of the revision in hand nothing is left but what it had committed itself"
    ]
    assert f"Not done: crm. To go on: alembic -c {ini} -n site -x node=crm upgrade site_0001" in err
    assert blank.crm.sql("select to_regclass('one') as t") == [{"t": None}]
    wait_until(lambda: not blank.crm.sql(sleeping), 20, "the statement has ended")
