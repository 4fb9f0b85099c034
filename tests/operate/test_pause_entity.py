"""One entity is held still while all others move."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness import Nodes, wait_until
from harness.courier import Courier
from harness.exchange import refused_with, rows, sync, waiting
from harness.worker import PROGRAM, worker


@pytest.fixture
def pair(nodes: Nodes) -> Nodes:
    """Two nodes that keep public.notes and public.others in sync."""
    for node in nodes:
        for name in ("notes", "others"):
            node.sql(f"create table public.{name} (id integer primary key, body text); select rowferry.attach('public.{name}')")
    return nodes


def test_a_paused_entitys_changes_wait_while_others_move(pair: Nodes) -> None:
    with pair.crm.connect() as connection:
        connection.execute("set role rowferry_operator")
        paused = connection.execute("select peer, entity, paused_by from rowferry.pause(p_entity => 'notes')").fetchall()
    assert paused == [("billing", "notes", "postgres")]
    pair.crm.sql("insert into notes values (1, 'waits'); insert into others values (1, 'goes')")
    sync(*pair)
    assert (rows(pair.billing, "select * from notes"), rows(pair.billing, "select * from others")) == ([], ["(1,goes)"])
    assert waiting(pair.crm) == ["insert notes 1 RF027"]
    [status] = pair.crm.sql("select state, pending, held, reason from rowferry.status")
    assert (status["state"], status["pending"], status["held"]) == ("held", 1, 1)
    assert status["reason"].startswith("notes: paused by postgres since ")
    assert status["reason"].endswith("select * from rowferry.resume(p_entity => 'notes');")
    [resumed] = pair.crm.sql(
        "select peer, entity, was_paused_at < now() as was, pending from rowferry.resume(p_entity => 'notes')"
    )
    assert resumed == {"peer": "billing", "entity": "notes", "was": True, "pending": 1}
    sync(*pair)
    assert rows(pair.billing, "select * from notes") == ["(1,waits)"]
    assert pair.crm.sql("select state from rowferry.status") == [{"state": "idle"}]


def test_the_peers_rows_of_a_paused_entity_are_not_applied(pair: Nodes) -> None:
    pair.billing.sql("select * from rowferry.pause(p_entity => 'notes')")
    pair.crm.sql("insert into notes values (1, 'waits'); insert into others values (1, 'goes')")
    sync(*pair)
    assert (rows(pair.billing, "select * from notes"), rows(pair.billing, "select * from others")) == ([], ["(1,goes)"])
    [event] = pair.crm.sql("select entity, sqlstate, last_error from rowferry.sync_events")
    assert event == {"entity": "notes", "sqlstate": "RF027", "last_error": "paused on the other node by postgres"}
    pair.billing.sql("select * from rowferry.resume(p_entity => 'notes')")
    sync(*pair)
    assert rows(pair.billing, "select * from notes") == ["(1,waits)"]
    assert waiting(pair.crm) == []


def test_what_was_on_its_way_when_the_entity_was_paused_here_leaves_it_paused(pair: Nodes) -> None:
    pair.crm.sql("insert into notes values (1, 'flies')")
    courier = Courier(pair)
    from_crm, _ = courier.meet(pair)
    pair.crm.sql("select * from rowferry.pause(p_entity => 'notes'); insert into notes values (2, 'waits')")
    answer = courier.call(pair.billing, from_crm)
    assert answer["applied"] == 1
    assert courier.call(pair.crm, answer["envelope"])["retired"] == 1
    assert waiting(pair.crm) == ["insert notes 2 RF027"]


def test_run_once_ends_with_an_entity_paused_and_its_backfill_unfinished(pair: Nodes) -> None:
    pair.crm.sql("insert into notes values (1, 'waits'); insert into others values (1, 'goes')")
    pair.crm.sql("select rowferry.backfill('notes'); select * from rowferry.pause(p_entity => 'notes')")
    done = subprocess.run([PROGRAM, "run", "--once"], env=pair.env, capture_output=True, text=True, timeout=30)
    assert (done.returncode, "events are held: 1 on crm" in done.stderr) == (1, True), done.stderr
    assert rows(pair.billing, "select * from others") == ["(1,goes)"]


def test_the_worker_delivers_at_once_what_was_paused_on_the_other_node(pair: Nodes, tmp_path: Path) -> None:
    pair.billing.sql("select * from rowferry.pause(p_entity => 'notes')")
    pair.crm.sql("insert into notes values (1, 'waits')")
    with worker(pair, tmp_path / "log"):
        held = "update rowferry.entities set held_until = 'tomorrow' where held_sqlstate = 'RF027' returning 1"
        wait_until(lambda: pair.crm.sql(held), 20, "it was refused")
        pair.billing.sql("select * from rowferry.resume(p_entity => 'notes')")
        wait_until(lambda: rows(pair.billing, "select * from notes") == ["(1,waits)"], 20, "the row arrives")


def test_resume_on_the_node_that_is_not_paused_says_where_the_pause_is(pair: Nodes, tmp_path: Path) -> None:
    assert pair.crm.sql("select state from rowferry.resume()") == [
        {"state": "not paused here; whether it is there: select * from rowferry.status;  -- on billing"}
    ]
    pair.billing.sql("select * from rowferry.pause(p_entity => 'notes')")
    pair.crm.sql("insert into notes values (1, 'waits')")
    sync(*pair)
    [entity] = pair.crm.sql("select state from rowferry.resume(p_entity => 'notes')")
    assert entity["state"] == (
        "not paused here; billing says: paused on the other node by postgres. "
        "select * from rowferry.resume(p_entity => 'notes');  -- on billing"
    )
    [link] = pair.billing.sql("select state from rowferry.resume()")
    assert link["state"].startswith("not paused here as a whole, but of it: notes. Next: ")
    pair.billing.sql(link["state"].partition("Next: ")[2])
    sync(*pair)
    assert rows(pair.billing, "select * from notes") == ["(1,waits)"]
    pair.billing.sql("select * from rowferry.pause()")
    with worker(pair, tmp_path / "log", "--interval", "0.1"):
        said = (
            "not paused here; billing says: the link is paused there: paused by postgres."
            " Next: select * from rowferry.resume();  -- on billing"
        )
        wait_until(lambda: pair.crm.sql("select state from rowferry.resume()") == [{"state": said}], 20, "it says where")
    assert pair.billing.sql("select state from rowferry.resume()") == [{"state": "it moves again"}]


def test_an_entity_whose_table_was_dropped_can_be_resumed(pair: Nodes) -> None:
    pair.crm.sql("select rowferry.pause(p_entity => 'notes')")
    pair.crm.sql("drop table notes cascade")
    assert pair.crm.sql("select entity from rowferry.resume(p_entity => 'notes')") == [{"entity": "notes"}]


def test_resuming_does_not_approve(pair: Nodes) -> None:
    pair.crm.sql("insert into notes select g from generate_series(1, 5) g")
    sync(*pair)
    pair.crm.sql("update rowferry.entities set truncate_rule = 'propagate'")
    pair.crm.sql("truncate notes")
    pair.crm.sql("select * from rowferry.pause(p_entity => 'notes'); select * from rowferry.resume(p_entity => 'notes')")
    sync(*pair)
    assert pair.billing.sql("select count(*) from notes") == [{"count": 5}]


def test_approving_does_not_resume(pair: Nodes) -> None:
    pair.crm.sql("insert into notes select g from generate_series(1, 100) g")
    sync(*pair)
    pair.crm.sql("delete from notes")
    sync(*pair)
    pair.crm.sql("select * from rowferry.pause(p_entity => 'notes')")
    assert pair.crm.sql("select state from rowferry.approve('notes')") == [{"state": "approved; the entity is paused"}]
    sync(*pair)
    assert pair.billing.sql("select count(*) from notes") == [{"count": 100}]
    pair.crm.sql("select * from rowferry.resume(p_entity => 'notes')")
    sync(*pair)
    assert pair.billing.sql("select count(*) from notes") == [{"count": 0}]


@pytest.mark.parametrize("act", ["pause", "resume"])
@pytest.mark.parametrize("arguments", ["p_entity => 'nothing'", "p_entity => 'notes', p_peer => 'nobody'"])
def test_an_entity_that_is_not_there_cannot_be_paused(pair: Nodes, act: str, arguments: str) -> None:
    refused_with("RF011", pair.crm, f"select * from rowferry.{act}({arguments})")


def test_a_paused_entity_is_not_to_be_had_by_trying(pair: Nodes) -> None:
    pair.crm.sql("select * from rowferry.pause(p_entity => 'notes'); insert into notes values (1)")
    for query in ("select * from rowferry.retry('notes')", "select rowferry.retry(id) from rowferry.sync_events"):
        assert "waits for a person" in refused_with("RF027", pair.crm, query)
