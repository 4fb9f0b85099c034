"""Alembic on real databases: what people type, what they then see, and what is in the catalog."""

import re
from pathlib import Path

import psycopg
import pytest

from harness import Node, Nodes
from harness.migrations import FIRST, alembic, dump, plant, psql, relations, succeed

VERSION = "select version_num from rowferry.alembic_version_core"
FUNCTIONS = """
    select p.oid::regprocedure::text as name, pg_get_functiondef(p.oid) as body
    from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.prokind in ('f', 'p') order by 1"""


@pytest.mark.smoke
def test_an_upgrade_from_nothing_reaches_every_node_and_is_seen_by_others(blank: Nodes) -> None:
    watchers = [node.connect() for node in blank]
    output = succeed(blank, "upgrade", "head")
    for node, watcher in zip(blank, watchers, strict=True):
        assert f"{node.name}: Running upgrade" in output
        assert watcher.execute(VERSION).fetchall()
        owners = "select relname, pg_get_userbyid(relowner) from pg_class where oid = 'rowferry.node'::regclass"
        assert watcher.execute(owners).fetchall() == [("node", "rowferry_owner")]
        schema = watcher.execute("select pg_get_userbyid(nspowner), nspacl::text from pg_namespace where nspname = 'rowferry'")
        owner, acl = schema.fetchone() or ("", "")
        assert owner == "rowferry_owner"
        assert not re.search(r"[{,]=", acl), "the schema is open to public"


@pytest.mark.case(74)
def test_a_second_upgrade_changes_nothing(blank: Nodes) -> None:
    succeed(blank, "upgrade", "head")
    before = dump(blank.crm)
    assert "Running" not in succeed(blank, "upgrade", "head")
    assert dump(blank.crm) == before


@pytest.mark.smoke
@pytest.mark.case(74)
def test_up_down_to_base_and_up_again_gives_the_same_schema(blank: Nodes) -> None:
    succeed(blank, "upgrade", "head")
    first = [dump(node) for node in blank]
    succeed(blank, "downgrade", "base")
    assert relations(blank.crm) == {"alembic_version_core", "migration_log"}
    assert blank.crm.sql("select 1 from pg_proc where pronamespace = 'rowferry'::regnamespace") == []
    assert len(blank.crm.sql("select 1 from pg_roles where rolname like 'rowferry\\_%'")) == 4
    succeed(blank, "upgrade", "head")
    assert [dump(node) for node in blank] == first


@pytest.mark.smoke
def test_a_script_through_psql_gives_what_an_upgrade_gives(blank: Nodes) -> None:
    succeed(blank, "-x", "node=crm", "upgrade", "head")
    code, errors = psql(blank.billing, succeed(blank, "-x", "node=billing", "upgrade", "head", "--sql"))
    assert (code, errors) == (0, "")
    assert blank.billing.sql(FUNCTIONS) == blank.crm.sql(FUNCTIONS)
    assert dump(blank.billing) == dump(blank.crm)
    assert blank.billing.sql(VERSION) == blank.crm.sql(VERSION)
    succeed(blank, "downgrade", "base")
    script = succeed(blank, "-x", "node=billing", "upgrade", "head", "--sql")
    assert psql(blank.billing, script) == (0, ""), "the version table that a downgrade leaves is in the way"


# Nearer to their arguments than what PostgreSQL has, hence taken by whoever has public in search_path.
CAUGHT = """
create table public.caught (by text);
create function public.cardinality(text[]) returns integer language sql volatile
  as $$ insert into public.caught values (current_user); select pg_catalog.cardinality($1) $$;
create function public.differ(text[], text[]) returns boolean language sql volatile
  as $$ insert into public.caught values (current_user); select $1::text operator(pg_catalog.<>) $2::text $$;
create operator public.<> (function = public.differ, leftarg = text[], rightarg = text[])"""


