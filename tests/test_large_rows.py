"""Rows of many megabytes arrive, or are held with a reason, and delay no other."""

from pathlib import Path

import pytest

from harness import Nodes, wait_until
from harness.exchange import rows, sync, waiting
from harness.worker import worker

MB = 1048576
TABLE = "create table files (id int primary key, body {}); alter table files alter body set storage external"
SUMS = "select id, octet_length(body) as bytes, md5(body) as sum from files"
VALUES = {"bytea": "decode(repeat('00ff5c22', {}), 'hex')", "text": """repeat('a"\\é', {})"""}


def attach(nodes: Nodes, kind: str = "bytea") -> None:
    for node in nodes:
        node.sql(f"{TABLE.format(kind)}; select rowferry.attach('files')")


def value(kind: str, megabytes: int) -> str:
    """SQL for a value of about so many megabytes; each byte of the bytea is two in the envelope, some of the text too."""
    return VALUES[kind].format(megabytes * MB // (4 if kind == "bytea" else 5))


@pytest.mark.slow
@pytest.mark.case(56)
@pytest.mark.parametrize("kind", ["bytea", "text"])
def test_several_rows_of_twenty_megabytes_arrive(nodes: Nodes, kind: str) -> None:
    attach(nodes, kind)
    nodes.crm.sql(
        f"insert into files select g, {value(kind, 20)} from generate_series(1, 2) g; insert into files values (3, 'x')"
    )
    sync(*nodes)
    assert waiting(nodes.crm) == []
    assert rows(nodes.billing, SUMS) == rows(nodes.crm, SUMS)
    assert len(rows(nodes.billing, SUMS)) == 3


@pytest.mark.case(56)
def test_a_row_that_no_envelope_can_hold_is_held_by_its_sender_and_delays_no_other(nodes: Nodes) -> None:
    attach(nodes)
    for node in nodes:
        node.sql("create table notes (id int primary key); select rowferry.attach('notes')")
    nodes.crm.sql("insert into files values (1, 'before')")
    sync(*nodes)
    nodes.crm.sql(
        f"update files set body = {value('bytea', 121)}; insert into files values (2, 'small'); insert into notes values (1)"
    )
    sync(*nodes)
    assert rows(nodes.billing, "select id, body from files") == ['(1,"\\\\x6265666f7265")', '(2,"\\\\x736d616c6c")']
    assert rows(nodes.billing, "select * from notes") == ["(1)"]
    assert waiting(nodes.crm) == ["update files 1 54000"]
    held = nodes.crm.sql("select last_error, hint, attempts from rowferry.sync_events")[0]
    assert held["last_error"] == "the row is too large to travel: more than 120 MB"
    assert (held["attempts"], "rowferry.skip" in held["hint"]) == (1, True)
    nodes.crm.sql("update files set body = 'after' where id = 1")
    sync(*nodes)
    assert waiting(nodes.crm) == []
    assert rows(nodes.billing, SUMS) == rows(nodes.crm, SUMS)


@pytest.mark.case(56)
def test_large_rows_of_many_tables_do_not_all_travel_in_one_envelope(nodes: Nodes) -> None:
    tables = [f"t{number}" for number in range(6)]
    for node in nodes:
        for table in tables:
            node.sql(f"create table {table} (id int primary key, body text); select rowferry.attach('{table}')")
        body = node.sql("select pg_get_functiondef('rowferry._read_batch'::regproc) as body")[0]["body"]
        assert "c_most_bytes constant bigint := 268435456" in body
        # Scaled down: at most 2 MB and a row, of which 1 MB is a table's usual share.
        smaller = body.replace(":= 268435456", f":= {2 * MB}").replace(
            "c_bytes constant bigint := 8388608", f"c_bytes constant bigint := {MB}"
        )
        node.sql(smaller)
    for table in tables:
        nodes.crm.sql(f"insert into {table} select g, repeat('x', {MB}) from generate_series(1, 2) g")
    read = """select o_events as events, (
                select sum(octet_length(v)) from unnest(o_sections) s, unnest(s.column_values) v) as bytes
              from rowferry._read_batch('billing', 1000)"""
    found = nodes.crm.sql(read)[0]
    assert 1 <= found["events"] <= 5
    assert found["bytes"] < 5 * MB
    sync(*nodes)
    assert waiting(nodes.crm) == []
    for table in tables:
        assert rows(nodes.billing, f"select id, md5(body) from {table}") == rows(nodes.crm, f"select id, md5(body) from {table}")


@pytest.mark.case(56)
def test_a_row_that_takes_too_long_to_read_is_held_and_the_worker_goes_on(nodes: Nodes, tmp_path: Path) -> None:
    attach(nodes)
    nodes.crm.sql(f"insert into files values (1, {value('bytea', 40)}), (2, 'small')")
    held = "select attempts from rowferry.sync_events where record_id = '1' and sqlstate = '57014'"
    with worker(nodes, tmp_path / "log"):
        wait_until(lambda: rows(nodes.billing, "select id from files") == ["(2)"], 60, "the small row arrives")
        wait_until(lambda: nodes.crm.sql(held), 20, "the large row is held")
        nodes.crm.sql("insert into files values (3, 'late')")
        wait_until(lambda: rows(nodes.billing, "select id from files") == ["(2)", "(3)"], 20, "a later row arrives")
    error = nodes.crm.sql("select last_error, hint from rowferry.sync_events")[0]
    assert error["last_error"] == "this node ran out of time reading this row alone"
    assert "deadlock_timeout" in error["hint"]
