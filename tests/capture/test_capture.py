"""What the triggers write, and what nobody can make them leave out."""

import psycopg
import pytest

from harness import Node, Nodes
from harness.captured import EVENTS, captured
from harness.exchange import rows, sync, waiting


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


COLUMNS = ("n", "o", "c", "r", "w", "f", "missing", "record_id", "image", "is_within", "n_seen", "tg_relid", "50%s")


@pytest.mark.case(30, 35)
@pytest.mark.parametrize(
    ("more", "rules"),
    [
        (("v_now", "v_keys"), ""),
        (("v_now", "v_keys"), """, p_columns => '["id", "n", "v_now", "c", "50%s"]'"""),
        ((), ", p_filter => 'n is not null'"),
    ],
    ids=["all", "some", "filter"],
)
def test_no_column_is_taken_for_what_has_its_name_in_the_capture_function(crm: Node, more: tuple[str, ...], rules: str) -> None:
    columns = ", ".join(f'"{name}" text' for name in (*COLUMNS, *more))
    crm.sql(f"create table items (id int primary key, {columns})")
    crm.sql("insert into items (id, n) values (1, 'x'), (2, 'x')")
    crm.sql(f"select rowferry.attach('items'{rules})")
    for name in ("n", "c", "50%s", *more[:1]):
        assert captured(crm, f"update items set \"{name}\" = 'y' where id = 1") == ["u 1"], name
        assert sorted(captured(crm, f"update items set \"{name}\" = 'z'")) == ["u 1", "u 2"], name
    assert captured(crm, "update items set n = n where id = 1") == []
    assert sorted(captured(crm, "update items set id = 3 where id = 2")) == ["d 2", "i 3"]
    crm.sql("alter table items drop c, drop is_within")
    assert captured(crm, "update items set n = 'w' where id = 1") == ["u 1"]


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


@pytest.mark.parametrize("columns", [30, 31, 200])
def test_a_table_of_many_columns_goes_on_without_one_of_them(crm: Node, columns: int) -> None:
    """With a filter, so that each column is compared by itself; a name with a percent sign and quotes is one of them."""
    names = ["id", *(f"c{number}" for number in range(columns - 2)), '"50%s ""off"" $1"']
    crm.sql(f"create table items ({' int, '.join(names)} int, primary key (id))")
    crm.sql("insert into items (id, c1) values (1, 1), (2, -1); select rowferry.attach('items', p_filter => 'c1 > 0')")
    assert captured(crm, "update items set c2 = 1") == ["u 1"]
    assert captured(crm, 'update items set "50%s ""off"" $1" = 1', "update items set c2 = c2") == ["u 1"]
    assert captured(crm, "alter table items drop column c3", "update items set c4 = 1 where id = 1") == ["u 1"]
    assert captured(crm, "update items set c4 = c4", "delete from items") == ["d 1"]


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


@pytest.mark.case(35)
def test_a_name_cannot_leave_the_comment_that_shows_the_way_out(crm: Node) -> None:
    crm.sql("create table items (id int primary key, v text)")
    name = "a*/ b /* c'd/*/ %s"
    crm.sql("select rowferry.attach('items', p_entity => %s)", [name])
    assert captured(crm, "insert into items values (1)", "update items set v = 'x'", "delete from items") == ["i 1", "u 1", "d 1"]
