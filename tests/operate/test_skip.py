"""What skip() says that it will do, and does: the peer's row comes; a row that the peer has not stays unless told otherwise."""

from __future__ import annotations

import psycopg
import pytest

from harness import Node, Nodes
from harness.exchange import assert_equal, rows, sync, waiting
from harness.roles import as_role, role

NO_BAD = "alter table notes add constraint no_bad check (body <> 'bad') not valid"
SKIP = "select state from rowferry.skip((select min(id) from rowferry.sync_events where record_id = '{id}'), 'a test'{delete})"
LOG = "select record_id, outcome, kept, ended_at is not null as ended from rowferry.skips order by id"


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """A table of a plain owner on both nodes, with rows 1 and 2; billing refuses bad ones."""
    for node in nodes:
        owner = role(node)
        node.sql(
            f"""grant usage, create on schema public to {owner}; set role {owner};
                create table notes (id integer primary key, body text)"""
        )
        node.sql("select rowferry.attach('notes')")
    nodes.crm.sql("insert into notes values (1, 'a'), (2, 'b')")
    sync(*nodes)
    nodes.billing.sql(NO_BAD)
    return nodes


def skip(node: Node, id: int, delete: bool = False) -> str:
    """As an operator types it."""
    operator = as_role(node, role(node, "in role rowferry_operator"))
    row = operator.execute(SKIP.format(id=id, delete=", p_delete => true" if delete else "")).fetchone()
    assert row is not None
    return str(row[0])


def refused(nodes: Nodes, id: int = 3) -> None:
    """A row that only crm has, since billing will not take it."""
    nodes.crm.sql(f"insert into notes values ({id}, 'bad')")
    sync(*nodes)
    assert waiting(nodes.crm) == [f"insert notes {id} 23514"]


def table(node: Node) -> list[str]:
    return rows(node, "select * from notes")


@pytest.mark.promise("R14")
@pytest.mark.smoke
def test_a_row_that_the_peer_has_not_stays_and_all_who_look_are_told(notes: Nodes) -> None:
    refused(notes)
    said = skip(notes.crm, 3)
    assert said.startswith(
        "given up; this node will ask billing for its row and write it here; "
        "if billing has no such row, the row here stays, different on purpose ("
    )
    assert "p_delete => true" in said
    assert notes.crm.sql("select state from rowferry.row_status('notes', '3')") == [{"state": "waiting to come"}]
    sync(*notes)
    assert (table(notes.crm), table(notes.billing)) == (["(1,a)", "(2,b)", "(3,bad)"], ["(1,a)", "(2,b)"])
    assert waiting(notes.crm) == waiting(notes.billing) == []
    assert notes.crm.sql(LOG) == [
        {
            "record_id": "3",
            "outcome": "billing has no such row; it is kept here, different on purpose",
            "kept": True,
            "ended": False,
        }
    ]
    [status] = notes.crm.sql("select state, detail from rowferry.row_status('notes', '3')")
    assert status["state"] == "different on purpose"
    assert status["detail"].startswith("billing has no such row; it is kept here, different on purpose: skip 1 of somebody_")
    assert notes.crm.sql("select state, reason from rowferry.status") == [{"state": "idle", "reason": None}]
    told = [r for r in notes.crm.sql("select * from rowferry.check()") if "on purpose" in r["problem"]]
    assert [(r["severity"], r["object"]) for r in told] == [("info", "public.notes")]
    for node, kind in ((notes.crm, "only_here"), (notes.billing, "only_there")):
        node.sql("select * from rowferry.compare('notes')")
        sync(*notes)
        assert node.sql("select record_id, kind, note from rowferry.differences") == [
            {"record_id": "3", "kind": kind, "note": "different on purpose, by a skip on crm"}
        ]
        [line] = node.sql("select records, sample from rowferry.compare_report where kind = 'on_purpose'")
        assert (line["records"], line["sample"]) == (1, ["3"])
    shown = notes.crm.sql("select state from rowferry.repair('notes', p_from => 'crm')")
    assert shown == [{"state": "would be done: p_dry_run => false; different on purpose, by a skip on crm"}]


