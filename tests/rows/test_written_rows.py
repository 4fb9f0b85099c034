"""Received rows are written as a user would: what is there is updated, once and where it differs; what is not is inserted."""

import threading

import pytest

from harness import Node, Nodes, wait_until
from harness.courier import Courier
from harness.exchange import assert_equal, rows, sync, waiting

NOTE = """
    create table log (what text);
    create function note() returns trigger language plpgsql as $$
    begin
      insert into public.log values (concat_ws(' ', lower(tg_op), new.id, tg_argv[0]));
      return new;
    end $$"""


def both(nodes: Nodes, query: str) -> None:
    for node in nodes:
        node.sql(query)


@pytest.mark.parametrize("deferrable", ["", "deferrable"])
def test_a_row_that_is_there_needs_no_values_for_columns_of_this_side_only(nodes: Nodes, deferrable: str) -> None:
    nodes.crm.sql("create table contacts (id int primary key, name text); select rowferry.attach('contacts')")
    nodes.billing.sql(f"""
        create table contacts (id int primary key {deferrable}, name text, tenant int not null, state text not null default 'new',
          price int, check (state <> 'new' or price is not null));
        select rowferry.attach('contacts', p_columns => '["id", "name"]');
        insert into contacts values (1, 'Ann', 7, 'done')""")
    sync(*nodes)
    nodes.crm.sql("update contacts set name = 'Anne'")
    sync(*nodes)
    assert rows(nodes.billing, "select * from contacts") == ["(1,Anne,7,done,)"]
    assert waiting(nodes.crm) == []


def test_a_trigger_before_insert_does_not_fire_for_a_row_that_is_there(nodes: Nodes) -> None:
    both(
        nodes,
        f"""{NOTE}; create table seats (id int primary key, account int, name text);
        create function quota() returns trigger language plpgsql as $$
        begin
          if (select count(*) from public.seats where account = new.account) >= 2 then
            raise exception 'account % is full', new.account;
          end if;
          return new;
        end $$;
        create trigger noted before insert on seats for each row execute function note();
        create trigger quota before insert on seats for each row execute function quota();
        alter table seats enable always trigger noted; alter table seats enable always trigger quota;
        select rowferry.attach('seats')""",
    )
    nodes.crm.sql("insert into seats values (1, 1, 'a'), (2, 1, 'b')")
    sync(*nodes)
    nodes.crm.sql("""
        update seats set name = 'x' where id = 2;
        insert into seats values (3, 2, 'c');
        update seats set name = 'd' where id = 3""")
    sync(*nodes)
    assert len(assert_equal(nodes, "seats")) == 3
    assert waiting(nodes.crm) == []
    assert rows(nodes.billing, "select * from log") == ['("insert 1")', '("insert 2")', '("insert 3")']


def test_an_update_sets_what_differs_and_a_row_is_updated_once(nodes: Nodes) -> None:
    """What a trigger waits for counts as set where its column stands in the SET list, changed or not."""
    both(
        nodes,
        """create table prices (id int primary key, price int, "the note" text, code text unique, stock int);
        select rowferry.attach('prices')""",
    )
    nodes.billing.sql(
        f"""{NOTE};
        create trigger anything after update on prices for each row execute function note('any');
        create trigger price after update of price on prices for each row execute function note('price');
        create trigger note after update of "the note" on prices for each row execute function note('note');
        create trigger code after update of code on prices for each row execute function note('code');
        alter table prices enable always trigger anything; alter table prices enable always trigger price;
        alter table prices enable always trigger note; alter table prices enable always trigger code;
        select rowferry.attach('prices')"""
    )
    nodes.crm.sql("insert into prices select n, n, 'a', 'c' || n, 0 from generate_series(1, 9) n")
    sync(*nodes)
    nodes.crm.sql("""
        update prices set price = 0 where id in (1, 4);
        update prices set "the note" = 'b' where id in (2, 4);
        update prices set code = 'd' || id where id in (3, 4);
        update prices set stock = 1 where id in (4, 5);
        update prices set price = price where id = 7""")
    sync(*nodes)
    assert len(assert_equal(nodes, "prices")) == 9
    assert rows(nodes.billing, "select * from log") == sorted(
        f'("update {what}")'
        for what in ("1 any", "1 price", "2 any", "2 note", "3 any", "3 code", "4 any", "4 price", "4 note", "4 code", "5 any")
    )


