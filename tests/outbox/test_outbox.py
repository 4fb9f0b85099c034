"""rowferry.outbox: what is written there for Debezium, and that nothing is lost or doubled on the way into the log."""

import psycopg
import pytest

from harness import Nodes
from harness.exchange import assert_equal, refused_with, rows, sync
from harness.outbox import add_outbox, deliver, last, read

WAITING = "select record_id from rowferry.sync_events where entity = 'accounts@kafka'"


@pytest.mark.promise("R15")
def test_a_row_goes_into_the_log_and_the_table_stays_empty(nodes: Nodes) -> None:
    nodes.crm.sql("insert into accounts values (1, 'Acme', 10.50), (2, null, null)")
    assert deliver(nodes.crm)["pending"] == 0
    messages = read(nodes.crm)
    assert last(messages) == {"1": {"id": 1, "name": "Acme", "amount": 10.5}, "2": {"id": 2, "name": None, "amount": None}}
    assert {(message.aggregatetype, message.type) for message in messages} == {("accounts", "upsert")}
    assert nodes.crm.sql("select * from rowferry.outbox") == []
    assert rows(nodes.crm, WAITING) == []
    [logged] = nodes.crm.sql("select direction, records, events, refused from rowferry.batches where peer = 'kafka'")
    assert logged == {"direction": "sent", "records": 2, "events": 2, "refused": 0}


def test_the_present_row_is_sent_once_however_often_it_changed(nodes: Nodes) -> None:
    nodes.crm.sql("insert into accounts values (1, 'a', 1)")
    for amount in range(2, 12):
        nodes.crm.sql(f"update accounts set amount = {amount}")
    deliver(nodes.crm)
    assert [message.payload["amount"] for message in read(nodes.crm)] == [11]


def test_a_delete_is_a_tombstone_and_a_new_key_is_a_delete_and_a_row(nodes: Nodes) -> None:
    nodes.crm.sql("insert into accounts values (1, 'a', 1), (2, 'b', 2)")
    deliver(nodes.crm)
    read(nodes.crm)
    nodes.crm.sql("delete from accounts where id = 1; update accounts set id = 3 where id = 2")
    deliver(nodes.crm)
    messages = read(nodes.crm)
    assert last(messages) == {"1": None, "2": None, "3": {"id": 3, "name": "b", "amount": 2}}
    assert {message.aggregateid: message.type for message in messages} == {"1": "delete", "2": "delete", "3": "upsert"}


@pytest.mark.promise("R15")
def test_a_call_that_is_rolled_back_leaves_the_events_and_nothing_in_the_log(nodes: Nodes) -> None:
    nodes.crm.sql("insert into accounts values (1, 'a', 1)")
    with nodes.crm.connect(autocommit=False) as connection:
        connection.execute("select * from rowferry.process_batch('kafka', '5-x')")
        assert connection.execute(WAITING).fetchall() == []
        connection.rollback()
    assert (read(nodes.crm), rows(nodes.crm, WAITING)) == ([], ["(1)"])
    deliver(nodes.crm)
    deliver(nodes.crm)
    assert [message.aggregateid for message in read(nodes.crm)] == ["1"]


@pytest.mark.promise("R15")
def test_changes_of_the_other_node_go_into_the_outbox_too(nodes: Nodes) -> None:
    nodes.billing.sql("insert into accounts values (1, 'b', 1)")
    sync(*nodes)
    deliver(nodes.crm)
    assert last(read(nodes.crm)) == {"1": {"id": 1, "name": "b", "amount": 1}}
    nodes.billing.sql("delete from accounts")
    sync(*nodes)
    deliver(nodes.crm)
    assert last(read(nodes.crm)) == {"1": None}


@pytest.mark.promise("R15")
def test_only_the_row_that_won_a_conflict_is_sent(nodes: Nodes) -> None:
    nodes.crm.sql("insert into accounts values (1, 'old', 1)")
    sync(*nodes)
    deliver(nodes.crm)
    read(nodes.crm)
    nodes.crm.sql("update accounts set name = 'given up'")
    nodes.billing.sql("update accounts set name = 'later'")
    sync(*nodes)
    [conflict] = nodes.crm.sql("select winner, loser_row ->> 'name' as given_up from rowferry.conflicts")
    assert conflict == {"winner": "billing", "given_up": "given up"}
    deliver(nodes.crm)
    assert [message.payload["name"] for message in read(nodes.crm)] == ["later"]
    assert_equal(nodes, "accounts")


