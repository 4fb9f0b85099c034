"""A schema with what applications have in theirs (tests/data/zoo.sql), loaded on one side, then written on both by random users.

Its triggers, counters, lists, cycles, filters and three owners are there on both nodes; at rest both have the same rows, and
each thing has happened once.
"""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness import REPO, Node, Nodes
from harness.exchange import rows
from harness.worker import explained, wait_for_rest, worker

ZOO = (REPO / "tests" / "data" / "zoo.sql").read_text(encoding="utf-8")
SCHEMA, _ = ZOO.split("\n-- Rows.\n")
OWNERS = ("zoo_shop", "zoo_staff", "zoo_books")
CLIENTS = 2  # on each side
TABLES = """
    select c.oid::regclass::text as name from pg_class c
    where c.relnamespace::regnamespace::text in ('shop', 'staff', 'books') and c.relkind in ('r', 'p') and not c.relispartition
      and c.oid not in ('books.paper'::regclass, 'books.receipt'::regclass)
    order by 1"""
# What is attached otherwise than by its name alone. Each node counts the orders of a customer for itself, and one has a column
# of a product that the other lacks.
PRODUCT = ["id", "category", "sku", "name", "price", "stock", "tags", "search", "deleted_at", "updated_at"]
RULES = {
    "shop.customer": """, p_columns => '["id", "party", "country", "email", "updated_at"]'""",
    "shop.product": f", p_columns => '{json.dumps(PRODUCT)}'",
    "shop.letter": ", p_filter => 'country = ''CH'''",
    "shop.page": ", p_within => 'letter'",
}
# Which rows of these are kept in sync.
IN_SYNC = {
    "shop.letter": " where country = 'CH'",
    "shop.page": " where letter in (select id from shop.letter where country = 'CH')",
}
# What only billing has: a column that its own trigger fills, for rows of the peer too.
OF_BILLING = """
    set role zoo_shop;
    alter table shop.product add warehouse text not null;
    create function shop.choose_warehouse() returns trigger language plpgsql as $$
    begin new.warehouse := coalesce(new.warehouse, 'north'); return new; end $$;
    create trigger choose_warehouse before insert on shop.product for each row execute function shop.choose_warehouse();
    alter table shop.product enable always trigger choose_warehouse"""


def make(node: Node, schema: str) -> None:
    """The zoo's schema on a node, with its owners, and a plain role that may attach its tables."""
    for owner in (*OWNERS, "zoo_dba"):
        node.sql(f"do $$ begin if to_regrole('{owner}') is null then create role {owner}; end if; end $$")
    node.sql(f'grant rowferry_owner, {", ".join(OWNERS)} to zoo_dba; grant create on database "{node.database}" to zoo_dba')
    node.sql(schema)
    node.sql("set role zoo_shop; alter table shop.orders enable always trigger count_orders")


def build(nodes: Nodes, dice: random.Random) -> list[str]:
    """The schema on both, its rows on crm; everything attached by a plain role; the tables."""
    make(nodes.crm, ZOO)
    make(nodes.billing, SCHEMA + OF_BILLING)
    names = [row["name"] for row in nodes.crm.sql(TABLES)]
    for node in nodes:
        # What follows another table comes after it.
        for name in sorted(dice.sample(names, len(names)), key=lambda name: "p_within" in RULES.get(name, "")):
            node.sql(f"set role zoo_dba; select rowferry.attach('{name}'{RULES.get(name, '')})")
        node.sql("select rowferry.set_breaker(e.name, null) from rowferry.entities e")
        with pytest.raises(psycopg.Error, match="inherit"):
            node.sql("set role zoo_dba; select rowferry.attach('books.paper')")
    return names


