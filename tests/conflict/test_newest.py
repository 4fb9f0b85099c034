"""The rule newest: of two changes that did not know of each other the newer stays, and both nodes know both rows."""

from __future__ import annotations

import pytest

from harness import Nodes
from harness.clock import stop_clocks
from harness.exchange import assert_equal, sync
from harness.notes import RANKED, keep_notes

pytestmark = pytest.mark.smoke


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes that keep one table in sync."""
    return keep_notes(nodes, table=RANKED)


@pytest.mark.promise("R7")
def test_of_two_concurrent_changes_the_newer_stays_and_both_nodes_know_both_rows(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'old')")
    sync(notes.crm, notes.billing)
    notes.billing.sql("update notes set body = 'older' where id = 1")
    notes.crm.sql("update notes set body = 'newer' where id = 1")
    sync(notes.crm, notes.billing)
    assert assert_equal(notes) == ["(1,newer,)"]
    found = "select record_id, winner, rule, winner_row ->> 'body' as won, loser_row ->> 'body' as lost from rowferry.conflicts"
    expected = [{"record_id": "1", "winner": "crm", "rule": "newest", "won": "newer", "lost": "older"}]
    assert notes.crm.sql(found) == expected
    assert notes.billing.sql(found) == expected


@pytest.mark.promise("R6")
def test_a_change_made_after_seeing_the_other_is_no_conflict_whatever_the_clocks_say(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'first')")
    sync(notes.crm, notes.billing)
    stop_clocks([notes.billing], "2001-01-01")
    notes.billing.sql("update notes set body = 'second' where id = 1")
    sync(notes.crm, notes.billing)
    assert assert_equal(notes) == ["(1,second,)"]
    assert notes.crm.sql("select * from rowferry.conflicts") == []


@pytest.mark.promise("R6", "R7")
@pytest.mark.parametrize(
    ("first", "second", "result"),
    [
        ("delete from notes where id = 1", "update notes set body = 'changed' where id = 1", ["(1,changed,)"]),
        ("update notes set body = 'changed' where id = 1", "delete from notes where id = 1", []),
        ("delete from notes where id = 1", "delete from notes where id = 1", []),
        ("insert into notes values (2, 'crm')", "insert into notes values (2, 'x')", ["(1,old,)", "(2,x,)"]),
        ("update notes set body = 'same'", "update notes set body = 'same'", ["(1,same,)"]),
    ],
)
def test_both_sides_decide_alike(notes: Nodes, first: str, second: str, result: list[str]) -> None:
    notes.crm.sql("insert into notes values (1, 'old')")
    sync(notes.crm, notes.billing)
    notes.crm.sql(first)
    notes.billing.sql(second)
    sync(notes.crm, notes.billing)
    assert assert_equal(notes) == result
    expected = 0 if first == second else 1  # equal rows are no conflict
    assert [len(node.sql("select * from rowferry.conflicts")) for node in notes] == [expected, expected]
