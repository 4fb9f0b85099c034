"""Values of every type, keys of every type that can be one, and settings that spell them otherwise."""

from harness.exchange import rows, sync, waiting
from harness.nodes import Nodes

OWN_TYPES = """
    create type mood as enum ('so, so', 'it''s "fine"', '');
    create type pair as (a int, b text, c date);
    create type nest as (p pair, ps pair[], m mood);
    create type textrange as range (subtype = text, collation = "C");
    create domain wage as numeric(8, 2) check (value > 0);
    create domain day as date;
    create domain few as int[] check (cardinality(value) < 5);
    create domain point_of as pair;
    create domain hour as timestamptz(0);"""

NAN_F, INF_F = (
    ["'NaN'", "'Infinity'", "'-Infinity'"],
    ["'-0'", "0", "0.1", "1e-300", "1.7976931348623157e308", "4.9e-324", "0.30000000000000004"],
)
TEXTS = ["''", "'NULL'", "' '", "E'\\t\\n\\r\\x01'", "'a\"b\\c{d},e''f%s%%'", "E'\\u00e9\\U0001F600'", "repeat('long ', 3000)"]
MOMENTS = [
    "'2026-02-01 03:04:05.678901'",
    "'infinity'",
    "'-infinity'",
    "'4713-01-01 00:00:00 BC'",
    "'0044-03-15 12:00 BC'",
    "'294276-12-31 23:59:59'",
]

TYPES: dict[str, list[str]] = {
    "boolean": ["true", "false"],
    "int2": ["-32768", "32767"],
    "int4": ["-2147483648", "2147483647"],
    "int8": ["-9223372036854775808", "9223372036854775807"],
    "numeric": ["'NaN'", "0", "1.0", "1.00", "1e-130", "1e500", "-0.000001", "repeat('9', 1000)::numeric"],
    "numeric(20,5)": ["1.23", "'NaN'", "-99999.99999"],
    "float4": [*NAN_F, "'-0'", "0.1", "1e-45", "3.4028235e38"],
    "float8": [*NAN_F, *INF_F],
    "money": ["12.5", "-1234567.89", "0"],
    "text": TEXTS,
    "varchar": TEXTS,
    "varchar(5)": ["'ab  '", "'a,\"\\'"],
    "char(5)": ["'ab'", "''", "'a b c'"],
    "bpchar": ["'ab '", "'ab'"],
    '"char"': ["'x'", "''", "'\"'"],
    "name": ["'ab'", "'a,\"'"],
    "bytea": ["''", "'\\x00ff5c22'", "decode(repeat('00ff', 5000), 'hex')"],
    "date": ["'2026-02-01'", "'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'"],
    "time": ["'01:02:03.000004'", "'24:00'"],
    "time(2)": ["'01:02:03.04'"],
    "timetz": ["'01:02:03.000004+05:45'", "'24:00-12'"],
    "timestamp": MOMENTS,
    "timestamptz": MOMENTS,
    "timestamp(1)": ["'2026-02-01 03:04:05.7'"],
    "interval": [
        "'1 year -2 mons 3 days -04:05:06.000007'",
        "'-1 year -2 days'",
        "'1 mon'",
        "'30 days'",
        "'720 hours'",
        "'178000000 years'",
    ],
    "interval day to second (2)": ["'3 days 04:05:06.07'"],
    "uuid": ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"],
    "json": ['\'{"a":1,"a":  2, "\\u00e9" : null}\'', "'null'", "'1.00'", "' []'"],
    "jsonb": ['\'{"b":1.00,"a":[null,"\\\\n"]}\'', "'null'", '\'"\\""\''],
    "jsonpath": ["'$.\"a b\"[*] ? (@ > 1.5)'"],
    "bit(5)": ["B'01010'"],
    "varbit": ["B''", "B'1'", "B'0000000011'"],
    "varbit(4)": ["B'01'"],
    "inet": ["'10.0.0.1/8'", "'10.0.0.1'", "'::1'"],
    "cidr": ["'10.0.0.0/8'"],
    "macaddr": ["'08-00-2B-01-02-03'"],
    "macaddr8": ["'08-00-2B-01-02-03-04-05'"],
    "point": ["'(-0,1.1)'", "'(NaN,Infinity)'"],
    "line": ["'{1,2,3.3}'"],
    "lseg": ["'[(1,2),(3,4)]'"],
    "box": ["'(1,2),(3,4.5)'"],
    "path": ["'((1,2),(3,4))'", "'[(1,2),(3,4)]'"],
    "polygon": ["'((1,2),(3,4),(5,6))'"],
    "circle": ["'<(1,2),3>'"],
    "tsvector": ["'''it''''s'':1A,2B fat cat:3'", "''"],
    "tsquery": ["'!fat & (cat <2> rat:*AB)'"],
    "pg_lsn": ["'16/B374D848'"],
    "int4range": ["'empty'", "'[1,5)'", "'(,)'"],
    "int8range": ["'[1,)'"],
    "numrange": ["'(1.10,2.00]'"],
    "daterange": ["'[2026-02-01,infinity)'", "'[4713-01-01 BC,)'"],
    "tsrange": ["'[2026-02-01 01:02:03.4,)'"],
    "tstzrange": ["'(2026-02-01 01:02:03+05:45,infinity]'"],
    "int4multirange": ["'{}'", "'{[1,3),[5,9)}'"],
    "tstzmultirange": ["'{[2026-02-01 00:00+01,2026-02-02 00:00+01),(infinity,)}'"],
    "datemultirange": ["'{[2026-02-01,2026-02-03)}'"],
    "textrange": ['\'["a,b","c""d\\\\\\\\")\'', "'[,\"\")'", "'empty'"],
    "mood": ["'so, so'", "'it''s \"fine\"'", "''"],
    "pair": ["row(1, 'a,\"b\\c', '0044-03-15 BC')", "row(null, null, null)", "row(null, '', 'infinity')"],
    "nest": ["row(row(1, '(),', null), array[row(2, '{}', '2026-02-01'), null]::pair[], 'so, so')"],
    "wage": ["12.50", "1"],
    "day": ["'2026-02-01'"],
    "few": ["'{1,null,3}'", "'[-1:0]={7,8}'", "'{}'"],
    "point_of": ["row(1, 'x', '2026-02-01')"],
    "hour": ["'2026-02-01 03:04:05+00'"],
    "int4[]": ["'{}'", "'{1,null}'", "'{{1,2},{3,4}}'", "'[-2:-1][0:1]={{1,2},{3,4}}'", "'{null}'"],
    "text[]": ["array['', 'NULL', null, 'a,\"b\\{}', E'\\u00e9']", "'{}'", "'[0:1]={a,b}'", "array[array['x'], array['']]"],
    "varchar(3)[]": ["array['abc', '']"],
    "bpchar[]": ["array['a ', 'b']"],
    "numeric(9,3)[]": ["array[1.5, 'NaN', null]"],
    "float8[]": ["array['-0', 'NaN', 0.1]::float8[]"],
    "date[]": ["'{2026-02-01,infinity,\"0044-03-15 BC\"}'"],
    "timestamptz[]": ["'{\"2026-02-01 01:02:03+05:45\",-infinity}'"],
    "interval[]": ["array['-1 year -2 days', '04:05:06.7']::interval[]"],
    "bytea[]": ["array['\\x00ff', '', null]::bytea[]"],
    "money[]": ["array[1.5, -2]::money[]"],
    "json[]": ['array[\'{"a":1,"a":2}\', null]::json[]'],
    "point[]": ["array['(1,2)', '(-0,3)']::point[]"],
    "box[]": ["array['(1,2),(3,4)', '(5,6),(7,8)']::box[]", "'{}'"],
    "path[]": ["array['((1,2),(3,4))', '[(1,2)]']::path[]"],
    "tstzrange[]": ["array['[2026-02-01 01:02:03+00,)', 'empty']::tstzrange[]"],
    "int4multirange[]": ["array['{[1,3),[5,9)}']::int4multirange[]"],
    "mood[]": ["array['so, so', '']::mood[]"],
    "pair[]": ["array[row(1, 'a', null)::pair, null]", "'{}'"],
    "wage[]": ["array[1, 2.5]::wage[]"],
    "few[]": ["array[array[1, 2]::few, array[3]::few]"],
    "int2vector": ["'1 2 3'"],
    "xml": ["'<a b=\"1\">x &amp; y</a>'", "'text<b/>'", "'<?xml version=\"1.0\"?><a/>'"],
    "xml[]": ["array['<a/>', null]::xml[]"],
}

