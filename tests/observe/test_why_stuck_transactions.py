"""why_stuck() names transactions, snapshots and slots that keep changes or dead rows, with what to type."""

import pytest

from harness import Node, Nodes, wait_until
from harness.clock import put_forward
from harness.servers import standby
from harness.stuck import cause, in_sync, why


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes that keep one table in sync and have just exchanged a row."""
    return in_sync(nodes)


def test_an_open_transaction_keeps_its_changes_to_itself(own_servers: Nodes) -> None:
    """Without the right to see other sessions it is named too, but not since when."""
    notes = in_sync(own_servers)
    note_batch(notes.crm)
    user = notes.crm.connect(autocommit=False, application_name="import")
    user.execute("insert into notes values (1, 'not yet')")
    pid = user.info.backend_pid
    assert why(notes.crm) == []  # it is not older than the last batch
    put_forward(notes.crm, "1 hour")
    row = cause(notes.crm, "has not committed")
    assert (row["severity"], row["since"]) == ("info", None)
    assert row["object"].startswith(f"pid {pid} of postgres, import (grant pg_read_all_stats to rowferry_owner; ")
    # A batch that is noted later shows how long it has been open at least.
    note_batch(notes.crm)
    row = cause(notes.crm, "has not committed")
    assert (row["severity"], row["since"] is not None) == ("warning", True)
    notes.crm.sql("grant pg_read_all_stats to rowferry_owner")
    row = cause(notes.crm, "has not committed")
    assert row["since"] == user.execute("select xact_start from pg_stat_activity where pid = pg_backend_pid()").fetchone()[0]  # type: ignore[index]
    assert "idle in transaction: " in row["object"]
    user.rollback()
    assert why(notes.crm) == []


def test_an_operator_who_has_not_committed(notes: Nodes) -> None:
    operator = notes.crm.connect(autocommit=False)
    operator.execute("select rowferry.pause()")
    put_forward(notes.crm, "1 hour")
    row = cause(notes.crm, "has changed rowferry.links and has not committed")
    assert f"pid {operator.info.backend_pid} " in row["object"]


@pytest.mark.settings(max_prepared_transactions="5")
def test_a_forgotten_prepared_transaction(own_servers: Nodes) -> None:
    notes = in_sync(own_servers)
    user = notes.crm.connect()
    user.execute("begin")
    user.execute("insert into notes values (1, 'prepared')")
    user.execute("prepare transaction 'forgotten'")
    assert why(notes.crm) == []
    put_forward(notes.crm, "1 hour")
    row = cause(notes.crm, "has changed tables in sync and has not committed")
    assert (row["severity"], row["object"]) == ("warning", "prepared transaction forgotten")
    assert row["since"] == notes.crm.sql("select prepared from pg_prepared_xacts")[0]["prepared"]
    notes.crm.sql(row["type_next"])
    assert why(notes.crm) == []


def note_batch(node: Node) -> None:
    node.sql(
        "insert into rowferry.batches (peer, direction, number, tag, records, events, refused, conflicts, ms, at)"
        " values ('billing', 'sent', 9, gen_random_uuid(), 1, 1, 0, 0, 1, now())"
    )


def dead_rows(node: Node) -> None:
    """More of them than a vacuum waits for, and the time to notice that they stay."""
    node.sql("insert into notes select i, 'x' from generate_series(1, 12000) i")
    node.sql("delete from rowferry.events")
    wait_until(
        lambda: node.sql("select n_dead_tup > 10000 as many from pg_stat_all_tables where relid = 'rowferry.events'::regclass")[
            0
        ]["many"],
        20,
        "the statistics know of the dead rows",
    )
    note_batch(node)
    put_forward(node, "1 hour")


def test_a_snapshot_that_keeps_dead_rows(notes: Nodes) -> None:
    reader = notes.crm.connect(autocommit=False)
    reader.execute("set transaction isolation level repeatable read")
    reader.execute("select count(*) from notes")
    dead_rows(notes.crm)
    row = cause(notes.crm, "dead rows of rowferry.events, and each exchange")
    assert row["severity"] == "warning" and row["object"].startswith(f"pid {reader.info.backend_pid} of ")
    assert row["type_next"] == f"select pg_terminate_backend({reader.info.backend_pid});"
    reader.rollback()
    assert why(notes.crm) == []


def test_of_a_writer_and_a_snapshot_that_goes_back_because_of_it_the_writer_is_named(notes: Nodes) -> None:
    notes.crm.sql("create table other (id integer)")
    writer = notes.crm.connect(autocommit=False)
    writer.execute("insert into other values (1)")
    reader = notes.crm.connect(autocommit=False)
    reader.execute("set transaction isolation level repeatable read")
    reader.execute("select count(*) from notes")
    dead_rows(notes.crm)
    row = cause(notes.crm, "dead rows of rowferry.events, and each exchange")
    assert row["object"].startswith(f"pid {writer.info.backend_pid} of ")


def test_a_replication_slot_that_keeps_dead_rows(own_servers: Nodes) -> None:
    """Of a standby that reports what its queries need, and has gone."""
    notes = in_sync(own_servers)
    notes.crm.sql("select pg_create_physical_replication_slot('left_behind')")
    with standby(notes.crm) as copy:
        copy.sql("alter system set hot_standby_feedback = on")
        copy.sql("alter system set primary_slot_name = 'left_behind'")
        copy.sql("alter system set wal_receiver_status_interval = '1s'")
        copy.sql("select pg_reload_conf()")
        wait_until(lambda: notes.crm.sql("select xmin from pg_replication_slots")[0]["xmin"], 30, "the slot has a horizon")
    wait_until(lambda: not notes.crm.sql("select active from pg_replication_slots")[0]["active"], 20, "the standby has gone")
    dead_rows(notes.crm)
    row = cause(notes.crm, "dead rows of rowferry.events, and each exchange")
    assert row["object"] == "replication slot left_behind"
    notes.crm.sql(row["type_next"])
    assert why(notes.crm) == []


@pytest.mark.settings(max_prepared_transactions="5")
def test_a_prepared_transaction_that_keeps_dead_rows(own_servers: Nodes) -> None:
    notes = in_sync(own_servers)
    user = notes.crm.connect()
    user.execute("create table other (id integer)")
    user.execute("begin")
    user.execute("insert into other values (1)")
    user.execute("prepare transaction 'other'")
    dead_rows(notes.crm)
    row = cause(notes.crm, "dead rows of rowferry.events, and each exchange")
    assert row["object"] == "prepared transaction other of postgres"
    notes.crm.sql(row["type_next"])
    assert why(notes.crm) == []