class Client(threading.Thread):
    """One user of one node: random transactions, on rows of its own where others would be in its way."""

    def __init__(self, node: Node, number: int, seed: str, transactions: int) -> None:
        super().__init__(daemon=True)
        self.node, self.number, self.transactions = node, number, transactions
        self.dice = random.Random(f"{seed} {number}")
        self.failures: list[str] = []
        self.next = 1_000_000 * (number + 1)

    def run(self) -> None:
        with psycopg.connect(self.node.conninfo) as self.connection:
            for _ in range(self.transactions):
                try:
                    for _ in range(self.dice.randint(1, 3)):
                        self.dice.choice(ACTS)(self)
                except psycopg.Error as error:
                    self.failures.append(f"{self.node.name}: {error.sqlstate} {error}")
                    self.connection.rollback()
                else:
                    self.connection.rollback() if self.dice.random() < 0.1 else self.connection.commit()

    def sql(self, query: str, *params: Any) -> None:
        self.connection.execute(query, params)  # type: ignore[call-overload]

    def new(self) -> int:
        self.next += 1
        return self.next

    def customer(self) -> int:
        """One of those that only this client changes."""
        return 1 + self.dice.randrange(25) * 4 + self.number

    # What a user does.

    def order(self) -> None:
        key = f"{self.number} {self.new()}"
        self.sql(
            "insert into shop.orders (id, customer) select md5(%s)::uuid, md5('customer' || %s)::uuid",
            key,
            1 + self.dice.randrange(100),
        )
        self.sql(
            "insert into shop.order_line select md5(%s)::uuid, n, 1 + (n * %s) %% 400, 1 from generate_series(1, 3) n",
            key,
            self.dice.randrange(400),
        )
        if self.dice.random() < 0.5:
            self.sql("update shop.orders set state = 'paid' where id = md5(%s)::uuid", key)

    def change_products(self) -> None:
        self.sql(
            "update shop.product set name = name || %s, tags = tags || %s::text where id = %s",
            self.dice.choice("abc"),
            self.dice.choice("xyz"),
            1 + self.dice.randrange(400),
        )

    def new_product(self) -> None:
        number = self.new()
        self.sql("insert into shop.product (id, sku, name, price) values (%s, %s, 'new', 2.5)", number, f"new-{number}")

    def delete_product(self) -> None:
        self.sql("delete from shop.product where id = %s", 1 + self.dice.randrange(100) * 4 + self.number)

    def change_customer(self) -> None:
        self.sql("update shop.customer set email = email || 'x' where id = md5('customer' || %s)::uuid", self.customer())

    def wish_first(self) -> None:
        """A new item at the top of a list: all others move down by one, the last one first."""
        customer = 1 + self.dice.randrange(5) * 4 + self.number
        self.sql(
            f"""do $$ declare v record; begin
            for v in select id from shop.wish where customer = md5('customer' || {customer})::uuid order by place desc loop
              update shop.wish set place = place + 1 where id = v.id;
            end loop;
            insert into shop.wish (id, customer, place, text)
            values ({self.new()}, md5('customer' || {customer})::uuid, 1, 'first'); end $$"""
        )

    def swap_wishes(self) -> None:
        customer = 1 + self.dice.randrange(5) * 4 + self.number
        self.sql(
            """with mine as (select id, place from shop.wish where customer = md5('customer' || %s)::uuid)
            update shop.wish w set place = (select max(place) + 1 from mine)
            where w.id = (select id from mine order by place limit 1)""",
            customer,
        )

    def open_a_day(self) -> None:
        day = self.new()
        self.sql(
            "insert into shop.opening (id, during) select %s, tstzrange(t, t + interval '8 hours')"
            " from (select timestamptz '2030-01-01Z' + %s * interval '1 hour') d (t)",
            day,
            day * 10,
        )

    def move_a_day(self) -> None:
        self.sql(
            "update shop.opening set during = tstzrange(lower(during), upper(during) + interval '1 minute')"
            " where id %% 4 = %s and id < 100 and id = %s",
            self.number,
            self.dice.randrange(100),
        )

    def found_a_department(self) -> None:
        number = self.new()
        self.sql(
            "with d as (insert into staff.department values (%s, 'new', %s))"
            " insert into staff.employee (id, department, name)"
            " select n, %s, 'of ' || n from generate_series(%s::int, %s::int + 3) n",
            number,
            number,
            number,
            number,
            number,
        )
        self.next += 4

    def close_a_department(self) -> None:
        self.sql(
            """with d as (select max(id) as id from staff.department where id between %s and %s),
              e as (delete from staff.employee where department in (select id from d))
            delete from staff.department where id in (select id from d)""",
            1_000_000 * (self.number + 1),
            self.next,
        )

    def promote(self) -> None:
        self.sql(
            "update staff.employee set salary = coalesce(salary, 0) + 1, above = %s where id = %s",
            100 + self.dice.randrange(500),
            100 + self.dice.randrange(500),
        )

    def set_something(self) -> None:
        self.sql("update shop.setting set value = to_jsonb(%s::int) where kind = 'colour'", self.dice.randrange(1000))

    def book(self) -> None:
        self.sql("insert into books.ledger values (%s, '2026-03-01', 1.5, ' x ')", self.new())
        self.sql("update books.ledger set text = %s where id = %s", self.dice.choice(["", " y "]), 1 + self.dice.randrange(500))

    def account(self) -> None:
        name = f"books.account_{self.dice.randint(1, 31):03}"
        self.sql(f"update {name} set name = name || 'z' where id = %s", 1 + self.dice.randrange(5))
        self.sql(f"insert into {name} values (%s, 'new', null)", self.new())

    def letter(self) -> None:
        """A letter and its pages go to another country and so leave the filter, or enter it."""
        number, country = 1 + self.dice.randrange(22) * 4 + self.number, self.dice.choice(["CH", "FR"])
        if self.node.name == "crm":
            self.sql("update shop.letter set country = %s where id = %s", country, number)
            self.sql("update shop.page set text = text || '.' where letter = %s", number)

    def party(self) -> None:
        number = self.new()
        self.sql("insert into shop.party (id, name) values (md5(%s)::uuid, 'new')", str(number))
        self.sql("insert into shop.person values (md5(%s)::uuid, '2000-01-01')", str(number))
        if self.dice.random() < 0.5:
            self.sql("delete from shop.party where id = md5(%s)::uuid", str(number))


