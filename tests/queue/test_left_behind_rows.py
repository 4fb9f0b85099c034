"""Rows and tables that the peer does not take stay with their sender, by name, and all others flow."""

from __future__ import annotations

import pytest

from harness import Nodes
from harness.courier import Courier
from harness.exchange import assert_equal, sync, waiting
from harness.notes import RANKED, keep_notes

pytestmark = pytest.mark.smoke


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes that keep one table in sync."""
    return keep_notes(nodes, table=RANKED)


@pytest.mark.promise("R8")
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


def test_what_was_refused_counts_as_held_when_its_whole_entity_is(notes: Nodes) -> None:
    """However far the search for new events has gone on."""
    notes.billing.sql("alter table notes add constraint no_bad check (body <> 'bad')")
    notes.crm.sql("insert into notes values (1, 'bad'), (2, 'good')")
    sync(*notes)
    assert notes.crm.sql("select held from rowferry.process_batch()") == [{"held": 1}]
    notes.crm.sql("update rowferry.entities set held_attempts = 1, held_until = 'infinity'")
    notes.crm.sql("update rowferry.links set first_id = (select max(event_id) + 1 from rowferry.held_events)")
    assert notes.crm.sql("select held from rowferry.process_batch()") == [{"held": 1}]
