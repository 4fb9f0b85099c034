"""Steps that broke earlier protocols, each followed exactly: calls one by one, times chosen, sessions moved by hand."""

from __future__ import annotations

import time

import psycopg
import pytest

from harness import Node, Nodes, wait_until
from harness.clock import end_back_off, set_clocks, write_at
from harness.courier import Courier
from harness.exchange import rows, sync, waiting
from harness.identity import share_identity
from harness.notes import keep_notes
from harness.steps import GATE, Meanwhile, closed, install_gate, wait_for_lock
from rowferry import sql as worker_sql

PUT = "insert into notes values (1, '{}') on conflict (id) do update set body = excluded.body"
# What a copy has in common with the original where neither PostgreSQL nor the file system tells them apart.


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes that keep one table in sync, and whose clocks the test sets."""
    set_clocks(nodes)
    return keep_notes(nodes)


def both(nodes: Nodes, table: str = "notes") -> list[list[str]]:
    return [rows(node, f"select * from {table}") for node in nodes]


def conflicts(
    nodes: Nodes, columns: str = "winner, winner_row ->> 'body' as won, loser_row ->> 'body' as lost"
) -> list[list[str]]:
    return [rows(node, f"select {columns} from rowferry.conflicts") for node in nodes]


def copied(node: Node, name: str) -> Node:
    """A copy of a node's database beside it, as a backup or a clone leaves it. The node's sessions are closed."""
    node.close()
    Node(node.name, node.server, "postgres").sql(f"create database {name} template {node.database}")
    return Node(node.name, node.server, name)


@pytest.mark.case(90)
def test_an_acknowledgement_that_overtakes_a_batch_waits_for_it(notes: Nodes) -> None:
    courier = Courier(notes)
    to_billing, _ = courier.meet(notes)
    write_at(notes.billing, 8, PUT.format("b1"))
    first = courier.call(notes.billing, to_billing)
    assert first["sent"] == 1
    write_at(notes.billing, 0, PUT.format("b2"))
    second = courier.call(notes.billing)
    assert second["sent"] == 2  # the record with all its pending events
    taken = courier.call(notes.crm, first["envelope"])
    assert taken["applied"] == 1
    overtaking = courier.call(notes.billing, taken["envelope"])
    assert (overtaking["retired"], overtaking["sent"]) == (1, 0)
    write_at(notes.crm, 3, PUT.format("a1"))
    built = courier.call(notes.crm)
    assert built["sent"] == 1
    courier.call(notes.crm, overtaking["envelope"])
    late = courier.call(notes.crm, second["envelope"])
    decided = courier.call(notes.billing, built["envelope"])
    courier.call(notes.billing, late["envelope"])
    assert (late["conflicts"], decided["conflicts"]) == (1, 1)
    sync(*notes)
    assert both(notes) == [["(1,a1)"]] * 2
    assert conflicts(notes) == [["(crm,a1,b2)"]] * 2


@pytest.mark.case(91)
def test_an_old_courier_that_comes_late_changes_nothing(notes: Nodes) -> None:
    write_at(notes.crm, 1, PUT.format("a1"))
    old = Courier(notes)
    held_back, _ = old.meet(notes)  # crm's batch
    new = Courier(notes)
    hello = new.call(notes.crm)["envelope"]
    new.call(notes.billing)
    write_at(notes.billing, 2, PUT.format("b1"))
    answer = new.call(notes.crm, new.call(notes.billing, hello)["envelope"])
    assert answer["conflicts"] == 1
    assert new.call(notes.billing, answer["envelope"])["retired"] == 1
    assert old.call(notes.billing)["status"] == "superseded"
    for late in (old.call(notes.billing, held_back), new.call(notes.billing, held_back)):
        assert (late["status"], late["applied"], late["envelope"]) == ("superseded", 0, None)
    assert both(notes) == [["(1,b1)"]] * 2
    sync(*notes)
    assert both(notes) == [["(1,b1)"]] * 2


@pytest.mark.case(91)
def test_of_two_couriers_that_open_at_once_the_one_with_the_greater_token_goes_on(notes: Nodes) -> None:
    """Both read the same numbers and open one node each: no envelope of either is used until one has opened both."""
    notes.crm.sql(PUT.format("a1"))
    one, other = Courier(notes, number=5), Courier(notes, number=5)
    less, more = sorted((one, other), key=lambda courier: courier.token)
    from_crm = less.call(notes.crm)["envelope"]
    from_billing = more.call(notes.billing)["envelope"]
    assert less.call(notes.billing, from_crm)["status"] == "superseded"
    assert less.call(notes.crm, from_billing)["status"] == "superseded"
    assert more.call(notes.crm, from_billing)["sent"] == 1
    assert less.call(notes.crm)["status"] == "superseded"


@pytest.mark.case(92)
def test_a_node_set_back_by_one_event_stops_before_an_old_acknowledgement_is_honoured(notes: Nodes) -> None:
    share_identity(notes)
    backup = copied(notes.crm, f"{notes.crm.database}_backup")
    try:
        notes.crm.sql("insert into notes values (1, 'taken')")
        lost = notes.crm.sql("select id from rowferry.sync_events")
        courier = Courier(notes)
        to_billing, _ = courier.meet(notes)
        assert courier.call(notes.billing, to_billing)["applied"] == 1  # the answer never arrives
        restored = Nodes(backup, notes.billing)
        backup.sql("insert into notes values (2, 'after the restore')")
        assert backup.sql("select id from rowferry.sync_events") == lost  # the id is used again
        with pytest.raises(AssertionError, match="stopped: this node was set back"):
            sync(*restored)
        assert waiting(backup) == ["insert notes 2"]
        assert backup.sql("select state from rowferry.status") == [{"state": "stopped"}]
        for node in restored:
            node.sql("select * from rowferry.resync()")
        notes.billing.sql("select * from rowferry.backfill('notes')")
        sync(*restored)
        assert both(restored) == [["(1,taken)", '(2,"after the restore")']] * 2
    finally:
        backup.close()
        Node("crm", backup.server, "postgres").sql(f"drop database {backup.database} with (force)")


@pytest.mark.case(93)
def test_a_clone_that_reaches_the_same_numbers_stops_by_the_tags(notes: Nodes) -> None:
    share_identity(notes)
    clone = copied(notes.crm, f"{notes.crm.database}_clone")
    try:
        cloned = Nodes(clone, notes.billing)
        clone.sql("insert into notes values (1, 'of the clone')")
        Courier(cloned).meet(cloned)  # it builds its first batch, which goes nowhere
        notes.crm.sql("insert into notes values (2, 'of the original')")
        courier = Courier(notes)
        to_billing, _ = courier.meet(notes)
        assert courier.call(notes.billing, to_billing)["applied"] == 1
        numbers = "select built, acked, received from rowferry.links"
        assert clone.sql(numbers) == notes.crm.sql(numbers) == [{"built": 1, "acked": 0, "received": 0}]
        with pytest.raises(AssertionError, match="took a batch from another copy of this node"):
            sync(*cloned)
        assert waiting(clone) == ["insert notes 1"]
    finally:
        clone.close()
        Node("crm", clone.server, "postgres").sql(f"drop database {clone.database} with (force)")


@pytest.mark.case(94)
def test_a_person_who_calls_it_a_thousand_times_disturbs_nothing(notes: Nodes) -> None:
    notes.crm.sql("insert into notes select i, 'n' from generate_series(1, 50) i")
    courier = Courier(notes)
    crm, billing = courier.meet(notes)
    for _ in range(20):
        notes.crm.sql("select rowferry.process_batch() from generate_series(1, 50)")
        answer = courier.call(notes.crm, billing, limit=5)
        billing = courier.call(notes.billing, crm, limit=5)["envelope"]
        crm = answer["envelope"]
        assert answer["status"] in ("moved", "idle")
    assert len(both(notes)[0]) == 50
    assert both(notes)[0] == both(notes)[1]


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
    courier.connections["billing"].execute("set test.at = '999'")  # the consequence is the newest of all
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


@pytest.mark.case(97)
@pytest.mark.parametrize("limited", [True, False], ids=["as the worker calls it", "by a person without a limit"])
def test_a_user_who_waits_for_the_applier_is_never_told_of_a_deadlock(nodes: Nodes, limited: bool) -> None:
    """The user holds the second row and waits for the first one, which the applier has; 0.7 s later it reaches the second."""
    for node in nodes:
        node.sql(
            "create table a (id integer primary key, body text);"
            "create table b (id integer primary key, body text, a_id integer references a);"
            "select rowferry.attach('a'), rowferry.attach('b')"
        )
    nodes.crm.sql("insert into a values (1, 'old'); insert into b values (1, 'old')")
    sync(*nodes)
    nodes.crm.sql("update a set body = 'crm'; update b set body = 'crm'")
    courier = Courier(nodes)
    batch, _ = courier.meet(nodes)
    install_gate(nodes.billing, "apply_b")
    applier = courier.connections["billing"]
    if limited:
        applier.execute(worker_sql.LIMIT_CALLS, {"patience": 1})
    user = nodes.billing.connect(autocommit=False)
    user.execute("update b set body = body || ' user'")
    with closed(nodes.billing) as open_gate:
        call = Meanwhile(lambda: courier.call(nodes.billing, batch))
        wait_for_lock(nodes.billing, applier, "advisory")
        wait = Meanwhile(lambda: user.execute("update a set body = body || ' user'"))
        wait_for_lock(nodes.billing, user)
        waited = (
            "select clock_timestamp() - query_start > '0.7 s' or state <> 'active' as long from pg_stat_activity where pid = %s"
        )
        wait_until(lambda: nodes.billing.sql(waited, [user.info.backend_pid])[0]["long"], 5, "the user has waited for 0.7 s")
        open_gate()
        if limited:
            with pytest.raises(psycopg.errors.QueryCanceled):
                call.result()
        else:
            assert call.result()["refused"] == 0  # both rows are left to the sender, as busy
        wait.result(5)
        user.commit()
    sync(*nodes)
    end_back_off(nodes.crm)
    sync(*nodes)
    assert both(nodes, "a")[0] == both(nodes, "a")[1]
    assert both(nodes, "b")[0] == both(nodes, "b")[1]
    assert waiting(nodes.crm) + waiting(nodes.billing) == []


@pytest.mark.case(97)
def test_a_user_who_waits_for_a_call_of_a_large_row_is_never_told_of_a_deadlock(nodes: Nodes) -> None:
    """The call may take long. The user has what a trigger of the row wants, and looks for deadlocks soon after it was reached."""
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
    applier.execute(worker_sql.LIMIT_CALLS, {"patience": 16})
    user = nodes.billing.connect(autocommit=False)
    user.execute("update b set body = 'user'")
    with closed(nodes.billing) as open_gate:
        call = Meanwhile(lambda: courier.call(nodes.billing, batch))
        wait_for_lock(nodes.billing, applier, "advisory")
        wait = Meanwhile(lambda: user.execute("update a set body = body || ' user'"))
        wait_for_lock(nodes.billing, user)
        about_to_look = "select pg_sleep_until(query_start + '0.95 s') from pg_stat_activity where pid = %s"
        nodes.billing.sql(about_to_look, [user.info.backend_pid])
        open_gate()
        assert call.result()["refused"] == 0  # left to the sender, as busy
        wait.result(5)
        user.commit()
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
@pytest.mark.parametrize(("bad", "most"), [(1020, 200), (255, 80)])
@pytest.mark.parametrize("refuses", ["a constraint", "a trigger"])
@pytest.mark.settings(autovacuum="off")
def test_many_refused_rows_in_a_large_batch_cost_few_subtransactions_each_call(
    own_servers: Nodes, bad: int, most: int, refuses: str
) -> None:
    """Every 19th of 20,000 rows. A subtransaction that writes draws a transaction id, so that ids count them: nobody else may.

    How many calls it takes depends on what a call has time for; row by row it would be one for each refused row.
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


