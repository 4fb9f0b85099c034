"""Users' triggers run for rows of the peer only if they are ENABLE ALWAYS, as PostgreSQL has it; nothing else in them changes."""

from __future__ import annotations

import psycopg
import pytest

from harness import Nodes
from harness.exchange import assert_equal, rows, sync, waiting
from harness.guards import NOTES, attach, guarded, seen, triggers
from harness.roles import as_role, role


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """A table on both nodes, not yet attached, and a function for triggers that notes which of them ran."""
    for node in nodes:
        node.sql(NOTES)
    return nodes


@pytest.mark.case(98, 144)
def test_a_row_keeps_the_time_at_which_its_user_changed_it(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("""
            create table film (id int primary key, title text, updated_at timestamptz not null default now());
            create function touch() returns trigger language plpgsql as
            $$ begin new.updated_at := clock_timestamp(); return new; end $$;
            create trigger touch before insert or update on film for each row execute function touch();
            select rowferry.attach('film')""")
    nodes.crm.sql("insert into film (id, title) select g, 'a' from generate_series(1, 300) g")
    sync(*nodes)
    nodes.crm.sql("update film set title = 'b' where id <= 250")
    nodes.billing.sql("update film set title = 'c' where id > 250")
    stored = rows(nodes.crm, "select * from film where id <= 250") + rows(nodes.billing, "select * from film where id > 250")
    sync(*nodes)
    assert assert_equal(nodes, "film") == sorted(stored)
    assert waiting(nodes.crm) + waiting(nodes.billing) == []


@pytest.mark.case(48, 144)
def test_an_order_takes_from_the_stock_once_and_is_logged_once(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("""
            create table product (id int primary key, stock int not null);
            create table orders (id uuid primary key default gen_random_uuid(), product int references product, quantity int);
            create table order_log (id uuid primary key default gen_random_uuid(), order_id uuid);
            create function on_order() returns trigger language plpgsql as $$
            begin
              insert into order_log (order_id) values (new.id);
              update product set stock = stock - new.quantity where id = new.product;
              return null;
            end $$;
            create trigger on_order after insert on orders for each row execute function on_order();
            select rowferry.attach(t) from unnest('{product,orders,order_log}'::regclass[]) t""")
    nodes.crm.sql("insert into product values (1, 100)")
    sync(*nodes)
    nodes.crm.sql("insert into orders (product, quantity) values (1, 10)")
    sync(*nodes)
    nodes.billing.sql("insert into orders (product, quantity) values (1, 5)")
    sync(*nodes)
    assert assert_equal(nodes, "product") == ["(1,85)"]
    assert len(assert_equal(nodes, "orders")) == len(assert_equal(nodes, "order_log")) == 2


@pytest.mark.case(144)
def test_each_node_counts_for_itself_with_an_always_trigger_and_a_column_that_does_not_travel(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("""
            create table accounts (id int primary key, name text, users_count int not null default 0);
            create table users (id int primary key, account int not null references accounts on delete cascade);
            create function count_users() returns trigger language plpgsql as $$
            begin
              if tg_op <> 'DELETE' then update accounts set users_count = users_count + 1 where id = new.account; end if;
              if tg_op <> 'INSERT' then update accounts set users_count = users_count - 1 where id = old.account; end if;
              return null;
            end $$;
            create trigger count_users after insert or delete or update of account on users
              for each row execute function count_users();
            alter table users enable always trigger count_users;
            select rowferry.attach('accounts', p_columns => '["id", "name"]'), rowferry.attach('users')""")
    nodes.crm.sql("insert into accounts values (1, 'a'), (2, 'b'); insert into users values (1, 1), (2, 1), (3, 1)")
    sync(*nodes)
    nodes.billing.sql("insert into users values (4, 1)")
    nodes.crm.sql("update users set account = 2 where id = 3; delete from users where id = 2")
    sync(*nodes)
    assert assert_equal(nodes, "accounts") == ["(1,a,2)", "(2,b,1)"]


@pytest.mark.promise("R10")
@pytest.mark.case(142)
def test_no_setting_silences_a_trigger_and_no_right_is_needed_to_write(notes: Nodes) -> None:
    attacker = role(notes.crm)
    notes.crm.sql(f"""
        create trigger audit after insert or update on notes for each row execute function see();
        select rowferry.attach('notes');
        grant select, insert, update on notes to {attacker}; grant insert on seen to {attacker}""")
    assert guarded(notes.crm) == {"audit"}
    with as_role(notes.crm, attacker) as user:
        assert user.execute("select has_schema_privilege('rowferry', 'usage')").fetchone() == (False,)
        user.execute("insert into notes values (1, 'a')")
        user.execute("set rowferry.applying = 'on'")
        user.execute("update notes set body = 'b'")
        user.execute("begin")
        user.execute("set local rowferry.applying = 'on'")
        user.execute("insert into notes values (2, 'a')")
        user.execute("commit")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            user.execute("insert into rowferry.applying values (pg_current_xact_id(), 0, 1, '{}')")
    assert seen(notes.crm) == ["(1,audit)", "(1,audit)", "(2,audit)"]


def test_whoever_asks_is_told_whether_rows_of_the_peer_are_being_written(notes: Nodes) -> None:
    """In a function of the user's too, which needs no right on the schema once it is parsed."""
    user = role(notes.billing)
    notes.billing.sql(f"""
        create function applying() returns boolean language sql stable return rowferry.is_applying();
        create function tell() returns trigger language plpgsql as
        $$ begin insert into public.seen values (new.id, public.applying()::text); return new; end $$;
        create trigger tell before insert on notes for each row execute function tell();
        alter table notes enable always trigger tell;
        grant select, insert on notes to {user}; grant insert on seen to {user}""")
    attach(notes)
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(*notes)
    with as_role(notes.billing, user) as session:
        session.execute("set rowferry.applying = 'on'")
        session.execute("insert into notes values (2, 'b')")
        assert session.execute("select applying()").fetchone() == (False,)
    assert seen(notes.billing) == ["(1,true)", "(2,false)"]
    assert notes.billing.sql("select rowferry.is_applying() as applying") == [{"applying": False}]


@pytest.mark.promise("R10")
def test_a_foreign_key_acts_and_a_trigger_of_a_table_beside_runs_while_rows_are_applied(notes: Nodes) -> None:
    """Only triggers of tables that are kept in sync are guarded."""
    for node in notes:
        node.sql("""
            create table kept (id int primary key, note int references notes on delete cascade);
            create table beside (id int primary key, note int references notes on delete cascade);
            create trigger kept after delete on kept for each row execute function see();
            create trigger beside after delete on beside for each row execute function see();
            select rowferry.attach('notes'), rowferry.attach('kept')""")
    notes.crm.sql("insert into notes values (1, 'a'); insert into kept values (1, 1)")
    sync(*notes)
    notes.billing.sql("insert into beside values (1, 1)")
    notes.crm.sql("delete from notes")
    sync(*notes)
    assert [rows(node, "select id from kept union all select id from beside") for node in notes] == [[], []]
    assert (seen(notes.crm), seen(notes.billing)) == (["(1,kept)"], ["(1,beside)"])


KINDS = {
    "before": "create trigger t before insert or update or delete on notes for each row execute function see()",
    "after": "create trigger t after insert or update or delete on notes for each row execute function see()",
    "with a condition": "create trigger t before insert on notes"
    " for each row when (new.id > 0 or new.body is null) execute function see()",
    "with a case": "create trigger t before insert on notes"
    " for each row when (case when new.id = 1 then true else new.id > 0 end) execute function see()",
    "of a column": "create trigger t before insert or update of body on notes for each row execute function see('an argument')",
    "for each statement": "create trigger t after insert on notes for each statement execute function see()",
    "with a condition for each statement": "create trigger t before insert on notes"
    " for each statement when (current_setting('no.such', true) is null) execute function see()",
    "with a transition table": "create trigger t after insert on notes"
    " referencing new table as new_rows for each statement execute function see()",
    "a constraint": "create constraint trigger t after insert on notes for each row when (new.id > 0) execute function see()",
    "a deferred constraint": "create constraint trigger t after insert on notes"
    " deferrable initially deferred for each row execute function see()",
}


@pytest.mark.promise("R10")
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.case(144, 145)
def test_a_trigger_of_any_kind_runs_for_users_and_not_for_rows_of_the_peer(notes: Nodes, kind: str) -> None:
    notes.crm.sql(kind)
    before = triggers(notes.crm)
    attach(notes)
    assert guarded(notes.crm) == {"t"}
    notes.crm.sql("insert into notes values (1, 'a')")
    assert len(seen(notes.crm)) == 1
    notes.billing.sql("insert into notes values (2, 'b')")
    sync(*notes)
    notes.billing.sql("update notes set body = 'c'")
    notes.billing.sql("delete from notes where id = 1")
    sync(*notes)
    assert len(seen(notes.crm)) == 1
    assert assert_equal(notes) == ["(2,c)"]
    notes.crm.sql("select rowferry.detach('notes')")
    assert triggers(notes.crm) == before


def test_what_a_person_writes_with_a_function_of_rowferrys_is_a_change_made_here(notes: Nodes) -> None:
    for node in notes:
        node.sql("create trigger t after update on notes for each row execute function see()")
    attach(notes)
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(*notes)
    notes.crm.sql("update notes set body = 'crm'")
    notes.billing.sql("update notes set body = 'billing'")
    sync(*notes)
    assert [len(seen(node)) for node in notes] == [1, 1]
    [conflict] = notes.billing.sql("select id, loser_row ->> 'body' as body from rowferry.conflicts")
    notes.billing.sql(f"select * from rowferry.let_loser_win({conflict['id']})")
    sync(*notes)
    assert assert_equal(notes) == [f"(1,{conflict['body']})"]
    assert [len(seen(node)) for node in notes] == [1, 2]