def test_the_time_is_that_of_the_change(nodes: Nodes) -> None:
    nodes.billing.sql("insert into accounts values (1, 'b', 1)")
    [at] = nodes.billing.sql("select (changed_at at time zone 'UTC')::text as at from rowferry.sync_events")
    sync(*nodes)
    deliver(nodes.crm)
    assert [message.changed_at for message in read(nodes.crm)] == [at["at"]]


def test_backfill_sends_the_rows_that_were_there(bare: Nodes) -> None:
    bare.crm.sql("create table accounts (id int primary key); insert into accounts select generate_series(1, 3000)")
    add_outbox(bare.crm)
    bare.crm.sql("select rowferry.attach('accounts', p_peer => 'kafka'); select * from rowferry.backfill('accounts@kafka')")
    assert deliver(bare.crm)["backfilling"] == 0
    assert sorted(last(read(bare.crm)), key=int) == [str(key) for key in range(1, 3001)]
    assert bare.crm.sql("select state from rowferry.status where peer = 'kafka'") == [{"state": "idle"}]


def test_filter_columns_and_names_are_those_of_the_entity(bare: Nodes) -> None:
    bare.crm.sql('create table "Kunden" (nr int primary key, "Voller Name" text, land text, geheim text)')
    add_outbox(bare.crm)
    bare.crm.sql("""
        select rowferry.attach('"Kunden"', 'customers', p_peer => 'kafka', p_filter => 'land = ''CH''',
          p_columns => '{"id": "nr", "full name": "Voller Name"}');
        insert into "Kunden" values (1, 'Ann', 'CH', 'x'), (2, 'Bob', 'DE', 'y')""")
    deliver(bare.crm)
    messages = read(bare.crm)
    assert {message.aggregatetype for message in messages} == {"customers"}
    assert last(messages) == {"1": {"id": 1, "full name": "Ann"}}
    bare.crm.sql("""update "Kunden" set land = case nr when 1 then 'DE' else 'CH' end""")
    deliver(bare.crm)
    assert last(read(bare.crm)) == {"1": None, "2": {"id": 2, "full name": "Bob"}}


def test_rows_that_follow_a_parent_come_and_go_with_it(bare: Nodes) -> None:
    bare.crm.sql("""
        create table orders (id int primary key, country text);
        create table lines (id int primary key, order_id int references orders);
        create index on lines (order_id)""")
    add_outbox(bare.crm)
    bare.crm.sql("""
        select rowferry.attach('orders', p_peer => 'kafka', p_filter => 'country = ''CH''');
        select rowferry.attach('lines', p_peer => 'kafka', p_within => 'orders@kafka');
        insert into orders values (1, 'CH'), (2, 'DE');
        insert into lines values (10, 1), (20, 2)""")
    deliver(bare.crm)
    assert last(read(bare.crm)).keys() == {"1", "10"}
    bare.crm.sql("update orders set country = case id when 1 then 'DE' else 'CH' end")
    deliver(bare.crm)
    assert {key: bool(row) for key, row in last(read(bare.crm)).items()} == {"1": False, "10": False, "2": True, "20": True}


def test_a_view_says_what_travels(bare: Nodes) -> None:
    bare.crm.sql("""
        create table people (id int primary key, first_name text, last_name text);
        create view people_out as select id, first_name || ' ' || last_name as full_name from people""")
    add_outbox(bare.crm)
    bare.crm.sql("""
        select rowferry.attach('people', p_peer => 'kafka', p_outbound => 'public.people_out');
        insert into people values (1, 'Ann', 'Lee')""")
    deliver(bare.crm)
    assert last(read(bare.crm)) == {"1": {"id": 1, "full_name": "Ann Lee"}}


