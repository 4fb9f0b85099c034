"""`rowferry demo --star`: a hub and three spokes, each on a server of its own."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from rowferry.demo.children import DemoError
from rowferry.demo.run import Play, run
from rowferry.demo.screen import Node, Row, dim, heading, say
from rowferry.demo.telling import Telling
from rowferry.demo.worker import Worker

FOLDER = Path(__file__).resolve().parent / "four_nodes"
TABLES = """\
create table products (id integer primary key, name text not null, price numeric not null);
create table orders (
  id integer primary key, region text not null, product integer not null references products);"""
PRODUCTS = "select * from products order by id;"
ORDERS = "select * from orders order by id;"
WAITS = "select peer, state, pending, bytes from rowferry.status order by peer;"
COMPARED = """\
select entity, state, same, different, only_here, only_there
from rowferry.compare_runs order by run_id;"""
CONFLICTS = """\
select peer, record_id, winner_row ->> 'price' as kept, loser_row ->> 'price' as given_up
from rowferry.conflicts;"""


def main(_: object) -> int:
    """The exit code of run()."""
    return run(Play("Four PostgreSQL servers: a hub and three spokes", ("hub", "north", "south", "east"), FOLDER, Story))


class Story(Telling):
    """Four nodes."""

    def __init__(self, nodes: Sequence[Node], worker: Worker) -> None:
        super().__init__(nodes, worker)
        self.hub, self.north, self.south, self.east = nodes
        self.spokes = nodes[1:]

    def tell(self) -> None:
        self.install()
        self.attach()
        self.reach_all()
        self.filter()
        self.conflict()
        self.be_away()
        self.compare()

    def install(self) -> None:
        heading("Install rowferry on all four; alembic.ini says who is linked with whom")
        self.go_to(*(f"ROWFERRY_NODE_{node.name.upper()}" for node in self.nodes))
        self.worker.command("grep", "-A1", r"^\[links\]", "alembic.ini")
        self.worker.command("alembic", "upgrade", "head")
        self.worker.start()

    def attach(self) -> None:
        heading("Products are kept in sync with all, orders with the spoke of their region")
        self.hub.type(TABLES)
        say(dim("-- the same tables on north, south and east"))
        say()
        for node in self.spokes:
            node.rows(TABLES)
            for table in ("products", "orders"):
                how = f", p_filter => 'region = ''{node.name}'''" if table == "orders" else ""
                for where, peer in ((self.hub, node), (node, self.hub)):
                    statement = f"select rowferry.attach('{table}', p_peer => '{peer.name}'{how});"
                    if node is self.north and where is self.hub:
                        where.type(statement)
                        say()
                    else:
                        where.rows(statement)
        say(dim("-- the same for south and east; and each spoke attaches its two tables"))
        say()

    def reach_all(self) -> None:
        heading("A product that north makes reaches the hub, and through it south and east")
        self.change(self.north, "insert into products values (1, 'Tea', 4.50);", "INSERT 0 1")
        tea: list[Row] = [("1", "Tea", "4.50")]
        self.arrive(self.east, PRODUCTS, tea)
        for node in self.nodes:
            self.until(node, PRODUCTS, tea)

    def filter(self) -> None:
        heading("Each spoke has the orders of its region, also once an order moves")
        self.change(self.hub, "insert into orders values (1, 'north', 1), (2, 'south', 1), (3, 'east', 1);", "INSERT 0 3")
        self.arrive(self.north, ORDERS, [("1", "north", "1")])
        self.change(self.hub, "update orders set region = 'south' where id = 1;", "UPDATE 1")
        self.arrive(self.north, "select count(*) from orders;", [("0",)])
        self.see(self.south, ORDERS, [("1", "south", "1"), ("2", "south", "1")])

    def conflict(self) -> None:
        heading("Two spokes change one product while they are apart")
        self.settle()
        self.worker.stop()
        self.change(self.north, "update products set price = 5.00 where id = 1;", "UPDATE 1")
        self.change(self.south, "update products set price = 5.50 where id = 1;", "UPDATE 1")
        self.worker.start()
        say("The later change wins, on all four nodes; the hub keeps the row that was given up.\n")
        self.changed_at = time.monotonic()
        latest: list[Row] = [("1", "Tea", "5.50")]
        for node in self.nodes:
            self.until(node, PRODUCTS, latest)
        self.settle()
        self.arrive(self.east, PRODUCTS, latest)
        [(peer, *_), *_] = self.hub.rows(CONFLICTS)
        self.see(self.hub, CONFLICTS, [(peer, "1", "5.50", "5.00")])

    def be_away(self) -> None:
        heading("A spoke that is away: what waits for it stays, and the others go on")
        self.settle()
        say(dim("-- the server of east is stopped"))
        self.east.close()
        self.east.server.stop()
        self.change(self.hub, "insert into products select n, 'Tea ' || n, n from generate_series(2, 1000) n;", "INSERT 0 999")
        self.arrive(self.north, "select count(*) from products;", [("1000",)])
        self.until(self.south, "select count(*) from products;", [("1000",)])
        answer = self.hub.type(WAITS)
        say()
        if " 999 " not in answer:
            raise DemoError("the hub's status does not say that 999 events wait for east")
        say("If you set a limit, the link is cut beyond it, and what waits is given up:\n")
        self.hub.type("select * from rowferry.set_backlog_limit('east', '10 GB');")
        say()
        say(dim("-- the server of east is started again"))
        self.east.server.start_again()
        self.changed_at = time.monotonic()
        self.arrive(self.east, "select count(*) from products;", [("1000",)])

    def compare(self) -> None:
        heading("Are all nodes equal? One call compares each table of each spoke with the hub")
        self.settle()
        self.hub.type("select run_id, entity, peer from rowferry.compare_all();")
        say()
        equal: list[Row] = []
        for node in sorted(self.spokes, key=lambda node: node.name):
            orders = {"east": "1", "north": "0", "south": "2"}[node.name]
            equal += [
                (f"products@{node.name}", "finished", "1000", "0", "0", "0"),
                (f"orders@{node.name}", "finished", orders, "0", "0", "0"),
            ]
        self.see(self.hub, COMPARED, equal)
