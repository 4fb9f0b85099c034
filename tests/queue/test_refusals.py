"""Many rows refused at once: they are found together and keep no others back."""

from collections.abc import Callable

import pytest

from harness import Nodes, wait_until
from harness.clock import stop_clocks
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
        assert calls < 240, waiting(nodes.crm)[:5]
    nodes.billing.sql("alter table parents drop constraint parents_name_check")
    nodes.crm.sql("select rowferry.retry(id) from rowferry.sync_events where entity = 'parents'")
    wait_until(lambda: sync(*nodes) and not waiting(nodes.crm), 30, "nothing is left to deliver")
    assert rows(nodes.billing, "select count(*) from children") == ["(6000)"]


def exchanged(nodes: Nodes, done: Callable[[], bool], most: int) -> None:
    """Calls in both directions until it is done, which may take so many at most: a busy machine makes small batches."""
    courier = Courier(nodes)
    crm, billing = courier.meet(nodes)
    for _ in range(most):
        if done():
            return
        crm, billing = courier.call(nodes.crm, billing)["envelope"], courier.call(nodes.billing, crm)["envelope"]
    assert done(), waiting(nodes.crm)[:5]


def retried(nodes: Nodes) -> bool:
    """Everything held is tried again at once; whether nothing is left to deliver."""
    nodes.crm.sql("select rowferry.retry(id) from rowferry.sync_events where attempts > 0")
    sync(*nodes)
    return waiting(nodes.crm) == waiting(nodes.billing) == []


REFUSE = "create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$;"


