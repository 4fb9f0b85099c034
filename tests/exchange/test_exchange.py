"""The rules of the exchange, each in a few steps on two real databases."""

from __future__ import annotations

import psycopg
import pytest

from harness import Nodes
from harness.clock import set_clocks, write_at
from harness.courier import Courier, carry_past_callers
from harness.exchange import assert_equal, refused_with, sync, waiting
from harness.notes import RANKED, keep_notes

pytestmark = pytest.mark.smoke


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes that keep one table in sync."""
    return keep_notes(nodes, table=RANKED)


def test_an_idle_call_draws_no_transaction_id(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(notes.crm, notes.billing)
    courier = Courier(notes)
    courier.meet(notes)
    with courier.connections["crm"].transaction():
        assert courier.call(notes.crm)["status"] == "idle"
        row = courier.connections["crm"].execute("select pg_current_xact_id_if_assigned() as xid").fetchone()
    assert row == {"xid": None}


def test_a_call_without_a_token_disturbs_nothing(notes: Nodes) -> None:
    carry_past_callers(notes)
    assert len(assert_equal(notes)) == 50


def test_a_dry_run_shows_the_effect_and_leaves_none(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    courier = Courier(notes)
    crm, _ = courier.meet(notes)
    assert courier.call(notes.billing, crm, dry_run=True)["applied"] == 1
    assert notes.billing.sql("select * from notes") == []
    assert courier.call(notes.billing, crm)["applied"] == 1


def test_only_read_committed_is_accepted(notes: Nodes) -> None:
    with pytest.raises(psycopg.Error) as caught, notes.crm.connect(autocommit=False) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.execute("select * from rowferry.process_batch()")
    assert caught.value.sqlstate == "RF001"


@pytest.mark.parametrize("damage", ["not an envelope", "altered", "cut", "cut in its first line", "empty", "of another link"])
def test_a_bad_envelope_is_refused_and_nothing_changes(notes: Nodes, damage: str) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    courier = Courier(notes)
    crm, _ = courier.meet(notes)
    state = "select to_jsonb(l) as link from rowferry.links l"
    before = notes.billing.sql(state)
    at = crm.rindex(b"a")
    envelope, target = {
        "not an envelope": (b"\x00\xff{}", notes.billing),
        "altered": (crm[:at] + b"b" + crm[at + 1 :], notes.billing),
        "cut": (crm[:-3], notes.billing),
        "cut in its first line": (crm.partition(b"\n")[0].replace(b"rowferry 1 ", b"rowferry 2 "), notes.billing),
        "empty": (b"", notes.billing),
        "of another link": (crm, notes.crm),
    }[damage]
    with pytest.raises(psycopg.Error) as caught:
        courier.call(target, envelope)
    assert caught.value.sqlstate == "RF004"
    assert caught.value.diag.message_hint
    assert notes.billing.sql(state) == before
    assert notes.billing.sql("select * from notes") == []
    sync(notes.crm, notes.billing)
    assert len(assert_equal(notes)) == 1


def test_an_envelope_of_a_later_format_is_kept_by_its_sender(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    courier = Courier(notes)
    crm, _ = courier.meet(notes)
    answer = courier.call(notes.billing, crm.replace(b"rowferry 1 ", b"rowferry 2 ", 1))
    assert answer["status"] == "stopped"
    assert "alembic upgrade head" in answer["reason"]
    assert waiting(notes.crm) == ["insert notes 1"]
    sync(notes.crm, notes.billing)
    assert len(assert_equal(notes)) == 1


@pytest.mark.promise("R2")
def test_a_batch_that_comes_twice_is_applied_once(notes: Nodes) -> None:
    notes.billing.sql("create table effects (id integer)")
    notes.billing.sql(
        "create function count_effect() returns trigger language plpgsql as"
        " $$ begin insert into effects values (new.id); return null; end $$;"
        "create trigger effect after insert or update on notes for each row execute function count_effect();"
        "alter table notes enable always trigger effect"
    )
    notes.crm.sql("insert into notes values (1, 'a')")
    courier = Courier(notes)
    crm, _ = courier.meet(notes)
    assert courier.call(notes.billing, crm)["applied"] == 1
    assert courier.call(notes.billing, crm)["applied"] == 0
    assert notes.billing.sql("select * from effects") == [{"id": 1}]


@pytest.mark.promise("R3")
def test_an_older_courier_is_superseded_and_its_envelopes_are_refused(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    first = Courier(notes)
    crm, _ = first.meet(notes)
    second = Courier(notes)
    second.meet(notes)
    assert first.call(notes.billing, crm)["status"] == "superseded"
    answer = second.call(notes.billing, crm)
    assert (answer["status"], answer["applied"]) == ("superseded", 0)
    sync(notes.crm, notes.billing)
    assert len(assert_equal(notes)) == 1


@pytest.mark.promise("R3")
def test_a_new_courier_builds_nothing_before_it_has_heard_the_peer(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    courier = Courier(notes)
    assert courier.call(notes.crm)["sent"] == 0
    assert courier.call(notes.crm)["sent"] == 0
    hello = courier.call(notes.billing)["envelope"]
    assert courier.call(notes.crm, hello)["sent"] == 1


@pytest.mark.promise("R1", "R2")
def test_a_lost_answer_repeats_no_effect(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    courier = Courier(notes)
    crm, _ = courier.meet(notes)
    courier.call(notes.billing, crm)  # its answer never arrives
    assert waiting(notes.crm) == ["insert notes 1"]
    notes.billing.sql("delete from notes where id = 1")
    sync(notes.crm, notes.billing)
    assert assert_equal(notes) == []


@pytest.mark.promise("R5")
def test_an_acknowledgement_that_overtakes_a_batch_waits_for_it(notes: Nodes) -> None:
    """Case 90: billing's second batch is under way when its envelope without a batch arrives first."""
    set_clocks(notes)
    put = "insert into notes values (1, '{}') on conflict (id) do update set body = excluded.body"
    for node in notes:
        node.sql("alter table notes drop constraint notes_rank_key")
    courier = Courier(notes)
    crm, _ = courier.meet(notes)
    write_at(notes.billing, 8, put.format("b1"))
    b1 = courier.call(notes.billing, crm)["envelope"]
    write_at(notes.billing, 0, put.format("b2"))
    crm = courier.call(notes.crm, b1)["envelope"]
    hello = courier.call(notes.billing, None)["envelope"]  # second batch
    overtaking = courier.call(notes.billing, crm)["envelope"]
    write_at(notes.crm, 3, put.format("a1"))
    late = courier.call(notes.crm, overtaking)["envelope"]
    after = courier.call(notes.crm, hello)["envelope"]
    courier.call(notes.billing, late)
    courier.call(notes.billing, after)
    sync(notes.crm, notes.billing)
    assert assert_equal(notes) == ["(1,a1,)"]


