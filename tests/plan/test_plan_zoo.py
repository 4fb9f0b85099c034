"""The whole schema of tests/data/zoo.sql in one plan, by the plain role that attaches it."""

from __future__ import annotations

import pytest
from convergence.test_zoo import OF_BILLING, OWNERS, SCHEMA, TABLES

from harness import Nodes
from harness.planned import calls, planned, reasons, run


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_zoo_is_planned_and_the_plan_runs(nodes: Nodes) -> None:
    for node in nodes:
        for owner in (*OWNERS, "zoo_dba"):
            node.sql(f"do $$ begin if to_regrole('{owner}') is null then create role {owner}; end if; end $$")
        node.sql(f"grant rowferry_owner, {', '.join(OWNERS)} to zoo_dba; grant create on database {node.database} to zoo_dba")
    nodes.crm.sql(SCHEMA)
    nodes.billing.sql(SCHEMA + OF_BILLING)
    tables = {row["name"] for row in nodes.crm.sql(TABLES)}
    plans = planned(nodes, {"letter": "country = 'CH'"}, "zoo_dba")
    for node in nodes:
        files = plans[node.name]
        assert sorted(reasons(files)) == ["books.paper", "books.receipt"]
        assert len(calls(files)) == len(tables)
        assert "select rowferry.attach('shop.page', p_within => 'letter');" in calls(files)
        run(node, files["up"], "zoo_dba")
        assert all(row["exists"] for row in run(node, files["verify"]))
        assert {row["name"] for row in node.sql("select relation::text as name from rowferry.entities")} == tables
        assert node.sql("select * from rowferry.check() where severity = 'error'") == []
