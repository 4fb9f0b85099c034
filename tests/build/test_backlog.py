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
        assert len(left) < 2000, "each call takes some"  # batches grow only while the machine is fast
    assert left[0] == 60000
    assert left == sorted(left, reverse=True), "each look at status shows no less progress than the one before"
    assert len(set(left)) > 3
    assert max(sizes) < 20000 * 250, "at most 20,000 rows in an envelope"
    assert max(memory) < 30 * MB, "nothing stays in the session's memory"
    sync(*nodes)
    assert waiting(nodes.crm) == []
    assert rows(nodes.billing, "select count(*), sum(id) from items") == ["(60000,1800030000)"]


def test_a_short_queue_goes_in_parts_and_a_limit_of_the_caller_holds(nodes: Nodes) -> None:
    """So the peer writes one part while this node reads the next."""
    for node in nodes:
        node.sql("create table items (id int primary key); select rowferry.attach('items')")
    nodes.crm.sql("update rowferry.links set batch_limit = 20000; insert into items select generate_series(1, 16000)")
    courier = Courier(nodes)
    crm, billing = courier.meet(nodes)  # a first part of 4,000
    second = courier.call(nodes.crm, billing)
    assert (second["pending"], second["sent"]) == (10000, 4000)  # counted up to 10,000
    billing = courier.call(nodes.billing, crm)["envelope"]
    third = courier.call(nodes.crm, billing, limit=7000)
    assert (third["retired"], third["sent"]) == (4000, 7000)
    sync(*nodes)
    assert rows(nodes.billing, "select count(*) from items") == ["(16000)"]


STATES = {
    "new": "",
    "emptied": "vacuum rowferry.events",
    "emptied after it was analyzed": "analyze rowferry.events",
}


@pytest.mark.case(78)
@pytest.mark.parametrize("state", STATES)
def test_a_plan_made_while_the_queue_was_empty_finds_events_by_their_record(nodes: Nodes, state: str) -> None:
    """By its statistics any plan would do, and a plan outlives them: of what waits, no search reads more than it needs."""
    for node in nodes:
        node.sql("create table items (id int primary key, v int); select rowferry.attach('items')")
    nodes.crm.sql("insert into items select g, 0 from generate_series(1, 10000) g")
    if state.endswith("analyzed"):
        nodes.crm.sql(STATES[state])
    sync(*nodes)
    if state != "new":
        with nodes.crm.connect() as connection:
            connection.execute("vacuum rowferry.events")
    courier = Courier(nodes)
    crm, billing = courier.meet(nodes)
    for number in range(1, 9):  # the first ones make the plans
        nodes.billing.sql(f"update items set v = v + 1 where id = {number}")
        nodes.crm.sql(f"update items set v = v + 1 where id = 9000 + {number}")
        for _ in range(3):
            answers = courier.call(nodes.crm, billing), courier.call(nodes.billing, crm)
            crm, billing = (answer["envelope"] for answer in answers)
    nodes.billing.sql("update items set v = v + 1 where id <= 300")
    billing = courier.call(nodes.billing, crm)["envelope"]
    nodes.crm.sql("update items set v = v + 1 where id > 5000; select pg_stat_reset()")
    answer = courier.call(nodes.crm, billing, limit=100)
    assert (answer["applied"], answer["sent"]) == (300, 100)
    nodes.crm.flush_statistics(courier.connections["crm"])
    [found] = nodes.crm.sql("select idx_tup_read as by_record from pg_stat_user_indexes where indexrelname = 'events_of_record'")
    assert 100 <= found["by_record"] < 1000


KINDS = {
    "deletes": ("items", "d", "null"),
    "moves": ("letters", "w", "null"),
    "moves of rows that were outside": ("pages", "w", "'{}'"),
}


