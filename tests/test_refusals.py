"""Many rows refused at once: they are found together and keep no others back."""

import pytest

from harness import Nodes, wait_until
from harness.courier import Courier
from harness.exchange import rows, sync, waiting


@pytest.mark.slow
@pytest.mark.case(44, 100)
@pytest.mark.parametrize("rule", ["hold", "drop"])
def test_thousands_of_rows_without_their_parent_keep_no_other_back(nodes: Nodes, rule: str) -> None:
    for node in nodes:
        node.sql(f"""
            create table parents (id integer primary key, name text check (name <> 'bad' or current_database() ~ 'crm'));
            create table children (id integer primary key, parent_id integer references parents);
            create table notes (id integer primary key);
            select rowferry.attach('parents'), rowferry.attach('notes');
            select rowferry.attach('children', p_orphan_rule => '{rule}')""")
    nodes.crm.sql("""
        insert into parents values (1, 'bad'), (2, 'good');
        insert into children select n, 1 from generate_series(1, 5000) n;
        insert into children select n, case when n % 10 = 0 then 1 else 2 end from generate_series(5001, 6000) n;
        insert into notes select n from generate_series(1, 100) n""")
    courier = Courier(nodes)
    crm, billing = courier.meet(nodes)
    calls = 0
    while rows(nodes.billing, "select count(*) from notes") != ["(100)"] or rows(
        nodes.billing, "select count(*) from children"
    ) != ["(900)"]:
        crm, billing = courier.call(nodes.crm, billing)["envelope"], courier.call(nodes.billing, crm)["envelope"]
        calls += 1
        assert calls < 60, waiting(nodes.crm)[:5]
    nodes.billing.sql("alter table parents drop constraint parents_name_check")
    nodes.crm.sql("select rowferry.retry(id) from rowferry.sync_events where entity = 'parents'")
    wait_until(lambda: sync(*nodes) and not waiting(nodes.crm), 30, "nothing is left to deliver")
    assert rows(nodes.billing, "select count(*) from children") == ["(6000)"]
