"""A column that was dropped, renamed or made anew since attach(): named at once on both nodes, and no value of it is lost."""

from __future__ import annotations

import psycopg
import pytest

from harness import Nodes, wait_until
from harness.attached import state
from harness.clock import advance
from harness.exchange import rows, waiting
from harness.roles import as_role
from harness.steps import Meanwhile, closed, install_gate
from harness.visits import AGAIN, SPLIT, Visits, is_well, keep_visits


@pytest.fixture
def visits(nodes: Nodes) -> Visits:
    return keep_visits(nodes)


@pytest.mark.case(111)
def test_capture_goes_on_without_a_column_that_was_dropped_or_renamed_and_loses_no_change(visits: Visits) -> None:
    crm = visits.nodes.crm
    with as_role(crm, visits.roles["crm"].user) as user:
        user.execute("update visits set n = 100 where id = 1")
        crm.sql("truncate rowferry.events; alter table visits rename name to called")
        user.execute("update visits set called = 'x' where id = 2")
        user.execute("update visits set called = 'x' where id < 4")
        user.execute("update visits set called = called")
        crm.sql("alter table visits drop column called")
        user.execute("update visits set n = 7 where id = 7")
        user.execute("update visits set n = 8 where id = 8")
        user.execute("insert into visits values (50, 1)")
        user.execute("delete from visits where id = 9")
    changed = ["update visits 2", "update visits 1", "update visits 3", "insert visits 50", "delete visits 9"]
    assert sorted(waiting(crm)) == sorted(changed)


def test_a_partitioned_table_whose_column_is_gone_says_the_way_out_in_the_error(nodes: Nodes) -> None:
    visits = keep_visits(nodes, SPLIT)
    crm = nodes.crm
    crm.sql("alter table visits drop column name")
    with as_role(crm, visits.roles["crm"].user) as user:
        with pytest.raises(psycopg.Error) as caught:
            user.execute("update visits set n = 100 where id = 1")
        shown = f"{caught.value.diag.internal_query} {caught.value.diag.context}"
        assert "select rowferry.attach('public.visits', 'visits');" in shown
        found_state, reason = state(crm)
        assert found_state == "stuck"
        assert reason.startswith(
            "visits: its column name was dropped: writes may fail: select rowferry.attach('public.visits', 'visits')"
        )
        visits.dba(crm, AGAIN)
        user.execute("update visits set n = 100 where id = 1")
    assert waiting(crm) == ["update visits 1"]


APART = {
    "drop": ("alter table visits drop column name", "its column name was dropped", None),
    "rename": (
        "alter table visits rename name to called",
        "its column name is called called now",
        "alter table visits rename called to name",
    ),
    "retype": (
        "alter table visits alter name type varchar(30) using upper(name)",
        "its column name was of type text and is of type character varying(30)",
        "alter table visits alter name type text",
    ),
    "drop and add": (
        "alter table visits drop column name; alter table visits add column name text",
        "its column name was dropped, and another one has its name",
        None,
    ),
    "rename the table": (
        "alter table visits rename to guests",
        "its table public.visits is public.guests now",
        "alter table guests rename to visits",
    ),
}


