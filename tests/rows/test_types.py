"""What is stored on one node is stored on the other, byte for byte, whatever its type and the settings of either side."""

from datetime import UTC
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from harness import Node, Nodes
from harness.exchange import rows, sync, waiting
from harness.values import HOSTILE, KEYS, OWN_TYPES, TEXTS, TYPES, arrive_in_parts


def supported(node: Node) -> dict[str, list[str]]:
    """TYPES without those that this server was built without (xml), or does not know yet."""
    left = dict(TYPES)
    try:
        node.sql("select '<a/>'::xml")
    except psycopg.errors.FeatureNotSupported:
        left = {kind: values for kind, values in left.items() if not kind.startswith("xml")}
    if node.sql("select current_setting('server_version_num')::int >= 170000 as yes")[0]["yes"]:
        left["interval"] = [*left["interval"], "'infinity'", "'-infinity'"]
    return left


def table_of(node: Node, types: dict[str, list[str]]) -> None:
    columns = ", ".join(f"c{number} {kind}" for number, kind in enumerate(types))
    node.sql(f"{OWN_TYPES} create table kinds (id text primary key, {columns}); select rowferry.attach('kinds')")


def fill(node: Node, types: dict[str, list[str]], prefix: str) -> None:
    """One row per value of each type, and one of nulls, as the database is set; the literals are read in usual settings."""
    statements = [f"insert into kinds (id) values ('{prefix} null')"]
    for column, values in enumerate(types.values()):
        for number, value in enumerate(values):
            statements.append(f"insert into kinds (id, c{column}) values ('{prefix} {column} {number}', {value})")
    node.sql(
        "set datestyle = 'ISO, YMD'; set timezone = 'UTC'; set intervalstyle = 'postgres'; set array_nulls = on;"
        " set xmloption = content;"
        f"set search_path = public; {'; '.join(statements)}"
    )


@pytest.mark.case(53, 54)
@pytest.mark.parametrize("hostile", [False, True], ids=["usual settings", "hostile settings"])
def test_every_built_in_type_arrives_as_it_was(nodes: Nodes, hostile: bool) -> None:
    types = supported(nodes.crm)
    for node in nodes:
        table_of(node, types)
        for name, value in (HOSTILE[node.name] if hostile else {}).items():
            node.sql(f"alter database {node.database} set {name} = {value}")
    fill(nodes.crm, types, "crm")
    fill(nodes.billing, types, "billing")
    stored = arrive_in_parts(nodes, "crm null")
    assert len(stored) == 2 * (1 + sum(len(values) for values in types.values()))
    for node in nodes:  # once more, over rows that are there, and back
        node.sql("update public.kinds set id = id || ' again' where id like %s", [f"{node.name} %"])
    sync(*nodes)
    assert rows(nodes.crm, "select * from public.kinds") == rows(nodes.billing, "select * from public.kinds")
    assert sorted(row.replace(" again", "") for row in rows(nodes.crm, "select * from public.kinds")) == stored


