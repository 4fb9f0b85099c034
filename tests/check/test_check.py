"""What check() finds, each on a database made bad for it, and that it finds nothing on a good one."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
import pytest

from harness import Node, Nodes, wait_until
from harness.clock import put_forward
from harness.courier import Courier
from harness.exchange import assert_equal, sync
from harness.roles import role
from harness.worker import worker

NUMBERS = itertools.count(1)
TABLES = """
create table public.accounts (
  id integer generated always as identity (start with {first} increment by 2) primary key, name varchar(40) not null, code text);
create table public.users (id integer primary key, account_id integer references public.accounts, email text);
create table public.logs (id integer, at date not null, body text, primary key (id, at)) partition by range (at);
create table public.logs_2026 partition of public.logs for values from ('2026-01-01') to ('2027-01-01');
"""
ATTACH = "select rowferry.attach('public.accounts'), rowferry.attach('public.users'), rowferry.attach('public.logs')"


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
    """Two nodes with three tables in sync."""
    for number, node in enumerate(nodes, 1):
        node.sql(TABLES.format(first=number))
        node.sql(ATTACH)
    nodes.crm.sql("insert into accounts (name) values ('Acme'); insert into users values (1, 1, 'ann@acme.test')")
    sync(*nodes)
    return nodes


def found(node: Node, least: str = "warning") -> list[dict[str, Any]]:
    """What check() says to a viewer; without `info` unless asked for, and without what the tests' server itself is warned of."""
    rows = node.sql("set role rowferry_viewer; select * from rowferry.check()")
    return [row for row in rows if (least == "info" and "MERGE" not in row["problem"]) or row["severity"] != "info"]


def said(node: Node, least: str = "warning") -> list[str]:
    return [f"{row['severity']} {row['object']}: {row['problem']}" for row in found(node, least)]


def timeless(lines: list[str]) -> list[str]:
    """Without when the peer said what a line rests on, which each such line says."""
    return [re.sub(r"; \w+ said so at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d$", "", line) for line in lines]


