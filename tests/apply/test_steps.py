"""Steps of applying that broke earlier protocols, each followed exactly: times chosen, users' sessions moved by hand."""

from __future__ import annotations

import time
from typing import Any

import psycopg
import pytest

from harness import Nodes, wait_until
from harness.clock import at, end_back_off, set_clocks, write_at
from harness.courier import Courier
from harness.exchange import rows, sync, waiting
from harness.notes import PUT, keep_notes
from harness.outcome import both, conflicts
from harness.steps import GATE, Meanwhile, closed, install_gate, keep_two_tables, wait_for_lock
from rowferry import sql as worker_sql

# A trigger says how long the applier would wait for a lock; the rollback of the row does not take that back.
TELL_LOCK_TIMEOUT = "raise info 'lock_timeout %', current_setting('lock_timeout')"


def heard_from(applier: psycopg.Connection[Any]) -> list[str]:
    """What triggers say to the session from now on."""
    said: list[str] = []
    applier.add_notice_handler(lambda diag: said.append(str(diag.message_primary)))
    return said


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes that keep one table in sync, and whose clocks the test sets."""
    set_clocks(nodes)
    return keep_notes(nodes)


@pytest.mark.case(95)
def test_a_record_that_its_user_makes_again_while_the_applier_has_decided_is_decided_again(notes: Nodes) -> None:
    notes.crm.sql(PUT.format("old"))
    sync(*notes)
    write_at(notes.crm, 200, "update notes set body = 'crm'")
    write_at(notes.billing, 150, "delete from notes")
    courier = Courier(notes)
    batch, _ = courier.meet(notes)
    install_gate(notes.billing, "_write_sections")
    with closed(notes.billing) as open_gate:
        applier = Meanwhile(lambda: courier.call(notes.billing, batch))
        wait_for_lock(notes.billing, courier.connections["billing"], "advisory")
        write_at(notes.billing, 300, "insert into notes values (1, 'user')")
        open_gate()
        assert applier.result()["conflicts"] == 1
    assert notes.billing.sql("select body from notes") == [{"body": "user"}]
    sync(*notes)
    assert both(notes) == [["(1,user)"]] * 2
    assert conflicts(notes) == [["(billing,user,crm)"]] * 2


@pytest.mark.promise("R9")
@pytest.mark.case(96)
@pytest.mark.parametrize("heard_first", ["the child", "the consequence"])
def test_a_child_survives_a_cascade_that_is_newer_than_its_change(nodes: Nodes, heard_first: str) -> None:
    """Only billing has the foreign key, and takes the child before it hears that the child has left the parent."""
    for node in nodes:
        node.sql(
            "create table parents (id text primary key, body text);"
            "create table children (id integer primary key, body text, parent text);"
            "select rowferry.attach('parents'), rowferry.attach('children')"
        )
    nodes.billing.sql("alter table children add foreign key (parent) references parents on delete cascade")
    nodes.billing.sql("select rowferry.attach('children')")
    set_clocks(nodes)
    nodes.crm.sql("insert into parents values ('p'), ('q'); insert into children values (1, 'old', 'p')")
    sync(*nodes)
    for node in nodes:
        write_at(node, 110, "")
    courier = Courier(nodes)
    courier.call(nodes.crm)
    hello = courier.call(nodes.billing)["envelope"]
    write_at(nodes.crm, 110, "delete from parents where id = 'p'")
    parents = courier.call(nodes.crm, hello)
    write_at(nodes.crm, 120, "update children set body = 'new', parent = 'q' where id = 1")
    child = courier.call(nodes.crm)
    assert (parents["sent"], child["sent"]) == (1, 1)
    courier.connections["billing"].execute(at(999))  # the consequence is the newest of all
    cascaded = courier.call(nodes.billing, parents["envelope"])
    assert nodes.billing.sql("select * from children") == []
    assert cascaded["sent"] == 1
    if heard_first == "the child":
        courier.call(nodes.billing, child["envelope"])
        courier.call(nodes.crm, cascaded["envelope"])
    else:
        courier.call(nodes.crm, cascaded["envelope"])
        courier.call(nodes.billing, child["envelope"])
    sync(*nodes)
    assert both(nodes, "children") == [["(1,new,q)"]] * 2
    assert both(nodes, "parents") == [["(q,)"]] * 2
    assert waiting(nodes.crm) + waiting(nodes.billing) == []


@pytest.mark.promise("R11")
@pytest.mark.case(97)
@pytest.mark.parametrize("limited", [True, False], ids=["as the worker calls it", "by a person without a limit"])
def test_a_user_who_waits_for_the_applier_is_never_told_of_a_deadlock(nodes: Nodes, limited: bool) -> None:
    """The user holds the second row and waits for the first one, which the applier has; 2.8 s later it reaches the second.

    Users look for deadlocks after 4 s. The worker's limit follows from that; who waits without a limit waits for 100 ms.
    """
    keep_two_tables(nodes)
    nodes.billing.sql(f"""
      create function tell() returns trigger language plpgsql as $$ begin {TELL_LOCK_TIMEOUT}; return null; end $$;
      create trigger tell after update on a for each row execute function tell();
      alter table a enable always trigger tell""")
    nodes.crm.sql("update a set body = 'crm'; update b set body = 'crm'")
    courier = Courier(nodes)
    batch, _ = courier.meet(nodes)
    install_gate(nodes.billing, "apply_b")
    applier = courier.connections["billing"]
    said = heard_from(applier)
    if limited:
        applier.execute("set deadlock_timeout = '4s'")
        applier.execute(worker_sql.LIMIT_CALLS, {"patience": 1})
    user = nodes.billing.connect(autocommit=False, options="-c deadlock_timeout=4s")
    user.execute("update b set body = body || ' user'")
    with closed(nodes.billing) as open_gate:
        call = Meanwhile(lambda: courier.call(nodes.billing, batch))
        wait_for_lock(nodes.billing, applier, "advisory")
        wait = Meanwhile(lambda: user.execute("update a set body = body || ' user'"))
        wait_for_lock(nodes.billing, user)
        waited = (
            "select clock_timestamp() - query_start > '2.8 s' or state <> 'active' as long from pg_stat_activity where pid = %s"
        )
        wait_until(lambda: nodes.billing.sql(waited, [user.info.backend_pid])[0]["long"], 9, "the user has waited for 2.8 s")
        open_gate()
        if limited:
            with pytest.raises(psycopg.errors.QueryCanceled):
                call.result()
        else:
            assert call.result()["refused"] == 0  # both rows are left to the sender, as busy
        wait.result(20)
        user.commit()
    assert said[0] == "lock_timeout 100ms"
    sync(*nodes)
    end_back_off(nodes.crm)
    sync(*nodes)
    assert both(nodes, "a")[0] == both(nodes, "a")[1]
    assert both(nodes, "b")[0] == both(nodes, "b")[1]
    assert waiting(nodes.crm) + waiting(nodes.billing) == []


@pytest.mark.promise("R11")
@pytest.mark.case(97)
def test_a_user_who_waits_for_a_call_of_a_large_row_is_never_told_of_a_deadlock(nodes: Nodes) -> None:
    """The call may take long. The user has what a trigger of the row wants, and looks for deadlocks soon after it was reached.

    However soon that is, the call has stopped waiting before: it waits for 2 ms.
    """
    for node in nodes:
        node.sql(
            "create table a (id integer primary key, body text); create table b (id integer primary key, body text);"
            "select rowferry.attach('a'), rowferry.attach('b')"
        )
    nodes.crm.sql("insert into a values (1, 'old'); insert into b values (1, 'old')")
    sync(*nodes)
    nodes.billing.sql(f"""
      create function wants_b() returns trigger language plpgsql as $$
      declare
        v_timeout text := current_setting('lock_timeout');
      begin
        {TELL_LOCK_TIMEOUT};
        perform set_config('lock_timeout', '0', true);
        perform pg_advisory_lock_shared({GATE}), pg_advisory_unlock_shared({GATE});
        perform set_config('lock_timeout', v_timeout, true);
        update b set body = body || ' trigger';
        return null;
      end $$;
      create trigger wants_b after update on a for each row when (new.body = 'crm') execute function wants_b();
      alter table a enable always trigger wants_b""")
    nodes.crm.sql("update a set body = 'crm'")
    courier = Courier(nodes)
    batch, _ = courier.meet(nodes)
    applier = courier.connections["billing"]
    said = heard_from(applier)
    applier.execute(worker_sql.LIMIT_CALLS, {"patience": 16})
    user = nodes.billing.connect(autocommit=False, options="-c deadlock_timeout=4s")
    user.execute("update b set body = 'user'")
    with closed(nodes.billing) as open_gate:
        call = Meanwhile(lambda: courier.call(nodes.billing, batch))
        wait_for_lock(nodes.billing, applier, "advisory")
        wait = Meanwhile(lambda: user.execute("update a set body = body || ' user'"))
        wait_for_lock(nodes.billing, user)
        about_to_look = "select pg_sleep_until(query_start + '3.5 s') from pg_stat_activity where pid = %s"
        nodes.billing.sql(about_to_look, [user.info.backend_pid])
        open_gate()
        assert call.result()["refused"] == 0  # left to the sender, as busy
        wait.result(20)
        user.commit()
    assert said[0] == "lock_timeout 2ms"
    sync(*nodes)
    end_back_off(nodes.crm)
    sync(*nodes)
    assert both(nodes, "a")[0] == both(nodes, "a")[1] == ['(1,"old user")']
    assert both(nodes, "b")[0] == both(nodes, "b")[1] == ["(1,user)"]
    assert waiting(nodes.crm) + waiting(nodes.billing) == []


@pytest.mark.case(98)
def test_a_trigger_that_stamps_each_row_of_the_target_sets_off_nothing_endless(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(
            "create table notes (id integer primary key, body text, updated_at timestamptz); select rowferry.attach('notes')"
        )
    nodes.billing.sql(
        "create function stamp() returns trigger language plpgsql as"
        " $$ begin new.updated_at := clock_timestamp(); return new; end $$;"
        "create trigger stamp before insert or update on notes for each row execute function stamp();"
        "alter table notes enable always trigger stamp"
    )
    for query in (
        "insert into notes select i, 'new', '2020-01-01' from generate_series(1, 20) i",
        "update notes set body = 'again'",
    ):
        nodes.crm.sql(query)
        sync(*nodes)
        assert both(nodes)[0] == both(nodes)[1]
        assert all("2020" not in row for row in both(nodes)[0])
        assert waiting(nodes.crm) + waiting(nodes.billing) == []
    built = "select built, received from rowferry.links"
    assert nodes.crm.sql(built) == [{"built": 2, "received": 2}]  # each change once there, its stamp once back
    sync(*nodes)
    assert nodes.crm.sql(built) == [{"built": 2, "received": 2}]


@pytest.mark.case(99)
@pytest.mark.parametrize("secret", ["public.secrets", "rowferry.links"])
def test_a_trigger_reads_no_more_than_the_owner_of_its_table_may(nodes: Nodes, secret: str) -> None:
    for node in nodes:
        node.sql("do $$ begin if to_regrole('eve') is null then create role eve; end if; end $$")
        node.sql("create table secrets (id integer); create table items (id integer primary key, body text)")
        node.sql("alter table items owner to eve; select rowferry.attach('items')")
    nodes.billing.sql(
        "create function peep() returns trigger language plpgsql as"
        f" $$ begin new.body := (select count(*) from {secret}); return new; end $$; alter function peep() owner to eve;"
        "create trigger peep before insert on items for each row when (new.id = 2) execute function peep();"
        "alter table items enable always trigger peep"
    )
    nodes.crm.sql("insert into items values (1, 'a'), (2, 'b'), (3, 'c')")
    sync(*nodes)
    assert rows(nodes.billing, "select id from items") == ["(1)", "(3)"]
    [held] = nodes.crm.sql("select record_id, sqlstate, last_error, hint from rowferry.sync_events")
    assert (held["record_id"], held["sqlstate"]) == ("2", "42501")
    assert "permission denied" in held["last_error"]
    assert "owner" in held["hint"]


@pytest.mark.case(43, 100)
def test_unique_values_that_two_rows_swapped_are_held_with_a_hint_and_stop_no_other(nodes: Nodes) -> None:
    """One at a time neither fits, and a constraint that is not deferrable lets no two rows swap in one statement."""
    for node in nodes:
        node.sql("create table places (id integer primary key, rank integer not null unique); select rowferry.attach('places')")
    nodes.crm.sql("insert into places values (1, 1), (2, 2)")
    sync(*nodes)
    nodes.crm.sql(
        "begin; update places set rank = -1 where id = 1; update places set rank = 1 where id = 2;"
        "update places set rank = 2 where id = 1; insert into places values (3, 3); commit"
    )
    sync(*nodes)
    assert rows(nodes.billing, "select * from places") == ["(1,1)", "(2,2)", "(3,3)"]
    held = nodes.crm.sql("select distinct record_id, sqlstate, hint from rowferry.sync_events order by 1")
    assert [(row["record_id"], row["sqlstate"]) for row in held] == [("1", "23505"), ("2", "23505")]
    assert all("deferrable" in row["hint"] for row in held)
    nodes.crm.sql("update places set rank = 10 where id = 1")  # what the hint says
    nodes.crm.sql("select rowferry.retry(id) from rowferry.sync_events where attempts > 0")
    sync(*nodes)
    assert both(nodes, "places") == [["(1,10)", "(2,1)", "(3,3)"]] * 2
    assert waiting(nodes.crm) == []


@pytest.mark.slow
@pytest.mark.case(100)
@pytest.mark.parametrize(("bad", "most"), [(1020, 900), (255, 230)])
@pytest.mark.parametrize("refuses", ["a constraint", "a trigger"])
@pytest.mark.settings(autovacuum="off")
def test_many_refused_rows_in_a_large_batch_cost_few_subtransactions_each_call(
    own_servers: Nodes, bad: int, most: int, refuses: str
) -> None:
    """Every 19th of 20,000 rows. A subtransaction that writes draws a transaction id, so that ids count them: nobody else may.

    How many calls it takes depends on what a call has time for: without load 160 and 65 of them.
    Row by row it would be one for each refused row.
    """
    nodes = own_servers
    for node in nodes:
        node.sql("create table notes (id integer primary key, body text); select rowferry.attach('notes')")
        node.sql("update rowferry.links set batch_limit = 20000")
    if refuses == "a constraint":
        nodes.billing.sql("alter table notes add constraint no_bad check (body <> 'bad')")
    else:
        nodes.billing.sql(
            "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;"
            "create trigger refuse after insert on notes for each row when (new.body = 'bad') execute function refuse();"
            "alter table notes enable always trigger refuse"
        )
    nodes.crm.sql(
        "insert into notes select i, case when mod(i, 19) = 0 and i <= 19 * %s then 'bad' else 'good' end"
        " from generate_series(1, 20000) i",
        [bad],
    )
    good = 20000 - bad
    courier = Courier(nodes)
    crm, _ = courier.meet(nodes)
    next_id = "select txid_snapshot_xmax(txid_current_snapshot()) as id"
    drawn, applied, began = [], [], time.monotonic()
    while sum(applied) < good:
        before = nodes.billing.sql(next_id)[0]["id"]
        answer = courier.call(nodes.billing, crm)
        drawn.append(nodes.billing.sql(next_id)[0]["id"] - before)
        applied.append(answer["applied"])
        crm = courier.call(nodes.crm, answer["envelope"])["envelope"]
        assert len(drawn) <= most, applied
    print(f"{len(drawn)} calls, {time.monotonic() - began:.1f} s, most transaction ids in a call: {max(drawn)}")
    assert nodes.billing.sql("select count(*) as n from notes") == [{"n": good}]
    assert max(drawn) <= 64
    assert waiting(nodes.billing) == []
