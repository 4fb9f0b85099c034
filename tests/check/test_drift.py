"""What somebody changed by hand in production is named, with a line that heals it."""

import json
import re
import subprocess
from typing import Any

import psycopg
import pytest

from harness import REPO, Node, Nodes, alembic
from harness.roles import role
from harness.worker import PROGRAM

CHANGES = {
    "a function replaced": "create or replace function rowferry.version() returns integer language sql immutable as 'select 7'",
    "a function's setting": "alter function rowferry.retry(bigint) set search_path = public",
    "a function's owner": "alter function rowferry.pause(text, text) owner to postgres",
    "a function's security": "alter function rowferry.check(text) security invoker",
    "a function's volatility": "alter function rowferry.row_status(text, text) volatile",
    "a function dropped": "drop function rowferry.require_core(integer)",
    "a function made": """create function rowferry.mine() returns integer language sql as 'select 1';
        revoke execute on function rowferry.mine() from public""",
    "a function open to all": "grant execute on function rowferry.backfill(text, integer) to public",
    "the call taken from the worker": """revoke execute on function
        rowferry.process_batch(text, text, bytea, integer, jsonb, boolean, interval) from rowferry_worker""",
    "the schema taken from a role": "revoke usage on schema rowferry from rowferry_viewer",
    "a trigger disabled": "alter table notes disable trigger rowferry_capture_insert",
    "a trigger dropped": "drop trigger rowferry_capture_delete on notes",
    "TRUNCATE let through": "alter table notes disable trigger rowferry_truncate",
    "a generated function replaced": """create or replace function rowferry.delete_notes(p_keys text[]) returns void
        language sql as ''""",
    "a generated function's setting": "alter function rowferry.apply_notes(text[], boolean, jsonb) set search_path = public, app",
    "a generated function's volatility": "alter function rowferry.read_notes(text[], bigint) volatile",
    "a generated function's owner": "alter function rowferry.lock_notes(text[]) owner to rowferry_owner",
    "a generated function open to all": "grant execute on function rowferry.apply_notes(text[], boolean, jsonb) to public",
    "a generated function dropped": "drop function rowferry.differing_notes(text[], text[])",
    "one of two functions of a name": "alter function rowferry.retry(text) set search_path = public",
    "an index dropped": "drop index rowferry.events_of_record",
    "an index made otherwise": """drop index rowferry.events_of_record;
        create index events_of_record on rowferry.events (entity_id, record_id)""",
    "an index invalid": "update pg_index set indisvalid = false where indexrelid = 'rowferry.events_of_record'::regclass",
    "a table unlogged": "alter table rowferry.held_events set unlogged",
    "a table that hides its rows": "alter table rowferry.links enable row level security, force row level security",
    "foreign keys that are not checked": "alter table rowferry.traffic disable trigger all",
    "a primary key dropped": "alter table rowferry.held_events drop constraint held_events_pkey",
    "a foreign key dropped": "alter table rowferry.batches drop constraint batches_peer_fkey",
    "a unique constraint deferred": """alter table rowferry.entities drop constraint entities_name_key,
        add constraint entities_name_key unique (name) deferrable""",
    "a constraint made": "alter table rowferry.events add constraint mine check (record_id <> '')",
    "a column that may be null": "alter table rowferry.events alter changed_at drop not null",
    "a column's type": "alter table rowferry.skips alter reason type varchar(6)",
    "a column's default": "alter table rowferry.links alter batch_limit set default 1",
    "a column dropped": "alter table rowferry.skips drop column image",
    "a trigger of the release dropped": "drop trigger stir on rowferry.moves",
    "a trigger that fires in fewer sessions": "alter table rowferry.moves enable trigger stir",
    "the trigger of a view dropped": "drop trigger sync_events_delete on rowferry.sync_events",
    "a trigger made": """create trigger mine before insert on rowferry.events for each row
        execute function suppress_redundant_updates_trigger()""",
    "a rule made": "create rule mine as on delete to rowferry.events do instead nothing",
    "a sequence cached": "alter sequence rowferry.events_id_seq cache 100",
    "a sequence that cycles": "alter sequence rowferry.events_id_seq maxvalue 1000000 cycle",
    "a sequence in steps": "alter sequence rowferry.events_id_seq increment 2",
    "a sequence of nobody": "alter table rowferry.events alter id drop identity",
    "a sequence set back": "update rowferry.links set horizon_id = 700; select setval('rowferry.events_id_seq', 3)",
    "a sequence of entities": "alter sequence rowferry.entity_ids owned by rowferry.entities.id",
    "a view replaced": """do $$ begin execute format(
        'create or replace view rowferry.backfill_progress as select * from (%s) v where false',
        rtrim(pg_get_viewdef('rowferry.backfill_progress'), ';')); end $$""",
    "a view dropped": "drop view rowferry.backfill_progress",
    "a view with other rights": "alter view rowferry.sync_events set (security_barrier = true)",
    "a view's owner": "alter view rowferry.sync_events owner to postgres",
    "a table's owner": "alter table rowferry.events owner to postgres",
}