@pytest.mark.case(53)
def test_a_change_that_only_the_bytes_show_arrives(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create extension citext; create extension hstore")
        node.sql(
            """create table items (id int primary key, n numeric, j json, c citext, f float8, a int[], p point,
               d numeric unique, k bpchar unique);
               create table spelled (n numeric, k bpchar, primary key (n, k));
               create function noop() returns trigger language plpgsql as
                 $$ begin return new; end $$; create trigger noop before update on items for each row execute function noop();
               select rowferry.attach('items'), rowferry.attach('spelled')"""
        )
    nodes.crm.sql(
        """insert into items values (1, 1.0, '{"a":1}', 'abc', 0, '{1}', '(0,0)', 1.0, 'a');
           insert into spelled values (1.0, 'a')"""
    )
    sync(*nodes)
    for change in (
        "n = 1.00",
        """j = '{"a": 1}'""",
        "c = 'ABC'",
        "f = '-0'",
        "a = '[0:0]={1}'",
        "p = '(-0,0)'",
        "d = 1.00",
        "k = 'a '",
    ):
        nodes.crm.sql(f"update items set {change}")
        sync(*nodes)
        assert rows(nodes.crm, "select * from items") == rows(nodes.billing, "select * from items"), change
    nodes.billing.sql("update spelled set n = 1.00; update spelled set k = 'a '")
    sync(*nodes)
    assert rows(nodes.crm, "select * from spelled") == rows(nodes.billing, "select * from spelled") == ['(1.00,"a ")']
    assert waiting(nodes.crm) == waiting(nodes.billing) == []


@pytest.mark.case(30, 54)
@pytest.mark.parametrize("deferrable", ["", "deferrable"])
def test_a_key_of_any_accepted_type_works_both_ways(nodes: Nodes, deferrable: str) -> None:
    for node in nodes:
        node.sql(OWN_TYPES)
        for number, kind in enumerate([*KEYS, "text"]):
            node.sql(
                f"create table t{number} (id {kind}, n int, v text, primary key (id, n) {deferrable});"
                f" select rowferry.attach('t{number}')"
            )
            node.sql(f"create table s{number} (id {kind} primary key {deferrable}, v text); select rowferry.attach('s{number}')")
        for name, value in HOSTILE[node.name].items():
            node.sql(f"alter database {node.database} set {name} = {value}")
    values = [[value] for value in KEYS.values()] + [TEXTS]

    def both(statement: str, node: Node) -> None:
        script = ["set datestyle = 'ISO, YMD'; set timezone = 'UTC'; set search_path = public"]
        for number, several in enumerate(values):
            for value in several:
                script += [
                    statement.format(table=f"t{number}", value=f"{value}, 1"),
                    statement.format(table=f"s{number}", value=value),
                ]
        node.sql("; ".join(script))

    def equal() -> None:
        sync(*nodes)
        assert waiting(nodes.crm) == waiting(nodes.billing) == []
        for number in range(len(values)):
            for table in (f"t{number}", f"s{number}"):
                assert rows(nodes.crm, f"select * from public.{table}") == rows(nodes.billing, f"select * from public.{table}")

    both("insert into {table} values ({value}, 'new')", nodes.crm)
    equal()
    assert len(rows(nodes.billing, "select * from public.s0")) == 1
    both("update {table} set v = 'changed'", nodes.billing)
    equal()
    both("select rowferry.backfill('{table}')", nodes.crm)
    equal()
    both("delete from {table}", nodes.crm)
    equal()
    assert rows(nodes.billing, "select * from public.s0") == []


@pytest.mark.case(57)
def test_a_value_that_does_not_fit_is_refused_and_no_other_with_it(nodes: Nodes) -> None:
    nodes.crm.sql(
        "create table items (id int primary key, v text, n numeric, a text[], t timestamp); select rowferry.attach('items')"
    )
    nodes.billing.sql(
        "create table items (id int primary key, v varchar(3), n numeric(4, 1), a varchar(2)[], t timestamp(0));"
        " select rowferry.attach('items')"
    )
    nodes.crm.sql(
        """insert into items values (1, 'abc', 1, '{ab}', '2026-02-01 00:00:01'), (2, 'abcd', null, null, null), (3,
           null, 1.25, null, null),
             (4, null, null, '{abc}', null), (5, null, null, null, '2026-02-01 00:00:00.5'), (6, 'abc   ', null, null, null)"""
    )
    sync(*nodes)
    assert rows(nodes.billing, "select id from items") == ["(1)"]
    assert waiting(nodes.crm) == [f"insert items {number} 22003" for number in (2, 3, 4, 5, 6)]


@pytest.mark.parametrize(
    "extension, kind, values",
    [
        ("hstore", "hstore", ['\'a=>1, "b "=>NULL, ""=>"x,\\"y\\\\"\'', "''"]),
        ("citext", "citext", ["'AbC'", "''", "'NULL'"]),
        ("ltree", "ltree", ["'Top.Science.A_b'", "''"]),
        ("cube", "cube", ["'(1.1,2,-0),(3,4,5)'"]),
        ("isn", "isbn13", ["'978-0-393-04002-9'"]),
        ("seg", "seg", ["'1.50 .. 2.0'", "'~1.5'"]),
        ("intarray", "query_int", ["'1&(2|!3)'"]),
        ("vector", "vector(3)", ["'[1,2.5,-0]'"]),
        ("postgis", "geometry(point, 4326)", ["'SRID=4326;POINT(1 2.5)'"]),
    ],
)
def test_types_of_extensions_arrive_as_they_were(nodes: Nodes, extension: str, kind: str, values: list[str]) -> None:
    for node in nodes:
        if not node.sql("select 1 from pg_available_extensions where name = %s", [extension]):
            pytest.skip(f"the server of {node.name} has no extension {extension}")
        schema = "public" if node is nodes.crm else "extensions"
        node.sql(
            f"create schema extensions; create extension {extension} schema {schema}; set search_path = public, extensions;"
            f"create table kinds (id int primary key, v {kind}, vs {kind}[], u {kind} ); select rowferry.attach('kinds')"
        )
    for number, value in enumerate(values):
        nodes.crm.sql(f"insert into kinds values ({number}, {value}, array[{value}, null]::{kind}[])")
    sync(*nodes)
    assert waiting(nodes.crm) == []
    assert rows(nodes.crm, "select * from kinds") == rows(nodes.billing, "select * from public.kinds")
    nodes.billing.sql("update kinds set v = null, u = v")
    sync(*nodes)
    assert waiting(nodes.billing) == []
    assert rows(nodes.crm, "select * from kinds") == rows(nodes.billing, "select * from kinds")


PLAIN_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
NUMERICS = st.one_of(
    st.decimals(allow_nan=False, allow_infinity=False).filter(lambda value: abs(value.adjusted()) < 300),
    st.integers(-(10**80), 10**80).map(Decimal),
    st.just(Decimal("NaN")),
)
MOMENTS_AT = st.datetimes(timezones=st.just(UTC))


def element(value: str | None) -> str:
    """An element of an array's literal."""
    return "NULL" if value is None else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@st.composite
def arrays(draw: st.DrawFn) -> str:
    """Literal of a text[] of one or two dimensions, with nulls and any lower bounds."""
    inner, outer = draw(st.integers(1, 3)), draw(st.integers(0, 3))
    values = [[element(draw(st.none() | PLAIN_TEXT)) for _ in range(inner)] for _ in range(outer or 1)]
    low = [draw(st.integers(-5, 5)) for _ in range(2)]
    lists = ["{" + ",".join(line) + "}" for line in values]
    if not outer:
        return f"[{low[0]}:{low[0] + inner - 1}]={lists[0]}"
    return f"[{low[0]}:{low[0] + outer - 1}][{low[1]}:{low[1] + inner - 1}]={{{','.join(lists)}}}"


@st.composite
def ranges(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> str:
    """Literal of a range, bounds open, closed or missing."""
    low, high = sorted([draw(values), draw(values)])
    bounds = draw(st.sampled_from(["[]", "[)", "(]", "()"]))
    shown = [draw(st.sampled_from(["", str(low)])), draw(st.sampled_from(["", str(high)]))]
    return bounds[0] + ",".join(f'"{value}"' if value else "" for value in shown) + bounds[1]


RECORDS = st.tuples(
    PLAIN_TEXT, NUMERICS, arrays(), ranges(st.integers(-(2**40), 2**40)), ranges(MOMENTS_AT), st.floats(), st.binary(max_size=50)
)


@pytest.mark.case(53, 54)
def test_whatever_value_is_drawn_arrives_as_it_was(nodes: Nodes) -> None:
    columns = "t text, n numeric, a text[], r int8range, m tstzrange, f float8, b bytea"
    for node in nodes:
        node.sql(f"create table drawn (id int primary key, {columns}); select rowferry.attach('drawn')")
        for name, value in HOSTILE[node.name].items():
            node.sql(f"alter database {node.database} set {name} = {value}")
    connections = [psycopg.connect(node.conninfo, autocommit=True) for node in nodes]
    for connection in connections:
        connection.execute("set array_nulls = on; set search_path = public; set datestyle = 'ISO, YMD'")

    @settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.reuse, Phase.generate])
    @given(st.lists(RECORDS, min_size=1, max_size=30))
    def arrive(records: list[tuple[Any, ...]]) -> None:
        connections[0].execute("delete from drawn")
        with connections[0].cursor() as cursor:
            query = "insert into drawn values (%s, %s, %s::numeric, %s::text[], %s::int8range, %s::tstzrange, %s, %s)"
            cursor.executemany(query, [(number, *record) for number, record in enumerate(records)])
        sync(*nodes)
        assert waiting(nodes.crm) == []
        assert rows(nodes.crm, "select * from public.drawn") == rows(nodes.billing, "select * from public.drawn")
        stored = connections[1].execute("select t, b from drawn order by id").fetchall()
        assert stored == [(record[0], record[6]) for record in records]

    arrive()
    for connection in connections:
        connection.close()
