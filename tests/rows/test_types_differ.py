"""A column has another type on the other node: a value arrives if it reads back as it was sent, or is held with both types.

Never does a value that one node has altered come back and overwrite the exact one.
"""

import psycopg
import pytest

from harness import Node, Nodes
from harness.exchange import rows, sync, waiting
from harness.roles import role

# Of crm and of billing, then values that arrive as they are and values that do not, each way.
PAIRS: dict[str, tuple[str, str, list[str], list[str], list[str], list[str]]] = {
    "float8 and real": ("float8", "real", ["0.5", "'-0'", "'NaN'"], ["0.1234567890123", "1e300"], ["0.25"], []),
    "numeric and float8": ("numeric", "float8", ["0.5", "10.00"], ["12345678901234567890.123456789"], ["2"], ["'-0'"]),
    "numeric and integer": ("numeric", "int", ["7"], ["0.5", "10.00"], ["8"], []),
    "numeric and real": ("numeric(10,2)", "real", ["0.50"], ["1234567.89"], ["1.5"], ["0.125"]),
    "numeric and money": ("numeric", "money", [], ["1.005", "5"], [], ["5"]),
    "scale": ("numeric", "numeric(6,2)", ["1.5", "1.50"], ["1.505"], ["2.25"], []),
    "bigint and float8": ("bigint", "float8", ["5"], ["9007199254740993", "1000000000000000"], ["6"], ["0.5"]),
    "integer and real": ("int", "real", ["5"], ["16777217"], ["6"], ["0.5"]),
    "timestamptz and date": ("timestamptz", "date", ["'2026-05-05 00:00+00'"], ["'2026-05-05 17:30+00'"], ["'2026-06-06'"], []),
    "timestamp and date": ("timestamp", "date", ["'2026-05-05 00:00'"], ["'2026-05-05 17:30'"], ["'2026-06-06'"], []),
    "timestamp and timestamptz": ("timestamp", "timestamptz", ["'2026-05-05 17:30'"], [], ["'2026-06-06 01:00+00'"], []),
    "timestamp and time": ("timestamp", "time", [], ["'2026-05-05 17:30'"], [], ["'01:00'"]),
    "fractions of a second": (
        "timestamp",
        "timestamp(0)",
        ["'2026-05-05 17:30'"],
        ["'2026-05-05 17:30:00.5'"],
        ["'infinity'"],
        [],
    ),
    "interval": ("interval", "interval day to second (1)", ["'1 day 00:00:01.5'"], ["'00:00:00.55'"], ["'1 day'"], []),
    "interval fields": ("interval", "interval year to month", ["'2 years'"], ["'2 years 3 days'"], ["'1 mon'"], []),
    "json and jsonb": (
        "json",
        "jsonb",
        ["""'{"a": 1}'"""],
        ["""'{"b": 1, "b": 2}'""", "'{\"a\":1}'"],
        ["""'{"b": [1.50]}'"""],
        [],
    ),
    "text and name": ("text", "name", ["'short'"], ["repeat('x', 70)"], ["'n'"], []),
    "text and char": ("text", "char(3)", ["'abc'", "'a  '"], ["'ab'", "'abcd'", "'abcd  '"], ["'z'"], []),
    "lengths of char": ("char(5)", "char(3)", ["'abc'"], ["'abcd'"], ["'z'"], []),
    '"char"': ("text", '"char"', ["'a'"], ["'ab'"], ["'b'"], []),
    "trailing blanks": ("varchar", "varchar(3)", ["'abc'"], ["'abc '", "'abcd'"], ["'z'"], []),
    "boolean": ("text", "boolean", ["'t'"], ["'true'", "'yes'"], ["false"], []),
    "uuid": (
        "text",
        "uuid",
        ["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"],
        ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "'x'"],
        [],
        [],
    ),
    "bits": ("varbit", "bit(3)", ["B'101'"], ["B'10'", "B'10110'"], ["B'011'"], []),
    "lengths of bits": ("varbit", "varbit(3)", ["B'101'"], ["B'10110'"], ["B'0'"], []),
    "cidr": ("inet", "cidr", ["'10.0.0.1'", "'10.0.0.0/8'"], ["'10.0.0.1/8'"], ["'10.1.0.0/16'"], []),
    "tsvector": ("text", "tsvector", ["'''a'' ''b'''"], ["'b a'"], ["'x'"], []),
    "enum and text": ("mood", "text", ["'ok'"], [], ["'sad'"], ["'glad'"]),
    "enum and name": ("mood", "name", ["'ok'"], [], ["'sad'"], ["'glad'"]),
    "fewer labels": ("mood", "less", ["'ok'"], ["'sad'"], ["'ok'"], []),
    "arrays of float8 and real": ("float8[]", "real[]", ["'{0.5,null}'", "'[0:0]={1}'"], ["'{0.1234567890123}'"], ["'{2}'"], []),
    "arrays of numeric": ("numeric[]", "numeric(6,2)[]", ["'{1.5,null}'"], ["'{1.505}'"], ["'{2}'"], []),
    "arrays of text and name": ("text[]", "name[]", ["'{a,b}'"], ["array[repeat('x', 70)]"], ["'{z}'"], []),
    "arrays of char": ("char(5)[]", "char(3)[]", ["'{abc}'"], ["'{abcd}'"], ["'{z}'"], []),
    "arrays of enums": ("mood[]", "less[]", ["'{ok}'"], ["'{sad}'"], ["'{ok}'"], []),
    "array and text": ("int[]", "text", ["'{1,2}'"], [], ["'{3}'"], ["'{ 3 }'", "'x'"]),
    "domains of other bases": ("exact", "rough", ["0.5"], ["0.1234567890123"], ["0.25"], []),
    "ranges": ("numrange", "int4range", ["'[1,5)'"], ["'[1,5]'", "'[1.5,2)'"], ["'[7,9)'"], []),
    "own range": ("floats", "reals", ["'[0.5,1)'"], ["'[0.1234567890123,1)'"], ["'[2,3)'"], []),
    "same attributes": ("place", "place", ["row('a', 'b')"], [], ["row('c', null)"], []),
    "order of attributes": ("place", "ecalp", ["null"], ["row('a', 'b')"], [], ["row('a', 'b')"]),
    "names of attributes": ("place", "named", [], ["row('a', 'b')"], [], ["row('a', 'b')"]),
    "types of attributes": ("place", "typed", [], ["row('a', 'b')"], [], ["row('a', 'b')"]),
    "arrays of composite types": ("place[]", "ecalp[]", [], ["array[row('a', 'b')::place]"], [], ["array[row('a', 'b')::ecalp]"]),
    "attributes of attributes": ("home", "ohme", [], ["row(row('a', 'b'))"], [], ["row(row('a', 'b'))"]),
    "domains of composite types": ("place_of", "ecalp_of", [], ["row('a', 'b')"], [], ["row('a', 'b')"]),
}
OWN = """create type mood as enum ('sad', 'ok'); create type less as enum ('ok'); create domain exact as float8;
    create domain rough as real; create type floats as range (subtype = float8); create type reals as range (subtype = real);
    create type place as (street text, city text); create type ecalp as (city text, street text);
    create type named as (street text, town text); create type typed as (street text, city varchar(9));
    create type home as (p place); create type ohme as (p ecalp); 
    create domain place_of as place; create domain ecalp_of as ecalp"""


