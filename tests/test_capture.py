"""What the triggers write, and what nobody can make them leave out."""

import itertools
from typing import Any

import psycopg
import pytest

from harness import Node, Nodes
from harness.exchange import rows, sync, waiting

NUMBERS = itertools.count(1)
HOSTILE = "set datestyle = 'SQL, DMY'; set timezone = 'Asia/Kathmandu'; set bytea_output = 'escape'; set extra_float_digits = 0;"
EVENTS = "select concat_ws(' ', event_type, record_id) as event from rowferry.events order by id"


@pytest.fixture
def crm(nodes: Nodes) -> Node:
    return nodes.crm


def captured(node: Node, *statements: str) -> list[str]:
    """Events of these statements alone, each in a transaction of its own of one session, in the order of their ids."""
    node.sql("truncate rowferry.events")
    with node.connect() as connection:
        for statement in statements:
            connection.execute(statement)
    return [row["event"] for row in node.sql(EVENTS)]


def role(node: Node, options: str = "") -> str:
    """A new role of the node's server with the rights of any user, and no more."""
    name = f"plain_{next(NUMBERS)}"
    node.sql(f"create role {name} {options}")
    return name


def as_role(node: Node, name: str) -> psycopg.Connection[Any]:
    connection = node.connect()
    connection.execute(f"set session authorization {name}")
    return connection


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


def test_each_kind_of_statement_writes_one_event_for_each_row_that_it_changed(crm: Node) -> None:
    crm.sql(ITEMS)
    for statement, expected in STATEMENTS:
        assert sorted(captured(crm, statement)) == expected, statement
        crm.sql("truncate rowferry.events; delete from items; insert into items values (1, 'a'), (2, 'b')")


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


def test_copy_writes_one_event_for_each_row(crm: Node) -> None:
    crm.sql(ITEMS)
    with crm.connect() as connection, connection.cursor().copy("copy items from stdin") as copy:
        copy.write("3\tc\n4\t\\N\n")
    assert crm.sql(EVENTS) == [{"event": "i 3"}, {"event": "i 4"}]


def test_an_update_that_changes_no_synced_column_writes_no_event(crm: Node) -> None:
    crm.sql("create table items (id int primary key, v text, note text); insert into items values (1, 'a', 'n')")
    crm.sql("""select rowferry.attach('items', p_columns => '["id", "v"]')""")
    assert captured(crm, "update items set v = v", "update items set note = 'other'", "update items set id = id") == []
    assert captured(crm, "update items set v = null", "update items set v = null") == ["u 1"]


def test_a_change_that_only_the_bytes_show_writes_an_event(crm: Node) -> None:
    crm.sql("create extension citext")
    crm.sql(
        """create table items (id int primary key, n numeric, j json, c citext, f float8, a int[], p point);
           insert into items values (1, 1.0, '{"a":1}', 'abc', 0, '{1}', '(0,0)'); select rowferry.attach('items')"""
    )
    for change in ("n = 1.00", """j = '{"a": 1}'""", "c = 'ABC'", "f = '-0'", "a = '[0:0]={1}'", "p = '(-0,0)'"):
        assert captured(crm, f"update items set {change}", f"update items set {change}") == ["u 1"], change


def test_an_update_of_the_key_writes_an_event_for_the_old_key_and_the_new(crm: Node) -> None:
    crm.sql(
        "create table items (id int primary key deferrable, v text); insert into items values (1, 'a'), (2, 'b');"
        " select rowferry.attach('items')"
    )
    assert sorted(captured(crm, "update items set id = 9 where id = 1")) == ["d 1", "i 9"]
    assert sorted(captured(crm, "update items set id = id + 7")) == ["d 2", "i 16", "u 9"]


def test_swapped_keys_write_an_event_for_each(crm: Node) -> None:
    crm.sql(
        "create table items (a int, b text, v text, primary key (a, b) deferrable);"
        " insert into items values (1, 'x', 'p'), (2, 'x', 'q')"
    )
    crm.sql("select rowferry.attach('items')")
    assert sorted(captured(crm, "update items set a = 3 - a")) == ["u {1,x}", "u {2,x}"]
    assert sorted(captured(crm, "update items set a = 3 - a, v = case v when 'p' then 'q' else 'p' end")) == []


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
    assert crm.sql("select key_a, key_z from rowferry.items_events where event_type = 'insert'") == [{"key_a": "q", "key_z": 1}]


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
        for settings in ("", HOSTILE):
            with crm.connect() as connection:
                connection.execute(settings or "select 1")
                view = f"select (present_row).id = key_id from rowferry.{table}_events"
                assert connection.execute(view).fetchall() == [(True,)], kind
        assert captured(crm, HOSTILE, f"delete from {table} where v = 2") == [f"d {expected}"], kind


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


