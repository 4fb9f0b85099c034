"""What was there before rowferry came is not taken for its own, and default privileges give nobody a right in its schema."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from harness import Node, Nodes, wait_until
from harness.migrations import alembic, dump, psql, succeed
from harness.roles import role

pytestmark = pytest.mark.smoke

# It must not take the lock to find out: its own session might still have it when the next one begins.
FREE = """
    select count(*) = 0 as free from pg_locks l
    where l.locktype = 'advisory' and l.database = (select oid from pg_database where datname = current_database())"""
VERSION_TABLE = "create table rowferry.alembic_version_core (version_num varchar(32) primary key)"
OURS = f"""
    reset role; {VERSION_TABLE}; alter table rowferry.alembic_version_core owner to rowferry_owner;
    alter schema rowferry owner to rowferry_owner;"""
TRAP = "create function {i}_s.trap() returns trigger language plpgsql as 'begin return new; end'"
# What {i}, who may create schemas, or a superuser who has been careless, has made, and what the refusal names of it.
BEFORE = {
    "a function": (
        "create function rowferry.attach(text) returns text language sql as 'select $1'",
        "function rowferry.attach(pg_catalog.text) of {i}",
    ),
    "a procedure": (
        "create procedure rowferry.attach(text) language sql as 'select 1'",
        "procedure rowferry.attach(pg_catalog.text) of {i}",
    ),
    "a table": ("create table rowferry.events (a int)", "table rowferry.events of {i}"),
    "a view": ("create view rowferry.status as select 1", "view rowferry.status of {i}"),
    "a sequence": ("create sequence rowferry.entity_ids", "sequence rowferry.entity_ids of {i}"),
    "a domain": ("create domain rowferry.text as text", "type rowferry.text of {i}"),
    "a composite type": ("create type rowferry._section as (a int)", "rowferry._section of {i}"),
    "an operator": (
        "create operator rowferry.= (function = pg_catalog.int84eq, leftarg = bigint, rightarg = integer)",
        "operator rowferry.=(bigint,integer) of {i}",
    ),
    "a collation": ('create collation rowferry."C" from pg_catalog."C"', 'collation rowferry."C" of {i}'),
    "a text search configuration": (
        "create text search configuration rowferry.simple (copy = pg_catalog.simple)",
        "rowferry.simple of {i}",
    ),
    "a version table that says all is there": (
        f"{VERSION_TABLE}; insert into rowferry.alembic_version_core values ('core_0003')",
        "table rowferry.alembic_version_core of {i}",
    ),
    "a view in place of the version table": (
        "create view rowferry.alembic_version_core as select 'core_0003'::varchar(32) as version_num",
        "view rowferry.alembic_version_core of {i}",
    ),
    "a log of migrations": ("create table rowferry.migration_log (a int)", "table rowferry.migration_log of {i}"),
    "more than ten": (
        "; ".join(f"create domain rowferry.d{number:02} as text" for number in range(12)),
        "type rowferry.d09 of {i} and 2 more.",
    ),
    "a forged version in a schema of the migrating role's": (
        f"reset role; alter schema rowferry owner to postgres; {VERSION_TABLE};"
        "insert into rowferry.alembic_version_core values ('core_0003');"
        "create function rowferry.attach(text) returns text language sql as 'select $1'",
        "The schema belongs to postgres. In it: function rowferry.attach(pg_catalog.text) of postgres.",
    ),
    "a schema of rowferry_owner's with something of another's": (
        "create function rowferry.attach(text) returns text language sql as 'select $1';"
        "reset role; alter schema rowferry owner to rowferry_owner",
        "The schema belongs to rowferry_owner. In it: function rowferry.attach(pg_catalog.text) of {i}.",
    ),
    "a forged version in a schema of rowferry_owner's": (
        f"{VERSION_TABLE}; insert into rowferry.alembic_version_core values ('core_0003');"
        "reset role; alter schema rowferry owner to rowferry_owner",
        "table rowferry.alembic_version_core of {i}",
    ),
    "a schema of a member of rowferry_owner's, with something in it": (
        "create view rowferry.status as select 1; reset role; grant rowferry_owner to {i}",
        "view rowferry.status of {i}",
    ),
    "a trigger on the version table": (
        f"{TRAP}; {OURS}"
        "create trigger snap before insert or update on rowferry.alembic_version_core for each row execute function {i}_s.trap()",
        "trigger snap on rowferry.alembic_version_core",
    ),
    "a rule on the version table": (
        f"{OURS}create rule snap as on insert to rowferry.alembic_version_core do also select 1",
        "rule snap on rowferry.alembic_version_core",
    ),
    "an index on the version table that calls a function": (
        "create function {i}_s.f(text) returns text language sql immutable as 'select $1';"
        f"{OURS}"
        "create index snap on rowferry.alembic_version_core ({i}_s.f(version_num))",
        "index rowferry.snap",
    ),
    "a table that inherits from the version table": (
        f"{OURS}"
        "create table {i}_s.child () inherits (rowferry.alembic_version_core); insert into {i}_s.child values ('core_0003')",
        "table {i}_s.child",
    ),
}
FOR_ALL = "rowferry.is_applying()"  # it stands in the WHEN of users' triggers
ACLS = """
    select o.object, case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee)::text end as role,
      a.privilege_type as privilege, a.is_grantable and a.grantee <> o.owner as grantable
    from (
      select 'schema' as object, nspowner, coalesce(nspacl, acldefault('n', nspowner))
      from pg_namespace where nspname = 'rowferry'
      union all
      select relname::text, relowner, coalesce(relacl, acldefault(case relkind when 'S' then 's' else 'r' end::"char", relowner))
      from pg_class where relnamespace = 'rowferry'::regnamespace and relkind in ('r', 'v', 'S')
      union all
      select attrelid::regclass || '.' || attname, relowner, attacl
      from pg_attribute join pg_class c on c.oid = attrelid
      where relnamespace = 'rowferry'::regnamespace and attacl is not null
      union all
      select oid::regprocedure::text, proowner, coalesce(proacl, acldefault('f', proowner))
      from pg_proc where pronamespace = 'rowferry'::regnamespace
      union all
      select t.oid::regtype::text, typowner, coalesce(typacl, acldefault('T', typowner))
      from pg_type t left join pg_class c on c.oid = typrelid
      where typnamespace = 'rowferry'::regnamespace and typtype in ('c', 'd', 'e', 'r') and coalesce(relkind, 'c') = 'c'
    ) o (object, owner, acl)
    cross join lateral aclexplode(o.acl) a
    order by 1, 2, 3"""
GENEROUS = """
    alter default privileges for role {by} grant all on tables to {to} with grant option;
    alter default privileges for role {by} grant all on sequences to {to}, rowferry_worker;
    alter default privileges for role {by} grant all on functions to {to}, rowferry_owner with grant option;
    alter default privileges for role {by} grant all on types to {to}, public;
    alter default privileges for role {by} grant all on schemas to {to}, public;
    alter default privileges for role {by} revoke execute on functions from public"""
STINGY = """
    alter default privileges for role {by} revoke all on tables from {by};
    alter default privileges for role {by} revoke all on sequences from {by};
    alter default privileges for role {by} revoke all on functions from {by}, public;
    alter default privileges for role {by} revoke all on types from {by}, public;
    alter default privileges for role {by} revoke all on schemas from {by}"""


@pytest.fixture(scope="module")
def script(templates: Nodes) -> str:
    """What installs on billing through psql. It is printed without a connection, so it is the same for each database."""
    return succeed(templates, "-x", "node=billing", "upgrade", "head", "--sql")


@pytest.fixture
def intruder(blank: Nodes, templates: Nodes) -> str:
    """A role that may create schemas in both databases, on servers where rowferry's roles are there already."""
    name = role(blank.crm)
    blank.billing.sql(f"create role {name}")
    for node in blank:
        node.sql(
            f"grant create on database {node.database} to {name}; set role {name}; create schema {name}_s; create schema rowferry"
        )
    return name