ACTS = [
    Client.order, Client.order, Client.change_products, Client.new_product, Client.delete_product, Client.change_customer,
    Client.wish_first, Client.swap_wishes, Client.open_a_day, Client.move_a_day, Client.found_a_department,
    Client.close_a_department, Client.promote, Client.set_something, Client.book, Client.account, Client.letter, Client.party,
]  # fmt: skip


def let_work(clients: Sequence[Client]) -> None:
    """All clients at once; at the end they have finished, and not one statement of theirs has failed."""
    for client in clients:
        client.start()
    for client in clients:
        client.join(300)
    assert not any(client.is_alive() for client in clients), "the users did not finish"
    assert [failure for client in clients for failure in client.failures] == []


def in_sync(name: str) -> str:
    """A query of what all nodes have alike of a table."""
    columns = {"shop.customer": "id, party, country, email, updated_at", "shop.product": ", ".join([*PRODUCT, "gross"])}
    return f"select {columns.get(name, '*')} from {name}{IN_SYNC.get(name, '')}"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_zoo_converges_and_each_thing_happens_once(nodes: Nodes, tmp_path: Path) -> None:
    seed = os.environ.get("ROWFERRY_SEED") or str(random.randrange(10**9))
    print("ROWFERRY_SEED", seed)
    dice = random.Random(seed)
    tables = build(nodes, dice)
    for name in dice.sample(tables, len(tables)):
        nodes.crm.sql("select rowferry.backfill(e.name) from rowferry.entities e where e.relation = %s::regclass", [name])
    with worker(nodes, tmp_path / "log", "--interval", "0.2"):
        wait_for_rest(nodes, 120)
        clients = [Client(node, side * CLIENTS + n, seed, 60) for side, node in enumerate(nodes) for n in range(CLIENTS)]
        let_work(clients)
        wait_for_rest(nodes, 120)
    with explained(nodes):
        assert [node.sql("select * from rowferry.held_events") for node in nodes] == [[], []]
        for name in tables:
            crm, billing = (rows(node, in_sync(name)) for node in nodes)
            assert crm == billing, name
    for node in nodes:
        count = "select count(*) from shop.orders o where o.customer = c.id"
        miscounted = f"select id from shop.customer c where orders_count <> ({count})"
        assert node.sql(miscounted) == []
        # Each insert was noted once, by the node where it was made.
        twice = "select record from books.audit where what = 'INSERT' group by relation, record having count(*) > 1"
        assert node.sql(twice) == []
        # The sequences of billing were never moved past the rows of crm, which check() names.
        errors = "select * from rowferry.check() where severity = 'error' and object not like 'server%'"
        assert node.sql(f"{errors} and problem not like 'it goes on with %'") == []
