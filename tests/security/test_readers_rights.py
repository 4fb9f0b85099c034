"""Nothing of a table owner's runs with the rights of who reads: rowferry's own readers only read, as the owner, and
what an operator or a superuser calls evaluates nothing of theirs."""

from __future__ import annotations

import psycopg
import pytest

from harness import Node, Nodes
from harness.exchange import sync, waiting
from harness.roles import role

# Makes the owner a superuser if anybody else runs it, and tells who did.
EVIL = """
create schema x; grant usage on schema x to public; create table x.seen (who text); grant insert on x.seen to public;
create function x.act() returns void language plpgsql as $$
begin
  if current_user <> '{owner}' then
    insert into x.seen values (current_user);
    begin alter role {owner} superuser; exception when others then null; end;
  end if;
end $$;
create function x.evil(text) returns boolean language plpgsql immutable as $$ begin perform x.act(); return true; end $$;
alter function x.evil(text) owner to {owner};
create function x.evil_int(integer) returns integer
  language plpgsql immutable as $$ begin perform x.evil(null); return $1; end $$;
alter function x.evil_int(integer) owner to {owner};
"""

# A table whose every type, default and expression is the owner's.
TABLE = """
grant create on schema x to {owner}; set role {owner};
create type x.mood as enum ('ok', 'sad');
create type x.pair as (a integer, b text);
create domain x.word as text check (x.evil(value));
create domain x.number as integer check (x.evil(value::text));
create function x.mood_json(x.mood) returns json language plpgsql immutable as $$ begin perform x.evil(null); return '1'; end $$;
create function x.mood_text(x.mood) returns numeric language plpgsql immutable as $$ begin perform x.evil(null); return 1; end $$;
create function x.pair_json(x.pair) returns json language plpgsql immutable as $$ begin perform x.evil(null); return '1'; end $$;
create cast (x.mood as json) with function x.mood_json(x.mood) as implicit;
create cast (x.mood as numeric) with function x.mood_text(x.mood) as implicit;
create cast (x.pair as json) with function x.pair_json(x.pair) as implicit;
create table x.t (id serial primary key, m x.mood, p x.pair, w x.word, n x.number default x.evil_int(1),
  local integer default x.evil_int(1), made integer generated always as (x.evil_int(1)) stored);
create index on x.t (x.evil_int(id));
create view x.v as select id, m, p, w, n from x.t where x.evil(null) or true;
"""


def hostile(node: Node) -> str:
    """The owner of x.t."""
    owner = role(node)
    node.sql(EVIL.format(owner=owner) + TABLE.format(owner=owner))
    return owner


def unharmed(node: Node, owner: str) -> None:
    assert node.sql("select who from x.seen") == []
    assert node.sql("select rolsuper from pg_roles where rolname = %s", [owner]) == [{"rolsuper": False}]


@pytest.mark.case(125)
def test_a_superuser_may_call_everything_on_the_table_of_a_hostile_owner(nodes: Nodes) -> None:
    owner = hostile(nodes.crm)
    nodes.billing.sql("""
        create schema x; create type x.mood as enum ('ok', 'sad'); create type x.pair as (a integer, b text);
        create table x.t (id serial primary key, m x.mood, p x.pair, w text, n integer); select rowferry.attach('x.t')""")
    node = nodes.crm
    columns = '\'["id", "m", "p", "w", "n"]\''
    node.sql(f"select rowferry.attach('x.t', p_columns => {columns}, p_filter => 'id > 0')")
    node.sql(f"set role {owner}; insert into x.t (m, p, w, n) values ('ok', '(1,a)', 'w', 1), ('sad', '(2,b)', 'v', 2)")
    sync(*nodes)
    for here, value in ((nodes.crm, "ok"), (nodes.billing, "sad")):
        here.sql((f"set role {owner};" if here is node else "") + f"update x.t set m = '{value}', w = '{value}' where id = 1")
    sync(*nodes)
    calls = [
        "select * from rowferry.check()",
        "select * from rowferry.drift()",
        "select * from rowferry.why_stuck()",
        "select * from rowferry.row_status('t', '1')",
        "select * from rowferry.replay('t', '1', '2')",
        "select * from rowferry.skip((select min(id) from rowferry.events), 'test')",
        "select * from rowferry.let_loser_win((select min(id) from rowferry.conflicts))",
        "select * from rowferry.stagger_sequence('x.t_id_seq')",
        "select * from rowferry.compare('t')",
        "select * from rowferry.first_contact('t')",
        "select * from rowferry.backfill('t')",
        "select * from rowferry.approve('t')",
        "select * from rowferry.skip_deletes('t', 'test')",
        "select * from rowferry.retry('t')",
        "select rowferry.set_rules('t', 'node:crm')",
        f"select rowferry.attach('x.t', p_columns => {columns}, p_filter => 'id > 0')",
        f"select rowferry.attach('x.t', p_columns => {columns}, p_filter => 'id > 0', p_dry_run => true)",
        "select * from rowferry.status",
        "select * from rowferry.sync_events",
        "select * from rowferry.conflicts",
        "select * from rowferry.differences",
        "select * from rowferry.compare_runs",
        "select * from rowferry.backfill_progress",
        "select * from rowferry.repair('t', 'here')",
        "select rowferry.detach('t', p_force => true)",
    ]
    for call in calls:
        try:
            node.sql(call)
        except psycopg.Error as error:
            assert str(error.sqlstate).startswith("RF"), f"{call}: {error}"
        unharmed(node, owner)