@pytest.mark.case(126)
@pytest.mark.parametrize("before", BEFORE)
def test_what_was_in_the_schema_before_is_refused_and_named(blank: Nodes, intruder: str, script: str, before: str) -> None:
    made, named = (text.replace("{i}", intruder) for text in BEFORE[before])
    for node in blank:
        node.sql(f"set role {intruder}; {made}")
    untouched = [dump(node) for node in blank]
    for _ in range(2):  # a second run does not take it for what the first one left
        code, _, err = alembic(blank, "-x", "node=crm", "upgrade", "head")
        assert (code, "ERROR RF035: the schema rowferry holds" in err, named in err) == (1, True, True), err
    for stop in (True, False):
        wait_until(lambda: blank.billing.sql(FREE)[0]["free"], 10, "the session of the psql before has ended")
        _, errors = psql(blank.billing, script, stop)
        assert "the schema rowferry holds objects that no revision made" in errors and named in errors
    assert [dump(node) for node in blank] == untouched


@pytest.mark.parametrize("command", ["current", "downgrade", "stamp"])
def test_no_command_reads_a_version_table_of_somebody_elses(blank: Nodes, intruder: str, command: str) -> None:
    blank.crm.sql(
        f"""set role {intruder}; create sequence {intruder}_s.read;
        create view rowferry.alembic_version_core as select 'core_0001'::varchar(32) as version_num
        where nextval('{intruder}_s.read') > 0"""
    )
    code, _, err = alembic(blank, "-x", "node=crm", command, *{"downgrade": ["base"], "stamp": ["core_0001"]}.get(command, []))
    assert (code, "RF035" in err) == (1, True), err
    assert blank.crm.sql(f"select is_called from {intruder}_s.read") == [{"is_called": False}]