@pytest.mark.promise("R14")
@pytest.mark.parametrize("by", ["skip", "delete"])
def test_a_skipped_change_is_replaced_by_the_peers_row(notes: Nodes, by: str) -> None:
    notes.crm.sql("insert into notes values (1, 'agreed')")
    sync(notes.crm, notes.billing)
    notes.billing.sql("alter table notes add constraint no_bad check (body <> 'bad')")
    notes.crm.sql("update notes set body = 'bad'; insert into notes values (2, 'good')")
    sync(notes.crm, notes.billing)
    assert waiting(notes.crm) == ["update notes 1 23514"]
    if by == "skip":
        notes.crm.sql("select * from rowferry.skip((select id from rowferry.sync_events), 'not worth it')")
    else:
        assert notes.crm.psql("delete from rowferry.sync_events where attempts > 0") == "DELETE 1\n"
    assert waiting(notes.crm) == []
    assert notes.crm.sql("select held from rowferry.status") == [{"held": 0}]
    sync(notes.crm, notes.billing)
    assert assert_equal(notes) == ["(1,agreed,)", "(2,good,)"]
    log = notes.crm.sql("select record_id, reason, requested_by, done_at is not null as done, last_error from rowferry.skips")
    reason = "not worth it" if by == "skip" else "deleted from sync_events"
    assert len(log) == 1
    assert "no_bad" in log[0].pop("last_error")
    assert log == [{"record_id": "1", "reason": reason, "requested_by": "postgres", "done": True}]


def test_a_paused_link_moves_nothing_and_loses_nothing(notes: Nodes) -> None:
    notes.crm.sql("select * from rowferry.pause('billing')")
    notes.crm.sql("insert into notes values (1, 'a')")
    courier = Courier(notes)
    answer = courier.call(notes.crm)
    assert (answer["status"], answer["envelope"]) == ("paused", None)
    assert notes.crm.sql("select state, pending from rowferry.status") == [{"state": "paused", "pending": 1}]
    notes.crm.sql("select * from rowferry.resume('billing')")
    sync(notes.crm, notes.billing)
    assert len(assert_equal(notes)) == 1


@pytest.mark.parametrize(
    ("query", "sqlstate"),
    [
        ("select rowferry.retry(99)", "RF008"),
        ("select rowferry.skip(99)", "RF008"),
        ("select rowferry.pause('nobody')", "RF002"),
        ("select rowferry.resume('nobody')", "RF002"),
        ("select rowferry.resync('nobody')", "RF002"),
        ("select rowferry.backfill('nothing')", "RF011"),
        ("select rowferry.detach('nothing')", "RF011"),
        ("select rowferry.process_batch('nobody')", "RF002"),
        ("select rowferry.process_batch('billing', 'nonsense')", "RF003"),
        ("select rowferry.require_core(999)", "RF007"),
    ],
)
def test_a_wrong_name_or_number_gets_one_clear_error_with_a_hint(notes: Nodes, query: str, sqlstate: str) -> None:
    refused_with(sqlstate, notes.crm, query)
