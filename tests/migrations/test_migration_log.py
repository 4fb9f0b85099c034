"""What stands in rowferry.migration_log, the check after each revision, and downgrades that would lose something."""

import importlib.metadata
import re
from pathlib import Path

import pytest

from harness import Nodes
from harness.exchange import sync
from harness.migrations import INI, alembic, plant, psql, relations, succeed
from rowferry.migrations.sqlfile import newest_revision

HEAD = f"core_{newest_revision():04}"
LOG = "select lineage, revision, direction, title, toolkit, ran_by, ran_with from rowferry.migration_log order by ran_at"


def log(nodes: Nodes, *columns: str) -> list[tuple[str, ...]]:
    return [tuple(row[name] for name in columns) for row in nodes.crm.sql(LOG)]


def test_each_step_of_both_lineages_is_logged_with_who_and_what_ran_it(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site", "select 1;\n", "select 2;\n")
    succeed(blank, "upgrade", "core_0002", ini=ini)
    succeed(blank, "-n", "site", "upgrade", "head", ini=ini)
    succeed(blank, "-n", "site", "downgrade", "-1", ini=ini)
    for target in ("head", "site_0001", "base", "head"):
        succeed(blank, "-n", "site", "stamp", target, ini=ini)
    assert log(blank, "lineage", "revision", "direction") == [
        ("core", "core_0001", "upgrade"),
        ("core", "core_0002", "upgrade"),
        ("site", "site_0001", "upgrade"),
        ("site", "site_0002", "upgrade"),
        ("site", "site_0002", "downgrade"),
        ("site", "site_0002", "stamp"),
        ("site", "site_0001", "stamp"),
        ("site", "base", "stamp"),
        ("site", "site_0002", "stamp"),
    ]
    assert set(log(blank, "toolkit", "ran_by", "ran_with")) == {
        (importlib.metadata.version("rowferry"), "postgres", "rowferry migrations")
    }
    assert log(blank, "title")[:2] == [("schema and roles",), ("tables",)]


def test_a_script_logs_what_alembic_would_log(blank: Nodes) -> None:
    code, errors = psql(blank.crm, succeed(blank, "-x", "node=crm", "upgrade", "head", "--sql"))
    assert (code, errors) == (0, "")
    succeed(blank, "-x", "node=billing", "upgrade", "head")
    of_script, of_alembic = ([{**row, "ran_with": None} for row in node.sql(LOG)] for node in blank)
    assert of_script == of_alembic
    assert {with_ for (with_,) in log(blank, "ran_with")} == {"psql"}


def test_a_script_says_what_each_of_its_parts_is(blank: Nodes) -> None:
    script = succeed(blank, "-x", "node=crm", "upgrade", "head", "--sql")
    for line in (
        "-- Running upgrade core_0002 -> core_0003",
        "-- attach/attach.sql",
        "-- revisions/0003_functions_and_views.verify.sql",
    ):
        assert line in script


def test_the_log_outlives_a_downgrade_to_base(blank: Nodes) -> None:
    for way in ("upgrade", "downgrade", "upgrade"):
        succeed(blank, "-x", "node=crm", way, "core_0001" if way == "upgrade" else "base")
    assert log(blank, "direction") == [("upgrade",), ("downgrade",), ("upgrade",)]


def test_every_revision_of_core_has_its_check() -> None:
    stems = {path.stem for path in (INI.parent / "migrations" / "core").glob("0*.py")}
    assert {path.name.split(".")[0] for path in (INI.parent / "sql" / "core" / "revisions").glob("*.verify.sql")} == stems


@pytest.mark.parametrize("script", [False, True], ids=["alembic", "script"])
def test_a_revision_that_did_not_make_what_it_should_leaves_nothing(blank: Nodes, tmp_path: Path, script: bool) -> None:
    ini = plant(tmp_path, "site", "create table public.one ();\n", "create table public.two ();\n")
    check = "-- What it was to make.\nselect to_regclass('public.' || t) is not null, t from unnest('{two,three}'::text[]) t;\n"
    (tmp_path / "site_sql" / "revisions" / "0001_step.verify.sql").write_text(
        "select 'public.one'::regclass is not null, 'one';\n"
    )
    (tmp_path / "site_sql" / "revisions" / "0002_step.crm.verify.sql").write_text(check)
    succeed(blank, "upgrade", "core_0001", ini=ini)
    if script:
        code, errors = psql(blank.crm, succeed(blank, "-n", "site", "-x", "node=crm", "upgrade", "head", "--sql", ini=ini))
    else:
        code, _, errors = alembic(blank, "-n", "site", "-x", "node=crm", "upgrade", "head", ini=ini)
        assert "0002_step.crm.verify.sql" in errors
    assert code and "the revision did not make what it should" in errors
    assert re.search(r"DETAIL: +three$", errors, re.MULTILINE)
    assert blank.crm.sql("select to_regclass('public.one') as one, to_regclass('public.two') as two") == [
        {"one": "one", "two": None}
    ]
    assert log(blank, "revision")[-1] == ("site_0001",)
    succeed(blank, "-n", "site", "-x", "node=billing", "upgrade", "head", ini=ini)


def test_a_revision_whose_grant_was_taken_away_as_it_ran_is_not_installed(blank: Nodes) -> None:
    succeed(blank, "-x", "node=crm", "upgrade", "core_0002")
    blank.crm.sql("""
        create function public.tamper() returns event_trigger language plpgsql as $$
        begin
          if to_regclass('rowferry.sync_events') is not null then
            revoke select on rowferry.sync_events from rowferry_viewer;
          end if;
        end $$;
        create event trigger tamper on ddl_command_end when tag in ('GRANT') execute function public.tamper()""")
    code, _, errors = alembic(blank, "-x", "node=crm", "upgrade", "core_0003")
    assert code == 1 and "RF038" in errors and "view sync_events, for viewers" in errors
    assert blank.crm.sql("select version_num from rowferry.alembic_version_core") == [{"version_num": "core_0002"}]


NOTES = """create table notes (id integer primary key, text text);
    select rowferry.attach('notes'); insert into notes values (1, 'undelivered')"""


@pytest.mark.parametrize("script", [False, True], ids=["alembic", "script"])
def test_a_downgrade_that_would_lose_events_is_refused_unless_it_is_forced(nodes: Nodes, script: bool) -> None:
    nodes.crm.sql(NOTES)
    before = relations(nodes.crm)
    if script:
        code, errors = psql(nodes.crm, succeed(nodes, "-x", "node=crm", "downgrade", f"{HEAD}:base", "--sql"))
    else:
        code, _, errors = alembic(nodes, "-x", "node=crm", "downgrade", "base")
    assert code
    assert "events that are not delivered: 1" in errors and "alembic -x force=true" in errors
    assert relations(nodes.crm) == before
    forced = ["-x", "node=crm", "-x", "force=true", "downgrade"]
    if script:
        # Each step before the refused one was kept.
        [reached] = nodes.crm.sql("select version_num from rowferry.alembic_version_core")
        assert psql(nodes.crm, succeed(nodes, *forced, f"{reached['version_num']}:base", "--sql")) == (0, "")
    else:
        succeed(nodes, *forced, "base")
    assert "entities" not in relations(nodes.crm)
    assert nodes.crm.sql("select * from notes") == [{"id": 1, "text": "undelivered"}]
    assert nodes.crm.sql("select tgname from pg_trigger where tgrelid = 'notes'::regclass") == []


def test_a_revision_that_detaches_is_refused_while_events_wait_unless_it_is_forced(nodes: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site", "select rowferry.attach('public.notes');\n", downs={1: "select rowferry.detach('notes');\n"})
    for node in nodes:
        node.sql("create table notes (id integer primary key, text text)")
    succeed(nodes, "-n", "site", "upgrade", "head", ini=ini)
    nodes.crm.sql("insert into notes values (1, 'undelivered')")
    code, _, errors = alembic(nodes, "-n", "site", "-x", "node=crm", "downgrade", "base", ini=ini)
    assert code == 1 and "RF012" in errors and "-x force=true" in errors
    sync(*nodes)
    nodes.crm.sql("insert into notes values (2, 'undelivered')")
    succeed(nodes, "-n", "site", "-x", "node=crm", "-x", "force=true", "downgrade", "base", ini=ini)
    assert nodes.crm.sql("select * from rowferry.entities") == []
    succeed(nodes, "-n", "site", "-x", "node=billing", "downgrade", "base", ini=ini)


def test_a_forced_downgrade_takes_out_first_what_follows_other_rows(nodes: Nodes) -> None:
    nodes.crm.sql("""
        create table accounts (id int primary key, region text);
        create table notes (id int primary key, account int references accounts); create index on notes (account);
        select rowferry.attach('accounts', p_filter => $$region = 'N'$$);
        select rowferry.attach('notes', p_within => 'accounts')""")
    succeed(nodes, "-x", "node=crm", "-x", "force=true", "downgrade", "base")
    assert "entities" not in relations(nodes.crm)


@pytest.mark.parametrize("script", [False, True], ids=["alembic", "script"])
def test_core_stays_whole_while_revisions_of_the_site_have_tables_attached_even_if_forced(
    nodes: Nodes, tmp_path: Path, script: bool
) -> None:
    ini = plant(tmp_path, "site", "select rowferry.attach('public.notes');\n", downs={1: "select rowferry.detach('notes');\n"})
    for node in nodes:
        node.sql("create table notes (id integer primary key, text text)")
    succeed(nodes, "-n", "site", "upgrade", "head", ini=ini)
    nodes.crm.sql("insert into notes values (1, 'undelivered')")
    before = relations(nodes.crm)
    forced = ["-x", "node=crm", "-x", "force=true", "downgrade"]
    if script:
        code, errors = psql(nodes.crm, succeed(nodes, *forced, f"{HEAD}:base", "--sql", ini=ini))
    else:
        code, _, errors = alembic(nodes, *forced, "base", ini=ini)
    assert code and "revisions of the site are still applied" in errors and "-x force=true" in errors
    assert relations(nodes.crm) == before
    assert nodes.crm.sql("select count(*) from rowferry.events") == [{"count": 1}]
    succeed(nodes, "-n", "site", *forced, "base", ini=ini)
    succeed(nodes, *forced, "base", ini=ini)
    assert "entities" not in relations(nodes.crm)


@pytest.mark.parametrize("argument", ["force=yes", "force", "forse=true"])
def test_a_force_that_is_misspelled_is_refused(nodes: Nodes, argument: str) -> None:
    code, _, errors = alembic(nodes, "-x", argument, "downgrade", "base")
    assert code == 2 and "means nothing" in errors


def test_viewers_read_the_log_and_operators_cannot_change_it(nodes: Nodes) -> None:
    with nodes.crm.connect() as connection:
        connection.execute("set role rowferry_viewer")
        assert connection.execute("select count(*) > 2 from rowferry.migration_log").fetchone() == (True,)
    code, errors = psql(nodes.crm, "set role rowferry_operator; delete from rowferry.migration_log;")
    assert code and "permission denied" in errors
