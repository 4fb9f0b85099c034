"""Partitioned tables: every write is captured, wherever it is made, and both nodes end with equal rows."""

import psycopg
import pytest

from harness import Node, Nodes
from harness.captured import EVENTS, SPLIT, captured
from harness.exchange import rows, sync, waiting
from harness.roles import as_role, role

pytestmark = pytest.mark.smoke


@pytest.fixture
def crm(nodes: Nodes) -> Node:
    return nodes.crm


@pytest.mark.case(27)
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


@pytest.mark.case(27)
def test_a_row_that_moves_to_another_partition_is_captured(crm: Node) -> None:
    crm.sql(SPLIT + "insert into split values ('a', 1, 1)")
    assert sorted(captured(crm, "update split set part = 2")) == ["d {1,1}", "i {1,2}"]
    crm.sql("create table other (id int primary key, part int) partition by list (id)")
    crm.sql(
        "create table other_1 partition of other for values in (1); create table other_2 partition of other for values in (2)"
    )
    crm.sql("select rowferry.attach('other'); insert into other values (1)")
    assert sorted(captured(crm, "update other set id = 2")) == ["d 1", "i 2"]


@pytest.mark.case(27)
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


@pytest.mark.case(27, 37)
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


@pytest.mark.case(27, 28)
def test_a_partition_that_is_added_later_refuses_truncate_once_its_table_is_attached_again(crm: Node) -> None:
    crm.sql(SPLIT)
    crm.sql("create table split_4 partition of split for values in (4); insert into split values ('x', 1, 4)")
    assert len(crm.sql("select rowferry.attach('split', p_dry_run => true)")) == 3
    crm.sql("select rowferry.attach('split')")
    with pytest.raises(psycopg.Error, match="cannot be truncated"):
        crm.sql("truncate split_4")
    assert crm.sql("select rowferry.attach('split', p_dry_run => true)") == []


@pytest.mark.case(27)
def test_a_partition_that_has_left_its_table_is_an_ordinary_table_again(crm: Node) -> None:
    crm.sql(SPLIT)
    crm.sql("insert into split values ('a', 1, 1), ('b', 1, 2); alter table split detach partition split_1; truncate split_1")
    assert captured(crm, "insert into split_1 values ('c', 1, 1)") == []
    crm.sql("alter table split detach partition split_2; select rowferry.detach('split')")
    assert crm.sql("select tgname from pg_trigger where tgname like 'rowferry%' and tgrelid <> 'rowferry.events'::regclass") == []


@pytest.mark.case(28)
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


LEFT = """create table parcels (id int generated always as identity, region text, v text,
      size int generated always as (length(v)) stored, primary key (id, region)) partition by list (region);
    create table parcels_n partition of parcels for values in ('n');
    create table parcels_rest partition of parcels default"""
RIGHT = """create table parcels (region text, size int generated always as (length(v) * 10) stored, v text,
      id int generated always as identity (start 1000), primary key (region, id)) partition by range (id);
    create table parcels_low partition of parcels for values from (minvalue) to (50) partition by hash (region);
    create table parcels_low_0 partition of parcels_low for values with (modulus 2, remainder 0);
    create table parcels_low_1 partition of parcels_low for values with (modulus 2, remainder 1);
    create table parcels_high partition of parcels default"""


@pytest.mark.case(27, 37)
def test_nodes_that_part_a_table_differently_end_equal_with_identity_and_generated_columns_of_their_own(nodes: Nodes) -> None:
    for node, table in ((nodes.crm, LEFT), (nodes.billing, RIGHT)):
        node.sql(f"{table}; select rowferry.attach('parcels')")
    synced = "select id, region, v from parcels"
    nodes.crm.sql(
        "insert into parcels (region, v) select case g % 3 when 0 then 'n' else 's' end, g from generate_series(1, 60) g"
    )
    nodes.billing.sql("insert into parcels (region, v) values ('n', 'from billing'), ('w', 'too')")
    sync(*nodes)
    assert rows(nodes.crm, synced) == rows(nodes.billing, synced)
    assert len(rows(nodes.crm, synced)) == 62
    # Straight into partitions, from one to another, and a key that moves between partitions on either side.
    # Before PostgreSQL 17 a partition draws no identity of its own.
    nodes.crm.sql("insert into parcels_n (id, region, v) overriding system value values (500, 'n', 'direct')")
    nodes.crm.sql("update parcels_rest set v = v || '!' where id < 5")
    nodes.crm.sql("update parcels set region = 'n' where id = 7; delete from parcels_n where id = 3")
    nodes.billing.sql("update parcels_low set region = 'x' where id between 10 and 20; delete from parcels_high where id = 55")
    nodes.billing.sql("insert into parcels_high (id, region, v) overriding system value values (2000, 'e', 'direct')")
    sync(*nodes)
    assert rows(nodes.crm, synced) == rows(nodes.billing, synced)
    assert waiting(nodes.crm) == waiting(nodes.billing) == []
    assert rows(nodes.crm, "select count(*) from parcels where size <> length(v)") == ["(0)"]
    assert rows(nodes.billing, "select count(*) from parcels where size <> length(v) * 10") == ["(0)"]
    assert rows(nodes.crm, "select id from parcels where region = 'n' and id = 7") == ["(7)"]


@pytest.mark.case(27)
def test_a_row_that_fits_no_partition_of_the_peer_is_held_until_there_is_one(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(
            "create table split (id int primary key, v text) partition by list (id);"
            " create table split_1 partition of split for values in (1); select rowferry.attach('split')"
        )
    nodes.crm.sql("create table split_2 partition of split for values in (2); insert into split values (1, 'a'), (2, 'b')")
    sync(*nodes)
    assert rows(nodes.billing, "select * from split") == ["(1,a)"]
    assert waiting(nodes.crm) == ["insert split 2 23514"]
    nodes.billing.sql("create table split_2 partition of split for values in (2)")
    nodes.crm.sql("select rowferry.retry(id) from rowferry.sync_events")
    sync(*nodes)
    assert rows(nodes.billing, "select * from split") == ["(1,a)", "(2,b)"]


@pytest.mark.case(27)
def test_rows_of_a_partition_that_joins_with_data_arrive_after_a_backfill(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(SPLIT)
    nodes.crm.sql("create table old (like split); insert into old values ('a', 1, 9), ('b', 2, 9)")
    nodes.crm.sql("alter table split attach partition old for values in (9)")
    nodes.billing.sql("create table split_9 partition of split for values in (9)")
    nodes.crm.sql("select rowferry.attach('split'); select * from rowferry.backfill('split')")
    sync(*nodes)
    assert rows(nodes.billing, "select id, part, v from split") == ["(1,9,a)", "(2,9,b)"]
    with pytest.raises(psycopg.Error, match="cannot be truncated"):
        nodes.crm.sql("truncate old")
