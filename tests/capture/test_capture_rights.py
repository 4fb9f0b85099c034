"""What the triggers write cannot be kept from being written, read or forged by whoever may write the table."""

import psycopg
import pytest

from harness import Node, Nodes
from harness.captured import EVENTS, SPLIT, captured
from harness.exchange import rows, sync, waiting
from harness.roles import as_role, role

ITEMS = """create table items (id int primary key, v text); insert into items values (1, 'a'), (2, 'b');
    select rowferry.attach('items')"""


@pytest.fixture
def crm(nodes: Nodes) -> Node:
    return nodes.crm


@pytest.mark.case(35)
def test_users_of_a_table_need_no_right_on_rowferry_to_write_it(crm: Node) -> None:
    crm.sql(ITEMS + ";" + SPLIT)
    user = role(crm)
    crm.sql(f"grant select, insert, update, delete on items, split to {user}")
    with as_role(crm, user) as connection:
        connection.execute(
            "insert into items values (3, 'c'); update items set v = 'd' where id = 3; delete from items where id = 3"
        )
        connection.execute("insert into split values ('c', 3, 1); update split set part = 2 where id = 3; delete from split")
    assert [row["event"] for row in crm.sql(EVENTS)][:4] == ["i 3", "u 3", "d 3", "i {3,1}"]
    assert len(crm.sql(EVENTS)) == 7


FORBIDDEN = [
    "select * from rowferry.events",
    "select * from rowferry.sync_events",
    "select * from rowferry.conflicts",
    "insert into rowferry.events (changed_at, entity_id, event_type, record_id) values (now(), 1, 'i', '1')",
    "delete from rowferry.sync_events",
    "insert into rowferry.applying values (pg_current_xact_id(), 0, 1, '{}')",
    "select rowferry.process_batch()",
    "select rowferry.skip(1, 'x')",
    "select rowferry.attach('items')",
    "select rowferry.detach('items')",
    "select rowferry.apply_items(array['{1}', '{x}'])",
    "select rowferry.delete_items(array['1'])",
    "select rowferry.read_items(array['1'], null)",
    "create trigger t after insert on own for each row execute function rowferry.capture_items()",
    "alter table items disable trigger rowferry_capture_insert",
    "drop trigger rowferry_capture_insert on items",
]


@pytest.mark.case(83)
def test_a_user_of_a_table_can_neither_read_nor_forge_nor_silence_events(crm: Node) -> None:
    crm.sql(ITEMS)
    user = role(crm)
    crm.sql(
        f"grant select, insert, update, delete on items to {user}; create table own (id int primary key);"
        f" alter table own owner to {user}"
    )
    with as_role(crm, user) as connection:
        connection.execute("insert into items values (3, 'c')")
        for statement in FORBIDDEN:
            with pytest.raises(psycopg.Error) as refusal:
                connection.execute(statement)
            assert refusal.value.sqlstate == "42501", f"{statement}: {refusal.value}"
    assert crm.sql(EVENTS) == [{"event": "i 3"}]


KINDS = ["int", "numeric", "bpchar", "boolean", "varchar(20)", '"char"', "date", "timestamptz", "bytea", "uuid", "mood", "wage"]
TRAPS = [
    f"pg_catalog.{kind}"
    for kind in ("int4", "int2", "numeric", "text", "varchar", "bool", '"char"', "name", "_text", "xid8", "oid")
]