@pytest.mark.promise("R14")
@pytest.mark.smoke
def test_with_the_word_the_row_is_deleted(notes: Nodes) -> None:
    refused(notes)
    assert skip(notes.crm, 3, delete=True).endswith("if billing has no such row, the row here will be DELETED")
    sync(*notes)
    assert assert_equal(notes) == ["(1,a)", "(2,b)"]
    assert notes.crm.sql(LOG) == [
        {"record_id": "3", "outcome": "billing has no such row, and it was deleted here", "kept": False, "ended": True}
    ]


@pytest.mark.promise("R14")
def test_a_row_that_the_peer_has_comes_in_its_place(notes: Nodes) -> None:
    notes.crm.sql("update notes set body = 'bad' where id = 1; delete from notes where id = 2")
    assert skip(notes.crm, 1).startswith("given up; this node will ask billing for its row and write it here; if")
    assert skip(notes.crm, 2) == "given up; this node will ask billing for its row and write it here, if there is one"
    sync(*notes)
    assert assert_equal(notes) == ["(1,a)", "(2,b)"]
    assert [row["outcome"] for row in notes.crm.sql(LOG)] == ["the row of billing came in its place"] * 2
    assert notes.crm.sql("select count(*) as open from rowferry.skips where ended_at is null") == [{"open": 0}]


def test_the_word_may_be_given_later_and_taken_back(notes: Nodes) -> None:
    refused(notes)
    [event] = notes.crm.sql("select id from rowferry.sync_events")
    assert "DELETED" in skip(notes.crm, 3, delete=True)
    [again] = notes.crm.sql(f"select state from rowferry.skip({event['id']})")
    assert (
        again["state"].startswith("given up already; this node will ask billing for its row") and "DELETED" not in again["state"]
    )
    sync(*notes)
    assert table(notes.crm)[-1] == "(3,bad)"


ENDS = {
    "it changes here": ("crm", "update notes set body = 'good' where id = 3"),
    "it is deleted here": ("crm", "delete from notes where id = 3"),
    "it is sent again": ("crm", "select * from rowferry.replay('notes', '3')"),
    "all rows are sent again": ("crm", "select * from rowferry.backfill('notes')"),
    "the peer gets one of its own": ("billing", "insert into notes values (3, 'theirs')"),
}


@pytest.mark.parametrize("how", ENDS)
def test_the_difference_ends_when(notes: Nodes, how: str) -> None:
    refused(notes)
    skip(notes.crm, 3)
    sync(*notes)
    notes.billing.sql("alter table notes drop constraint no_bad")
    name, statement = ENDS[how]
    getattr(notes, name).sql(statement)
    sync(*notes)
    assert_equal(notes)
    assert notes.crm.sql("select kept, ended_at is not null as ended from rowferry.skips") == [{"kept": False, "ended": True}]
    assert notes.crm.sql("select state from rowferry.row_status('notes', '3')")[0]["state"] in ("in sync", "gone")
    told = [
        conflict
        for node in notes
        for conflict in node.sql(
            "select winner, winner_row ->> 'body' as won, loser_row ->> 'body' as lost from rowferry.conflicts"
        )
    ]
    # What a person kept is not overwritten without a trace.
    assert told == ([{"winner": "billing", "won": "theirs", "lost": "bad"}] * 2 if name == "billing" else [])


@pytest.mark.parametrize("from_", ["crm", "billing"])
def test_a_repair_ends_it_by_the_node_that_was_named(notes: Nodes, from_: str) -> None:
    refused(notes)
    skip(notes.crm, 3)
    sync(*notes)
    notes.billing.sql("alter table notes drop constraint no_bad")
    notes.crm.sql("select * from rowferry.compare('notes')")
    sync(*notes)
    notes.crm.sql(f"select * from rowferry.repair('notes', p_from => '{from_}', p_dry_run => false)")
    sync(*notes)
    assert ("(3,bad)" in assert_equal(notes)) == (from_ == "crm")
    assert notes.crm.sql("select count(*) as open from rowferry.skips where ended_at is null") == [{"open": 0}]


