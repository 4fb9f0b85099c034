"""What a comparison found is made equal by one node's rows, and nobody's later change is lost in it."""

from typing import Any

import pytest

from harness import Nodes
from harness.attaching import refusal
from harness.comparing import Carrier, compared, found, unseen
from harness.exchange import assert_equal, refused_with, rows, sync
from harness.notes import keep_notes


@pytest.fixture
def apart(nodes: Nodes) -> Nodes:
    """Ten rows, of which 1 differs, 2 is only on crm and 3 only on billing; compared on crm."""
    keep_notes(nodes, "select n, 'note ' || n from generate_series(1, 10) n")
    unseen(nodes.crm, "update notes set body = 'crm' where id = 1; delete from notes where id = 3")
    unseen(nodes.billing, "delete from notes where id = 2")
    assert found(compared(nodes, "notes")) == {"same": 7, "different": 1, "only_here": 1, "only_there": 1, "pending": 0}
    return nodes


def repair(nodes: Nodes, source: str, **choices: Any) -> list[str]:
    arguments = "".join(f", {name} => {value}" for name, value in choices.items())
    found = nodes.crm.sql(
        f"select concat_ws(' ', record_id, kind, action, state) as r from rowferry.repair('notes', '{source}'{arguments})"
    )
    return [row["r"] for row in found]


def test_without_being_told_otherwise_repair_only_shows_what_it_would_do(apart: Nodes) -> None:
    before = [rows(node, "select * from notes") for node in apart]
    assert repair(apart, "billing") == [
        "1 different update on crm would be done: p_dry_run => false",
        "2 only_here delete on crm would be done: p_dry_run => false",
        "3 only_there insert on crm would be done: p_dry_run => false",
    ]
    Carrier(apart).until_done()
    assert [rows(node, "select * from notes") for node in apart] == before


@pytest.mark.parametrize(
    ("source", "left"), [("crm", ["(1,crm)", '(2,"note 2")']), ("billing", ['(1,"note 1")', '(3,"note 3")'])]
)
def test_the_rows_of_the_chosen_node_stay(apart: Nodes, source: str, left: list[str]) -> None:
    repair(apart, source, p_dry_run="false")
    Carrier(apart).until_done()
    assert [row for row in assert_equal(apart) if row[1] in "123" and row[2] == ","] == left
    assert found(compared(apart, "notes")) == {"same": 9, "different": 0, "only_here": 0, "only_there": 0, "pending": 0}


@pytest.mark.parametrize("source", ["crm", "billing"])
def test_a_change_made_since_the_comparison_stays(apart: Nodes, source: str) -> None:
    apart.billing.sql("update notes set body = 'later' where id = 1")
    apart.crm.sql("update notes set body = 'later too' where id = 2")
    repair(apart, source, p_dry_run="false")
    Carrier(apart).until_done()
    assert {"(1,later)", '(2,"later too")'} <= set(assert_equal(apart))


def test_a_repair_waits_with_an_entity_that_a_person_has_to_approve(apart: Nodes) -> None:
    apart.crm.sql("select * from rowferry.set_breaker('notes', 0.5, 5); delete from notes where id > 3")
    sync(*apart)
    assert rows(apart.crm, "select held_sqlstate from rowferry.entities") == ["(RF026)"]
    repair(apart, "crm", p_dry_run="false")
    sync(*apart)
    assert rows(apart.crm, "select state, error from rowferry.compare_runs") == ["(resolving,)"]
    apart.crm.sql("select * from rowferry.approve('notes')")
    Carrier(apart).until_done()
    assert assert_equal(apart) == ["(1,crm)", '(2,"note 2")']


def test_children_are_repaired_after_their_parents(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("""
            create table public.notes (id int primary key, parent int references notes);
            select rowferry.attach('public.notes')""")
    unseen(nodes.crm, "insert into notes select n, nullif(n % 100, 0) from generate_series(1, 3000) n")
    compared(nodes, "notes")
    repair(nodes, "crm", p_dry_run="false")
    Carrier(nodes).until_done()
    assert len(assert_equal(nodes)) == 3000


def test_repair_waits_for_a_newer_comparison_and_does_nothing_once_the_last_one_is_resolved(apart: Nodes) -> None:
    apart.crm.sql("select * from rowferry.compare('notes')")
    error = refusal(apart.crm, "select * from rowferry.repair('notes', 'crm')")
    assert error.sqlstate == "RF050"
    assert error.diag.message_primary == "a newer comparison of this entity is still running"
    assert error.diag.message_detail == "notes, run 2: queued."
    look, _, named = str(error.diag.message_hint).partition("  -- wait until it is finished; or, by what run 1 has found: ")
    assert [row["state"] for row in apart.crm.sql(look)] == ["queued"]
    assert [row["run_id"] for row in apart.crm.sql(named)] == [1, 1, 1]
    Carrier(apart).until_compared()
    repair(apart, "crm", p_dry_run="false")
    assert refusal(apart.crm, "select * from rowferry.repair('notes', 'crm')").diag.message_detail == "notes, run 2: resolving."
    Carrier(apart).until_done()
    for dry in ("true", "false"):
        [said] = repair(apart, "billing", p_dry_run=dry)
        assert said.startswith("nothing is done: what run 2 found was resolved at "), said
        assert said.endswith("to look again: select * from rowferry.compare('notes');"), said
    assert rows(apart.crm, "select run_id, state from rowferry.compare_runs") == ["(1,finished)", "(2,resolved)"]
    assert len(repair(apart, "crm", p_run="2")) == 3


def test_repair_refuses_what_was_never_compared_and_nodes_it_does_not_know(apart: Nodes) -> None:
    refused_with("RF011", apart.crm, "select * from rowferry.repair('nothing', 'crm')")
    refused_with("RF050", apart.crm, "select * from rowferry.repair('notes', 'crm', p_run => 99)")
    refused_with("RF051", apart.crm, "select * from rowferry.repair('notes', 'elsewhere')")
