"""Records that both sides changed, whatever their clocks say: both end equal, and the row that lost is kept on both."""

from __future__ import annotations

import pytest

from harness import Nodes
from harness.cases import at_rest, conflicts, keep_first_note, make
from harness.clock import set_clocks, write_at
from harness.courier import Courier
from harness.exchange import assert_equal, sync
from harness.notes import PUT

HOUR, DAY = 3600, 86400


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    return keep_first_note(nodes)


@pytest.mark.promise("R7")
@pytest.mark.case(39)
@pytest.mark.parametrize("first", ["crm", "billing"])
@pytest.mark.parametrize(("skew", "winner"), [(-HOUR, "crm"), (0, "crm"), (1, "billing"), (HOUR, "billing")])
def test_of_two_updates_the_newer_stays_whoever_hears_first(notes: Nodes, skew: int, winner: str, first: str) -> None:
    """At equal times the name decides, crm after billing."""
    write_at(notes.crm, DAY, PUT.format("of crm"))
    write_at(notes.billing, DAY + skew, PUT.format("of billing"))
    courier = Courier(notes)
    crm, billing = courier.meet(notes)
    if first == "crm":
        courier.call(notes.crm, billing)
    else:
        courier.call(notes.billing, crm)
    sync(*notes)
    loser = "billing" if winner == "crm" else "crm"
    assert assert_equal(notes) == [f'(1,"of {winner}")']
    assert conflicts(notes) == [f'({winner},"of {winner}","of {loser}")']
    at_rest(notes)


@pytest.mark.case(40)
def test_a_change_is_as_old_as_its_statement_and_not_as_its_transaction(nodes: Nodes) -> None:
    make(nodes, "create table notes (id integer primary key, body text)", "notes")
    nodes.crm.sql(PUT.format("old"))
    sync(*nodes)
    long = nodes.crm.connect(autocommit=False)
    long.execute("select now()")
    nodes.crm.sql(PUT.format("other session"))
    nodes.billing.sql(PUT.format("billing"))
    long.execute("update notes set body = 'last' where id = 1")
    long.commit()
    sync(*nodes)
    assert assert_equal(nodes) == ["(1,last)"]
    assert conflicts(nodes) == ["(crm,last,billing)"]


@pytest.mark.case(41)
@pytest.mark.parametrize("newer", ["crm", "billing"])
@pytest.mark.parametrize(
    ("crm", "billing", "results"),
    [
        ("update notes set body = 'kept'", "delete from notes", {"crm": ["(1,kept)"], "billing": []}),
        ("delete from notes", "update notes set body = 'kept'", {"crm": [], "billing": ["(1,kept)"]}),
        ("delete from notes", "delete from notes", {"crm": [], "billing": []}),
        (
            "delete from notes; insert into notes values (1, 'again')",
            "update notes set body = 'kept'",
            {"crm": ["(1,again)"], "billing": ["(1,kept)"]},
        ),
    ],
)
def test_a_deleted_record_stays_deleted_where_its_deletion_is_newer(
    notes: Nodes, crm: str, billing: str, results: dict[str, list[str]], newer: str
) -> None:
    write_at(notes.crm, DAY + (newer == "crm"), crm)
    write_at(notes.billing, DAY + (newer == "billing"), billing)
    sync(*notes)
    assert assert_equal(notes) == results[newer]
    sync(*notes)
    assert assert_equal(notes) == results[newer]
    at_rest(notes)
    assert len(conflicts(notes)) == (0 if crm == billing else 1)


@pytest.mark.case(41)
@pytest.mark.parametrize("heard", ["before", "between", "after"])
def test_a_record_that_is_deleted_and_made_again_with_delays_is_not_lost(notes: Nodes, heard: str) -> None:
    """crm deletes at 1 and makes it again at 3, billing updates at 2; crm hears of that at some time."""
    courier = Courier(notes)
    crm, billing = courier.meet(notes)
    write_at(notes.billing, DAY + 2, PUT.format("billing"))
    update = courier.call(notes.billing, crm)["envelope"]
    if heard == "before":
        courier.call(notes.crm, update)
    write_at(notes.crm, DAY + 1, "delete from notes")
    deletion = courier.call(notes.crm, billing)["envelope"]
    if heard == "between":
        courier.call(notes.crm, update)
    write_at(notes.crm, DAY + 3, "insert into notes values (1, 'again') on conflict (id) do update set body = excluded.body")
    if heard == "after":
        courier.call(notes.crm, update)
    courier.call(notes.billing, deletion)
    sync(*notes)
    assert assert_equal(notes) == ["(1,again)"]
    at_rest(notes)


