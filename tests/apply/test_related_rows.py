"""Rows that refer to each other arrive in whichever order the foreign keys need, in batches of any size."""

from __future__ import annotations

import pytest

from harness import Nodes
from harness.cases import at_rest, make, tried_again
from harness.exchange import assert_equal, rows, sync, waiting

FAMILY = """
create table parents (id integer primary key, body text);
create table children (id integer primary key, parent integer not null references parents, body text)
"""


@pytest.mark.case(44)
@pytest.mark.parametrize("limit", [1, 2, 7])
def test_children_arrive_whatever_the_size_of_a_batch(nodes: Nodes, limit: int) -> None:
    """Parents are made before, after and between their children's changes, and some change hands: constraints stay on (R10)."""
    make(nodes, FAMILY, "children", "parents")
    for i in range(1, 13):
        nodes.crm.sql(
            f"insert into parents values ({i}, 'new');"
            f"insert into children select {i} * 10 + n, {i}, 'new' from generate_series(1, 3) n"
        )
    nodes.crm.sql("insert into parents values (99, 'last'); update children set parent = 99 where id % 10 = 1")
    sync(*nodes, limit=limit)
    assert (len(assert_equal(nodes, "parents")), len(assert_equal(nodes, "children"))) == (13, 36)
    nodes.crm.sql("update children set parent = 99; delete from parents where id % 2 = 0")
    sync(*nodes, limit=limit)
    assert (len(assert_equal(nodes, "parents")), len(assert_equal(nodes, "children"))) == (7, 36)
    nodes.crm.sql("delete from children; delete from parents")
    sync(*nodes, limit=limit)
    assert (assert_equal(nodes, "parents"), assert_equal(nodes, "children")) == ([], [])
    at_rest(nodes)


@pytest.mark.case(44)
@pytest.mark.parametrize("limit", [1, 500])
@pytest.mark.parametrize("deferrable", ["", "deferrable", "deferrable initially deferred"])
def test_a_tree_in_one_table_arrives_and_goes(nodes: Nodes, deferrable: str, limit: int) -> None:
    make(nodes, f"create table trees (id integer primary key, parent integer references trees {deferrable})", "trees")
    nodes.crm.sql("insert into trees values (9, null), (5, 9), (7, 5), (1, 7), (8, 1)")
    sync(*nodes, limit=limit)
    assert len(assert_equal(nodes, "trees")) == 5
    nodes.crm.sql("update trees set parent = null where id = 1; update trees set parent = 8 where id = 9")
    nodes.crm.sql("delete from trees where id = 7")
    sync(*nodes, limit=limit)
    tried_again(nodes)
    assert assert_equal(nodes, "trees") == ["(1,)", "(5,9)", "(8,1)", "(9,8)"]
    nodes.crm.sql("delete from trees")
    sync(*nodes, limit=limit)
    tried_again(nodes)
    assert assert_equal(nodes, "trees") == []
    at_rest(nodes)


@pytest.mark.case(44)
@pytest.mark.parametrize("limit", [1, 500])
@pytest.mark.parametrize("deferrable", ["deferrable", "deferrable initially deferred"])
def test_two_tables_that_refer_to_each_other_arrive_through_deferred_keys(nodes: Nodes, deferrable: str, limit: int) -> None:
    make(
        nodes,
        "create table teams (id integer primary key, lead integer);"
        f"create table people (id integer primary key, team integer not null references teams {deferrable});"
        f"alter table teams add foreign key (lead) references people {deferrable}",
        "teams",
        "people",
    )
    nodes.crm.sql(
        "begin; set constraints all deferred;"
        "insert into teams values (1, 11), (2, 22); insert into people values (11, 1), (22, 2), (12, 1); commit"
    )
    sync(*nodes, limit=limit)
    tried_again(nodes)
    assert (len(assert_equal(nodes, "teams")), len(assert_equal(nodes, "people"))) == (2, 3)
    nodes.crm.sql(
        "begin; set constraints all deferred; update teams set lead = 12 where id = 1; delete from people where id in (11, 22);"
        "delete from teams where id = 2; commit"
    )
    sync(*nodes, limit=limit)
    tried_again(nodes)
    assert (assert_equal(nodes, "teams"), assert_equal(nodes, "people")) == (["(1,12)"], ["(12,1)"])
    at_rest(nodes)