def attach(nodes: Nodes, crm: str, billing: str) -> None:
    """Table notes on both nodes, of a plain owner, with a column v of these types."""
    for node, kind in zip(nodes, (crm, billing), strict=True):
        owner = role(node)
        node.sql(f"grant create on schema public to {owner}; set role {owner}; {OWN}; create table notes (id text primary key,"
                 f" v {kind}, note text); reset role; select rowferry.attach('notes')")  # fmt: skip


def fill(node: Node, prefix: str, values: list[str]) -> None:
    for number, value in enumerate(values):
        node.sql(f"insert into notes values ('{prefix} {number}', {value})")


def values_of(node: Node, condition: str = "true") -> list[str]:
    return rows(node, f"select id, v from notes where {condition}")


@pytest.mark.case(129)
@pytest.mark.case(53, 57)
@pytest.mark.parametrize("pair", PAIRS)
def test_a_value_arrives_and_never_comes_back_altered_or_is_held_with_both_types(nodes: Nodes, pair: str) -> None:
    crm, billing, there, held_there, back, held_back = PAIRS[pair]
    attach(nodes, crm, billing)
    fill(nodes.crm, "crm good", there)
    fill(nodes.crm, "crm held", held_there)
    fill(nodes.billing, "billing good", back)
    fill(nodes.billing, "billing held", held_back)
    sent = {node.name: values_of(node) for node in nodes}
    sync(*nodes)
    for node, other, held in ((nodes.crm, nodes.billing, held_there), (nodes.billing, nodes.crm, held_back)):
        waits = [row.rpartition(" ")[0] for row in waiting(node)]
        assert waits == [f"insert notes {node.name} held {number}" for number in range(len(held))]
        assert values_of(other, f"id like '{node.name} held%'") == []
        assert len(values_of(other, f"id like '{node.name} good%'")) == len(there if node is nodes.crm else back)
        if "label" not in pair and pair != "arrays of enums":
            hints = node.sql("select hint, last_error from rowferry.sync_events")
            assert all(" here and " in row["hint"] and "rowferry.attach" in row["hint"] for row in hints), hints
    # What arrived was read as it was; a change beside it sends it back, and the first node's value stays.
    for node, other in ((nodes.crm, nodes.billing), (nodes.billing, nodes.crm)):
        other.sql(f"update notes set note = 'changed' where id like '{node.name} good%'")
    sync(*nodes)
    for node in nodes:
        assert rows(node, f"select id from notes where note = 'changed' and id like '{node.name}%'") == rows(
            node, f"select id from notes where id like '{node.name} good%'"
        )
        same = values_of(node, f"id like '{node.name}%'")
        before = [row for row in sent[node.name] if row.startswith((f'("{node.name} good', f'("{node.name} held'))]
        if pair in ("scale", "numeric and float8", "numeric and real", "arrays of numeric"):
            query = f"select id, v::numeric from notes where id like '{node.name}%'".replace(
                "v::numeric", "v" if "arrays" in pair else "trim_scale(v::numeric)"
            )
            assert len(rows(node, query)) == len(before)  # equal as numbers: below
        else:
            assert same == before