def test_each_type_has_its_form_in_json(bare: Nodes) -> None:
    bare.crm.sql("""
        create type mood as enum ('good', 'bad'); create domain amount as numeric(9, 3); create type pair as (a int, b text);
        create table kinds (i bigint, n amount, b boolean, f float8, t timestamptz, d date, j json, k jsonb, u uuid, a int[],
          e text[], y bytea, m mood, p pair, s mood[], r int4range, c char(3), primary key (i, t));
        insert into kinds values (9007199254740993, 1.250, true, 'NaN', '2026-01-31 10:00+02', '2026-01-31', '{"a": [1]}',
          '{"b": null}', '00000000-0000-0000-0000-000000000001', '{1,null}', '{"x y",z}', '\\x00ff',
          'bad', '(1,x)', '{good}', '[1,3)', 'ab')""")
    add_outbox(bare.crm)
    bare.crm.sql("select rowferry.attach('kinds', p_peer => 'kafka'); select * from rowferry.backfill('kinds@kafka')")
    deliver(bare.crm)
    [message] = read(bare.crm)
    assert message.aggregateid == '{9007199254740993,"2026-01-31 08:00:00+00"}'
    assert message.payload == {
        "i": 9007199254740993,
        "n": 1.25,
        "b": True,
        "f": "NaN",
        "t": "2026-01-31T08:00:00+00:00",
        "d": "2026-01-31",
        "j": {"a": [1]},
        "k": {"b": None},
        "u": "00000000-0000-0000-0000-000000000001",
        "a": [1, None],
        "e": ["x y", "z"],
        "y": "\\x00ff",
        "m": "bad",
        "p": "(1,x)",
        "s": "{good}",
        "r": "[1,3)",
        "c": "ab ",
    }


def test_a_row_that_has_no_form_in_jsonb_is_held_and_all_others_go(bare: Nodes) -> None:
    bare.crm.sql("create table documents (id int primary key, body json)")
    add_outbox(bare.crm)
    bare.crm.sql("""
        select rowferry.attach('documents', p_peer => 'kafka');
        insert into documents
        select i, case when i in (3, 700) then '"\\u0000"' else '"x"' end::json from generate_series(1, 1000) i;
        insert into documents values (0, '1'); delete from documents where id = 0""")
    deliver(bare.crm)
    found = last(read(bare.crm))
    assert sorted(map(int, found)) == [key for key in range(0, 1001) if key not in (3, 700)]
    held = bare.crm.sql("select record_id, sqlstate, hint from rowferry.sync_events where attempts > 0 order by id")
    assert [(row["record_id"], row["sqlstate"]) for row in held] == [("3", "22P05"), ("700", "22P05")]
    [status] = bare.crm.sql("select state, reason from rowferry.status where peer = 'kafka'")
    assert status["state"] == "held"
    bare.crm.sql("""
        update documents set body = '2' where id = 3;
        select rowferry.skip(min(id), 'broken') from rowferry.sync_events where record_id = '700'""")
    deliver(bare.crm)
    assert last(read(bare.crm)) == {"3": {"id": 3, "body": 2}}
    assert bare.crm.sql("select state from rowferry.status where peer = 'kafka'") == [{"state": "idle"}]


def test_two_batches_leave_in_the_order_in_which_they_were_written(nodes: Nodes) -> None:
    nodes.crm.sql("insert into accounts select i, 'a', 1 from generate_series(1, 50) i")
    deliver(nodes.crm, limit=7)
    nodes.crm.sql("update accounts set amount = 2")
    deliver(nodes.crm, limit=7)
    messages = read(nodes.crm)
    assert len({message.id for message in messages}) == len(messages) == 100
    assert last(messages) == {str(key): {"id": key, "name": "a", "amount": 2} for key in range(1, 51)}


def test_an_outbox_takes_no_envelope(nodes: Nodes) -> None:
    nodes.crm.sql("insert into accounts values (1, 'a', 1)")
    said = refused_with("RF004", nodes.crm, "select * from rowferry.process_batch('kafka', '9-x', 'rowferry 1')")
    assert "an outbox sends no envelopes" in said
    with nodes.crm.connect() as connection, pytest.raises(psycopg.Error):
        connection.execute("set role rowferry_worker")
        connection.execute("insert into rowferry.outbox select")
