"""attach() of an attached table changes it in place, while users write on both sides and events wait in both directions.

Owners and users have the rights of any user, the clock stands still, so that nothing is tried again but because something has
changed, and one courier goes through all of it.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from harness import Node, Nodes
from harness.attached import state
from harness.clock import advance
from harness.exchange import assert_equal, rows, waiting
from harness.roles import as_role
from harness.steps import Meanwhile, wait_for_lock
from harness.visits import AGAIN, Visits, is_well, keep_visits


@pytest.fixture
def visits(nodes: Nodes) -> Visits:
    return keep_visits(nodes)


class Change(NamedTuple):
    """What is changed on each node, and what users write on either side before, between and after."""

    ddl: str
    attach: str
    after: str  # what users write once the table has its new shape
    held: bool = True  # whether both nodes wait for each other


CHANGES = {
    "add": Change(
        "alter table visits add column note text default ''", AGAIN, "update visits set note = '{value}' where id = {id}"
    ),
    "drop": Change("alter table visits drop column name", AGAIN, "update visits set n = n + {number} where id = {id}"),
    "rename": Change("alter table visits rename name to called", AGAIN, "update visits set called = '{value}' where id = {id}"),
    "rename the key": Change(
        "alter table visits rename id to visit", AGAIN, "update visits set name = '{value}' where visit = {id}"
    ),
    "retype": Change(
        "alter table visits alter n type bigint using n + 0",
        AGAIN,
        "update visits set n = 5000000000 + {number} where id = {id}",
        False,
    ),
    "filter": Change(
        "",
        "select rowferry.attach('visits', p_filter => 'id < 1000')",
        "update visits set name = '{value}' where id = {id}",
        False,
    ),
    "rules": Change(
        "",
        "select rowferry.attach('visits', p_conflict_rule => 'node:crm', p_orphan_rule => 'revive')",
        "update visits set name = '{value}' where id = {id}",
    ),
}


def written(change: Change, number: int) -> str:
    return change.after.format(value=f"value {number}", number=number, id=number)


def between_writers(visits: Visits, node: Node, change: Change, before: str, after: str) -> None:
    """The change, while a user has written and not committed, so that the DBA waits for him, and another user for the DBA."""
    user, late = (as_role(node, visits.roles[node.name].user) for _ in range(2))
    dba = as_role(node, visits.roles[node.name].dba)
    user.execute(f"begin; {before}")  # type: ignore[call-overload]
    changing = Meanwhile(lambda: dba.execute(f"begin; {change.ddl}; {change.attach}; commit"))  # type: ignore[call-overload]
    wait_for_lock(node, dba)
    writing = Meanwhile(lambda: late.execute(after))  # type: ignore[call-overload]
    wait_for_lock(node, late)
    user.execute("commit")
    changing.result()
    writing.result()


@pytest.mark.case(111)
@pytest.mark.parametrize("first", ["crm", "billing"])
@pytest.mark.parametrize("name", CHANGES)
def test_a_table_changes_on_one_side_and_then_on_the_other_while_users_write_and_nothing_is_lost(
    visits: Visits, name: str, first: str
) -> None:
    change, nodes = CHANGES[name], visits.nodes
    nodes_in_turn = sorted(nodes, key=lambda node: node.name != first)
    # In flight, and waiting, in both directions.
    for number, node in enumerate(nodes):
        visits.user(node, f"update visits set n = 100 + {number} where id = {1 + number}")
    visits.carrier.round()
    for number, node in enumerate(nodes):
        visits.user(
            node, f"update visits set n = 200 + {number} where id = {3 + number}; delete from visits where id = {5 + number}"
        )
    for turn, node in enumerate(nodes_in_turn):
        between_writers(visits, node, change, f"insert into visits values ({30 + turn}, 'open', 1)", written(change, 7 + turn))
        visits.user(node, written(change, 10 + turn))
        other = nodes_in_turn[1 - turn]
        if turn == 0:
            visits.user(other, "update visits set n = 300 where id = 13; insert into visits values (40, 'there', 1)")
            visits.rest()
            if change.held:
                assert {row.split()[0] for each in nodes for row in waiting(each)} <= {"insert", "update", "delete"}
                assert all(row.endswith("RF020") for row in waiting(node) + waiting(other)), (waiting(node), waiting(other))
                for each in nodes:
                    assert state(each)[0] == "held"
                    assert each.sql("select * from rowferry.why_stuck() where cause ~ 'held as a whole'") != []
            else:
                assert {row.split()[-1] for each in nodes for row in waiting(each)} <= {"22003"}, (
                    "but for what only one type holds"
                )
    advance(nodes, 20 * (name == "retype"))
    visits.rest()
    assert len(assert_equal(nodes, "visits")) == 21
    key = "visit" if name == "rename the key" else "id"
    assert rows(nodes.crm, f"select count(*) from visits where {key} in (30, 31, 40)") == ["(3)"]
    is_well(visits)


def test_rows_go_one_way_from_now_on_and_what_waited_at_the_other_end_still_arrives(visits: Visits) -> None:
    crm, billing = visits.nodes
    visits.user(billing, "update visits set name = 'waits' where id = 1")
    visits.user(crm, "update visits set name = 'waits too' where id = 2")
    receive = Change("select 1", "select rowferry.attach('visits', p_direction => 'receive')", "")
    write = "update visits set name = '{}' where id = {}"
    between_writers(visits, billing, receive, write.format("waits as well", 6), write.format("stays", 7))
    assert waiting(billing) == ["update visits 1", "update visits 6"]
    said = visits.dba(billing, "select rowferry.attach('visits', p_direction => 'both')")
    assert any("rows go both ways, once" in line for line in said), said
    said = visits.dba(billing, receive.attach)
    assert any("2 that wait still go" in line for line in said), said
    assert billing.sql("select tgname from pg_trigger where tgrelid = 'visits'::regclass") == []
    visits.user(billing, "update visits set name = 'stays' where id = 3")
    visits.rest()
    assert waiting(billing) == []
    send = Change("select 1", "select rowferry.attach('visits', p_direction => 'send')", "")
    between_writers(visits, crm, send, write.format("sent", 4), write.format("sent", 5))
    visits.rest()
    assert rows(billing, "select name from visits where id < 6") == ['("waits too")', "(sent)", "(sent)", "(stays)", "(waits)"]
    assert rows(crm, "select name from visits where id in (1, 3, 6, 7)") == [
        '("name 3")',
        '("name 7")',
        '("waits as well")',
        "(waits)",
    ]
    # And back.
    visits.dba(crm, "select rowferry.attach('visits', p_direction => 'both')")
    said = visits.dba(billing, "select rowferry.attach('visits', p_direction => 'both')")
    assert any("did not travel" in line for line in said), said
    visits.user(billing, "update visits set name = 'back' where id in (3, 7)")
    visits.rest()
    assert_equal(visits.nodes, "visits")
    is_well(visits)


def test_rows_that_are_refused_because_the_other_node_only_sends_go_once_it_takes_rows_again(visits: Visits) -> None:
    crm, billing = visits.nodes
    visits.dba(crm, "select rowferry.attach('visits', p_direction => 'send')")
    visits.user(billing, "update visits set name = 'refused' where id = 1")
    visits.rest()
    assert waiting(billing) == ["update visits 1 RF028"]
    visits.dba(crm, "select rowferry.attach('visits', p_direction => 'both')")
    visits.rest()
    assert rows(crm, "select name from visits where id = 1") == ["(refused)"]
    is_well(visits)


def test_a_filter_that_changes_says_what_to_do_with_rows_that_enter_and_rows_that_leave(visits: Visits) -> None:
    crm, billing = visits.nodes
    said = visits.dba(crm, "select rowferry.attach('visits', p_filter => 'n > 5')")
    [left] = [line for line in said if "rows that have left the filter stay on billing" in line]
    assert "every row that is outside of this filter, also those that stand in the table here: select" in left
    assert left.endswith("repair('visits', p_from => 'crm');  -- only as long as billing does not have the filter too"), left
    visits.user(crm, "update visits set n = 0 where id = 20; insert into visits values (21, 'outside', 1)")
    visits.rest()
    assert rows(billing, "select id from visits where id in (1, 5, 20, 21)") == ["(1)", "(5)"], (
        "what left since is gone, what was out stays"
    )
    said = visits.dba(crm, "select rowferry.attach('visits', p_filter => '')")
    assert "rows that are in the filter now go to billing with their next change" in "\n".join(said), said
    crm.sql("select * from rowferry.backfill('visits')")
    visits.rest()
    assert len(assert_equal(visits.nodes, "visits")) == 21
    is_well(visits)


MANNERS = """
    create function public.noted(p_rows visits[]) returns void language plpgsql as $$
    begin
      insert into visits as v select (r).* from unnest(p_rows) r
      on conflict (id) do update set name = excluded.name, n = excluded.n;
    end $$"""


def test_functions_of_the_users_are_given_changed_and_taken_away_in_place(visits: Visits) -> None:
    crm, billing = visits.nodes
    owner = visits.roles["billing"].owner
    billing.sql(f"set role {owner}; {MANNERS}")
    visits.user(crm, "update visits set n = 50 where id = 1")
    visits.dba(billing, "select rowferry.attach('visits', p_on_apply => 'public.noted')")
    visits.rest()
    assert "public.noted" in billing.sql("select pg_get_functiondef('rowferry.apply_visits'::regproc) as f")[0]["f"].replace(
        '"', ""
    )
    visits.user(crm, "update visits set n = 60 where id = 1")
    visits.dba(billing, "select rowferry.attach('visits', p_on_apply => '')")
    visits.rest()
    assert "noted" not in billing.sql("select pg_get_functiondef('rowferry.apply_visits'::regproc) as f")[0]["f"]
    assert rows(billing, "select n from visits where id = 1") == ["(60)"]
    is_well(visits)
