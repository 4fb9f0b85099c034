"""Two nodes' rows compared while both are written: what differs is found, and nothing else."""

import random
import threading
from pathlib import Path

import psycopg
import pytest

from harness import Node, Nodes, wait_until
from harness.comparing import OPEN, REPORT, Carrier, compared, differences, found, unseen
from harness.courier import Courier
from harness.exchange import assert_equal, rows, sync
from harness.notes import keep_notes
from harness.worker import worker


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """1,000 equal rows on both nodes."""
    return keep_notes(nodes, "select n, 'note ' || n from generate_series(1, 1000) n")


def test_equal_tables_are_found_equal(notes: Nodes) -> None:
    run = compared(notes, "notes")
    assert run["state"] == "finished", run["error"]
    assert found(run) == {"same": 1000, "different": 0, "only_here": 0, "only_there": 0, "pending": 0}
    assert (run["rows_here"], run["rows_there"]) == (1000, 1000)


def test_each_kind_of_difference_is_found_and_no_other(notes: Nodes) -> None:
    unseen(notes.crm, "update notes set body = 'other' where id = 17; delete from notes where id = 500")
    unseen(notes.billing, "delete from notes where id in (3, 1000)")
    run = compared(notes, "notes")
    assert found(run) == {"same": 996, "different": 1, "only_here": 2, "only_there": 1, "pending": 0}
    assert differences(notes.crm) == ["different 17", "only_here 1000", "only_here 3", "only_there 500"]


@pytest.mark.case(79)
@pytest.mark.parametrize("side", ["crm", "billing"])
def test_while_both_sides_write_nothing_false_is_found(notes: Nodes, side: str, tmp_path: Path) -> None:
    unseen(notes.crm, "update notes set body = 'other' where id = 900; delete from notes where id = 901")
    stop = threading.Event()
    failures: list[BaseException] = []

    def write(node: Node, first: int) -> None:
        rng = random.Random(first)
        try:
            with psycopg.connect(node.conninfo, autocommit=True) as connection:
                while not stop.wait(0.001):
                    number = rng.randrange(1, 800)
                    fresh = first + rng.randrange(100000)
                    connection.execute("update notes set body = md5(random()::text) where id = %s", [number])
                    connection.execute("insert into notes values (%s, 'new') on conflict do nothing", [fresh])
                    connection.execute("delete from notes where id = %s or id = %s", [fresh - 2, number + 1])
        except BaseException as failure:
            failures.append(failure)

    writers = [threading.Thread(target=write, args=pair) for pair in zip(notes, (10_000_001, 20_000_000), strict=True)]
    for writer in writers:
        writer.start()
    try:
        node = notes.crm if side == "crm" else notes.billing
        with worker(notes, tmp_path / "log", "--interval", "0.1"):
            for _ in range(6):
                node.sql("select * from rowferry.compare('notes')")
                wait_until(lambda: not node.sql(OPEN), 60, "it has finished")
                run = node.sql(REPORT)[0]
                assert run["state"] == "finished", run["error"]
                assert run["same"] > 100
                mine, theirs = ("only_there 901", "different 900") if side == "crm" else ("only_here 901", "different 900")
                assert [d for d in differences(node) if not d.startswith("pending")] == sorted([mine, theirs])
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    assert not failures


@pytest.mark.parametrize("side", ["crm", "billing"])
def test_an_envelope_that_comes_late_is_not_compared_with_newer_rows(notes: Nodes, side: str) -> None:
    notes.crm.sql("select * from rowferry.compare('notes')")
    courier = Courier(notes)
    hello = [courier.call(node)["envelope"] for node in notes]
    late = courier.call(notes.crm, hello[1])["envelope"]  # the first question
    courier.call(notes.billing, hello[0])
    writer = notes.crm if side == "crm" else notes.billing
    writer.sql("update notes set body = 'newer' where id = 1")
    batch = courier.call(writer)["envelope"]
    if side == "billing":
        batch = courier.call(notes.crm, batch)["envelope"]  # which says that crm has it
    courier.call(notes.billing, batch)  # overtakes the question
    assert [rows(node, "select body from notes where id = 1") for node in notes] == [["(newer)"]] * 2
    answer = courier.call(notes.billing, late)["envelope"]
    courier.call(notes.crm, answer)
    Carrier(notes).until_compared()
    assert found(notes.crm.sql(REPORT)[0]) == {"same": 1000, "different": 0, "only_here": 0, "only_there": 0, "pending": 0}


