"""What code of a table's owner leaves in the session meets nobody: neither rowferry_owner, nor the worker, nor whoever calls."""

import psycopg
import pytest

from harness import Node, Nodes
from harness.exchange import rows, sync, waiting
from harness.roles import role

LEAVES = {
    "a setting": "perform pg_catalog.set_config('search_path', 'm, pg_catalog', false)",
    "a setting by SET": "set search_path = m, pg_catalog",
    "a setting that makes words of nulls": "set array_nulls = off",
    "a cursor": "execute 'declare left_behind cursor with hold for select m.evil()'",
    "a prepared statement": "begin execute 'deallocate left_behind'; exception when others then null; end; "
    "execute 'prepare left_behind as select m.evil()'",
}
EVIL = """
  create schema m authorization {intruder}; set role {intruder};
  create table m.seen (who text); grant insert on m.seen to public; grant usage on schema m to public;
  create function m.evil() returns integer language plpgsql as $$
    begin insert into m.seen values (current_user); return 1; end $$;
  create function m.now() returns timestamptz language sql as $$ select m.evil(); select pg_catalog.now() $$;
  create function m.jsonb_array_length(jsonb) returns integer language plpgsql as $$
    begin perform m.evil(); return pg_catalog.jsonb_array_length($1); end $$;
  create function m.set_config(text, text, boolean) returns text language plpgsql as $$
    begin perform m.evil(); return pg_catalog.set_config($1, $2, $3); end $$;
  create sequence m.met; grant usage on sequence m.met to public;
  create function m.meets(text) returns boolean language plpgsql as $$
    begin if not starts_with(current_user, 'somebody_') then perform nextval('m.met'); end if; return true; end $$;
  create domain m.text as text check (m.meets(value));
  create table m.t (id integer primary key, v text);
  create table m.deferred (id integer primary key, v text);
  create function m.leave() returns trigger language plpgsql as $f$ begin {leave}; return null; end $f$;
"""
TRIGGERS = """
  create trigger leave after insert or update on m.t for each row execute function m.leave();
  alter table m.t enable always trigger leave;
  create constraint trigger leave after insert on m.deferred deferrable initially deferred
    for each row execute function m.leave(); alter table m.deferred enable always trigger leave;
"""


def own(nodes: Nodes, leave: str) -> None:
    """A plain owner's tables, of which only the applier's writes on billing fire what leaves something behind."""
    for node in nodes:
        intruder = role(node)
        node.sql(EVIL.format(leave=leave, intruder=intruder))
        node.sql("create table public.others (id integer primary key); select rowferry.attach('public.others')")
        node.sql("select rowferry.attach('m.t'); select rowferry.attach('m.deferred')")
    nodes.billing.sql(f"set role {intruder}; {TRIGGERS}")


def seen(node: Node) -> list[str]:
    """Who ran code of the intruder's; no rollback takes back that a sequence was called."""
    query = "select who from m.seen where not starts_with(who, 'somebody_') union all select 'met' from m.met where is_called"
    return rows(node, query)


@pytest.mark.parametrize("left", LEAVES)
def test_what_a_trigger_leaves_in_the_session_holds_its_row_and_meets_nobody(nodes: Nodes, left: str) -> None:
    own(nodes, LEAVES[left])
    nodes.crm.sql("insert into m.t values (1, 'a'); insert into m.deferred values (1, 'a'); insert into others values (1)")
    sync(*nodes)
    assert rows(nodes.billing, "select id from others") == ["(1)"]
    if left == "a prepared statement":  # no rollback takes it back, so it is removed, and nothing is left
        assert waiting(nodes.crm) == []
    else:
        assert rows(nodes.crm, "select entity, sqlstate from rowferry.sync_events") == ["(deferred,RF043)", "(t,RF043)"]
    assert seen(nodes.billing) == []


