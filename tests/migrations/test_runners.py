"""Several runners at once, and locks that somebody else holds: one after the other, or an error that says who is in the way."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from harness import Node, Nodes, wait_until
from harness.migrations import FIRST, alembic, finish, plant, psql, start, succeed
from rowferry.migrations import schema

LOCK = "hashtextextended('rowferry migrations', 0)"


def test_two_databases_of_one_cluster_can_be_installed_at_once(own_servers: Nodes) -> None:
    postgres = Node("crm", own_servers.crm.server, "postgres")
    postgres.sql(f"drop database {own_servers.crm.database}")
    postgres.sql("drop role rowferry_operator, rowferry_viewer, rowferry_worker, rowferry_owner")
    postgres.sql("create database fresh")
    with psycopg.connect(postgres.conninfo) as other:  # stands for the other installation, half done
        other.execute("create role rowferry_owner; create role rowferry_worker; create role rowferry_viewer")
        process = start(own_servers, "-x", "node=crm", "upgrade", FIRST, ROWFERRY_NODE_CRM=postgres.server.conninfo("fresh"))
        waiting = "select 1 from pg_stat_activity where datname = 'fresh' and wait_event_type = 'Lock'"
        wait_until(lambda: postgres.sql(waiting), 30, "the installation waits for the other one")
        other.commit()
    code, _, err = finish(process)
    assert code == 0, err


@pytest.mark.case(74)
def test_three_upgrades_at_once_all_succeed(blank: Nodes) -> None:
    results = [finish(process) for process in [start(blank, "upgrade", "head") for _ in range(3)]]
    assert [code for code, _, _ in results] == [0, 0, 0], results
    assert sum(err.count(f"-> {FIRST}") for _, _, err in results) == 2


@pytest.mark.case(74)
def test_what_another_runner_commits_meanwhile_is_not_taken_for_objects_of_nobody(
    blank: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    half, lock = "v_objects := v_traps", "pg_advisory_xact_lock(74)"
    assert half in schema.CHECK
    monkeypatch.setattr(schema, "CHECK", schema.CHECK.replace(half, f"perform {lock}; {half}"))
    blank.crm.sql("create schema rowferry")  # as the first runner does before its first revision
    with psycopg.connect(blank.crm.conninfo) as other, ThreadPoolExecutor(1) as pool:
        other.execute(f"select {lock}")

        def check() -> None:
            with psycopg.connect(blank.crm.conninfo, autocommit=True) as runner:
                schema.check(runner, "")

        seen = pool.submit(check)
        wait_until(lambda: blank.crm.sql("select from pg_locks where locktype = 'advisory' and not granted"), 30, "it waits")
        succeed(blank, "-x", "node=crm", "upgrade", FIRST)
        other.rollback()
        seen.result(timeout=30)


def test_an_index_is_built_concurrently_while_other_runners_wait(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(
        tmp_path,
        "site",
        "create index concurrently letters_l on public.letters (l);\n",
        body="    with op.get_context().autocommit_block():\n        sqlfile.run('revisions/0001_step.up.sql')\n",
    )
    ini.write_text(ini.read_text().replace("lock_wait = 3", "lock_wait = 60"))
    succeed(blank, "upgrade", FIRST)
    for node in blank:
        node.sql("create table public.letters (l text); insert into public.letters select 'a' from generate_series(1, 10000)")
    results = [finish(process) for process in [start(blank, "-n", "site", "upgrade", "head", ini=ini) for _ in range(3)]]
    assert [code for code, _, _ in results] == [0, 0, 0], results
    for node in blank:
        assert node.sql("select indisvalid from pg_index where indexrelid = 'letters_l'::regclass") == [{"indisvalid": True}]


def test_a_lock_held_too_long_ends_in_an_error_that_names_the_holder(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "core", "create table public.t ();\n")
    holder = blank.crm.connect()
    holder.execute(f"select pg_advisory_lock({LOCK})")
    code, _, err = alembic(blank, "upgrade", "head", ini=ini)
    assert code == 5
    assert f"select pg_terminate_backend({holder.info.backend_pid});" in err
    assert blank.crm.sql("select to_regclass('public.t') as t") == [{"t": None}]


def test_a_script_is_refused_while_another_migration_runs(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "core", "create table public.t ();\n")
    holder = blank.crm.connect()
    holder.execute(f"select pg_advisory_lock({LOCK})")
    script = succeed(blank, "-x", "node=crm", "upgrade", "head", "--sql", ini=ini)
    for stop in (True, False):
        _, errors = psql(blank.crm, script, stop)
        assert "another migration of this database is running" in errors
        assert blank.crm.sql("select to_regclass('public.t') as t, to_regnamespace('rowferry') as s") == [{"t": None, "s": None}]


def test_a_table_locked_for_a_while_is_waited_for_without_a_queue(blank: Nodes, tmp_path: Path) -> None:
    blank.crm.sql("create table public.t (a int)")
    ini = plant(tmp_path, "core", "alter table public.t add b int;\n")
    ini.write_text(ini.read_text().replace("lock_wait = 3", "lock_wait = 60"))
    user = blank.crm.connect(autocommit=False)
    user.execute("lock table public.t in share mode")
    process = start(blank, "-x", "node=crm", "upgrade", "head", ini=ini)
    assert process.stderr
    for line in process.stderr:
        if "trying again" in line:
            break
    user.rollback()
    code, _, err = finish(process)
    assert code == 0, err
    assert len(blank.crm.sql("select 1 from pg_attribute where attrelid = 'public.t'::regclass and attname = 'b'")) == 1


@pytest.mark.case(74)
def test_a_killed_runner_leaves_no_lock(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "core", "select pg_sleep(60);\n")
    process = start(blank, "-x", "node=crm", "upgrade", "head", ini=ini)
    sleeping = "select 1 from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
    wait_until(lambda: blank.crm.sql(sleeping), 30, "the migration runs")
    process.kill()
    finish(process)
    free = f"select pg_try_advisory_lock({LOCK}) as free"
    wait_until(lambda: blank.crm.sql(free)[0]["free"], 10, "the lock is free")
    wait_until(lambda: not blank.crm.sql(sleeping), 20, "the statement has ended")