def test_a_lost_envelope_or_another_courier_costs_time_and_nothing_else(notes: Nodes) -> None:
    unseen(notes.crm, "update notes set body = 'other' where id in (17, 900); delete from notes where id = 500")
    notes.crm.sql("alter table rowferry.comparisons alter column chunk set default 100")
    run = compared(notes, "notes", lose=lambda number: number % 5 == 0)
    assert found(run) == {"same": 997, "different": 2, "only_here": 0, "only_there": 1, "pending": 0}
    assert (run["rows_here"], run["rows_there"]) == (999, 1000)


def test_both_nodes_may_compare_at_the_same_time(notes: Nodes) -> None:
    unseen(notes.crm, "update notes set body = 'other' where id = 17; delete from notes where id = 500")
    for node in notes:
        node.sql("select * from rowferry.compare('notes')")
    Carrier(notes).until_done()
    expected = {"same": 998, "different": 1, "pending": 0}
    assert found(notes.crm.sql(REPORT)[0]) == {**expected, "only_here": 0, "only_there": 1}
    assert found(notes.billing.sql(REPORT)[0]) == {**expected, "only_here": 1, "only_there": 0}


def test_what_is_held_ends_as_pending_and_not_as_a_difference(notes: Nodes) -> None:
    for node in notes:
        node.sql("alter table rowferry.comparisons alter column round set default 7")  # the others only take time
    notes.billing.sql("alter table notes add constraint short check (length(body) < 10)")
    notes.crm.sql(
        "update notes set body = 'longer than allowed' where id = 5; insert into notes values (2000, 'longer than allowed')"
    )
    run = compared(notes, "notes")
    assert found(run) == {"same": 999, "different": 0, "only_here": 0, "only_there": 0, "pending": 2}
    assert differences(notes.crm) == ["pending 2000", "pending 5"]
    assert found(compared(notes, "notes", notes.billing)) == {
        "same": 999,
        "different": 0,
        "only_here": 0,
        "only_there": 0,
        "pending": 2,
    }


KEYS = {
    "composite": (
        "a text, b int, body text, primary key (b, a)",
        "select chr(64 + n % 26) || n, n, nullif('v', 'v' || n) from generate_series(1, 3000) n",
        "b = 7",
        "{G7,7}",
    ),
    "word": (
        "k word, n int, body text, primary key (k, n)",
        "select x::word, n, x from generate_series(1, 200) n, unnest(enum_range(null::word)) x",
        "k = 'd' and n = 7",
        "{d,7}",
    ),
    "text": (
        "k text primary key, body text, n numeric",
        "select x || n, null, n / 7.0 from generate_series(1, 500) n, unnest(array['a', 'B', 'b', 'ä', 'Z ', '\"', '{,}']) x",
        "k = 'ä7'",
        "ä7",
    ),
    "uuid": (
        "k uuid primary key, tags text[], at timestamptz, doc jsonb",
        "select md5(n::text)::uuid, array['x', null, '\"'], now(), '{\"b\": 1, \"a\": null}' from generate_series(1, 3000) n",
        "k = md5('7')::uuid",
        "8f14e45f-ceea-167a-5a36-dedd4bea2543",
    ),
}


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_every_kind_are_walked_whatever_their_order_on_each_node(nodes: Nodes, kind: str) -> None:
    columns, values, where, record_id = KEYS[kind]
    for node, labels in zip(nodes, ("abcdefgh", "hgfbecda"), strict=True):
        node.sql(
            f"create type word as enum ({', '.join(repr(label) for label in labels)})"
        )  # words are in the order of their labels
        node.sql(f"create table public.notes ({columns}); select rowferry.attach('public.notes')")
    nodes.crm.sql(f"insert into notes {values}")
    sync(*nodes)
    count = nodes.crm.sql("select count(*) from notes")[0]["count"]
    assert found(compared(nodes, "notes")) == {"same": count, "different": 0, "only_here": 0, "only_there": 0, "pending": 0}
    unseen(nodes.crm, f"delete from notes where {where}")
    assert compared(nodes, "notes")["only_there"] == 1
    assert differences(nodes.crm) == [f"only_there {record_id}"]