@pytest.fixture
def attached(nodes: Nodes) -> Nodes:
    for node in nodes:
        node.sql("create schema app; create table notes (id integer primary key, text text); select rowferry.attach('notes')")
        assert node.sql("select * from rowferry.drift()") == []
    return nodes


def heal(node: Node, fix: str) -> None:
    """Do what the line says: statements in psql, or the command."""
    command = re.fullmatch(r"psql((?: -[cf] (?:'[^']+'|\S+))+)", fix)
    if command:
        parts = re.findall(r"-([cf]) (?:'([^']+)'|(\S+))", command[1])
        fix = "".join(f"{text};\n" if option == "c" else f"\\i {next(REPO.glob(path))}\n" for option, text, path in parts)
    node.psql(fix)


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_each_change_is_named_and_healed_by_the_line_beside_it(attached: Nodes, change: str) -> None:
    node = attached.crm
    node.sql(CHANGES[change])
    found = node.sql("select * from rowferry.drift()")
    assert len(found) == 1
    checked = {(row["object"], row["problem"]) for row in node.sql("select * from rowferry.check()")}
    assert {(row["object"], row["problem"]) for row in found} <= checked
    heal(node, found[0]["fix"])
    assert node.sql("select * from rowferry.drift()") == []


def test_a_view_that_is_made_again_can_be_read_by_those_who_could(attached: Nodes) -> None:
    node = attached.crm
    node.sql("drop view rowferry.backfill_progress")
    heal(node, node.sql("select * from rowferry.drift()")[0]["fix"])
    assert node.sql("set role rowferry_viewer; select * from rowferry.backfill_progress") == []


def test_ids_go_on_beyond_those_that_were_given_out(attached: Nodes) -> None:
    node = attached.crm
    node.sql("insert into notes select n from generate_series(1, 20) n")
    node.sql("alter table rowferry.events alter id drop identity")
    [line] = node.sql("select * from rowferry.drift()")
    heal(node, line["fix"])
    node.sql("insert into notes values (21)")
    assert node.sql("select max(id) > 1000020 as beyond from rowferry.events") == [{"beyond": True}]


def test_what_was_noted_by_another_major_version_is_compared_but_for_the_text_of_views(attached: Nodes) -> None:
    node = attached.crm
    node.sql(
        """update rowferry.released_objects
        set server = server - 1, definition = case kind when 'view' then 'other' else definition end"""
    )
    assert node.sql("select * from rowferry.drift()") == []
    node.sql("drop index rowferry.events_of_record; drop view rowferry.backfill_progress")
    assert len(node.sql("select * from rowferry.drift()")) == 2


def test_a_column_that_is_only_added_is_no_drift(nodes: Nodes) -> None:
    """Although the functions for unique values look at whole rows."""
    nodes.crm.sql("create table parts (id int primary key, code text unique, place int); select rowferry.attach('parts')")
    nodes.crm.sql("alter table parts add weight int default 0, add note text")
    assert nodes.crm.sql("select * from rowferry.drift()") == []


def test_what_is_attached_and_granted_is_no_drift(attached: Nodes) -> None:
    node = attached.crm
    node.sql("create role keeper; create table kept (id integer primary key); alter table kept owner to keeper")
    try:
        node.sql("grant usage on schema public to keeper; select rowferry.attach('kept')")
        node.sql("grant rowferry_operator to keeper")
        assert node.sql("select * from rowferry.drift()") == []
        node.sql("select rowferry.detach('kept'); select rowferry.detach('notes')")
        assert node.sql("select * from rowferry.drift()") == []
    finally:
        node.sql("drop owned by keeper cascade; drop role keeper")


def test_the_command_names_the_node_and_the_line_and_says_by_its_exit_code(attached: Nodes) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run([PROGRAM, "drift", *arguments], env=attached.env, cwd=REPO, capture_output=True, text=True)
        return done.returncode, done.stdout

    assert run() == (0, "")
    attached.billing.sql("revoke usage on schema rowferry from rowferry_worker")
    assert run() == (
        1,
        "billing: schema rowferry: rowferry_worker may not use it\n  grant usage on schema rowferry to rowferry_worker;\n",
    )
    code, text = run("--json")
    assert (code, [row["node"] for row in json.loads(text)]) == (1, ["billing"])


