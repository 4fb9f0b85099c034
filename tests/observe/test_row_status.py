"""row_status(): where one record stands, and what it waits for."""

import re
from typing import Any

import psycopg
import pytest

from harness import Node, Nodes
from harness.courier import Courier
from harness.exchange import sync
from harness.notes import keep_notes

PAIRS = "create table pairs (a integer, b text, c numeric, primary key (a, b)); select rowferry.attach('pairs')"
Row = dict[str, Any]


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    return keep_notes(nodes)


def viewed(node: Node, query: str) -> list[Row]:
    """Rows of a query of whoever may only read."""
    with psycopg.connect(node.conninfo, row_factory=psycopg.rows.dict_row) as connection:
        connection.execute("set role rowferry_viewer")
        return connection.execute(query).fetchall()  # type: ignore[call-overload, no-any-return]


def record(node: Node, key: str = "1", entity: str = "notes") -> Row:
    [row] = viewed(node, f"select * from rowferry.row_status('{entity}', '{key}')")
    return row


def test_equal_records_have_one_hash_whatever_the_columns_are_called(nodes: Nodes) -> None:
    nodes.crm.sql(
        "create table notes (id integer primary key, body text, at timestamptz, part float8); select rowferry.attach('notes')"
    )
    nodes.billing.sql(
        "create schema other; create table other.memos (part float8, at timestamptz, text text, no bigint primary key)"
    )
    nodes.billing.sql(
        """select rowferry.attach('other.memos', 'notes', '{"id": "no", "body": "text", "at": "at", "part": "part"}')"""
    )
    nodes.crm.sql("set timezone = 'Asia/Tokyo'; insert into notes values (1, 'a', '2026-01-01', 0.1), (2, null, null, null)")
    sync(*nodes)
    for key in ("1", "2"):
        crm, billing = record(nodes.crm, key), record(nodes.billing, key, "other.memos")
        assert crm["state"] == billing["state"] == "in sync"
        assert crm["hash"] == billing["hash"] is not None
        assert record(nodes.billing, key, "memos")["hash"] == crm["hash"]
    nodes.billing.sql("update other.memos set text = 'b' where no = 1")
    assert record(nodes.billing, "1")["hash"] != record(nodes.crm, "1")["hash"]


