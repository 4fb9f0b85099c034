"""What escapes capture for the shape of its table is named within one round, and a reader reads only its own table."""

import psycopg
import pytest

from harness import Nodes
from harness.attached import do_as_told, is_well, proposal, state
from harness.clock import stop_clocks
from harness.exchange import rows, sync, waiting

CAPTURE = "rowferry_capture_update"


@pytest.fixture
def visits(nodes: Nodes) -> Nodes:
    """Two nodes with a clock that stands still; the table visits is in sync and has two rows."""
    stop_clocks(nodes)
    for node in nodes:
        node.sql("create table visits (id int primary key, name text); select rowferry.attach('visits')")
    nodes.crm.sql("insert into visits values (1, 'a'), (2, 'b')")
    sync(*nodes)
    return nodes


@pytest.mark.case(115)
def test_rows_of_a_table_that_inherits_are_not_read_and_the_table_is_named(visits: Nodes) -> None:
    visits.crm.sql(
        "create table kid () inherits (visits); insert into kid values (1, 'of the kid'), (7, 'x');"
        " update only visits set name = 'c'"
    )
    sync(*visits)
    fix = proposal(visits.crm, "public.kid inherits from it")
    assert rows(visits.billing, "select * from visits") == ["(1,c)", "(2,c)"]
    visits.billing.sql("update visits set name = 'd'; delete from visits where id = 2; insert into visits values (7, 'e')")
    sync(*visits)
    assert rows(visits.crm, "select * from only visits") == ["(1,d)", "(7,e)"]
    assert rows(visits.crm, "select * from kid") == ['(1,"of the kid")', "(7,x)"]
    visits.crm.sql("select * from rowferry.backfill('visits'); select * from rowferry.compare('visits')")
    sync(*visits)
    [found] = visits.crm.sql("select sum(records) filter (where kind <> 'same')::int as bad from rowferry.compare_report")
    assert found == {"bad": 0}
    visits.crm.sql(fix)
    is_well(visits)


@pytest.mark.case(115)
def test_a_table_that_became_a_partition_is_named_and_its_parent_comes_in_sync_as_told(nodes: Nodes) -> None:
    stop_clocks(nodes)
    for node in nodes:
        node.sql("create table visits (id int, at date, name text, primary key (id, at)); select rowferry.attach('visits')")
    nodes.crm.sql("insert into visits values (1, '2026-01-01', 'a')")
    sync(*nodes)
    nodes.crm.sql(
        "create table visits_all (like visits) partition by range (at); alter table visits_all add primary key (id, at);"
        " alter table visits_all attach partition visits default;"
        " insert into visits_all values (2, '2026-01-02', 'through the parent');"
        " update visits_all set name = 'changed' where id = 1"
    )
    nodes.billing.sql("insert into visits values (3, '2026-01-03', 'from billing')")
    sync(*nodes)
    do_as_told(nodes, proposal(nodes.crm, "it is a partition of public.visits_all now"))
    nodes.crm.sql("insert into visits_all values (4, '2026-01-04', 'later')")
    sync(*nodes)
    assert rows(nodes.billing, "select * from visits") == rows(nodes.crm, "select * from visits_all")
    assert len(rows(nodes.billing, "select * from visits")) == 4
    assert state(nodes.crm)[0] == "idle"


def test_a_table_that_came_to_inherit_from_another_is_named(visits: Nodes) -> None:
    visits.crm.sql("create table top (id int not null, name text); alter table visits inherit top; update top set name = 'c'")
    sync(*visits)
    visits.crm.sql(proposal(visits.crm, "it inherits from public.top now"))
    assert state(visits.crm)[0] != "stuck"


@pytest.mark.parametrize(
    "trigger",
    [
        "after update on visits referencing old table as old_rows new table as new_rows for each statement"
        " execute function public.nothing()",
        "after update on visits referencing old table as old_rows new table as new_rows for each statement"
        " when (current_user <> 'somebody') execute function rowferry.capture_visits()",
        "after insert on visits referencing new table as new_rows for each statement execute function rowferry.capture_visits()",
    ],
    ids=["another function", "a condition", "another event"],
)
def test_a_capture_trigger_that_is_another_one_is_named(visits: Nodes, trigger: str) -> None:
    visits.crm.sql(
        "create function public.nothing() returns trigger language plpgsql as 'begin return null; end';"
        f" drop trigger {CAPTURE} on visits; create trigger {CAPTURE} {trigger};"
        f" alter table visits enable always trigger {CAPTURE}"
    )
    found, reason = state(visits.crm)
    assert (found, f"its trigger {CAPTURE} was altered" in reason) == ("stuck", True), reason
    [fix] = [
        row["fix"]
        for row in visits.crm.sql("select * from rowferry.check()")
        if f"its trigger {CAPTURE} was altered" == row["problem"]
    ]
    visits.crm.sql(fix)
    sync(*visits)
    assert state(visits.crm)[0] != "stuck"


def test_capture_that_is_disabled_in_one_partition_is_named(nodes: Nodes) -> None:
    nodes.crm.sql(
        "create table split (id int primary key) partition by range (id); create table split_1 partition of split default;"
        " select rowferry.attach('split'); alter table split_1 disable trigger rowferry_capture"
    )
    found, reason = state(nodes.crm)
    assert (found, "changes of public.split_1 are not captured" in reason) == ("stuck", True), reason


def test_a_trigger_is_rowferrys_by_what_it_calls_and_not_by_its_name(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table notes (id int primary key, v text)")
    nodes.billing.sql(
        "create function up() returns trigger language plpgsql as $$ begin new.v := upper(new.v); return new; end $$;"
        " create trigger rowferry_upper before insert or update on notes for each row execute function up();"
        "alter table notes enable always trigger rowferry_upper"
    )
    for node in nodes:
        node.sql("select rowferry.attach('notes')")
    nodes.crm.sql("insert into notes values (1, 'a')")
    sync(*nodes)
    assert [rows(node, "select * from notes") for node in nodes] == [["(1,A)"], ["(1,A)"]]
    nodes.billing.sql("select rowferry.detach('notes', p_force => true)")
    assert nodes.billing.sql("select tgname from pg_trigger where tgrelid = 'notes'::regclass") == [{"tgname": "rowferry_upper"}]


def test_a_trigger_of_a_users_with_a_name_that_attach_needs_is_refused_with_a_way_out(nodes: Nodes) -> None:
    nodes.crm.sql(
        "create table notes (id int primary key);"
        " create function nothing() returns trigger language plpgsql as 'begin return null; end';"
        " create trigger rowferry_truncate after delete on notes for each row execute function nothing()"
    )
    with pytest.raises(psycopg.Error, match="a trigger of yours has a name that rowferry gives to its own") as caught:
        nodes.crm.sql("select rowferry.attach('notes')")
    assert caught.value.sqlstate == "RF010"
    nodes.crm.sql(f"{caught.value.diag.message_hint} select rowferry.attach('notes')")
    assert waiting(nodes.crm) == []