@pytest.mark.case(53, 57)
def test_numbers_of_another_scale_come_back_equal_as_numbers(nodes: Nodes) -> None:
    attach(nodes, "numeric", "float8")
    nodes.crm.sql("insert into notes values (1, 10.00), (2, 0.10)")
    sync(*nodes)
    nodes.billing.sql("update notes set note = 'changed'")
    sync(*nodes)
    assert nodes.crm.sql("select id from notes where note = 'changed' and v = (array[10, 0.1])[id::int]") == [
        {"id": "1"},
        {"id": "2"},
    ]
    assert waiting(nodes.crm) == waiting(nodes.billing) == []


@pytest.mark.case(53, 57)
def test_the_hint_names_the_column_with_both_types_and_its_commands_end_the_wait(nodes: Nodes) -> None:
    attach(nodes, "float8", "real")
    nodes.crm.sql("insert into notes values (1, 0.1234567890123), (2, 0.5)")
    sync(*nodes)
    [held] = nodes.crm.sql("select sqlstate, last_error, hint from rowferry.sync_events")
    assert held["sqlstate"] == "22003"
    assert held["last_error"] == "a value does not fit its column on the other node without loss Column v."
    assert held["hint"].startswith("Column v is double precision here and real there.")
    nodes.billing.sql(held["hint"].partition("Give it one type: ")[2].partition(" then here")[0])
    nodes.crm.sql("select rowferry.retry(id) from rowferry.sync_events")
    sync(*nodes)
    assert values_of(nodes.crm) == values_of(nodes.billing) == ["(1,0.1234567890123)", "(2,0.5)"]
    assert waiting(nodes.crm) == []