def test_what_is_rolled_back_leaves_no_event(crm: Node) -> None:
    crm.sql(ITEMS)
    assert captured(crm, "begin; insert into items values (3); rollback") == []
    assert captured(crm, "begin; savepoint s; delete from items; rollback to s; insert into items values (3); commit") == ["i 3"]
    assert (
        captured(crm, "do $$ begin begin update items set v = 'q'; raise 'no'; exception when others then null; end; end $$")
        == []
    )


def test_a_session_in_replica_role_is_captured(crm: Node) -> None:
    crm.sql(ITEMS)
    crm.sql("create table split (id int primary key) partition by list (id); create table split_1 partition of split default")
    crm.sql("select rowferry.attach('split')")
    replica = "set session_replication_role = replica"
    assert captured(crm, replica, "insert into items values (3)", "delete from items where id = 3") == ["i 3", "d 3"]
    assert captured(crm, replica, "insert into split values (3)", "delete from split_1 where id = 3") == ["i 3", "d 3"]
    with pytest.raises(psycopg.Error, match="cannot be truncated"):
        captured(crm, replica, "truncate items")


def test_a_trigger_can_neither_be_fired_nor_stopped_by_settings_of_the_session(crm: Node) -> None:
    crm.sql(ITEMS)
    forged = "select set_config('rowferry.applying', 'on', false)"
    assert captured(crm, forged, "insert into items values (3)", "update items set v = 'x' where id = 3") == ["i 3", "u 3"]
    assert captured(crm, "begin; set local rowferry.applying = on; delete from items where id = 3; commit") == ["d 3"]
    assert {row["hops"] for row in crm.sql("select hops from rowferry.events")} == {0}


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


SPLIT = """
    create table split (v text, id int, part int, primary key (id, part)) partition by list (part);
    create table split_1 partition of split for values in (1);
    create table split_2 (part int not null, gone int, id int not null, v text) ;
    alter table split_2 drop column gone;
    alter table split attach partition split_2 for values in (2);
    create table split_3 partition of split for values in (3) partition by range (id);
    create table split_3a partition of split_3 default;
    select rowferry.attach('split');"""


def test_writes_through_a_partitioned_table_and_into_its_partitions_are_captured(crm: Node) -> None:
    crm.sql(SPLIT)
    assert captured(crm, "insert into split values ('a', 1, 1), ('b', 2, 2), ('c', 3, 3)") == ["i {1,1}", "i {2,2}", "i {3,3}"]
    assert captured(crm, "insert into split_1 values ('d', 4, 1)", "insert into split_2 values (2, 5, 'e')") == [
        "i {4,1}",
        "i {5,2}",
    ]
    assert captured(crm, "insert into split_3 values ('f', 6, 3)", "insert into split_3a values ('g', 7, 3)") == [
        "i {6,3}",
        "i {7,3}",
    ]
    assert captured(
        crm, "update split_2 set v = 'h' where id = 5", "update split_3a set v = v", "delete from split_3 where id = 7"
    ) == ["u {5,2}", "d {7,3}"]
    assert captured(crm, "update split_1 set id = 8 where id = 4") == ["i {8,1}", "d {4,1}"]


def test_a_row_that_moves_to_another_partition_is_captured(crm: Node) -> None:
    crm.sql(SPLIT + "insert into split values ('a', 1, 1)")
    assert sorted(captured(crm, "update split set part = 2")) == ["d {1,1}", "i {1,2}"]
    crm.sql("create table other (id int primary key, part int) partition by list (id)")
    crm.sql(
        "create table other_1 partition of other for values in (1); create table other_2 partition of other for values in (2)"
    )
    crm.sql("select rowferry.attach('other'); insert into other values (1)")
    assert sorted(captured(crm, "update other set id = 2")) == ["d 1", "i 2"]


