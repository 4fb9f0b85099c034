"""attach(p_within => ..): which tables can follow a parent, what is said of those that could, and how that changes in place."""

import psycopg
import pytest

from harness import Nodes
from harness.exchange import refused_with, sync, waiting
from harness.following import SWISS, TABLES, fill, install, there
from harness.roles import as_role, role


@pytest.mark.parametrize("change", ["p_filter_left => 'keep'", "p_direction => 'receive'"])
def test_a_parent_does_not_change_so_that_others_cannot_follow_it(nodes: Nodes, change: str) -> None:
    install(nodes)
    error = refused_with("RF013", nodes.crm, f"select rowferry.attach('orders', {change})")
    assert "In one transaction: select rowferry.attach('public.lines', p_within => '')" in error
    assert nodes.crm.sql("select filter_left, direction from rowferry.entities where name = 'orders'") == [
        {"filter_left": "delete", "direction": "both"}
    ]
    nodes.crm.sql("select rowferry.attach('payments', p_within => '')")
    again = f"p_within => 'orders', p_filter_left => 'keep'{', ' + change if 'direction' in change else ''}"
    nodes.crm.sql(
        f"select rowferry.attach('lines', p_within => ''); select rowferry.attach('orders', p_filter_left => 'keep');"
        f"select rowferry.attach('orders', {change}); select rowferry.attach('lines', {again})"
    )


def test_whoever_does_not_own_a_table_that_follows_is_told_what_to_grant(nodes: Nodes) -> None:
    one, other = role(nodes.crm), role(nodes.crm)
    nodes.crm.sql(f"{TABLES}; drop table payments; alter table orders owner to {one}; alter table lines owner to {other}")
    nodes.crm.sql(f"grant rowferry_owner to {one}; grant select, references on orders to {other}")
    nodes.crm.sql("select rowferry.attach('orders', p_filter => %s)", [SWISS])
    nodes.crm.sql("select rowferry.attach('lines', p_within => 'orders')")
    connection = as_role(nodes.crm, one)
    connection.execute("select rowferry.attach('orders', p_conflict_rule => 'node:crm')")  # no function of the others changes
    change = "select rowferry.attach('orders', p_filter => 'country = ''DE''')"
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="needs the rights of its owner") as caught:
        connection.execute(change)
    detail = str(caught.value.diag.message_detail)
    assert f"public.lines belongs to {other}; the current role is {one}. Its functions change" in detail
    hint = caught.value.diag.message_hint
    assert hint and hint.startswith(f"As a superuser: grant {other}, rowferry_owner to {one}")
    nodes.crm.sql(hint.removeprefix("As a superuser: "))
    connection.execute(change)


def test_filters_change_in_place(nodes: Nodes) -> None:
    install(nodes)
    fill(nodes)
    sync(*nodes)
    nodes.crm.sql("select rowferry.attach('orders', p_filter => %s)", ["country in ('CH', 'DE')"])
    assert [row for row in nodes.crm.sql("select * from rowferry.check()") if row["severity"] == "error"] == []
    for table in ("orders", "lines", "payments"):
        nodes.crm.sql(f"select rowferry.backfill('{table}')")
    sync(*nodes)
    assert there(nodes)[:4] == ["orders (1)", "orders (2)", "orders (3)", "lines (11)"]
    assert there(nodes)[4:] == ["lines (12)", "lines (21)", "payments (111)", "payments (211)"]
    nodes.crm.sql("select rowferry.attach('lines', p_within => ''); select rowferry.attach('payments', p_within => '')")
    nodes.crm.sql("update orders set country = 'FR' where id = 3")
    assert waiting(nodes.crm) == ["delete orders 3"]
    for table in ("payments", "lines", "orders"):
        nodes.crm.sql(f"select rowferry.detach('{table}', true)")