AGAIN = ["select * from rowferry.replay('notes', '3')", "select * from rowferry.backfill('notes')"]


@pytest.mark.parametrize("statement", AGAIN)
@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_a_skip_and_a_backfill_or_replay_of_the_same_record_are_one_skip(
    notes: Nodes, statement: str, answered: bool, first: bool
) -> None:
    """Whichever is typed first, and whether or not the answer has come: nothing is held again."""
    refused(notes)
    if first:
        notes.crm.sql(statement)
    skip(notes.crm, 3)
    if answered:
        sync(*notes)
    notes.crm.sql(statement)
    sync(*notes)
    sync(*notes)
    assert (table(notes.crm)[2:], table(notes.billing)[2:]) == (["(3,bad)"], [])
    assert waiting(notes.crm) == waiting(notes.billing) == []
    assert [(row["kept"], row["ended"]) for row in notes.crm.sql(LOG)] == [(True, False)]
    assert notes.crm.sql("select state, held from rowferry.status") == [{"state": "idle", "held": 0}]


def test_what_stays_different_on_purpose_says_how_it_ends(notes: Nodes) -> None:
    """skip() and replay() of a record whose change was given up, once the answer has come."""
    refused(notes)
    [event] = notes.crm.sql("select id from rowferry.sync_events")
    skip(notes.crm, 3)
    sync(*notes)
    with notes.crm.connect() as connection, pytest.raises(psycopg.Error, match="no such event is pending") as refusal:
        connection.execute("select * from rowferry.skip(%s, 'again', p_delete => true)", [event["id"]])
    assert str(refusal.value.diag.message_hint).startswith("It was given up, and row 3 of notes stays here")
    [said] = notes.crm.sql("select state from rowferry.replay('notes', '3')")
    assert said["state"].endswith("if billing refuses the row again, it stays given up and is not held")
    sync(*notes)
    notes.crm.sql("delete from notes where id = 3")
    sync(*notes)
    assert_equal(notes, "notes")


def test_a_record_whose_answer_is_awaited_is_not_sent_again(notes: Nodes) -> None:
    refused(notes)
    skip(notes.crm, 3)
    [said] = notes.crm.sql("select event_id, record_id, state from rowferry.replay('notes', '3')")
    assert said == {
        "event_id": None,
        "record_id": "3",
        "state": "its change was given up, and billing was asked for its row: not sent before the answer;"
        " if billing has given up its answer too: select * from rowferry.replay('notes', '3');  -- on billing",
    }


def test_an_answer_that_is_given_up_leaves_both_rows_until_one_is_sent(notes: Nodes) -> None:
    """Neither node can take the other's row: to ask on and on would have no end."""
    notes.crm.sql("update notes set body = 'bad' where id = 1; alter table notes add constraint no_a check (body <> 'a')")
    sync(*notes)
    skip(notes.crm, 1)
    sync(*notes)
    assert waiting(notes.billing) == ["answer notes 1 23514"]
    assert skip(notes.billing, 1) == ("the answer is given up with the next exchange; crm keeps its row, and this node its own")
    sync(*notes)
    assert (table(notes.crm)[0], table(notes.billing)[0]) == ("(1,bad)", "(1,a)")
    assert waiting(notes.crm) == waiting(notes.billing) == []
    assert notes.billing.sql("select state from rowferry.row_status('notes', '1')") == [{"state": "different on purpose"}]
    [there] = notes.crm.sql("select state, detail from rowferry.row_status('notes', '1')")
    assert there["state"] == "waiting to come"
    assert "select * from rowferry.replay('notes', '1');  -- on billing" in there["detail"]
    notes.crm.sql("alter table notes drop constraint no_a")
    notes.billing.sql("select * from rowferry.replay('notes', '1')")
    sync(*notes)
    assert_equal(notes, "notes")
    assert [row["ended"] for node in notes for row in node.sql(LOG)] == [True, True]