def test_a_partition_that_is_added_later_is_captured(crm: Node) -> None:
    owner = role(crm)
    crm.sql(
        f"grant create on schema public to {owner}; set role {owner}; {SPLIT.split('select')[0]}; reset role;"
        f" select rowferry.attach('split')"
    )
    with as_role(crm, owner) as connection:
        connection.execute("create table split_4 partition of split for values in (4)")
        connection.execute("create table split_5 (part int not null, id int not null, v text)")
        connection.execute("alter table split attach partition split_5 for values in (5)")
        connection.execute("insert into split values ('x', 1, 4), ('y', 2, 5)")
        connection.execute("update split_5 set v = 'z'")
    assert [row["event"] for row in crm.sql(EVENTS)] == ["i {1,4}", "i {2,5}", "u {2,5}"]


def test_partitions_of_another_shape_on_the_peer_end_as_equal_rows(nodes: Nodes) -> None:
    nodes.crm.sql(SPLIT)
    nodes.billing.sql("create table split (id int, v text, part int, primary key (id, part)); select rowferry.attach('split')")
    nodes.crm.sql(
        "insert into split select g, g, 1 + g % 3 from generate_series(1, 30) g;"
        " update split set part = 1 + part % 3 where id < 10"
    )
    nodes.billing.sql(
        "insert into split select g, g, 1 + g % 3 from generate_series(31, 60) g;"
        " update split set part = 1 + part % 3 where id > 50"
    )
    sync(*nodes)
    query = "select id, part, v from split"
    assert rows(nodes.crm, query) == rows(nodes.billing, query)
    assert len(rows(nodes.crm, query)) == 60
    nodes.billing.sql("update split set part = 1 + part % 3")
    nodes.crm.sql("delete from split where id % 7 = 0")
    sync(*nodes)
    assert rows(nodes.crm, query) == rows(nodes.billing, query)
    assert waiting(nodes.crm) == waiting(nodes.billing) == []


def test_truncate_is_refused_with_a_hint(crm: Node) -> None:
    crm.sql(SPLIT)
    crm.sql(
        "create table above (id int primary key); create table items (id int primary key, above int references above);"
        " select rowferry.attach('items')"
    )
    crm.sql("insert into split values ('a', 1, 1), ('b', 2, 3); insert into above values (1); insert into items values (1, 1)")
    for names in ("split", "split_1", "split_3", "split_3a", "items", "items cascade", "above cascade", "above, items"):
        with pytest.raises(psycopg.Error) as refusal:
            crm.sql(f"truncate {names}")
        assert refusal.value.sqlstate == "RF005"
        assert "rowferry.detach" in str(refusal.value.diag.message_hint)
    assert crm.sql("select (select count(*) from split) + (select count(*) from items) as n") == [{"n": 3}]


def test_users_of_a_table_need_no_right_on_rowferry_to_write_it(crm: Node) -> None:
    crm.sql(ITEMS + ";" + SPLIT)
    user = role(crm)
    crm.sql(f"grant select, insert, update, delete on items, split to {user}")
    with as_role(crm, user) as connection:
        connection.execute(
            "insert into items values (3, 'c'); update items set v = 'd' where id = 3; delete from items where id = 3"
        )
        connection.execute("insert into split values ('c', 3, 1); update split set part = 2 where id = 3; delete from split")
    assert [row["event"] for row in crm.sql(EVENTS)][:4] == ["i 3", "u 3", "d 3", "i {3,1}"]
    assert len(crm.sql(EVENTS)) == 7


FORBIDDEN = [
    "select * from rowferry.events",
    "select * from rowferry.sync_events",
    "select * from rowferry.items_events",
    "select * from rowferry.conflicts",
    "insert into rowferry.events (changed_at, entity_id, event_type, record_id) values (now(), 1, 'i', '1')",
    "delete from rowferry.sync_events",
    "insert into rowferry.applying values (pg_current_xact_id(), 0, 1, '{}')",
    "select rowferry.process_batch()",
    "select rowferry.skip(1, 'x')",
    "select rowferry.attach('items')",
    "select rowferry.detach('items')",
    "select rowferry.apply_items(array['{1}', '{x}'])",
    "select rowferry.delete_items(array['1'])",
    "select rowferry.read_items(array['1'], null)",
    "create trigger t after insert on own for each row execute function rowferry.capture_items()",
    "alter table items disable trigger rowferry_capture_insert",
    "drop trigger rowferry_capture_insert on items",
]


