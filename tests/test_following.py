"""Rows that follow a filtered parent: attach(p_within => ..)."""

import random

import pytest

from harness import Nodes
from harness.comparing import compared, differences, unseen
from harness.courier import Courier
from harness.exchange import refused_with, rows, sync, waiting
from harness.roles import role

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
