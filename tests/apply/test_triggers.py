"""Triggers of the target's: what they change travels back, what they raise holds a row, what they leave behind spoils nothing."""

from __future__ import annotations

import pytest

from harness import Nodes
from harness.courier import Courier
from harness.exchange import assert_equal, refused_with, rows, sync, waiting
from harness.notes import RANKED, keep_notes


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes that keep one table in sync."""
    return keep_notes(nodes, table=RANKED)


@pytest.mark.promise("R9")
def test_what_a_trigger_of_the_target_changes_travels_back(notes: Nodes) -> None:
    notes.billing.sql(
        "create function shout() returns trigger language plpgsql as $$ begin new.body := upper(new.body); return new; end $$;"
        "create trigger shout before insert or update on notes for each row execute function shout();"
        "alter table notes enable always trigger shout"
    )
    notes.crm.sql("insert into notes values (1, 'quiet')")
    sync(notes.crm, notes.billing)
    assert assert_equal(notes) == ["(1,QUIET,)"]
    assert waiting(notes.crm) + waiting(notes.billing) == []


def test_a_row_that_a_trigger_of_the_target_drops_is_noticed(notes: Nodes) -> None:
    notes.billing.sql(
        "create function drop_it() returns trigger language plpgsql as $$ begin return null; end $$;"
        "create trigger drop_it before insert on notes for each row when (new.id = 1) execute function drop_it();"
        "alter table notes enable always trigger drop_it"
    )
    notes.crm.sql("insert into notes values (1, 'gone'), (2, 'stays')")
    sync(notes.crm, notes.billing)
    assert assert_equal(notes) == ["(2,stays,)"]


@pytest.mark.parametrize("where", ["billing", "both"])
def test_a_trigger_that_writes_another_row_of_the_batch_leaves_both_sides_equal(nodes: Nodes, where: str) -> None:
    for node in nodes:
        node.sql("create table orders (id integer primary key, total integer not null default 0)")
        node.sql("create table items (id integer primary key, order_id integer references orders, amount integer)")
        if where in ("both", node.name):
            node.sql(
                "create function add_up() returns trigger language plpgsql as $$ begin"
                " update orders set total = total + new.amount where id = new.order_id; return null; end $$;"
                "create trigger add_up after insert on items for each row execute function add_up();"
                "alter table items enable always trigger add_up"
            )
        node.sql("select rowferry.attach('orders'); select rowferry.attach('items')")
    nodes.crm.sql("insert into orders values (1); insert into items values (1, 1, 10)")
    sync(nodes.crm, nodes.billing)
    assert len(assert_equal(nodes, "orders")) == 1


def test_what_a_trigger_adds_to_its_own_table_in_a_large_batch_travels_back(notes: Nodes) -> None:
    """No key is compared where nothing but the applier can write a table; a trigger of the user's can."""
    notes.billing.sql("""
        create function also() returns trigger language plpgsql as
        $$ begin insert into notes values (-1, 'also'); return null; end $$;
        create trigger also after insert on notes for each row when (new.id = 1) execute function also();
        alter table notes enable always trigger also""")
    notes.crm.sql("insert into notes select n, 'a' from generate_series(1, 1000) n")
    sync(*notes)
    assert [rows(node, "select count(*), min(id) from notes") for node in notes] == [["(1001,-1)"]] * 2


@pytest.mark.parametrize(
    "place",
    [
        "alter table notes add spare integer default also(0)",
        "alter table notes add check (also(id) >= 0)",
        "create index on notes (certainly(id))",
        "create index on notes (id) where certainly(id) >= 0",
    ],
)
def test_what_a_function_of_the_tables_own_adds_in_a_large_batch_travels_back(notes: Nodes, place: str) -> None:
    """As a trigger does: in the default of a column that does not travel, in a check, in an index."""
    notes.billing.sql(f"""
        create function also(integer) returns integer language plpgsql as $$
        begin
          if coalesce(current_setting('also.done', true), '') = '' and not exists (select from notes where id = -1) then
            perform set_config('also.done', 'yes', true);
            insert into notes (id, body) values (-1, 'also');
          end if;
          return 0;
        end $$;
        create function certainly(integer) returns integer immutable language plpgsql as $$ begin return also($1); end $$;
        {place}""")
    notes.crm.sql("insert into notes select n, 'a' from generate_series(1, 1000) n")
    sync(*notes)
    assert [rows(node, "select count(*), min(id) from notes") for node in notes] == [["(1001,-1)"]] * 2


