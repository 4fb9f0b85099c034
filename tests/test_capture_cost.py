"""measure_capture_cost(): what capture adds to a statement, measured on a twin, without a trace."""

from __future__ import annotations

import pytest

from harness import Nodes
from harness.exchange import refused_with, rows, sync, waiting

KINDS = {
    "plain": "create table notes (id integer primary key, body text, size integer)",
    "by range": "create table notes (id integer primary key, body text, size integer) partition by range (id);"
    " create table notes_all partition of notes default",
    "by hash": "create table notes (id integer primary key, body text, size integer) partition by hash (id);"
    " create table notes_all partition of notes for values with (modulus 1, remainder 0)",
    "identity and generated": "create table notes (id integer generated always as identity primary key, body text,"
    " size integer generated always as (length(body)) stored)",
    "own constraints and triggers": "create table notes (id integer primary key, body text unique,"
    " size integer check (size < 0));"
    " create function shout() returns trigger language plpgsql as $$ begin raise exception 'fired'; end $$;"
    " alter table notes alter size set default -1; ",
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_cost_of_each_kind_of_statement_is_measured_on_every_kind_of_table(nodes: Nodes, kind: str) -> None:
    crm = nodes.crm
    crm.sql(f"{KINDS[kind]}; select rowferry.attach('notes')")
    crm.sql("insert into notes (id, body) overriding system value select n, 'body ' || n from generate_series(1, 50) n")
    if "triggers" in kind:
        crm.sql("create trigger shout before insert or update or delete on notes for each row execute function shout()")
    measured = crm.sql("select statement, rows, without_us, with_us, added_us from rowferry.measure_capture_cost('notes', 20)")
    assert {(row["statement"], row["rows"]) for row in measured} == {
        (s, n) for s in ("insert", "update", "delete") for n in (1, 20)
    }
    assert all(row["without_us"] > 0 and row["added_us"] == row["with_us"] - row["without_us"] for row in measured)
    # Twenty rows and their events take longer than twenty rows.
    assert all(row["added_us"] > 0 for row in measured if row["rows"] == 20)
    kept = "select statement, rows, without_us, with_us, added_us from rowferry.capture_cost order by 1, 2"
    assert crm.sql(kept) == sorted(measured, key=lambda row: (row["statement"], row["rows"]))


def test_measuring_leaves_no_trace(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table notes (id integer primary key, body text); select rowferry.attach('notes')")
    nodes.crm.sql("insert into notes select n, 'body ' || n from generate_series(1, 50) n")
    sync(*nodes)
    catalog = "select oid::regclass::text as name from pg_class where relnamespace = 'rowferry'::regnamespace order by 1"
    before = nodes.crm.sql(catalog)
    nodes.crm.sql("select rowferry.measure_capture_cost('notes', 20)")
    assert nodes.crm.sql(catalog) == before
    assert waiting(nodes.crm) == []
    assert rows(nodes.crm, "select * from rowferry.left_events") == ["(billing,taken,50)"]
    sync(*nodes)
    assert rows(nodes.billing, "select count(*) from notes") == ["(50)"]


def test_measuring_again_replaces_what_was_measured_and_a_detach_removes_it(nodes: Nodes) -> None:
    crm = nodes.crm
    crm.sql("create table notes (id integer primary key, body text); select rowferry.attach('notes')")
    crm.sql("insert into notes select n, 'body ' || n from generate_series(1, 50) n")
    crm.sql("select rowferry.measure_capture_cost('notes', 20)")
    crm.sql("update rowferry.capture_cost set measured_at = '2020-01-01'")
    crm.sql("select rowferry.measure_capture_cost('notes', 20)")
    assert rows(crm, "select count(*) from rowferry.capture_cost where measured_at > '2021-01-01'") == ["(6)"]
    crm.sql("select rowferry.detach('notes', p_force => true)")
    assert rows(crm, "select * from rowferry.capture_cost") == []


def test_whoever_may_not_attach_may_not_measure(nodes: Nodes) -> None:
    nodes.crm.sql("create table notes (id integer primary key, body text); select rowferry.attach('notes')")
    with nodes.crm.connect() as connection, pytest.raises(Exception, match="permission denied"):
        connection.execute("set role rowferry_operator")
        connection.execute("select rowferry.measure_capture_cost('notes')")


def test_an_empty_table_and_an_unknown_entity_are_refused_with_a_hint(nodes: Nodes) -> None:
    nodes.crm.sql("create table notes (id integer primary key, body text); select rowferry.attach('notes')")
    refused_with("RF014", nodes.crm, "select rowferry.measure_capture_cost('notes')")
    refused_with("RF011", nodes.crm, "select rowferry.measure_capture_cost('nothing')")