def test_nothing_that_others_left_in_public_runs_in_a_migration(blank: Nodes) -> None:
    for node in blank:
        node.sql(CAUGHT)
    succeed(blank, "-x", "node=crm", "upgrade", "head")
    assert psql(blank.billing, succeed(blank, "-x", "node=billing", "upgrade", "head", "--sql")) == (0, "")
    for node in blank:
        assert node.sql("select * from public.caught") == []
    succeed(blank, "downgrade", "base")
    for node in blank:
        assert node.sql("select * from public.caught") == []


BODY = r"""
declare
  v_json constant jsonb := '{"a":1, "b": ":name", "c": "%s %(x)s %%"}';
begin
  -- déjà vu, 100 % 'quoted', a:b, $1
  raise notice '% of %%, \t %', 5 % 3, v_json ->> 'a' ~ '(?:x)' || E'\\';


  execute $q$ select ':y', 'a' like '%b' $q$;
end
"""


def test_a_function_reaches_the_catalog_byte_for_byte(blank: Nodes, tmp_path: Path) -> None:
    step = (
        f"create schema mine;\n\n-- Why: 100 % :sure\ncreate function mine.f() returns void language plpgsql as $f${BODY}$f$;\n"
    )
    ini = plant(tmp_path, "core", step)
    succeed(blank, "-x", "node=crm", "upgrade", "head", ini=ini)
    assert psql(blank.billing, succeed(blank, "-x", "node=billing", "upgrade", "head", "--sql", ini=ini)) == (0, "")
    for node in blank:
        assert node.sql("select prosrc from pg_proc where oid = 'mine.f'::regproc") == [{"prosrc": BODY}]
        assert psql(node, "drop schema mine cascade;\n" + step)[0] == 0
        assert node.sql("select prosrc from pg_proc where oid = 'mine.f'::regproc") == [{"prosrc": BODY}]