@pytest.mark.case(44)
def test_rows_come_after_their_parents_and_go_before_them_in_one_attempt(nodes: Nodes) -> None:
    """The table of the children is the first by name; no part of either batch may be tried alone."""
    make(
        nodes,
        "create table owners (id integer primary key);"
        "create table animals (id integer primary key, owner integer not null references owners)",
        "animals",
        "owners",
    )
    nodes.billing.sql("alter function rowferry._apply_piecewise rename to _missing")
    nodes.crm.sql("insert into owners values (1), (2); insert into animals values (10, 1), (20, 2)")
    sync(*nodes)
    assert (assert_equal(nodes, "owners"), assert_equal(nodes, "animals")) == (["(1)", "(2)"], ["(10,1)", "(20,2)"])
    nodes.crm.sql("delete from animals where id = 10; delete from owners where id = 1")
    sync(*nodes)
    assert (assert_equal(nodes, "owners"), assert_equal(nodes, "animals")) == (["(2)"], ["(20,2)"])
    at_rest(nodes)


@pytest.mark.case(44)
def test_a_row_that_left_a_parent_before_it_was_deleted_keeps_what_only_this_node_has(nodes: Nodes) -> None:
    """Were the parent deleted first, its cascade would take the row, which comes back without the column that does not travel."""
    make(nodes, FAMILY.replace("references parents", "references parents on delete cascade"), "parents", "children")
    nodes.crm.sql("insert into parents values (1, 'old'), (2, 'old'); insert into children values (10, 1, 'old')")
    sync(*nodes)
    nodes.billing.sql("alter table children add column note text; update children set note = 'of billing'")
    nodes.crm.sql("update children set parent = 2; delete from parents where id = 1")
    sync(*nodes)
    assert assert_equal(nodes, "parents") == ["(2,old)"]
    assert rows(nodes.billing, "select * from children") == ['(10,2,old,"of billing")']
    at_rest(nodes)


@pytest.mark.case(43, 44)
@pytest.mark.parametrize("null", ["", "not null"])
def test_a_unique_value_passes_from_a_deleted_row_to_the_one_that_its_children_move_to(nodes: Nodes, null: str) -> None:
    """The new row cannot be written before the old one is deleted, and no row alone."""
    make(
        nodes,
        f"create table places (id integer primary key, rank integer {null} unique);"
        "create table guests (id integer primary key, place integer not null references places deferrable)",
        "places",
        "guests",
    )
    nodes.crm.sql("insert into places values (1, 1); insert into guests values (10, 1)")
    sync(*nodes)
    nodes.crm.sql(
        "begin; update places set rank = 0; insert into places values (2, 1); update guests set place = 2;"
        "delete from places where id = 1; commit"
    )
    sync(*nodes)
    assert (assert_equal(nodes, "places"), assert_equal(nodes, "guests")) == (["(2,1)"], ["(10,2)"])
    at_rest(nodes)


@pytest.mark.case(44)
def test_a_child_whose_parent_was_deleted_over_there_is_held_by_name_until_someone_decides(nodes: Nodes) -> None:
    make(nodes, FAMILY, "parents", "children")
    nodes.crm.sql("insert into parents values (1, 'old'), (2, 'old')")
    sync(*nodes)
    nodes.crm.sql("insert into children values (10, 1, 'new'), (20, 2, 'new')")
    nodes.billing.sql("delete from parents where id = 1")
    for _ in range(3):
        sync(*nodes)
    assert waiting(nodes.crm) == ["insert children 10 23503"]
    assert waiting(nodes.billing) == ["delete parents 1 23503"]
    held = [row for node in nodes for row in node.sql("select last_error, hint from rowferry.sync_events")]
    assert all("children_parent_fkey" in row["last_error"] and row["hint"] for row in held)
    assert rows(nodes.billing, "select * from children") == ["(20,2,new)"]
    nodes.crm.sql("delete from children where id = 10")
    tried_again(nodes)
    tried_again(nodes)
    assert (assert_equal(nodes, "parents"), assert_equal(nodes, "children")) == (["(2,old)"], ["(20,2,new)"])
    at_rest(nodes)