@pytest.mark.parametrize("member", ["", "grant rowferry_owner to {i}"], ids=["a stranger's", "a member's"])
def test_an_empty_schema_of_somebody_elses_is_refused(blank: Nodes, intruder: str, script: str, member: str) -> None:
    for node in blank:
        node.sql(member.replace("{i}", intruder) or "select")
    untouched = [dump(node) for node in blank]
    code, _, err = alembic(blank, "-x", "node=crm", "upgrade", "head")
    assert (code, "RF033" in err, f"It belongs to {intruder}" in err) == (1, True, True), err
    _, errors = psql(blank.billing, script)
    assert "the schema rowferry belongs to somebody else" in errors
    assert [dump(node) for node in blank] == untouched


def test_an_empty_schema_of_rowferry_owners_is_taken_and_closed(blank: Nodes, intruder: str, script: str) -> None:
    for node in blank:
        node.sql(f"alter schema rowferry owner to rowferry_owner; grant all on schema rowferry to {intruder}, public")
    succeed(blank, "-x", "node=crm", "upgrade", "head")
    assert psql(blank.billing, script) == (0, "")
    for node in blank:
        assert [row for row in node.sql(ACLS) if row["role"] in (intruder, "public") and row["object"] != FOR_ALL] == []


def login(blank: Nodes, options: str = "in role rowferry_owner") -> tuple[str, dict[str, str]]:
    """A role that may install in both databases, and the environment in which alembic is this role."""
    name = role(blank.crm, f"login password 'word' {options}")
    blank.billing.sql(f"create role {name} login password 'word' {options}")
    for node in blank:
        node.sql(f"grant create on database {node.database} to {name}")
    return name, {f"ROWFERRY_NODE_{node.name.upper()}": node.server.conninfo(node.database, name, "word") for node in blank}


def test_what_a_downgrade_leaves_is_taken_again_by_another_member(blank: Nodes, templates: Nodes) -> None:
    (_, one), (_, other) = login(blank), login(blank)
    for arguments, env in (
        (["upgrade", "head"], one),
        (["downgrade", "base"], other),
        (["upgrade", "head"], one),
        (["upgrade", "head"], other),
    ):
        code, _, err = alembic(blank, *arguments, **env)
        assert code == 0, err


def test_the_version_tables_belong_to_rowferry_owner(blank: Nodes, templates: Nodes) -> None:
    _, env = login(blank)
    code, _, err = alembic(blank, "upgrade", "head", **env)
    assert code == 0, err
    for node in blank:
        found = node.sql(
            "select pg_get_userbyid(relowner) as owner from pg_class where relname = 'alembic_version_core' and relkind = 'r'"
        )
        assert found == [{"owner": "rowferry_owner"}]


def test_what_somebody_put_into_an_installed_schema_stops_an_upgrade(blank: Nodes, intruder: str) -> None:
    node = blank.crm
    node.sql("drop schema rowferry")
    succeed(blank, "-x", "node=crm", "upgrade", "core_0002")
    node.sql(
        f"create table kept (id integer primary key); alter table kept owner to {intruder};"
        f"grant usage, create on schema public to {intruder}"
    )
    node.sql(f"grant create, usage on schema rowferry to {intruder}")
    node.sql(f"set role {intruder}; create function rowferry.attach(text) returns text language sql as 'select $1'")
    code, _, err = alembic(blank, "-x", "node=crm", "upgrade", "head")
    assert (code, f"function rowferry.attach(pg_catalog.text) of {intruder}." in err) == (1, True), err
    node.sql("drop function rowferry.attach(text)")
    succeed(blank, "-x", "node=crm", "upgrade", "head")
    node.sql("select rowferry.attach('kept')")
    succeed(blank, "-x", "node=crm", "upgrade", "head")  # functions that attach() made for the owner are no strangers
    assert [row for row in node.sql(ACLS) if row["role"] == intruder and row["object"] == "schema"] == []
    assert node.sql("select * from rowferry.drift()") == []


def install_and_attach(blank: Nodes, env: dict[str, str], script: str) -> None:
    """crm by alembic, billing by a printed script, a table attached on both by the role of env."""
    code, _, err = alembic(blank, "-x", "node=crm", "upgrade", "head", **env)
    assert code == 0, err
    with psycopg.connect(env["ROWFERRY_NODE_BILLING"], autocommit=True) as session:
        session.execute(script)  # type: ignore[call-overload]
    for url in env.values():
        with psycopg.connect(url, autocommit=True) as session:
            session.execute("create table app.notes (id integer primary key, body text)")
            session.execute("select rowferry.attach('app.notes', p_filter => 'id > 0')")