@pytest.mark.case(35)
@pytest.mark.parametrize("applying", [False, True])
def test_nothing_in_a_users_search_path_is_called_by_capture(crm: Node, applying: bool) -> None:
    """Capture has no search_path of its own, so each name in it must be qualified: here all that it could mean is a trap."""
    crm.sql("create type mood as enum ('a', 'b'); create domain wage as numeric(8, 2)")
    values = ["1", "1.50", "'x '", "true", "'x'", "'x'", "'2026-01-01'", "'2026-01-01'", "'x'", "gen_random_uuid()", "'a'", "2"]
    columns = ", ".join(f"k{number} {kind}" for number, kind in enumerate(KINDS))
    keys = ", ".join(f"k{number}" for number in range(len(KINDS)))
    crm.sql(f"create table wide ({columns}, v varchar(20), primary key ({keys}))")
    crm.sql(f"create table split ({columns}, v varchar(20), primary key ({keys})) partition by list (k0)")
    crm.sql("create table split_1 partition of split default; create table plain (id int primary key, v text)")
    crm.sql("select rowferry.attach(t) from unnest('{wide,split,plain}'::regclass[]) t")
    user = role(crm)
    crm.sql(f"grant select, insert, update, delete on wide, split, plain to {user}; create schema bad authorization {user}")
    with crm.connect() as connection:
        connection.execute(f"set role {user}; grant usage on schema bad to public")
        for name in ("text", "int2", '"char"', "bool", "int4", "record", "numeric", "xid8"):
            connection.execute(f"create domain bad.{name} as pg_catalog.int8 check (false)")
        body = "language plpgsql as $$ begin raise 'hijacked by %', current_user; end $$"
        for kind in TRAPS:
            connection.execute(f"create function bad.trap({kind}, {kind}) returns boolean {body}")
            for operator in ("=", "<>", "*=", "*<>"):
                connection.execute(f"create operator bad.{operator} (leftarg = {kind}, rightarg = {kind}, function = bad.trap)")
            for function in ("unnest", "concat", "enum_out", "rtrim", "trim_scale", "current_setting", "_unaltered"):
                connection.execute(f"create function bad.{function}({kind}) returns pg_catalog.text {body}")
        for function in ("now", "_now", "clock_timestamp", "pg_current_xact_id"):
            connection.execute(f"create function bad.{function}() returns timestamptz {body}")
        connection.execute(
            """set search_path = pg_temp, bad, pg_catalog, public;
               create temp table events (id pg_catalog.int4); create temp table applying (id pg_catalog.int4);
               create temp table new_rows (id pg_catalog.int4); create temp table old_rows (id pg_catalog.int4)"""
        )
        connection.execute("begin")
        if applying:
            connection.execute("reset role")
            connection.execute(
                "set local search_path = pg_catalog; insert into rowferry.applying"
                " select pg_current_xact_id(), id, 1, '{7}' from generate_series(0, 3) id"
            )
            connection.execute(f"set local role {user}")
            connection.execute("set local search_path = pg_temp, bad, pg_catalog, public; set local rowferry.applying = on")
        for table in ("wide", "split"):
            connection.execute(f"insert into public.{table} values ({', '.join(values)}, 'a')")
            connection.execute(f"update public.{table} set v = 'b'")
            connection.execute(f"update public.{table} set k0 = 5")
            connection.execute(f"delete from public.{table}")
        connection.execute("insert into public.plain values (7, 'a'), (8, 'b')")
        connection.execute("update public.plain set v = 'c'")
        connection.execute("delete from public.plain")
        assert connection.execute("select pg_catalog.count(*) from pg_temp.events").fetchone() == (0,)
        connection.execute("commit")
    events = crm.sql("select event_type, entity_id, hops from rowferry.events order by id")
    kinds = "".join(row["event_type"] for row in events)
    assert sorted(kinds[:10]) == sorted("iuidd" * 2)
    assert kinds[10:] == ("iud" if applying else "iiuudd")
    assert {row["hops"] for row in events} == {int(applying)}