@pytest.mark.case(53, 57)
def test_of_thousands_of_rows_those_that_do_not_read_back_are_held_and_all_others_go_at_once(nodes: Nodes) -> None:
    attach(nodes, "float8", "real")
    nodes.crm.sql("insert into notes select g, case when g % 3 = 0 then 1.0 / g / 7 else g end from generate_series(1, 3000) g")
    assert sync(*nodes) < 12
    assert rows(nodes.billing, "select count(*) from notes") == ["(2000)"]
    assert rows(nodes.crm, "select count(*) from rowferry.sync_events where sqlstate = '22003'") == ["(1000)"]


@pytest.mark.case(53, 57)
def test_values_that_cannot_be_converted_are_found_among_many(nodes: Nodes) -> None:
    attach(nodes, "text", "int")
    nodes.crm.sql("insert into notes select g, case when g % 100 = 0 then 'x' else g::text end from generate_series(1, 1000) g")
    sync(*nodes)
    assert rows(nodes.billing, "select count(*) from notes") == ["(990)"]
    assert rows(nodes.crm, "select sqlstate, count(*) from rowferry.sync_events group by 1") == ["(22P02,10)"]


@pytest.mark.case(53, 57)
def test_a_change_of_one_side_only_is_held_too_and_the_exact_value_stays(nodes: Nodes) -> None:
    attach(nodes, "float8", "real")
    nodes.crm.sql("insert into notes values (1, 0.5)")
    sync(*nodes)
    nodes.crm.sql("update notes set v = 0.1234567890123")
    sync(*nodes)
    assert waiting(nodes.crm) == ["update notes 1 22003"]
    # The other node's later change of the same record wins, as of any two: it is no altered value.
    nodes.billing.sql("update notes set note = 'later'")
    sync(*nodes)
    assert values_of(nodes.crm) == values_of(nodes.billing) == ["(1,0.5)"]
    assert waiting(nodes.crm) == waiting(nodes.billing) == []
    assert rows(nodes.crm, "select loser_row ->> 'v' from rowferry.conflicts") == ["(0.1234567890123)"]


@pytest.mark.case(57)
@pytest.mark.parametrize("where", ["sender", "receiver", "both"])
def test_a_type_that_was_altered_holds_the_table_until_attach_and_alters_no_value(nodes: Nodes, where: str) -> None:
    start = {"sender": ("real", "real"), "receiver": ("float8", "float8"), "both": ("real", "real")}[where]
    attach(nodes, *start)
    for node in {"sender": [nodes.crm], "receiver": [nodes.billing], "both": list(nodes)}[where]:
        node.sql(f"alter table notes alter v type {'real' if where == 'receiver' else 'float8'}")
    nodes.crm.sql("insert into notes values (1, 0.1234567890123), (2, 0.5)")
    sync(*nodes)
    assert values_of(nodes.billing) == []
    assert waiting(nodes.crm) == ["insert notes 1 RF020", "insert notes 2 RF020"]
    for node in nodes:
        node.sql("select rowferry.attach('notes')")
    sync(*nodes)
    assert values_of(nodes.billing) == (["(1,0.1234567890123)"] if where == "both" else []) + ["(2,0.5)"]
    assert waiting(nodes.crm) == ([] if where == "both" else ["insert notes 1 22003"])


@pytest.mark.case(57)
def test_a_composite_type_that_is_altered_later_is_seen(nodes: Nodes) -> None:
    attach(nodes, "place", "place")
    nodes.crm.sql("insert into notes values (1, row('Main St', 'Zurich'))")
    sync(*nodes)
    assert values_of(nodes.billing) == ['(1,"(""Main St"",Zurich)")']
    nodes.billing.sql("alter type place rename attribute street to swap; alter type place rename attribute city to street;"
                      " alter type place rename attribute swap to city")  # fmt: skip
    nodes.crm.sql("update notes set v = row('Low St', 'Bern'); insert into notes values (2, null)")
    sync(*nodes)
    assert waiting(nodes.crm) == ["update notes 1 RF020", "insert notes 2 RF020"]
    nodes.billing.sql("select rowferry.attach('notes')")
    sync(*nodes)
    assert waiting(nodes.crm) == ["update notes 1 22003"]
    assert rows(nodes.billing, "select id, (v).city from notes") == ['(1,"Main St")', "(2,)"]
    [held] = nodes.crm.sql("select hint from rowferry.sync_events")
    assert "row(street text, city text) here and row(city text, street text) there" in held["hint"]


