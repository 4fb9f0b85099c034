"""audit(): what became of every event, by numbers that both nodes keep on their own, and who tampers is named."""

from __future__ import annotations

from typing import Any

import pytest

from harness import Node, Nodes
from harness.courier import Courier
from harness.exchange import assert_equal, sync


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes with one table in sync; billing refuses a note that is empty."""
    for node in nodes:
        node.sql("create table notes (id integer primary key, body text); select rowferry.attach('notes')")
    nodes.billing.sql("alter table notes add check (body <> '')")
    return nodes


def audit(node: Node) -> dict[str, dict[str, Any]]:
    """Rows of audit() by what they are about, as a viewer sees them."""
    with node.connect() as connection:
        connection.execute("set role rowferry_viewer")
        found = connection.execute("select what, here, there, verdict, detail from rowferry.audit()").fetchall()
    return {row[0]: dict(zip(("here", "there", "verdict", "detail"), row[1:], strict=True)) for row in found}


def problems(node: Node) -> list[str]:
    return [what for what, row in audit(node).items() if row["verdict"] == "problem"]


def left(node: Node, *causes: str) -> list[int]:
    found = audit(node)
    return [found[f"events {cause}"]["here"] for cause in causes]


def clean(nodes: Nodes) -> bool:
    return all(row["verdict"] == "ok" for node in nodes for row in audit(node).values())


def test_what_was_taken_lost_skipped_and_coalesced_is_told_apart_and_adds_up(notes: Nodes) -> None:
    notes.crm.sql("insert into notes select n, 'a' from generate_series(1, 10) n")
    sync(*notes)
    assert left(notes.crm, "taken", "lost", "skipped", "coalesced", "pending") == [10, 0, 0, 0, 0]
    with notes.crm.connect(autocommit=False) as connection:
        connection.execute("insert into notes select n, 'never' from generate_series(100, 200) n")
        connection.rollback()
    notes.crm.sql("update notes set body = 'earlier' where id = 1")
    notes.billing.sql("update notes set body = 'later' where id = 1")
    for number in range(9):
        notes.crm.sql(f"update notes set body = 'b{number}' where id = 2")
    notes.crm.sql("insert into notes values (20, '')")
    sync(*notes)
    notes.crm.sql("select rowferry.skip(id, 'an empty note') from rowferry.sync_events where record_id = '20'")
    sync(*notes)
    assert clean(notes)
    # Lost on crm, or taken and of no effect there; the question that stands for the skipped event is taken too.
    taken, lost, skipped, coalesced = left(notes.crm, "taken", "lost", "skipped", "coalesced")
    assert (taken + lost, skipped, coalesced) == (10 + 1 + 1 + 1, 1, 8)
    assert audit(notes.crm)["events captured: all of these"]["here"] == 10 + 1 + 9 + 1 + 1
    assert notes.crm.sql("select body from notes where id = 1") == [{"body": "later"}]
    assert lost == 1


def test_what_waits_is_pending_and_no_problem(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    courier = Courier(notes)
    crm, _ = courier.meet(notes)
    found = audit(notes.crm)
    assert found["batches sent; taken by billing"] == {"here": 1, "there": 0, "verdict": "waits", "detail": None}
    assert found["events pending"]["verdict"] == "waits"
    answer = courier.call(notes.billing, crm)
    assert audit(notes.billing)["batches taken from crm; acknowledgement heard there"]["verdict"] == "waits"
    assert problems(notes.crm) == problems(notes.billing) == []
    courier.call(notes.crm, answer["envelope"])
    assert audit(notes.crm)["digest of batches 1 to 1"]["verdict"] == "ok"
    sync(*notes)
    assert clean(notes)


def test_lost_and_repeated_envelopes_and_two_couriers_are_no_problem(notes: Nodes) -> None:
    for round_ in range(6):
        notes.crm.sql(f"insert into notes select {round_} * 100 + n, 'a' from generate_series(1, 40) n")
        notes.billing.sql(f"insert into notes select 10000 + {round_} * 100 + n, 'b' from generate_series(1, 40) n")
        first, second = Courier(notes), Courier(notes)
        crm, billing = first.meet(notes)
        first.call(notes.billing, crm, limit=10)  # the answer is lost
        first.call(notes.billing, crm, limit=10)
        answer = first.call(notes.crm, billing, limit=10)
        first.call(notes.billing, answer["envelope"], limit=10)
        crm, billing = second.meet(notes)
        first.call(notes.crm, billing)
        second.call(notes.crm, billing)
        second.call(notes.billing, crm)
    sync(*notes)
    assert len(assert_equal(notes)) == 480
    assert clean(notes)
    assert left(notes.crm, "taken") == left(notes.billing, "taken") == [240]


def test_a_dry_run_and_a_call_that_failed_count_nothing(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    courier = Courier(notes)
    crm, _ = courier.meet(notes)
    answer = courier.call(notes.billing, crm)
    courier.call(notes.crm, answer["envelope"], dry_run=True)
    assert left(notes.crm, "taken", "pending") == [0, 1]
    courier.call(notes.crm, answer["envelope"])
    assert left(notes.crm, "taken", "pending") == [1, 0]


def test_events_given_up_by_a_detach_are_counted(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a'), (2, 'b'); select rowferry.detach('notes', p_force => true)")
    assert left(notes.crm, "detached", "pending") == [2, 0]
    assert problems(notes.crm) == []


def test_a_new_generation_keeps_the_sums_and_begins_the_digests_anew(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(*notes)
    notes.crm.sql("select rowferry.resync()")
    notes.crm.sql("insert into notes values (2, 'b')")
    sync(*notes)
    assert left(notes.crm, "taken") == [2]
    assert audit(notes.crm)["events that billing took in them"]["here"] == 1
    assert clean(notes)


# Tampering


@pytest.mark.parametrize("statement", ["delete from rowferry.events where record_id <= '3'", "truncate rowferry.events"])
def test_events_that_someone_removes_are_named_with_their_number(notes: Nodes, statement: str) -> None:
    notes.crm.sql("insert into notes select n, 'a' from generate_series(1, 3) n")
    notes.crm.sql(f"set session_replication_role = replica; set role rowferry_owner; {statement}")
    found = audit(notes.crm)
    assert found["events by hand"] == {
        "here": 3,
        "there": None,
        "verdict": "problem",
        "detail": "removed by no function of rowferry",
    }
    assert "3 in all, the last time by postgres" in found["events removed by hand"]["detail"]
    sync(*notes)
    assert problems(notes.billing) == ["problems that crm has noted"]
    notes.crm.sql("delete from rowferry.audit_problems")
    assert problems(notes.crm) == []


def test_a_batch_removed_from_what_was_sent_is_named_at_once(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    Courier(notes).meet(notes)
    notes.crm.sql("delete from rowferry.built_batches")
    found = audit(notes.crm)["batches sent; taken by billing"]
    assert (found["verdict"], found["detail"]) == ("problem", "1 are on their way, but built_batches knows of 0")


def test_an_acknowledgement_that_someone_alters_is_named_on_both_nodes_and_stops_nothing(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a'), (2, 'b')")
    courier = Courier(notes)
    crm, _ = courier.meet(notes)
    courier.call(notes.billing, crm)
    notes.billing.sql("update rowferry.taken_batches set ids = ids - int8multirange(int8range(2, 2, '[]'))")
    sync(*notes)
    assert problems(notes.crm) == ["digest of batches"]
    assert "batches 1 to 1" in audit(notes.crm)["digest of batches"]["detail"]
    assert problems(notes.billing) == ["problems that crm has noted"]
    assert notes.crm.sql("select reason from rowferry.status")[0]["reason"].endswith("select * from rowferry.audit()")
    notes.crm.sql("insert into notes values (3, 'c')")
    sync(*notes)
    assert len(assert_equal(notes)) == 3
    assert notes.crm.sql("select times from rowferry.audit_problems") == [{"times": 1}]
    with notes.crm.connect() as operator:
        operator.execute("set role rowferry_operator")
        operator.execute("delete from rowferry.audit_problems where what = 'digest of batches'")
    notes.crm.sql("insert into notes values (4, 'd')")
    sync(*notes)
    assert clean(notes)


def test_an_acknowledgement_that_is_missing_is_named_at_once(notes: Nodes) -> None:
    notes.crm.sql("insert into notes select n, 'a' from generate_series(1, 20) n")
    courier = Courier(notes)
    hello = courier.call(notes.crm)["envelope"], courier.call(notes.billing)["envelope"]
    first = courier.call(notes.crm, hello[1], limit=5)["envelope"]
    second = courier.call(notes.crm, limit=5)["envelope"]
    courier.call(notes.billing, first)
    courier.call(notes.billing, second)
    notes.billing.sql("delete from rowferry.taken_batches where number = 2")
    found = audit(notes.billing)["batches taken from crm; acknowledgement heard there"]
    assert (found["verdict"], found["detail"]) == ("problem", "an acknowledgement is missing in taken_batches")


def test_a_skip_without_its_reason_is_named(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, '')")
    sync(*notes)
    notes.crm.sql("select rowferry.skip(id, 'empty') from rowferry.sync_events")
    sync(*notes)
    assert problems(notes.crm) == []
    notes.crm.sql("delete from rowferry.skips")
    assert problems(notes.crm) == ["events skipped"]


def test_counting_that_was_turned_off_is_named(notes: Nodes) -> None:
    notes.crm.sql("alter table rowferry.events disable trigger rowferry_count_left")
    assert problems(notes.crm) == ["events that leave are counted"]


def test_audit_of_a_peer_that_is_none_says_which_there_are(notes: Nodes) -> None:
    with pytest.raises(Exception, match="no such peer"):
        notes.crm.sql("select * from rowferry.audit('nobody')")
