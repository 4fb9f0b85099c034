"""A step that finds a table locked is tried again, and only that step; what has committed a part of itself is not."""

from pathlib import Path

import psycopg
import pytest

from harness import Nodes, wait_until
from harness.migrations import alembic, finish, plant, start, succeed

VERSION = "select coalesce(max(version_num), 'base') as at from rowferry.alembic_version_site"
STEPS = (
    "create table one ();\n",
    "alter table locked add column two int;\n",
    "create table three ();\n",
    "create table four ();\n",
)
DOWNS = {1: "drop table one;\n", 2: "alter table locked drop column two;\n", 3: "drop table three;\n", 4: "drop table four;\n"}
OUTSIDE = "    with op.get_context().autocommit_block():\n        sqlfile.run('revisions/0001_step.up.sql')\n"
LOCKED = "set search_path = public; create table locked (a text)"


@pytest.fixture
def installed(blank: Nodes) -> Nodes:
    succeed(blank, "upgrade", "core_0001")
    for node in blank:
        node.sql(LOCKED)
    return blank


def patient(ini: Path) -> Path:
    ini.write_text(ini.read_text().replace("lock_wait = 3", "lock_wait = 60"))
    return ini


def while_locked(nodes: Nodes, ini: Path, *arguments: str) -> str:
    """The command, begun while somebody holds the table; let go once it says that it tries again."""
    with psycopg.connect(nodes.crm.conninfo) as user:
        user.execute("lock table locked in share mode")
        process = start(nodes, "-n", "site", "-x", "node=crm", *arguments, ini=ini)
        assert process.stderr
        said = ""
        for line in process.stderr:
            said += line
            if "trying again" in line:
                break
        user.rollback()
    code, _, err = finish(process)
    assert code == 0, err
    return said + err


@pytest.mark.case(132)
def test_a_relative_target_means_what_it_meant_at_the_start(installed: Nodes, tmp_path: Path) -> None:
    ini = patient(plant(tmp_path, "site", *STEPS, downs=DOWNS))
    assert while_locked(installed, ini, "upgrade", "+2").count("-> site_0001") == 1
    assert installed.crm.sql(VERSION) == [{"at": "site_0002"}]
    succeed(installed, "-n", "site", "-x", "node=crm", "upgrade", "site_0003", ini=ini)
    while_locked(installed, ini, "downgrade", "-2")
    assert installed.crm.sql(VERSION) == [{"at": "site_0001"}]


@pytest.mark.case(132)
def test_what_has_committed_a_part_is_not_tried_again_and_says_what_it_left(installed: Nodes, tmp_path: Path) -> None:
    ini = patient(plant(tmp_path, "site", "create index concurrently if not exists locked_a on locked (a);\n", body=OUTSIDE))
    with psycopg.connect(installed.crm.conninfo) as user:
        user.execute("insert into locked values ('x')")
        code, _, err = alembic(installed, "-n", "site", "-x", "node=crm", "upgrade", "head", ini=ini)
        assert code == 1 and "55P03" in err
        assert "trying again" not in err and "othing" not in err
        assert "it is not tried again by itself" in err
        assert "index public.locked_a is invalid: drop index concurrently public.locked_a;" in err
    # By hand it is not taken for done either, as `if not exists` would.
    code, _, err = alembic(installed, "-n", "site", "-x", "node=crm", "upgrade", "head", ini=ini)
    assert code == 1 and "RF044" in err and "drop index concurrently locked_a;" in err
    assert installed.crm.sql(VERSION) == [{"at": "base"}]
    installed.crm.sql("drop index concurrently locked_a")
    succeed(installed, "-n", "site", "-x", "node=crm", "upgrade", "head", ini=ini)
    assert installed.crm.sql("select indisvalid from pg_index where indexrelid = 'locked_a'::regclass") == [{"indisvalid": True}]


LIMITS = ("idle_session_timeout", "idle_in_transaction_session_timeout", "statement_timeout", "transaction_timeout")


@pytest.mark.case(140)
def test_timeouts_of_users_end_neither_a_migration_nor_its_lock(installed: Nodes, tmp_path: Path) -> None:
    node = installed.crm
    pause = "do $$ begin perform pg_sleep(2); end $$;\n"
    ini = patient(plant(tmp_path, "site", pause, pause, "alter table locked add column b int;\n"))
    known = "select name from pg_settings where name = any (%s)"
    sleeping = "select 1 from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
    with node.connect() as watcher:  # this session began before the limits, so they do not end it
        for (name,) in watcher.execute(known, [list(LIMITS)]).fetchall():
            watcher.execute(f"alter database {node.database} set {name} = '1.5s'")  # type: ignore[call-overload]
        assert node.sql("show statement_timeout") == [{"statement_timeout": "1500ms"}]
        process = start(installed, "-n", "site", "-x", "node=crm", "upgrade", "head", ini=ini)
        wait_until(lambda: bool(watcher.execute(sleeping).fetchall()), 30, "the migration runs")  # type: ignore[call-overload]
        code, _, err = finish(process)
        assert code == 0, err
        assert watcher.execute(VERSION).fetchall() == [("site_0003",)]  # type: ignore[call-overload]
