"""How the rows that follow a moved parent are looked for: a portion a call, and nothing else waits for it."""

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from harness import Nodes
from harness.courier import Courier
from harness.exchange import rows, sync, waiting
from harness.following import fill, install, there
from harness.nodes import REPO
from harness.worker import PROGRAM


def slow(nodes: Nodes, entity: str, seconds: float) -> None:
    """Each look of crm's for rows of the entity that follow takes so long; 0: no longer."""
    function = f"rowferry.followers_{entity}"
    nodes.crm.sql(
        f"alter function {function} rename to look"
        if seconds
        else f"drop function {function}; alter function rowferry.look rename to followers_{entity}"
    )
    if seconds:
        nodes.crm.sql(
            f"""create function {function}(p_parents text[], p_after text, p_limit integer,
              out o_parents text[], out o_keys text[], out o_within boolean[])
            language plpgsql stable as $$
            begin
              perform pg_sleep({seconds});
              select l.* into o_parents, o_keys, o_within from rowferry.look($1, $2, $3) l;
            end $$;
            grant execute on function {function} to rowferry_owner"""
        )


def fill_many(nodes: Nodes, country: str, orders: int, lines: int, payments: int = 0) -> None:
    """So many orders, lines of each, payments of each line; and a table that has nothing to do with them."""
    for node in nodes:
        node.sql("create table other (id integer primary key); select rowferry.attach('other')")
    nodes.crm.sql("insert into orders select n, %s from generate_series(1, %s) n", [country, orders])
    nodes.crm.sql("insert into lines select n, 1 + n %% %s, 'x' from generate_series(1, %s) n", [orders, orders * lines])
    pay = "insert into payments select n, 1 + n %% %s, 1 from generate_series(1, %s) n"
    nodes.crm.sql(pay, [orders * lines, orders * lines * payments])
    sync(*nodes, limit=20000)


def calls(nodes: Nodes, count: int, timeout: str = "0") -> Iterator[dict[str, Any]]:
    """So many calls of each node, after they have met; what crm's returned, each in time."""
    courier = Courier(nodes)
    courier.connections["crm"].execute(f"set statement_timeout = '{timeout}'")
    to_billing = courier.meet(nodes)[0]
    to_crm = courier.call(nodes.billing, to_billing)["envelope"]
    for _ in range(count):
        answer = courier.call(nodes.crm, to_crm)
        to_crm = courier.call(nodes.billing, answer["envelope"])["envelope"]
        yield answer


MOVED = "select count(*)::integer as moved from rowferry.events where event_type = 'w'"
ALL = "select (select count(*) from orders), (select count(*) from lines), (select count(*) from payments)"


def test_each_call_looks_at_some_rows_however_long_that_takes_and_sends_others(nodes: Nodes) -> None:
    """A thousand rows have too many followers for one step, and each look takes longer than a call has for them."""
    install(nodes)
    fill_many(nodes, "DE", 1000, 6)
    slow(nodes, "lines", 0.11)
    nodes.crm.sql("update orders set country = 'CH'; insert into other values (1)")
    moved = [nodes.crm.sql(MOVED)[0]["moved"] for _ in calls(nodes, 4)]
    assert moved == sorted(set(moved), reverse=True)
    assert rows(nodes.billing, "select * from other") == ["(1)"]
    slow(nodes, "lines", 0)
    sync(*nodes, limit=20000)
    assert (rows(nodes.billing, ALL), waiting(nodes.crm)) == (["(1000,6000,0)"], [])


def test_a_portion_with_too_many_followers_of_its_own_is_made_smaller_for_the_next_call(nodes: Nodes) -> None:
    install(nodes)
    fill_many(nodes, "DE", 1, 6000, 2)
    slow(nodes, "payments", 0.11)
    nodes.crm.sql("update orders set country = 'CH'")
    keys = [nodes.crm.sql("select last_key from rowferry.moves") for _ in calls(nodes, 5)]
    assert (len(keys[0]), keys[-1]) == (1, [])
    slow(nodes, "payments", 0)
    sync(*nodes, limit=20000)
    assert (rows(nodes.billing, ALL), waiting(nodes.crm)) == (["(1,6000,12000)"], [])


def test_nothing_of_a_family_is_sent_before_all_that_moved_is_looked_at(nodes: Nodes) -> None:
    """So the breaker sees them all, although other tables go meanwhile."""
    install(nodes)
    for node in nodes:
        node.sql("select * from rowferry.set_breaker('orders', null)")
    fill_many(nodes, "CH", 300, 10)
    slow(nodes, "lines", 0.11)
    nodes.crm.sql("update orders set country = 'DE' where id > 30; insert into other values (1)")
    assert len(list(calls(nodes, 3))) == 3
    assert nodes.crm.sql(MOVED)[0]["moved"] > 200
    assert (rows(nodes.billing, ALL), rows(nodes.billing, "select * from other")) == (["(300,3000,0)"], ["(1)"])
    slow(nodes, "lines", 0)
    sync(*nodes)
    assert nodes.crm.sql("select name from rowferry.entities where held_sqlstate = 'RF026'") == [{"name": "lines"}]
    assert rows(nodes.billing, "select count(*) from lines") == ["(3000)"]
    nodes.crm.sql("select * from rowferry.approve('lines')")
    sync(*nodes)
    assert (rows(nodes.billing, ALL), waiting(nodes.crm)) == (["(30,300,0)"], [])


