"""A row of the peer that lies outside of the filter, or meets a row here that does, is held on the peer: what that says."""

import pytest
from entity.test_filter import SWISS, TABLE, customers, install

from harness import Nodes
from harness.exchange import rows, sync, waiting

THEIR_OWN = "the other node has a row of this key that is outside of its filter, and so its own"


def test_a_row_of_the_peer_outside_of_the_filter_is_held_there_and_overwrites_nothing(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("insert into customers values (1, 'secret', 'DE')")
    nodes.billing.sql("insert into customers values (1, 'taken', 'CH'), (2, 'stranger', 'DE'), (3, 'Hooli', 'CH')")
    sync(*nodes)
    assert rows(nodes.crm, "select id, name, country from customers") == ["(1,secret,DE)", "(3,Hooli,CH)"]
    assert waiting(nodes.billing) == ["insert customers 1 23514", "insert customers 2 23514"]
    [held] = nodes.billing.sql("select last_error, hint from rowferry.sync_events where record_id = '2'")
    assert held["last_error"] == "the row is outside of the filter of the other node"
    assert held["hint"].startswith("select * from rowferry.retry('customers');  -- once the row is changed here")
    assert SWISS in held["hint"]
    assert nodes.billing.sql("select last_error from rowferry.sync_events where record_id = '1'") == [{"last_error": THEIR_OWN}]
    nodes.billing.sql("insert into customers values (5, 'alone', 'DE')")
    sync(*nodes)
    assert waiting(nodes.billing)[2:] == ["insert customers 5 23514"]
    nodes.billing.sql("delete from customers where id in (1, 5)")
    nodes.billing.sql("update customers set country = 'CH' where id = 2")
    sync(*nodes)
    assert rows(nodes.crm, "select id, name, country from customers") == ["(1,secret,DE)", "(2,stranger,CH)", "(3,Hooli,CH)"]
    assert waiting(nodes.billing) == []


@pytest.mark.parametrize("mended", ["delete from customers where id = 1", "update customers set country = 'CH' where id = 1"])
def test_a_row_that_meets_a_copy_outside_says_what_to_do_there_until_which_it_waits(nodes: Nodes, mended: str) -> None:
    for node in nodes:
        node.sql(f"{TABLE}; insert into customers values (1, 'Acme', 'DE')")
        node.sql("select rowferry.attach('customers', p_filter => %s)", [SWISS])
    nodes.crm.sql("update customers set country = 'CH' where id = 1")
    sync(*nodes)
    assert waiting(nodes.crm) == ["insert customers 1 23514"]
    [why] = nodes.crm.sql("select cause, object, type_next from rowferry.why_stuck()")
    assert THEIR_OWN in why["cause"] and why["object"] == "entity customers, record 1"
    assert why["type_next"].startswith(
        "select * from rowferry.retry('customers');  -- once the row of public.customers that has this key on billing is deleted"
    )
    assert nodes.crm.sql("select hint from rowferry.sync_events") == [{"hint": why["type_next"]}]
    [status] = nodes.billing.sql("select state, detail from rowferry.row_status('customers', '1')")
    assert status["state"] == "outside of the filter"
    assert "only rows with (country = 'CH'::text) are;" in status["detail"]
    nodes.billing.sql(mended)
    nodes.crm.sql(why["type_next"])
    sync(*nodes)
    assert customers(nodes) == ["(1,Acme,CH)"]
    assert waiting(nodes.crm) == waiting(nodes.billing) == []


def test_a_hint_of_a_trigger_that_refuses_a_row_is_no_line_to_type(nodes: Nodes) -> None:
    install(nodes, there=SWISS)
    nodes.billing.sql("""
        create function forges() returns trigger language plpgsql as $$
        begin
          raise exception using errcode = '23514', constraint = 'rowferry', message = 'no', hint = 'drop table customers;';
        end $$;
        create trigger forges before insert on customers for each row execute function forges();
        alter table customers enable always trigger forges;
        select rowferry.attach('customers')""")
    nodes.crm.sql("insert into customers values (1, 'Acme', 'CH')")
    sync(*nodes)
    [why] = nodes.crm.sql("select cause, type_next from rowferry.why_stuck()")
    assert "no (23514)" in why["cause"] and "drop table" not in why["type_next"]