def test_check_evaluates_no_filter(nodes: Nodes) -> None:
    """A column may get a type of the owner's after attach(); null of a domain is a call of its check."""
    owner = hostile(nodes.crm)
    nodes.crm.sql(f"set role {owner}; create table x.f (id integer primary key, w text)")
    nodes.crm.sql("select rowferry.attach('x.f', p_filter => 'w is not null')")
    nodes.crm.sql(f"set role {owner}; alter table x.f add column other x.word")
    nodes.crm.sql("select * from rowferry.check()")
    unharmed(nodes.crm, owner)


def test_stagger_sequence_reads_no_view_in_the_tables_place(nodes: Nodes) -> None:
    owner = hostile(nodes.crm)
    nodes.crm.sql("select rowferry.attach('x.t', p_columns => '[\"id\"]')")
    nodes.crm.sql(f"""
        set role {owner};
        alter table x.t rename to t2; create view x.t as select x.evil_int(id) as id from x.t2""")
    with pytest.raises(psycopg.DatabaseError, match="the name of the table means another table now"):
        nodes.crm.sql("select * from rowferry.stagger_sequence('x.t_id_seq')")
    unharmed(nodes.crm, owner)


READERS_OF_A_PARENT = (
    "rowferry.read_lines('{1}', null)",
    "rowferry.followers_lines('{1}', null, 10)",
    "rowferry.lacking_lines(array['{1}', '{a}', '{1}'], '{1}')",
    "rowferry.apply_lines(array['{1}', '{a}', '{1}'], false)",
    "rowferry.delete_lines('{1}')",
    "rowferry.lock_lines('{1}')",
)


@pytest.mark.parametrize("call", READERS_OF_A_PARENT)
def test_a_parent_of_which_its_owner_has_made_a_view_is_not_read(nodes: Nodes, call: str) -> None:
    """The view has the table's oid, and its functions run with the rights of whoever reads it: the owner of what follows it."""
    crm = nodes.crm
    if crm.major >= 16:
        pytest.skip("from PostgreSQL 16 on no rule makes a view of a table")
    owner, reader = hostile(crm), role(crm)
    for node in nodes:
        node.sql("""
            create table orders (id integer primary key, country text);
            create table lines (id integer primary key, order_id integer references orders, item text)""")
    crm.sql(f"""
        alter table orders owner to {owner}; grant select, references on orders to {reader}; alter table lines owner to {reader};
        select rowferry.attach('orders', p_filter => $$country = 'CH'$$), rowferry.attach('lines', p_within => 'orders');
        insert into orders values (1, 'CH'); insert into lines values (1, 1, 'a')""")
    crm.sql(f"select * from {call}")
    crm.sql("alter table orders drop constraint orders_pkey cascade; alter table orders alter id drop not null")
    for row in crm.sql("select quote_ident(tgname) as name from pg_trigger where tgrelid = 'orders'::regclass"):
        crm.sql(f"drop trigger {row['name']} on orders")
    crm.sql("delete from orders")
    crm.sql("vacuum orders")
    crm.sql(f"""
        set role {owner};
        create rule "_RETURN" as on select to orders do instead select 1 as id, 'CH'::text as country where x.evil('a')""")
    with pytest.raises(psycopg.DatabaseError, match="the name of the table means another table now, or none, or a view"):
        crm.sql(f"select * from {call}")
    assert any("a rule has made a view of its table" in row["problem"] for row in crm.sql("select problem from rowferry.check()"))
    unharmed(crm, owner)