def test_a_change_after_the_skip_goes_and_what_is_refused_then_is_held(notes: Nodes) -> None:
    refused(notes)
    skip(notes.crm, 3)
    sync(*notes)
    notes.crm.sql("update notes set body = body || '' where id = 3; update notes set body = 'bad' where id = 3")
    sync(*notes)
    assert waiting(notes.crm) == []  # nothing of it has changed
    notes.crm.sql("update notes set body = 'good' where id = 3; update notes set body = 'bad' where id = 3")
    sync(*notes)
    assert waiting(notes.crm)[0].endswith("23514")
    skip(notes.crm, 3)
    sync(*notes)
    assert [(row["kept"], row["ended"]) for row in notes.crm.sql(LOG)] == [(False, True), (True, False)]


def test_an_answer_of_before_a_new_generation_does_not_delete(notes: Nodes) -> None:
    refused(notes)
    skip(notes.crm, 3)
    for node in notes:
        node.sql("select * from rowferry.resync()")
    sync(*notes)
    assert table(notes.crm)[-1] == "(3,bad)"
    assert [(row["kept"], row["ended"]) for row in notes.crm.sql(LOG)] == [(True, False)]


def test_a_table_that_only_sends_keeps_its_row_on_purpose(nodes: Nodes) -> None:
    for node, way in zip(nodes, ("send", "receive"), strict=True):
        node.sql(
            f"create table notes (id integer primary key, body text); select rowferry.attach('notes', p_direction => '{way}')"
        )
    nodes.crm.sql("insert into notes values (1, 'a')")
    assert nodes.crm.sql(SKIP.format(id=1, delete="")) == [
        {"state": "given up with the next exchange; billing keeps its row, and this node its own"}
    ]
    sync(*nodes)
    assert [(row["outcome"], row["kept"]) for row in nodes.crm.sql(LOG)] == [
        ("billing keeps its row, and this node its own: different on purpose", True)
    ]
    nodes.crm.sql("update notes set body = 'b'")
    sync(*nodes)
    assert assert_equal(nodes) == ["(1,b)"]
    assert [row["ended"] for row in nodes.crm.sql(LOG)] == [True]


@pytest.mark.promise("R14")
def test_a_delete_from_sync_events_keeps_the_row_too(notes: Nodes) -> None:
    refused(notes)
    notes.crm.sql("delete from rowferry.sync_events where record_id = '3'")
    sync(*notes)
    assert table(notes.crm)[-1] == "(3,bad)"


def test_a_skip_that_is_in_force_outlives_the_retention(notes: Nodes) -> None:
    refused(notes)
    skip(notes.crm, 3)
    sync(*notes)
    notes.crm.sql("update rowferry.node set retention = '0'; insert into notes values (4, 'good')")
    sync(*notes)
    assert len(notes.crm.sql(LOG)) == 1
    notes.crm.sql("update notes set body = 'good' where id = 3")
    sync(*notes)
    notes.crm.sql("insert into notes values (5, 'good')")
    sync(*notes)
    assert notes.crm.sql(LOG) == []


def test_a_row_outside_the_filter_is_one_that_the_peer_has_not(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(
            """create table notes (id integer primary key, body text);
                select rowferry.attach('notes', p_filter => 'body <> ''bad''')"""
        )
    nodes.billing.sql("insert into notes values (1, 'bad')")
    nodes.crm.sql("insert into notes values (1, 'good')")
    sync(*nodes)
    assert waiting(nodes.crm) == ["insert notes 1 23514"]
    skip(nodes.crm, 1)
    sync(*nodes)
    assert (table(nodes.crm), table(nodes.billing)) == (["(1,good)"], ["(1,bad)"])
    assert [row["kept"] for row in nodes.crm.sql(LOG)] == [True]
