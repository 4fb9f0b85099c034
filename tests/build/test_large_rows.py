"""Rows of many megabytes arrive, or are held with a reason, and delay no other."""

from pathlib import Path

import pytest
from convergence.stage import definition

from harness import Node, Nodes, wait_until
from harness.clock import advance, stop_clocks
from harness.courier import Courier
from harness.exchange import rows, sync, waiting
from harness.worker import explained, start_worker, wait_for_rest, worker
from rowferry.courier.headway import ONCE_SECONDS
from rowferry.sql import LIMIT_CALLS

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
    attach_notes(nodes)
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
        body = definition(node, "_read_batch")
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
              from rowferry._read_batch('billing', 1000, true)"""
    found = nodes.crm.sql(read)[0]
    assert 1 <= found["events"] <= 5
    assert found["bytes"] < 5 * MB
    sync(*nodes)
    assert waiting(nodes.crm) == []
    for table in tables:
        assert rows(nodes.billing, f"select id, md5(body) from {table}") == rows(nodes.crm, f"select id, md5(body) from {table}")


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.case(56)
@pytest.mark.parametrize("kind", ["bytea", "text"])
def test_a_row_of_a_hundred_megabytes_crosses_while_others_go_before_and_after(nodes: Nodes, tmp_path: Path, kind: str) -> None:
    attach(nodes, kind)
    attach_notes(nodes)
    give_time(nodes)
    with worker(nodes, tmp_path / "log"), explained(nodes):
        nodes.crm.sql(f"begin; insert into files values (1, {value(kind, 100)}); insert into notes values (1); commit")
        wait_until(lambda: notes(nodes.billing) == [1], 20, "the small row arrives")
        assert rows(nodes.billing, "select id from files") == []
        nodes.crm.sql("insert into notes values (2)")
        nodes.billing.sql("insert into notes values (3)")
        wait_until(lambda: rows(nodes.billing, "select id from files") == ["(1)"], 280, "the large row arrives")
        nodes.crm.sql("insert into notes values (4)")
        wait_for_rest(nodes, 20)
    assert rows(nodes.billing, SUMS) == rows(nodes.crm, SUMS)
    assert notes(nodes.billing) == notes(nodes.crm) == [1, 2, 3, 4]
    assert [line for line in (tmp_path / "log").read_text().splitlines() if "at work" not in line] == []


@pytest.mark.slow
@pytest.mark.case(56)
def test_many_large_rows_let_others_go_between_them(nodes: Nodes, tmp_path: Path) -> None:
    attach(nodes)
    attach_notes(nodes)
    arrived = "select id from files"
    nodes.crm.sql(f"insert into files select g, {value('bytea', 8)} from generate_series(1, 10) g")
    with worker(nodes, tmp_path / "log"), explained(nodes):
        for number in (1, 2):
            wait_until(lambda n=number: len(rows(nodes.billing, arrived)) >= n, 60, "a large row arrives")  # type: ignore[misc]
            nodes.crm.sql(f"insert into notes values ({number})")
            wait_until(lambda n=number: n in notes(nodes.billing), 60, "a small row arrives")  # type: ignore[misc]
            assert len(rows(nodes.billing, arrived)) < 10
        wait_for_rest(nodes, 120)
    assert rows(nodes.billing, SUMS) == rows(nodes.crm, SUMS)
    assert nodes.crm.sql("select batch_limit from rowferry.links") == [{"batch_limit": 500}], "one record says nothing of many"


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.case(56)
def test_one_run_of_the_worker_delivers_a_large_row_and_ends(nodes: Nodes, tmp_path: Path) -> None:
    """Even if reading the row takes longer than it bears that nothing moves."""
    attach(nodes)
    give_time(nodes)
    slow_reader(nodes.crm, ONCE_SECONDS + 1, "$2 = 125829120")  # when it travels alone
    nodes.crm.sql(f"insert into files values (1, {value('bytea', 60)})")
    assert start_worker(nodes, tmp_path / "log", "--once").wait(280) == 0, (tmp_path / "log").read_text()
    assert rows(nodes.billing, SUMS) == rows(nodes.crm, SUMS)
    assert waiting(nodes.crm) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.case(56)
def test_a_conflict_of_large_rows_is_told_by_the_next_worker(nodes: Nodes, tmp_path: Path) -> None:
    """Its envelope is large from the first call on, though no large row is pending any more."""
    attach(nodes)
    give_time(nodes)
    nodes.crm.sql("insert into files values (1, 'x')")
    sync(*nodes)
    nodes.crm.sql(f"update files set body = {value('bytea', 60)}")
    nodes.billing.sql("update files set body = 'later'")
    courier = Courier(nodes)
    _, envelope = courier.meet(nodes)
    found = courier.call(nodes.crm, envelope)
    assert (found["conflicts"], found["pending"], found["patience"]) == (1, 0, 31)
    assert start_worker(nodes, tmp_path / "log", "--once").wait(280) == 0, (tmp_path / "log").read_text()
    assert waiting(nodes.billing) == []
    assert nodes.billing.sql("select length(loser_row ->> 'body') from rowferry.conflicts") == [{"length": 2 + 120 * MB}]
    assert nodes.crm.sql("select patience from rowferry.process_batch()") == [{"patience": 1}]


@pytest.mark.case(56)
def test_a_large_row_is_sent_alone_and_only_in_a_call_that_may_take_long(nodes: Nodes) -> None:
    attach(nodes)
    nodes.crm.sql(f"alter database {nodes.crm.database} set deadlock_timeout = '20s'")
    courier = Courier(nodes)
    courier.connections["crm"].execute(LIMIT_CALLS, {"patience": 1})
    nodes.crm.sql(f"insert into files values (1, {value('bytea', 6)}), (2, 'small')")
    envelope, _ = courier.meet(nodes)
    found = courier.call(nodes.billing, envelope)
    assert (found["applied"], found["patience"]) == (1, 1)
    asked = courier.call(nodes.crm, found["envelope"])
    assert (asked["sent"], asked["pending"], asked["held"], asked["patience"]) == (0, 1, 0, 4)
    assert courier.call(nodes.crm)["sent"] == 0
    assert waiting(nodes.crm) == ["insert files 1 RF025"]
    courier.connections["crm"].execute(LIMIT_CALLS, {"patience": 4})
    nodes.crm.sql("insert into files values (3, 'small')")
    large = courier.call(nodes.crm)
    assert (large["sent"], large["patience"]) == (1, 4)
    assert len(large["envelope"]) > 6 * MB
    assert len(courier.call(nodes.crm)["envelope"]) < MB, "the next one holds what is small"
    answer = courier.call(nodes.billing, large["envelope"])
    assert courier.call(nodes.crm, answer["envelope"])["patience"] == 1
    assert rows(nodes.billing, "select id from files") == ["(1)", "(2)"]


@pytest.mark.case(56)
def test_a_call_that_has_applied_something_reads_no_large_row(nodes: Nodes) -> None:
    """Users would wait for what it has written. The other node is asked to send nothing meanwhile, and both may ask at once."""
    attach(nodes)
    attach_notes(nodes)
    for node in nodes:
        number = 1 if node is nodes.crm else 2
        node.sql(f"insert into files values ({number}, {value('bytea', 6)}); insert into notes values ({number})")
    courier = Courier(nodes)
    to_billing, to_crm = courier.meet(nodes)
    calls = []
    for number in range(3, 13):  # something small in each call, both ways
        nodes.crm.sql(f"insert into notes values ({number})")
        nodes.billing.sql(f"insert into notes values ({number + 100})")
        answers = courier.call(nodes.crm, to_crm), courier.call(nodes.billing, to_billing)
        to_billing, to_crm = answers[0]["envelope"], answers[1]["envelope"]
        calls += answers
        assert not any(answer["applied"] and len(answer["envelope"]) > MB for answer in answers)
    assert len([1 for answer in calls if len(answer["envelope"]) > MB]) == 2
    assert rows(nodes.billing, SUMS) == rows(nodes.crm, SUMS)
    assert len(rows(nodes.crm, SUMS)) == 2


@pytest.mark.case(56)
def test_a_large_row_that_was_locked_is_tried_again_while_one_run_of_the_worker_waits(nodes: Nodes) -> None:
    attach(nodes)
    nodes.crm.sql("insert into files values (1, 'x')")
    sync(*nodes)
    nodes.crm.sql(f"update files set body = {value('bytea', 5)}")
    nodes.crm.sql("""
      insert into rowferry.held_events
        (event_id, entity_id, record_id, attempts, not_before, sqlstate, last_error, first_at, last_at, patience)
      select id, entity_id, record_id, 0, now(), 'RF025', 'large', now(), now(), 64 from rowferry.events""")  # as if of 126 MB
    courier = Courier(nodes)
    envelope, _ = courier.meet(nodes)
    user = nodes.billing.connect(autocommit=False)
    user.execute("update files set body = 'mine'")
    answer = courier.call(nodes.billing, envelope)
    user.rollback()
    courier.call(nodes.crm, answer["envelope"])
    wait = "select sqlstate, extract(epoch from not_before - last_at)::float as seconds from rowferry.held_events"
    [held] = nodes.crm.sql(wait)
    assert held["sqlstate"] == "55P03"
    assert 1 < held["seconds"] < ONCE_SECONDS / 1.5


@pytest.mark.promise("R8")
@pytest.mark.slow
@pytest.mark.case(56)
def test_a_large_row_that_takes_too_long_to_apply_is_held_in_the_end_and_others_go_between(nodes: Nodes, tmp_path: Path) -> None:
    attach(nodes)
    attach_notes(nodes)
    nodes.billing.sql("""
      create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(600); return new; end';
      create trigger slow before insert on files for each row execute function slow();
      alter table files enable always trigger slow""")
    nodes.crm.sql(f"insert into files values (1, {value('bytea', 5)})")
    held = "select attempts, last_error, hint, not_before - clock_timestamp() > '3 min' as late from rowferry.sync_events"
    attempts = number = 0
    with worker(nodes, tmp_path / "log"), explained(nodes):
        while attempts < 3:
            number += 1
            assert number < 100
            nodes.crm.sql(f"insert into notes values ({number})")
            wait_until(lambda n=number: n in notes(nodes.billing), 30, "a small row arrives")  # type: ignore[misc]
            attempts = nodes.crm.sql(f"{held} where entity = 'files'")[0]["attempts"]
        assert nodes.crm.sql("select state from rowferry.status") == [{"state": "held"}]
        nodes.crm.sql("insert into notes values (100)")
        wait_until(lambda: 100 in notes(nodes.billing), 10, "a later row arrives soon")
    [error] = nodes.crm.sql(f"{held} where entity = 'files'")
    assert (error["attempts"], error["late"]) == (3, True)
    assert error["last_error"] == "the other node ran out of time applying this row alone"
    assert "slow triggers" in error["hint"]
    nodes.billing.sql("drop trigger slow on files")
    nodes.crm.sql("select rowferry.retry(id) from rowferry.sync_events where entity = 'files'")
    sync(*nodes)
    assert rows(nodes.billing, SUMS) == rows(nodes.crm, SUMS)


@pytest.mark.slow
@pytest.mark.case(56)
def test_a_row_that_takes_too_long_to_read_is_held_and_the_worker_goes_on(nodes: Nodes, tmp_path: Path) -> None:
    attach(nodes)
    slow_reader(nodes.crm, 600)
    nodes.crm.sql("insert into files values (1, 'slow'), (2, 'small')")
    held = """select attempts, last_error, hint, not_before - clock_timestamp() > '4 min' as late
              from rowferry.sync_events where record_id = '1' and sqlstate = '57014'"""
    with worker(nodes, tmp_path / "log"), explained(nodes):
        wait_until(lambda: rows(nodes.billing, "select id from files") == ["(2)"], 60, "the small row arrives")
        wait_until(lambda: nodes.crm.sql(held), 20, "the slow row is held")
        nodes.crm.sql("insert into files values (3, 'late')")
        wait_until(lambda: rows(nodes.billing, "select id from files") == ["(2)", "(3)"], 30, "a later row arrives")
        wait_until(lambda: nodes.crm.sql(held)[0]["late"], 40, "the slow row is left for minutes")
    [error] = nodes.crm.sql(held)
    assert error["last_error"] == "this node ran out of time reading this row alone"
    assert (error["attempts"], "deadlock_timeout" in error["hint"]) == (3, True)


def give_time(nodes: Nodes) -> None:
    """Calls for a large row end after minutes, so that a busy machine cuts none of them; any other call ends after 2.8 s."""
    for node in nodes:
        node.sql(f"alter database {node.database} set deadlock_timeout = '4s'")


def slow_reader(node: Node, seconds: float, when: str = "'1' = any ($1)") -> None:
    """Reading row 1 takes so long."""
    query = "select pg_get_functiondef('rowferry.read_files(text[],bigint)'::regprocedure) as body"
    body = node.sql(query)[0]["body"]
    assert body.count("\nbegin\n") == 1
    node.sql(body.replace("\nbegin\n", f"\nbegin\n  if {when} then perform pg_sleep({seconds}); end if;\n"))


def attach_notes(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table notes (id int primary key); select rowferry.attach('notes')")


def notes(node: Node) -> list[int]:
    return [row["id"] for row in node.sql("select id from notes order by id")]


@pytest.mark.case(44, 56)
def test_a_large_row_that_lacks_its_parent_there_is_held_while_others_flow(nodes: Nodes) -> None:
    """Batches of others between two tries of it do not make it look as if its parent might still come along."""
    for node in nodes:
        node.sql(
            "create table parents (id int primary key, name text);"
            "create table files (id int primary key, body text, parent int references parents);"
            "create table notes (id int primary key); select rowferry.attach('files'), rowferry.attach('notes')"
        )
    nodes.crm.sql("insert into parents values (1, 'only here')")
    nodes.crm.sql("insert into files select 1, string_agg(md5(g::text), ''), 1 from generate_series(1, 200000) g")
    held = "select attempts from rowferry.sync_events where entity = 'files' and sqlstate = '23503'"
    courier = Courier(nodes)
    crm, billing = courier.meet(nodes)
    sent = 0
    stop_clocks(nodes)
    for n in range(20):
        nodes.crm.sql(f"insert into notes values ({n})")
        if n in (4, 8, 12, 16):  # it is due again, and its refusal is heard before the end
            advance(nodes, 600)
        crm, billing = courier.call(nodes.crm, billing)["envelope"], courier.call(nodes.billing, crm)["envelope"]
        sent += len(crm) > 4 * MB
    assert [row["attempts"] for row in nodes.crm.sql(held)] == [sent] and sent > 1
    assert rows(nodes.billing, "select count(*) from notes") != ["(0)"]
    nodes.billing.sql("insert into parents values (1, 'there too')")
    nodes.crm.sql("select rowferry.retry(id) from rowferry.sync_events where entity = 'files'")
    sync(*nodes)
    assert waiting(nodes.crm) == []
    assert rows(nodes.billing, SUMS) == rows(nodes.crm, SUMS)


@pytest.mark.case(56)
def test_a_conflict_too_large_to_be_told_is_held_until_one_side_gives_up(nodes: Nodes) -> None:
    """Scaled down to 1 MB."""
    attach(nodes, "text")
    nodes.crm.sql("insert into files values (1, 'x')")
    sync(*nodes)
    for node in nodes:
        text = definition(node, "_decide")
        assert "c_most_bytes constant bigint := 126877696" in text
        node.sql(text.replace(":= 126877696", f":= {MB}"))
        node.sql(f"update files set body = '{node.name}' || repeat('x', 600000)")
    sync(*nodes)
    for node in nodes:
        [event] = node.sql("select id, sqlstate, hint from rowferry.sync_events")
        assert (event["sqlstate"], "rowferry.skip" in event["hint"]) == ("54000", True)
    nodes.crm.sql("select rowferry.skip(id, 'billing knows better') from rowferry.sync_events")
    nodes.billing.sql("select rowferry.retry(id) from rowferry.sync_events")
    sync(*nodes)
    assert waiting(nodes.crm) + waiting(nodes.billing) == []
    assert [rows(node, "select left(body, 4) from files") for node in nodes] == [["(bill)"]] * 2