def test_a_trigger_that_waits_for_a_column_is_noticed_when_it_comes_later(nodes: Nodes) -> None:
    both(nodes, f"{NOTE}; create table prices (id int primary key, price int, note text); select rowferry.attach('prices')")
    nodes.billing.sql("""
        create trigger price after update of price on prices for each row execute function note('price');
        alter table prices enable always trigger price""")
    [found] = nodes.billing.sql("select fix from rowferry.check() where object like '%apply_prices%'")
    nodes.billing.sql(found["fix"])
    nodes.crm.sql("insert into prices values (1, 1, 'a')")
    sync(*nodes)
    nodes.crm.sql("update prices set note = 'b'")
    sync(*nodes)
    assert rows(nodes.billing, "select * from log") == []
    assert nodes.billing.sql("select * from rowferry.check() where object like '%apply_prices%'") == []


def test_a_row_of_a_table_that_refers_to_itself_may_come_to_need_one_that_is_new(nodes: Nodes) -> None:
    both(
        nodes,
        """
        create table staff (id int primary key, boss int references staff, code int unique);
        select rowferry.attach('staff')""",
    )
    nodes.crm.sql("insert into staff values (1, null, 1)")
    sync(*nodes)
    nodes.crm.sql("update staff set code = 2; insert into staff values (2, 1, 1); update staff set boss = 2 where id = 1")
    courier = Courier(nodes)
    crm, _ = courier.meet(nodes)
    assert courier.call(nodes.billing, crm)["refused"] == 0
    assert len(assert_equal(nodes, "staff")) == 2


@pytest.mark.case(42)
@pytest.mark.parametrize("changed", ["", "update accounts set name = 'crm, changed'"], ids=["new rows", "rows that may be there"])
def test_a_user_who_is_faster_with_the_same_key_makes_a_conflict_and_no_refusal(nodes: Nodes, changed: str) -> None:
    """The user's row is not committed yet when ours is looked for, and is there when it is inserted."""
    both(nodes, "create table accounts (id int primary key, name text); select rowferry.attach('accounts')")
    nodes.crm.sql(f"insert into accounts values (7, 'crm'), (8, 'other'); {changed}")
    courier = Courier(nodes)
    crm, _ = courier.meet(nodes)
    with nodes.billing.connect(autocommit=False) as user:
        user.execute("insert into accounts values (7, 'user')")
        answers: list[dict[str, object]] = []
        thread = threading.Thread(target=lambda: answers.append(courier.call(nodes.billing, crm)))
        thread.start()
        wait_until(lambda: waits_for_a_transaction(nodes.billing), 20, "the applier waits for the user's row")
        user.commit()
        thread.join(20)
    assert [(answer["refused"], answer["status"]) for answer in answers] == [(0, "moved")]
    sync(*nodes)
    assert waiting(nodes.crm) == waiting(nodes.billing) == []
    assert len(assert_equal(nodes, "accounts")) == 2
    assert rows(nodes.billing, "select entity, record_id from rowferry.conflicts") == ["(accounts,7)"]


def waits_for_a_transaction(node: Node) -> bool:
    query = "select from pg_locks where not granted and locktype = 'transactionid'"
    return bool(node.sql(query))


def test_rows_are_found_over_the_index_of_the_key_however_fast_the_table_grew(nodes: Nodes) -> None:
    """A plan that is made while the table is small, and kept, would read all of it for each call."""
    both(
        nodes,
        """
            create table notes (id int primary key, note text, code int unique) with (autovacuum_enabled = off);
            select rowferry.attach('notes')""",
    )
    nodes.crm.sql("insert into notes select n, 'a', n from generate_series(1, 20) n")
    sync(*nodes)
    for node in nodes:
        node.sql("analyze notes")
    courier = Courier(nodes)
    crm, billing = courier.meet(nodes)

    def change(query: str) -> None:
        nonlocal crm, billing
        nodes.crm.sql(query)
        while waiting(nodes.crm):
            crm, billing = courier.call(nodes.crm, billing)["envelope"], courier.call(nodes.billing, crm)["envelope"]

    for number in range(8):
        change(f"""
            update notes set note = 'b{number}' where id < 4;
            insert into notes values ({100 + number}, 'x', null);
            update notes set note = 'y' where id >= 100""")
    for number in range(2):
        first = 1001 + number * 10000
        change(f"insert into notes select n, repeat('long ', 20), n from generate_series({first}, {first} + 9999) n")
        nodes.billing.flush_statistics(courier.connections["billing"])
        before = nodes.billing.sql("select seq_scan from pg_stat_user_tables where relname = 'notes'")
        change(f"""
            update notes set note = 'c{number}' where id < 4;
            update notes set code = -id where id < 3 and {number} = 0;
            update notes set code = null where id < 3 and {number} = 1""")
        nodes.billing.flush_statistics(courier.connections["billing"])
        assert nodes.billing.sql("select seq_scan from pg_stat_user_tables where relname = 'notes'") == before
    assert_equal(nodes, "notes")
