"""Rows that follow a filtered parent: attach(p_within => ..)."""

import random
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from harness import Nodes
from harness.comparing import compared, differences, unseen
from harness.courier import Courier
from harness.exchange import refused_with, rows, sync, waiting
from harness.nodes import REPO
from harness.roles import role
from harness.worker import PROGRAM

TABLES = """
create table orders (id integer primary key, country text, note text);
create table lines (id integer primary key, order_id integer not null references orders, item text);
create index on lines (order_id);
create table payments (id integer primary key, line_id integer references lines, amount numeric);
create index on payments (line_id)"""
SWISS = "country = 'CH'"


def install(nodes: Nodes, there: bool = False) -> None:
    """crm keeps the orders of one country in sync, with what follows them; billing all that comes, or the same."""
    for node in nodes:
        node.sql(TABLES)
        filtered = node.name == "crm" or there
        node.sql("select rowferry.attach('orders', p_filter => %s)", [SWISS if filtered else None])
        node.sql("select rowferry.attach('lines', p_within => %s)", ["orders" if filtered else None])
        node.sql("select rowferry.attach('payments', p_within => %s)", ["lines" if filtered else None])


def there(nodes: Nodes) -> list[str]:
    tables = "orders", "lines", "payments"
    return [f"{table} {row}" for table in tables for row in rows(nodes.billing, f"select id from {table}")]


def fill(nodes: Nodes) -> None:
    nodes.crm.sql("insert into orders values (1, 'CH'), (2, 'DE'), (3, 'CH')")
    nodes.crm.sql("insert into lines values (11, 1, 'a'), (12, 1, 'b'), (21, 2, 'c')")
    nodes.crm.sql("insert into payments values (111, 11, 5), (211, 21, 6), (999, null, 7)")


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
    assert "only rows of public.payments whose row of public.lines is kept in sync are kept in sync" in hint


def test_a_parent_that_enters_and_loses_a_conflict_brings_what_follows_it(nodes: Nodes) -> None:
    install(nodes)
    for node in nodes:
        node.sql("select * from rowferry.set_rules('orders', 'node:billing')")
    nodes.crm.sql("insert into orders values (2, 'DE', 'crm'); insert into lines values (21, 2, 'c')")
    nodes.crm.sql("insert into payments values (211, 21, 6)")
    sync(*nodes)
    nodes.billing.sql("insert into orders values (2, 'CH', 'billing')")
    courier = Courier(nodes)
    _, envelope = courier.meet(nodes)
    nodes.crm.sql("update orders set country = 'CH' where id = 2")
    assert courier.call(nodes.crm, envelope)["status"] == "moved"
    sync(*nodes)
    for table, expected in ("orders", ["(2,CH,billing)"]), ("lines", ["(21,2,c)"]), ("payments", ["(211,21,6)"]):
        assert [rows(node, f"select * from {table}") for node in nodes] == [expected, expected]
    assert [waiting(node) for node in nodes] == [[], []]


def test_a_row_outside_wins_no_conflict(nodes: Nodes) -> None:
    install(nodes)
    nodes.billing.sql("insert into orders values (1, 'CH')")
    nodes.crm.sql("insert into orders values (2, 'DE')")
    sync(*nodes)
    nodes.billing.sql("insert into lines values (21, 1, 'of billing'), (22, 1, 'of billing')")
    nodes.crm.sql("insert into lines values (21, 2, 'outside')")
    sync(*nodes)
    assert (waiting(nodes.billing), waiting(nodes.crm)) == (["insert lines 21 23514"], [])
    assert rows(nodes.crm, "select * from lines") == ["(21,2,outside)", '(22,1,"of billing")']
    hint = nodes.billing.sql("select hint from rowferry.sync_events")[0]["hint"]
    assert "only rows of public.lines whose row of public.orders is kept in sync" in hint
    assert [node.sql("select from rowferry.conflicts") for node in nodes] == [[], []]
    nodes.billing.sql("delete from lines where id = 21")
    nodes.crm.sql("update lines set item = 'still' where id = 21")
    sync(*nodes)
    assert [waiting(node) for node in nodes] == [[], []]
    assert rows(nodes.crm, "select * from lines where id = 21") == ["(21,2,still)"]