def test_a_user_of_a_table_can_neither_read_nor_forge_nor_silence_events(crm: Node) -> None:
    crm.sql(ITEMS)
    user = role(crm)
    crm.sql(
        f"grant select, insert, update, delete on items to {user}; create table own (id int primary key);"
        f" alter table own owner to {user}"
    )
    with as_role(crm, user) as connection:
        connection.execute("insert into items values (3, 'c')")
        for statement in FORBIDDEN:
            with pytest.raises(psycopg.Error) as refusal:
                connection.execute(statement)
            assert refusal.value.sqlstate == "42501", f"{statement}: {refusal.value}"
    assert crm.sql(EVENTS) == [{"event": "i 3"}]


def test_nothing_in_a_users_search_path_is_called_by_capture(crm: Node) -> None:
    crm.sql(ITEMS)
    crm.sql("create table names (id varchar(20) primary key, v varchar(20)); select rowferry.attach('names')")
    user = role(crm)
    crm.sql(f"grant select, insert, update, delete on items, names to {user}; create schema bad authorization {user}")
    with as_role(crm, user) as connection:
        connection.execute(
            """set search_path = pg_temp, bad, pg_catalog, public;
               create temp table events (like items); create temp table applying (id int); create temp table new_rows (id int);
               create function bad.trap(varchar, varchar) returns boolean language plpgsql
               as $$ begin raise 'hijacked by %', current_user; end $$;
               create operator bad.= (leftarg = varchar, rightarg = varchar, function = bad.trap);
               create function bad.unnest(text[]) returns setof text language plpgsql
               as $$ begin raise 'hijacked by %', current_user; end $$;
               create function bad.now() returns timestamptz language plpgsql
               as $$ begin raise 'hijacked by %', current_user; end $$"""
        )
        connection.execute(
            "insert into public.names values ('a', 'b'); update public.names set v = 'c'; delete from public.names"
        )
        connection.execute("insert into public.items values (3, 'c')")
        assert connection.execute("select count(*) from pg_temp.events").fetchone() == (0,)
    assert [row["event"] for row in crm.sql(EVENTS)] == ["i a", "u a", "d a", "i 3"]


def test_nothing_in_the_schema_public_is_called_with_the_rights_of_a_tables_owner(nodes: Nodes) -> None:
    for node in nodes:
        owner, user = role(node), role(node)
        node.sql(
            f"create table names (id varchar(20) primary key, v varchar(20), u varchar(5) unique);"
            f" alter table names owner to {owner}"
        )
        node.sql(f"create table single (id text primary key); alter table single owner to {owner}")
        node.sql(f"grant create on schema public to {user}")
        with as_role(node, user) as connection:
            connection.execute(
                """create function public.trap(varchar, varchar) returns boolean language plpgsql
                   as $$ begin raise 'hijacked by %', current_user; end $$;
                   create operator public.= (leftarg = varchar, rightarg = varchar, function = public.trap);
                   create operator public.<> (leftarg = varchar, rightarg = varchar, function = public.trap);
                   create function public.unnest(text[]) returns setof text language plpgsql
                   as $$ begin raise 'hijacked by %', current_user; end $$;
                   create function public.unnest(varchar[]) returns setof varchar language plpgsql
                   as $$ begin raise 'hijacked by %', current_user; end $$;
                   create function public.array_agg(text) returns text[] language plpgsql
                   as $$ begin raise 'hijacked by %', current_user; end $$"""
            )
        node.sql("select rowferry.attach('names'), rowferry.attach('single')")
        node.sql(
            "create function noop() returns trigger language plpgsql as $$ begin return new; end $$;"
            " create trigger noop before update on names for each row execute function noop()"
        )
    nodes.crm.sql("insert into names values ('a', 'b', 'c'); insert into single values ('s'), ('t')")
    sync(*nodes)
    nodes.billing.sql("update names set v = 'd', u = 'e'; delete from single where pg_catalog.texteq(id, 's')")
    nodes.crm.sql("update names set v = 'f'")
    sync(*nodes)
    assert waiting(nodes.crm) == waiting(nodes.billing) == []
    assert rows(nodes.crm, "select * from names") == rows(nodes.billing, "select * from names")
    assert rows(nodes.crm, "select * from single") == rows(nodes.billing, "select * from single") == ["(t)"]