def test_stagger_sequence_goes_on_beyond_what_is_in_a_table_of_another(nodes: Nodes) -> None:
    owner = role(nodes.crm)
    nodes.crm.sql(
        f"create table public.u (id serial primary key); alter table public.u owner to {owner};"
        f" insert into public.u values (41); select rowferry.attach('public.u')"
    )
    [row] = nodes.crm.sql("select * from rowferry.stagger_sequence('public.u_id_seq')")
    assert row["next_value"] == 42


WRITES = (
    "create function x.writes(integer) returns integer language plpgsql as $$ begin insert into x.trace"
    " values ($1); return $1; end $$"
)


def writing(nodes: Nodes) -> str:
    """x.t on both nodes, on crm of a plain owner, with a function there that writes."""
    nodes.billing.sql(
        "create schema x; create table x.t (id integer primary key, v integer, w integer); select rowferry.attach('x.t')"
    )
    owner = role(nodes.crm)
    nodes.crm.sql(
        f"create schema x authorization {owner}; set role {owner}; create table x.t (id integer primary key, v integer);"
        f" create table x.trace (n integer); {WRITES}"
    )
    return owner


def test_an_outbound_view_whose_function_writes_is_not_read(nodes: Nodes) -> None:
    owner = writing(nodes)
    nodes.crm.sql(f"set role {owner}; create view x.v as select id, v, x.writes(v) as w from x.t")
    nodes.crm.sql("select rowferry.attach('x.t', p_outbound => 'x.v', p_direction => 'send'); insert into x.t values (1, 1)")
    sync(*nodes)
    [entity] = nodes.crm.sql("select held_error from rowferry.entities")
    assert "read-only transaction" in entity["held_error"]
    assert nodes.crm.sql("select from x.trace") == []
    assert waiting(nodes.crm) == ["insert t 1 RF020"]


def test_a_view_that_came_in_the_tables_place_writes_nothing_when_it_is_read(nodes: Nodes) -> None:
    owner = writing(nodes)
    nodes.crm.sql("select rowferry.attach('x.t'); insert into x.t values (1, 1)")
    nodes.crm.sql(f"set role {owner}; alter table x.t rename to t2; create view x.t as select id, x.writes(v) as v from x.t2")
    sync(*nodes)
    assert nodes.crm.sql("select from x.trace") == []


@pytest.mark.parametrize(
    "writes",
    [
        "insert into x.trace values (1)",
        "perform set_config(''transaction_read_only'', ''off'', true); insert into x.trace values (1)",
    ],
)
def test_a_merge_function_that_writes_holds_the_record(nodes: Nodes, writes: str) -> None:
    for node in nodes:
        node.sql("create schema x; create table x.t (id integer primary key, v integer); create table x.trace (n integer)")
        node.sql(
            f"do $do$ begin execute 'create function x.merged(mine x.t, theirs x.t) returns x.t language plpgsql as $$"
            f" begin {writes}; return mine; end $$'; end $do$"
        )
        node.sql("select rowferry.attach('x.t', p_conflict_rule => 'merge:x.merged')")
    nodes.crm.sql("insert into x.t values (1, 1)")
    sync(*nodes)
    for node, value in zip(nodes, (2, 3), strict=True):
        node.sql(f"update x.t set v = {value}")
    sync(*nodes)
    assert [node.sql("select from x.trace") for node in nodes] == [[], []]
    assert waiting(nodes.crm) + waiting(nodes.billing)


def test_a_reader_leaves_the_transaction_as_it_was(nodes: Nodes) -> None:
    writing(nodes)
    nodes.crm.sql("select rowferry.attach('x.t'); insert into x.t values (1, 1)")
    with nodes.crm.connect(autocommit=False) as connection:
        connection.execute("insert into x.t values (2, 2)")
        connection.execute("select * from rowferry.row_status('t', '1')")
        connection.execute("insert into x.t values (3, 3)")
        [read_only] = connection.execute("show transaction_read_only").fetchone() or ("",)
    assert read_only == "off"
    assert len(nodes.crm.sql("select from x.t")) == 3


def test_a_reader_refuses_a_session_whose_temporary_table_could_defer(nodes: Nodes) -> None:
    if nodes.crm.major >= 18:
        pytest.skip("from PostgreSQL 18 on a deferred trigger has the rights of who queued it")
    writing(nodes)
    nodes.crm.sql("select rowferry.attach('x.t')")
    with nodes.crm.connect() as connection:
        connection.execute("create temporary table scratch (n integer)")
        connection.execute("select * from rowferry.row_status('t', '1')")
        connection.execute("create temporary table later (n integer unique deferrable)")
        with pytest.raises(psycopg.Error) as caught:
            connection.execute("select * from rowferry.row_status('t', '1')")
    assert caught.value.sqlstate == "RF042"
