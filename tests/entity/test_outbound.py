"""What travels is a view of the table, and what arrives goes through a function: attach(p_outbound => .., p_inbound => ..)."""

import random
import re

import pytest

from harness import REPO, Nodes
from harness.comparing import compared, differences, found, unseen
from harness.exchange import rows, sync, waiting
from harness.outbound import ATTACH, COLUMNS, PARTITIONED, PEOPLE, PLAIN, PROBLEMS, SHAPE, THERE, install


def test_the_example_of_the_documentation_works_as_it_stands_there(nodes: Nodes) -> None:
    text = (REPO / "docs" / "attach.md").read_text()
    section = text[text.index("## Expressions: a view out, a function in") :]
    for part in re.findall(r"```sql\n(.*?)```", section, re.DOTALL)[:3]:
        nodes.crm.sql(part)
    nodes.billing.sql("create table people (id integer primary key, full_name text)")
    nodes.billing.sql("select rowferry.attach('public.people')")
    nodes.crm.sql("insert into sales.people values (1, 'Ada', 'Lovelace', 'first')")
    nodes.billing.sql("insert into people values (2, 'Alan Turing'), (3, 'Mono')")
    sync(*nodes)
    nodes.billing.sql("update people set full_name = 'Ada King' where id = 1")
    sync(*nodes)
    assert rows(nodes.crm, "select * from sales.people") == ["(1,Ada,King,first)", "(2,Alan,Turing,)", '(3,Mono,"",)']
    assert rows(nodes.billing, "select * from people") == ['(1,"Ada King")', '(2,"Alan Turing")', "(3,Mono)"]


@pytest.mark.parametrize(
    "table",
    [PEOPLE, PARTITIONED],
    ids=["table", "partitioned"],
)
def test_rows_travel_both_ways_in_the_shape_of_the_view(nodes: Nodes, table: str) -> None:
    install(nodes, table)
    if "partition" in table:
        nodes.crm.sql("create table people_0 partition of people for values with (modulus 1, remainder 0)")
    nodes.crm.sql(
        "insert into people values (1, 'Ada', 'Lovelace', 'Ada@example.com', 'own'), (2, 'Alan', 'Turing', null, 'own')"
    )
    nodes.billing.sql("insert into people values (3, 'Grace Hopper', 'grace@example.com')")
    sync(*nodes)
    assert rows(nodes.billing, THERE) == [
        '(1,"Ada Lovelace",ada@example.com)',
        '(2,"Alan Turing",)',
        '(3,"Grace Hopper",grace@example.com)',
    ]
    nodes.billing.sql("update people set name = 'Ada King' where id = 1")
    nodes.billing.sql("delete from people where id = 2")
    nodes.crm.sql("update people set last = 'Brewster Hopper' where id = 3")
    sync(*nodes)
    assert rows(nodes.crm, "select * from people") == [
        "(1,Ada,King,ada@example.com,own)",
        '(3,Grace,"Brewster Hopper",grace@example.com,)',
    ]
    assert rows(nodes.billing, "select name from people where id = 3") == ['("Grace Brewster Hopper")']
    for node in nodes:
        assert waiting(node) == []
        assert node.sql(PROBLEMS) == []
        warnings = "select problem from rowferry.check() where severity = 'warning' and object in ('people', 'public.people')"
        assert node.sql(warnings) == []


@pytest.mark.parametrize(
    "table",
    [PEOPLE, PARTITIONED],
    ids=["table", "partitioned"],
)
def test_only_a_change_of_what_the_view_uses_makes_an_event(nodes: Nodes, table: str) -> None:
    install(nodes, table)
    if "partition" in table:
        nodes.crm.sql("create table people_0 partition of people for values with (modulus 1, remainder 0)")
    nodes.crm.sql("insert into people values (1, 'Ada', 'Lovelace', null, 'own')")
    sync(*nodes)
    nodes.crm.sql("update people set notes = 'other'")
    assert waiting(nodes.crm) == []
    nodes.crm.sql("update people set email = 'ada@example.com'")
    assert waiting(nodes.crm) == ["update people 1"]


