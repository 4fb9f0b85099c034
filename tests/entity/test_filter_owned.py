"""A filter on a table of a plain owner, with everything else that people do: the README's way of setting a table up."""

from __future__ import annotations

import pytest

from harness import Node, Nodes
from harness.exchange import rows, sync, waiting
from harness.roles import as_role, role

DDL = "create table orders (id integer primary key, country text, total integer)"
WITHIN = "select * from orders where country = 'CH'"
CAPTURE = [f"trigger rowferry_capture_{name}" for name in ("insert", "update", "delete")]


@pytest.fixture
def orders(nodes: Nodes) -> dict[str, str]:
    """The table on both nodes, of a plain owner each; who that is, by node."""
    owners = {}
    for node in nodes:
        owner = owners[node.name] = role(node)
        node.sql(f"grant usage, create on schema public to {owner}; set role {owner}; {DDL}")
        node.sql("select rowferry.attach('orders', p_filter => 'country = ''CH''')")
    return owners


def write(node: Node, owners: dict[str, str], *statements: str) -> None:
    with as_role(node, owners[node.name]) as user:
        for statement in statements:
            user.execute(statement)


def unseen(node: Node, statement: str) -> None:
    off, on = (", ".join(f"{mode} {trigger}" for trigger in CAPTURE) for mode in ("disable", "enable always"))
    node.sql(f"alter table orders {off}; {statement}; alter table orders {on}")


def well(nodes: Nodes) -> None:
    """Both nodes are content with all that was made, and nothing waits."""
    for node in nodes:
        assert [r for r in node.sql("select * from rowferry.check()") if r["severity"] != "info"] == []
        assert node.sql("select * from rowferry.drift()") == []
        assert waiting(node) == []
        assert node.sql("select * from rowferry.why_stuck()") == []


def equal_within(nodes: Nodes) -> list[str]:
    crm, billing = (rows(node, WITHIN) for node in nodes)
    assert crm == billing
    return crm


@pytest.mark.smoke
def test_rows_enter_and_leave(nodes: Nodes, orders: dict[str, str]) -> None:
    write(nodes.crm, orders, "insert into orders values (1, 'CH', 1), (2, 'DE', 2), (3, null, 3)")
    sync(*nodes)
    assert rows(nodes.billing, "select * from orders") == ["(1,CH,1)"]
    write(nodes.billing, orders, "insert into orders values (4, 'CH', 4)", "update orders set country = 'DE' where id = 1")
    write(nodes.crm, orders, "update orders set country = 'CH' where id = 2")
    sync(*nodes)
    assert equal_within(nodes) == ["(2,CH,2)", "(4,CH,4)"]
    assert rows(nodes.crm, "select * from orders where country is distinct from 'CH'") == ["(3,,3)"]
    well(nodes)


@pytest.mark.smoke
@pytest.mark.parametrize(
    "gone", ["delete from orders where country = 'CH'", "update orders set country = 'DE' where country = 'CH'"]
)
def test_the_breaker_counts_the_rows_within(nodes: Nodes, orders: dict[str, str], gone: str) -> None:
    """A fifth of the table is all that the peer has."""
    write(
        nodes.crm,
        orders,
        "insert into orders select i, case when i <= 200 then 'CH' else 'DE' end, i from generate_series(1, 1000) i",
    )
    sync(*nodes)
    write(nodes.crm, orders, gone)
    sync(*nodes)
    assert nodes.billing.sql("select count(*) from orders") == [{"count": 200}]
    [status] = nodes.crm.sql("select state, reason from rowferry.status")
    assert status["state"] == "held" and "200 of about 200 rows" in status["reason"]
    nodes.crm.sql("select * from rowferry.approve('orders')")
    sync(*nodes)
    assert nodes.billing.sql("select count(*) from orders") == [{"count": 0}]
    well(nodes)


def test_deletes_that_were_a_mistake_come_back(nodes: Nodes, orders: dict[str, str]) -> None:
    write(
        nodes.crm,
        orders,
        "insert into orders select i, case when i <= 200 then 'CH' else 'DE' end, i from generate_series(1, 1000) i",
    )
    sync(*nodes)
    write(nodes.crm, orders, "delete from orders where country = 'CH'")
    sync(*nodes)
    nodes.crm.sql("select * from rowferry.skip_deletes('orders', 'a mistake')")
    sync(*nodes)
    assert len(equal_within(nodes)) == 200
    well(nodes)


def test_rows_of_before_are_sent_and_compared_within_the_filter(nodes: Nodes, orders: dict[str, str]) -> None:
    for node in nodes:
        unseen(node, "insert into orders values (1, 'CH', 1), (2, 'CH', 2), (9, 'DE', 9)")
    unseen(nodes.crm, "insert into orders values (3, 'CH', 3), (4, 'DE', 4)")
    unseen(
        nodes.billing,
        """update orders set total = 20 where id = 2; update orders set total = 90 where id = 9;
            insert into orders values (5, 'CH', 5)""",
    )
    nodes.crm.sql("select * from rowferry.compare('orders')")
    sync(*nodes)
    kinds = "select record_id || ' ' || kind as found from rowferry.differences order by record_id"
    assert [row["found"] for row in nodes.crm.sql(kinds)] == ["2 different", "3 only_here", "5 only_there"]
    nodes.crm.sql("select * from rowferry.repair('orders', p_from => 'crm', p_dry_run => false)")
    sync(*nodes)
    assert equal_within(nodes) == ["(1,CH,1)", "(2,CH,2)", "(3,CH,3)"]
    unseen(nodes.crm, "insert into orders values (6, 'CH', 6)")
    nodes.crm.sql("select * from rowferry.backfill('orders')")
    sync(*nodes)
    assert len(equal_within(nodes)) == 4
    well(nodes)


def test_two_tables_that_were_both_filled_are_brought_together_within_the_filter(nodes: Nodes, orders: dict[str, str]) -> None:
    for node, total in zip(nodes, (10, 20), strict=True):
        unseen(node, f"insert into orders values (1, 'CH', {total}), (2, 'DE', {total}), ({total}, 'CH', 0)")
    nodes.crm.sql("select * from rowferry.first_contact('orders')")
    sync(*nodes)
    nodes.crm.sql(
        "select * from rowferry.first_contact('orders', p_only_here => 'here', p_only_there => 'there', p_different => 'there')"
    )
    sync(*nodes)
    assert equal_within(nodes) == ["(1,CH,20)", "(10,CH,0)", "(20,CH,0)"]
    assert [rows(node, "select total from orders where id = 2") for node in nodes] == [["(10)"], ["(20)"]]
    well(nodes)


def test_conflicts_are_decided_and_kept_where_one_side_left_the_filter(nodes: Nodes, orders: dict[str, str]) -> None:
    write(nodes.crm, orders, "insert into orders values (1, 'CH', 1), (2, 'CH', 2)")
    sync(*nodes)
    write(nodes.crm, orders, "update orders set total = 10 where id = 1")
    write(nodes.billing, orders, "update orders set total = 11 where id = 1", "update orders set total = 22 where id = 2")
    write(nodes.crm, orders, "update orders set country = 'DE' where id = 2")
    sync(*nodes)
    assert equal_within(nodes) == ["(1,CH,11)"]
    for node in nodes:
        found = node.sql("select record_id, winner, loser_row ->> 'total' as lost from rowferry.conflicts order by record_id")
        assert found == [{"record_id": "1", "winner": "billing", "lost": "10"}, {"record_id": "2", "winner": "crm", "lost": "22"}]
    well(nodes)
