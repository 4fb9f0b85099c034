"""No index over the child's foreign key, 10,000,000 children: the look for followers of ONE order without any line runs into the statement_timeout of the real worker,
in each call, so nothing of any table travels any more from this node; nobody is told of the index."""
import time
from harness import Nodes
from harness.worker import worker
from harness.exchange import rows
TABLES = """create table orders (id integer primary key, country text, note text); create table lines (id integer primary key, order_id integer not null, item text); create table other (id int primary key)"""

def test_it(nodes: Nodes, tmp_path) -> None:
    for node in nodes:
        node.sql(TABLES)
    crm = nodes.crm
    crm.sql("insert into orders select n, 'DE' from generate_series(1, 1000) n")
    crm.sql("insert into lines select n, 2 + n % 900, null from generate_series(1, 10000000) n")
    crm.sql("vacuum analyze lines")
    for node in nodes:
        node.sql("alter table lines add foreign key (order_id) references orders")
        f = node.name == "crm"
        print("attach", node.sql("select rowferry.attach('orders', p_filter => %s)", ["country = 'CH'" if f else None]))
        print("attach", node.sql("select rowferry.attach('lines', p_within => %s)", ["orders" if f else None]))
        node.sql("select rowferry.attach('other')")
    for r in crm.sql("select severity, object, problem from rowferry.check() where severity <> 'info'"): print("check", r)
    log = tmp_path / "log"
    with worker(nodes, log):
        time.sleep(5)
        crm.sql("insert into other values (0)")
        time.sleep(2)
        print("before", rows(nodes.billing, "select * from other"))
        crm.sql("update orders set country = 'CH' where id = 1")   # an order without lines
        crm.sql("insert into other values (1)")
        time.sleep(45)
        for r in crm.sql("select * from rowferry.why_stuck()"): print("stuck", r)
        print("after", rows(nodes.billing, "select * from other"))
    print(log.read_text()[-2500:])
    assert rows(nodes.billing, "select * from other") == ["(0)", "(1)"]
