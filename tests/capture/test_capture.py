"""What the triggers write, and what nobody can make them leave out."""

import psycopg
import pytest

from harness import Node, Nodes
from harness.captured import EVENTS, captured
from harness.exchange import rows, sync, waiting

HOSTILE = "set datestyle = 'SQL, DMY'; set timezone = 'Asia/Kathmandu'; set bytea_output = 'escape'; set extra_float_digits = 0;"


@pytest.fixture
def crm(nodes: Nodes) -> Node:
    return nodes.crm


def has_version(node: Node, major: int) -> bool:
    return bool(node.sql(f"select current_setting('server_version_num')::int >= {major}0000 as yes")[0]["yes"])


ITEMS = """create table items (id int primary key, v text); insert into items values (1, 'a'), (2, 'b');
    select rowferry.attach('items')"""


STATEMENTS = [
    ("insert into items values (3, 'c')", ["i 3"]),
    ("insert into items select g from generate_series(3, 5) g", ["i 3", "i 4", "i 5"]),
    ("update items set v = 'z' where id = 1", ["u 1"]),
    ("update items set v = v || 'z'", ["u 1", "u 2"]),
    ("delete from items where id = 2", ["d 2"]),
    ("delete from items", ["d 1", "d 2"]),
    ("delete from items where id = 7", []),
    ("insert into items values (1, 'x'), (3, 'c') on conflict (id) do update set v = excluded.v", ["i 3", "u 1"]),
    ("insert into items values (1, 'a') on conflict (id) do update set v = excluded.v", []),
    ("insert into items values (1, 'x'), (3, 'c') on conflict do nothing", ["i 3"]),
    ("insert into items values (1, 'x') on conflict (id) do update set v = excluded.v where items.id > 1", []),
    (
        "with gone as (delete from items where id = 1 returning v), new as (insert into items select 3, v from gone)"
        " update items set v = 'w' where id = 2",
        ["d 1", "i 3", "u 2"],
    ),
    ("with a as (insert into items values (3, 'c')) insert into items values (4, 'd')", ["i 3", "i 4"]),
    ("update items i set v = o.v from items o where o.id = 3 - i.id and i.id = 1", ["u 1"]),
]


@pytest.mark.case(26)
def test_each_kind_of_statement_writes_one_event_for_each_row_that_it_changed(crm: Node) -> None:
    crm.sql(ITEMS)
    for statement, expected in STATEMENTS:
        assert sorted(captured(crm, statement)) == expected, statement
        crm.sql("truncate rowferry.events; delete from items; insert into items values (1, 'a'), (2, 'b')")


@pytest.mark.case(26)
@pytest.mark.parametrize("partitioned", [False, True])
def test_merge_writes_one_event_for_each_row_whichever_branch_changed_it(crm: Node, partitioned: bool) -> None:
    if not has_version(crm, 15):
        pytest.skip("MERGE came with PostgreSQL 15")
    crm.sql(
        f"create table items (id int primary key, v text) {'partition by hash (id)' if partitioned else ''};"
        + ("create table items_0 partition of items for values with (modulus 1, remainder 0);" if partitioned else "")
        + "insert into items select g, 'v' || g from generate_series(1, 4) g; select rowferry.attach('items')"
    )
    assert sorted(
        captured(
            crm,
            """merge into items t using (values (1, 'x'), (2, null), (3, 'v3'), (4, 'y'), (5, 'n'), (6, null)) s (id,
               v) on t.id = s.id
               when matched and s.id = 4 then do nothing
               when matched and s.v is null then delete
               when matched then update set v = s.v
               when not matched and s.v is null then do nothing
               when not matched then insert values (s.id, s.v)""",
        )
    ) == ["d 2", "i 5", "u 1"]
    if has_version(crm, 17):
        assert captured(
            crm, "merge into items t using (values (5)) s (id) on t.id = s.id when not matched by source and t.id = 1 then delete"
        ) == ["d 1"]


@pytest.mark.case(26)
def test_copy_writes_one_event_for_each_row(crm: Node) -> None:
    crm.sql(ITEMS)
    with crm.connect() as connection, connection.cursor().copy("copy items from stdin") as copy:
        copy.write("3\tc\n4\t\\N\n")
    assert crm.sql(EVENTS) == [{"event": "i 3"}, {"event": "i 4"}]


@pytest.mark.case(36)
def test_an_update_that_changes_no_synced_column_writes_no_event(crm: Node) -> None:
    crm.sql("create table items (id int primary key, v text, note text); insert into items values (1, 'a', 'n')")
    crm.sql("""select rowferry.attach('items', p_columns => '["id", "v"]')""")
    assert captured(crm, "update items set v = v", "update items set note = 'other'", "update items set id = id") == []
    assert captured(crm, "update items set v = null", "update items set v = null") == ["u 1"]