KEYS = {
    "int2": "-5",
    "bigint": "9223372036854775807",
    "boolean": "true",
    "uuid": "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'",
    "varchar(9)": "'a''b,{\"\\'",
    "char(5)": "'ab'",
    "bpchar": "'ab '",
    "name": "'ab'",
    '"char"': "'x'",
    "numeric": "1.500",
    "numeric(10,4)": "100",
    "date": "'0044-03-15 BC'",
    "time": "'01:02:03.000004'",
    "timestamp": "'2026-02-01 03:04:05.6'",
    "timestamptz": "'2026-02-01 03:04:05+00'",
    "bytea": "'\\x00ff5c'",
    "inet": "'10.0.0.1'",
    "cidr": "'10.0.0.0/8'",
    "macaddr": "'08-00-2B-01-02-03'",
    "macaddr8": "'08-00-2B-01-02-03-04-05'",
    "mood": "'so, so'",
    "wage": "12.50",
    "day": "'-infinity'",
}

HOSTILE = {
    "crm": {
        "datestyle": "'SQL, DMY'",
        "intervalstyle": "'sql_standard'",
        "timezone": "'Asia/Kathmandu'",
        "extra_float_digits": "-15",
        "bytea_output": "'escape'",
        "array_nulls": "off",
        "xmloption": "'document'",
        "standard_conforming_strings": "on",
        "transform_null_equals": "on",
    },
    "billing": {
        "datestyle": "'German'",
        "intervalstyle": "'iso_8601'",
        "timezone": "'America/St_Johns'",
        "extra_float_digits": "0",
        "bytea_output": "'escape'",
        "array_nulls": "off",
        "search_path": "'pg_temp'",
        "timezone_abbreviations": "'India'",
    },
}


def arrive_in_parts(nodes: Nodes, bad: int | str) -> list[str]:
    """All rows of public.kinds arrive, although billing refuses one of crm's at first, so that the others travel in parts."""
    nodes.billing.sql(f"alter table public.kinds add constraint no check (id <> {bad!r})")
    sync(*nodes)
    assert waiting(nodes.crm) == [f"insert kinds {bad} 23514"]
    nodes.billing.sql("alter table public.kinds drop constraint no")
    nodes.crm.sql("select rowferry.retry(id) from rowferry.sync_events")
    sync(*nodes)
    assert waiting(nodes.crm) == waiting(nodes.billing) == []
    stored = rows(nodes.crm, "select * from public.kinds")
    assert stored == rows(nodes.billing, "select * from public.kinds")
    return stored
