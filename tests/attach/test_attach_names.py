"""Names are data, and however a session is set, attach() makes the same functions."""

import re

import psycopg
import pytest

from harness import Node, Nodes, alembic
from harness.attaching import dump
from harness.exchange import rows, sync, waiting
from harness.hostile import HOSTILE, quoted
from harness.pair import Servers
from harness.roles import NUMBERS, as_role, role

SPLIT = """create table split (id int, part int, primary key (id, part)) partition by list (part);
    create table split_1 partition of split for values in (1);"""


@pytest.fixture
def crm(nodes: Nodes) -> Node:
    return nodes.crm


COLUMNS = [
    "p_most",
    "p_relation",
    "p_created",
    "record_id",
    "image",
    "k1",
    "k2",
    "t",
    "n",
    "o",
    "r",
    "u",
    "k",
    "c1",
    "c2",
    "p_keys",
    "p_columns",
    "p_after",
    "p_limit",
    "p_bytes",
    "o_keys",
    "o_columns",
    "o_cut",
    "v_keys",
    "v_hops",
    "v_now",
    "v_everything",
    "v_new",
    "v_old",
    "v_locked",
    "new_rows",
    "old_rows",
    "old",
    "new",
    "tg_op",
    "excluded",
    "ord",
    "entity",
    "e",
    "event_id",
    "event_type",
    "present_row",
    "record",
    "before",
    "stored",
    "sent",
    "missing",
    "d",
    "p",
    "l",
    "key_k1",
    "id",
    "found",
    "peer",
]


@pytest.mark.case(81)
def test_names_are_data_whatever_they_hold(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table x (id int)")
    for number, name in enumerate(HOSTILE):
        schema, table = quoted(HOSTILE[number - 1]), quoted(name)
        columns = [name, HOSTILE[number - 2], HOSTILE[number - 3], f"{name[:40]}é"[:30]]
        for node in nodes:
            first, second, third, fourth = (quoted(column) for column in columns)
            mood = f"{schema}.{quoted(HOSTILE[number - 4])}"
            node.sql(
                f"""create schema {schema}; create type {mood} as enum ('p', 'q');
                    create table {schema}.{table} ({first} {mood}, {second} text, {third} text unique, {fourth} int[],
                      primary key ({first}, {second}))"""
            )
            owner = quoted(f"{name[:8]} {next(NUMBERS)}")
            node.sql(
                f"create role {owner}; grant usage on schema {schema} to {owner}; alter table {schema}.{table} owner to {owner}"
            )
            node.sql("select rowferry.attach(%s::regclass)", [f"{schema}.{table}"])
        both = f"select * from {schema}.{table}"
        nodes.crm.sql(f"insert into {schema}.{table} values ('p', 'a,b', 'one', '{{1}}'), ('q', '', 'two', null)")
        sync(*nodes)
        assert rows(nodes.billing, both) == rows(nodes.crm, both), rows(nodes.crm, "select * from rowferry.sync_events")
        nodes.billing.sql(f"update {schema}.{table} set {third} = 'three', {fourth} = '{{2}}' where {second} = ''")
        nodes.billing.sql(f"delete from {schema}.{table} where {first} = 'p'")
        sync(*nodes)
        assert len(rows(nodes.crm, both)) == 1
        assert rows(nodes.billing, both) == rows(nodes.crm, both), name
        assert waiting(nodes.crm) == waiting(nodes.billing) == []
    for node in nodes:
        node.sql("select rowferry.detach(name) from rowferry.entities; select from x")
        left = "select proname from pg_proc where pronamespace = 'rowferry'::regnamespace and proname ~ '^(apply|capture)_'"
        assert node.sql(left) == []


@pytest.mark.case(81)
@pytest.mark.parametrize(
    "key",
    [
        "primary key (p_keys)",
        "primary key (t, new, p_columns, p_keys)",
        "primary key (t, new) deferrable",
        "primary key (t, new)) partition by list (t",
    ],
)
def test_columns_may_bear_the_names_that_generated_functions_use(nodes: Nodes, key: str) -> None:
    columns = ", ".join(f"{quoted(name)} text" for name in COLUMNS)
    for node in nodes:
        node.sql(f"create table t ({columns}, {key})")
        if "partition" in key:
            node.sql("create table t_1 partition of t default")
        node.sql("create function noop() returns trigger language plpgsql as $$ begin return new; end $$")
        node.sql("create trigger noop before insert or update on t for each row execute function noop()")
        node.sql("select rowferry.attach('t')")
    nodes.crm.sql("insert into t (t, new, k1, p_columns, p_keys) values ('a', 'b', 'c', '', 'd'), ('e', 'f', 'g', '', 'h')")
    sync(*nodes)
    nodes.billing.sql("update t set k1 = 'z', v_keys = 'y', record_id = 'x' where t = 'a'; delete from t where t = 'e'")
    nodes.crm.sql("update t set k1 = 'lost' where t = 'a'; insert into t (t, new, p_columns, p_keys) values ('q', 'r', '', '')")
    sync(*nodes)
    assert rows(nodes.crm, "select * from t") == rows(nodes.billing, "select * from t")
    assert waiting(nodes.crm) == waiting(nodes.billing) == []
    nodes.crm.sql("select rowferry.backfill('t')")
    sync(*nodes, limit=1)
    assert waiting(nodes.crm) == []


@pytest.mark.case(54)
def test_attaching_as_a_role_with_unusual_settings_makes_the_same_functions(crm: Node) -> None:
    dba = role(crm, "superuser")
    crm.sql(SPLIT + 'create table "It" ("Id" date primary key, "select" numeric(9, 2) unique)')
    before = dump(crm)
    crm.sql("select rowferry.attach('split'), rowferry.attach('\"It\"')")
    usual = re.sub("postgres", dba, dump(crm))
    crm.sql("select rowferry.detach(name) from rowferry.entities")
    assert dump(crm) == before
    crm.sql("select setval('rowferry.entity_ids', 1, false)")  # the functions name the id
    with as_role(crm, dba) as connection:
        connection.execute(
            """set quote_all_identifiers = on; set standard_conforming_strings = on; set datestyle = 'German';
               set search_path = '';
               set default_transaction_read_only = off; set check_function_bodies = off"""
        )
        connection.execute("select rowferry.attach('public.split'), rowferry.attach('public.\"It\"')")
    assert re.sub("postgres", dba, dump(crm)) == usual


@pytest.mark.whole
def test_a_key_of_several_columns_is_found_whatever_order_the_database_sorts_their_names_in(
    servers: Servers, nodes: Nodes
) -> None:
    database = Node("crm", servers.crm, "sorted")
    try:
        nodes.crm.sql("create database sorted template template0 encoding UTF8 locale_provider icu icu_locale 'en-US' locale 'C'")
    except psycopg.Error as error:
        pytest.skip(f"no database of this server sorts otherwise than by bytes: {error}")
    try:
        alembic({**nodes.env, "ROWFERRY_NODE_CRM": database.conninfo}, "-x", "node=crm", "upgrade", "head")
        database.sql(
            """create table items ("B" int, a int, _c text, primary key ("B", a, _c)); select rowferry.attach('items')"""
        )
        assert database.sql("select key_columns from rowferry.entities") == [{"key_columns": ["B", "_c", "a"]}]
        assert database.sql("select from rowferry.check() where problem like 'no unique index%'") == []
    finally:
        nodes.crm.sql("drop database sorted with (force)")