@pytest.mark.case(35)
def test_nothing_in_the_schema_public_is_called_with_the_rights_of_a_tables_owner(nodes: Nodes) -> None:
    for node in nodes:
        owner, user = role(node), role(node)
        node.sql(
            f"create table names (id varchar(20) primary key, v varchar(20), u varchar(5) unique);"
            f" alter table names owner to {owner}"
        )
        node.sql(f"create table single (id text primary key); alter table single owner to {owner}")
        node.sql(f"grant create on schema public to {user}")
        with as_role(node, user) as connection:
            connection.execute(
                """create function public.trap(varchar, varchar) returns boolean language plpgsql
                   as $$ begin raise 'hijacked by %', current_user; end $$;
                   create operator public.= (leftarg = varchar, rightarg = varchar, function = public.trap);
                   create operator public.<> (leftarg = varchar, rightarg = varchar, function = public.trap);
                   create function public.unnest(text[]) returns setof text language plpgsql
                   as $$ begin raise 'hijacked by %', current_user; end $$;
                   create function public.unnest(varchar[]) returns setof varchar language plpgsql
                   as $$ begin raise 'hijacked by %', current_user; end $$;
                   create function public.array_agg(text) returns text[] language plpgsql
                   as $$ begin raise 'hijacked by %', current_user; end $$"""
            )
        node.sql("select rowferry.attach('names'), rowferry.attach('single')")
        node.sql(
            "create function noop() returns trigger language plpgsql as $$ begin return new; end $$;"
            " create trigger noop before update on names for each row execute function noop()"
        )
    nodes.crm.sql("insert into names values ('a', 'b', 'c'); insert into single values ('s'), ('t')")
    sync(*nodes)
    nodes.billing.sql("update names set v = 'd', u = 'e'; delete from single where pg_catalog.texteq(id, 's')")
    nodes.crm.sql("update names set v = 'f'")
    sync(*nodes)
    assert waiting(nodes.crm) == waiting(nodes.billing) == []
    assert rows(nodes.crm, "select * from names") == rows(nodes.billing, "select * from names")
    assert rows(nodes.crm, "select * from single") == rows(nodes.billing, "select * from single") == ["(t)"]


COLOR = "create type color as enum ('red', 'blue'); create table items (id color primary key, v text)"


@pytest.mark.case(35)
@pytest.mark.parametrize("table", [COLOR, f"{COLOR} partition by list (id); create table items_1 partition of items default"])
@pytest.mark.parametrize("renamed", [False, True])
def test_a_cast_that_a_user_made_for_the_type_of_a_key_is_not_called_by_capture(crm: Node, table: str, renamed: bool) -> None:
    owner = role(crm)
    crm.sql(
        f"""create table loot (who text); grant insert on loot to public; grant create on schema public to {owner};
            {table}; alter type color owner to {owner}; alter table items owner to {owner}; select rowferry.attach('items')"""
    )
    if table != COLOR:
        crm.sql(f"alter table items_1 owner to {owner}")
    body = "language plpgsql as $$ begin insert into public.loot values (current_user); return 'x'; end $$"
    with as_role(crm, owner) as connection:
        if not renamed:
            connection.execute(f"create function shown(color) returns text {body}")
            connection.execute("create cast (color as text) with function shown(color)")
            connection.execute("insert into items values ('red'); update items set id = 'blue'; delete from items")
            assert rows(crm, "select event_type, record_id from rowferry.events") == [
                *("(d,blue)", "(d,red)", "(i,blue)", "(i,red)"),
            ]
        else:
            connection.execute(
                f"""create type evil as (x int); create function shown(evil) returns text {body};
                    create cast (evil as text) with function shown(evil) as implicit;
                    alter table items rename id to id2; alter table items add id evil"""
            )
            with pytest.raises(psycopg.Error) as caught:
                connection.execute("insert into items (id2, id) values ('red', row(1)::evil)")
            shown = f"{caught.value.diag.internal_query} {caught.value.diag.context}"
            assert (caught.value.sqlstate, "rowferry.attach('public.items', 'items')" in shown) == ("42883", True)
            # Another type of the name that the key's had.
            connection.execute("alter type color rename to color2; alter type evil rename to color")
            with pytest.raises(psycopg.errors.UndefinedFunction):
                connection.execute("insert into items (id2, id) values ('red', row(1)::color)")
    assert crm.sql("select * from loot") == []


@pytest.mark.case(83)
def test_a_trigger_can_neither_be_fired_nor_stopped_by_settings_of_the_session(crm: Node) -> None:
    crm.sql(ITEMS)
    forged = "select set_config('rowferry.applying', 'on', false)"
    assert captured(crm, forged, "insert into items values (3)", "update items set v = 'x' where id = 3") == ["i 3", "u 3"]
    assert captured(crm, "begin; set local rowferry.applying = on; delete from items where id = 3; commit") == ["d 3"]
    assert {row["hops"] for row in crm.sql("select hops from rowferry.events")} == {0}