def test_a_change_waits_to_go_until_it_has_arrived(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    row = record(notes.crm)
    assert (row["state"], row["pending"], row["attempts"], row["last_error"]) == ("waiting to go", 1, 0, None)
    sync(*notes)
    row = record(notes.crm)
    assert (row["state"], row["pending"]) == ("in sync", 0)
    assert "select * from rowferry.row_status('notes', '1');  -- on billing" in row["detail"]


def test_a_record_that_is_gone_has_no_hash(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(*notes)
    notes.crm.sql("delete from notes")
    assert (record(notes.crm)["state"], record(notes.crm)["hash"]) == ("waiting to go", None)
    sync(*notes)
    assert [record(node)["state"] for node in notes] == ["gone", "gone"]


def test_a_refused_record_is_held_with_its_error(notes: Nodes) -> None:
    notes.billing.sql("alter table notes add check (body <> 'bad')")
    notes.crm.sql("insert into notes values (1, 'bad')")
    sync(*notes)
    row = record(notes.crm)
    assert (row["state"], row["attempts"]) == ("held", 1)
    assert "(1, bad). The way out" in row["detail"], "the error ends with a full stop of its own"
    assert "violates check constraint" in row["last_error"]
    for said in ("billing refused it: new row", "rowferry.why_stuck()", "rowferry.retry("):
        assert said in row["detail"]
    notes.crm.sql("update rowferry.held_events set not_before = now() - interval '1 s'")
    assert "billing refused it" in detail(notes.crm) and "rowferry run" not in detail(notes.crm), "a worker changes nothing"


def test_a_record_that_was_asked_back_is_waiting_to_come(notes: Nodes) -> None:
    notes.billing.sql("alter table notes add check (body <> 'bad')")
    notes.crm.sql("insert into notes values (1, 'good')")
    sync(*notes)
    notes.crm.sql("update notes set body = 'bad'")
    sync(*notes)
    [held] = notes.crm.sql("select id, hint from rowferry.sync_events")
    retry, _, skip = held["hint"].partition(";  -- ")
    assert retry == f"select * from rowferry.retry({held['id']})"
    notes.crm.sql(retry)
    notes.crm.sql(skip.partition("give the change up: ")[2])
    assert record(notes.crm)["state"] == "waiting to come"
    sync(*notes)
    assert record(notes.crm)["state"] == "in sync"


def test_a_conflict_is_one_until_the_other_node_knows_of_it(notes: Nodes) -> None:
    for node in notes:
        node.sql(f"insert into notes values (1, '{node.name}')")
    courier = Courier(notes)
    to_billing, _ = courier.meet(notes)
    assert courier.call(notes.billing, to_billing)["conflicts"] == 1
    assert record(notes.billing)["state"] == "in conflict"
    sync(*notes)
    row = record(notes.billing)
    assert row["state"] == "in sync"
    assert "billing won by rule newest, conflict 1" in row["last_conflict"]


def test_a_composite_key_is_an_array_of_texts(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(PAIRS)
    nodes.crm.sql("insert into pairs values (1, 'x y', 1.50)")
    assert record(nodes.crm, '{1,"x y"}', "pairs")["state"] == "waiting to go"
    assert record(nodes.crm, "{01,x y}", "pairs")["record_id"] == '{1,"x y"}'  # as capture spells it
    for key in ("x", "{x,y}"):
        with pytest.raises(psycopg.Error) as caught:
            record(nodes.crm, key, "pairs")
        assert caught.value.sqlstate == "RF008"
        assert "'{1,2}'" in (caught.value.diag.message_hint or "")


def test_a_name_that_is_attached_nowhere_is_refused(notes: Nodes) -> None:
    with pytest.raises(psycopg.Error) as caught:
        record(notes.crm, "1", "nothing")
    assert caught.value.sqlstate == "RF011"


# What it waits for


def detail(node: Node, key: str = "1", entity: str = "notes") -> str:
    return str(record(node, key, entity)["detail"])


def test_a_change_that_nothing_holds_up_waits_for_its_turn(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a'); update notes set body = 'b'")
    assert "its turn" in detail(notes.crm)
    assert "rowferry run" in detail(notes.crm)  # no worker is at work


def test_a_change_in_flight_waits_for_its_acknowledgement(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    Courier(notes).meet(notes)
    assert "in flight" in detail(notes.crm)


def test_a_held_record_names_its_next_try_and_what_to_type_for_one_at_once(notes: Nodes) -> None:
    notes.billing.sql("alter table notes add check (body <> 'bad')")
    notes.crm.sql("insert into notes values (1, 'bad')")
    sync(*notes)
    retry = re.search(r"select \* from rowferry\.retry\(\d+\);", detail(notes.crm))
    assert retry
    notes.crm.sql(retry[0])
    sync(*notes)
    assert record(notes.crm)["attempts"] == 2


def test_a_child_names_the_parent_that_it_waits_for(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table parents (id integer primary key, name text); select rowferry.attach('parents')")
        node.sql(
            "create table children (id integer primary key, parent integer references parents);select rowferry.attach('children')"
        )
    nodes.billing.sql("alter table parents add check (name <> 'bad')")
    nodes.crm.sql("insert into parents values (7, 'bad'); insert into children values (1, 7)")
    sync(*nodes)
    assert record(nodes.crm, "1", "children")["state"] == "held"
    assert "its parent parents 7" in detail(nodes.crm, "1", "children")


def test_a_pause_of_the_link_and_of_the_entity_are_named(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    notes.crm.sql("select rowferry.pause()")
    notes.crm.sql("update rowferry.entities set paused_at = now(), paused_by = 'ann'")
    for said in ("paused by postgres", "rowferry.resume('billing')", "paused by ann", "rowferry.resume('billing', 'notes')"):
        assert said in detail(notes.crm)


@pytest.mark.parametrize(
    "query",
    [
        "select * from rowferry.why_stuck()",
        "select * from rowferry.status",
        "select * from rowferry.row_status('notes', '1')",
        "select * from rowferry.sync_events",
    ],
)
def test_looking_changes_nothing_and_draws_no_transaction_id(notes: Nodes, query: str) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    with notes.crm.connect(autocommit=False) as connection:
        connection.execute("set transaction read only")
        assert connection.execute(query).fetchall()
        assert connection.execute("select pg_current_xact_id_if_assigned()").fetchone() == (None,)
