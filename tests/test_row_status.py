"""row_status(), explain_event() and preview(): where one record stands, why one event waits, what goes next."""

import re
from typing import Any

import psycopg
import pytest

from harness import Node, Nodes
from harness.courier import Courier
from harness.exchange import sync

TABLE = "create table notes (id integer primary key, body text); select rowferry.attach('notes')"
PAIRS = "create table pairs (a integer, b text, c numeric, primary key (a, b)); select rowferry.attach('pairs')"
Row = dict[str, Any]


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    for node in nodes:
        node.sql(TABLE)
    return nodes


def viewed(node: Node, query: str) -> list[Row]:
    """Rows of a query of whoever may only read."""
    with psycopg.connect(node.conninfo, row_factory=psycopg.rows.dict_row) as connection:
        connection.execute("set role rowferry_viewer")
        return connection.execute(query).fetchall()  # type: ignore[call-overload, no-any-return]


def record(node: Node, key: str = "1", entity: str = "notes") -> Row:
    [row] = viewed(node, f"select * from rowferry.row_status('{entity}', '{key}')")
    return row


def explain(node: Node, record_id: str = "1") -> Row:
    [row] = viewed(
        node,
        "select e.* from rowferry.sync_events s cross join rowferry.explain_event(s.id) e"
        f" where s.record_id = '{record_id}' order by e.id limit 1",
    )
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
    assert "select * from rowferry.row_status('notes', '1'); there" in row["detail"]


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
    assert "violates check constraint" in row["last_error"]


def test_a_record_that_was_asked_back_is_waiting_to_come(notes: Nodes) -> None:
    notes.billing.sql("alter table notes add check (body <> 'bad')")
    notes.crm.sql("insert into notes values (1, 'good')")
    sync(*notes)
    notes.crm.sql("update notes set body = 'bad'")
    sync(*notes)
    notes.crm.sql("select rowferry.skip(id, 'no') from rowferry.sync_events")
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


def test_an_event_is_explained_with_the_row_that_it_would_send(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a'); update notes set body = 'b'")
    row = explain(notes.crm)
    assert (row["entity"], row["record_id"], row["event_type"], row["operation"]) == ("notes", "1", "insert", "upsert")
    assert row["row"] == {"id": "1", "body": "b"}
    assert row["by_whom"].startswith("a user of this node, in transaction ")
    assert row["waits_for"].splitlines() == ["a courier, none is at work: rowferry run", "its turn, with 0 events before it"]


def test_an_event_in_flight_waits_for_its_acknowledgement(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    Courier(notes).meet(notes)
    assert explain(notes.crm)["waits_for"].startswith("the acknowledgement of batch 1, in flight since ")


def test_a_held_event_names_its_error_and_its_next_try(notes: Nodes) -> None:
    notes.billing.sql("alter table notes add check (body <> 'bad')")
    notes.crm.sql("insert into notes values (1, 'bad')")
    sync(*notes)
    row = explain(notes.crm)
    assert (row["attempts"], row["sqlstate"]) == (1, "23514")
    assert row["waits_for"].startswith("its next try at ")
    notes.crm.sql(row["waits_for"].partition(": ")[2])
    sync(*notes)
    assert explain(notes.crm)["attempts"] == 2


def test_a_child_names_the_parent_that_it_waits_for(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table parents (id integer primary key, name text); select rowferry.attach('parents')")
        node.sql(
            "create table children (id integer primary key, parent integer references parents);select rowferry.attach('children')"
        )
    nodes.billing.sql("alter table parents add check (name <> 'bad')")
    nodes.crm.sql("insert into parents values (7, 'bad'); insert into children values (1, 7)")
    sync(*nodes)
    parent = explain(nodes.crm, "7")
    assert (
        f"its parent parents 7, which is held: select * from rowferry.explain_event({parent['id']});"
        in explain(nodes.crm)["waits_for"].splitlines()
    )


def test_a_pause_and_a_hold_of_all_its_kind_are_named(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    notes.crm.sql("select rowferry.pause()")
    notes.crm.sql("update rowferry.entities set paused_at = now(), paused_by = 'ann'")
    assert explain(notes.crm)["waits_for"].splitlines() == [
        "the link, paused by postgres: select * from rowferry.resume('billing');",
        "its entity, paused by ann: select * from rowferry.resume('billing', 'notes');",
    ]


def test_who_made_an_event_that_no_user_made(notes: Nodes) -> None:
    notes.billing.sql("""
        create function stamp() returns trigger language plpgsql as $$ begin new.body := new.body || '!'; return new; end $$;
        create trigger stamp before insert on notes for each row execute function stamp()""")
    notes.crm.sql("insert into notes values (1, 'a')")
    courier = Courier(notes)
    to_billing, _ = courier.meet(notes)
    courier.call(notes.billing, to_billing)
    assert explain(notes.billing)["by_whom"].startswith(
        "a cascade or trigger, while rows of crm were applied (hop 1), in transaction "
    )
    sync(*notes)
    notes.crm.sql("select rowferry.backfill('notes')")
    Courier(notes).meet(notes)
    assert explain(notes.crm)["by_whom"].startswith("backfill for postgres, in transaction ")


def test_an_event_that_has_left_is_refused_with_what_became_of_it(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    [event] = notes.crm.sql("select id from rowferry.sync_events")
    notes.crm.sql("select rowferry.skip(id, 'a mistake') from rowferry.sync_events")
    sync(*notes)
    for id, what in ((event["id"], "was given up by postgres at .*: a mistake"), (999, "was never given out")):
        with pytest.raises(psycopg.Error) as caught:
            viewed(notes.crm, f"select * from rowferry.explain_event({id})")
        assert caught.value.sqlstate == "RF008"
        assert re.search(what, caught.value.diag.message_detail or "")


def test_a_preview_shows_what_the_next_batch_holds(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a'), (2, 'b'), (3, 'c')")
    sync(*notes)
    notes.crm.sql(
        "update notes set body = 'd' where id = 1; delete from notes where id = 2;"
        "update notes set body = 'e' where id = 1; insert into notes values (4, 'f')"
    )
    assert [tuple(row.values()) for row in viewed(notes.crm, "select * from rowferry.preview()")] == [
        ("notes", "1", "upsert", 2, {"id": "1", "body": "e"}, None),
        ("notes", "2", "gone", 1, None, None),
        ("notes", "4", "upsert", 1, {"id": "4", "body": "f"}, None),
    ]
    assert [row["record_id"] for row in viewed(notes.crm, "select * from rowferry.preview(2)")] == ["1", "2"]
    courier = Courier(notes)
    courier.meet(notes)
    assert viewed(notes.crm, "select * from rowferry.preview()") == []  # in flight


def test_a_preview_names_what_cannot_go(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a'); alter table notes rename column body to words")
    [row] = viewed(notes.crm, "select * from rowferry.preview()")
    assert row["operation"] == "held" and "its table on this node cannot be read" in row["note"]


@pytest.mark.parametrize(
    "query",
    [
        "select * from rowferry.preview()",
        "select * from rowferry.why_stuck()",
        "select * from rowferry.status",
        "select * from rowferry.row_status('notes', '1')",
        "select * from rowferry.sync_events s cross join rowferry.explain_event(s.id)",
    ],
)
def test_looking_changes_nothing_and_draws_no_transaction_id(notes: Nodes, query: str) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    with notes.crm.connect(autocommit=False) as connection:
        connection.execute("set transaction read only")
        assert connection.execute(query).fetchall()
        assert connection.execute("select pg_current_xact_id_if_assigned()").fetchone() == (None,)
