"""Entities whose rows go one way only: attach(p_direction => 'send' or 'receive')."""

import pytest

from harness import Node, Nodes
from harness.exchange import refused_with, rows, sync, waiting

pytestmark = pytest.mark.smoke

TABLE = "create table notes (id integer primary key, text text)"


def install(nodes: Nodes, here: str = "send", there: str = "receive") -> None:
    for node, direction in zip(nodes, (here, there), strict=True):
        node.sql(TABLE)
        node.sql("select rowferry.attach('notes', p_direction => %s)", [direction])


def notes(node: Node) -> list[str]:
    return rows(node, "select * from notes")


def test_rows_go_one_way_and_what_is_written_at_the_other_end_stays_there(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("insert into notes values (1, 'a'), (2, 'b')")
    sync(*nodes)
    nodes.billing.sql("insert into notes values (3, 'of billing')")
    nodes.billing.sql("update notes set text = 'changed' where id = 1")
    nodes.crm.sql("update notes set text = 'b2' where id = 2")
    sync(*nodes)
    assert notes(nodes.crm) == ["(1,a)", "(2,b2)"]
    assert notes(nodes.billing) == ["(1,changed)", "(2,b2)", '(3,"of billing")']
    assert waiting(nodes.billing) == waiting(nodes.crm) == []
    nodes.crm.sql("delete from notes where id = 1")
    sync(*nodes)
    assert notes(nodes.billing) == ["(2,b2)", '(3,"of billing")']


def test_a_receiving_table_has_no_trigger_and_may_be_truncated_and_nothing_of_it_is_an_alarm(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("insert into notes values (1, 'a')")
    sync(*nodes)
    assert nodes.billing.sql("select tgname from pg_trigger where tgrelid = 'notes'::regclass") == []
    nodes.billing.sql("truncate notes")
    sync(*nodes)
    assert notes(nodes.crm) == ["(1,a)"]
    for node in nodes:
        assert node.sql("select * from rowferry.check() where object like '%%notes%%' and severity <> 'info'", []) == []
        assert node.sql("select state from rowferry.status") == [{"state": "idle"}]


def test_what_a_trigger_makes_of_a_received_row_is_not_sent_back(nodes: Nodes) -> None:
    install(nodes)
    nodes.billing.sql(
        "create function shout() returns trigger language plpgsql as 'begin new.text := upper(new.text); return new; end'"
    )
    nodes.billing.sql(
        "create trigger shout before insert or update on notes for each row execute function shout();"
        "alter table notes enable always trigger shout"
    )
    nodes.crm.sql("insert into notes values (1, 'a')")
    sync(*nodes)
    assert (notes(nodes.crm), notes(nodes.billing), waiting(nodes.billing)) == (["(1,a)"], ["(1,A)"], [])


def test_a_node_that_only_sends_takes_no_row_and_says_so_on_the_other(nodes: Nodes) -> None:
    install(nodes, "send", "both")
    nodes.billing.sql("insert into notes values (1, 'of billing')")
    sync(*nodes)
    assert notes(nodes.crm) == []
    assert waiting(nodes.billing) == ["insert notes 1 RF028"]
    [entity] = nodes.billing.sql("select held_sqlstate, held_error, held_hint from rowferry.entities")
    assert entity["held_sqlstate"] == "RF028"
    assert "p_direction => 'receive'" in entity["held_hint"]
    nodes.crm.sql("insert into notes values (2, 'of crm')")
    sync(*nodes)
    assert notes(nodes.billing) == ['(1,"of billing")', '(2,"of crm")']


@pytest.mark.parametrize(
    ("here", "there", "warned"),
    [
        ("both", "both", False),
        ("send", "receive", False),
        ("receive", "send", False),
        ("both", "receive", True),
        ("send", "both", True),
        ("send", "send", True),
        ("receive", "receive", True),
    ],
)
def test_check_names_directions_that_do_not_fit(nodes: Nodes, here: str, there: str, warned: bool) -> None:
    install(nodes, here, there)
    sync(*nodes)
    for node in nodes:
        found = node.sql("select fix from rowferry.check() where problem like 'entity notes goes %%'", [])
        assert len(found) == warned


def test_a_change_that_is_skipped_is_forgotten_and_the_peer_keeps_its_row(nodes: Nodes) -> None:
    install(nodes)
    nodes.billing.sql("alter table notes add check (text <> 'bad')")
    nodes.crm.sql("insert into notes values (1, 'good')")
    sync(*nodes)
    nodes.crm.sql("update notes set text = 'bad'")
    sync(*nodes)
    [skipped] = nodes.crm.sql("select s.* from rowferry.sync_events e cross join lateral rowferry.skip(e.id, 'as it is') s")
    assert skipped["state"] == "given up with the next exchange; billing keeps its row, and this node its own"
    sync(*nodes)
    assert (notes(nodes.crm), notes(nodes.billing)) == (["(1,bad)"], ["(1,good)"])
    assert waiting(nodes.crm) == waiting(nodes.billing) == []


def test_what_would_go_the_other_way_is_refused_and_a_repair_goes_the_right_one(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("insert into notes values (1, 'a'), (2, 'b')")
    sync(*nodes)
    nodes.billing.sql("update notes set text = 'changed' where id = 1")
    nodes.billing.sql("insert into notes values (3, 'of billing')")
    for query in ("backfill('notes')", "replay('notes', '1')"):
        refused_with("RF028", nodes.billing, f"select * from rowferry.{query}")
    for node, refused in ((nodes.crm, "billing"), (nodes.billing, "billing")):
        node.sql("select * from rowferry.compare('notes')")
        sync(*nodes)
        refused_with("RF028", node, "select * from rowferry.repair('notes', p_from => %s, p_dry_run => false)", [refused])
    nodes.billing.sql("select * from rowferry.repair('notes', p_from => 'crm', p_dry_run => false)")
    sync(*nodes)
    assert notes(nodes.crm) == notes(nodes.billing) == ["(1,a)", "(2,b)"]
    nodes.billing.sql("delete from notes")
    nodes.crm.sql("select * from rowferry.compare('notes')")
    sync(*nodes)
    nodes.crm.sql("select * from rowferry.repair('notes', p_from => 'crm', p_dry_run => false)")
    sync(*nodes)
    assert notes(nodes.crm) == notes(nodes.billing) == ["(1,a)", "(2,b)"]


def test_first_contact_lets_rows_of_the_sender_stay_only(nodes: Nodes) -> None:
    install(nodes)
    nodes.billing.sql("insert into notes values (1, 'of billing')")
    nodes.billing.sql("select * from rowferry.first_contact('notes')")
    sync(*nodes)
    for choice in ("p_only_here => 'here'", "p_different => 'newest by id'"):
        refused_with("RF028", nodes.billing, f"select * from rowferry.first_contact('notes', {choice})")
    nodes.billing.sql("select * from rowferry.first_contact('notes', p_only_here => 'there')")
    sync(*nodes)
    assert notes(nodes.billing) == []


@pytest.mark.parametrize("arguments", ["p_direction => 'up'", "p_direction => 'send', p_conflict_rule => 'node:crm'"])
def test_a_direction_that_is_none_and_a_rule_that_would_never_be_asked_are_refused(nodes: Nodes, arguments: str) -> None:
    nodes.crm.sql(TABLE)
    refused_with("RF013", nodes.crm, f"select rowferry.attach('notes', {arguments})")


def test_deletes_that_wait_for_approval_are_forgotten_where_rows_are_only_sent(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("insert into notes select i, 'n' from generate_series(1, 200) i")
    sync(*nodes)
    nodes.crm.sql("delete from notes where id > 10")
    sync(*nodes)
    nodes.crm.sql("select * from rowferry.skip_deletes('notes', 'not these')")
    sync(*nodes)
    assert (len(notes(nodes.crm)), len(notes(nodes.billing))) == (10, 200)
    assert waiting(nodes.crm) == waiting(nodes.billing) == []