@pytest.mark.case(102)
def test_a_conflict_that_one_node_decides_is_known_to_both(notes: Nodes) -> None:
    write_at(notes.crm, 1, PUT.format("a1"))
    write_at(notes.billing, 2, PUT.format("b1"))
    courier = Courier(notes)
    courier.call(notes.crm)
    courier.call(notes.billing)
    hello = courier.call(notes.crm)["envelope"]
    answer = courier.call(notes.crm, courier.call(notes.billing, hello)["envelope"])
    assert (answer["conflicts"], answer["sent"]) == (1, 0)  # crm's change has lost, so billing never sees it
    assert courier.call(notes.billing, answer["envelope"])["conflicts"] == 0
    assert conflicts(notes, "winner, winner_row ->> 'body', loser_row ->> 'body', decided_by") == [["(billing,b1,a1,crm)"]] * 2
    assert both(notes) == [["(1,b1)"]] * 2


@pytest.mark.case(50)
def test_a_change_made_after_seeing_the_others_wins_before_anything_is_acknowledged(notes: Nodes) -> None:
    """Its sender has taken crm's change, which crm does not know yet: no conflict, although the clock says that it is older."""
    write_at(notes.crm, 3600, PUT.format("first"))
    courier = Courier(notes)
    crm, _ = courier.meet(notes)
    assert courier.call(notes.billing, crm)["applied"] == 1
    write_at(notes.billing, 0, PUT.format("second"))
    answer = courier.call(notes.crm, courier.call(notes.billing)["envelope"])
    assert (answer["applied"], answer["conflicts"]) == (1, 0)
    sync(*notes)
    assert both(notes) == [["(1,second)"]] * 2
    assert conflicts(notes) == [[], []]
