"""The table visits, kept in sync on two nodes: its owner, who attaches it and who writes it have the rights of any user.

The clock stands still, so that nothing is tried again but because something has changed, and one courier goes through all of it.
"""

from __future__ import annotations

from typing import NamedTuple

from harness import Node, Nodes, wait_until
from harness.attached import state
from harness.clock import stop_clocks
from harness.comparing import Carrier, compared, found
from harness.exchange import assert_equal, waiting
from harness.roles import as_role, role

VISITS = """
    create table public.visits (id integer primary key, name text, n integer not null default 0);
    grant all on public.visits to {user}"""
SPLIT = """
    create table public.visits (id integer primary key, name text, n integer not null default 0) partition by range (id);
    create table public.visits_1 partition of public.visits for values from (0) to (100);
    create table public.visits_2 partition of public.visits default;
    grant all on public.visits to {user}"""

# The tests' own clock and server are none of it.
WRONG = "severity <> 'info' and object <> 'rowferry._now()' and problem !~ 'MERGE'"


class Roles(NamedTuple):
    """Of one node: whose the table is, who attaches it, who writes it."""

    owner: str
    dba: str
    user: str


class Visits(NamedTuple):
    """Two nodes with the table visits in sync, and the courier that carries between them."""

    nodes: Nodes
    roles: dict[str, Roles]
    carrier: Carrier

    def dba(self, node: Node, script: str) -> list[str]:
        """What attach() says, in one transaction with the rest of the script."""
        with as_role(node, self.roles[node.name].dba) as connection:
            cursor = connection.execute(f"begin; {script}; commit")  # type: ignore[call-overload]
            said = []
            while True:
                if cursor.description:
                    said += [row[0] for row in cursor.fetchall()]
                if not cursor.nextset():
                    return said

    def user(self, node: Node, statement: str) -> None:
        with as_role(node, self.roles[node.name].user) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def rest(self) -> None:
        """Rounds until neither node has anything that it can still do."""
        wait_until(lambda: all(answer["status"] == "idle" for answer in self.carrier.round()), 30, "both nodes are idle")


def keep_visits(nodes: Nodes, table: str = VISITS, attach: str = "'visits'") -> Visits:
    """The table on both nodes, with twenty rows that both have; `attach`: what attach() is given."""
    roles = {}
    stop_clocks(nodes)
    for node in nodes:
        owner, dba, user = role(node), role(node), role(node)
        roles[node.name] = Roles(owner, dba, user)
        node.sql(
            f"grant create on schema public to {owner}; set role {owner}; {table.format(user=user)}; reset role;"
            f" grant {owner}, rowferry_owner to {dba}; set role {dba}; select rowferry.attach({attach})"
        )
    visits = Visits(nodes, roles, Carrier(nodes))
    visits.user(nodes.crm, "insert into visits select i, 'name ' || i, i from generate_series(1, 20) i")
    visits.rest()
    assert len(assert_equal(nodes, "visits")) == 20
    return visits


def is_well(visits: Visits) -> None:
    """Both tables hold the same by their own comparison, nothing waits, and nothing is wrong with either node."""
    for node in visits.nodes:
        assert waiting(node) == []
        assert node.sql("select * from rowferry.drift() where object <> 'rowferry._now()'") == []
        assert node.sql(f"select * from rowferry.check() where {WRONG}") == []
        assert state(node)[0] == "idle", state(node)
    assert {key: value for key, value in found(compared(visits.nodes, "visits")).items() if key != "same" and value} == {}


AGAIN = "select rowferry.attach('visits')"