def test_both_nodes_decide_alike_of_a_row_that_was_written_before_its_parent_entered(nodes: Nodes) -> None:
    install(nodes)
    nodes.billing.sql("insert into orders values (1, 'CH')")
    nodes.crm.sql("insert into orders values (2, 'DE')")
    sync(*nodes)
    courier = Courier(nodes)
    to_billing, to_crm = courier.meet(nodes)
    to_crm = courier.call(nodes.billing, to_billing)["envelope"]
    with nodes.crm.connect() as entering:
        entering.execute("begin; update orders set country = 'CH' where id = 2")
        nodes.billing.sql("insert into lines values (21, 1, 'billing')")
        nodes.crm.sql("insert into lines values (21, 2, 'crm')")
        first = courier.call(nodes.crm, to_crm)  # says nothing of the line, which is outside
        entering.execute("commit")
    assert first["sent"] == 1
    second = courier.call(nodes.crm, to_crm)
    from_billing = courier.call(nodes.billing, None)
    assert (second["sent"], from_billing["sent"]) == (3, 1)
    to_crm = courier.call(nodes.billing, first["envelope"])["envelope"]
    courier.call(nodes.billing, second["envelope"])
    courier.call(nodes.crm, from_billing["envelope"])
    sync(*nodes)
    assert [rows(node, "select * from lines") for node in nodes] == [["(21,2,crm)"], ["(21,2,crm)"]]
    assert [waiting(node) for node in nodes] == [[], []]


def test_a_row_that_was_moved_outside_wins_no_conflict(nodes: Nodes) -> None:
    install(nodes)
    nodes.billing.sql("insert into orders values (1, 'CH')")
    nodes.crm.sql("insert into orders values (2, 'DE'), (3, 'DE'); insert into lines values (21, 2, 'outside')")
    sync(*nodes)
    nodes.billing.sql("insert into lines values (21, 1, 'of billing')")
    courier = Courier(nodes)
    _, envelope = courier.meet(nodes)
    nodes.crm.sql("update lines set order_id = 3 where id = 21")
    assert courier.call(nodes.crm, envelope)["refused"] == 1
    sync(*nodes)
    assert (waiting(nodes.billing), waiting(nodes.crm)) == (["insert lines 21 23514"], [])


def test_a_delete_goes_only_once_it_was_weighed(nodes: Nodes) -> None:
    """As if it came between the look at places and the batch."""
    install(nodes)
    nodes.crm.sql("insert into orders values (1, 'CH'), (2, 'DE'); insert into lines values (11, 1), (21, 2)")
    sync(*nodes)
    nodes.billing.sql("insert into lines values (21, 1, 'of billing')")
    sync(*nodes)
    source = nodes.crm.sql("select pg_get_functiondef('rowferry._weigh_places'::regproc) as ddl")[0]["ddl"]
    nodes.crm.sql("create or replace function rowferry._weigh_places(p_peer text) returns boolean language sql return false")
    nodes.crm.sql("delete from lines")
    for _ in range(60):  # of one record are to be coalesced
        nodes.crm.sql("insert into lines values (11, 2); delete from lines")
    sync(*nodes)
    assert rows(nodes.billing, "select id from lines") == ["(11)", "(21)"]
    with nodes.crm.connect() as connection:
        connection.execute(source)
    sync(*nodes)
    assert rows(nodes.billing, "select id from lines") == ["(21)"]
    assert waiting(nodes.crm) == []