@pytest.mark.parametrize(
    ("expression", "change"),
    [
        ("row_to_json(p)::text", "set notes = 'x'"),
        ("p.initials || '.'", "set last = 'Xavier'"),
        ("(select n.first || p.last from people n where n.id = p.id)", "set last = 'Xavier'"),
    ],
    ids=["whole row", "generated column", "subquery"],
)
def test_what_the_view_uses_is_found_however_it_uses_it(nodes: Nodes, expression: str, change: str) -> None:
    nodes.crm.sql(PEOPLE)
    nodes.crm.sql("alter table people add initials text generated always as (left(first, 1) || left(last, 1)) stored")
    nodes.crm.sql("create schema app")
    nodes.crm.sql(f"create view app.people_out as select p.id, {expression} as v from people p")
    nodes.crm.sql("select rowferry.attach('people', p_outbound => 'app.people_out', p_direction => 'send')")
    nodes.billing.sql("create table people (id integer primary key, v text)")
    nodes.billing.sql("select rowferry.attach('people', p_direction => 'receive')")
    nodes.crm.sql("insert into people values (1, 'Ada', 'Lovelace')")
    sync(*nodes)
    before = rows(nodes.billing, "select v from people")
    nodes.crm.sql(f"update people {change}")
    assert waiting(nodes.crm) == ["update people 1"]
    sync(*nodes)
    after = rows(nodes.billing, "select v from people")
    assert after != before and after == rows(nodes.crm, "select v from app.people_out")


