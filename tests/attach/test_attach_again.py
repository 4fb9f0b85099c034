"""detach() and attach() while events wait and a call is at work: what waits stays, and the call ends first."""

from __future__ import annotations

import pytest

from harness import Nodes, wait_until
from harness.exchange import assert_equal, refused_with, rows, waiting
from harness.roles import as_role
from harness.steps import Meanwhile, closed, install_gate, wait_for_lock
from harness.visits import Visits, is_well, keep_visits


@pytest.fixture
def visits(nodes: Nodes) -> Visits:
    return keep_visits(nodes)


@pytest.mark.case(76, 111)
def test_detach_and_attach_in_one_transaction_keep_what_waits(visits: Visits) -> None:
    crm, billing = visits.nodes
    billing.sql("alter table visits add check (n <> 66)")
    visits.user(crm, "update visits set n = 66 where id = 15")
    visits.rest()
    visits.user(crm, "update visits set n = 16 + id where id > 15")
    visits.rest()
    assert waiting(crm) == ["update visits 15 23514"]
    billing.sql("alter table visits drop constraint visits_n_check")
    for node in visits.nodes:
        visits.user(node, "update visits set n = 100 where id = 1; delete from visits where id = 2")
    both = "select rowferry.detach('visits'); select rowferry.attach('visits')"
    before = waiting(crm)
    visits.dba(crm, f"alter table visits add column note text; {both}")
    assert waiting(crm) == before
    visits.user(crm, "update visits set note = 'a' where id = 3")
    visits.rest()
    visits.dba(billing, f"alter table visits add column note text; {both}")
    visits.rest()
    assert rows(billing, "select note from visits where id = 3") == ["(a)"]
    assert_equal(visits.nodes, "visits")
    is_well(visits)


@pytest.mark.case(76)
@pytest.mark.parametrize(
    "more", ["", "; select rowferry.attach('visits', 'others')", "; select rowferry.attach('visits', p_key => '{n}')"]
)
def test_detach_without_an_attach_that_takes_over_what_waits_is_refused_at_the_end_of_the_transaction(
    visits: Visits, more: str
) -> None:
    crm = visits.nodes.crm
    crm.sql("update visits set n = -id; alter table visits add unique (n)")
    before = waiting(crm)
    assert len(before) == 20
    refused_with("RF012", crm, f"begin; select rowferry.detach('visits'){more}; commit")
    assert waiting(crm) == before
    visits.rest()
    crm.sql("select rowferry.detach('visits')")
    assert crm.sql("select * from rowferry.detached") == []


def test_an_exchange_that_has_begun_ends_before_a_table_changes(visits: Visits) -> None:
    crm = visits.nodes.crm
    visits.user(crm, "update visits set name = 'before' where id = 1")
    install_gate(crm, "_read_batch")
    with closed(crm) as open_gate:
        call = Meanwhile(visits.carrier.round)
        pid = visits.carrier.courier.connections["crm"].info.backend_pid
        waits = f"select 1 from pg_stat_activity where pid = {pid} and wait_event = 'advisory'"
        wait_until(lambda: crm.sql(waits), 10, "the courier is about to choose what to read")
        dba = as_role(crm, visits.roles["crm"].dba)
        change = Meanwhile(lambda: dba.execute("select rowferry.attach('visits', p_columns => '[\"id\", \"n\"]')"))
        wait_for_lock(crm, dba, "advisory")
        open_gate()
        call.result()
        change.result()
    visits.rest()
    visits.dba(visits.nodes.billing, """select rowferry.attach('visits', p_columns => '["id", "n"]')""")
    visits.rest()
    assert rows(visits.nodes.billing, "select name from visits where id = 1") == ["(before)"], "it was on its way"
    assert waiting(crm) == []
