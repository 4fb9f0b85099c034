"""The rules of the exchange, each in a few steps on two real databases."""

from __future__ import annotations

import psycopg
import pytest

from harness import Node, Nodes
from harness.clock import set_clocks, stop_clocks, write_at
from harness.courier import Courier
from harness.exchange import assert_equal, refused_with, sync, waiting
from harness.identity import adopt_identity, share_identity

pytestmark = pytest.mark.smoke

TABLE = """
create table public.notes (id integer primary key, body text, rank integer unique deferrable);
select rowferry.attach('public.notes')
"""


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes that keep one table in sync."""
    for node in nodes:
        node.sql(TABLE)
    return nodes


# what a call leaves alone


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
    notes.crm.sql("insert into notes select i, 'n' from generate_series(1, 50) i")
    courier = Courier(notes)
    crm, billing = courier.meet(notes)
    for _ in range(20):
        notes.crm.sql("select rowferry.process_batch() from generate_series(1, 50)")
        answer = courier.call(notes.crm, billing, limit=5)
        billing = courier.call(notes.billing, crm, limit=5)["envelope"]
        crm = answer["envelope"]
        assert answer["status"] in ("moved", "idle")
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


@pytest.mark.parametrize("damage", ["not an envelope", "altered", "cut", "empty", "of another link"])
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


# couriers


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


def test_a_new_courier_builds_nothing_before_it_has_heard_the_peer(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    courier = Courier(notes)
    assert courier.call(notes.crm)["sent"] == 0
    assert courier.call(notes.crm)["sent"] == 0
    hello = courier.call(notes.billing)["envelope"]
    assert courier.call(notes.crm, hello)["sent"] == 1


def test_a_lost_answer_repeats_no_effect(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    courier = Courier(notes)
    crm, _ = courier.meet(notes)
    courier.call(notes.billing, crm)  # its answer never arrives
    assert waiting(notes.crm) == ["insert notes 1"]
    notes.billing.sql("delete from notes where id = 1")
    sync(notes.crm, notes.billing)
    assert assert_equal(notes) == []


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


# conflicts


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


def test_a_change_made_after_seeing_the_other_is_no_conflict_whatever_the_clocks_say(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'first')")
    sync(notes.crm, notes.billing)
    stop_clocks([notes.billing], "2001-01-01")
    notes.billing.sql("update notes set body = 'second' where id = 1")
    sync(notes.crm, notes.billing)
    assert assert_equal(notes) == ["(1,second,)"]
    assert notes.crm.sql("select * from rowferry.conflicts") == []


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


# constraints, refusals


@pytest.mark.parametrize("bad", [1, 77])
def test_a_refused_row_stops_no_other_and_is_delivered_once_its_cause_is_gone(notes: Nodes, bad: int) -> None:
    notes.billing.sql("alter table notes add constraint no_bad check (body <> 'bad')")
    is_bad = f"i % {2000 // bad} = 0 and i <= {2000 // bad * bad}"
    notes.crm.sql(f"insert into notes select i, case when {is_bad} then 'bad' else 'good' end from generate_series(1, 2000) i")
    for _ in range(40):
        sync(notes.crm, notes.billing)
        if notes.billing.sql("select count(*) as n from notes")[0]["n"] == 2000 - bad:
            break
    assert notes.billing.sql("select count(*) as n from notes") == [{"n": 2000 - bad}]
    held = notes.crm.sql("select * from rowferry.sync_events")
    assert len(held) == bad
    assert {(row["sqlstate"], row["attempts"] > 0) for row in held} == {("23514", True)}
    assert all("no_bad" in row["last_error"] and row["hint"] for row in held)
    assert notes.crm.sql("select state from rowferry.status") == [{"state": "held"}]
    notes.billing.sql("alter table notes drop constraint no_bad")
    notes.crm.sql("select rowferry.retry(id) from rowferry.sync_events")
    sync(notes.crm, notes.billing)
    assert len(assert_equal(notes)) == 2000
    assert waiting(notes.crm) == []


def test_unique_values_that_move_along_a_chain_converge(notes: Nodes) -> None:
    for node in notes:
        node.sql("alter table notes drop constraint notes_rank_key; create unique index on notes (rank)")
    notes.crm.sql("insert into notes select i, 'n', i from generate_series(1, 6) i")
    sync(notes.crm, notes.billing)
    notes.crm.sql("do $$ begin for i in reverse 6..1 loop update notes set rank = rank + 1 where id = i; end loop; end $$")
    sync(notes.crm, notes.billing)
    assert len(assert_equal(notes)) == 6
    notes.crm.sql("delete from notes where id = 6; insert into notes values (7, 'heir', 7)")
    sync(notes.crm, notes.billing)
    assert waiting(notes.crm) == []
    assert len(assert_equal(notes)) == 6


def test_deferrable_unique_values_swap(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a', 1), (2, 'b', 2)")
    sync(notes.crm, notes.billing)
    notes.crm.sql("update notes set rank = 3 - rank")
    sync(notes.crm, notes.billing)
    assert assert_equal(notes) == ["(1,a,2)", "(2,b,1)"]


def test_a_row_that_a_user_has_locked_delays_no_other(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a'), (2, 'b')")
    sync(notes.crm, notes.billing)
    with notes.billing.connect() as user, user.transaction():
        user.execute("select from notes where id = 1 for update")
        notes.crm.sql("update notes set body = body || '!'")
        courier = Courier(notes)
        crm, _ = courier.meet(notes)
        answer = courier.call(notes.billing, crm)
        assert (answer["applied"], answer["refused"]) == (1, 0)
        assert notes.billing.sql("select body from notes where id = 2") == [{"body": "b!"}]
        courier.call(notes.crm, answer["envelope"])
        assert waiting(notes.crm) == ["update notes 1 55P03"]
        assert notes.crm.sql("select held from rowferry.status") == [{"held": 0}]
    notes.crm.sql("update rowferry.held_events set not_before = now()")
    sync(notes.crm, notes.billing)
    assert_equal(notes)


def test_schemas_apart_keep_that_entity_and_let_others_flow(nodes: Nodes) -> None:
    nodes.crm.sql("create table notes (id integer primary key, body text, extra text)")
    nodes.crm.sql("create table tags (id integer primary key)")
    nodes.billing.sql("create table notes (id integer primary key, body text); create table tags (id integer primary key)")
    for node in nodes:
        node.sql("select rowferry.attach('notes'); select rowferry.attach('tags')")
    nodes.crm.sql("insert into notes values (1, 'a', 'x'); insert into tags values (1)")
    sync(nodes.crm, nodes.billing)
    assert nodes.billing.sql("select * from tags") == [{"id": 1}]
    assert nodes.billing.sql("select * from notes") == []
    held = nodes.crm.sql("select sqlstate, last_error from rowferry.sync_events")
    assert held == [{"sqlstate": "RF020", "last_error": "the columns differ: extra is not known there"}]
    nodes.billing.sql("alter table notes add column extra text")
    nodes.billing.sql("select rowferry.detach('notes'); select rowferry.attach('notes')")
    nodes.crm.sql("select rowferry.retry(id) from rowferry.sync_events")
    sync(nodes.crm, nodes.billing)
    assert assert_equal(nodes, "notes") == ["(1,a,x)"]


@pytest.mark.parametrize(
    ("crm", "billing", "billing_key"),
    [
        ("create table items (id int primary key, code int not null unique)",) * 2 + ("array['code']",),
        ("create table items (id char(5) primary key)", "create table items (id text primary key)", "null"),
        ("create table items (id numeric primary key)", "create table items (id text primary key)", "null"),
    ],
)
def test_keys_that_do_not_name_the_same_record_are_refused(nodes: Nodes, crm: str, billing: str, billing_key: str) -> None:
    nodes.crm.sql(f"{crm}; select rowferry.attach('items')")
    nodes.billing.sql(f"{billing}; select rowferry.attach('items', p_key => {billing_key})")
    nodes.crm.sql("insert into items values (1)" if billing_key == "null" else "insert into items values (1, 2), (2, 1)")
    sync(nodes.crm, nodes.billing)
    assert nodes.billing.sql("select * from items") == []
    assert {event.rpartition(" ")[2] for event in waiting(nodes.crm)} == {"RF020"}


@pytest.mark.parametrize(
    "change", ["alter table notes rename column body to text", "alter table notes rename to other", "drop table notes cascade"]
)
def test_a_table_that_can_no_longer_be_read_stops_no_other(notes: Nodes, change: str) -> None:
    for node in notes:
        node.sql("create table tags (id integer primary key); select rowferry.attach('tags')")
    notes.crm.sql("insert into notes values (1, 'a'); select * from rowferry.backfill('notes')")
    notes.crm.sql(change)
    notes.crm.sql("insert into tags values (1)")
    sync(notes.crm, notes.billing)
    assert notes.billing.sql("select * from tags") == [{"id": 1}]
    held = waiting(notes.crm)
    assert held[0] in ("insert notes 1 RF020", "insert notes 1 RF039")
    assert notes.crm.sql("select state, held from rowferry.status") == [{"state": "stuck", "held": len(held)}]
    if "rename" in change:
        back = "alter table notes rename column text to body" if "column" in change else "alter table other rename to notes"
        notes.crm.sql(back)
        notes.crm.sql("select rowferry.retry(id) from rowferry.sync_events")
        sync(notes.crm, notes.billing)
        assert len(assert_equal(notes)) == 1
        assert waiting(notes.crm) == []


# memory


def test_a_node_set_back_to_an_older_state_stops_the_link(nodes: Nodes) -> None:
    """Case 92. A restore keeps system identifier and database oid: only the numbers tell."""
    for node in nodes:
        node.sql(TABLE)
    share_identity(nodes)
    nodes.crm.sql("insert into notes values (1, 'a')")
    sync(nodes.crm, nodes.billing)
    maintenance = Node("crm", nodes.crm.server, "postgres")
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


def test_a_copy_of_a_node_stops_the_link(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(notes.crm, notes.billing)
    name = f"{notes.crm.database}_copy"
    Node("crm", notes.crm.server, "postgres").sql(f"create database {name} template {notes.crm.database}")
    copy = Node("crm", notes.crm.server, name)
    try:
        with pytest.raises(AssertionError, match="not the one that was configured"):
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


def test_what_was_refused_counts_as_held_when_its_whole_entity_is(notes: Nodes) -> None:
    """However far the search for new events has gone on."""
    notes.billing.sql("alter table notes add constraint no_bad check (body <> 'bad')")
    notes.crm.sql("insert into notes values (1, 'bad'), (2, 'good')")
    sync(*notes)
    assert notes.crm.sql("select held from rowferry.process_batch()") == [{"held": 1}]
    notes.crm.sql("update rowferry.entities set held_attempts = 1, held_until = 'infinity'")
    notes.crm.sql("update rowferry.links set first_id = (select max(event_id) + 1 from rowferry.held_events)")
    assert notes.crm.sql("select held from rowferry.process_batch()") == [{"held": 1}]


# people


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
