"""Nothing leaves for an outbox unless a slot keeps it, and people see what is missing, and how much log a slot keeps."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import Nodes, wait_until
from harness.exchange import rows
from harness.outbox import add_outbox, deliver, drop_slots, last, make_slot, read

WAITING = "select record_id from rowferry.sync_events where entity = 'accounts@kafka'"


@pytest.mark.promise("R15")
def test_nothing_leaves_before_there_is_a_slot(bare: Nodes) -> None:
    bare.crm.sql("create table accounts (id int primary key)")
    add_outbox(bare.crm, slot=False)
    bare.crm.sql("select rowferry.attach('accounts', p_peer => 'kafka'); insert into accounts values (1)")
    answer = deliver(bare.crm)
    assert (answer["status"], answer["pending"]) == ("paused", 1)
    assert "there is no replication slot" in answer["reason"]
    [status] = bare.crm.sql("select state, reason from rowferry.status where peer = 'kafka'")
    assert (status["state"], "there is no replication slot" in status["reason"]) == ("waiting", True)
    assert rows(bare.crm, "select object from rowferry.check() where severity = 'error'") == ['("outbox kafka")']
    causes = bare.crm.sql("select cause, type_next from rowferry.why_stuck('kafka') where severity = 'error'")
    assert any("there is no replication slot" in cause["cause"] and "Debezium" in cause["type_next"] for cause in causes), causes
    make_slot(bare.crm)
    deliver(bare.crm)
    assert last(read(bare.crm)) == {"1": {"id": 1}}


@pytest.mark.promise("R15")
def test_nothing_leaves_while_the_slot_is_being_made(nodes: Nodes) -> None:
    """It can be seen before it has a beginning; what would be written then comes before that, and nobody would read it."""
    drop_slots(nodes.crm)
    nodes.crm.sql("insert into accounts values (1, 'a', 1)")
    with ThreadPoolExecutor(1) as pool, nodes.crm.connect(autocommit=False) as open_before:
        open_before.execute("select pg_current_xact_id()")
        making = pool.submit(make_slot, nodes.crm)
        seen = "select from pg_replication_slots where slot_name = 'of_' || current_database()"
        wait_until(lambda: nodes.crm.sql(seen), 20, "the slot is being made")
        assert "is being made" in deliver(nodes.crm)["reason"]
        open_before.commit()
        making.result()
    deliver(nodes.crm)
    assert last(read(nodes.crm)).keys() == {"1"}


def test_what_a_lost_slot_takes_along_is_said_and_a_backfill_brings_it_again(nodes: Nodes) -> None:
    nodes.crm.sql("insert into accounts values (1, 'a', 1)")
    deliver(nodes.crm)
    drop_slots(nodes.crm)
    nodes.crm.sql("insert into accounts values (2, 'b', 2)")
    answer = deliver(nodes.crm)
    assert answer["status"] == "paused"
    assert "is gone, and with it what nobody had read" in answer["reason"]
    assert rows(nodes.crm, WAITING) == ["(2)"]
    make_slot(nodes.crm)
    nodes.crm.sql("select rowferry.backfill(name) from rowferry.entities where peer = 'kafka'")
    deliver(nodes.crm)
    assert last(read(nodes.crm)).keys() == {"1", "2"}


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        ("drop publication rowferry_outbox", "there is no publication"),
        ("alter publication rowferry_outbox drop table rowferry.outbox", "does not publish"),
        ("alter publication rowferry_outbox set (publish = 'delete')", "does not publish"),
        ("create publication everything for all tables", "publication everything publishes what is deleted"),
    ],
)
def test_what_the_publication_lacks_keeps_events_from_leaving_and_check_mends_it(nodes: Nodes, spoil: str, problem: str) -> None:
    nodes.crm.sql(spoil)
    nodes.crm.sql("insert into accounts values (1, 'a', 1)")
    assert problem in deliver(nodes.crm)["reason"]
    [found] = nodes.crm.sql("select problem, fix from rowferry.check() where object = 'outbox kafka'")
    assert problem in found["problem"]
    # Line after line, because a slot cannot be made in a transaction that has written.
    for line in found["fix"].replace(" and all rows again:", "").split("; "):
        nodes.crm.sql(line)
    deliver(nodes.crm)
    assert last(read(nodes.crm)).keys() == {"1"}
    assert nodes.crm.sql("select * from rowferry.drift()") == []


def test_a_publication_of_the_whole_schema_is_seen_too(nodes: Nodes) -> None:
    if nodes.crm.major < 15:
        pytest.skip("before PostgreSQL 15 no publication has a whole schema")
    nodes.crm.sql("insert into accounts values (1, 'a', 1); create publication whole for tables in schema rowferry")
    answer = deliver(nodes.crm)
    assert (answer["status"], answer["pending"]) == ("paused", 1)
    assert "publication whole publishes what is deleted" in answer["reason"]
    nodes.crm.sql("drop publication whole; drop publication rowferry_outbox")
    nodes.crm.sql("create publication rowferry_outbox for tables in schema rowferry with (publish = 'insert')")
    assert deliver(nodes.crm)["pending"] == 0


def test_check_and_status_say_how_much_log_a_slot_that_nobody_reads_keeps(nodes: Nodes) -> None:
    nodes.crm.sql("insert into accounts select i, repeat('x', 1000) from generate_series(1, 2000) i")
    [found] = nodes.crm.sql("select severity, problem, fix from rowferry.check() where object like 'slot %'")
    assert found["severity"] == "warning"
    assert "nobody reads it, and the server keeps" in found["problem"]
    [status] = nodes.crm.sql("select reason from rowferry.status where peer = 'kafka'")
    assert "of write-ahead log" in status["reason"]
    assert int(found["problem"].split("keeps ")[1].split()[0]) > 1000  # kB