def test_settings_that_a_trigger_leaves_behind_change_no_value_on_its_way(notes: Nodes) -> None:
    for node in notes:
        node.sql("create table measures (id integer primary key, value double precision, at timestamptz)")
        node.sql("select rowferry.attach('measures')")
    notes.crm.sql(
        "create function spoil() returns trigger language plpgsql as $$ begin"
        " perform set_config('extra_float_digits', '-10', true),"
        " set_config('datestyle', 'SQL, DMY', true), set_config('timezone', 'Asia/Tokyo', true); return new; end $$;"
        "create trigger spoil before insert on notes for each row execute function spoil();"
        "alter table notes enable always trigger spoil;"
        "create function spoil_late() returns trigger language plpgsql as $$ begin"
        " perform set_config('extra_float_digits', '-10', true),"
        " set_config('datestyle', 'SQL, DMY', true); return null; end $$;"
        "create constraint trigger spoil_late after insert on notes deferrable initially deferred"
        " for each row execute function spoil_late(); alter table notes enable always trigger spoil_late"
    )
    notes.billing.sql("insert into notes values (1, 'a')")
    courier = Courier(notes)
    _, note = courier.meet(notes)
    notes.crm.sql("insert into measures values (1, pi(), '2026-11-22 12:00:00.123456+00')")
    answer = courier.call(notes.crm, note)  # the trigger runs, then the measure is read, in one call
    assert (answer["applied"], answer["sent"]) == (1, 1)
    assert courier.call(notes.billing, answer["envelope"])["applied"] == 1
    assert len(assert_equal(notes, "measures")) == 1
    sync(notes.crm, notes.billing)
    assert len(assert_equal(notes)) == 1


@pytest.mark.promise("R8")
@pytest.mark.parametrize(
    ("raised", "sqlstate"),
    [
        ("assert false", "P0004"),
        ("raise exception using errcode = '40001'", "40001"),
        ("raise exception using errcode = '08001'", "08001"),
        ("raise exception using errcode = 'RF100'", "RF100"),
    ],
)
def test_whatever_a_trigger_raises_holds_its_row_and_stops_no_other(notes: Nodes, raised: str, sqlstate: str) -> None:
    notes.billing.sql(
        f"create function fail() returns trigger language plpgsql as $$ begin {raised}; return new; end $$;"
        "create trigger fail before insert on notes for each row when (new.body = 'bad') execute function fail();"
        "alter table notes enable always trigger fail"
    )
    notes.crm.sql("insert into notes select i, case i when 7 then 'bad' else 'good' end from generate_series(1, 20) i")
    sync(notes.crm, notes.billing)
    assert notes.billing.sql("select count(*) as n from notes") == [{"n": 19}]
    assert waiting(notes.crm) == [f"insert notes 7 {sqlstate}"]


@pytest.mark.whole
def test_a_trigger_that_cannot_connect_elsewhere_holds_its_rows_and_stops_no_other(notes: Nodes) -> None:
    if not notes.billing.sql("select 1 from pg_available_extensions where name = 'dblink'"):
        pytest.skip("this server has no dblink")
    notes.billing.sql(
        "create extension dblink;"
        "create function tell() returns trigger language plpgsql as"
        " $$ begin perform dblink_exec('host=127.0.0.1 port=1', 'select'); return new; end $$;"
        "create trigger tell before insert on notes for each row when (new.body = 'bad') execute function tell();"
        "alter table notes enable always trigger tell"
    )
    notes.crm.sql("insert into notes select i, case i when 7 then 'bad' else 'good' end from generate_series(1, 20) i")
    sync(notes.crm, notes.billing)
    assert notes.billing.sql("select count(*) as n from notes") == [{"n": 19}]
    assert waiting(notes.crm) == ["insert notes 7 08001"]


def test_a_deferred_trigger_of_the_target_has_its_owners_rights_only(nodes: Nodes) -> None:
    """Before PostgreSQL 18 it has those of whoever makes it fire."""
    for node in nodes:
        node.sql("do $$ begin if to_regrole('eve') is null then create role eve; end if; end $$")
        node.sql("create table items (id integer primary key); alter table items owner to eve; select rowferry.attach('items')")
    nodes.billing.sql(
        "create table seen (who text); grant insert on seen to public;"
        "create function see() returns trigger language plpgsql as"
        " $$ begin insert into public.seen values (current_user); return null; end $$;"
        "create constraint trigger see after insert on items deferrable initially deferred for each row execute function see();"
        "alter table items enable always trigger see"
    )
    nodes.crm.sql("insert into items values (1)")
    sync(nodes.crm, nodes.billing)
    assert nodes.billing.sql("select who from seen") == [{"who": "eve"}]


def test_process_batch_is_not_for_triggers(notes: Nodes) -> None:
    notes.crm.sql(
        "create function call_it() returns trigger language plpgsql as"
        " $$ begin perform rowferry.process_batch(); return new; end $$;"
        "create trigger call_it before insert on notes for each row execute function call_it()"
    )
    refused_with("42501", notes.crm, "insert into notes values (1)")


@pytest.mark.promise("R9")
def test_triggers_that_disagree_for_ever_are_held_and_named(notes: Nodes) -> None:
    for node in notes:
        node.sql(
            f"create function mine() returns trigger language plpgsql as $$ begin new.body := '{node.name}'; return new; end $$;"
            "create trigger mine before insert or update on notes for each row execute function mine();"
            "alter table notes enable always trigger mine"
        )
    notes.crm.sql("insert into notes values (1, 'x'), (2, 'x')")
    sync(notes.crm, notes.billing)
    held = [row for node in notes for row in node.sql("select sqlstate, hops, hint from rowferry.sync_events where attempts > 0")]
    assert {row["sqlstate"] for row in held} == {"RF021"}
    assert all(row["hops"] == 4 and row["hint"] for row in held)
