"""What a node tells the other of its tables and columns, when, and how old the report is by which a line of check() goes."""

from __future__ import annotations

from typing import Any

import pytest

from harness import Nodes
from harness.exchange import waiting
from harness.visits import Visits, keep_visits


@pytest.fixture
def visits(nodes: Nodes) -> Visits:
    return keep_visits(nodes)


def test_what_attach_detach_and_set_rules_change_is_told_by_the_next_call_and_nothing_else_costs_one(visits: Visits) -> None:
    crm, billing = visits.nodes
    told = "select facts -> 'entities' as entities from rowferry.peer_facts"

    def heard() -> Any:
        """Reading the facts ends after 0.1 s; what a busy machine has not told by then, the next calls tell."""
        visits.carrier.round()
        for _ in range(100):
            if crm.sql("select facts_to from rowferry.links") == [{"facts_to": None}]:
                break
            visits.carrier.round()
        visits.carrier.round()
        return billing.sql(told)[0]["entities"]

    crm.sql("select rowferry.set_rules('visits', 'node:crm')")
    assert heard()["visits"]["rules"]["conflict_rule"] == "node:crm"
    crm.sql("create table notes (id int primary key); select rowferry.attach('notes')")
    assert sorted(heard()) == ["notes", "visits"]
    crm.sql("select rowferry.attach('notes', p_direction => 'send')")
    assert heard()["notes"]["direction"] == "send"
    crm.sql("select rowferry.detach('notes')")
    assert sorted(heard()) == ["visits"]
    # An index is told with the next change that travels.
    visits.rest()
    crm.sql(
        "update rowferry.links set facts_looked_at = facts_looked_at - interval '1 min'; create unique index on visits (n, name)"
    )
    assert "uniques" not in heard()["visits"]
    visits.user(crm, "update visits set n = 77 where id = 3")
    assert heard()["visits"]["uniques"][0]["columns"] == ["n", "name"]


def test_each_line_that_rests_on_what_the_peer_said_says_when_it_said_so(visits: Visits) -> None:
    crm, billing = visits.nodes
    visits.dba(crm, "alter table visits add column note text; select rowferry.attach('visits')")
    visits.rest()
    for node, peer in ((crm, billing), (billing, crm)):
        lines = [row["problem"] for row in node.sql("select problem from rowferry.check() where problem ~ 'note is kept'")]
        assert len(lines) == 1
        assert f"; {peer.name} said so at 2026-01-01 00:00:0" in lines[0], lines


def test_what_cannot_be_read_for_the_facts_is_said_as_it_is_and_stops_nothing(visits: Visits) -> None:
    crm = visits.nodes.crm
    crm.sql("""create or replace function rowferry._type_spelled(p_type oid, p_typmod integer, p_labels boolean) returns text
        language plpgsql stable set search_path = pg_catalog, pg_temp as
        $$ begin raise insufficient_privilege using message = 'permission denied for schema theirs'; end $$""")
    [line] = crm.sql("select * from rowferry.check() where object = 'link billing'")
    assert "permission denied for schema theirs" in line["problem"]
    assert "locked" not in line["problem"]
    assert line["fix"] == "grant usage on schema .. to rowferry_owner;"
    visits.user(crm, "update visits set n = 100 where id = 1")
    visits.rest()
    assert waiting(crm) == []
