"""Unique values that rows hand on to each other.

A chain arrives in its order, an exchange where the values may be null for a moment or the constraint can wait.
"""

from typing import Any

import pytest

from harness import Nodes
from harness.courier import Courier
from harness.exchange import assert_equal, rows, sync, waiting

COLUMNS = "id int primary key, list int not null, place int not null, note text"
LISTS = {
    "constraint": f"create table items ({COLUMNS}, unique (list, place))",
    "exclusion": f"create table items ({COLUMNS}, exclude using btree (place with =) where (list = 1))",
    "range": f"create table items ({COLUMNS}, exclude using gist (int4range(place, place + 1) with &&))",
    "partial": """
        create table items (id int primary key, list int not null, place int not null, note text);
        create unique index on items (place) where list > 0""",
    "expression": """
        create table items (id int primary key, list int not null, place int not null, note text);
        create unique index on items ((place * 2), list)""",
    "generated": """create table items (id int primary key, list int not null, place int not null, note text,
        twice int generated always as (place * 2) stored, unique (twice))""",
    "two": "create table items (id int primary key, list int not null, place int not null unique, note text unique)",
    "partitions": """
        create table items (id int, list int, place int not null, note text, primary key (id, list), unique (list, place))
          partition by list (list);
        create table items_1 partition of items for values in (1); create table items_2 partition of items default""",
}
MOVE_DOWN = """
    do $$
    declare
      v_id int;
    begin
      for v_id in select id from items order by place desc loop
        update items set place = place + 1 where id = v_id;
      end loop;
      insert into items (id, list, place) values (1000, 1, 1);
    end $$"""


def attached(nodes: Nodes, table: str, count: int = 100) -> None:
    """The table on both nodes, with rows at the places from 1 on."""
    for node in nodes:
        node.sql(f"{table}; select rowferry.attach('items')")
    nodes.crm.sql(f"insert into items (id, list, place) select n, 1, n from generate_series(1, {count}) n")
    sync(*nodes)


def first_call(nodes: Nodes) -> dict[str, Any]:
    """What billing's first call with crm's batch answers."""
    courier = Courier(nodes)
    crm, _ = courier.meet(nodes)
    return courier.call(nodes.billing, crm)


@pytest.mark.case(43)
@pytest.mark.parametrize("kind", LISTS)
def test_a_list_that_moves_down_by_one_arrives_in_the_first_call(nodes: Nodes, kind: str) -> None:
    attached(nodes, LISTS[kind])
    nodes.crm.sql(MOVE_DOWN)
    answer = first_call(nodes)
    assert (answer["refused"], answer["applied"]) == (0, 101)
    assert len(assert_equal(nodes, "items")) == 101