@pytest.mark.case(42)
def test_of_two_new_rows_with_one_key_one_stays_and_the_other_is_kept_aside(notes: Nodes) -> None:
    write_at(notes.crm, 2, "insert into notes values (2, 'of crm')")
    write_at(notes.billing, 1, "insert into notes values (2, 'of billing')")
    sync(*notes)
    assert assert_equal(notes) == ["(1,old)", '(2,"of crm")']
    assert conflicts(notes) == ['(crm,"of crm","of billing")']


@pytest.mark.case(49)
def test_after_days_apart_everything_arrives(notes: Nodes) -> None:
    for day in range(1, 11):
        write_at(notes.crm, day * DAY, f"insert into notes values ({day * 10}, 'crm {day}'); {PUT.format(f'crm {day}')}")
        late = day * DAY + HOUR
        write_at(notes.billing, late, f"insert into notes values ({day * 10 + 1}, 'new'); {PUT.format(f'billing {day}')}")
    write_at(notes.crm, 3 * DAY, "delete from notes where id = 20")
    for node in notes:
        node.sql(f"update rowferry.links set last_exchange_at = last_exchange_at - interval '{10 * DAY} s'")
    sync(*notes)
    assert len(assert_equal(notes)) == 20
    assert '(1,"billing 10")' in assert_equal(notes)
    assert conflicts(notes) == ['(billing,"billing 10","crm 10")']
    at_rest(notes)


@pytest.mark.promise("R6")
@pytest.mark.case(50)
@pytest.mark.parametrize("writer", ["crm", "billing"])
def test_a_clock_that_jumps_back_loses_no_change(notes: Nodes, writer: str) -> None:
    """The second change of a node is an hour older than its first, and than what it has seen of the other's."""
    node = getattr(notes, writer)
    other = next(n for n in notes if n.name != writer)
    write_at(node, DAY, PUT.format("first"))
    sync(*notes)
    write_at(other, DAY + 60, PUT.format("other"))
    sync(*notes)
    write_at(node, DAY - HOUR, PUT.format("after the jump"))
    sync(*notes)
    assert assert_equal(notes) == ['(1,"after the jump")']
    assert conflicts(notes) == []


@pytest.mark.case(50)
def test_summer_time_and_zones_do_not_matter(nodes: Nodes) -> None:
    """The writers' zones are 26 hours apart, and the later change stands in the hour that the clocks repeat."""
    make(nodes, "create table notes (id integer primary key, body text)", "notes")
    set_clocks(nodes)
    # 01:30 in New York came twice on that day, at -04 and at -05; there it was 06:30 of the next day in Kiritimati.
    write_at(nodes.crm, "2026-11-01 05:31:00+00", f"set timezone = 'Pacific/Kiritimati'; {PUT.format('looks later')}")
    write_at(nodes.billing, "2026-11-01 01:30:00-05", f"set timezone = 'America/New_York'; {PUT.format('is later')}")
    sync(*nodes)
    assert assert_equal(nodes) == ['(1,"is later")']
    assert conflicts(nodes) == ['(billing,"is later","looks later")']


@pytest.mark.promise("R6")
@pytest.mark.case(51)
def test_a_stamp_ten_years_ahead_freezes_nothing(notes: Nodes) -> None:
    """It wins one conflict; whoever has seen it changes the record as ever, on either side."""
    write_at(notes.crm, 10 * 365 * DAY, PUT.format("poisoned"))
    write_at(notes.billing, DAY, PUT.format("did not know"))
    sync(*notes)
    assert assert_equal(notes) == ["(1,poisoned)"]
    for turn, node in enumerate((notes.billing, notes.crm, notes.billing)):
        write_at(node, DAY + turn, PUT.format(f"knew {turn}"))
        sync(*notes)
        assert assert_equal(notes) == [f'(1,"knew {turn}")']
    assert conflicts(notes) == ['(crm,poisoned,"did not know")']
