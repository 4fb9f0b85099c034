"""The key of a record as the triggers write it: one text for one key, whatever the session and the column are set to."""

import psycopg
import pytest

from harness import Node, Nodes
from harness.captured import EVENTS, captured

HOSTILE = "set datestyle = 'SQL, DMY'; set timezone = 'Asia/Kathmandu'; set bytea_output = 'escape'; set extra_float_digits = 0;"


@pytest.fixture
def crm(nodes: Nodes) -> Node:
    return nodes.crm


@pytest.mark.case(30)
def test_an_update_of_the_key_writes_an_event_for_the_old_key_and_the_new(crm: Node) -> None:
    crm.sql(
        "create table items (id int primary key deferrable, v text); insert into items values (1, 'a'), (2, 'b');"
        " select rowferry.attach('items')"
    )
    assert sorted(captured(crm, "update items set id = 9 where id = 1")) == ["d 1", "i 9"]
    assert sorted(captured(crm, "update items set id = id + 7")) == ["d 2", "i 16", "u 9"]


@pytest.mark.case(30)
def test_two_rows_that_have_one_key_for_a_while_are_told_apart(crm: Node) -> None:
    crm.sql("create table items (id int primary key deferrable initially deferred, v text); insert into items values (1, 'a')")
    crm.sql("select rowferry.attach('items')")
    moved = captured(crm, "begin; insert into items values (1, 'b'); update items set id = ascii(v) - 96, v = v || '!'; commit")
    assert set(moved) == {"i 1", "u 1", "i 2"}
    joined = captured(crm, "begin; update items set id = 1, v = v || '!'; update items set id = ascii(v) - 96; commit")
    assert set(joined) == {"u 1", "d 2", "i 2"}


