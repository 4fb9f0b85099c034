"""What a person does with records: try again, send again, give up."""

from __future__ import annotations

import pytest

from harness import Nodes
from harness.exchange import assert_equal, refused_with, sync, waiting
from harness.notes import keep_notes


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes that keep public.notes in sync, which has three rows."""
    return keep_notes(nodes, "values (1, 'a'), (2, 'b'), (3, 'c')")


def unseen(nodes: Nodes, statement: str) -> None:
    """Run it on billing without capture, as a defect or a hole in a backup would."""
    triggers = [f"trigger rowferry_capture_{name}" for name in ("insert", "update", "delete")]
    off, on = (", ".join(f"{mode} {trigger}" for trigger in triggers) for mode in ("disable", "enable always"))
    nodes.billing.sql(f"alter table notes {off}; {statement}; alter table notes {on}")


def test_all_held_events_of_an_entity_are_tried_again(notes: Nodes) -> None:
    notes.billing.sql("alter table notes add constraint no_bad check (body <> 'bad') not valid")
    notes.crm.sql("update notes set body = 'bad'")
    sync(*notes)
    assert waiting(notes.crm) == [f"update notes {id} 23514" for id in (1, 2, 3)]
    notes.billing.sql("alter table notes drop constraint no_bad")
    with notes.crm.connect() as connection:
        connection.execute("set role rowferry_operator")
        retried = connection.execute("select entity, record_id, attempts from rowferry.retry('notes')").fetchall()
    assert retried == [("notes", "1", 1), ("notes", "2", 1), ("notes", "3", 1)]
    sync(*notes)
    assert assert_equal(notes) == ["(1,bad)", "(2,bad)", "(3,bad)"]


def test_an_entity_that_the_peer_refuses_as_a_whole_is_tried_again(notes: Nodes) -> None:
    notes.billing.sql("select rowferry.set_rules('notes', 'node:crm')")
    notes.crm.sql("update notes set body = 'late' where id = 1")
    sync(*notes)
    notes.crm.sql("select rowferry.set_rules('notes', 'node:crm')")
    [row] = notes.crm.sql("select * from rowferry.retry('notes')")
    assert (row["record_id"], row["attempts"]) == ("1", 1)
    assert row["error_before"] and "last_error" not in row, "it has not been tried again yet"
    sync(*notes)
    assert waiting(notes.crm) == []


def test_an_entity_of_which_nothing_is_held_has_nothing_to_try(notes: Nodes) -> None:
    assert notes.crm.sql("select * from rowferry.retry('notes')") == []
    refused_with("RF011", notes.crm, "select * from rowferry.retry('nothing')")


def test_the_present_state_of_records_is_sent_again(notes: Nodes) -> None:
    unseen(
        notes,
        "update notes set body = 'lost' where id = 1; delete from notes where id = 2; insert into notes values (4, 'extra')",
    )
    with notes.crm.connect() as connection:
        connection.execute("set role rowferry_operator")
        sent = connection.execute("select entity, record_id, here from rowferry.replay('notes', '1', '2', '4')").fetchall()
    assert sent == [("notes", "1", True), ("notes", "2", True), ("notes", "4", False)]
    sync(*notes)
    assert assert_equal(notes) == ["(1,a)", "(2,b)", "(3,c)"]


def test_a_record_sent_again_loses_to_a_change_of_the_other_node(notes: Nodes) -> None:
    notes.billing.sql("update notes set body = 'theirs' where id = 1")
    notes.crm.sql("select * from rowferry.replay('notes', '1')")
    sync(*notes)
    assert assert_equal(notes) == ["(1,theirs)", "(2,b)", "(3,c)"]


def test_another_spelling_of_a_key_is_the_same_record(notes: Nodes) -> None:
    assert notes.crm.sql("select record_id, here from rowferry.replay('notes', ' 01')") == [{"record_id": "1", "here": True}]
    sync(*notes)
    assert len(assert_equal(notes)) == 3


def test_a_record_with_a_key_of_several_columns_is_sent_again(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table public.notes (day date, kind text, body text, primary key (day, kind))")
        node.sql("select rowferry.attach('public.notes')")
    nodes.crm.sql("insert into notes values ('2026-02-01', 'a \"b\", c', 'kept')")
    sync(*nodes)
    unseen(nodes, "delete from notes")
    [event] = nodes.crm.sql("select r.* from notes, rowferry.replay('notes', array[day::text, kind]::text) r")
    assert event["here"]
    sync(*nodes)
    assert len(assert_equal(nodes)) == 1


def test_another_spelling_of_a_key_of_a_users_type_is_the_same_record(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create domain number as integer; create table things (id number primary key); select rowferry.attach('things')")
    nodes.crm.sql("insert into things values (17)")
    sync(*nodes)
    nodes.crm.sql("select * from rowferry.replay('things', ' 017')")
    sync(*nodes)
    assert assert_equal(nodes, "things") == ["(17)"]


@pytest.mark.parametrize(("key", "sqlstate"), [("'x'", "22P02"), ("null", "RF008")])
def test_what_is_no_key_is_not_sent(notes: Nodes, key: str, sqlstate: str) -> None:
    with pytest.raises(Exception) as caught:
        notes.crm.sql(f"select * from rowferry.replay('notes', {key})")
    assert caught.value.sqlstate == sqlstate  # type: ignore[attr-defined]
    assert waiting(notes.crm) == []


def test_the_row_that_was_given_up_is_kept_in_the_log(notes: Nodes) -> None:
    notes.crm.sql("update notes set body = 'mine' where id = 1; delete from notes where id = 2")
    notes.crm.sql("select rowferry.skip(id, 'a test') from rowferry.sync_events")
    log = "select record_id, image, requested_by from rowferry.skips order by id"
    assert notes.crm.sql(log) == [
        {"record_id": "1", "image": {"id": "1", "body": "mine"}, "requested_by": "postgres"},
        {"record_id": "2", "image": None, "requested_by": "postgres"},
    ]
    sync(*notes)
    assert assert_equal(notes) == ["(1,a)", "(2,b)", "(3,c)"]


def test_a_change_of_a_table_that_cannot_be_read_can_be_given_up(notes: Nodes) -> None:
    notes.crm.sql("update notes set body = 'mine' where id = 1; alter table notes rename to renamed")
    notes.crm.sql("select rowferry.skip(id, 'a test') from rowferry.sync_events")
    assert notes.crm.sql("select image from rowferry.skips") == [{"image": None}]