@pytest.mark.case(36, 53)
def test_a_change_that_only_the_bytes_show_writes_an_event(crm: Node) -> None:
    crm.sql("create extension citext")
    crm.sql(
        """create table items (id int primary key, n numeric, j json, c citext, f float8, a int[], p point);
           insert into items values (1, 1.0, '{"a":1}', 'abc', 0, '{1}', '(0,0)'); select rowferry.attach('items')"""
    )
    for change in ("n = 1.00", """j = '{"a": 1}'""", "c = 'ABC'", "f = '-0'", "a = '[0:0]={1}'", "p = '(-0,0)'"):
        assert captured(crm, f"update items set {change}", f"update items set {change}") == ["u 1"], change


@pytest.mark.case(30)
def test_an_update_of_the_key_writes_an_event_for_the_old_key_and_the_new(crm: Node) -> None:
    crm.sql(
        "create table items (id int primary key deferrable, v text); insert into items values (1, 'a'), (2, 'b');"
        " select rowferry.attach('items')"
    )
    assert sorted(captured(crm, "update items set id = 9 where id = 1")) == ["d 1", "i 9"]
    assert sorted(captured(crm, "update items set id = id + 7")) == ["d 2", "i 16", "u 9"]


@pytest.mark.case(26, 30)
def test_an_update_of_one_row_and_one_of_many_write_the_same_in_one_session(crm: Node) -> None:
    """What one plan does for one row, another does for many: neither is made for the other."""
    crm.sql(
        "create table items (id int primary key, v int, w int); insert into items select g, 0 from generate_series(1, 50000) g"
    )
    crm.sql("""select rowferry.attach('items', p_columns => '["id", "v"]'); truncate rowferry.events""")
    with crm.connect() as connection:
        connection.execute("set statement_timeout = '30s'")
        for number in range(8):
            connection.execute("update items set v = %s where id = 7", [number + 1])
            connection.execute("update items set w = %s where id = 8", [number])
        connection.execute("update items set w = 1")
        connection.execute("update items set v = v + 1")
        connection.execute("update items set id = -id where id < 3")
        connection.execute("update items set id = -id where id = -2")
    written = "select event_type::text as type, count(*), count(distinct record_id) as records from rowferry.events group by 1"
    assert sorted(tuple(row.values()) for row in crm.sql(written)) == [("d", 3, 3), ("i", 3, 3), ("u", 50008, 50000)]


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


@pytest.mark.case(29)
def test_children_changed_by_a_foreign_key_are_captured(crm: Node) -> None:
    crm.sql(
        """create table parents (id int primary key);
           create table cascaded (id int primary key, parent int references parents on delete cascade on update cascade);
           create table nulled (id int primary key, parent int references parents on delete set null on update set null);
           create table defaulted (id int primary key,
           parent int default 0 references parents on delete set default on update set default);
           create table split (id int primary key,
           parent int references parents on delete cascade on update cascade) partition by range (id);
           create table split_1 partition of split default;
           insert into parents values (0), (1), (2);
           insert into cascaded values (10, 1), (11, 2); insert into nulled values (20, 1), (21, 2);
           insert into defaulted values (30, 1), (31, 2); insert into split values (40, 1), (41, 2);
           select rowferry.attach(t::regclass) from unnest('{cascaded,nulled,defaulted,split}'::text[]) t"""
    )
    crm.sql("truncate rowferry.events")
    crm.sql("delete from parents where id = 1")
    assert sorted(waiting(crm)) == ["delete cascaded 10", "delete split 40", "update defaulted 30", "update nulled 20"]
    crm.sql("truncate rowferry.events")
    crm.sql("update parents set id = 3 where id = 2")
    assert sorted(waiting(crm)) == ["update cascaded 11", "update defaulted 31", "update nulled 21", "update split 41"]


@pytest.mark.case(32)
def test_what_is_rolled_back_leaves_no_event(crm: Node) -> None:
    crm.sql(ITEMS)
    assert captured(crm, "begin; insert into items values (3); rollback") == []
    assert captured(crm, "begin; savepoint s; delete from items; rollback to s; insert into items values (3); commit") == ["i 3"]
    assert (
        captured(crm, "do $$ begin begin update items set v = 'q'; raise 'no'; exception when others then null; end; end $$")
        == []
    )


@pytest.mark.case(33)
def test_a_session_in_replica_role_is_captured(crm: Node) -> None:
    crm.sql(ITEMS)
    crm.sql("create table split (id int primary key) partition by list (id); create table split_1 partition of split default")
    crm.sql("select rowferry.attach('split')")
    replica = "set session_replication_role = replica"
    assert captured(crm, replica, "insert into items values (3)", "delete from items where id = 3") == ["i 3", "d 3"]
    assert captured(crm, replica, "insert into split values (3)", "delete from split_1 where id = 3") == ["i 3", "d 3"]
    with pytest.raises(psycopg.Error, match="cannot be truncated"):
        captured(crm, replica, "truncate items")