def test_two_good_nodes_have_nothing_to_mend(good: Nodes) -> None:
    for node in good:
        assert said(node) == []
        assert {row["severity"] for row in found(node, "info")} == set()


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
        "rowferry.process_batch(text,text,bytea,integer,jsonb,boolean)",
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
        "column note travels only from billing",
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
        "column name may be null on billing and not here",
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
        "foreign key (account_id) references public.accounts on delete cascade is there here and not on billing",
        """alter table users drop constraint users_account_id_fkey; select rowferry.attach('users');
        alter table users add foreign key (account_id) references accounts on delete cascade; select rowferry.attach('users')""",
    ),
    "a cascade that only the peer has": Bad(
        "warning",
        "public.users",
        "foreign key (account_id) references public.accounts on delete cascade is there on billing and not here",
        "select 1",
        """alter table users drop constraint users_account_id_fkey; select rowferry.attach('users');
        alter table users add foreign key (account_id) references accounts on delete cascade; select rowferry.attach('users')""",
    ),
    "a trigger that the peer lacks": Bad(
        "warning",
        "public.users",
        "trigger same (before update for each row) has no like on billing",
        "create trigger same before update on users for each row execute function suppress_redundant_updates_trigger();"
        "alter table users enable always trigger same",
    ),
    "a trigger that only the peer has": Bad(
        "warning",
        "public.users",
        "trigger same (before update for each row) has no like here",
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


def test_what_the_fix_of_a_lost_trigger_says_brings_the_lost_change_over(good: Nodes) -> None:
    good.crm.sql("alter table users disable trigger rowferry_capture_update; update users set email = 'lost'")
    [row] = found(good.crm)
    good.crm.sql(row["fix"])
    sync(*good)
    assert assert_equal(good, "public.users") == ["(1,1,lost)"]


def test_sequences_that_can_never_meet_are_left_alone(good: Nodes) -> None:
    for change in (
        "alter sequence accounts_id_seq increment by 2 restart with 1000",
        "alter sequence accounts_id_seq increment by 1 maxvalue 5000 restart with 4001",
    ):
        good.billing.sql(change)
        if "maxvalue" in change:
            good.crm.sql("alter sequence accounts_id_seq increment by 1 maxvalue 4000")
        sync(*good)
        assert said(good.crm) == []


def test_what_differs_is_found_behind_other_names_of_tables_and_columns(nodes: Nodes) -> None:
    nodes.crm.sql("create table accounts (id serial primary key, name text); select rowferry.attach('accounts')")
    nodes.billing.sql("create table customers (customer_id serial primary key, title varchar(5))")
    nodes.billing.sql("""select rowferry.attach('customers', 'accounts', '{"id": "customer_id", "name": "title"}')""")
    sync(*nodes)
    assert timeless(said(nodes.billing)) == [
        "warning public.customers: column title is character varying(5) here and text on crm (public.accounts.name): "
        "a value that does not read back is held",
        "warning public.customers_customer_id_seq: public.accounts_id_seq on crm can draw the same values for "
        "public.customers.customer_id: rows with one key would be taken for one record",
    ]


def test_clocks_that_are_apart_are_found_on_both_nodes(good: Nodes) -> None:
    put_forward(good.billing, "7 s")
    sync(*good)
    assert any("the clock of billing is 00:00:0" in line and "ahead" in line for line in said(good.crm))
    assert any("the clock of crm is 00:00:0" in line and "behind" in line for line in said(good.billing))
    [row] = good.crm.sql("select clock_difference > '6 s' and clock_difference < '7.1 s' as right from rowferry.links")
    assert row["right"]


BAD = """
create or replace function rowferry._server_warning(p_version integer) returns text language sql immutable
set search_path = pg_catalog, pg_temp as $$ select 'bad' where p_version > 0 $$
"""
MERGES = "merge into public.accounts a using (values (-1)) v (id) on a.id = v.id when matched then do nothing"


@pytest.mark.parametrize("body", ["none", "text", "parsed"])
def test_a_server_of_a_bad_minor_version_is_named_on_either_side_the_graver_where_a_function_uses_merge(
    good: Nodes, body: str
) -> None:
    with good.crm.connect() as connection:
        if body == "parsed" and connection.info.server_version < 150000:
            pytest.skip("MERGE came with PostgreSQL 15")
    for node in good:
        node.sql(BAD)
    if body == "text":
        good.billing.sql(f"create function merges() returns void language plpgsql as $$ begin {MERGES}; end $$")
    elif body == "parsed":
        good.billing.sql(f"create function merges() returns void begin atomic {MERGES}; end")
    courier = Courier(good)
    courier.meet(good)
    sync(*good)
    uses = body != "none"
    for node, place, there in ((good.billing, "server", ""), (good.crm, "server of billing", "there ")):
        words = f"function public.merges() {there}uses it"
        [row] = node.sql("select * from rowferry.check() where object = %s and problem ~ '^bad'", [place])
        assert (row["severity"], words in row["problem"]) == ("warning" if uses else "info", uses)


def test_the_schema_that_may_not_be_used_is_named_with_the_line_that_grants_it(good: Nodes) -> None:
    good.crm.sql("""
        create schema "Utils"; create sequence "Utils".numbers;
        create table counted (id bigint default nextval('"Utils".numbers') primary key); select rowferry.attach('counted')""")
    [row] = [row for row in found(good.crm) if "cannot be read" in row["problem"]]
    assert row["fix"] == 'grant usage on schema "Utils" to rowferry_owner;'
    good.crm.sql(row["fix"])
    assert not [row for row in found(good.crm) if "cannot be read" in row["problem"]]


def test_databases_of_other_collations_are_found(good: Nodes) -> None:
    good.crm.sql(
        'update rowferry.peer_facts set facts = jsonb_set(facts, \'{collation}\', \'{"name": "tr-TR", "provider": "i"}\')'
    )
    [line] = said(good.crm)
    assert line.startswith("warning database: its collation is ")
    assert "tr-TR of provider i on billing" in line


def test_a_worker_that_has_connected_as_a_superuser_is_named(good: Nodes) -> None:
    with good.crm.connect() as courier:
        courier.execute("select pg_advisory_lock(hashtextextended('rowferry courier billing crm', 0))")
        assert said(good.crm) == ["warning role postgres: the worker that is at work has connected as a superuser"]


def test_before_the_first_exchange_it_says_that_the_nodes_are_not_compared(nodes: Nodes) -> None:
    assert said(nodes.crm, "info") == [
        "info link billing: billing has not said anything of itself yet, so the two nodes are not compared"
    ]


def test_facts_that_make_no_sense_are_said_and_stop_nothing(good: Nodes) -> None:
    for facts in ('{"entities": 1}', '{"clock": 1e300, "entities": {}}', "[]", '"x"', "null"):
        good.crm.sql("select rowferry._note_facts('billing', %s)", [facts])
    assert said(good.crm) == []
    good.crm.sql(
        """select rowferry._note_facts('billing', '{"clock": 1, "entities": {"users": {"columns": [1], "uniques": {"a": 1}}}}')"""
    )
    assert any("what billing said of itself cannot be read" in line for line in said(good.crm))


def test_facts_go_along_at_the_opening_and_then_at_most_every_five_minutes(good: Nodes) -> None:
    def heard() -> Any:
        return good.billing.sql("select heard_at from rowferry.peer_facts")[0]["heard_at"]

    first = heard()
    courier = Courier(good)
    courier.meet(good)
    opened = heard()
    assert opened > first
    envelope = courier.call(good.crm)["envelope"]
    good.crm.sql("insert into accounts (name) values ('Globex')")
    envelope = courier.call(good.crm)["envelope"]
    assert b'"facts"' not in envelope
    envelope = courier.call(good.billing, envelope)["envelope"]
    assert b'"facts"' not in envelope
    good.crm.sql("update rowferry.links set facts_sent_at = facts_sent_at - interval '6 min'")
    courier.call(good.crm, envelope)
    assert b'"facts"' not in courier.call(good.crm)["envelope"], "an idle call has nothing that travels"
    good.crm.sql("insert into accounts (name) values ('Initech')")
    envelope = courier.call(good.crm)["envelope"]
    assert b'"facts"' in envelope
    courier.call(good.billing, envelope)
    assert heard() > opened


def test_an_idle_call_draws_no_transaction_id_however_old_the_facts(good: Nodes) -> None:
    courier = Courier(good)
    courier.meet(good)
    while courier.call(good.crm)["status"] != "idle":
        pass
    good.crm.sql("update rowferry.links set facts_sent_at = facts_sent_at - interval '1 day'")
    connection = courier.connections["crm"]
    with connection.transaction():
        assert courier.call(good.crm)["status"] == "idle"
        [row] = connection.execute("select pg_current_xact_id_if_assigned() as id").fetchall()
    assert row["id"] is None


def test_a_table_that_somebody_has_locked_delays_the_facts_and_no_change(good: Nodes) -> None:
    good.crm.sql("insert into accounts (name) values ('Globex'); update rowferry.links set facts_sent_at = null")
    with good.crm.connect(autocommit=False) as user:
        user.execute("lock table users in access exclusive mode; lock table logs in access exclusive mode")
        user.execute("alter table accounts_id_seq rename to other_seq")
        sync(*good)
        user.rollback()
    assert_equal(good, "public.accounts")


def test_a_peer_that_is_not_known_is_refused(good: Nodes) -> None:
    with pytest.raises(psycopg.Error) as caught:
        good.crm.sql("select * from rowferry.check('nobody')")
    assert caught.value.sqlstate == "RF002"


def test_an_opening_with_many_entities_takes_no_longer_than_a_call_may(nodes: Nodes, tmp_path: Path) -> None:
    """What check() needs to know is told in several envelopes."""
    for node in nodes:
        for first in range(1, 160, 40):
            node.sql(f"""
                do $$ begin
                  for n in {first}..{first + 39} loop
                    execute format('create table public.t_%s (id serial primary key, v text)', n);
                    perform rowferry.attach(format('public.t_%s', n)::regclass);
                  end loop;
                end $$""")
    nodes.crm.sql("insert into t_3 (v) values ('a')")
    with worker(nodes, tmp_path / "log"):
        wait_until(lambda: nodes.billing.sql("select v from t_3") == [{"v": "a"}], 60, "a row arrives")
        told = "select (select count(*) from jsonb_object_keys(facts -> 'entities')) as n from rowferry.peer_facts"
        wait_until(
            lambda: [node.sql(told) for node in nodes] == [[{"n": 160}]] * 2, 60, "both nodes know all entities of the other"
        )
    assert nodes.crm.sql("select * from rowferry.check() where problem ~ 'attached'") == []
