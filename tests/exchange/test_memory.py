"""What a node remembers of the link is compared before anything is applied, and resync() begins anew."""

from __future__ import annotations

import pytest

from harness import Node, Nodes
from harness.courier import Courier
from harness.exchange import assert_equal, sync, waiting
from harness.identity import adopt_identity, share_identity
from harness.notes import RANKED, keep_notes

pytestmark = pytest.mark.smoke


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes that keep one table in sync."""
    return keep_notes(nodes, table=RANKED)


@pytest.mark.promise("R13")
def test_a_node_set_back_to_an_older_state_stops_the_link(nodes: Nodes) -> None:
    """Case 92. A restore keeps system identifier and database oid: only the numbers tell."""
    keep_notes(nodes, table=RANKED)
    share_identity(nodes)
    nodes.crm.sql("insert into notes values (1, 'a')")
    sync(nodes.crm, nodes.billing)
    maintenance = Node("crm", nodes.crm.server, "postgres")
    nodes.crm.close()  # a database that somebody uses cannot be copied
    maintenance.sql(f"create database {nodes.crm.database}_backup template {nodes.crm.database}")
    nodes.crm.sql("insert into notes values (2, 'b')")
    sync(nodes.crm, nodes.billing)
    nodes.crm.close()
    maintenance.sql(f"drop database {nodes.crm.database} with (force)")
    maintenance.sql(f"alter database {nodes.crm.database}_backup rename to {nodes.crm.database}")
    nodes.crm.sql("insert into notes values (3, 'c')")
    with pytest.raises(AssertionError, match="stopped"):
        sync(nodes.crm, nodes.billing)
    stopped = [row for node in nodes for row in node.sql("select state, reason from rowferry.status where state = 'stopped'")]
    assert stopped
    assert all("set back" in row["reason"] for row in stopped)
    assert waiting(nodes.crm) == ["insert notes 3"]
    for node in nodes:
        node.sql("select * from rowferry.resync()")
    sync(nodes.crm, nodes.billing)
    assert waiting(nodes.crm) == []
    nodes.billing.sql("select * from rowferry.backfill('notes')")
    sync(nodes.crm, nodes.billing)
    assert len(assert_equal(nodes)) == 3


@pytest.mark.promise("R13")
def test_a_copy_of_a_node_stops_the_link(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(notes.crm, notes.billing)
    name = f"{notes.crm.database}_copy"
    notes.crm.close()  # a database that somebody uses cannot be copied
    Node("crm", notes.crm.server, "postgres").sql(f"create database {name} template {notes.crm.database}")
    copy = Node("crm", notes.crm.server, name)
    try:
        with pytest.raises(AssertionError, match=r"not the one that was configured.* Let nobody write to it until"):
            sync(copy, notes.billing)
        adopt_identity(copy)
        copy.sql("update rowferry.links set stopped_at = null, stopped_reason = null")
        with pytest.raises(AssertionError, match="another database than before"):
            sync(copy, notes.billing)
    finally:
        Node("crm", notes.crm.server, "postgres").sql(f"drop database {name} with (force)")


def test_resync_on_one_node_is_followed_by_the_other(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(notes.crm, notes.billing)
    notes.crm.sql("insert into notes values (2, 'b')")
    assert notes.crm.sql("select generation, pending from rowferry.resync('billing')") == [{"generation": 2, "pending": 1}]
    sync(notes.crm, notes.billing)
    assert [node.sql("select generation from rowferry.links") for node in notes] == [[{"generation": 2}]] * 2
    assert len(assert_equal(notes)) == 2


def test_resync_ends_the_exchange_of_a_courier_at_work_so_that_it_opens_anew(notes: Nodes) -> None:
    courier = Courier(notes)
    crm, billing = courier.meet(notes)
    notes.crm.sql("select rowferry.resync('billing')")
    assert courier.call(notes.crm, billing)["status"] == "superseded"
    assert courier.call(notes.billing, crm)["status"] in ("moved", "idle")