SETTINGS = {
    "quote_all_identifiers": "on",
    "plpgsql.extra_errors": "all",
    "plpgsql.extra_warnings": "all",
    "search_path": "app, rowferry, public",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "iso_8601",
    "TimeZone": "Asia/Tokyo",
    "extra_float_digits": "-3",
    "standard_conforming_strings": "off",
    "escape_string_warning": "off",
    "transform_null_equals": "on",
    "array_nulls": "off",
    "bytea_output": "escape",
    "xmloption": "document",
    "xmlbinary": "hex",
    "backslash_quote": "off",
    "row_security": "off",
    "client_encoding": "LATIN1",
    "default_toast_compression": "pglz",
    "default_transaction_deferrable": "on",
    "plpgsql.variable_conflict": "use_column",
    "check_function_bodies": "off",
    "default_transaction_isolation": "serializable",
    "enable_indexscan": "off",
    "from_collapse_limit": "1",
    "geqo_threshold": "2",
}


QUIET = "select * from rowferry.check() where severity <> 'info' and object not like 'server%'"
NOTES = """
    create schema app;
    create table public.notes (id integer primary key, "Text" text default 'now', at interval, seen timestamptz);
    create unique index on public.notes ("Text") where at > '-1 day 02:00' and seen > '2020-01-02 03:04Z';
    select rowferry.attach('public.notes')"""


def settings(node: Node, whose: str, reset: bool = False) -> None:
    for name, value in SETTINGS.items():
        change = f"reset {name}" if reset else f"set {name} = {value if name == 'search_path' else repr(value)}"
        node.sql(f"alter {whose} {change}")


@pytest.mark.case(141)
@pytest.mark.usefixtures("templates")  # which makes the roles
@pytest.mark.parametrize(("whose", "installed"), [("database", "by alembic"), ("role", "by a script")])
@pytest.mark.parametrize("when", ["before it was installed", "since it was installed", "always"])
def test_no_setting_looks_like_a_change(blank: Nodes, when: str, whose: str, installed: str) -> None:
    """The login owns the database and is no superuser."""
    node = blank.crm
    deploy = role(node, "login password 'word'")
    node.sql(f"alter database {node.database} owner to {deploy}; grant rowferry_owner to {deploy}")
    conninfo = node.server.conninfo(node.database, deploy, "word")
    env = {**blank.env, "ROWFERRY_NODE_CRM": conninfo}
    of = f"database {node.database}" if whose == "database" else f"role {deploy}"
    if when != "since it was installed":
        settings(node, of)
    if installed == "by alembic":
        alembic(env, "-x", "node=crm", "upgrade", "head")
    else:
        script = alembic(env, "-x", "node=crm", "upgrade", "head", "--sql")
        program = str(node.server.bin_dir / "psql")
        done = subprocess.run(
            [program, "-X", "-q", "-v", "ON_ERROR_STOP=1", conninfo], input=script, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr

    def look() -> list[Any]:
        found = []
        for query in ("select * from rowferry.drift()", QUIET):
            with psycopg.connect(conninfo) as connection:
                found += connection.execute(query).fetchall()  # type: ignore[call-overload]
        return found + node.sql("select * from rowferry.drift()")

    with psycopg.connect(conninfo) as connection:
        connection.execute(NOTES)
    assert look() == []
    if when != "always":
        settings(node, of, reset=when == "before it was installed")
    assert look() == []
    with psycopg.connect(conninfo) as connection:
        connection.execute("select rowferry.attach('public.notes', p_conflict_rule => 'node:crm')")
    assert look() == []
    with psycopg.connect(conninfo) as connection:
        connection.execute("select rowferry.detach('notes', true)")
    assert look() == []


def test_a_function_made_again_from_a_dump_is_the_same_under_any_setting(attached: Nodes) -> None:
    node = attached.crm
    node.sql("""
        set quote_all_identifiers = on; set datestyle = 'SQL, DMY'; set standard_conforming_strings = off;
        do $$
        declare
          v_function record;
        begin
          for v_function in select p.oid from pg_proc p where p.pronamespace = 'rowferry'::regnamespace loop
            execute pg_get_functiondef(v_function.oid);
          end loop;
        end
        $$""")
    assert node.sql("select true as it from pg_proc where proname = 'drift' and proconfig::text like '%pg_temp\\\\\"%'") != []
    assert node.sql("select * from rowferry.drift()") == []
    node.sql("alter function rowferry.retry(bigint) set search_path = public, pg_temp")
    assert len(node.sql("select * from rowferry.drift()")) == 1


def test_no_role_that_a_database_sets_looks_like_a_change(nodes: Nodes) -> None:
    node = nodes.crm
    node.sql("create table public.notes (id integer primary key, body text); select rowferry.attach('public.notes')")
    node.sql(f"alter database {node.database} set role = 'rowferry_owner'")
    node.close()
    assert node.sql("select current_user") == [{"current_user": "rowferry_owner"}]
    assert node.sql("select * from rowferry.drift()") == []
    assert node.sql("select * from rowferry.check() where severity <> 'info' and object not like 'server%'") == []
