"""Rows whose parent the peer refuses: they wait for it, are not tried with each of its tries, and follow it at once."""

import pytest

from harness import Nodes
from harness.exchange import rows, waiting
from harness.family import AGAIN, HELD, Exchange, equal, number, why


@pytest.mark.case(44, 45)
def test_of_three_levels_each_row_is_refused_once_and_then_only_the_first_is_tried(family: Nodes, exchange: Exchange) -> None:
    family.crm.sql("""
        insert into parents select n, 'bad' from generate_series(1, 20) n;
        insert into children select n, 1 + n % 20 from generate_series(1, 200) n;
        insert into toys select n, 1 + n % 200 from generate_series(1, 400) n""")
    exchange.until(exchange.all_held)
    first = exchange.refused
    assert first <= 620
    for tries in range(1, 7):
        exchange.later(2**tries)
        exchange.until(exchange.all_held)
        exchange.rest(12)
    # Twenty parents each time, and with growing pauses one child of each.
    assert exchange.refused - first <= 6 * 20 + 5 * 20
    assert number(family, HELD) == 620
    family.crm.sql("insert into children select n, 1 + n % 20 from generate_series(201, 300) n")
    before = exchange.refused
    exchange.rest()
    assert exchange.refused == before, "their parents are known to be missing"
    family.billing.sql(AGAIN)
    family.crm.sql("select * from rowferry.retry('parents')")
    assert exchange.until(exchange.delivered) <= 20
    equal(family, "parents", "children", "toys")
    assert number(family, "select count(*)::integer as n from rowferry.missing_parents") == 0


@pytest.mark.case(44, 45)
def test_a_parent_in_its_back_off_does_not_travel_with_its_children(family: Nodes, exchange: Exchange) -> None:
    """The parent is there: only its change is refused, which stops none of its children."""
    family.crm.sql("insert into parents values (1, 'good')")
    exchange.until(exchange.delivered)
    family.crm.sql("update parents set body = 'bad'")
    exchange.until(exchange.all_held)
    before = exchange.refused
    for n in range(1, 30):
        family.crm.sql(f"insert into children values ({n}, 1)")
        exchange.call()
    exchange.rest()
    assert rows(family.billing, "select count(*) from children") == ["(29)"]
    assert exchange.refused == before


