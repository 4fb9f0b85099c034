"""The view status, where a person looks first: it is red while something does not move, with the cause and the way out."""

from pathlib import Path

import pytest

from harness import Nodes, wait_until
from harness.exchange import rows, sync
from harness.worker import start_worker, worker


@pytest.mark.promise("R12")
@pytest.mark.case(34)
@pytest.mark.parametrize("kind", ["", "partition by range (id)"])
@pytest.mark.parametrize("event", ["insert", "update", "delete", "truncate"])
def test_a_disabled_or_dropped_capture_trigger_is_named_at_once(nodes: Nodes, kind: str, event: str) -> None:
    for node in nodes:
        node.sql(f"create table notes (id integer primary key, value text) {kind}; select rowferry.attach('notes')")
        if kind:
            node.sql("create table part partition of notes default")
    trigger = "rowferry_truncate" if event == "truncate" else "rowferry_capture" if kind else f"rowferry_capture_{event}"
    status = "select state, reason from rowferry.status"
    with nodes.crm.connect() as viewer:
        viewer.execute("set role rowferry_viewer")
        assert viewer.execute(status).fetchall() == [("idle", "no worker has run yet: start rowferry run")]
        for change in ("disable trigger", "enable trigger", "enable replica trigger"):
            nodes.crm.sql(f"alter table notes {change} {trigger}")
            ((state, reason),) = viewer.execute(status).fetchall()
            assert state == "stuck" and f"its trigger {trigger} is disabled" in reason and "rowferry.backfill('notes')" in reason
        nodes.crm.sql(f"alter table notes enable always trigger {trigger}")
        assert viewer.execute(status).fetchall() == [("idle", "no worker has run yet: start rowferry run")]
        nodes.crm.sql(f"drop trigger {trigger} on notes")
        ((state, reason),) = viewer.execute(status).fetchall()
        assert state == "stuck" and f"its trigger {trigger} is gone" in reason


@pytest.mark.case(34)
def test_what_the_reason_says_mends_a_disabled_trigger(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table notes (id integer primary key, value text); select rowferry.attach('notes')")
    nodes.crm.sql("alter table notes disable trigger rowferry_capture_insert; insert into notes values (1, 'unseen')")
    reason = nodes.crm.sql("select reason from rowferry.status")[0]["reason"]
    nodes.crm.sql(reason.partition("disabled: ")[2].replace("then ", ""))
    sync(*nodes)
    assert rows(nodes.billing, "select * from notes") == ["(1,unseen)"]


def test_a_link_that_is_paused_on_the_other_node_says_so_here(nodes: Nodes, tmp_path: Path) -> None:
    """And goes on once it is resumed there."""
    for node in nodes:
        node.sql("create table notes (id integer primary key, value text); select rowferry.attach('notes')")
    nodes.billing.sql("select rowferry.pause()")
    nodes.crm.sql("insert into notes values (1, 'waits')")
    with worker(nodes, tmp_path / "log", "--interval", "0.1"):
        said = "billing answered: the link is paused there: paused by postgres"
        wait_until(lambda: nodes.crm.sql("select reason from rowferry.status")[0]["reason"] == said, 20, "the status says so")
        nodes.billing.sql("select rowferry.resume()")
        wait_until(lambda: rows(nodes.billing, "select * from notes") == ["(1,waits)"], 20, "it goes on")
        wait_until(lambda: nodes.crm.sql("select reason from rowferry.status")[0]["reason"] is None, 20, "the reason has gone")


def test_a_link_whose_other_node_knows_no_such_peer_is_stuck_and_not_idle(nodes: Nodes, tmp_path: Path) -> None:
    nodes.billing.sql("update rowferry.links set peer = 'shop'")
    start_worker(nodes, tmp_path / "log", "--once").wait(60)
    [row] = nodes.crm.sql("select state, reason from rowferry.status")
    assert row["state"] == "stuck"
    assert row["reason"].startswith("billing answered: no such peer; give alembic.ini and the variable of billing the right node")
    nodes.billing.sql("update rowferry.links set peer = 'crm'")
    assert start_worker(nodes, tmp_path / "log", "--once").wait(60) == 0
    assert nodes.crm.sql("select state, reason from rowferry.status") == [{"state": "idle", "reason": None}]
