"""Values of extensions' types arrive byte for byte, wherever each node has the extension; as keys they are refused."""

import re

import psycopg
import pytest

from harness import Node, Nodes, values
from harness.exchange import rows, sync, waiting
from harness.values import arrive_in_parts

pytestmark = pytest.mark.whole

HOSTILE = {
    "crm": {**values.HOSTILE["crm"], "search_path": "'pg_temp'"},
    "billing": {**values.HOSTILE["billing"], "search_path": "'pg_catalog'"},
}
TYPES = [
    ("hstore", "hstore", ['\'a=>1, "b "=>NULL, ""=>"x,\\"y\\\\"\'', "''", '\'"é😀"=>"{a,\\"b\\"}"\'']),
    ("citext", "citext", ["'AbC'", "''", "'NULL'", "E'a\\tb\"{,}\\\\'"]),
    ("ltree", "ltree", ["'Top.Science.A_b'", "''"]),
    ("ltree", "lquery", ["'Top.*{0,2}.sport*@.!football|tennis.Russ*|Spain'"]),
    ("cube", "cube", ["'(1.1,2,-0),(3,4,5)'", "'(0.1)'", "'(0.30000000000000004,1e-300)'"]),
    ("isn", "isbn13", ["'978-0-393-04002-9'"]),
    ("seg", "seg", ["'1.50 .. 2.0'", "'~1.5'"]),
    ("intarray", "query_int", ["'1&(2|!3)'"]),
    ("vector", "vector(3)", ["'[1,2.5,-0]'", "'[0.1,1e-30,3.4e38]'"]),
    (
        "postgis",
        "geometry",
        [
            "'SRID=4326;POINT(1 2.5)'",
            "'POINT EMPTY'",
            "'SRID=3857;POLYGON((0 0,0 0.1,1e-300 1,0 0))'",
            "'GEOMETRYCOLLECTION Z(POINT Z(1 2 3),LINESTRING Z(0 0 0,1 1 1))'",
            "'POINT M(1 2 -0)'",
        ],
    ),
    ("postgis", "geometry(point, 4326)", ["'SRID=4326;POINT(0.30000000000000004 2.5)'"]),
    ("postgis", "geography", ["'POINT(-71.06 42.28)'", "'SRID=4326;LINESTRING(0 0.1,1 1)'"]),
    ("postgis", "geography(point, 4326)", ["'POINT(-71.060316 48.432044)'"]),
    ("postgis", "box3d", ["'BOX3D(1 2 3,4 5 6.1)'"]),
]


def install(nodes: Nodes, extension: str) -> None:
    """The extension in public on crm and in a schema that nobody has in search_path on billing; skips where a server lacks it."""
    for node in nodes:
        if not node.sql("select 1 from pg_available_extensions where name = %s", [extension]):
            pytest.skip(f"the server of {node.name} has no extension {extension}")
        schema = "public" if node is nodes.crm else "elsewhere"
        node.sql(f"create schema elsewhere; create extension {extension} schema {schema}")


def fill(node: Node, kind: str, values: list[str], first: int) -> None:
    """A row for each value, alone and in an array with a null; the literals are read in usual settings."""
    statements = [
        f"insert into kinds values ({first + number}, {value}, array[{value}, null]::{kind}[], {value})"
        for number, value in enumerate(values)
    ]
    node.sql(f"set search_path = public, elsewhere; set array_nulls = on; {'; '.join(statements)}")


@pytest.mark.case(53, 54)
@pytest.mark.parametrize("hostile", [False, True], ids=["usual settings", "hostile settings"])
@pytest.mark.parametrize("extension, kind, values", TYPES, ids=[kind for _, kind, _ in TYPES])
def test_values_arrive_byte_for_byte(nodes: Nodes, extension: str, kind: str, values: list[str], hostile: bool) -> None:
    install(nodes, extension)
    for node in nodes:
        node.sql(f"set search_path = public, elsewhere; create table kinds (id int primary key, v {kind}, vs {kind}[], u {kind})")
        for name, value in (HOSTILE[node.name] if hostile else {}).items():
            node.sql(f"alter database {node.database} set {name} = {value}")
        node.sql("select rowferry.attach('public.kinds')")
    fill(nodes.crm, kind, values, 0)
    fill(nodes.billing, kind, values, 100)
    stored = arrive_in_parts(nodes, 0)
    assert len(stored) == 2 * len(values)
    # The binary form as well, where the type has one: two texts could look alike.
    output = "select typsend::oid::int as send from pg_type where oid = (select atttypid from pg_attribute where {})".format(
        "attrelid = 'public.kinds'::regclass and attname = 'v'"
    )
    if nodes.crm.sql(output)[0]["send"]:
        sent = [copied(node, "select id, v from public.kinds order by id") for node in nodes]
        assert sent[0] == sent[1]
    nodes.billing.sql("update public.kinds set v = null, vs = vs || vs, u = v")
    sync(*nodes)
    assert waiting(nodes.billing) == []
    assert rows(nodes.crm, "select * from public.kinds") == rows(nodes.billing, "select * from public.kinds")


def copied(node: Node, query: str) -> bytes:
    """What COPY writes in binary form."""
    with node.connect() as connection, connection.cursor().copy(f"copy ({query}) to stdout (format binary)") as copy:
        return b"".join(bytes(data) for data in copy)


@pytest.mark.case(30, 53)
@pytest.mark.parametrize(
    "extension, kind", [("citext", "citext"), ("hstore", "hstore"), ("ltree", "ltree"), ("postgis", "geometry")]
)
def test_a_key_of_an_extensions_type_is_refused_with_a_hint(nodes: Nodes, extension: str, kind: str) -> None:
    install(nodes, extension)
    for node in nodes:
        node.sql(f"set search_path = public, elsewhere; create table kinds (id {kind} primary key, v text)")
        with pytest.raises(psycopg.Error) as caught:
            node.sql("select rowferry.attach('public.kinds')")
        assert caught.value.sqlstate == "RF010"
        assert re.search(f"several ways(.|\n)*id (\\w+\\.)?{kind}", str(caught.value))
        assert caught.value.diag.message_hint


@pytest.mark.case(54)
def test_a_change_that_only_the_bytes_of_a_citext_show_arrives(nodes: Nodes) -> None:
    install(nodes, "citext")
    for node in nodes:
        node.sql("set search_path = public, elsewhere; create table words (id int primary key, v citext unique)")
        node.sql("select rowferry.attach('words')")
    nodes.crm.sql("insert into words values (1, 'abc')")
    sync(*nodes)
    nodes.crm.sql("update words set v = 'ABC'")
    sync(*nodes)
    assert rows(nodes.billing, "select * from words") == ["(1,ABC)"]