@pytest.mark.case(57)
@pytest.mark.parametrize("crm, billing, same", [
    ("text", "name", False), ("name", "name", True), ("text", "varchar(9)", True), ("text", "char(9)", False),
    ("text", "mood", True),
    ("bigint", "numeric", True), ("text", '"char"', False), ("timestamp", "timestamptz", False), ("timestamptz", "date", False),
    ("inet", "cidr", False), ("text", "uuid", False),
])  # fmt: skip
def test_keys_of_two_types_must_have_one_text(nodes: Nodes, crm: str, billing: str, same: bool) -> None:
    for node, kind in zip(nodes, (crm, billing), strict=True):
        node.sql(f"{OWN}; create table notes (id {kind} primary key, n int); select rowferry.attach('notes')")
    value = {"timestamp": "'2026-01-01'", "timestamptz": "'2026-01-01'", "bigint": "1", "inet": "'10.0.0.1'"}.get(crm, "'ok'")
    nodes.crm.sql(f"insert into notes values ({value}, 1)")
    sync(*nodes)
    assert rows(nodes.billing, "select count(*) from notes") == [f"({int(same)})"]
    if not same:
        assert [row.rpartition(" ")[2] for row in waiting(nodes.crm)] == ["RF020"]
        assert "the keys differ" in nodes.crm.sql("select last_error from rowferry.sync_events")[0]["last_error"]


@pytest.mark.case(57)
@pytest.mark.parametrize("crm, billing, values", [
    ("numeric", "numeric(6,2)", ["1.001", "1.002"]), ("text", "varchar(3)", ["'abc'", "'abc '"]), 
    ("timestamp", "timestamp(0)", ["'2026-01-01'", "'2026-01-01 00:00:00.4'"]),
    ("numeric", "int", ["1", "1.2"]), ("char(5)", "char(3)", ["'abc'", "'abcd'"]),
])  # fmt: skip
def test_two_keys_never_become_one_where_keys_are_narrower(nodes: Nodes, crm: str, billing: str, values: list[str]) -> None:
    for node, kind in zip(nodes, (crm, billing), strict=True):
        node.sql(f"create table notes (id {kind} primary key, n int); select rowferry.attach('notes')")
    nodes.crm.sql(f"insert into notes values ({values[0]}, 1), ({values[1]}, 2)")
    sync(*nodes)
    kept = nodes.crm.sql("select count(*) as n from notes")[0]["n"]
    stored = nodes.billing.sql("select count(*) as n from notes")[0]["n"]
    assert (kept, stored + len(waiting(nodes.crm))) == (2, 2)
    nodes.crm.sql(f"delete from notes where id = {values[1]}")
    sync(*nodes)
    assert nodes.billing.sql("select count(*) as n from notes")[0]["n"] == stored
    assert waiting(nodes.billing) == []


@pytest.mark.case(53, 57)
def test_what_differs_in_type_is_named_by_check_with_both_spellings(nodes: Nodes) -> None:
    attach(nodes, "place[]", "ecalp[]")
    sync(*nodes)
    problems = [row["problem"] for row in nodes.crm.sql("select problem from rowferry.check()")]
    said = (
        "column v is row(street text, city text)[] here and row(city text, street text)[] on billing (public.notes.v): "
        "a value that does not read back is held; billing said so at "
    )
    assert [problem for problem in problems if problem.startswith(said)]