@pytest.mark.case(111)
@pytest.mark.parametrize("way", ["attach", "back"])
@pytest.mark.parametrize("name", APART)
def test_a_column_that_is_another_one_is_named_at_once_on_both_nodes_until_it_is_mended(
    visits: Visits, name: str, way: str
) -> None:
    ddl, problem, back = APART[name]
    if way == "back" and back is None:
        pytest.skip("a column that was dropped does not come back")
    crm, billing = visits.nodes
    crm.sql(f"update rowferry.links set facts_looked_at = facts_looked_at - interval '1 min'; {ddl}")
    crm.sql("update " + ("guests" if "table" in name else "visits") + " set n = 100 where id = 1")
    assert state(crm)[0] == "stuck"
    assert problem in state(crm)[1]
    [found_here] = crm.sql("select * from rowferry.why_stuck() where severity = 'error' and cause !~ 'no worker'")
    assert problem in found_here["cause"]
    visits.rest()
    assert state(billing)[0] == "stuck", state(billing)
    [found_there] = billing.sql("select * from rowferry.why_stuck() where severity = 'error' and cause !~ 'no worker'")
    assert problem in found_there["cause"]
    assert "on crm, as it said at 20" in found_there["cause"]
    line, _, rest = found_here["type_next"].partition("  -- ")
    assert found_there["type_next"] == f"{line}  -- on crm" + (f"; {rest}" if rest else "")
    # Neither node's rows go.
    visits.user(billing, "update visits set n = 200 where id = 2")
    visits.rest()
    assert [row.split()[-1][:2] for row in waiting(crm) + waiting(billing)] == ["RF", "RF"]
    assert rows(billing, "select name, n from visits where id = 1") == ['("name 1",1)']
    if way == "back":
        crm.sql(back or "")
    else:
        crm.sql(found_here["type_next"])
        if name == "drop" or name == "rename":
            billing.sql(f"{ddl}; {AGAIN}")
    # What the peer refused ends its wait when this node's facts have changed, for which it looks once a second; what could not
    # be read here is tried by its clock.
    advance(visits.nodes, 20)
    wait_until(
        lambda: visits.carrier.round() and [state(node)[0] for node in visits.nodes] == ["idle", "idle"],
        20,
        "both nodes are well",
    )
    assert [waiting(node) for node in visits.nodes] == [[], []]


@pytest.mark.case(111)
def test_no_null_of_a_column_that_was_dropped_and_added_again_travels_unless_it_is_wanted(visits: Visits) -> None:
    crm, billing = visits.nodes
    crm.sql("alter table visits drop column name; alter table visits add column name text")
    visits.user(crm, "update visits set n = 100 where id = 1")
    visits.rest()
    assert rows(billing, "select name, n from visits where id = 1") == ['("name 1",1)']
    # The values of billing are to stay: the column is left out until all has arrived.
    for node in visits.nodes:
        visits.dba(node, """select rowferry.attach('visits', p_columns => '["id", "n"]')""")
    visits.rest()
    for node in visits.nodes:
        visits.dba(node, """select rowferry.attach('visits', p_columns => '"*"')""")
    billing.sql("select * from rowferry.backfill('visits')")
    visits.rest()
    assert rows(crm, "select name, n from visits where id = 1") == ['("name 1",100)']
    is_well(visits)


@pytest.mark.case(111)
def test_a_column_that_becomes_another_one_while_a_batch_is_read_is_not_sent_as_null(visits: Visits) -> None:
    crm, billing = visits.nodes
    visits.user(crm, "update visits set n = 100 where id = 1")
    install_gate(crm, "read_visits")
    crm.sql(f"grant usage on schema rowferry to {visits.roles['crm'].owner}")  # for what the gate calls
    with closed(crm) as open_gate:
        call = Meanwhile(visits.carrier.round)
        pid = visits.carrier.courier.connections["crm"].info.backend_pid
        waits = f"select 1 from pg_stat_activity where pid = {pid} and wait_event = 'advisory'"
        wait_until(lambda: crm.sql(waits), 10, "the courier is about to read the table")
        crm.sql("alter table visits drop column name; alter table visits add column name text")
        open_gate()
        call.result()
    visits.rest()
    assert waiting(crm) == ["update visits 1 RF020"]
    assert rows(crm, "select distinct last_error from rowferry.sync_events") == [
        '("its column name was dropped, and another one has its name: changes wait")'
    ]
    assert rows(billing, "select name, n from visits where id = 1") == ['("name 1",1)']


def test_the_values_of_the_node_whose_column_is_new_stay_where_they_are_wanted(visits: Visits) -> None:
    crm, billing = visits.nodes
    crm.sql("alter table visits drop column name; alter table visits add column name text default 'new'")
    visits.user(crm, "update visits set n = 100 where id = 1")
    said = visits.dba(crm, AGAIN)
    assert "name is another column than it was" in "\n".join(said), said
    crm.sql("select * from rowferry.backfill('visits')")
    visits.rest()
    assert rows(billing, "select distinct name from visits") == ["(new)"]
    is_well(visits)
