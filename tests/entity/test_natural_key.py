"""A natural key over surrogate numbers that each node draws for itself: attach(p_key => .., p_columns => ..)."""

import pytest

from harness import Nodes
from harness.exchange import rows, sync, waiting

pytestmark = pytest.mark.smoke

TABLE = """
create table products (id integer generated always as identity primary key, sku text not null unique, title text)"""


def install(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(TABLE)
        node.sql("select rowferry.attach('products', p_columns => '[\"sku\", \"title\"]', p_key => '{sku}')")
    nodes.billing.sql("alter table products alter column id restart with 1000")
    nodes.crm.sql("insert into products (sku, title) values ('a', 'Anchor'), ('b', 'Bolt')")
    nodes.billing.sql("insert into products (sku, title) values ('c', 'Chain')")
    sync(*nodes)


def test_each_node_numbers_its_rows_and_both_hold_the_same_records(nodes: Nodes) -> None:
    install(nodes)
    assert rows(nodes.crm, "select id, sku from products") == ["(1,a)", "(2,b)", "(3,c)"]
    assert rows(nodes.billing, "select id, sku from products") == ["(1000,c)", "(1001,a)", "(1002,b)"]
    nodes.crm.sql("update products set title = 'Chain of crm' where sku = 'c'")
    nodes.billing.sql("delete from products where sku = 'a'")
    nodes.billing.sql("update products set sku = 'd' where sku = 'b'")
    nodes.billing.sql("update products set id = default where sku = 'd'")
    sync(*nodes)
    for node in nodes:
        assert rows(node, "select sku, title from products") == ['(c,"Chain of crm")', "(d,Bolt)"]
        assert waiting(node) == []
    assert rows(nodes.billing, "select id from products where sku = 'c'") == ["(1000)"]


def test_two_rows_of_one_natural_key_are_one_record_and_a_conflict(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("insert into products (sku, title) values ('e', 'of crm')")
    nodes.billing.sql("insert into products (sku, title) values ('e', 'of billing')")
    sync(*nodes)
    for node in nodes:
        assert rows(node, "select title from products where sku = 'e'") == ['("of billing")']
        assert node.sql("select record_id, winner from rowferry.conflicts") == [{"record_id": "e", "winner": "billing"}]