@pytest.mark.case(30)
def test_a_key_is_compared_by_its_bytes_whatever_collation_its_column_gets(crm: Node) -> None:
    try:
        crm.sql("create collation blind (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    except psycopg.errors.FeatureNotSupported as error:
        pytest.skip(f"this server has no ICU, so no collation that is not deterministic: {error}")
    crm.sql("create table items (id text primary key, v int); insert into items values ('a', 1); select rowferry.attach('items')")
    crm.sql("alter table items alter id type text collate blind")
    assert sorted(captured(crm, "update items set id = 'A', v = 2")) == ["d a", "i A"]


@pytest.mark.case(30)
def test_swapped_keys_write_an_event_for_each(crm: Node) -> None:
    crm.sql(
        "create table items (a int, b text, v text, primary key (a, b) deferrable);"
        " insert into items values (1, 'x', 'p'), (2, 'x', 'q')"
    )
    crm.sql("select rowferry.attach('items')")
    assert sorted(captured(crm, "update items set a = 3 - a")) == ["u {1,x}", "u {2,x}"]
    assert sorted(captured(crm, "update items set a = 3 - a, v = case v when 'p' then 'q' else 'p' end")) == []


@pytest.mark.case(30)
@pytest.mark.parametrize("partitioned", [False, True])
def test_a_composite_key_is_the_text_of_an_array_in_the_order_of_its_names(crm: Node, partitioned: bool) -> None:
    crm.sql(
        "create table items (z int, a text, v int, primary key (z, a))"
        + (
            " partition by hash (z); create table items_0 partition of items for values with (modulus 1, remainder 0)"
            if partitioned
            else ""
        )
    )
    crm.sql("select rowferry.attach('items')")
    assert captured(crm, "insert into items values (1, '')") == ['i {"",1}']
    assert captured(crm, "insert into items values (2, 'NULL'), (3, 'null')") == ['i {"NULL",2}', 'i {"null",3}']
    assert captured(crm, """insert into items values (4, 'a,b{}"\\ é😀')""") == ['i {"a,b{}\\"\\\\ é😀",4}']
    assert sorted(captured(crm, "update items set a = 'q' where z = 1")) == ['d {"",1}', "i {q,1}"]


KEYS = [
    ("int2", "-5", "-5"),
    ("bigint", "9223372036854775807", "9223372036854775807"),
    ("boolean", "true", "true"),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("text", "''", ""),
    ("text", "'NULL'", "NULL"),
    ("text", """'a''b,{c}"\\ d'""", """a'b,{c}"\\ d"""),
    ("text", "E'\\t\\n\\u00e9\\U0001F600'", "\t\n\u00e9\U0001f600"),
    ("varchar(5)", "'ab  '", "ab  "),
    ("char(5)", "'ab'", "ab"),
    ("name", "'ab'", "ab"),
    ('"char"', "'x'", "x"),
    ("numeric", "1.500", "1.5"),
    ("numeric(10,4)", "100", "100"),
    ("numeric", "'NaN'", "NaN"),
    ("date", "'2026-02-01'", "2026-02-01"),
    ("date", "'-infinity'", "-infinity"),
    ("date", "'0044-03-15 BC'", "0044-03-15 BC"),
    ("time", "'01:02:03.000004'", "01:02:03.000004"),
    ("timestamp", "'2026-02-01 03:04:05.6'", "2026-02-01 03:04:05.6"),
    ("timestamptz", "'2026-02-01 03:04:05+00'", "2026-02-01 03:04:05+00"),
    ("timestamptz", "'infinity'", "infinity"),
    ("bytea", "'\\x00ff5c'", "\\x00ff5c"),
    ("inet", "'10.0.0.1'", "10.0.0.1"),
    ("cidr", "'10.0.0.0/8'", "10.0.0.0/8"),
    ("macaddr", "'08-00-2B-01-02-03'", "08:00:2b:01:02:03"),
    ("macaddr8", "'08-00-2B-01-02-03-04-05'", "08:00:2b:01:02:03:04:05"),
    ('"a mood"', "'so, so'", "so, so"),
    ("wage", "12.50", "12.5"),
    ("posted", "'2026-02-01'", "2026-02-01"),
]


@pytest.mark.case(30, 54)
@pytest.mark.parametrize("partitioned", [False, True])
def test_a_key_is_written_the_same_whatever_the_session_is_set_to(crm: Node, partitioned: bool) -> None:
    crm.sql(
        """create type "a mood" as enum ('so, so', 'fine'); create domain wage as numeric(8, 2) check (value > 0);
           create domain day as date; create domain posted as day not null"""
    )
    for number, (kind, literal, expected) in enumerate(KEYS):
        table = f"t{number}"
        crm.sql(f"create table {table} (id {kind} primary key, v int)" + (" partition by list (id)" if partitioned else ""))
        if partitioned:
            crm.sql(f"create table {table}_p partition of {table} default")
        crm.sql(f"select rowferry.attach('{table}')")
        assert captured(crm, HOSTILE, f"insert into {table} values ({literal}, 1)") == [f"i {expected}"], kind
        assert captured(crm, HOSTILE, f"update {table} set v = 2") == [f"u {expected}"], kind
        assert captured(crm, HOSTILE, f"delete from {table} where v = 2") == [f"d {expected}"], kind


@pytest.mark.case(30)
def test_two_spellings_of_one_key_are_one_record(crm: Node) -> None:
    crm.sql("create table prices (id numeric primary key); create table codes (id bpchar primary key)")
    crm.sql("select rowferry.attach('prices'), rowferry.attach('codes')")
    assert captured(crm, "insert into prices values (1.0)", "update prices set id = 1.000", "delete from prices") == [
        "i 1",
        "u 1",
        "d 1",
    ]
    assert captured(crm, "insert into codes values ('a ')", "update codes set id = 'a'", "delete from codes") == [
        "i a",
        "u a",
        "d a",
    ]


VALUES = {
    **dict.fromkeys(("int", "bigint", "numeric", "float8", "wage"), "1"),
    **dict.fromkeys(("text", "varchar(9)", "bpchar", "name", "mood"), "'fine'"),
    **dict.fromkeys(("date", "timestamp", "timestamptz", "posted"), "'2026-01-01'"),
    **{"uuid": "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'", "inet": "'10.0.0.0'", "cidr": "'10.0.0.0'", "boolean": "'t'"},
    "evil": "row(1)::evil",
}
ALTERED = [
    *(("int", "bigint"), ("bigint", "int"), ("int", "numeric"), ("numeric", "int"), ("int", "wage"), ("wage", "float8")),
    *(("text", "varchar(9)"), ("varchar(9)", "text"), ("text", "bpchar"), ("text", "name"), ("mood", "text"), ("text", "mood")),
    *(("date", "timestamp"), ("timestamp", "date"), ("timestamp", "timestamptz"), ("posted", "timestamp"), ("posted", "text")),
    *(("uuid", "text"), ("inet", "cidr"), ("cidr", "inet"), ("boolean", "text")),
    *(("text", "evil"), ("int", "evil"), ("posted", "evil"), ("wage", "evil"), ("mood", "evil")),
]


@pytest.mark.case(30, 57)
@pytest.mark.parametrize("partitioned", [False, True])
def test_no_write_succeeds_once_the_column_of_a_key_has_another_type(crm: Node, partitioned: bool) -> None:
    crm.sql(
        """create type mood as enum ('so, so', 'fine'); create domain wage as numeric(8, 2); create type evil as (x int);
           create domain day as date; create domain posted as day"""
    )
    for kind in ("text", "int", "date", "numeric"):
        crm.sql(
            f"""create function shown_{kind}(evil) returns {kind} language plpgsql as $$ begin raise 'called'; end $$;
                create cast (evil as {kind}) with function shown_{kind}(evil) as implicit"""
        )
    for number, (before, after) in enumerate(ALTERED):
        table = f"t{number}"
        crm.sql(f"create table {table} (id {before} primary key, v int)" + (" partition by list (id)" if partitioned else ""))
        if partitioned:
            crm.sql(f"create table {table}_p partition of {table} default")
        crm.sql(f"select rowferry.attach('{table}')")
        with crm.connect() as connection:
            connection.execute(f"insert into {table} values ({VALUES[before]}, 1)")
            connection.execute(f"update {table} set v = 2")
        crm.sql(f"alter table {table} drop constraint {table}_pkey; alter table {table} rename id to old")
        crm.sql(f"alter table {table} add id {after} default {VALUES[after]}")
        crm.sql("truncate rowferry.events")
        with crm.connect() as connection:
            for change in (f"update {table} set v = 3", f"delete from {table}", f"insert into {table} select * from {table}"):
                with pytest.raises(psycopg.Error) as caught:
                    connection.execute(change)
                assert caught.value.sqlstate in ("42883", "42804"), (before, after, str(caught.value))
                shown = f"{caught.value.diag.internal_query} {caught.value.diag.context}"
                assert f"{table} was altered? Change it back, or select rowferry.attach('public.{table}', '{table}')" in shown, (
                    before,
                    after,
                    shown,
                )
        assert crm.sql(EVENTS) == []


@pytest.mark.case(30)
@pytest.mark.parametrize("partitioned", [False, True])
def test_columns_of_a_key_may_have_collations_of_their_own(crm: Node, partitioned: bool) -> None:
    crm.sql(
        'create table items (a text collate "C", b text collate "POSIX", v int, primary key (a, b))'
        + (" partition by list (a); create table items_0 partition of items default" if partitioned else "")
    )
    crm.sql("select rowferry.attach('items')")
    assert captured(crm, "insert into items values ('x', 'y', 1)", "update items set v = 2", "update items set b = 'z'") == [
        "i {x,y}",
        "u {x,y}",
        "i {x,z}",
        "d {x,y}",
    ]
