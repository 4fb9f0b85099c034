"""Parents, children and toys that refer to each other, and a courier whose calls are counted."""

from collections.abc import Callable
from typing import Any

from harness import Nodes
from harness.clock import advance, stop_clocks
from harness.courier import Courier
from harness.exchange import rows, waiting

FAMILY = """
create table parents (id integer primary key, body text check (body <> 'bad' or current_database() ~ 'crm'));
create table children (id integer primary key, parent_id integer references parents);
create table toys (id integer primary key, child_id integer references children);
select rowferry.attach(t) from unnest(array['parents', 'children', 'toys']) t
"""
REFUSED = "select coalesce(sum(refused), 0)::integer as n from rowferry.traffic where direction = 'sent'"
HELD = "select count(*)::integer as n from rowferry.held_events"
FREE = "select count(*)::integer as n from rowferry.events where id not in (select event_id from rowferry.held_events)"
AGAIN = "alter table parents drop constraint parents_body_check"


class Exchange:
    """A courier whose calls are counted, and the clock of both nodes, which stands still unless it is put on."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        stop_clocks(nodes)
        for node in nodes:
            node.sql(
                f"alter database {node.database} set deadlock_timeout = '60s'"
            )  # however busy this machine is, no batch shrinks
        self.courier = Courier(nodes)
        for connection in self.courier.connections.values():
            connection.execute("set statement_timeout = '60s'")
        self.crm, self.billing = self.courier.meet(nodes)
        self.calls = 0

    def call(self) -> None:
        crm, billing = self.courier.call(self.nodes.crm, self.billing), self.courier.call(self.nodes.billing, self.crm)
        self.crm, self.billing = crm["envelope"], billing["envelope"]
        self.calls += 1

    def until(self, done: Callable[[], bool], most: int = 60) -> int:
        """How many calls it took."""
        for calls in range(most):
            if done():
                return calls
            self.call()
        assert done(), waiting(self.nodes.crm)[:9]
        return most

    def rest(self, calls: int = 8) -> None:
        for _ in range(calls):
            self.call()

    def later(self, seconds: int) -> None:
        advance(self.nodes, seconds)

    @property
    def refused(self) -> int:
        return number(self.nodes, REFUSED)

    def all_held(self) -> bool:
        return number(self.nodes, FREE) == 0

    def delivered(self) -> bool:
        return waiting(self.nodes.crm) == []


def number(nodes: Nodes, query: str) -> int:
    """The one number of a query on crm."""
    return int(nodes.crm.sql(query)[0]["n"])


def equal(nodes: Nodes, *tables: str) -> None:
    """These tables have the same rows on both nodes."""
    for table in tables:
        assert rows(nodes.crm, f"select * from {table}") == rows(nodes.billing, f"select * from {table}")


def why(nodes: Nodes) -> list[dict[str, Any]]:
    """What waits on crm without being an error."""
    return nodes.crm.sql("select * from rowferry.why_stuck() where severity = 'warning'")
