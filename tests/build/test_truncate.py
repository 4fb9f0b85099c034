"""TRUNCATE is refused, or waits for a person and then empties the other side."""

from __future__ import annotations

from harness import Nodes
from harness.breaker import PROPAGATE, TABLE, count, install, waits
from harness.exchange import assert_equal, refused_with, sync, waiting
from harness.roles import as_role, role


def test_truncate_waits_for_approval_and_then_empties_the_other_side(nodes: Nodes) -> None:
    install(nodes, 5, attach=PROPAGATE)
    nodes.crm.sql("truncate notes; insert into notes values (3, 'new')")
    sync(*nodes)
    assert count(nodes.billing) == 5
    [status] = nodes.crm.sql("select state, reason from rowferry.status")
    assert status["state"] == "held"
    assert status["reason"].startswith(
        "notes: postgres truncated public.notes: its rows are to be deleted on billing. select * from rowferry.approve('notes');"
    )
    nodes.crm.sql("select * from rowferry.approve('notes')")
    sync(*nodes)
    assert assert_equal(nodes) == ["(3,new)"]


def test_a_truncated_table_can_be_had_back(nodes: Nodes) -> None:
    install(nodes, 5, attach=PROPAGATE)
    nodes.crm.sql("truncate notes")
    nodes.crm.sql("select * from rowferry.skip_deletes('notes')")
    sync(*nodes)
    assert len(assert_equal(nodes)) == 5


def test_truncate_is_refused_unless_it_was_asked_for(nodes: Nodes) -> None:
    install(nodes, 5)
    refused_with("RF005", nodes.crm, "truncate notes")


def test_a_truncate_that_is_rolled_back_leaves_nothing_behind(nodes: Nodes) -> None:
    install(nodes, 5, attach=PROPAGATE)
    nodes.crm.sql("begin; truncate notes; rollback")
    assert (waiting(nodes.crm), waits(nodes.crm)) == ([], False)


def test_truncate_by_an_old_snapshot_is_refused(nodes: Nodes) -> None:
    """It would take rows that it does not see."""
    install(nodes, 5, attach=PROPAGATE)
    refused_with("RF005", nodes.crm, "begin isolation level repeatable read; truncate notes; commit")


def test_truncate_of_one_partition_empties_that_part_of_the_other_side(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table public.notes (id integer primary key, body text) partition by range (id)")
        node.sql("create table public.low partition of notes for values from (0) to (4)")
        node.sql("create table public.high partition of notes default")
        node.sql(PROPAGATE)
    nodes.crm.sql("insert into notes select generate_series(1, 6)")
    sync(*nodes)
    for table, left in (("low", 3), ("notes", 0)):
        nodes.crm.sql(f"truncate {table}")
        nodes.crm.sql("select * from rowferry.approve('notes')")
        sync(*nodes)
        assert len(assert_equal(nodes)) == left


def test_truncate_cascade_empties_both_tables_once_both_are_approved(nodes: Nodes) -> None:
    install(nodes, 5, attach=PROPAGATE)
    for node in nodes:
        node.sql("create table public.marks (id integer primary key, note integer references notes)")
        node.sql("select rowferry.attach('public.marks', p_truncate => 'propagate')")
    nodes.crm.sql("insert into marks values (1, 1)")
    sync(*nodes)
    nodes.crm.sql("truncate notes cascade")
    for entity in ("notes", "marks"):
        nodes.crm.sql("select * from rowferry.approve(%s)", [entity])
    sync(*nodes)
    assert assert_equal(nodes) == assert_equal(nodes, "marks") == []


def test_a_table_owner_may_truncate_and_writes_with_no_more_rights(nodes: Nodes) -> None:
    owner = role(nodes.crm)
    for node in nodes:
        node.sql(TABLE)
    nodes.crm.sql(f"alter table notes owner to {owner}")
    for node in nodes:
        node.sql(PROPAGATE)
    nodes.crm.sql("insert into notes values (1)")
    as_role(nodes.crm, owner).execute("truncate notes")
    nodes.crm.sql("select * from rowferry.approve('notes')")
    assert waiting(nodes.crm) == ["insert notes 1", "delete notes 1"]
