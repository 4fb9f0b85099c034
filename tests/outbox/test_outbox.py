"""rowferry.outbox: what is written there for Debezium, and that nothing is lost or doubled on the way into the log."""

from harness import Nodes
from harness.outbox import deliver, last, read


def test_a_row_goes_into_the_log_and_the_table_stays_empty(nodes: Nodes) -> None:
    nodes.crm.sql("insert into accounts values (1, 'Acme', 10.50), (2, null, null)")
    answer = deliver(nodes.crm)
    assert answer["pending"] == 0, answer
    print(read(nodes.crm, "peek"), nodes.crm.sql("select * from rowferry.status"))
    assert last(read(nodes.crm)) == {"1": {"id": 1, "name": "Acme", "amount": 10.5}, "2": {"id": 2, "name": None, "amount": None}}
    assert nodes.crm.sql("select * from rowferry.outbox") == []
    assert nodes.crm.sql("select * from rowferry.events where entity_id = (select id from rowferry.entities where peer = 'kafka')") == []