@pytest.mark.case(78)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", ["new", "emptied after it was analyzed"])
def test_a_search_for_a_kind_of_event_reads_none_of_the_others(nodes: Nodes, kind: str, state: str) -> None:
    """Each call makes these searches, and most of them find nothing, however many events of another kind wait."""
    nodes.crm.sql(
        """create table items (id int primary key); create table letters (id int primary key, country text);
        create table pages (id int primary key, letter int references letters);
        select rowferry.attach('items'), rowferry.attach('letters', p_filter => 'country = ''CH''');
        select rowferry.attach('pages', p_within => 'letters')"""
    )
    if state != "new":
        nodes.crm.sql(STATES[state])
    entity, event_type, place = KINDS[kind]
    nodes.crm.sql(
        f"""insert into rowferry.events (changed_at, entity_id, event_type, record_id, place)
        select now(), e.id, '{event_type}', g, {place} from rowferry.entities e, generate_series(1, 20000) g
        where e.name = '{entity}'"""
    )
    with nodes.crm.connect() as connection:
        connection.execute("select pg_stat_reset()")
        connection.execute("set track_functions = 'all'")
        connection.execute("select rowferry._rare_things(), rowferry._weigh_places('billing'), rowferry._counts('billing', 100)")
        found = connection.execute("select rowferry._moved(array_agg(id), 100) from rowferry.entities").fetchall()
        nodes.crm.flush_statistics(connection)
    [read] = nodes.crm.sql("select idx_tup_read from pg_stat_user_indexes where indexrelname = 'events_of_kind'")
    assert len(found) == (100 if event_type == "w" else 0)
    assert read["idx_tup_read"] < 300
    # What is asked of a link is asked once, and not of each event.
    assert nodes.crm.sql("select max(calls) < 100 as few from pg_stat_user_functions") == [{"few": True}]


@pytest.mark.case(78)
def test_rows_are_deleted_by_the_index_of_a_table_that_has_grown_since_the_first_delete(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table items (id int primary key, v text); select rowferry.attach('items')")
        node.sql("alter table items set (autovacuum_enabled = off)")
    nodes.crm.sql("insert into items select g, repeat('x', 100) from generate_series(1, 50) g")
    sync(*nodes)
    nodes.billing.sql("analyze items")
    courier = Courier(nodes)
    crm, billing = courier.meet(nodes)
    for first, last in [(n, n) for n in range(1, 10)] + [(0, 0), (101, 200)]:
        if not first:
            nodes.crm.sql("insert into items select g, repeat('x', 100) from generate_series(51, 20000) g")
        nodes.crm.sql(f"delete from items where id between {first} and {last}")
        for _ in range(200):
            nodes.billing.sql("select pg_stat_reset()")
            answers = courier.call(nodes.crm, billing), courier.call(nodes.billing, crm)
            crm, billing = (answer["envelope"] for answer in answers)
            if (answers[1]["applied"] == 100) if first == 101 else not waiting(nodes.crm):
                break
        else:
            pytest.fail("not all of it has arrived, or not the deletes in one batch")
    nodes.billing.flush_statistics(courier.connections["billing"])
    [read] = nodes.billing.sql("select seq_tup_read as by_scan from pg_stat_user_tables where relname = 'items'")
    assert read["by_scan"] < 1000
    assert rows(nodes.billing, "select count(*) from items") == ["(19891)"]


@pytest.mark.case(78)
def test_rows_are_written_by_the_index_of_a_table_that_looks_empty_by_its_statistics(nodes: Nodes) -> None:
    """A rollback has left its pages, and an ANALYZE says that there is no row in them."""
    fill = "insert into items select g, repeat('x', 100) from generate_series(1, 9000) g"
    nodes.crm.sql("create table items (id int primary key, v text) with (autovacuum_enabled = off)")
    nodes.crm.sql("select rowferry.attach('items')")
    nodes.crm.sql(f"begin; {fill}; rollback; analyze items; {fill}")
    nodes.crm.sql("""
        set statement_timeout = '3s';
        select rowferry.apply_items(array[array_agg(g)::text, array_agg('y' || g)::text], false)
        from generate_series(9001, 18000) g""")
    assert rows(nodes.crm, "select count(*) from items") == ["(18000)"]


def test_the_oldest_events_of_several_tables_go_first(nodes: Nodes) -> None:
    tables = [f"t{number}" for number in range(5)]
    for table in tables:
        for node in nodes:
            node.sql(f"create table {table} (id int primary key); select rowferry.attach('{table}')")
    for number in range(400):
        nodes.crm.sql(f"insert into t{number % 5} values ({number})")
    with nodes.crm.connect() as connection:
        query = "select o_ids::text = format('{[%s,%s)}', first, first + 200) from rowferry._read_batch('billing', 200, true), x"
        [whole] = connection.execute(f"with x as (select min(id) as first from rowferry.events) {query}").fetchone()  # type: ignore[misc]
    assert whole


def test_a_limit_below_one_is_one(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table items (id int primary key); select rowferry.attach('items')")
    nodes.crm.sql("insert into items values (1), (2)")
    courier = Courier(nodes)
    hello = courier.call(nodes.crm, limit=-300)["envelope"], courier.call(nodes.billing)["envelope"]
    assert courier.call(nodes.billing, hello[0])["status"] == "moved"
    for limit in (-250, -300):
        assert courier.call(nodes.crm, hello[1], limit=limit)["sent"] == 1