def test_a_statement_in_a_revision_itself_keeps_its_percent_sign_in_a_script(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site", "select 1;\n", body="    op.execute(\"create table public.t (a text default '5%')\")\n")
    assert "'5%')" in succeed(blank, "-n", "site", "-x", "node=crm", "upgrade", "head", "--sql", ini=ini)


RECORD_NAMES = """create table public.named (name text, peers text[], spokes text[]);
create function rowferry.configure_node(p_name text, p_peers text[], p_spokes text[]) returns void
language sql as $$ insert into public.named values (p_name, p_peers, p_spokes) $$;
do $$ begin create role rowferry_owner; exception when duplicate_object or unique_violation then null; end $$;
alter function rowferry.configure_node owner to rowferry_owner;
alter schema rowferry owner to rowferry_owner;
"""


def test_an_upgrade_of_core_tells_each_node_its_name_and_its_peers(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "core", RECORD_NAMES, downs={1: "select 1;\n"})
    plant(tmp_path, "site", "select 1;\n")
    succeed(blank, "-x", "node=crm", "upgrade", "head", ini=ini)
    assert psql(blank.billing, succeed(blank, "-x", "node=billing", "upgrade", "head", "--sql", ini=ini)) == (0, "")
    succeed(blank, "-n", "site", "upgrade", "head", ini=ini)
    succeed(blank, "downgrade", "base", ini=ini)
    assert blank.crm.sql("select * from public.named") == [{"name": "crm", "peers": ["billing"], "spokes": [None]}]
    assert blank.billing.sql("select * from public.named") == [{"name": "billing", "peers": ["crm"], "spokes": [None]}]


@pytest.mark.smoke
def test_a_plain_user_can_migrate_when_the_roles_are_granted(own_servers: Nodes) -> None:
    env = {}
    for node in own_servers:  # the roles are there since core is installed in another database
        postgres = Node(node.name, node.server, "postgres")
        postgres.sql("create role deploy login password 'word'; grant rowferry_owner to deploy")
        postgres.sql("create database plain")
        postgres.sql("grant create on database plain to deploy")
        env[f"ROWFERRY_NODE_{node.name.upper()}"] = node.server.conninfo("plain", "deploy", "word")
    for arguments in (["upgrade", "head"], ["downgrade", "base"], ["upgrade", "head"]):
        code, _, err = alembic(own_servers, *arguments, **env)
        assert code == 0, err
    plain = Node("crm", own_servers.crm.server, "plain")
    wrong = plain.sql(
        "select relname from pg_class where relnamespace = 'rowferry'::regnamespace"
        " and pg_get_userbyid(relowner) <> 'rowferry_owner' and relname not like 'alembic%' and relkind <> 'i'"
    )
    assert wrong == []


def test_a_plain_user_without_roles_is_told_what_to_run(own_servers: Nodes) -> None:
    env = {}
    for node in own_servers:
        postgres = Node(node.name, node.server, "postgres")
        postgres.sql(f"drop database {node.database}")
        postgres.sql(
            "drop role rowferry_operator, rowferry_viewer, rowferry_worker, rowferry_owner;"
            "create role deploy login password 'word'"
        )
        postgres.sql("create database plain owner deploy")
        env[f"ROWFERRY_NODE_{node.name.upper()}"] = node.server.conninfo("plain", "deploy", "word")
    code, _, err = alembic(own_servers, "upgrade", "head", **env)
    assert (code, "RF031" in err) == (1, True), err
    hint = re.search(r"HINT: As a superuser run: (.*)", err)
    assert hint, err
    for node in own_servers:
        Node(node.name, node.server, "postgres").sql(hint[1])
    code, _, err = alembic(own_servers, "upgrade", "head", **env)
    assert code == 0, err


@pytest.mark.smoke
def test_who_may_make_roles_makes_them_and_needs_no_superuser(own_servers: Nodes) -> None:
    env = {}
    for node in own_servers:
        postgres = Node(node.name, node.server, "postgres")
        postgres.sql(f"drop database {node.database}")
        postgres.sql("drop role rowferry_operator, rowferry_viewer, rowferry_worker, rowferry_owner")
        postgres.sql("create role deploy login createrole password 'word'")
        postgres.sql("create database plain owner deploy")
        env[f"ROWFERRY_NODE_{node.name.upper()}"] = node.server.conninfo("plain", "deploy", "word")
    for arguments in (["upgrade", "head"], ["downgrade", "base"], ["upgrade", "head"]):
        code, _, err = alembic(own_servers, *arguments, **env)
        assert code == 0, err
    plain = Node("crm", own_servers.crm.server, "plain")
    with psycopg.connect(env["ROWFERRY_NODE_CRM"], autocommit=True) as deploy:
        deploy.execute("create table notes (id integer primary key); select rowferry.attach('notes')")
        assert deploy.execute("select * from rowferry.drift()").fetchall() == []
    plain.sql("insert into notes values (1)")
    assert [row["record_id"] for row in plain.sql("select record_id from rowferry.sync_events")] == ["1"]


@pytest.mark.case(74)
@pytest.mark.parametrize("stop", [True, False], ids=["stops at an error", "goes on after an error"])
@pytest.mark.parametrize(
    ("installed", "wanted"),
    [("base", "core_0001:head"), ("core_0001", "head"), ("core_0002", "head"), ("core_0002", "core_0001:head")],
)
def test_a_script_from_another_version_changes_nothing(
    blank: Nodes, tmp_path: Path, installed: str, wanted: str, stop: bool
) -> None:
    first, second = "create table public.one ();\n", "create table public.two ();\n" + RECORD_NAMES
    ini = plant(tmp_path, "core", first, second, downs={1: "drop table public.one;\n"})
    script = succeed(blank, "-x", "node=crm", "upgrade", wanted, "--sql", ini=ini)
    if installed != "base":
        succeed(blank, "-x", "node=crm", "upgrade", installed, ini=ini)
    before = dump(blank.crm)
    named = "select * from public.named" if installed == "core_0002" else "select 1 as one"
    rows = blank.crm.sql(named)
    code, errors = psql(blank.crm, script, stop)
    assert "this script does not start at the version that is installed" in errors
    assert code == (3 if stop else 0)
    assert dump(blank.crm) == before
    assert blank.crm.sql(named) == rows


def test_a_script_over_many_revisions_ends_where_it_says(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(
        tmp_path, "core", "create table public.one ();\n", "create table public.two ();\n", downs={2: "drop table public.two;\n"}
    )
    assert psql(blank.crm, succeed(blank, "-x", "node=crm", "upgrade", "head", "--sql", ini=ini)) == (0, "")
    assert blank.crm.sql(VERSION) == [{"version_num": "core_0002"}]
    down = succeed(blank, "-x", "node=crm", "downgrade", "core_0002:core_0001", "--sql", ini=ini)
    assert psql(blank.crm, down) == (0, "")
    assert blank.crm.sql("select to_regclass('public.two') as t") == [{"t": None}]
    assert blank.crm.sql(VERSION) == [{"version_num": "core_0001"}]


def test_a_script_is_for_one_node(blank: Nodes) -> None:
    code, out, err = alembic(blank, "upgrade", "head", "--sql")
    assert (code, out) == (2, "")
    assert "-x node=crm" in err


def test_each_line_says_which_node_it_is_about(blank: Nodes) -> None:
    succeed(blank, "upgrade", FIRST)
    lines = [line for line in succeed(blank, "current").splitlines() if line]
    assert [line.split(" ")[:2] for line in lines] == [["crm:", FIRST], ["billing:", FIRST]]


def test_reading_the_version_writes_nothing(blank: Nodes) -> None:
    for command in (["current"], ["history", "-i"], ["show", "current"]):
        succeed(blank, *command)
        assert blank.crm.sql("select to_regnamespace('rowferry') as s") == [{"s": None}]


def test_notices_are_shown(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(
        tmp_path,
        "core",
        "do $$ begin raise notice 'look % here', 1; raise warning 'and there' using hint = 'type this'; end $$;\n",
    )
    output = succeed(blank, "upgrade", "head", ini=ini)
    assert "crm: NOTICE: look 1 here\n" in output
    assert "billing: WARNING: and there\nbilling: HINT: type this\n" in output


def test_an_error_shows_file_line_and_hint_and_leaves_nothing_of_its_revision(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(
        tmp_path,
        "core",
        "create table public.one ();\n",
        "create table public.two ();\n\nselect nonsense;\n",
        "select 1;\n",
    )
    code, out, err = alembic(blank, "upgrade", "head", ini=ini)
    assert (code, out) == (1, "")
    assert "Traceback" not in err
    assert 'crm: ERROR 42703: column "nonsense" does not exist\n' in err
    assert f"in {tmp_path}/core_sql/revisions/0002_step.up.sql, line 3\n" in err
    assert blank.crm.sql(VERSION) == [{"version_num": "core_0001"}]
    assert blank.crm.sql("select to_regclass('public.one') as t, to_regclass('public.two') as u") == [{"t": "one", "u": None}]
    assert relations(blank.billing) == set()


def test_a_downgrade_is_refused_as_a_whole_while_tables_are_attached(blank: Nodes) -> None:
    succeed(blank, "upgrade", "head")
    blank.crm.sql("create table notes (id integer primary key); select rowferry.attach('notes')")
    code, _, err = alembic(blank, "-x", "node=crm", "downgrade", "base")
    assert code == 1
    assert "tables are still attached" in err and "rowferry.detach(name)" in err
    assert blank.crm.sql("select rowferry.version() as version") == [{"version": 3}]


def test_a_downgrade_does_not_drop_what_it_did_not_make(blank: Nodes) -> None:
    succeed(blank, "upgrade", FIRST)
    blank.crm.sql("create table rowferry.mine (a int)")
    code, _, err = alembic(blank, "-x", "node=crm", "downgrade", "base")
    assert code == 1
    assert "RF035" in err
    assert "table rowferry.mine" in err
    assert relations(blank.crm) >= {"mine", "node"}


def test_core_stays_while_revisions_of_the_site_are_applied(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site", "create table public.one ();\n")
    succeed(blank, "upgrade", FIRST, ini=ini)
    succeed(blank, "-n", "site", "upgrade", "head", ini=ini)
    code, _, err = alembic(blank, "downgrade", "base", ini=ini)
    assert code == 1
    assert "HINT: Downgrade them first: alembic -n site downgrade base" in err
    succeed(blank, "-n", "site", "downgrade", "base", ini=ini)
    succeed(blank, "downgrade", "base", ini=ini)