def test_a_partition_that_is_added_later_refuses_truncate_once_its_table_is_attached_again(crm: Node) -> None:
    crm.sql(SPLIT)
    crm.sql("create table split_4 partition of split for values in (4); insert into split values ('x', 1, 4)")
    assert len(crm.sql("select rowferry.attach('split', p_dry_run => true)")) == 3
    crm.sql("select rowferry.attach('split')")
    with pytest.raises(psycopg.Error, match="cannot be truncated"):
        crm.sql("truncate split_4")
    with pytest.raises(psycopg.Error, match="already attached"):
        crm.sql("select rowferry.attach('split')")


def test_a_partition_that_has_left_its_table_is_an_ordinary_table_again(crm: Node) -> None:
    crm.sql(SPLIT)
    crm.sql("insert into split values ('a', 1, 1), ('b', 1, 2); alter table split detach partition split_1; truncate split_1")
    assert captured(crm, "insert into split_1 values ('c', 1, 1)") == []
    crm.sql("alter table split detach partition split_2; select rowferry.detach('split')")
    assert crm.sql("select tgname from pg_trigger where tgname like 'rowferry%'") == []


COLOR = "create type color as enum ('red', 'blue'); create table items (id color primary key, v text)"


@pytest.mark.parametrize("table", [COLOR, f"{COLOR} partition by list (id); create table items_1 partition of items default"])
@pytest.mark.parametrize("renamed", [False, True])
def test_a_cast_that_a_user_made_for_the_type_of_a_key_is_not_called_by_capture(crm: Node, table: str, renamed: bool) -> None:
    owner = role(crm)
    crm.sql(
        f"""create table loot (who text); grant insert on loot to public; grant create on schema public to {owner};
            {table}; alter type color owner to {owner}; alter table items owner to {owner}; select rowferry.attach('items')"""
    )
    if table != COLOR:
        crm.sql(f"alter table items_1 owner to {owner}")
    body = "language plpgsql as $$ begin insert into public.loot values (current_user); return 'x'; end $$"
    with as_role(crm, owner) as connection:
        if not renamed:
            connection.execute(f"create function shown(color) returns text {body}")
            connection.execute("create cast (color as text) with function shown(color)")
            connection.execute("insert into items values ('red'); update items set id = 'blue'; delete from items")
            assert rows(crm, "select event_type, record_id from rowferry.events") == [
                *("(d,blue)", "(d,red)", "(i,blue)", "(i,red)"),
            ]
        else:
            connection.execute(
                f"""create type evil as (x int); create function shown(evil) returns text {body};
                    create cast (evil as text) with function shown(evil) as implicit;
                    alter table items rename id to id2; alter table items add id evil"""
            )
            with pytest.raises(psycopg.Error, match="a key column of a table kept in sync was altered") as caught:
                connection.execute("insert into items (id2, id) values ('red', row(1)::evil)")
            assert (caught.value.sqlstate, "detach" in str(caught.value.diag.message_hint)) == ("RF010", True)
            # Another type of the name that the key's had.
            connection.execute("alter type color rename to color2; alter type evil rename to color")
            connection.execute("insert into items (id2, id) values ('red', row(1)::color)")
            connection.execute("update items set id = row(2)::color")
    assert crm.sql("select * from loot") == []


def test_an_update_says_which_column_it_misses_and_goes_on_once_it_is_back(crm: Node) -> None:
    crm.sql(ITEMS)
    assert captured(crm, "alter table items rename v to w", "insert into items values (3, 'c')") == ["i 3"]
    with pytest.raises(psycopg.Error, match="a column of a table kept in sync was renamed or dropped") as caught:
        crm.sql("update items set w = 'x'")
    assert (caught.value.sqlstate, "rowferry.detach('items')" in str(caught.value.diag.message_hint)) == ("RF010", True)
    assert captured(crm, "alter table items rename w to v", "update items set v = 'x' where id = 1") == ["u 1"]