@pytest.mark.case(37)
def test_identity_generated_and_dropped_columns_and_another_column_order_end_as_equal_rows(nodes: Nodes) -> None:
    virtual = ", g2 text generated always as (b || '?') virtual" if has_version(nodes.crm, 18) else ""
    nodes.crm.sql(
        f"create table items (x int, id int generated always as identity primary key, a text, b text,"
        f" g text generated always as (a || b) stored{virtual})"
    )
    nodes.crm.sql("alter table items drop column x")
    nodes.billing.sql(
        "create table items (b text, g text generated always as (a || '!') stored, y int, a text,"
        " id int generated always as identity primary key)"
    )
    nodes.billing.sql("alter table items drop column y, add column seen int generated always as identity")
    for node in nodes:
        columns = """'["a", "b", "id"]'""" if node is nodes.billing else "null"
        node.sql(f"select rowferry.attach('items', p_columns => {columns})")
    assert captured(
        nodes.crm, "insert into items (a, b) values ('p', 'q'), ('r', 's')", "update items set b = 't' where id = 2"
    ) == ["i 1", "i 2", "u 2"]
    nodes.billing.sql("insert into items (id, a, b) overriding system value values (10, 'u', 'v')")
    sync(*nodes)
    synced = "select id, a, b from items"
    assert rows(nodes.crm, synced) == rows(nodes.billing, synced) == ["(1,p,q)", "(10,u,v)", "(2,r,t)"]
    nodes.billing.sql("update items set a = 'w' where id = 1; delete from items where id = 2")
    sync(*nodes)
    assert rows(nodes.crm, "select id, a, b, g from items") == ["(1,w,q,wq)", "(10,u,v,uv)"]
    assert rows(nodes.billing, "select id, a, b, g from items") == ["(1,w,q,w!)", "(10,u,v,u!)"]


@pytest.mark.case(37, 57)
@pytest.mark.parametrize("partitioned", [False, True])
def test_an_update_goes_on_without_a_column_or_says_which_one_it_misses(crm: Node, partitioned: bool) -> None:
    crm.sql(
        f"create table items (id int primary key, v text) {'partition by hash (id)' if partitioned else ''};"
        + ("create table items_0 partition of items for values with (modulus 1, remainder 0);" if partitioned else "")
        + "insert into items values (1, 'a'), (2, 'b'); select rowferry.attach('items')"
    )
    assert captured(crm, "alter table items rename v to w", "insert into items values (3, 'c')") == ["i 3"]
    if partitioned:
        with pytest.raises(psycopg.Error) as caught:
            crm.sql("update items set w = 'x'")
        assert caught.value.sqlstate == "42703"
        assert caught.value.diag.message_primary == 'record "new" has no field "v"'
        shown = f"{caught.value.diag.internal_query} {caught.value.diag.context}"
        assert "items was altered? Change it back, or select rowferry.attach('public.items', 'items');" in shown
        assert "rowferry.capture_items()" in shown
    else:
        assert captured(crm, "update items set w = 'y' where id = 1", "update items set w = w") == ["u 1"]
    assert captured(crm, "alter table items rename w to v", "update items set v = 'x' where id = 1") == ["u 1"]


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
def test_an_open_session_captures_right_whatever_is_altered(crm: Node) -> None:
    crm.sql("create table items (id int primary key, a int, v text); insert into items values (1, 1, 'x')")
    crm.sql("select rowferry.attach('items')")
    crm.sql("truncate rowferry.events")
    with crm.connect() as connection:
        for _ in range(8):
            connection.execute("update items set a = a + 1")
        crm.sql("alter table items alter a type text using 'n' || a; alter table items add z int")
        connection.execute("update items set a = 'm'")
        connection.execute("update items set z = 1")
        crm.sql("alter table items rename id to old; alter table items add id text default 'q'")
        with pytest.raises(psycopg.errors.UndefinedFunction):
            connection.execute("update items set a = 'o'")
        crm.sql("alter table items drop id; alter table items rename old to id")
        connection.execute("update items set a = 'p'")
    assert [row["event"] for row in crm.sql(EVENTS)] == ["u 1"] * 10


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


@pytest.mark.case(35)
def test_a_name_cannot_leave_the_comment_that_shows_the_way_out(crm: Node) -> None:
    crm.sql("create table items (id int primary key, v text)")
    name = "a*/ b /* c'd/*/ %s"
    crm.sql("select rowferry.attach('items', p_entity => %s)", [name])
    assert captured(crm, "insert into items values (1)", "update items set v = 'x'", "delete from items") == ["i 1", "u 1", "d 1"]