def test_conflicts_and_unique_values_that_swap_are_as_in_any_table(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("insert into people values (1, 'Ada', 'L', 'a', 'own'), (2, 'Alan', 'T', 'b', 'own')")
    sync(*nodes)
    nodes.billing.sql(
        "update people set address = null; update people set address = case id when 1 then 'b' else 'a' end, name = name || '!'"
    )
    sync(*nodes)
    assert rows(nodes.crm, "select id, last, email, notes from people") == ["(1,L!,b,own)", "(2,T!,a,own)"]
    nodes.crm.sql("update people set last = 'of crm' where id = 1")
    nodes.billing.sql("update people set name = 'Ada of billing' where id = 1")
    sync(*nodes)
    assert rows(nodes.crm, "select first, last, notes from people where id = 1") == ['(Ada,"of billing",own)']
    assert rows(nodes.billing, "select name from people where id = 1") == ['("Ada of billing")']
    [conflict] = nodes.crm.sql("select id from rowferry.conflicts")
    nodes.crm.sql("select rowferry.let_loser_win(%s)", [conflict["id"]])
    sync(*nodes)
    assert rows(nodes.crm, "select first, last, notes from people where id = 1") == ['(Ada,"of crm",own)']
    assert rows(nodes.billing, "select name from people where id = 1") == ['("Ada of crm")']


def test_backfill_comparison_and_repair_see_what_travels(nodes: Nodes) -> None:
    nodes.crm.sql(PEOPLE)
    nodes.crm.sql("insert into people select i, 'First', 'Last' || i, null, 'own' from generate_series(1, 50) i")
    nodes.crm.sql(SHAPE)
    nodes.crm.sql(ATTACH, [COLUMNS])
    nodes.billing.sql(PLAIN)
    nodes.billing.sql("select rowferry.attach('people')")
    nodes.crm.sql("select rowferry.backfill('people')")
    sync(*nodes)
    assert len(rows(nodes.billing, THERE)) == 50
    unseen(nodes.billing, "update people set name = 'drifted' where id = 7; delete from people where id = 8", "people")
    compared(nodes, "people")
    assert differences(nodes.crm) == ["different 7", "only_here 8"]
    nodes.crm.sql("select rowferry.repair('people', p_from => 'crm', p_dry_run => false)")
    sync(*nodes)
    shaped = "select id, name, address from app.people_out"
    assert rows(nodes.crm, shaped) == rows(nodes.billing, THERE)
    assert found(compared(nodes, "people")) == {"same": 50, "different": 0, "only_here": 0, "only_there": 0, "pending": 0}


def test_what_the_function_makes_of_a_row_goes_back_to_the_peer(nodes: Nodes) -> None:
    install(nodes)
    nodes.billing.sql("insert into people values (1, 'Ada  Lovelace ', 'ADA@example.com')")
    sync(*nodes)
    assert rows(nodes.crm, "select first, email from people") == ["(Ada,ADA@example.com)"]
    assert rows(nodes.billing, "select address from people") == ["(ada@example.com)"]
    assert [waiting(node) for node in nodes] == [[], []]


@pytest.mark.parametrize(
    "body",
    [
        "select r.id, r.name, '-' from unnest(p_rows) r where r.id <> 2",
        "select r.id + 10 * (r.id = 2)::integer, r.name, '-' from unnest(p_rows) r",
        "select r.id, r.name, '-' from unnest(p_rows) r cross join generate_series(1, 1 + (r.id = 2)::integer)",
        "select nullif(r.id, 2), r.name, '-' from unnest(p_rows) r",
    ],
    ids=["left out", "another", "twice", "null"],
)
def test_a_record_that_the_function_does_not_return_once_is_held_and_nothing_is_lost(nodes: Nodes, body: str) -> None:
    install(nodes)
    nodes.crm.sql("drop function app.people_in")
    nodes.crm.sql(f"""create function app.people_in(p_rows app.people_out[]) returns table (id integer, first text, last text)
        language sql as $$ {body} $$""")
    nodes.crm.sql("select rowferry.attach('people')")
    nodes.billing.sql("insert into people values (1, 'Ada', null), (2, 'Alan', null), (3, 'Grace', null)")
    sync(*nodes)
    assert rows(nodes.crm, "select id from people") == ["(1)", "(3)"]
    assert rows(nodes.billing, "select id from people") == ["(1)", "(2)", "(3)"]
    assert waiting(nodes.billing) == ["insert people 2 RF029"]


def test_a_filter_looks_at_columns_of_the_table_beside_a_view(nodes: Nodes) -> None:
    nodes.crm.sql(PEOPLE)
    nodes.crm.sql(SHAPE)
    nodes.crm.sql(ATTACH.replace("people',", "people', p_filter => 'notes = ''out''',", 1), [COLUMNS])
    nodes.billing.sql(PLAIN)
    nodes.billing.sql("select rowferry.attach('people')")
    nodes.crm.sql(
        "insert into people values (1, 'Ada', 'L', null, 'out'), (2, 'Alan', 'T', null, 'in'), (3, 'Grace', 'H', null, 'out')"
    )
    sync(*nodes)
    assert rows(nodes.billing, "select id from people") == ["(1)", "(3)"]
    nodes.crm.sql("update people set notes = case id when 1 then 'in' else 'out' end where id < 3")
    sync(*nodes)
    assert rows(nodes.billing, "select id from people") == ["(2)", "(3)"]
    nodes.billing.sql("insert into people values (1, 'back', null)")
    nodes.billing.sql("update people set name = 'Alan of billing' where id = 2")
    sync(*nodes)
    assert waiting(nodes.billing) == ["insert people 1 23514"]
    assert rows(nodes.crm, "select id, first, last, notes from people where id < 3") == [
        "(1,Ada,L,in)",
        '(2,Alan,"of billing",out)',
    ]
    nodes.billing.sql("delete from people where id = 1")
    nodes.crm.sql("select rowferry.backfill('people')")
    assert found(compared(nodes, "people")) == {"same": 2, "different": 0, "only_here": 0, "only_there": 0, "pending": 0}


def test_a_function_without_a_view_gets_rows_of_the_table(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table codes (id integer primary key, code varchar(5), own text)")
    nodes.crm.sql("create schema app")
    nodes.crm.sql("""create function app.codes_in(p_rows codes[]) returns table (code varchar, id integer)
        language sql as 'select upper(trim(r.code)), r.id from unnest(p_rows) r'""")
    nodes.crm.sql("select rowferry.attach('codes', p_columns => '[\"id\", \"code\"]', p_inbound => 'app.codes_in')")
    nodes.billing.sql("select rowferry.attach('codes', p_columns => '[\"id\", \"code\"]')")
    nodes.billing.sql("insert into codes values (1, ' ab', 'of billing')")
    sync(*nodes)
    for node in nodes:
        assert rows(node, "select id, code from codes") == ["(1,AB)"]
        assert waiting(node) == []


def test_a_handler_and_a_merge_function_get_rows_of_the_view(nodes: Nodes) -> None:
    nodes.crm.sql(PEOPLE)
    nodes.crm.sql(SHAPE)
    nodes.crm.sql("""create function app.apply(p_rows app.people_out[]) returns void language sql as
        'insert into people select r.id, split_part(r.name, '' '', 1), substr(r.name, strpos(r.name, '' '') + 1), r.address
         from unnest(p_rows) r on conflict (id) do update set first = excluded.first, last = excluded.last'""")
    nodes.billing.sql(PLAIN)
    for node, shape in ((nodes.crm, "app.people_out"), (nodes.billing, "people")):
        node.sql("create schema if not exists app")
        node.sql(f"""create function app.merge(mine {shape}, theirs {shape}) returns {shape} language plpgsql as $$
            begin mine.name := concat_ws('+', mine.name, theirs.name); return mine; end $$""")
    rule = "p_conflict_rule => 'merge:app.merge'"
    nodes.crm.sql(
        f"select rowferry.attach('people', p_columns => %s, p_outbound => 'app.people_out', p_on_apply => 'app.apply', {rule})",
        [COLUMNS],
    )
    nodes.billing.sql(f"select rowferry.attach('people', {rule})")
    nodes.crm.sql("insert into people values (1, 'Ada', 'L')")
    sync(*nodes)
    nodes.crm.sql("update people set last = 'crm'")
    nodes.billing.sql("update people set name = 'Ada billing'")
    sync(*nodes)
    [name] = rows(nodes.billing, "select name from people")
    assert "+" in name and "crm" in name and "billing" in name
    assert rows(nodes.crm, "select first || ' ' || last as name from people") == [name]


def test_a_sending_node_needs_the_view_alone(nodes: Nodes) -> None:
    nodes.crm.sql(PEOPLE)
    nodes.crm.sql(SHAPE)
    nodes.crm.sql(
        "select rowferry.attach('people', p_columns => %s, p_outbound => 'app.people_out', p_direction => 'send')", [COLUMNS]
    )
    nodes.billing.sql(PLAIN)
    nodes.billing.sql("select rowferry.attach('people', p_direction => 'receive')")
    nodes.crm.sql("insert into people values (1, 'Ada', 'L')")
    sync(*nodes)
    nodes.billing.sql("delete from people")
    compared(nodes, "people")
    nodes.crm.sql("select rowferry.repair('people', p_from => 'crm', p_dry_run => false)")
    sync(*nodes)
    assert rows(nodes.billing, THERE) == ['(1,"Ada L",)']
    assert nodes.crm.sql(PROBLEMS) == []


def test_an_expression_may_travel_under_the_name_of_a_column(nodes: Nodes) -> None:
    nodes.crm.sql(PEOPLE)
    nodes.crm.sql(SHAPE)
    nodes.crm.sql(
        "select rowferry.attach('people', p_columns => %s, p_outbound => 'app.people_out', p_direction => 'send')",
        ['{"id": "id", "email": "address"}'],
    )
    nodes.billing.sql("create table people (id integer primary key, email text)")
    nodes.billing.sql("select rowferry.attach('people', p_direction => 'receive')")
    nodes.crm.sql("insert into people values (1, 'Ada', 'L', 'ADA@example.com')")
    sync(*nodes)
    assert rows(nodes.billing, "select * from people") == ["(1,ada@example.com)"]


def test_a_key_of_two_columns_in_another_order(nodes: Nodes) -> None:
    nodes.crm.sql('create table items ("z key" numeric, a text, v integer, primary key ("z key", a))')
    nodes.crm.sql('create schema app; create view app.items_out as select v * 2 as double, a, "z key" from items')
    nodes.crm.sql("""create function app.items_in(p_rows app.items_out[]) returns setof items language sql as
        'select r."z key", r.a, r.double / 2 from unnest(p_rows) r'""")
    nodes.crm.sql(
        'select rowferry.attach(\'items\', p_columns => \'{"a": "z key", "b": "a", "c": "double"}\', '
        "p_outbound => 'app.items_out', p_inbound => 'app.items_in')"
    )
    nodes.billing.sql("create table items (a numeric, b text, c integer, primary key (a, b))")
    nodes.billing.sql("select rowferry.attach('items')")
    nodes.crm.sql("insert into items values (1.50, 'x', 1), (2, 'y', 2)")
    nodes.billing.sql("insert into items values (3.00, 'z', 6)")
    sync(*nodes)
    nodes.billing.sql("update items set c = 8 where a = 1.5; delete from items where a = 2")
    sync(*nodes)
    assert rows(nodes.crm, "select * from items") == ["(1.50,x,4)", "(3.00,z,3)"]
    assert rows(nodes.billing, "select * from items") == ["(1.50,x,8)", "(3.00,z,6)"]


def test_names_that_need_quotes(nodes: Nodes) -> None:
    nodes.crm.sql('create table "T.%s" (id integer primary key, "va$1" text)')
    nodes.crm.sql('create schema "A ""b"')
    nodes.crm.sql('create view "A ""b"."v\'%s" as select id, upper("va$1") as "up%I" from "T.%s"')
    nodes.crm.sql("""create function "A ""b"."in'%L"(p_rows "A ""b"."v'%s"[]) returns table (id integer, "va$1" text)
        language sql as 'select r.id, lower(r."up%I") from unnest(p_rows) r'""")
    nodes.crm.sql(
        "select rowferry.attach('\"T.%%s\"', 't', p_outbound => %s, p_inbound => %s)",
        ['"A ""b"."v\'%s"', '"A ""b"."in\'%L"'],
    )
    nodes.billing.sql('create table t (id integer primary key, "up%I" text)')
    nodes.billing.sql("select rowferry.attach('t')")
    nodes.crm.sql("insert into \"T.%s\" values (1, 'a')")
    nodes.billing.sql("insert into t values (2, 'B')")
    sync(*nodes)
    assert rows(nodes.crm, 'select * from "T.%s"') == ["(1,a)", "(2,b)"]
    assert rows(nodes.billing, "select * from t") == ["(1,A)", "(2,B)"]


@pytest.mark.parametrize("seed", range(5))
def test_whatever_both_sides_do_they_end_equal(nodes: Nodes, seed: int) -> None:
    install(nodes)
    draw = random.Random(seed)
    for _ in range(40):
        node = draw.choice([nodes.crm, nodes.billing])
        key, word = draw.randrange(8), f"w{draw.randrange(100)}"
        here = node is nodes.crm
        columns, values = ("id, first, last", f"{key}, 'F', '{word}'") if here else ("id, name", f"{key}, 'F {word}'")
        changed = f"last = '{word}'" if here else f"name = 'G {word}'"
        node.sql(
            draw.choice(
                [
                    f"insert into people ({columns}) values ({values}) on conflict (id) do update set {changed}",
                    f"update people set {changed} where id = {key}",
                    f"update people set id = {key + 8} where id = {key} and not exists (select from people where id = {key + 8})",
                    f"delete from people where id = {key}",
                ]
            )
        )
        if draw.random() < 0.3:
            sync(*nodes)
    sync(*nodes)
    assert rows(nodes.crm, "select id, name, address from app.people_out") == rows(nodes.billing, THERE)
    assert [waiting(node) for node in nodes] == [[], []]
