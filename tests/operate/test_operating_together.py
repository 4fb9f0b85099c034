"""What a person may do and what a person may look at know of each other."""

from __future__ import annotations

import threading

import psycopg
import pytest

from harness import Node, Nodes, wait_until
from harness.courier import Courier
from harness.exchange import assert_equal, rows, sync
from harness.notes import keep_notes

LINK = "hashtextextended('rowferry link billing', 0)"


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes that keep one table in sync, with 200 rows."""
    return keep_notes(nodes, "select n, 'n' from generate_series(1, 200) n")


@pytest.fixture
def stopped_by_the_breaker(notes: Nodes) -> Nodes:
    """crm wants to delete 150 of them."""
    notes.crm.sql("delete from notes where id <= 150")
    sync(*notes)
    return notes


def compared(nodes: Nodes) -> None:
    nodes.crm.sql("select rowferry.compare('notes')")
    sync(*nodes)
    assert nodes.crm.sql("select state from rowferry.compare_runs") == [{"state": "finished"}]


def test_a_truncate_rule_that_one_node_has_is_no_difference(nodes: Nodes) -> None:
    for node, rule in ((nodes.crm, "propagate"), (nodes.billing, "refuse")):
        node.sql("create table notes (id integer primary key)")
        node.sql(f"select rowferry.attach('notes', p_truncate => '{rule}')")
    sync(*nodes)
    nodes.crm.sql("insert into notes values (1)")
    sync(*nodes)
    assert [node.sql("select * from rowferry.check() where problem ~ 'rule'") for node in nodes] == [[], []]


def test_an_open_comparison_is_no_stuck_work(notes: Nodes) -> None:
    notes.crm.sql("select rowferry.compare('notes'); update rowferry.comparisons set requested_at = now() - interval '1 hour'")
    notes.crm.sql("update rowferry.links set last_exchange_at = now() - interval '1 hour'")
    causes = [row["cause"] for row in notes.crm.sql("select cause from rowferry.why_stuck()")]
    assert len(causes) == 1 and causes[0].startswith("no worker is at work")
    with notes.crm.connect() as courier:
        courier.execute("select pg_advisory_lock(hashtextextended('rowferry courier billing crm', 0))")
        assert notes.crm.sql("select cause from rowferry.why_stuck()") == []


def test_a_comparison_that_nobody_answers_is_named(notes: Nodes) -> None:
    notes.crm.sql("select rowferry.compare('notes'); update rowferry.comparisons set state = 'walking', unanswered = 4")
    assert [
        row["object"] for row in notes.crm.sql("select object from rowferry.why_stuck() where cause ~ 'does not answer'")
    ] == ["run 1 of entity notes"]


def test_who_waits_for_a_person_is_told_what_to_do_and_not_to_try(stopped_by_the_breaker: Nodes) -> None:
    crm = stopped_by_the_breaker.crm
    [record] = crm.sql("select state, detail from rowferry.row_status('notes', '1')")
    assert record["state"] == "held"
    assert "rowferry.approve('notes')" in record["detail"] and "retry" not in record["detail"]
    [cause] = crm.sql("select cause, type_next from rowferry.why_stuck() where object = 'entity notes'")
    assert cause["cause"].startswith("waits for a person") and "rowferry.approve('notes')" in cause["type_next"]


def test_a_paused_entity_is_one_cause(notes: Nodes) -> None:
    notes.crm.sql("select rowferry.pause(p_entity => 'notes')")
    [cause] = notes.crm.sql("select cause from rowferry.why_stuck() where object = 'entity notes'")
    assert cause["cause"].startswith("paused by")


def test_deletes_that_were_given_up_are_in_the_log_of_skips(stopped_by_the_breaker: Nodes) -> None:
    nodes = stopped_by_the_breaker
    nodes.crm.sql("select rowferry.skip_deletes('notes', 'not meant')")
    sync(*nodes)
    assert len(assert_equal(nodes, "notes")) == 200
    skips = "select count(*) as records, count(done_at) as done from rowferry.skips where reason = 'not meant'"
    assert nodes.crm.sql(skips) == [{"records": 150, "done": 150}]


def test_a_row_made_again_while_its_delete_is_given_up_stays(stopped_by_the_breaker: Nodes) -> None:
    """Giving up waits for the exchange at work; what users do meanwhile is seen after it."""
    nodes = stopped_by_the_breaker
    with nodes.crm.connect() as exchange:
        exchange.execute(f"select pg_advisory_lock({LINK})")
        giving_up = threading.Thread(target=nodes.crm.sql, args=["select rowferry.skip_deletes('notes', 'not meant')"])
        giving_up.start()
        wait_until(lambda: waits_for_a_lock(nodes.crm), 20, "it waits for the exchange")
        nodes.crm.sql("insert into notes values (17, 'again')")
    giving_up.join(20)
    sync(*nodes)
    assert rows(nodes.billing, "select * from notes where id in (16, 17)") == ["(16,n)", "(17,again)"]
    assert len(assert_equal(nodes, "notes")) == 200


def waits_for_a_lock(node: Node) -> bool:
    return bool(node.sql("select 1 from pg_locks where locktype = 'advisory' and not granted"))


def test_a_repair_of_a_paused_entity_waits_and_keeps_nothing_busy(notes: Nodes) -> None:
    notes.billing.sql(
        "alter table notes disable trigger user; delete from notes where id = 5; alter table notes enable trigger user"
    )
    compared(notes)
    notes.crm.sql("select rowferry.pause(p_entity => 'notes')")
    notes.crm.sql("select * from rowferry.repair('public.notes', p_from => 'crm', p_dry_run => false)")
    assert notes.crm.sql("select backfilling from rowferry.process_batch()") == [{"backfilling": 0}]
    notes.crm.sql("select rowferry.resume(p_entity => 'notes')")
    sync(*notes)
    assert rows(notes.billing, "select count(*) from notes") == ["(200)"]


def test_what_waited_for_a_person_is_forgotten_once_it_does_not(notes: Nodes) -> None:
    notes.crm.sql("select rowferry.pause(p_entity => 'notes')")
    notes.crm.sql("insert into notes select n, 'n' from generate_series(201, 12201) n")
    courier = Courier(notes)
    courier.meet(notes)
    assert notes.crm.sql("select count(*) as n from rowferry.waiting_runs") == [{"n": 1}]
    notes.crm.sql("select rowferry.resume(p_entity => 'notes')")
    assert notes.crm.sql("select count(*) as n from rowferry.waiting_runs") == [{"n": 0}]


def test_sending_a_record_again_runs_no_cast_of_the_tables_owner_with_other_rights(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create type kind as enum ('a', 'b'); create table notes (id kind primary key); select rowferry.attach('notes')")
    nodes.crm.sql("""
        create table ran (as_whom text);
        grant insert on ran to public;
        create function to_kind(text) returns kind language plpgsql as $$
        begin insert into public.ran values (current_user); return 'a'::public.kind; end $$;
        create cast (text as kind) with function to_kind(text);
        insert into notes values ('a')""")
    # The reader that calls the cast has the rights of the table's owner, and reads only.
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        nodes.crm.sql("select rowferry.replay('notes', 'a')")
    assert nodes.crm.sql("select * from ran") == []
