"""What check() finds, each on a database made bad for it, and that it finds nothing on a good one."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from harness import Nodes
from harness.exchange import sync
from harness.roles import role
from harness.well import found, keep_well, said


class Bad(NamedTuple):
    """What makes a database bad, and what check() on crm then says."""

    severity: str
    object: str
    problem: str
    crm: str = "select 1"
    billing: str = ""
    fix: bool = False  # whether the fix can be run as it stands, and mends it


@pytest.fixture
def good(nodes: Nodes) -> Nodes:
    return keep_well(nodes)


def test_two_good_nodes_have_nothing_to_mend(good: Nodes) -> None:
    for node in good:
        assert said(node) == []
        assert {row["severity"] for row in found(node, "info")} == set()


def test_a_major_version_of_postgresql_that_was_not_tried_is_a_notice_and_no_error(good: Nodes) -> None:
    versions = "array[130023, 140023, 180006, 190000]"
    rows = good.crm.sql(f"select v from unnest({versions}) v where rowferry._server_not_tried(v) is not null")
    assert [row["v"] for row in rows] == [130023, 190000]
    [row] = good.crm.sql("select pg_get_functiondef('rowferry._server_not_tried'::regproc) as text")
    good.crm.sql(row["text"].replace("between 14 and 18", "between 1 and 2"))
    [notice] = [row for row in found(good.crm, "info") if row["object"] == "server"]
    assert notice["problem"].startswith(f"this server is PostgreSQL {good.crm.major}: ") and "CHANGELOG" in notice["fix"]
    assert [line for line in said(good.crm) if "server" in line.split(":")[0].split()] == []


CAPTURE = "rowferry_capture_update"
AGAIN = "select rowferry.attach('accounts')"
BADLY: dict[str, Bad] = {
    "a capture trigger that is gone": Bad(
        "error", "public.users", f"its trigger {CAPTURE} is gone", f"drop trigger {CAPTURE} on users", fix=True
    ),
    "a capture trigger that is disabled": Bad(
        "error", "public.users", f"its trigger {CAPTURE} is disabled", f"alter table users disable trigger {CAPTURE}", fix=True
    ),
    "a capture trigger for some sessions": Bad(
        "error",
        "public.users",
        f"its trigger {CAPTURE} is not enabled always",
        f"alter table users enable trigger {CAPTURE}",
        fix=True,
    ),
    "a capture trigger that was altered": Bad(
        "error",
        "public.users",
        f"its trigger {CAPTURE} was altered",
        f"""drop trigger {CAPTURE} on users; create trigger {CAPTURE} after insert on users referencing new table as new_rows
        for each statement execute function rowferry.capture_users(); alter table users enable always trigger {CAPTURE}""",
        fix=True,
    ),
    "a partition's capture that is disabled": Bad(
        "error",
        "public.logs_2026",
        "in this partition the trigger rowferry_capture is not enabled",
        "alter table logs_2026 disable trigger rowferry_capture",
        fix=True,
    ),
    "a new partition": Bad(
        "warning",
        "public.logs_2027",
        "TRUNCATE would empty it on this node only",
        "create table logs_2027 partition of logs for values from ('2027-01-01') to ('2028-01-01')",
        fix=True,
    ),
    "a truncate guard that is disabled": Bad(
        "warning", "public.users", "TRUNCATE would empty it", "alter table users disable trigger rowferry_truncate", fix=True
    ),
    "a function of the release that was replaced": Bad(
        "error",
        "rowferry._meet(rowferry.links,jsonb)",
        "this function is not what the release made of it",
        """create or replace function rowferry._meet(p_link rowferry.links, p_header jsonb) returns rowferry.links
        language plpgsql stable
        set search_path = pg_catalog, pg_temp as 'begin return p_link; end'""",
    ),
    "a function of the release with another setting": Bad(
        "error",
        "rowferry._stamp(rowferry.events)",
        "this function is not what the release made of it",
        "alter function rowferry._stamp(rowferry.events) set work_mem = '1GB'",
    ),
    "a function of the release that is gone": Bad(
        "error", "rowferry.require_core(integer)", "this function of the release is gone", "drop function rowferry.require_core"
    ),
    "a function that nobody released": Bad(
        "warning",
        "rowferry.mine()",
        "no release made this function",
        """create function rowferry.mine() returns void language sql as '';
        alter function rowferry.mine() owner to rowferry_owner; revoke execute on function rowferry.mine() from public""",
    ),
    "a generated function that was replaced": Bad(
        "error",
        "rowferry.delete_users",
        "this function is not what attach() would make",
        """create or replace function rowferry.delete_users(p_keys text[]) returns void language plpgsql security definer
        set search_path = pg_catalog, pg_temp as 'begin end'""",
        fix=True,
    ),
    "a generated function with the caller's rights": Bad(
        "error",
        "rowferry.delete_users",
        "this function is not what attach() would make",
        "alter function rowferry.delete_users security invoker",
        fix=True,
    ),
    "a generated function that is gone": Bad(
        "error", "rowferry.delete_users", "this function of the entity is gone", "drop function rowferry.delete_users", fix=True
    ),
    "a foreign key that was dropped": Bad(
        "error",
        "rowferry.lacking_users",
        "this function is not what attach() would make",
        "alter table users drop constraint users_account_id_fkey",
        fix=True,
    ),
    "a generated function of another owner": Bad(
        "error",
        "rowferry.delete_users(text[])",
        "it belongs to rowferry_worker",
        "grant create on schema rowferry to rowferry_worker; alter function rowferry.delete_users owner to rowferry_worker",
        fix=True,
    ),
    "a worker's role that may not call": Bad(
        "error",
        "rowferry.process_batch(text,text,bytea,integer,jsonb,boolean,interval)",
        "rowferry_worker may not execute it",
        "revoke execute on function rowferry.process_batch from rowferry_worker",
        fix=True,
    ),
    "a role that may not use the schema": Bad(
        "error",
        "schema rowferry",
        "rowferry_worker may not use it",
        "revoke usage on schema rowferry from rowferry_worker",
        fix=True,
    ),
    "a function that everybody may call": Bad(
        "error",
        "rowferry.pause(text,text)",
        "everybody may execute it",
        "grant execute on function rowferry.pause to public",
        fix=True,
    ),
    "a table whose rows hide from its owner": Bad(
        "error",
        "public.users",
        "it forces row-level security on its owner",
        "alter table users enable row level security, force row level security; alter table users owner to {role}; "
        "select rowferry.detach('users', true); alter table users no force row level security; "
        "grant usage on schema public to {role}; select rowferry.attach('users'); alter table users force row level security",
        fix=True,
    ),
    "an owner without rights on its table": Bad(
        "error",
        "public.users",
        "has given up delete on it",
        "alter table users owner to {role}; revoke delete on users from {role}",
        fix=True,
    ),
    "an owner that may not use the schema": Bad(
        "error",
        "app.users",
        "may not use schema app",
        "create schema app; grant usage on schema app to {role}; alter table users owner to {role}; "
        "select rowferry.detach('users', true); alter table users set schema app; select rowferry.attach('app.users'); "
        "revoke usage on schema app from {role}",
        fix=True,
    ),
    "a table that a crash empties": Bad("error", "public.users", "it is unlogged", "alter table users set unlogged", fix=True),
    "a table with a rule": Bad(
        "error",
        "public.users",
        "its rule nothing may rewrite",
        "create rule nothing as on delete to users do instead nothing",
    ),
    "a table that was dropped": Bad("error", "entity users", "its table was dropped", "drop table users cascade"),
    "a column that was renamed": Bad(
        "error", "public.users", "its column email is called mail now", "alter table users rename email to mail", fix=True
    ),
    "a key whose index is gone": Bad(
        "error", "public.users", "no unique index over its key (id)", "alter table users drop constraint users_pkey", fix=True
    ),
    "a queue that is not cleaned up": Bad(
        "warning", "rowferry.events", "autovacuum is off", "alter table rowferry.events set (autovacuum_enabled = off)", fix=True
    ),
    "a worker that may do everything": Bad(
        "warning",
        "role {role}",
        "the worker's login may do more than call process_batch()",
        "alter role {role} login; grant rowferry_worker to {role}; alter role {role} superuser",
        fix=True,
    ),
    "a worker that owns rowferry": Bad(
        "warning",
        "role {role}",
        "the worker's login may do more than call process_batch()",
        "alter role {role} login; grant rowferry_worker, rowferry_owner to {role}",
    ),
    "a table that only this node keeps in sync": Bad(
        "error",
        "public.more",
        "billing has not attached entity more",
        "create table more (id int primary key); select rowferry.attach('more');"
        "update rowferry.entities set attached_at = '-infinity'",
    ),
    "a table that the peer may have attached since it was heard": Bad(
        "info",
        "public.more",
        "billing has not attached entity more",
        "create table more (id int primary key); select rowferry.attach('more')",
    ),
    "a table that only the peer keeps in sync": Bad(
        "error",
        "entity more",
        "it is attached on billing (public.more) and not here",
        "select 1",
        "create table more (id int primary key); select rowferry.attach('more')",
    ),
    "a column that only one node sends": Bad(
        "error",
        "public.users",
        "column note is kept in sync on billing and not here",
        "select 1",
        "alter table users add note text; select rowferry.detach('users'); select rowferry.attach('users')",
    ),
    "another key": Bad(
        "error",
        "public.accounts",
        'the key of entity accounts is ["id"] here and ["code"] on billing',
        "select 1",
        """alter table accounts drop code, add code text not null unique default 'x'; select rowferry.detach('accounts', true);
        select rowferry.attach('accounts', p_key => array['code'])""",
    ),
    "other rules": Bad(
        "error",
        "public.users",
        "the conflict rule of entity users is newest here and node:crm on billing",
        "select 1",
        "select rowferry.set_rules('users', 'node:crm', 'hold')",
    ),
    "a type that holds less": Bad(
        "warning",
        "public.accounts",
        "column name is character varying(40) here and character varying(20) on billing (public.accounts.name)",
        "select 1",
        "alter table accounts alter name type varchar(20); select rowferry.attach('accounts')",
    ),
    "an enum with other labels": Bad(
        "warning",
        "public.accounts",
        "column code is mood(good, bad) here and mood(good) on billing",
        "create type mood as enum ('good', 'bad'); alter table accounts alter code type mood using null; " + AGAIN,
        "create type mood as enum ('good'); alter table accounts alter code type mood using null; " + AGAIN,
    ),
    "a column of another collation": Bad(
        "warning",
        "public.users",
        "column email has collation default here and C on billing",
        "select 1",
        'alter table users alter email type text collate "C"',
    ),
    "a column that may be null on one side": Bad(
        "warning",
        "public.accounts",
        "column name is not null here and nullable on billing",
        "select 1",
        "alter table accounts alter name drop not null",
    ),
    "a unique column that only this node has": Bad(
        "warning",
        "public.users",
        "(email) is unique here (public.users_email_key) and not on billing",
        "alter table users add unique (email)",
    ),
    "a unique column that only the peer has": Bad(
        "warning",
        "public.users",
        "(email) is unique on billing (public.users_email_key) and not here",
        "select 1",
        "alter table users add unique (email)",
    ),
    "a unique column on both": Bad(
        "info",
        "public.users",
        "both nodes can give away one value of the unique (email)",
        "alter table users add unique (email)",
        "alter table users add unique (email)",
    ),
    "a cascade that the peer lacks": Bad(
        "warning",
        "public.users",
        "foreign key (account_id) references public.accounts on delete cascade exists here and not on billing",
        """alter table users drop constraint users_account_id_fkey; select rowferry.attach('users');
        alter table users add foreign key (account_id) references accounts on delete cascade; select rowferry.attach('users')""",
    ),
    "a cascade that only the peer has": Bad(
        "warning",
        "public.users",
        "foreign key (account_id) references public.accounts on delete cascade exists on billing and not here",
        "select 1",
        """alter table users drop constraint users_account_id_fkey; select rowferry.attach('users');
        alter table users add foreign key (account_id) references accounts on delete cascade; select rowferry.attach('users')""",
    ),
    "a trigger that the peer lacks": Bad(
        "warning",
        "public.users",
        "trigger same (before update for each row) exists here and not on billing",
        "create trigger same before update on users for each row execute function suppress_redundant_updates_trigger();"
        "alter table users enable always trigger same",
    ),
    "a trigger that only the peer has": Bad(
        "warning",
        "public.users",
        "trigger same (before update for each row) exists on billing and not here",
        "select 1",
        "create trigger same before update on users for each row execute function suppress_redundant_updates_trigger();"
        "alter table users enable always trigger same",
    ),
    "sequences in one range": Bad(
        "warning",
        "public.accounts_id_seq",
        "public.accounts_id_seq on billing can draw the same values for public.accounts.id",
        "select 1",
        "alter sequence accounts_id_seq increment by 1",
    ),
    "sequences that meet though they count in other steps": Bad(
        "warning",
        "public.accounts_id_seq",
        "public.accounts_id_seq on billing can draw the same values for public.accounts.id",
        "select 1",
        "alter sequence accounts_id_seq increment by 3 restart with 1000",
    ),
    "a table whose parent stays behind": Bad(
        "info",
        "public.users",
        "refers to public.plans, which is not kept in sync",
        "create table plans (id int primary key); alter table users add foreign key (id) references plans not valid",
    ),
    "a column that does not travel": Bad(
        "info", "public.users", "column note does not travel", "alter table users add note text"
    ),
}


@pytest.mark.parametrize("case", BADLY)
def test_what_is_bad_is_found_and_the_fix_mends_it(good: Nodes, case: str) -> None:
    bad = BADLY[case]
    name = role(good.crm) if "{role}" in bad.crm else ""
    try:
        good.crm.sql(bad.crm.replace("{role}", name))
        if bad.billing:
            good.billing.sql(bad.billing)
            sync(*good)
        [row] = [
            r
            for r in found(good.crm, "info")
            if r["object"] == bad.object.replace("{role}", name) and bad.problem in r["problem"]
        ]
        assert row["severity"] == bad.severity
        assert row["fix"]
        if bad.fix:
            good.crm.sql(row["fix"])
            assert [line for line in said(good.crm) if bad.problem in line] == []
    finally:
        if name:
            good.crm.sql(f"alter role {name} nosuperuser nologin; revoke rowferry_worker, rowferry_owner from {name}")
