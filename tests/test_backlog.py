"""A long backlog is sent in bounded batches, and status shows its progress."""

import pytest

from harness import Nodes
from harness.courier import Courier
from harness.exchange import rows, sync, waiting

MB = 1048576
MEMORY = "select sum(total_bytes)::bigint as bytes from pg_backend_memory_contexts"


@pytest.mark.slow
@pytest.mark.case(78, 77)
def test_a_backlog_many_times_a_batch_costs_each_call_no_more_than_a_batch(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table items (id int primary key, v text); select rowferry.attach('items')")
    nodes.crm.sql("insert into items select g, repeat('x', 100) from generate_series(1, 60000) g")
    courier = Courier(nodes)
    crm, _ = courier.meet(nodes)
    left, sizes, memory = [nodes.crm.sql("select pending from rowferry.status")[0]["pending"]], [], []
    while left[-1]:
        billing = courier.call(nodes.billing, crm)["envelope"]
        sizes.append(len(crm))
        crm = courier.call(nodes.crm, billing)["envelope"]
        memory.append(courier.connections["crm"].execute(MEMORY).fetchone()["bytes"])  # type: ignore[index]
        left.append(nodes.crm.sql("select pending from rowferry.status")[0]["pending"])
        assert len(left) < 100
    assert left[0] == 60000
    assert left == sorted(left, reverse=True), "each look at status shows no less progress than the one before"
    assert len(set(left)) > 3
    assert max(sizes) < 20000 * 250, "at most 20,000 rows in an envelope"
    assert max(memory) < 30 * MB, "nothing stays in the session's memory"
    sync(*nodes)
    assert waiting(nodes.crm) == []
    assert rows(nodes.billing, "select count(*), sum(id) from items") == ["(60000,1800030000)"]


@pytest.mark.case(78)
def test_a_plan_made_while_the_queue_was_empty_finds_events_by_their_record(nodes: Nodes) -> None:
    """By statistics of an empty table each index of the queue would do for any search, and the plan outlives them."""
    for node in nodes:
        node.sql("create table items (id int primary key, v int); select rowferry.attach('items')")
    nodes.crm.sql("insert into items select g, 0 from generate_series(1, 5000) g; analyze rowferry.events")
    sync(*nodes)
    with nodes.crm.connect() as connection:
        connection.execute("vacuum rowferry.events")
    courier = Courier(nodes)
    crm, billing = courier.meet(nodes)
    for count in (5, 3000):  # the first one makes the plans
        nodes.crm.sql(f"update items set v = v + 1 where id <= {count}; select pg_stat_reset()")
        answers = courier.call(nodes.crm, billing), courier.call(nodes.billing, crm)
        crm, billing = (answer["envelope"] for answer in answers)
    for connection in courier.connections.values():
        connection.execute("select pg_stat_force_next_flush()")
    [found] = nodes.crm.sql("select idx_tup_read as by_record from pg_stat_user_indexes where indexrelname = 'events_of_record'")
    assert found["by_record"] >= 500  # of a batch
