"""Rows that follow a filtered parent: attach(p_within => ..)."""

import pytest

from harness import Nodes
from harness.exchange import rows, sync, waiting

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
    return [f"{table} {row}" for table in ("orders", "lines", "payments") for row in rows(nodes.billing, f"select id from {table}")]


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
