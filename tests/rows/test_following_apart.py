"""Rows that follow a filtered parent, where both nodes change them: conflicts, deletes and what a person gives up."""

import random

import pytest

from harness import Nodes
from harness.courier import Courier
from harness.exchange import rows, sync, waiting
from harness.following import SWISS, TABLES, install, there


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
    [held] = nodes.billing.sql("select last_error, hint from rowferry.sync_events")
    assert held["last_error"] == "the other node has a row of this key that is outside of its filter, and so its own"
    assert "(only rows whose row of public.orders is kept in sync are)" in held["hint"]
    assert nodes.billing.sql("select type_next from rowferry.why_stuck()") == [{"type_next": held["hint"]}]
    [status] = nodes.crm.sql("select state, detail from rowferry.row_status('lines', '21')")
    assert status["state"] == "outside of the filter"
    assert "only rows whose row of public.orders is kept in sync are;" in status["detail"]
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
    assert state.endswith("the same goes for the rows that follow it") == follows
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