@pytest.mark.case(44, 45)
def test_a_child_of_several_parents_follows_the_last_of_them(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("""
            create table mothers (id integer primary key, body text);
            create table fathers (id integer primary key, body text);
            create table children (id integer primary key, mother integer references mothers, father integer references fathers);
            select rowferry.attach(t) from unnest(array['mothers', 'fathers', 'children']) t""")
    nodes.billing.sql(
        "alter table mothers add constraint no_bad check (body <> 'bad');"
        "alter table fathers add constraint no_bad check (body <> 'bad')"
    )
    exchange = Exchange(nodes)
    nodes.crm.sql("""
        insert into mothers values (1, 'bad'); insert into fathers values (1, 'bad');
        insert into children select n, 1, 1 from generate_series(1, 100) n""")
    exchange.until(exchange.all_held)
    for parent in ("mothers", "fathers"):
        assert rows(nodes.billing, "select count(*) from children") == ["(0)"]
        before = exchange.refused
        nodes.crm.sql(f"update {parent} set body = 'good'")
        exchange.rest()
        assert exchange.refused - before <= 100, "once for each parent at most"
    exchange.until(exchange.delivered)
    equal(nodes, "mothers", "fathers", "children")


@pytest.mark.case(44, 45)
@pytest.mark.parametrize("how", ["paused", "held by the breaker"])
def test_children_wait_for_a_parent_whose_entity_stands_still(family: Nodes, exchange: Exchange, how: str) -> None:
    if how == "paused":
        family.crm.sql("select * from rowferry.pause(p_entity => 'parents')")
    else:
        family.crm.sql(
            "select rowferry.set_breaker('parents', 0.1, 1); insert into parents select n, 'old' from generate_series(101, 110) n"
        )
        exchange.until(exchange.delivered)
        family.crm.sql("delete from parents")
    family.crm.sql("insert into parents values (1, 'new'); insert into children select n, 1 from generate_series(1, 300) n")
    exchange.rest(12)
    assert exchange.refused <= 300
    before = exchange.refused
    family.crm.sql("insert into children select n, 1 from generate_series(301, 600) n")
    exchange.rest(12)
    assert exchange.refused == before
    [cause] = why(family)
    assert cause["object"] == "entity parents" and cause["cause"].endswith("; 600 others wait for them")
    family.crm.sql(cause["type_next"] if how == "paused" else "select * from rowferry.approve('parents')")
    assert exchange.until(exchange.delivered) <= 12
    equal(family, "parents", "children")


def refused_family(exchange: Exchange) -> None:
    exchange.nodes.crm.sql(
        "insert into parents values (1, 'bad'), (2, 'bad');"
        "insert into children select n, 1 + n % 2 from generate_series(1, 1000) n"
    )
    exchange.until(exchange.all_held)


@pytest.mark.case(44, 45)
@pytest.mark.parametrize("captured", [True, False])
def test_a_parent_that_somebody_makes_on_the_peer_lets_its_children_go(family: Nodes, exchange: Exchange, captured: bool) -> None:
    refused_family(exchange)
    exchange.later(1)
    guard = "" if captured else "alter table parents disable trigger user; "
    family.billing.sql(f"{guard}insert into parents values (1, 'by hand'), (2, 'by hand')")
    if not captured:
        exchange.later(8)  # before that none is tried
    assert exchange.until(lambda: rows(family.billing, "select count(*) from children") == ["(1000)"]) <= 20
    exchange.rest()
    assert captured == exchange.delivered()


@pytest.mark.promise("R8")
@pytest.mark.case(44, 45)
def test_a_parent_that_is_mended_here_takes_its_children_along(family: Nodes, exchange: Exchange) -> None:
    refused_family(exchange)
    family.crm.sql("update parents set body = 'good' where id = 1")
    exchange.until(lambda: rows(family.billing, "select count(*) from children") == ["(500)"], 12)
    family.crm.sql("update parents set body = 'good' where id = 2")
    exchange.until(exchange.delivered, 12)
    equal(family, "parents", "children")


@pytest.mark.case(44, 45)
def test_a_retry_that_was_typed_while_the_try_before_was_on_its_way_counts(family: Nodes, exchange: Exchange) -> None:
    refused_family(exchange)
    exchange.later(2)
    exchange.call()  # sends the parents
    family.crm.sql("update clock set at = at + interval '1 ms'")
    exchange.crm, refused = (
        exchange.courier.call(family.crm, exchange.billing)["envelope"],
        exchange.courier.call(family.billing, exchange.crm),
    )
    family.billing.sql(AGAIN)
    family.crm.sql("select * from rowferry.retry('parents')")
    exchange.billing = refused["envelope"]
    assert exchange.until(exchange.delivered) <= 12


@pytest.mark.case(44, 45)
def test_a_retry_of_the_children_tries_their_parents(family: Nodes, exchange: Exchange) -> None:
    refused_family(exchange)
    before = exchange.refused
    family.crm.sql("select * from rowferry.retry('children')")
    exchange.rest()
    assert exchange.refused - before <= 4, "two parents, and one child of each"
    family.billing.sql(AGAIN)
    family.crm.sql("select * from rowferry.retry((select max(event_id) from rowferry.held_events where record_id = '7'))")
    exchange.until(lambda: rows(family.billing, "select count(*) from children") == ["(500)"], 12)


@pytest.mark.case(44, 45, 61)
def test_a_parent_that_is_given_up_leaves_its_children_to_themselves(family: Nodes, exchange: Exchange) -> None:
    """The peer has no such row, and the children keep it from being deleted here."""
    refused_family(exchange)
    family.crm.sql("select rowferry.skip(id, 'not wanted', p_delete => true) from rowferry.sync_events where entity = 'parents'")
    exchange.rest(12)
    assert rows(family.crm, "select count(*) from parents") == ["(2)"]
    family.crm.sql("select rowferry.set_breaker('children', null); delete from children")
    for _ in range(4):
        exchange.later(600)
        exchange.rest(6)
    equal(family, "parents", "children")
    assert exchange.delivered() and waiting(family.billing) == []


@pytest.mark.case(44, 45, 61)
def test_children_of_a_parent_that_was_given_up_and_kept_wait_until_it_is_sent(family: Nodes, exchange: Exchange) -> None:
    refused_family(exchange)
    family.crm.sql("select rowferry.skip(id, 'not wanted') from rowferry.sync_events where entity = 'parents'")
    exchange.rest(12)
    exchange.later(600)
    exchange.rest(12)
    assert rows(family.crm, "select count(*) from parents") == ["(2)"]
    assert rows(family.crm, "select (rowferry.row_status('parents', '1')).state") == ['("different on purpose")']
    [cause] = [r["cause"] for r in family.crm.sql("select cause from rowferry.why_stuck()")]
    assert cause.endswith("missing on billing, and nothing of them waits here; 1000 others wait for them")
    family.billing.sql(AGAIN)
    family.crm.sql("select * from rowferry.replay('parents', '1', '2')")
    exchange.rest(12)
    equal(family, "parents", "children")


@pytest.mark.case(44, 45)
def test_children_of_a_parent_that_was_never_sent_wait_until_it_is(family: Nodes, exchange: Exchange) -> None:
    family.crm.sql("delete from rowferry.events")
    family.crm.sql("insert into parents values (1, 'good'), (2, 'good'); delete from rowferry.events")
    family.crm.sql("insert into children select n, 1 from generate_series(1, 500) n")
    exchange.until(exchange.all_held)
    [cause] = why(family)
    assert cause["cause"] == "1 record of parents is missing on billing, and nothing of it waits here; 500 others wait for it"
    [status] = family.crm.sql("select * from rowferry.row_status('parents', '1')")
    assert status["state"] == "missing there" and "500 of them wait" in status["detail"]
    family.crm.sql(cause["type_next"])
    exchange.until(exchange.delivered, 12)
    assert rows(family.billing, "select count(*) from children") == ["(500)"]


@pytest.mark.case(44, 45)
def test_of_a_parent_that_was_given_up_its_children_are_told_that_it_was(family: Nodes, exchange: Exchange) -> None:
    """Sent as it is, it would be refused again, and nothing would be held of it."""
    family.crm.sql("insert into parents values (1, 'bad'); insert into children values (1, 1)")
    exchange.until(exchange.all_held)
    family.crm.sql("select * from rowferry.skip((select min(id) from rowferry.sync_events), E'one\ntrial')")
    exchange.rest(12)
    [cause] = why(family)
    assert cause["type_next"].startswith(
        "select rowferry.row_status('parents', '1');  -- its change was given up here (one trial): change the row so that billing"
    )
    family.crm.sql("update parents set body = 'good'")
    exchange.until(exchange.delivered, 12)
    equal(family, "parents", "children")


@pytest.mark.case(44, 45)
def test_who_looks_is_told_of_the_parents_first(family: Nodes, exchange: Exchange) -> None:
    refused_family(exchange)
    [cause] = why(family)
    assert cause["object"] == "entity parents, record 1"
    assert cause["cause"].startswith("2 events are refused by billing: ") and cause["cause"].endswith(
        "(23514); 1000 others wait for them"
    )
    assert cause["type_next"].startswith("select * from rowferry.retry('parents');")
    [status] = family.crm.sql("select state, pending, held, reason from rowferry.status")
    assert (status["state"], status["pending"], status["held"]) == ("held", 1002, 1002)
    assert status["reason"] == "2 refused by billing, 1000 wait for rows that billing lacks: select * from rowferry.why_stuck()"
    [child] = family.crm.sql("select * from rowferry.row_status('children', '7')")
    assert child["state"] == "held"
    assert child["detail"] == "waits for its parent parents 2, which is held: select * from rowferry.row_status('parents', '2');"
    [hint] = family.crm.sql("select distinct hint from rowferry.sync_events where record_id = '7'")
    assert hint["hint"] == (
        "You need do nothing: the row goes once its parent has gone. "
        "This shows where the parent stands: select * from rowferry.row_status('parents', '2');"
    )