@pytest.mark.case(37, 57)
def test_an_identity_column_that_is_no_key_and_is_set_anew_is_held_until_it_can_be_updated(nodes: Nodes) -> None:
    for node in nodes:
        owner = role(node)
        node.sql(f"grant create on schema public to {owner}; set role {owner}; create table notes (id int primary key,"
                 " seq int generated always as identity, v text); reset role; select rowferry.attach('notes')")  # fmt: skip
    nodes.crm.sql("insert into notes (id, v) values (1, 'a'), (2, 'b')")
    sync(*nodes)
    nodes.crm.sql("update notes set v = 'c' where id = 2")
    nodes.crm.sql("update notes set seq = default where id = 1")
    sync(*nodes)
    assert rows(nodes.billing, "select * from notes") == ["(1,1,a)", "(2,2,c)"]
    assert waiting(nodes.crm) == ["update notes 1 428C9"]
    [held] = nodes.crm.sql("select hint from rowferry.sync_events")
    there, _, here = held["hint"].partition(" then here: ")
    for node in nodes:
        node.sql(there)
    nodes.crm.sql("select rowferry.retry(id) from rowferry.sync_events")
    sync(*nodes)
    assert rows(nodes.crm, "select * from notes") == rows(nodes.billing, "select * from notes") == ["(1,3,a)", "(2,2,c)"]
    assert here.startswith("select rowferry.retry(")
    assert waiting(nodes.crm) == []


@pytest.mark.case(37, 57)
def test_rows_of_one_key_with_identity_values_of_each_nodes_own_do_not_differ_in_silence(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(
            "create table notes (id int primary key, seq int generated always as identity, v text);"
            " select rowferry.attach('notes')"
        )
    nodes.crm.sql("insert into notes (id, v) values (7, 'other'), (1, 'of crm')")
    nodes.billing.sql("insert into notes (id, v) values (1, 'of billing')")
    sync(*nodes)
    assert rows(nodes.crm, "select * from notes where id = 1") == ['(1,2,"of crm")']
    assert rows(nodes.billing, "select * from notes where id = 1") == ['(1,1,"of billing")']
    assert waiting(nodes.billing) == ["insert notes 1 428C9"]


def test_an_envelope_without_types_or_with_too_few_is_refused(nodes: Nodes) -> None:
    """Its digest is right: whoever may call process_batch() can make one."""
    for node in nodes:
        node.sql("create table notes (id int primary key, v text); select rowferry.attach('notes')")
    made = """select rowferry._decode(rowferry._encode('{"from": "crm", "to": "billing", "token": "1-a", "generation": 1,
        "received": 0, "identity": {},
        "retired": 0, "top": 1, "built": 1, "target_ms": 1, "acks": []}', array[row('notes', '{id,v}', '{1}',
        null, null, '{1}', '{1}',
        array[now()], null, '{"{1}","{a}"}', null, '{id,number}', '{newest,hold}', false, %s)::rowferry._section]))"""
    nodes.crm.sql(made % "'{integer,text}'")
    for types in ("null", "'{integer}'", "'{integer,null}'", "'{}'"):
        with pytest.raises(psycopg.Error) as refused, nodes.crm.connect() as connection:
            connection.execute(made % types)
        assert refused.value.sqlstate == "RF004"


@pytest.mark.case(53, 57)
def test_a_type_that_the_sender_makes_up_runs_nothing_and_ends_nothing(nodes: Nodes) -> None:
    attach(nodes, "text", "text")
    for spelled in (
        "int; drop table notes",
        "pg_temp.evil",
        "anyarray",
        "numeric(1,2,3)",
        "regclass",
        "'",
        "",
        "row(x)",
        "pg_ndistinct",
    ):
        literal = "'" + spelled.replace("'", "''") + "'"
        nodes.crm.sql(
            "create or replace function rowferry._column_types(p_entity rowferry.entities) returns text[] language sql stable"
            f" set search_path = pg_catalog, pg_temp as $$ select array['text', 'text', {literal}] $$;"
            f" update rowferry.entities set column_types = array['text', 'text', {literal}]"
        )
        nodes.crm.sql("insert into notes values (gen_random_uuid()::text, 'x')")
        sync(*nodes)
    assert rows(nodes.billing, "select count(*) > 0 from notes") == ["(t)"]
