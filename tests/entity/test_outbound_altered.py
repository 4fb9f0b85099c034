"""A view or function that rows travel through and that is altered, dropped or made again later."""

from harness import Nodes
from harness.exchange import rows, sync
from harness.outbound import PROBLEMS, SHAPE, install


def test_check_names_a_view_or_function_that_is_gone_and_a_view_that_uses_more(nodes: Nodes) -> None:
    install(nodes)
    sync(*nodes)
    assert nodes.crm.sql(PROBLEMS) == []
    nodes.crm.sql(
        "create or replace view app.people_out as "
        "select id, concat(first, ' ', last, notes) as name, lower(email) as address, 2 as two from people"
    )
    for wrong in nodes.crm.sql(PROBLEMS):
        assert "is not what attach() would make" in wrong["problem"]
        nodes.crm.sql(wrong["fix"])
    assert nodes.crm.sql(PROBLEMS) == []
    nodes.crm.sql("insert into people values (1, 'Ada', 'L', null, '!')")
    sync(*nodes)
    nodes.crm.sql("update people set notes = '?'")
    sync(*nodes)
    assert rows(nodes.billing, "select name from people") == ['("Ada L?")']
    nodes.crm.sql("alter function app.people_in rename to gone")
    [wrong] = nodes.crm.sql(PROBLEMS)
    assert "there is no such inbound function" in wrong["problem"]
    nodes.crm.sql("drop function app.gone")
    nodes.crm.sql("drop view app.people_out")
    assert any("there is no such view" in wrong["problem"] for wrong in nodes.crm.sql(PROBLEMS))
    nodes.crm.sql("update people set first = 'Eve'")
    sync(*nodes)
    assert rows(nodes.billing, "select name from people") == ['("Ada L?")']


def test_a_view_that_was_made_again_goes_on_and_nothing_is_lost_in_between(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("drop view app.people_out cascade")
    nodes.crm.sql("insert into people values (1, 'Ada', 'L')")
    nodes.billing.sql("insert into people values (2, 'Alan T', null)")
    sync(*nodes)
    nodes.crm.sql("drop schema app")
    nodes.crm.sql(SHAPE)
    for node in nodes:
        node.sql("update rowferry.held_events set not_before = '-infinity'")
        node.sql("update rowferry.entities set held_until = '-infinity' where held_until is not null")
    sync(*nodes)
    assert rows(nodes.billing, "select id, name from people") == ['(1,"Ada L")', '(2,"Alan T")']
    assert rows(nodes.crm, "select id, last from people") == ["(1,L)", "(2,T)"]


def test_a_view_that_leaves_rows_out_later_stops_and_deletes_nothing_on_the_peer(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("insert into people values (1, 'Ada', 'L'), (2, 'Alan', 'T')")
    sync(*nodes)
    query = (
        "create or replace view app.people_out as "
        "select id, first || ' ' || last as name, lower(email) as address, 2 as two from people"
    )
    nodes.crm.sql(f"{query} where id < 2")
    nodes.crm.sql("update people set last = 'X'")
    sync(*nodes)
    assert rows(nodes.billing, "select id, name from people") == ['(1,"Ada L")', '(2,"Alan T")']
    assert any("one row for each row" in wrong["problem"] for wrong in nodes.crm.sql(PROBLEMS))
    nodes.crm.sql(query)
    nodes.crm.sql("update rowferry.entities set held_until = '-infinity' where held_until is not null")
    sync(*nodes)
    assert rows(nodes.billing, "select id, name from people") == ['(1,"Ada X")', '(2,"Alan X")']