def test_a_table_that_others_follow_is_not_detached(nodes: Nodes) -> None:
    install(nodes)
    error = refused_with("RF011", nodes.crm, "select rowferry.detach('orders', true)")
    assert "rows of other tables follow" in error and "select rowferry.attach('public.lines', p_within => '');" in error


@pytest.mark.parametrize(
    ("prepare", "within", "state", "hint"),
    [
        ("select", "nothing", "RF013", "Attach the parent first"),
        ("alter table lines add other integer references orders", "orders", "RF013", "Name one of them"),
        ("select rowferry.attach('orders', p_filter => '')", "orders", "RF013", "Give it one first"),
        ("select rowferry.attach('lines', p_columns => '[\"id\", \"item\"]')", "orders", "RF013", "-- with them, on both nodes"),
        ("select rowferry.attach('orders', p_filter_left => 'keep')", "orders", "RF013", "p_filter_left"),
        (
            "create role stranger; alter table lines owner to stranger",
            "orders",
            "42501",
            "grant select on public.orders to stranger;",
        ),
    ],
)
def test_what_cannot_follow_is_refused(nodes: Nodes, prepare: str, within: str, state: str, hint: str) -> None:
    nodes.crm.sql(TABLES)
    nodes.crm.sql("select rowferry.attach('orders', p_filter => %s); ", [SWISS])
    nodes.crm.sql("alter table lines alter order_id drop not null; select rowferry.attach('lines')")
    nodes.crm.sql("drop role if exists stranger")
    nodes.crm.sql(prepare)
    assert hint in refused_with(state, nodes.crm, "select rowferry.attach('lines', p_within => %s)", [within])
    nodes.crm.sql("alter table lines owner to postgres; drop role stranger" if "stranger" in prepare else "select")


def test_who_is_not_told_to_follow_is_named(nodes: Nodes) -> None:
    nodes.crm.sql(TABLES)
    nodes.crm.sql("select rowferry.attach('orders', p_filter => %s)", [SWISS])
    said = [row["attach"] for row in nodes.crm.sql("select rowferry.attach('lines')")]
    assert said[-1].endswith("to let its rows follow: select rowferry.attach('public.lines', p_within => 'orders');"), said
    fixes = "select fix from rowferry.check() where object = 'public.lines' and problem like '%refuses a row of this table%'"
    assert nodes.crm.sql(fixes) == [{"fix": "select rowferry.attach('public.lines', p_within => 'orders');"}]
    nodes.crm.sql("select rowferry.attach('lines', p_within => 'orders')")
    assert nodes.crm.sql(fixes) == []


def test_an_index_that_finds_the_rows_that_follow_is_asked_for(nodes: Nodes) -> None:
    nodes.crm.sql(TABLES)
    nodes.crm.sql("drop index lines_order_id_idx")
    nodes.crm.sql("select rowferry.attach('orders', p_filter => %s)", [SWISS])
    with nodes.crm.connect() as connection:
        warnings: list[tuple[str | None, str | None]] = []
        connection.add_notice_handler(lambda warning: warnings.append((warning.severity, warning.message_hint)))
        connection.execute("select rowferry.attach('lines', p_within => 'orders')")
        connection.execute("select rowferry.attach('payments', p_within => 'lines')")
    hint = "create index concurrently on public.lines (order_id);"
    assert warnings == [("WARNING", hint)]
    check = "select severity, object from rowferry.check() where fix = %s"
    assert nodes.crm.sql(check, [hint]) == [{"severity": "warning", "object": "public.lines"}]
    for index in "(item, order_id)", "(order_id) where item is null", "((order_id + 1))", "using brin (order_id)":
        nodes.crm.sql(f"create index on lines {index}")
        assert nodes.crm.sql(check, [hint])
    for index in "(order_id, item)", "(order_id desc) where order_id is not null", "using hash (order_id)":
        nodes.crm.sql(f"create index finds on lines {index}")
        assert nodes.crm.sql(check, [hint]) == []
        nodes.crm.sql("drop index finds")
