"""Types that users made: in a closed schema, without a right on them, with a label that is renamed later."""

from __future__ import annotations

import pytest

from harness import Nodes, wait_until
from harness.comparing import Carrier, compared, found
from harness.exchange import assert_equal, rows, waiting
from harness.roles import role


def test_a_type_in_a_schema_that_is_closed_to_rowferry_needs_no_right_on_it(nodes: Nodes) -> None:
    for node in nodes:
        owner = role(node)
        node.sql(
            f"create schema own authorization {owner}; set role {owner}; create type own.mood as enum ('ok', 'bad');"
            " create domain own.short as varchar(9); create type own.place as (street text, city text);"
            " create table own.notes (id own.mood primary key, m own.mood, s own.short, p own.place, a own.mood[]);"
            " reset role; select rowferry.attach('own.notes')"
        )
    carrier = Carrier(nodes)
    nodes.crm.sql("insert into own.notes values ('ok', 'ok', 'a', row('b', 'c'), '{ok}')")
    for _ in range(6):
        carrier.round()
    assert_equal(nodes, "own.notes")
    for node in nodes:
        assert (
            node.sql("set role rowferry_viewer; select * from rowferry.check() where severity <> 'info' and problem !~ 'MERGE'")
            == []
        )
        assert node.sql("set role rowferry_viewer; select * from rowferry.drift()") == []
        assert node.sql("select here from rowferry.replay('notes', 'ok')") == [{"here": True}]
    assert found(compared(nodes, "notes"))["same"] == 1


def test_a_type_that_the_tables_owner_may_not_use_is_named_with_the_grant(nodes: Nodes) -> None:
    owner, other = role(nodes.crm), role(nodes.crm)
    nodes.crm.sql(
        f"create schema theirs authorization {other}; create type theirs.mood as enum ('ok');"
        f" grant usage on schema theirs to {owner};"
        f" grant create on schema public to {owner}; set role {owner}; create table notes (id int primary key, m theirs.mood);"
        f" reset role; select rowferry.attach('notes'); revoke usage on schema theirs from {owner}"
    )
    [line] = nodes.crm.sql("select * from rowferry.check() where problem ~ 'theirs'")
    assert (
        line["problem"]
        == f"its owner {owner}, who reads and writes its rows, may not use schema theirs, in which the type of a column is"
    )
    nodes.crm.sql(line["fix"])
    assert nodes.crm.sql("select * from rowferry.check() where problem ~ 'theirs'") == []


@pytest.mark.case(117)
def test_a_label_that_is_renamed_holds_its_record_and_skips_do_not_go_back_and_forth(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(
            "create type kind as enum ('good', 'bad'); create table notes (id kind primary key, v kind);"
            " create table tags (id int primary key, k kind); select rowferry.attach('notes'), rowferry.attach('tags')"
        )
    carrier = Carrier(nodes)
    crm, billing = nodes

    def rest() -> None:
        wait_until(lambda: all(answer["status"] == "idle" for answer in carrier.round()), 30, "both nodes are idle")

    crm.sql(
        "insert into notes values ('good', 'good'), ('bad', 'good'); insert into tags values (1, 'good'), (2, 'bad'), (3, 'good')"
    )
    rest()
    crm.sql(
        "update notes set v = 'bad'; update tags set k = 'bad' where id = 1; update tags set k = 'good' where id = 2;"
        " alter type kind rename value 'bad' to 'awful'"
    )
    rest()
    assert waiting(crm) == ["update notes good 22P02", "update notes bad 22P02", "update tags 1 22P02"]
    assert rows(billing, "select * from tags") == ["(1,good)", "(2,good)", "(3,good)"], "others flow"
    crm.sql("select rowferry.skip(id, 'renamed') from rowferry.sync_events")
    rest()
    assert waiting(crm) == []
    # billing's answers: 'good' is a row that crm can take, the other one is not.
    assert rows(crm, "select * from notes") == ["(awful,awful)", "(good,good)"]
    assert waiting(billing) == ["answer notes bad 22P02"]
    [state] = billing.sql("select state from rowferry.skip((select id from rowferry.sync_events), 'renamed')")
    assert "the answer is given up" in state["state"]
    rest()
    assert waiting(crm) == waiting(billing) == []
    billing.sql("alter type kind rename value 'bad' to 'awful'")
    crm.sql("select * from rowferry.replay('notes', 'awful')")
    rest()
    assert_equal(nodes, "notes")
    assert_equal(nodes, "tags")