def test_null_is_not_the_empty_text_nor_the_word(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table public.notes (id int primary key, body text, more text); select rowferry.attach('public.notes')")
    nodes.crm.sql(
        "insert into notes values (1, null, 'x'), (2, '', 'x'), (3, 'NULL', 'x'), (4, 'x', null), (5, 'a,b', 'c'), (6, '\"', '')"
    )
    sync(*nodes)
    assert compared(nodes, "notes")["same"] == 6
    unseen(
        nodes.crm,
        "update notes set body = case id when 1 then '' when 2 then null when 3 then null when 5 then 'a' else body end, "
        "more = case id when 5 then 'b,c' else more end where id < 6",
    )
    compared(nodes, "notes")
    assert differences(nodes.crm) == ["different 1", "different 2", "different 3", "different 5"]


def test_a_partitioned_table_is_compared_with_a_plain_one(nodes: Nodes) -> None:
    nodes.crm.sql("""
        create table public.notes (id int primary key, body text) partition by range (id);
        create table notes_1 partition of notes for values from (0) to (500);
        create table notes_2 partition of notes for values from (500) to (10000)""")
    nodes.billing.sql("create table public.notes (body text, own int, id int primary key)")
    nodes.crm.sql("select rowferry.attach('public.notes')")
    nodes.billing.sql("""select rowferry.attach('public.notes', p_columns => '["id", "body"]')""")
    nodes.crm.sql("insert into notes select n, 'note' from generate_series(1, 1000) n")
    sync(*nodes)
    unseen(nodes.billing, "update notes set own = 1; update notes set body = 'other' where id = 700")
    assert found(compared(nodes, "notes")) == {"same": 999, "different": 1, "only_here": 0, "only_there": 0, "pending": 0}


def test_rows_of_many_megabytes_are_named_and_stop_nothing(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("""
            create table public.notes (id int primary key, body text);
            alter table notes alter body set storage external;
            insert into notes select n, repeat(n::text, case n % 10 when 0 then 400000 else 1 end) from generate_series(1, 60) n;
            insert into notes values (61, repeat('x', 5000000));
            select rowferry.attach('public.notes')""")
    run = compared(nodes, "notes")
    assert found(run) == {"same": 60, "different": 0, "only_here": 0, "only_there": 0, "pending": 1}
    assert "4 MB" in nodes.crm.sql("select note from rowferry.differences")[0]["note"]


def test_what_cannot_be_compared_fails_with_the_reason_and_the_exchange_goes_on(notes: Nodes) -> None:
    notes.billing.sql("alter table notes rename column body to text")
    assert "column t.body does not exist" in compared(notes, "notes")["error"]
    notes.billing.sql("alter table notes rename column text to body")
    notes.crm.sql("create table public.single (id int primary key); select rowferry.attach('public.single')")
    assert "billing has no such entity" in compared(notes, "single")["error"]
    notes.crm.sql("select * from rowferry.detach('single', true)")
    notes.crm.sql("update notes set body = 'still carried' where id = 1")
    sync(*notes)
    assert_equal(notes)


def test_a_node_that_does_not_know_comparisons_is_named(notes: Nodes) -> None:
    notes.billing.sql("""
        create or replace function rowferry._compare(p_link rowferry.links, p_heard jsonb) returns jsonb
        language sql as $$ select '{}'::jsonb $$""")
    notes.crm.sql("select * from rowferry.compare('notes'); update rowferry.comparisons set unanswered = 19")
    run = compared(notes, "notes", lose=lambda number: number % 4 == 0)
    assert run["state"] == "failed" and "alembic upgrade head" in run["error"]


def test_a_comparison_that_waits_writes_nothing(notes: Nodes) -> None:
    notes.crm.sql("select * from rowferry.compare('notes')")
    courier = Courier(notes)
    courier.meet(notes)
    assert courier.call(notes.crm)["status"] == "idle"
    notes.crm.sql("update rowferry.comparisons set not_before = now() + interval '1 min', sent_at = null")
    before = notes.crm.sql("select pg_current_xact_id()::text as id")[0]["id"]
    assert courier.call(notes.crm)["status"] == "idle"
    assert int(notes.crm.sql("select pg_current_xact_id()::text as id")[0]["id"]) == int(before) + 1
    assert courier.call(notes.crm)["backfilling"] == 1


def test_only_an_operator_may_compare_and_a_viewer_reads_what_was_found(notes: Nodes) -> None:
    with notes.crm.connect() as connection:
        connection.execute("set role rowferry_viewer")
        for view in ("compare_runs", "compare_report", "differences", "backfill_progress"):
            connection.execute(f"select * from rowferry.{view}")  # type: ignore[call-overload]
        for call in ("compare('notes')", "repair('notes', 'crm')", "first_contact('notes')"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"select * from rowferry.{call}")  # type: ignore[call-overload]
        connection.execute("set role rowferry_operator")
        connection.execute("select * from rowferry.compare('notes')")
