"""Steps that broke earlier protocols, each followed exactly: calls one by one, times chosen, sessions moved by hand."""

from __future__ import annotations

import pytest

from harness import Node, Nodes
from harness.clock import set_clocks, write_at
from harness.courier import Courier, carry_past_callers
from harness.exchange import sync, waiting
from harness.identity import share_identity
from harness.notes import PUT, keep_notes
from harness.outcome import both, conflicts


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes that keep one table in sync, and whose clocks the test sets."""
    set_clocks(nodes)
    return keep_notes(nodes)


def copied(node: Node, name: str) -> Node:
    """A copy of a node's database beside it, as a backup or a clone leaves it. The node's sessions are closed."""
    node.close()
    Node(node.name, node.server, "postgres").sql(f"create database {name} template {node.database}")
    return Node(node.name, node.server, name)


@pytest.mark.promise("R5")
@pytest.mark.case(90)
def test_an_acknowledgement_that_overtakes_a_batch_waits_for_it(notes: Nodes) -> None:
    courier = Courier(notes)
    to_billing, _ = courier.meet(notes)
    write_at(notes.billing, 8, PUT.format("b1"))
    first = courier.call(notes.billing, to_billing)
    assert first["sent"] == 1
    write_at(notes.billing, 0, PUT.format("b2"))
    second = courier.call(notes.billing)
    assert second["sent"] == 2  # the record with all its pending events
    taken = courier.call(notes.crm, first["envelope"])
    assert taken["applied"] == 1
    overtaking = courier.call(notes.billing, taken["envelope"])
    assert (overtaking["retired"], overtaking["sent"]) == (1, 0)
    write_at(notes.crm, 3, PUT.format("a1"))
    built = courier.call(notes.crm)
    assert built["sent"] == 1
    courier.call(notes.crm, overtaking["envelope"])
    late = courier.call(notes.crm, second["envelope"])
    decided = courier.call(notes.billing, built["envelope"])
    courier.call(notes.billing, late["envelope"])
    assert (late["conflicts"], decided["conflicts"]) == (1, 1)
    sync(*notes)
    assert both(notes) == [["(1,a1)"]] * 2
    assert conflicts(notes) == [["(crm,a1,b2)"]] * 2


@pytest.mark.promise("R3")
@pytest.mark.case(91)
def test_an_old_courier_that_comes_late_changes_nothing(notes: Nodes) -> None:
    write_at(notes.crm, 1, PUT.format("a1"))
    old = Courier(notes)
    held_back, _ = old.meet(notes)  # crm's batch
    new = Courier(notes)
    hello = new.call(notes.crm)["envelope"]
    new.call(notes.billing)
    write_at(notes.billing, 2, PUT.format("b1"))
    answer = new.call(notes.crm, new.call(notes.billing, hello)["envelope"])
    assert answer["conflicts"] == 1
    assert new.call(notes.billing, answer["envelope"])["retired"] == 1
    assert old.call(notes.billing)["status"] == "superseded"
    for late in (old.call(notes.billing, held_back), new.call(notes.billing, held_back)):
        assert (late["status"], late["applied"], late["envelope"]) == ("superseded", 0, None)
    assert both(notes) == [["(1,b1)"]] * 2
    sync(*notes)
    assert both(notes) == [["(1,b1)"]] * 2


@pytest.mark.promise("R3")
@pytest.mark.case(91)
def test_of_two_couriers_that_open_at_once_the_one_with_the_greater_token_goes_on(notes: Nodes) -> None:
    """Both read the same numbers and open one node each: no envelope of either is used until one has opened both."""
    notes.crm.sql(PUT.format("a1"))
    one, other = Courier(notes, number=5), Courier(notes, number=5)
    less, more = sorted((one, other), key=lambda courier: courier.token)
    from_crm = less.call(notes.crm)["envelope"]
    from_billing = more.call(notes.billing)["envelope"]
    assert less.call(notes.billing, from_crm)["status"] == "superseded"
    assert less.call(notes.crm, from_billing)["status"] == "superseded"
    assert more.call(notes.crm, from_billing)["sent"] == 1
    assert less.call(notes.crm)["status"] == "superseded"


@pytest.mark.promise("R13")
@pytest.mark.case(92)
def test_a_node_set_back_by_one_event_stops_before_an_old_acknowledgement_is_honoured(notes: Nodes) -> None:
    share_identity(notes)
    backup = copied(notes.crm, f"{notes.crm.database}_backup")
    try:
        notes.crm.sql("insert into notes values (1, 'taken')")
        lost = notes.crm.sql("select id from rowferry.sync_events")
        courier = Courier(notes)
        to_billing, _ = courier.meet(notes)
        assert courier.call(notes.billing, to_billing)["applied"] == 1  # the answer never arrives
        restored = Nodes(backup, notes.billing)
        backup.sql("insert into notes values (2, 'after the restore')")
        assert backup.sql("select id from rowferry.sync_events") == lost  # the id is used again
        with pytest.raises(AssertionError, match="stopped: this node was set back"):
            sync(*restored)
        assert waiting(backup) == ["insert notes 2"]
        assert backup.sql("select state from rowferry.status") == [{"state": "stopped"}]
        for node in restored:
            node.sql("select * from rowferry.resync()")
        notes.billing.sql("select * from rowferry.backfill('notes')")
        sync(*restored)
        assert both(restored) == [["(1,taken)", '(2,"after the restore")']] * 2
    finally:
        backup.close()
        Node("crm", backup.server, "postgres").sql(f"drop database {backup.database} with (force)")


@pytest.mark.promise("R13")
@pytest.mark.case(93)
def test_a_clone_that_reaches_the_same_numbers_stops_by_the_tags(notes: Nodes) -> None:
    share_identity(notes)
    clone = copied(notes.crm, f"{notes.crm.database}_clone")
    try:
        cloned = Nodes(clone, notes.billing)
        clone.sql("insert into notes values (1, 'of the clone')")
        Courier(cloned).meet(cloned)  # it builds its first batch, which goes nowhere
        notes.crm.sql("insert into notes values (2, 'of the original')")
        courier = Courier(notes)
        to_billing, _ = courier.meet(notes)
        assert courier.call(notes.billing, to_billing)["applied"] == 1
        numbers = "select built, acked, received from rowferry.links"
        assert clone.sql(numbers) == notes.crm.sql(numbers) == [{"built": 1, "acked": 0, "received": 0}]
        with pytest.raises(AssertionError, match="took a batch from another copy of this node"):
            sync(*cloned)
        assert waiting(clone) == ["insert notes 1"]
    finally:
        clone.close()
        Node("crm", clone.server, "postgres").sql(f"drop database {clone.database} with (force)")


@pytest.mark.case(94)
def test_a_person_who_calls_it_a_thousand_times_disturbs_nothing(notes: Nodes) -> None:
    carry_past_callers(notes)
    assert len(both(notes)[0]) == 50
    assert both(notes)[0] == both(notes)[1]


@pytest.mark.promise("R7")
@pytest.mark.case(102)
def test_a_conflict_that_one_node_decides_is_known_to_both(notes: Nodes) -> None:
    write_at(notes.crm, 1, PUT.format("a1"))
    write_at(notes.billing, 2, PUT.format("b1"))
    courier = Courier(notes)
    courier.call(notes.crm)
    courier.call(notes.billing)
    hello = courier.call(notes.crm)["envelope"]
    answer = courier.call(notes.crm, courier.call(notes.billing, hello)["envelope"])
    assert (answer["conflicts"], answer["sent"]) == (1, 0)  # crm's change has lost, so billing never sees it
    assert courier.call(notes.billing, answer["envelope"])["conflicts"] == 0
    assert conflicts(notes, "winner, winner_row ->> 'body', loser_row ->> 'body', decided_by") == [["(billing,b1,a1,crm)"]] * 2
    assert both(notes) == [["(1,b1)"]] * 2


@pytest.mark.promise("R6")
@pytest.mark.case(50)
def test_a_change_made_after_seeing_the_others_wins_before_anything_is_acknowledged(notes: Nodes) -> None:
    """Its sender has taken crm's change, which crm does not know yet: no conflict, although the clock says that it is older."""
    write_at(notes.crm, 3600, PUT.format("first"))
    courier = Courier(notes)
    crm, _ = courier.meet(notes)
    assert courier.call(notes.billing, crm)["applied"] == 1
    write_at(notes.billing, 0, PUT.format("second"))
    answer = courier.call(notes.crm, courier.call(notes.billing)["envelope"])
    assert (answer["applied"], answer["conflicts"]) == (1, 0)
    sync(*notes)
    assert both(notes) == [["(1,second)"]] * 2
    assert conflicts(notes) == [[], []]
