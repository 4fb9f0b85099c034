"""Orders of which one country's are kept in sync, and the lines and payments that follow them: attach(p_within => ..)."""

from harness import Nodes
from harness.exchange import rows

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
    """What billing has of the three tables: table and key."""
    tables = "orders", "lines", "payments"
    return [f"{table} {row}" for table in tables for row in rows(nodes.billing, f"select id from {table}")]


def fill(nodes: Nodes) -> None:
    """Two orders within the filter and one outside, with what follows them, and a payment that follows none."""
    nodes.crm.sql("insert into orders values (1, 'CH'), (2, 'DE'), (3, 'CH')")
    nodes.crm.sql("insert into lines values (11, 1, 'a'), (12, 1, 'b'), (21, 2, 'c')")
    nodes.crm.sql("insert into payments values (111, 11, 5), (211, 21, 6), (999, null, 7)")