@pytest.mark.parametrize("partitioned", [False, True])
@pytest.mark.parametrize("way", ["delete", "parent too", "cascade", "key", "move", "twice", "in one", "no parent"])
def test_nothing_is_deleted_there_for_a_row_that_was_outside(nodes: Nodes, way: str, partitioned: bool) -> None:
    """billing has a line of its own under that key, from before it was attached."""
    for node in nodes:
        node.sql(TABLES + "; alter table lines alter order_id drop not null")
        if partitioned and node.name == "crm":
            node.sql(
                "drop table lines cascade; create table lines (id integer primary key, order_id integer, item text)"
                " partition by hash (id); create table lines_0 partition of lines for values with (modulus 1, remainder 0)"
            )
        node.sql("alter table lines drop constraint if exists lines_order_id_fkey")
        node.sql("alter table lines add foreign key (order_id) references orders on delete cascade")
    nodes.billing.sql(
        "insert into orders values (1, 'CH'); insert into lines values (21, 1, 'of billing'), (23, 1, 'of billing')"
    )
    nodes.billing.sql("insert into payments values (211, 21, 1)")
    for node in nodes:
        here = node.name == "crm"
        node.sql("select rowferry.attach('orders', p_filter => %s)", [SWISS if here else None])
        node.sql("select rowferry.attach('lines', p_within => %s)", ["orders" if here else None])
        if not partitioned:
            node.sql("select rowferry.attach('payments', p_within => %s)", ["lines" if here else None])
    orders = "insert into orders values (2, 'DE'), (3, 'DE')"
    lines = "insert into lines values (21, 2, 'outside'), (22, 2, 'outside'), (23, null, 'outside')"
    if way != "in one":
        nodes.crm.sql(f"{orders}; {lines}")
        if not partitioned:
            nodes.crm.sql("insert into payments values (211, 21, 2)")
        sync(*nodes)
    payments = "" if partitioned else "delete from payments;"
    nodes.crm.sql(
        {
            "delete": f"{payments} delete from lines where id = 21",
            "parent too": f"{payments} delete from lines; delete from orders",
            "cascade": f"{payments} delete from orders",
            "key": f"{payments} update lines set id = 24 where id = 21",
            "move": "update lines set order_id = 3 where id = 21",
            "twice": f"{payments} update lines set order_id = 3 where id = 21; delete from lines where id = 21",
            "in one": f"{orders}; {lines}; update lines set item = 'x'; delete from lines; delete from orders where id = 2",
            "no parent": f"{payments} delete from lines where id = 23; update lines set order_id = null where id = 21",
        }[way]
    )
    sync(*nodes)
    assert rows(nodes.billing, "select id, item from lines") == ['(21,"of billing")', '(23,"of billing")']
    assert rows(nodes.billing, "select id from payments") == ["(211)"]
    assert [waiting(node) for node in nodes] == [[], []]


@pytest.mark.parametrize("partitioned", [False, True])
def test_a_row_that_was_kept_in_sync_is_deleted_there_wherever_it_is_deleted(nodes: Nodes, partitioned: bool) -> None:
    kept = "partition by hash (id)" if partitioned else ""
    for node in nodes:
        node.sql("create table orders (id bigint primary key, country text, note text)")
        node.sql(f"create table lines (id integer primary key, order_id integer references orders on delete cascade) {kept}")
        if partitioned:
            node.sql("create table lines_0 partition of lines for values with (modulus 1, remainder 0)")
        here = node.name == "crm"
        node.sql("select rowferry.attach('orders', p_filter => %s)", [SWISS if here else None])
        node.sql("select rowferry.attach('lines', p_within => %s)", ["orders" if here else None])
    nodes.crm.sql("insert into orders values (1, 'CH'), (2, 'DE'), (3, 'CH'), (4, 'CH'), (5, 'DE'), (6, 'CH'), (7, 'CH')")
    nodes.crm.sql("insert into lines select n, n / 10 from generate_series(10, 79) n")
    sync(*nodes)
    assert rows(nodes.billing, "select count(*) from lines") == ["(50)"]
    nodes.crm.sql("select * from rowferry.set_breaker('lines', null)")
    nodes.crm.sql(
        "delete from lines where id = 10; delete from orders where id = 1;"
        "update lines set order_id = 2 where id = 30; delete from lines where id = 30;"
        "delete from lines where id = 31; update orders set country = 'FR' where id = 3;"
        "update orders set country = 'FR' where id = 4; delete from lines where id in (40, 41); delete from orders where id = 4;"
        "delete from lines where id in (60, 61); insert into lines values (60, 5);"
        "update lines set id = 99 where id = 62; update lines set order_id = null where id = 63; delete from lines where id = 63"
    )
    sync(*nodes)
    within = "select l.id, l.order_id from lines l join orders o on o.id = l.order_id where country = 'CH'"
    assert rows(nodes.billing, "select id, order_id from lines") == rows(nodes.crm, within)
    assert len(rows(nodes.crm, within)) == 17
    assert [waiting(node) for node in nodes] == [[], []]


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


