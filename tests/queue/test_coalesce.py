"""Many changes of one record: the newest is sent, the others cost nothing."""

import psycopg
import pytest

from harness import Node, Nodes
from harness.clock import set_clocks, write_at
from harness.courier import Courier
from harness.exchange import rows, sync, waiting


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    for node in nodes:
        node.sql("create table notes (id integer primary key, value integer); select rowferry.attach('notes')")
    nodes.crm.sql("insert into notes select n, 0 from generate_series(1, 20) n")
    sync(*nodes)
    return nodes


def hot(node: Node, record: int, changes: int) -> None:
    """So many changes of one record, of which the last one is real."""
    with node.connect(autocommit=False) as connection:
        connection.execute(
            "insert into rowferry.events (changed_at, entity_id, event_type, record_id)"
            " select clock_timestamp(), id, 'u', %s from rowferry.entities, generate_series(2, %s)",
            [str(record), changes],
        )
        connection.execute("update notes set value = 2 where id = %s", [record])
        connection.commit()


def exchange_in_time(notes: Nodes) -> int:
    """Exchanges until nothing is left, with the worker's time limit on each call; how many records billing has written.

    What crm sent is no measure: a call of the peer that reaches its limit on a slow machine is sent again in smaller parts."""
    applied = ended = 0
    courier = None
    for _ in range(400):
        try:
            if courier is None:
                courier = Courier(notes)
                for connection in courier.connections.values():
                    connection.execute("set statement_timeout = '0.75 s'")
                crm, billing = courier.meet(notes)
            answers = courier.call(notes.crm, billing), courier.call(notes.billing, crm)
        except psycopg.errors.QueryCanceled:
            # As the worker does after a call without time. A call that could never end would end so each time.
            ended += 1
            assert ended < 20
            courier = None
            continue
        crm, billing = (answer["envelope"] for answer in answers)
        applied += answers[1]["applied"]
        if all(answer["status"] == "idle" for answer in answers):
            break
    assert waiting(notes.crm) == []
    return applied


@pytest.mark.slow
@pytest.mark.case(36, 78)
def test_a_record_that_changed_300000_times_is_sent_once_in_calls_that_end(notes: Nodes) -> None:
    notes.crm.sql("update notes set value = 1")
    hot(notes.crm, 7, 300_000)
    notes.crm.sql("update notes set value = 3 where id = 8")
    assert exchange_in_time(notes) <= 22
    assert [rows(node, "select * from notes where id in (6, 7, 8)") for node in notes] == [["(6,1)", "(7,2)", "(8,3)"]] * 2


@pytest.mark.slow
@pytest.mark.case(36, 78)
def test_a_hot_record_behind_many_others_is_sent_once_in_calls_that_end(notes: Nodes) -> None:
    """The first look sees one event of it; the 300,000 others come after as many other records as a batch holds."""
    notes.crm.sql("update rowferry.links set batch_limit = 500")
    notes.crm.sql("insert into notes select n, 0 from generate_series(100, 900) n; update notes set value = 1 where id = 7")
    notes.crm.sql("insert into notes select n, 0 from generate_series(1000, 1900) n")
    hot(notes.crm, 7, 300_000)
    assert exchange_in_time(notes) < 2000
    assert rows(notes.billing, "select count(*) from notes") == ["(1722)"]
    assert [rows(node, "select value from notes where id = 7") for node in notes] == [["(2)"]] * 2


@pytest.mark.promise("R7")
def test_the_newest_stamp_is_what_a_conflict_compares(notes: Nodes) -> None:
    """A clock that went back between two changes of a record: the later stamp counts, as it would without coalescing."""
    set_clocks(notes)
    write_at(notes.crm, "2026-01-01 12:00", "update notes set value = 1 where id = 1")
    write_at(notes.crm, "2026-01-01 10:00", "update notes set value = 2 where id = 1")
    write_at(notes.billing, "2026-01-01 11:00", "update notes set value = 3 where id = 1")
    sync(*notes)
    assert [rows(node, "select value from notes where id = 1") for node in notes] == [["(2)"]] * 2


@pytest.mark.promise("R1")
def test_what_was_sent_is_not_taken_back(notes: Nodes) -> None:
    """An event that the peer may have in its hands stays until it is acknowledged, and so does a question."""
    courier = Courier(notes)
    _, billing = courier.meet(notes)
    notes.crm.sql("update notes set value = 1 where id = 1")
    assert courier.call(notes.crm, billing)["sent"] == 1
    for value in (2, 3, 4):
        notes.crm.sql(f"update notes set value = {value} where id = 1")
    assert courier.call(notes.crm)["sent"] == 2
    assert len(waiting(notes.crm)) == 2
    again = Courier(notes)
    again.meet(notes)
    assert len(waiting(notes.crm)) == 2
    sync(*notes)
    assert [rows(node, "select value from notes where id = 1") for node in notes] == [["(4)"]] * 2


def test_a_batch_names_exactly_the_events_that_it_holds(nodes: Nodes) -> None:
    """Of several tables, mixed in the queue: what a batch names leaves once the peer has it, in whatever order it was read."""
    tables = [f"t{number}" for number in range(3)]
    for table in tables:
        nodes.crm.sql(f"create table {table} (id int primary key, value int); select rowferry.attach('{table}')")
    nodes.crm.sql(
        "insert into rowferry.events (changed_at, entity_id, event_type, record_id)"
        " select clock_timestamp(), 1 + n * n % 7 % 3, 'u', n::text from generate_series(1, 400) n"
    )
    with nodes.crm.connect() as connection:
        connection.execute("set enable_hashagg = off")  # grouped by sorting, which keeps no order
        for limit in range(1, 400):
            found = connection.execute(
                """
                select b.o_ids::text, range_agg(int8range(i, i, '[]'))::text
                from rowferry._read_batch('billing', %s, true) b, unnest(b.o_sections) s, unnest(s.event_ids) i
                group by b.o_ids""",
                [limit],
            )
            [(named, held)] = found.fetchall()
            assert named == held
