"""Rows that follow a filtered parent, attach(p_within => ..): which of them travel, come and go with it."""

import pytest

from harness import Nodes
from harness.comparing import compared, differences, unseen
from harness.courier import Courier
from harness.exchange import rows, sync, waiting
from harness.following import SWISS, TABLES, fill, install, there
from harness.roles import role


def test_rows_travel_with_a_parent_within_the_filter(nodes: Nodes) -> None:
    install(nodes)
    fill(nodes)
    sync(*nodes)
    assert there(nodes) == ["orders (1)", "orders (3)", "lines (11)", "lines (12)", "payments (111)"]
    assert waiting(nodes.crm) == []


def test_a_parent_that_enters_brings_what_follows_it_and_one_that_leaves_takes_it_along(nodes: Nodes) -> None:
    install(nodes)
    fill(nodes)
    sync(*nodes)
    nodes.crm.sql("update orders set country = 'CH' where id = 2")
    assert waiting(nodes.crm) == ["moved orders 2"]
    sync(*nodes)
    assert there(nodes)[-1] == "payments (211)" and "lines (21)" in there(nodes)
    nodes.crm.sql("update orders set country = 'FR' where id = 1")
    sync(*nodes)
    assert there(nodes) == ["orders (2)", "orders (3)", "lines (21)", "payments (211)"]
    assert waiting(nodes.crm) == []


@pytest.mark.parametrize("both", [False, True])
def test_a_row_that_moves_to_another_parent_comes_or_goes(nodes: Nodes, both: bool) -> None:
    install(nodes, both)
    fill(nodes)
    sync(*nodes)
    nodes.crm.sql("update lines set order_id = 2 where id = 11")
    nodes.crm.sql("update lines set order_id = 3 where id = 21")
    sync(*nodes)
    assert there(nodes) == ["orders (1)", "orders (3)", "lines (12)", "lines (21)", "payments (211)"]
    assert waiting(nodes.crm) == []


def test_what_is_written_outside_sends_nothing(nodes: Nodes) -> None:
    install(nodes)
    fill(nodes)
    nodes.crm.sql("insert into lines select 1000 + n, 1, 'x' from generate_series(1, 150) n")
    sync(*nodes)
    nodes.crm.sql("insert into lines select 10000 + n, 2, 'y' from generate_series(1, 3000) n")
    nodes.crm.sql("update lines set item = 'z' where order_id = 2")
    courier = Courier(nodes)
    to_billing, to_crm = courier.meet(nodes)
    applied = 0
    for _ in range(30):
        crm, billing = courier.call(nodes.crm, to_crm), courier.call(nodes.billing, to_billing)
        to_crm, to_billing = billing["envelope"], crm["envelope"]
        applied += billing["applied"]
    assert (applied, waiting(nodes.crm)) == (0, [])
    assert nodes.crm.sql("select held_sqlstate from rowferry.entities where held_sqlstate is not null") == []


@pytest.mark.parametrize("on_delete", ["no action", "cascade"])
def test_a_parent_with_thousands_of_rows_that_follow_enters_and_leaves(nodes: Nodes, on_delete: str) -> None:
    install(nodes)
    for node in nodes:
        node.sql("alter table lines drop constraint lines_order_id_fkey")
        node.sql(f"alter table lines add foreign key (order_id) references orders on delete {on_delete}")
        node.sql("select rowferry.attach('lines'); select rowferry.attach('orders')")
        node.sql("select * from rowferry.set_breaker('lines', null); select * from rowferry.set_breaker('orders', null)")
        node.sql("select * from rowferry.set_breaker('payments', null)")
    nodes.crm.sql("insert into orders values (1, 'DE'), (2, 'CH')")
    nodes.crm.sql("insert into lines select n, 1, 'x' from generate_series(1, 25000) n")
    nodes.crm.sql("insert into payments select n, n, 1 from generate_series(1, 5000) n")
    sync(*nodes)
    assert there(nodes) == ["orders (2)"]
    nodes.crm.sql("update orders set country = 'CH' where id = 1")
    sync(*nodes)
    count = "select (select count(*) from orders), (select count(*) from lines), (select count(*) from payments)"
    assert rows(nodes.billing, count) == ["(2,25000,5000)"]
    nodes.crm.sql("update orders set country = 'FR' where id = 1")
    sync(*nodes)
    assert (rows(nodes.billing, count), waiting(nodes.crm)) == (["(1,0,0)"], [])
    assert rows(nodes.crm, count) == ["(2,25000,5000)"]
    assert nodes.crm.sql("select from rowferry.moves") == []


