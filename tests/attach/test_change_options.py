"""Options of attach() given anew: what is not given stays, and open sessions capture right after each change."""

from __future__ import annotations

from typing import Any

import pytest

from harness import Node, Nodes
from harness.exchange import assert_equal, refused_with, waiting
from harness.roles import as_role
from harness.visits import AGAIN, SPLIT, VISITS, keep_visits


def registered(node: Node) -> dict[str, Any]:
    [entity] = node.sql(
        "select columns, local_columns, key_columns, conflict_rule, orphan_rule, truncate_rule, direction, filter, filter_left,"
        " outbound, inbound, on_apply from rowferry.entities"
    )
    return entity


def test_what_is_not_given_stays_and_what_is_given_changes(nodes: Nodes) -> None:
    crm = nodes.crm
    crm.sql(
        "create table notes (id int primary key, v text, own int);"
        " select rowferry.attach('notes', p_columns => '[\"id\", \"v\"]', p_conflict_rule => 'node:crm', p_orphan_rule => 'drop',"
        " p_truncate => 'propagate', p_filter => 'id > 0', p_filter_left => 'keep')"
    )
    before = registered(crm)
    crm.sql("select rowferry.attach('notes')")
    assert registered(crm) == before
    assert crm.sql("select rowferry.attach('notes', p_dry_run => true)") == [], "nothing differs"
    crm.sql("select rowferry.attach('notes', p_truncate => 'refuse')")
    assert registered(crm) == {**before, "truncate_rule": "refuse"}
    crm.sql("select rowferry.attach('notes', p_filter => '', p_filter_left => 'delete')")
    assert registered(crm) == {**before, "truncate_rule": "refuse", "filter": None, "filter_left": "delete"}
    crm.sql("alter table notes add column more int")
    crm.sql("select rowferry.attach('notes')")
    assert registered(crm)["columns"] == ["id", "v"], "a list that was given stays"
    crm.sql("alter table notes rename v to value")
    crm.sql("select rowferry.attach('notes')")
    assert (registered(crm)["columns"], registered(crm)["local_columns"]) == (["id", "v"], ["id", "value"])
    crm.sql("""select rowferry.attach('notes', p_columns => '"*"')""")
    assert registered(crm)["columns"] == ["id", "more", "own", "value"]
    crm.sql("alter table notes drop column more")
    crm.sql("select rowferry.attach('notes')")
    assert registered(crm)["columns"] == ["id", "own", "value"]
    assert crm.sql("select * from rowferry.drift()") == []


def test_a_dry_run_of_a_change_shows_what_it_would_run_and_that_makes_the_same(nodes: Nodes) -> None:
    crm = nodes.crm
    crm.sql("create table notes (id int primary key, v text); select rowferry.attach('notes'); insert into notes values (1, 'a')")
    crm.sql("alter table notes add column more int")
    change = "select rowferry.attach('notes', p_filter => 'id > 0', p_direction => 'send', p_dry_run => {})"
    script = "".join(row["attach"] + "\n" for row in crm.sql(change.format("true")))
    assert registered(crm)["columns"] == ["id", "v"]
    crm.psql(f"begin;\n{script}commit;\n")
    assert registered(crm)["columns"] == ["id", "more", "v"]
    assert crm.sql(change.format("true")) == []
    assert crm.sql("select * from rowferry.drift()") == []


@pytest.mark.parametrize("table", [VISITS, SPLIT], ids=["table", "partitioned"])
def test_the_key_and_the_peer_do_not_change_in_place(nodes: Nodes, table: str) -> None:
    visits = keep_visits(nodes, table)
    crm = nodes.crm
    visits.user(crm, "update visits set n = 100 where id = 1")
    crm.sql("alter table visits alter n set not null; alter table visits add unique (id, n)")
    before = registered(crm)
    refused_with("RF011", crm, "select rowferry.attach('visits', p_key => '{id,n}')")
    refused_with("RF002", crm, "select rowferry.attach('visits', p_peer => 'nobody')")
    if table == VISITS:
        crm.sql("alter table visits alter id type text using id::text")
        refused_with("RF011", crm, "select rowferry.attach('visits')")
        crm.sql("alter table visits alter id type integer using id::integer")
    assert registered(crm) == before
    assert waiting(crm) == ["update visits 1"]
    visits.rest()
    assert_equal(nodes, "visits")


@pytest.mark.parametrize("table", [VISITS, SPLIT], ids=["table", "partitioned"])
def test_a_session_that_was_open_captures_right_after_each_change(nodes: Nodes, table: str) -> None:
    visits = keep_visits(nodes, table)
    crm = nodes.crm
    with as_role(crm, visits.roles["crm"].user) as user:
        user.execute("update visits set n = 1000 where id = 1")
        for number, (ddl, write) in enumerate([
            ("alter table visits alter n type bigint", "update visits set n = 5000000000 where id = {}"),
            ("alter table visits alter name type varchar(50) using upper(name)", "update visits set name = 'A' where id = {}"),
            ("alter table visits add column note text", "update visits set note = 'a' where id = {}"),
            ("alter table visits rename note to remark", "update visits set remark = 'b' where id = {}"),
            ("alter table visits drop column n", "update visits set remark = 'c' where id = {}"),
        ], 2):  # fmt: skip
            for node in nodes:
                visits.dba(node, f"{ddl}; {AGAIN}")
            user.execute(write.format(number))
            assert waiting(crm)[-1] == f"update visits {number}"
    visits.rest()
    assert_equal(nodes, "visits")