def acls(node: Node, installer: str) -> list[dict[str, Any]]:
    return [{**row, "role": "installer" if row["role"] == installer else row["role"]} for row in node.sql(ACLS)]


@pytest.mark.case(118)
@pytest.mark.parametrize("defaults", [GENEROUS, STINGY], ids=["generous", "stingy"])
def test_default_privileges_change_nobodys_rights(blank: Nodes, nodes: Nodes, script: str, defaults: str) -> None:
    (usual, usual_env), (name, env) = login(nodes), login(blank)
    for pair, who in ((nodes, usual), (blank, name)):
        for node in pair:
            node.sql(f"create schema app; grant all on schema app to {who}")
    guest = role(blank.crm)
    blank.billing.sql(f"create role {guest}")
    for node in blank:
        for by in (name, "rowferry_owner"):
            node.sql(defaults.format(by=by, to=guest))
    install_and_attach(blank, env, script)
    for url in usual_env.values():
        with psycopg.connect(url, autocommit=True) as session:
            session.execute("create table app.notes (id integer primary key, body text)")
            session.execute("select rowferry.attach('app.notes', p_filter => 'id > 0')")
    for node, other in zip(blank, nodes, strict=True):
        assert acls(node, name) == acls(other, usual)
        node.sql(f"set role {name}; grant select, insert on app.notes to {name}; insert into app.notes values (1, 'a')")
        assert node.sql("select record_id from rowferry.sync_events") == [{"record_id": "1"}]
        assert [
            row
            for row in node.sql("select * from rowferry.check()")
            if row["severity"] != "info" and "server" not in row["object"]
        ] == []


def test_no_revision_leaves_a_right_of_default_privileges(blank: Nodes, templates: Nodes) -> None:
    name, env = login(blank)
    guest = role(blank.crm)
    for by in (name, "rowferry_owner"):
        blank.crm.sql(GENEROUS.format(by=by, to=guest).replace(", rowferry_worker", ""))
    for number in range(1, 4):
        code, _, err = alembic(blank, "-x", "node=crm", "upgrade", f"core_{number:04}", **env)
        assert code == 0, err
        given = [row for row in blank.crm.sql(ACLS) if row["role"] in (guest, "public") or row["grantable"]]
        assert {(row["object"], row["role"], row["grantable"]) for row in given} <= {(FOR_ALL, "public", False)}


def test_the_version_table_of_the_site_gets_no_rights_by_default_privileges(blank: Nodes, templates: Nodes) -> None:
    name, env = login(blank)
    guest = role(blank.crm)
    blank.crm.sql(GENEROUS.format(by=name, to=guest))
    for lineage in ([], ["-n", "site"]):
        code, _, err = alembic(blank, *lineage, "-x", "node=crm", "upgrade", "head", **env)
        assert code == 0, err
    assert [row for row in blank.crm.sql(ACLS) if row["role"] == guest] == []


@pytest.mark.parametrize("self_grant", ["", "set, inherit"], ids=["PostgreSQL's way", "with a grant to oneself"])
def test_who_made_the_roles_and_installs_hears_nothing_of_her_own_rights(own_servers: Nodes, self_grant: str) -> None:
    for node in own_servers:
        postgres = Node(node.name, node.server, "postgres")
        postgres.sql(f"drop database {node.database}")
        postgres.sql(
            "drop role rowferry_operator, rowferry_viewer, rowferry_worker, rowferry_owner;"
            "create role deploy login createrole password 'word'"
        )
        postgres.sql(f"create database {node.database} owner deploy")
        if self_grant and node.major >= 16:
            postgres.sql(f"alter role deploy set createrole_self_grant = '{self_grant}'")
    env = {f"ROWFERRY_NODE_{node.name.upper()}": node.server.conninfo(node.database, "deploy", "word") for node in own_servers}
    code, _, err = alembic(own_servers, "upgrade", "head", **env)
    assert code == 0, err
    with psycopg.connect(env["ROWFERRY_NODE_CRM"], autocommit=True) as deploy:
        deploy.execute("create schema app; create table app.notes (id integer primary key); select rowferry.attach('app.notes')")
        deploy.execute("create role courier login; grant rowferry_worker to courier")
        assert deploy.execute("select * from rowferry.drift()").fetchall() == []
        told = (
            "select object, problem from rowferry.check() "
            "where object like 'role %' or severity = 'error' and object not like 'server%'"
        )
        assert deploy.execute(told).fetchall() == []  # type: ignore[call-overload]
        deploy.execute("grant rowferry_owner to courier")
        assert deploy.execute(told).fetchall() == [("role courier", "the worker's login may do more than call process_batch()")]  # type: ignore[call-overload]
