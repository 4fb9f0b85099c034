"""attach() of an attached table changes it in place, while users write on both sides and events wait in both directions.

Owners and users have the rights of any user, the clock stands still, so that nothing is tried again but because something has
changed, and one courier goes through all of it.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import psycopg
import pytest
from entity.test_attached_table import state

from harness import Node, Nodes, wait_until
from harness.clock import advance, stop_clocks
from harness.comparing import Carrier, compared, found
from harness.exchange import assert_equal, refused_with, rows, waiting
from harness.roles import as_role, role
from harness.steps import Meanwhile, closed, install_gate, wait_for_lock

NUMBERS = itertools.count(1)
VISITS = """
    create table public.visits (id integer primary key, name text, n integer not null default 0);
    grant all on public.visits to {user}"""
SPLIT = """
    create table public.visits (id integer primary key, name text, n integer not null default 0) partition by range (id);
    create table public.visits_1 partition of public.visits for values from (0) to (100);
    create table public.visits_2 partition of public.visits default;
    grant all on public.visits to {user}"""

# The tests' own clock and server are none of it.
WRONG = "severity <> 'info' and object <> 'rowferry._now()' and problem !~ 'MERGE'"


class Roles(NamedTuple):
    """Of one node: whose the table is, who attaches it, who writes it."""

    owner: str
    dba: str
    user: str


class Visits(NamedTuple):
    """Two nodes with the table visits in sync, and the courier that carries between them."""

    nodes: Nodes
    roles: dict[str, Roles]
    carrier: Carrier

    def dba(self, node: Node, script: str) -> list[str]:
        """What attach() says, in one transaction with the rest of the script."""
        with as_role(node, self.roles[node.name].dba) as connection:
            cursor = connection.execute(f"begin; {script}; commit")  # type: ignore[call-overload]
            said = []
            while True:
                if cursor.description:
                    said += [row[0] for row in cursor.fetchall()]
                if not cursor.nextset():
                    return said

    def user(self, node: Node, statement: str) -> None:
        with as_role(node, self.roles[node.name].user) as connection:
            connection.execute(statement)  # type: ignore[call-overload]

    def rest(self) -> None:
        """Rounds until neither node has anything that it can still do."""
        wait_until(lambda: all(answer["status"] == "idle" for answer in self.carrier.round()), 30, "both nodes are idle")


def make(nodes: Nodes, table: str = VISITS, attach: str = "'visits'") -> Visits:
    roles = {}
    stop_clocks(nodes)
    for node in nodes:
        owner, dba, user = role(node), role(node), role(node)
        roles[node.name] = Roles(owner, dba, user)
        node.sql(
            f"grant create on schema public to {owner}; set role {owner}; {table.format(user=user)}; reset role;"
            f" grant {owner}, rowferry_owner to {dba}; set role {dba}; select rowferry.attach({attach})"
        )
    visits = Visits(nodes, roles, Carrier(nodes))
    visits.user(nodes.crm, "insert into visits select i, 'name ' || i, i from generate_series(1, 20) i")
    visits.rest()
    assert len(assert_equal(nodes, "visits")) == 20
    return visits


@pytest.fixture
def visits(nodes: Nodes) -> Visits:
    return make(nodes)


def is_well(visits: Visits, there: str = "") -> None:
    """Both tables hold the same by their own comparison, nothing waits, and nothing is wrong with either node."""
    for node in visits.nodes:
        assert waiting(node) == []
        assert node.sql("select * from rowferry.drift() where object <> 'rowferry._now()'") == []
        assert node.sql(f"select * from rowferry.check() where {WRONG}") == []
        assert state(node)[0] == "idle", state(node)
    assert {key: value for key, value in found(compared(visits.nodes, "visits")).items() if key != "same" and value} == {}


class Change(NamedTuple):
    """What is changed on each node, and what users write on either side before, between and after."""

    ddl: str
    attach: str
    after: str  # what users write once the table has its new shape
    held: bool = True  # whether both nodes wait for each other


AGAIN = "select rowferry.attach('visits')"
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
    assert "rows that are in it no more stay on billing" in "\n".join(said), said
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
    visits = make(nodes, table)
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
    visits = make(nodes, table)
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
    visits = make(nodes, SPLIT)
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
    [found_here] = crm.sql("select * from rowferry.why_stuck() where severity = 'error' and cause !~ 'courier'")
    assert problem in found_here["cause"]
    visits.rest()
    assert state(billing)[0] == "stuck", state(billing)
    [found_there] = billing.sql("select * from rowferry.why_stuck() where severity = 'error' and cause !~ 'courier'")
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


def test_what_attach_detach_and_set_rules_change_is_told_by_the_next_call_and_nothing_else_costs_one(visits: Visits) -> None:
    crm, billing = visits.nodes
    told = "select facts -> 'entities' as entities from rowferry.peer_facts"

    def heard() -> Any:
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
        lines = [row["problem"] for row in node.sql("select problem from rowferry.check() where problem ~ 'note travels'")]
        assert len(lines) == 1
        assert f"; {peer.name} said so at 2026-01-01 00:00:0" in lines[0], lines


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
