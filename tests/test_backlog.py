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