@pytest.mark.slow
@pytest.mark.case(44, 100)
def test_refused_deletes_are_found_among_thousands(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table notes (id integer primary key); select rowferry.attach('notes')")
    nodes.crm.sql("insert into notes select n from generate_series(1, 3000) n; select rowferry.set_breaker('notes', null)")
    sync(*nodes)
    nodes.billing.sql(
        f"{REFUSE} create trigger refuse before delete on notes"
        " for each row when (mod(old.id, 19) = 0) execute function refuse(); alter table notes enable always trigger refuse"
    )
    nodes.crm.sql("delete from notes")
    exchanged(nodes, lambda: rows(nodes.billing, "select count(*) from notes") == ["(157)"], 120)
    nodes.billing.sql("drop trigger refuse on notes")
    wait_until(lambda: retried(nodes), 30, "nothing is left to deliver")
    assert rows(nodes.billing, "select * from notes") == []


@pytest.mark.slow
@pytest.mark.case(44, 100)
def test_rows_that_a_deferred_trigger_refuses_are_found_among_thousands(nodes: Nodes) -> None:
    """It says so after all rows were written, not which."""
    for node in nodes:
        node.sql("create table notes (id integer primary key); select rowferry.attach('notes')")
    nodes.billing.sql(
        f"{REFUSE} create constraint trigger refuse after insert on notes deferrable initially deferred"
        " for each row when (mod(new.id, 300) = 0) execute function refuse(); alter table notes enable always trigger refuse"
    )
    nodes.crm.sql("insert into notes select n from generate_series(1, 3000) n")
    exchanged(nodes, lambda: rows(nodes.billing, "select count(*) from notes") == ["(2990)"], 120)
    assert waiting(nodes.billing) == []


@pytest.mark.promise("R1")
@pytest.mark.slow
@pytest.mark.case(44, 100)
def test_conflicts_are_decided_among_rows_that_are_refused(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table notes (id integer primary key, body text); select rowferry.attach('notes')")
    nodes.crm.sql("insert into notes select n, 'old' from generate_series(1, 2000) n")
    sync(*nodes)
    nodes.billing.sql("alter table notes add constraint no_bad check (body <> 'bad')")
    nodes.billing.sql("update notes set body = 'early' where mod(id, 3) = 0")
    nodes.crm.sql("update notes set body = case when mod(id, 19) = 0 then 'bad' else 'crm' end")
    nodes.billing.sql("update notes set body = 'late' where mod(id, 7) = 0")
    expected = nodes.crm.sql("select count(*) as n from notes where body = 'crm' and mod(id, 7) <> 0")[0]["n"]
    exchanged(nodes, lambda: rows(nodes.billing, "select count(*) from notes where body = 'crm'") == [f"({expected})"], 160)
    nodes.billing.sql("alter table notes drop constraint no_bad")
    wait_until(lambda: retried(nodes), 30, "nothing is left to deliver")
    decided = "select id, case when mod(id, 7) = 0 then 'late' when mod(id, 19) = 0 then 'bad' else 'crm' end from notes"
    conflicts = "select record_id, winner, winner_row, loser_row from rowferry.conflicts"
    for node in nodes:
        assert rows(node, "select id, body from notes") == rows(nodes.crm, decided)
    assert rows(nodes.crm, conflicts) == rows(nodes.billing, conflicts)
    lost = nodes.crm.sql("select count(distinct record_id) as n from rowferry.conflicts")[0]["n"]
    assert lost == nodes.crm.sql("select count(*) as n from notes where mod(id, 3) = 0 or mod(id, 7) = 0")[0]["n"]


@pytest.mark.slow
@pytest.mark.case(44, 100)
def test_a_tree_of_rows_arrives_without_those_that_are_refused(nodes: Nodes) -> None:
    """Written in no order: one by one, a child that comes before its parent is refused."""
    for node in nodes:
        node.sql(
            "create table tree (id integer primary key, parent_id integer references tree, body text);"
            "select rowferry.attach('tree')"
        )
    nodes.billing.sql("alter table tree add constraint no_bad check (body <> 'bad')")
    nodes.crm.sql(
        "insert into tree select n, nullif(n / 2, 0), case when n > 100 and mod(n, 40) = 0 then 'bad' else 'good' end"
        " from generate_series(1, 200) n order by mod(n * 77, 211)"
    )
    exchanged(nodes, lambda: rows(nodes.billing, "select count(*) from tree") == ["(197)"], 240)
    nodes.billing.sql("alter table tree drop constraint no_bad")
    wait_until(lambda: retried(nodes), 30, "nothing is left to deliver")
    assert rows(nodes.billing, "select * from tree") == rows(nodes.crm, "select * from tree")


@pytest.mark.slow
@pytest.mark.case(44, 45)
@pytest.mark.parametrize("deferrable", ["", "deferrable initially deferred"])
def test_a_tree_that_was_held_whole_arrives_once_its_root_may_come(nodes: Nodes, deferrable: str) -> None:
    """Nearly sixty levels: each row waits for the one above, and with the root all of them go, each with or after that one."""
    for node in nodes:
        node.sql(f"""
            create table staff (id integer primary key, boss integer references staff {deferrable},
              name text check (name <> 'bad' or current_database() ~ 'crm'));
            select rowferry.attach('staff')""")
    nodes.crm.sql("""
        insert into staff select n, case when n > 1 then greatest(1, n - 1 - n % 7) end, case n when 1 then 'bad' else 'good' end
        from generate_series(1, 400) n""")
    nodes.crm.sql("update rowferry.links set batch_limit = 40")
    stop_clocks(nodes)  # or a refusal that is on its way when retry() is called begins a new back-off
    courier = Courier(nodes)
    crm, billing = courier.meet(nodes)
    held = "select count(*) as n from rowferry.held_events where attempts > 0 or parent_record_id is not null"
    for _ in range(600):
        crm, billing = courier.call(nodes.crm, billing)["envelope"], courier.call(nodes.billing, crm)["envelope"]
        if nodes.crm.sql(held) == [{"n": 400}]:
            break
    assert nodes.crm.sql(held) == [{"n": 400}]
    nodes.billing.sql("alter table staff drop constraint staff_name_check")
    nodes.crm.sql("select * from rowferry.retry('staff')")
    nodes.crm.sql("update rowferry.links set batch_limit = 40")
    left_behind = """
        select b.number, s.id, s.boss from rowferry.built_batches b
        join rowferry.events e on e.id <@ b.ids
        join staff s on s.id::text = e.record_id
        join rowferry.events w on w.record_id = s.boss::text
        where not exists (select from rowferry.built_batches o where o.number <= b.number and w.id <@ o.ids)"""
    for _ in range(600):
        crm = courier.call(nodes.crm, billing)["envelope"]
        assert nodes.crm.sql(left_behind) == []
        billing = courier.call(nodes.billing, crm)["envelope"]
        if not waiting(nodes.crm):
            break
    assert rows(nodes.billing, "select * from staff") == rows(nodes.crm, "select * from staff")
    assert nodes.crm.sql("select count(*) as n from rowferry.held_events") == [{"n": 0}]