def test_a_row_with_many_followers_lets_others_that_moved_go(nodes: Nodes) -> None:
    install(nodes)
    fill_many(nodes, "DE", 1, 30000)
    nodes.crm.sql("insert into orders values (2, 'DE')")
    slow(nodes, "lines", 0.11)
    nodes.crm.sql("update orders set country = 'CH'")
    assert len(list(calls(nodes, 4))) == 4
    assert len(nodes.crm.sql("select from rowferry.moves")) == 1
    assert "orders (2)" in there(nodes)


@pytest.mark.parametrize("lines", [0, 3])
def test_a_look_that_runs_out_of_time_holds_its_family_and_no_other(nodes: Nodes, lines: int) -> None:
    install(nodes)
    nodes.crm.sql("drop index lines_order_id_idx")
    fill_many(nodes, "DE", 3, lines)
    slow(nodes, "lines", 60)
    nodes.crm.sql("update orders set country = 'CH' where id = 1; insert into other values (1)")
    assert [*calls(nodes, 3, "1s")][-1]["held"] == 1
    assert rows(nodes.billing, "select * from other") == ["(1)"]
    index = "create index concurrently on public.lines (order_id);"
    soon = "select name, held_until < now() + interval '20 s' as soon from rowferry.entities where held_sqlstate = '57014'"
    assert nodes.crm.sql(soon) == [{"name": "lines", "soon": True}]
    assert index in nodes.crm.sql("select reason from rowferry.status")[0]["reason"]
    stuck = nodes.crm.sql("select * from rowferry.why_stuck()")
    assert index in next(row["type_next"] for row in stuck if row["object"] == "entity lines")
    assert "pg_terminate_backend" not in str(stuck)
    slow(nodes, "lines", 0)
    nodes.crm.sql("update rowferry.entities set held_until = now() where name = 'lines'")  # as it is a little later
    sync(*nodes)
    assert (rows(nodes.billing, ALL), waiting(nodes.crm)) == ([f"(1,{lines},0)"], [])
    assert nodes.crm.sql("select name from rowferry.entities where held_attempts > 0") == []


def test_a_look_that_takes_most_of_a_call_lets_others_have_the_next_ones(nodes: Nodes) -> None:
    install(nodes)
    fill_many(nodes, "DE", 20, 1)
    slow(nodes, "lines", 0.6)
    nodes.crm.sql("update orders set country = 'CH'; insert into other values (1)")
    answers = [*calls(nodes, 3, "1s")]
    assert (rows(nodes.billing, "select * from other"), nodes.crm.sql(MOVED)) == (["(1)"], [{"moved": 19}])
    assert answers[-1]["held"] == 20  # with the row that follows the one of them
    slow(nodes, "lines", 0)
    nodes.crm.sql("select * from rowferry.retry('lines')")
    sync(*nodes)
    assert rows(nodes.billing, ALL) == ["(20,20,0)"]
    assert nodes.crm.sql("select name from rowferry.entities where held_attempts > 0") == []


def test_once_ends_when_all_that_a_move_brought_has_arrived(nodes: Nodes) -> None:
    install(nodes)
    for node in nodes:
        node.sql("select rowferry.set_breaker(e, null) from unnest(array['orders', 'lines']) e")
    fill_many(nodes, "CH", 2000, 10)
    nodes.crm.sql("update orders set country = 'DE'")
    done = subprocess.run([PROGRAM, "run", "--once"], env=nodes.env, cwd=REPO, capture_output=True, text=True, timeout=300)
    assert (done.returncode, rows(nodes.billing, ALL)) == (0, ["(0,0,0)"]), done.stderr


def test_once_tells_that_rows_that_moved_are_held(nodes: Nodes) -> None:
    install(nodes)
    fill(nodes)
    sync(*nodes)
    nodes.crm.sql("alter table payments rename to paid; create table payments (id integer)")
    nodes.crm.sql("update orders set country = 'DE' where id = 1")
    done = subprocess.run([PROGRAM, "run", "--once"], env=nodes.env, cwd=REPO, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1 and "1 on crm" in done.stderr, done.stderr


def test_batches_of_rows_outside_grow(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("insert into orders values (1, 'DE')")
    sync(*nodes)
    before = nodes.crm.sql("select batch_limit from rowferry.links")[0]["batch_limit"]
    nodes.crm.sql("insert into lines select n, 1, 'x' from generate_series(1, 4000) n")
    courier = Courier(nodes)
    courier.meet(nodes)
    assert nodes.crm.sql("select keys from rowferry.built_batches") == [{"keys": before}]
    sync(*nodes, limit=20000)
    assert nodes.crm.sql("select batch_limit from rowferry.links")[0]["batch_limit"] > before