def test_what_was_kept_there_stays_when_it_is_deleted_here(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(TABLES)
        here = node.name == "crm"
        node.sql("select rowferry.attach('orders', p_filter_left => 'keep', p_filter => %s)", [SWISS if here else None])
        node.sql("select rowferry.attach('lines', p_filter_left => 'keep', p_within => %s)", ["orders" if here else None])
    nodes.crm.sql("insert into orders values (1, 'CH'); insert into lines values (11, 1, 'a')")
    sync(*nodes)
    nodes.crm.sql("update orders set country = 'DE'")
    sync(*nodes)
    nodes.crm.sql("delete from lines; delete from orders")
    sync(*nodes)
    assert (rows(nodes.billing, "select id from orders"), rows(nodes.billing, "select id from lines")) == (["(1)"], ["(11)"])
    assert [waiting(node) for node in nodes] == [[], []]


def test_a_table_that_only_receives_sends_nothing_when_its_parent_leaves(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(TABLES)
        here = node.name == "crm"
        node.sql("select rowferry.attach('orders', p_filter => %s)", [SWISS if here else None])
        direction = "receive" if here else "send"
        node.sql("select rowferry.attach('lines', p_within => %s, p_direction => %s)", ["orders" if here else None, direction])
    nodes.crm.sql("insert into orders values (1, 'CH')")
    sync(*nodes)
    nodes.billing.sql("insert into lines values (11, 1)")
    sync(*nodes)
    nodes.crm.sql("update orders set country = 'DE' where id = 1")
    sync(*nodes)
    assert waiting(nodes.crm) == ["delete orders 1 23503"]
    assert nodes.crm.sql("select from rowferry.entities where held_sqlstate is not null") == []
    hint, event = (nodes.crm.sql("select hint, id from rowferry.sync_events")[0][name] for name in ("hint", "id"))
    assert f"unless it has left the filter here: select * from rowferry.skip({event});" in hint
    nodes.crm.sql("select * from rowferry.skip(%s)", [event])
    sync(*nodes)
    assert [waiting(node) for node in nodes] == [[], []]


@pytest.mark.parametrize("change", ["p_filter_left => 'keep'", "p_direction => 'receive'"])
def test_a_parent_does_not_change_so_that_others_cannot_follow_it(nodes: Nodes, change: str) -> None:
    install(nodes)
    error = refused_with("RF013", nodes.crm, f"select rowferry.attach('orders', {change})")
    assert "In one transaction: select rowferry.attach('public.lines', p_within => '')" in error
    assert nodes.crm.sql("select filter_left, direction from rowferry.entities where name = 'orders'") == [
        {"filter_left": "delete", "direction": "both"}
    ]
    nodes.crm.sql("select rowferry.attach('payments', p_within => '')")
    again = f"p_within => 'orders', p_filter_left => 'keep'{', ' + change if 'direction' in change else ''}"
    nodes.crm.sql(
        f"select rowferry.attach('lines', p_within => ''); select rowferry.attach('orders', p_filter_left => 'keep');"
        f"select rowferry.attach('orders', {change}); select rowferry.attach('lines', {again})"
    )


@pytest.mark.parametrize("follows", [True, False])
def test_to_give_up_that_a_row_left_leaves_it_where_it_is(nodes: Nodes, follows: bool) -> None:
    if follows:
        install(nodes)
    else:
        for node in nodes:
            node.sql(TABLES)
            node.sql("select rowferry.attach('orders', p_filter => %s)", [SWISS if node.name == "crm" else None])
            node.sql("select rowferry.attach('lines'); select rowferry.attach('payments')")
    nodes.crm.sql("insert into orders values (1, 'CH'); insert into lines values (11, 1, 'a')")
    sync(*nodes)
    nodes.crm.sql("update orders set country = 'DE' where id = 1")
    state = nodes.crm.sql("select state from rowferry.skip((select id from rowferry.sync_events))")[0]["state"]
    assert state.startswith("given up with the next exchange; billing keeps its row, and this node its own")
    assert state.endswith("so it is with the rows that follow it") == follows
    sync(*nodes)
    assert [waiting(node) for node in nodes] == [[], []]
    assert (rows(nodes.crm, "select id, country from orders"), there(nodes)) == (["(1,DE)"], ["orders (1)", "lines (11)"])
    assert nodes.crm.sql("select kept, outcome from rowferry.skips") == [
        {"kept": True, "outcome": "billing keeps its row, and this node its own: different on purpose"}
    ]
    nodes.crm.sql("update orders set country = 'CH', note = 'back' where id = 1")
    sync(*nodes)
    assert rows(nodes.billing, "select * from orders") == ["(1,CH,back)"]
    assert nodes.crm.sql("select from rowferry.skips where ended_at is null") == []


def test_to_give_up_that_a_row_entered_leaves_it_and_what_follows_it_here(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("insert into orders values (2, 'DE'); insert into lines values (21, 2, 'a')")
    sync(*nodes)
    nodes.crm.sql("update orders set country = 'CH' where id = 2")
    nodes.crm.sql("select rowferry.skip((select id from rowferry.sync_events))")
    sync(*nodes)
    assert ([waiting(node) for node in nodes], there(nodes)) == ([[], []], [])
    nodes.crm.sql("update orders set note = 'now' where id = 2; update lines set item = 'b'")
    sync(*nodes)
    assert there(nodes) == ["orders (2)", "lines (21)"]


def test_filters_change_in_place(nodes: Nodes) -> None:
    install(nodes)
    fill(nodes)
    sync(*nodes)
    nodes.crm.sql("select rowferry.attach('orders', p_filter => %s)", ["country in ('CH', 'DE')"])
    assert [row for row in nodes.crm.sql("select * from rowferry.check()") if row["severity"] == "error"] == []
    for table in ("orders", "lines", "payments"):
        nodes.crm.sql(f"select rowferry.backfill('{table}')")
    sync(*nodes)
    assert there(nodes)[:4] == ["orders (1)", "orders (2)", "orders (3)", "lines (11)"]
    assert there(nodes)[4:] == ["lines (12)", "lines (21)", "payments (111)", "payments (211)"]
    nodes.crm.sql("select rowferry.attach('lines', p_within => ''); select rowferry.attach('payments', p_within => '')")
    nodes.crm.sql("update orders set country = 'FR' where id = 3")
    assert waiting(nodes.crm) == ["delete orders 3"]
    for table in ("payments", "lines", "orders"):
        nodes.crm.sql(f"select rowferry.detach('{table}', true)")


def test_a_table_that_others_follow_is_not_detached(nodes: Nodes) -> None:
    install(nodes)
    error = refused_with("RF011", nodes.crm, "select rowferry.detach('orders', true)")
    assert "rows of other tables follow" in error and "select rowferry.attach('public.lines', p_within => '');" in error


@pytest.mark.parametrize(
    ("prepare", "within", "state", "hint"),
    [
        ("select", "nothing", "RF013", "Attach the parent first"),
        ("alter table lines add other integer references orders", "orders", "RF013", "Name one of them"),
        ("select rowferry.attach('orders', p_filter => '')", "orders", "RF013", "Give it one first"),
        ("select rowferry.attach('lines', p_columns => '[\"id\", \"item\"]')", "orders", "RF013", "-- with them, on both nodes"),
        ("select rowferry.attach('orders', p_filter_left => 'keep')", "orders", "RF013", "p_filter_left"),
        (
            "create role stranger; alter table lines owner to stranger",
            "orders",
            "42501",
            "grant select on public.orders to stranger;",
        ),
    ],
)
def test_what_cannot_follow_is_refused(nodes: Nodes, prepare: str, within: str, state: str, hint: str) -> None:
    nodes.crm.sql(TABLES)
    nodes.crm.sql("select rowferry.attach('orders', p_filter => %s); ", [SWISS])
    nodes.crm.sql("alter table lines alter order_id drop not null; select rowferry.attach('lines')")
    nodes.crm.sql("drop role if exists stranger")
    nodes.crm.sql(prepare)
    assert hint in refused_with(state, nodes.crm, "select rowferry.attach('lines', p_within => %s)", [within])
    nodes.crm.sql("alter table lines owner to postgres; drop role stranger" if "stranger" in prepare else "select")


def test_who_is_not_told_to_follow_is_named(nodes: Nodes) -> None:
    nodes.crm.sql(TABLES)
    nodes.crm.sql("select rowferry.attach('orders', p_filter => %s)", [SWISS])
    said = [row["attach"] for row in nodes.crm.sql("select rowferry.attach('lines')")]
    assert said[-1].endswith("if they are to follow: select rowferry.attach('public.lines', p_within => 'orders');"), said
    fixes = "select fix from rowferry.check() where object = 'public.lines' and problem like '%are refused on%'"
    assert nodes.crm.sql(fixes) == [{"fix": "select rowferry.attach('public.lines', p_within => 'orders');"}]
    nodes.crm.sql("select rowferry.attach('lines', p_within => 'orders')")
    assert nodes.crm.sql(fixes) == []


@pytest.mark.parametrize("seed", range(3))
def test_whatever_both_sides_write_they_end_equal(nodes: Nodes, seed: int) -> None:
    install(nodes, there=True)
    for node in nodes:
        for table in ("orders", "lines", "payments"):
            node.sql("select * from rowferry.set_breaker(%s, null)", [table])
    rng = random.Random(seed)
    for step in range(60):
        side = rng.randrange(2)
        node, first = tuple(nodes)[side], 1 + side
        order, line = (rng.randrange(6) * 2 + first for _ in range(2))
        other = rng.randrange(6) * 2 + first
        country = rng.choice(["CH", "DE"])
        statement = rng.choice(
            [
                f"insert into orders values ({order}, '{country}') on conflict (id) do update set country = '{country}'",
                f"update orders set country = '{country}', note = '{step}' where id % 4 = {first}",
                f"insert into lines select {line}, id, '{step}' from orders where id % 2 = {first % 2} order by random() limit 1"
                " on conflict (id) do update set order_id = excluded.order_id, item = excluded.item",
                f"insert into payments select {other}, id, {step} from lines where id % 2 = {first % 2} order by random() limit 1"
                " on conflict (id) do update set line_id = excluded.line_id, amount = excluded.amount",
                f"update lines set order_id = {order}, item = '{step}'"
                f" where id = {line} and exists (select from orders where id = {order})",
                f"update payments set amount = {step}, line_id = null where id = {other}",
                f"delete from payments where id = {other}",
                f"delete from lines where id = {line} and not exists (select from payments where line_id = {line})",
                f"delete from orders where id = {order} and not exists (select from lines where order_id = {order})",
            ]
        )
        node.sql(statement)
        if rng.random() < 0.4:
            sync(*nodes, limit=rng.choice([1, 3, None]))
    sync(*nodes)
    assert (waiting(nodes.crm), waiting(nodes.billing)) == ([], [])
    within = {
        "orders": f"select * from orders where {SWISS}",
        "lines": f"select l.* from lines l join orders o on o.id = l.order_id where {SWISS}",
        "payments": "select p.* from payments p join lines l on l.id = p.line_id"
        f" join orders o on o.id = l.order_id where {SWISS}",
    }
    for table, query in within.items():
        crm, billing = (rows(node, query) for node in nodes)
        assert crm == billing, table


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


def slow(nodes: Nodes, entity: str, seconds: float) -> None:
    """Each look of crm's for rows of the entity that follow takes so long; 0: no longer."""
    function = f"rowferry.followers_{entity}"
    nodes.crm.sql(
        f"alter function {function} rename to look"
        if seconds
        else f"drop function {function}; alter function rowferry.look rename to followers_{entity}"
    )
    if seconds:
        nodes.crm.sql(
            f"""create function {function}(p_parents text[], p_after text, p_limit integer,
              out o_parents text[], out o_keys text[], out o_within boolean[])
            language plpgsql stable as $$
            begin
              perform pg_sleep({seconds});
              select l.* into o_parents, o_keys, o_within from rowferry.look($1, $2, $3) l;
            end $$;
            grant execute on function {function} to rowferry_owner"""
        )


def fill_many(nodes: Nodes, country: str, orders: int, lines: int, payments: int = 0) -> None:
    """So many orders, lines of each, payments of each line; and a table that has nothing to do with them."""
    for node in nodes:
        node.sql("create table other (id integer primary key); select rowferry.attach('other')")
    nodes.crm.sql("insert into orders select n, %s from generate_series(1, %s) n", [country, orders])
    nodes.crm.sql("insert into lines select n, 1 + n %% %s, 'x' from generate_series(1, %s) n", [orders, orders * lines])
    pay = "insert into payments select n, 1 + n %% %s, 1 from generate_series(1, %s) n"
    nodes.crm.sql(pay, [orders * lines, orders * lines * payments])
    sync(*nodes, limit=20000)


def calls(nodes: Nodes, count: int, timeout: str = "0") -> Iterator[dict[str, Any]]:
    """So many calls of each node, after they have met; what crm's returned, each in time."""
    courier = Courier(nodes)
    courier.connections["crm"].execute(f"set statement_timeout = '{timeout}'")
    to_billing = courier.meet(nodes)[0]
    to_crm = courier.call(nodes.billing, to_billing)["envelope"]
    for _ in range(count):
        answer = courier.call(nodes.crm, to_crm)
        to_crm = courier.call(nodes.billing, answer["envelope"])["envelope"]
        yield answer


MOVED = "select count(*)::integer as moved from rowferry.events where event_type = 'w'"
ALL = "select (select count(*) from orders), (select count(*) from lines), (select count(*) from payments)"


def test_each_call_looks_at_some_rows_however_long_that_takes_and_sends_others(nodes: Nodes) -> None:
    """A thousand rows have too many followers for one step, and each look takes longer than a call has for them."""
    install(nodes)
    fill_many(nodes, "DE", 1000, 6)
    slow(nodes, "lines", 0.11)
    nodes.crm.sql("update orders set country = 'CH'; insert into other values (1)")
    moved = [nodes.crm.sql(MOVED)[0]["moved"] for _ in calls(nodes, 4)]
    assert moved == sorted(set(moved), reverse=True)
    assert rows(nodes.billing, "select * from other") == ["(1)"]
    slow(nodes, "lines", 0)
    sync(*nodes, limit=20000)
    assert (rows(nodes.billing, ALL), waiting(nodes.crm)) == (["(1000,6000,0)"], [])


def test_a_portion_with_too_many_followers_of_its_own_is_made_smaller_for_the_next_call(nodes: Nodes) -> None:
    install(nodes)
    fill_many(nodes, "DE", 1, 6000, 2)
    slow(nodes, "payments", 0.11)
    nodes.crm.sql("update orders set country = 'CH'")
    keys = [nodes.crm.sql("select last_key from rowferry.moves") for _ in calls(nodes, 5)]
    assert (len(keys[0]), keys[-1]) == (1, [])
    slow(nodes, "payments", 0)
    sync(*nodes, limit=20000)
    assert (rows(nodes.billing, ALL), waiting(nodes.crm)) == (["(1,6000,12000)"], [])


def test_nothing_of_a_family_is_sent_before_all_that_moved_is_looked_at(nodes: Nodes) -> None:
    """So the breaker sees them all, although other tables go meanwhile."""
    install(nodes)
    for node in nodes:
        node.sql("select * from rowferry.set_breaker('orders', null)")
    fill_many(nodes, "CH", 300, 10)
    slow(nodes, "lines", 0.11)
    nodes.crm.sql("update orders set country = 'DE' where id > 30; insert into other values (1)")
    assert len(list(calls(nodes, 3))) == 3
    assert nodes.crm.sql(MOVED)[0]["moved"] > 200
    assert (rows(nodes.billing, ALL), rows(nodes.billing, "select * from other")) == (["(300,3000,0)"], ["(1)"])
    slow(nodes, "lines", 0)
    sync(*nodes)
    assert nodes.crm.sql("select name from rowferry.entities where held_sqlstate = 'RF026'") == [{"name": "lines"}]
    assert rows(nodes.billing, "select count(*) from lines") == ["(3000)"]
    nodes.crm.sql("select * from rowferry.approve('lines')")
    sync(*nodes)
    assert (rows(nodes.billing, ALL), waiting(nodes.crm)) == (["(30,300,0)"], [])


def test_a_row_with_many_followers_lets_others_that_moved_go(nodes: Nodes) -> None:
    install(nodes)
    fill_many(nodes, "DE", 1, 30000)
    nodes.crm.sql("insert into orders values (2, 'DE')")
    slow(nodes, "lines", 0.11)
    nodes.crm.sql("update orders set country = 'CH'")
    assert len(list(calls(nodes, 4))) == 4
    assert len(nodes.crm.sql("select from rowferry.moves")) == 1
    assert "orders (2)" in there(nodes)


@pytest.mark.parametrize("lines", [0, 3])
def test_a_look_that_runs_out_of_time_holds_its_family_and_no_other(nodes: Nodes, lines: int) -> None:
    install(nodes)
    nodes.crm.sql("drop index lines_order_id_idx")
    fill_many(nodes, "DE", 3, lines)
    slow(nodes, "lines", 60)
    nodes.crm.sql("update orders set country = 'CH' where id = 1; insert into other values (1)")
    assert [*calls(nodes, 3, "1s")][-1]["held"] == 1
    assert rows(nodes.billing, "select * from other") == ["(1)"]
    index = "create index concurrently on public.lines (order_id);"
    soon = "select name, held_until < now() + interval '20 s' as soon from rowferry.entities where held_sqlstate = '57014'"
    assert nodes.crm.sql(soon) == [{"name": "lines", "soon": True}]
    assert index in nodes.crm.sql("select reason from rowferry.status")[0]["reason"]
    stuck = nodes.crm.sql("select * from rowferry.why_stuck()")
    assert index in next(row["type_next"] for row in stuck if row["object"] == "entity lines")
    assert "pg_terminate_backend" not in str(stuck)
    slow(nodes, "lines", 0)
    nodes.crm.sql("update rowferry.entities set held_until = now() where name = 'lines'")  # as it is a little later
    sync(*nodes)
    assert (rows(nodes.billing, ALL), waiting(nodes.crm)) == ([f"(1,{lines},0)"], [])
    assert nodes.crm.sql("select name from rowferry.entities where held_attempts > 0") == []


def test_a_look_that_takes_most_of_a_call_lets_others_have_the_next_ones(nodes: Nodes) -> None:
    install(nodes)
    fill_many(nodes, "DE", 20, 1)
    slow(nodes, "lines", 0.6)
    nodes.crm.sql("update orders set country = 'CH'; insert into other values (1)")
    answers = [*calls(nodes, 3, "1s")]
    assert (rows(nodes.billing, "select * from other"), nodes.crm.sql(MOVED)) == (["(1)"], [{"moved": 19}])
    assert answers[-1]["held"] == 20  # with the row that follows the one of them
    slow(nodes, "lines", 0)
    nodes.crm.sql("select * from rowferry.retry('lines')")
    sync(*nodes)
    assert rows(nodes.billing, ALL) == ["(20,20,0)"]
    assert nodes.crm.sql("select name from rowferry.entities where held_attempts > 0") == []


def test_an_index_that_finds_the_rows_that_follow_is_asked_for(nodes: Nodes) -> None:
    nodes.crm.sql(TABLES)
    nodes.crm.sql("drop index lines_order_id_idx")
    nodes.crm.sql("select rowferry.attach('orders', p_filter => %s)", [SWISS])
    with nodes.crm.connect() as connection:
        warnings: list[tuple[str | None, str | None]] = []
        connection.add_notice_handler(lambda warning: warnings.append((warning.severity, warning.message_hint)))
        connection.execute("select rowferry.attach('lines', p_within => 'orders')")
        connection.execute("select rowferry.attach('payments', p_within => 'lines')")
    hint = "create index concurrently on public.lines (order_id);"
    assert warnings == [("WARNING", hint)]
    check = "select severity, object from rowferry.check() where fix = %s"
    assert nodes.crm.sql(check, [hint]) == [{"severity": "warning", "object": "public.lines"}]
    for index in "(item, order_id)", "(order_id) where item is null", "((order_id + 1))", "using brin (order_id)":
        nodes.crm.sql(f"create index on lines {index}")
        assert nodes.crm.sql(check, [hint])
    for index in "(order_id, item)", "(order_id desc) where order_id is not null", "using hash (order_id)":
        nodes.crm.sql(f"create index finds on lines {index}")
        assert nodes.crm.sql(check, [hint]) == []
        nodes.crm.sql("drop index finds")


def test_once_ends_when_all_that_a_move_brought_has_arrived(nodes: Nodes) -> None:
    install(nodes)
    for node in nodes:
        node.sql("select rowferry.set_breaker(e, null) from unnest(array['orders', 'lines']) e")
    fill_many(nodes, "CH", 2000, 10)
    nodes.crm.sql("update orders set country = 'DE'")
    done = subprocess.run([PROGRAM, "run", "--once"], env=nodes.env, cwd=REPO, capture_output=True, text=True, timeout=300)
    assert (done.returncode, rows(nodes.billing, ALL)) == (0, ["(0,0,0)"]), done.stderr


def test_once_tells_that_rows_that_moved_are_held(nodes: Nodes) -> None:
    install(nodes)
    fill(nodes)
    sync(*nodes)
    nodes.crm.sql("alter table payments rename to paid; create table payments (id integer)")
    nodes.crm.sql("update orders set country = 'DE' where id = 1")
    done = subprocess.run([PROGRAM, "run", "--once"], env=nodes.env, cwd=REPO, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "1 on crm" in done.stderr, done.stderr


def test_batches_of_rows_outside_grow(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("insert into orders values (1, 'DE')")
    sync(*nodes)
    before = nodes.crm.sql("select batch_limit from rowferry.links")[0]["batch_limit"]
    nodes.crm.sql("insert into lines select n, 1, 'x' from generate_series(1, 4000) n")
    courier = Courier(nodes)
    courier.meet(nodes)
    assert nodes.crm.sql("select keys from rowferry.built_batches") == [{"keys": before}]
    sync(*nodes, limit=20000)
    assert nodes.crm.sql("select batch_limit from rowferry.links")[0]["batch_limit"] > before