@pytest.mark.parametrize("left", LEAVES)
def test_what_a_view_leaves_in_the_session_of_a_reader_is_refused(nodes: Nodes, left: str) -> None:
    node = nodes.crm
    intruder = role(node)
    node.sql(EVIL.format(leave="null", intruder=intruder))
    node.sql(f"""
      set role {intruder};
      insert into m.t values (1, 'a');
      create function m.value(text) returns text language plpgsql as $f$ begin return $1; end $f$;
      create view m.out as select id, m.value(v) as value from m.t;
      create function m.into(p_rows m.out[]) returns table (id integer, v text) language sql as
        'select r.id, r.value from unnest(p_rows) r';
      reset role;
      select rowferry.attach('m.t', p_outbound => 'm.out', p_inbound => 'm.into');
      set role {intruder};
      create or replace function m.value(text) returns text language plpgsql as $f$ begin {LEAVES[left]}; return $1; end $f$""")
    with psycopg.connect(node.conninfo, autocommit=True) as superuser:
        superuser.execute("prepare left_behind as select 1")
        for call in ("rowferry.row_status('t', '1')", "rowferry.replay('t', '1')", "rowferry.compare('t')"):
            try:
                superuser.execute(f"select * from {call}")
            except psycopg.Error as error:
                assert error.sqlstate in ("RF043", "42P03"), call
            superuser.execute("select now()")
        if left == "a prepared statement":
            with pytest.raises(psycopg.errors.InvalidSqlStatementName):
                superuser.execute("execute left_behind")
    assert seen(node) == []


def test_what_let_loser_win_would_leave_in_the_session_of_a_superuser_is_refused(nodes: Nodes) -> None:
    own(nodes, "create temp view conflicts as select m.evil()")
    nodes.billing.sql("alter table m.t disable trigger leave; insert into m.t values (1, 'billing')")
    nodes.crm.sql("insert into m.t values (1, 'crm')")
    sync(*nodes)
    nodes.billing.sql("alter table m.t enable trigger leave")
    [conflict] = nodes.billing.sql("select id from rowferry.conflicts")
    with psycopg.connect(nodes.billing.conninfo, autocommit=True) as superuser:
        with pytest.raises(psycopg.Error, match="temporary relation of another role"):
            superuser.execute("select * from rowferry.let_loser_win(%s)", [conflict["id"]])
        superuser.execute("set search_path = rowferry, public; select count(*) from conflicts")
    assert seen(nodes.billing) == []


@pytest.mark.parametrize(
    ("type_", "condition"),
    [("m.tag[]", "v && '{vip}'"), ("m.pair", "v = '(vip,1)'"), ("m.tags", "v @> 'vip'::m.tag")],
)
def test_attach_reads_no_literal_by_a_check_of_the_owners(nodes: Nodes, type_: str, condition: str) -> None:
    node = nodes.crm
    intruder = role(node)
    node.sql(EVIL.format(leave="null", intruder=intruder))
    node.sql(f"""
      set role {intruder};
      create function m.fits(text) returns boolean language plpgsql as $f$ begin perform nextval('m.calls'); return true; end $f$;
      create sequence m.calls;
      create domain m.tag as text check (m.fits(value));
      create type m.pair as (tag m.tag, n integer);
      create type m.tags as range (subtype = m.tag);
      create table m.tagged (id integer primary key, v {type_})""")
    with pytest.raises(psycopg.Error) as caught:
        node.sql("select rowferry.attach('m.tagged', p_filter => $$" + condition + "$$)")
    assert caught.value.sqlstate == "RF010"
    assert node.sql("select is_called from m.calls") == [{"is_called": False}]


def test_a_domains_check_that_writes_another_table_is_captured(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("""
          create table notes (id integer primary key); select rowferry.attach('notes');
          create function noted(integer) returns boolean language plpgsql as $f$
            begin
              if current_setting('rowferry.applying', true) = 'on' then
                insert into public.notes values (1000 + $1) on conflict do nothing;
              end if;
              return true;
            end $f$;
          create domain number as integer check (noted(value));
          create table t (id integer primary key, n number); select rowferry.attach('t')""")
    nodes.crm.sql("insert into t select g, g from generate_series(1, 300) g")
    sync(*nodes)
    sync(*nodes)
    [here, there] = [rows(node, "select count(*) from notes") for node in nodes]
    assert here == there == ["(300)"]