@pytest.mark.case(43)
def test_a_list_of_which_one_side_has_a_column_of_its_own_arrives_in_the_first_call(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(LISTS["constraint"])
    nodes.billing.sql("""
        alter table items add shelf int not null default 1;
        create unique index on items (shelf, place);
        create unique index on items (place) where shelf = 1""")
    for node in nodes:
        node.sql("""select rowferry.attach('items', p_columns => '["id", "list", "place", "note"]')""")
    nodes.crm.sql("insert into items select n, 1, n from generate_series(1, 100) n")
    sync(*nodes)
    nodes.crm.sql(MOVE_DOWN)
    assert first_call(nodes)["refused"] == 0
    assert len(assert_equal(nodes, "(select id, list, place, note from items) i")) == 101


@pytest.mark.case(43)
def test_a_list_that_moves_up_after_its_first_row_is_deleted_arrives_in_the_first_call(nodes: Nodes) -> None:
    attached(nodes, LISTS["constraint"])
    nodes.crm.sql("""
        delete from items where id = 1;
        do $$
        declare
          v_id int;
        begin
          for v_id in select id from items order by place loop
            update items set place = place - 1, note = 'moved' where id = v_id;
          end loop;
        end $$""")
    answer = first_call(nodes)
    assert (answer["refused"], answer["applied"]) == (0, 100)
    assert len(assert_equal(nodes, "items")) == 99


@pytest.mark.case(43)
def test_a_bad_row_in_a_chain_keeps_those_back_that_need_its_place_and_no_others(nodes: Nodes) -> None:
    attached(nodes, LISTS["constraint"] + "; alter table items add check (note <> 'bad' or current_database() ~ 'crm')")
    nodes.crm.sql(MOVE_DOWN)
    nodes.crm.sql("update items set note = 'bad' where id = 50")
    sync(*nodes)
    assert rows(nodes.billing, "select id from items where place = id + 1") == sorted(f"({n})" for n in range(51, 101))
    assert {event for event in waiting(nodes.crm) if event.endswith("23514")} == {"update items 50 23514"}
    assert {event.split()[2] for event in waiting(nodes.crm)} == {"1000", *map(str, range(1, 51))}
    nodes.billing.sql("alter table items drop constraint items_note_check")
    nodes.crm.sql("select rowferry.retry('items')")
    sync(*nodes)
    assert_equal(nodes, "items")
    assert waiting(nodes.crm) == []


@pytest.mark.case(43, 100)
@pytest.mark.parametrize("exchanged", ["swap", "whole list"])
def test_values_that_may_be_null_are_exchanged(nodes: Nodes, exchanged: str) -> None:
    """No trigger for deletes fires, no row goes, and what refers to the rows stays."""
    for node in nodes:
        node.sql("""
            create table items (id int primary key, list int not null, place int, note text, unique (list, place));
            create table parts (item int primary key references items on delete cascade);
            create function never() returns trigger language plpgsql as $$ begin raise 'deleted'; end $$;
            create trigger never before delete on items for each row execute function never();
            alter table items enable always trigger never;
            select rowferry.attach('items'), rowferry.attach('parts')""")
    nodes.crm.sql("insert into items select n, 1, n from generate_series(1, 100) n; insert into parts select id from items")
    sync(*nodes)
    nodes.crm.sql(
        "update items set place = -id; update items set place = 101 - id"
        if exchanged == "whole list"
        else """
            update items set place = null where id = 1;
            update items set place = 1 where id = 2;
            update items set place = 2, note = 'b' where id = 1"""
    )
    assert first_call(nodes)["refused"] == 0
    assert_equal(nodes, "items")
    assert len(assert_equal(nodes, "parts")) == 100


EXPRESSIONS = {
    "lower": "lower(note)",
    "cast": "(note::varchar || '!')",
    "two columns": "(lower(note) || place)",
    "beside a column": "list, upper(btrim(note))",
}


@pytest.mark.case(43, 100)
@pytest.mark.parametrize("indexed", EXPRESSIONS)
def test_values_of_an_expression_that_may_be_null_are_exchanged(nodes: Nodes, indexed: str) -> None:
    attached(nodes, f"create table items ({COLUMNS}); create unique index on items ({EXPRESSIONS[indexed]})")
    nodes.crm.sql("update items set note = 'n' || id, place = 1")
    sync(*nodes)
    nodes.crm.sql("""
        update items set note = 'other' where id = 1; update items set note = 'n1' where id = 2;
        update items set note = 'n2' where id = 1""")
    assert first_call(nodes)["refused"] == 0
    assert_equal(nodes, "items")


HELD = {
    "constraint": (LISTS["constraint"], "alter table public.items drop constraint items_list_place_key, add constraint"),
    "exclusion": (LISTS["exclusion"], "alter table public.items drop constraint items_place_excl, add constraint"),
    "partial": (LISTS["partial"], "drop index public.items_place_idx;"),
    "expression": (LISTS["expression"], "drop index public.items_expr_list_idx;"),
    "not strict": (
        f"create table items ({COLUMNS}, p int); create unique index on items (coalesce(p, place))",
        "drop index public.items_coalesce_idx;",
    ),
}


@pytest.mark.case(100)
@pytest.mark.parametrize("unique", HELD)
def test_an_exchange_that_cannot_be_is_held_with_the_line_that_lets_it_arrive(nodes: Nodes, unique: str) -> None:
    table, line = HELD[unique]
    attached(nodes, table)
    nodes.crm.sql("""
        update items set place = 1000 where id = 1;
        update items set place = 1 where id = 2;
        update items set place = 2 where id = 1;
        update items set note = 'other' where id > 10""")
    sync(*nodes)
    assert set(event.rpartition(" ")[0] for event in waiting(nodes.crm)) == {"update items 1", "update items 2"}
    assert rows(nodes.billing, "select count(*) from items where note = 'other'") == ["(90)"]
    [cause] = nodes.crm.sql("select * from rowferry.why_stuck() where severity = 'warning'")
    there, here = cause["type_next"].split(" then here: ")
    check = nodes.billing.sql("select * from rowferry.check() where severity = 'error'")
    assert there.startswith(line) and "  -- on billing, " in there
    assert {row["hint"] for row in nodes.crm.sql("select hint from rowferry.held_events")} == {cause["type_next"]}
    nodes.billing.sql(there)
    assert nodes.billing.sql("select * from rowferry.check() where severity = 'error'") == check
    here, _, again = here.partition(" and once nothing of it waits, there again: ")
    nodes.crm.sql(here)
    sync(*nodes)
    assert waiting(nodes.crm) == []
    assert_equal(nodes, "items")
    if again:
        nodes.billing.sql(again)
        assert nodes.billing.sql("select * from rowferry.check() where severity = 'error'") == check
        assert sorted(rows(nodes.billing, INDEXES)) == sorted(rows(nodes.crm, INDEXES))


INDEXES = "select pg_get_indexdef(indexrelid) from pg_index where indrelid = 'items'::regclass"


@pytest.mark.case(100)
def test_who_looks_at_a_value_that_both_nodes_gave_is_told_to_change_one_of_the_two(nodes: Nodes) -> None:
    """No line that lets a constraint wait helps there."""
    attached(nodes, LISTS["constraint"])
    nodes.crm.sql("insert into items values (201, 1, 201)")
    nodes.billing.sql("insert into items values (202, 1, 201)")
    sync(*nodes)
    for node in nodes:
        [cause] = node.sql("select * from rowferry.why_stuck() where severity = 'warning'")
        assert cause["type_next"].endswith("  -- once one of the two rows has another value")


@pytest.mark.case(43)
def test_a_value_that_others_refer_to_is_not_null_for_a_moment(nodes: Nodes) -> None:
    """A foreign key that follows its parent would lose it."""
    for node in nodes:
        node.sql("""
            create table items (id int primary key, place int unique);
            create table parts (id int primary key, place int references items (place) on update cascade);
            select rowferry.attach('items')""")
    nodes.crm.sql("insert into items values (1, 1), (2, 2)")
    sync(*nodes)
    nodes.billing.sql("insert into parts values (1, 1), (2, 2)")
    nodes.crm.sql("""
        update items set place = 3 where id = 1;
        update items set place = 1 where id = 2;
        update items set place = 2 where id = 1""")
    sync(*nodes)
    assert set(waiting(nodes.crm)) == {"update items 1 23505", "update items 2 23505"}
    assert rows(nodes.billing, "select * from parts") == ["(1,1)", "(2,2)"]


@pytest.mark.case(43)
def test_thousands_of_rows_that_want_a_value_of_a_row_that_stays_keep_no_other_back(nodes: Nodes) -> None:
    """One look finds them, where each try would find one."""
    attached(nodes, LISTS["constraint"], 3000)
    nodes.billing.sql("""
        select rowferry.detach('items', true);
        delete from items where id > 2000;
        insert into items values (10000, 1, 3001);
        select rowferry.attach('items')""")
    nodes.crm.sql("update items set place = place + 10000 where id <= 100")
    nodes.crm.sql("""
        do $$ begin for i in reverse 2000 .. 101 loop update items set place = place + 5000 where id = i; end loop; end $$;
        insert into items select n, 2, n from generate_series(20000, 20100) n""")
    nodes.billing.sql("""
        select rowferry.detach('items', true);
        insert into items select n + 30000, 1, n + 5000 from generate_series(201, 2000) n;
        select rowferry.attach('items')""")
    courier = Courier(nodes)
    courier.limit = 20000
    crm, billing = courier.meet(nodes)
    arrived = "select count(*) filter (where list = 2), count(*) filter (where id <= 200 and place > 5000) from items"
    for _ in range(120):  # it takes about ten, and row by row it would take two thousand
        crm, billing = courier.call(nodes.crm, billing)["envelope"], courier.call(nodes.billing, crm)["envelope"]
        if rows(nodes.billing, arrived) == ["(101,200)"]:
            break
    assert rows(nodes.billing, arrived) == ["(101,200)"]
    courier.call(nodes.crm, billing)
    assert {row["sqlstate"] for row in nodes.crm.sql("select sqlstate from rowferry.held_events")} == {"23505"}