def test_a_parent_that_leaves_with_most_of_what_is_there_waits_for_a_person(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("insert into orders values (1, 'CH'), (2, 'CH')")
    nodes.crm.sql("insert into lines select n, 1 + (n > 900)::int, 'x' from generate_series(1, 1000) n")
    sync(*nodes)
    nodes.crm.sql("update orders set country = 'DE' where id = 1")
    sync(*nodes)
    assert nodes.crm.sql("select name from rowferry.entities where held_sqlstate = 'RF026'") == [{"name": "lines"}]
    assert rows(nodes.billing, "select count(*) from lines") == ["(1000)"]
    nodes.crm.sql("update orders set country = 'CH' where id = 1; select * from rowferry.approve('lines')")
    sync(*nodes)
    assert (rows(nodes.billing, "select count(*) from lines"), waiting(nodes.crm)) == (["(1000)"], [])


def test_a_parent_that_leaves_and_comes_back_is_no_loss(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("insert into orders values (1, 'CH')")
    nodes.crm.sql("insert into lines select n, 1, 'x' from generate_series(1, 1000) n")
    sync(*nodes)
    nodes.crm.sql("select * from rowferry.set_breaker('lines', null)")
    nodes.crm.sql("update orders set country = 'DE' where id = 1")
    courier = Courier(nodes)
    courier.meet(nodes)
    _, to_crm = courier.meet(nodes)
    courier.call(nodes.crm, to_crm, limit=1)
    assert "delete lines 1000" in waiting(nodes.crm)
    nodes.crm.sql("update orders set country = 'CH' where id = 1; delete from lines where id = 500")
    nodes.crm.sql("select * from rowferry.set_breaker('lines', 0.3, 100)")
    sync(*nodes)
    assert nodes.crm.sql("select from rowferry.entities where held_sqlstate = 'RF026'") == []
    assert (rows(nodes.billing, "select count(*) from lines"), waiting(nodes.crm)) == (["(999)"], [])


def test_a_delete_of_a_row_outside_is_not_superseded_by_an_update(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("insert into orders values (1, 'CH')")
    nodes.crm.sql("insert into lines select n, 1, 'x' from generate_series(1, 50) n")
    sync(*nodes)
    nodes.crm.sql("update orders set country = 'DE'")
    courier = Courier(nodes)
    courier.meet(nodes)
    _, to_crm = courier.meet(nodes)
    courier.call(nodes.crm, to_crm, limit=1)
    assert waiting(nodes.crm).count("delete lines 50") == 1
    for _ in range(5):
        nodes.crm.sql("update lines set item = item || '!'")
    sync(*nodes, limit=20)
    assert (there(nodes), waiting(nodes.crm)) == ([], [])


def test_backfill_and_comparison_know_what_follows(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(TABLES)
    fill(nodes)
    for node, filtered in ((nodes.crm, True), (nodes.billing, False)):
        node.sql("select rowferry.attach('orders', p_filter => %s)", [SWISS if filtered else None])
        node.sql("select rowferry.attach('lines', p_within => %s)", ["orders" if filtered else None])
        node.sql("select rowferry.attach('payments', p_within => %s)", ["lines" if filtered else None])
    for table in ("orders", "lines", "payments"):
        nodes.crm.sql(f"select rowferry.backfill('{table}')")
    sync(*nodes)
    assert there(nodes) == ["orders (1)", "orders (3)", "lines (11)", "lines (12)", "payments (111)"]
    there_alone = "insert into public.lines values (13, 1, 'only there')"
    unseen(nodes.billing, f"update public.lines set item = 'other' where id = 12; {there_alone}", "public.lines")
    compared(nodes, "lines")
    assert differences(nodes.crm) == ["different 12", "only_there 13"]
    nodes.crm.sql("select * from rowferry.repair('lines', 'crm', p_dry_run => false)")
    sync(*nodes)
    assert rows(nodes.billing, "select id, item from lines") == ["(11,a)", "(12,b)"]


def test_rows_of_the_peer_that_follow_none_here_are_refused(nodes: Nodes) -> None:
    install(nodes)
    fill(nodes)
    sync(*nodes)
    nodes.billing.sql("insert into payments values (300, null, 1), (301, 11, 2)")
    sync(*nodes)
    assert waiting(nodes.billing) == ["insert payments 300 23514"]
    assert rows(nodes.crm, "select id from payments") == ["(111)", "(211)", "(301)", "(999)"]
    hint = nodes.billing.sql("select hint from rowferry.sync_events")[0]["hint"]
    assert "(only rows of public.payments whose row of public.lines is kept in sync are)" in hint


def test_an_order_that_enters_or_leaves_moves_no_line_outside_of_its_own_filter(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(TABLES)
    nodes.billing.sql("insert into orders values (9, 'CH'); insert into lines values (21, 9, 'of billing')")
    for node in nodes:
        here = node.name == "crm"
        node.sql("select rowferry.attach('orders', p_filter => %s)", [SWISS if here else None])
        own = "item = 'in'" if here else None
        node.sql("select rowferry.attach('lines', p_within => %s, p_filter => %s)", ["orders" if here else None, own])
        node.sql("select rowferry.attach('payments')")
    nodes.crm.sql("insert into orders values (2, 'DE'); insert into lines values (21, 2, 'out'), (22, 2, 'in')")
    nodes.crm.sql("update orders set country = 'CH' where id = 2")
    sync(*nodes)
    assert rows(nodes.billing, "select id, item from lines") == ['(21,"of billing")', "(22,in)"]
    nodes.crm.sql("update orders set country = 'DE' where id = 2")
    sync(*nodes)
    nodes.crm.sql("update lines set item = 'in' where id = 21")
    nodes.crm.sql("update lines set item = 'out' where id = 21")
    sync(*nodes)
    assert rows(nodes.billing, "select id, item from lines") == ['(21,"of billing")']
    assert [waiting(node) for node in nodes] == [[], []]


@pytest.mark.parametrize(
    "change", ["rename order_id to parent_id", "alter order_id type bigint", "drop order_id", "alter order_id type text"]
)
def test_users_go_on_writing_when_the_foreign_keys_column_was_altered(nodes: Nodes, change: str) -> None:
    install(nodes)
    fill(nodes)
    sync(*nodes)
    nodes.crm.sql("alter table lines drop constraint lines_order_id_fkey")
    nodes.crm.sql(f"alter table lines {change}")
    nodes.crm.sql("update lines set item = 'z'; delete from payments")
    nodes.crm.sql("delete from lines where id = 11; update lines set id = 31 where id = 21")
    assert "delete lines 11" in waiting(nodes.crm)
    nodes.crm.sql("insert into lines (id) values (51)" if "drop" in change else "insert into lines values (51, '1', 'x')")


def test_owners_that_differ_and_plain_tables_in_partitions(nodes: Nodes) -> None:
    for node in nodes:
        first, second = role(node), role(node)
        node.sql(f"""
            create table orders (id integer primary key, country text, note text) partition by hash (id);
            create table orders_0 partition of orders for values with (modulus 2, remainder 0);
            create table orders_1 partition of orders for values with (modulus 2, remainder 1);
            create table lines (id integer primary key, order_id integer not null references orders, item text)
              partition by range (id);
            create table lines_0 partition of lines for values from (0) to (100);
            create table lines_1 partition of lines default;
            alter table orders owner to {first}; alter table lines owner to {second};
            grant references, select on orders to {second}""")
        node.sql("select rowferry.attach('orders', p_filter => %s)", [SWISS])
        node.sql("select rowferry.attach('lines', p_within => 'orders')")
    nodes.crm.sql(
        "insert into orders values (1, 'CH'), (2, 'DE'), (3, 'CH'); insert into lines values (11, 1), (21, 2), (121, 2)"
    )
    sync(*nodes)
    count = "select (select array_agg(id order by id) from orders), (select array_agg(id order by id) from lines)"
    assert rows(nodes.billing, count) == ['("{1,3}",{11})']
    nodes.crm.sql("update orders set country = case id when 2 then 'CH' else 'DE' end where id < 3")
    nodes.crm.sql("update lines set order_id = 3 where id = 121")
    sync(*nodes)
    assert rows(nodes.billing, count) == ['("{2,3}","{21,121}")']
    nodes.billing.sql("update lines set order_id = 2, item = 'b' where id = 121; update orders set country = 'DE' where id = 2")
    sync(*nodes)
    assert rows(nodes.crm, "select id from orders") == ["(1)", "(3)"]
    assert (waiting(nodes.crm), waiting(nodes.billing)) == ([], [])
    assert [row for row in nodes.crm.sql("select * from rowferry.check()") if row["severity"] == "error"] == []
    assert nodes.crm.sql("select * from rowferry.drift()") == []


def test_a_table_that_cannot_be_read_lets_its_parents_wait_and_no_others(nodes: Nodes) -> None:
    install(nodes)
    fill(nodes)
    sync(*nodes)
    nodes.crm.sql("alter table payments rename to paid; create table payments (id integer)")
    nodes.crm.sql("update orders set country = 'DE' where id = 1; update orders set note = 'x' where id = 3")
    sync(*nodes)
    assert nodes.crm.sql("select name from rowferry.entities where held_sqlstate is not null") == [{"name": "payments"}]
    assert rows(nodes.billing, "select id, note from orders") == ["(1,)", "(3,x)"]
    nodes.crm.sql("drop table payments; alter table paid rename to payments; select rowferry.attach('payments')")
    sync(*nodes)
    assert there(nodes) == ["orders (3)"]
