"""Names and keys made to break quoting go through every operation, and the lines that it proposes run in psql as they stand."""

import pytest

from harness import Node, Nodes
from harness.comparing import compared
from harness.exchange import rows, sync, waiting
from harness.hostile import HOSTILE, quoted

# Each of them within quotation marks, dollar quotes, json, an array's text, psql's variables.
KEYS = [
    *HOSTILE,
    ":name",
    ":'name'",
    "${x}",
    "{}",
    '{"a": 1}',
    "NULL",
    "\\N",
    "a\nb",
    "', null); drop table bystander; --",
    "$rowferry$",
]
OPERATIONS = [
    "select * from rowferry.row_status(%(entity)s, %(key)s)",
    "select * from rowferry.replay(%(entity)s, %(key)s)",
    "select * from rowferry.backfill(%(entity)s)",
    "select * from rowferry.pause(p_entity => %(entity)s)",
    "select * from rowferry.resume(p_entity => %(entity)s)",
    "select * from rowferry.set_breaker(%(entity)s, null)",
    "select * from rowferry.set_breaker(%(entity)s, 0.5)",
    "select * from rowferry.set_rules(%(entity)s, 'newest', 'hold')",
    "select * from rowferry.retry(p_entity => %(entity)s)",
]


@pytest.fixture
def attached(nodes: Nodes) -> Nodes:
    for node in nodes:
        node.sql("create table bystander (id integer)")
        for number, name in enumerate(HOSTILE):
            table = f"t.{quoted(HOSTILE[number - 1])}"
            node.sql(f"create schema if not exists t; create table {table} (k text primary key, v text)")
            node.sql("select rowferry.attach(%s, %s)", [table, name])
    return nodes


def table_of(name: str) -> str:
    """The table of an entity, as it stands in a query without parameters."""
    return f"t.{quoted(HOSTILE[HOSTILE.index(name) - 1])}"


def given_to(name: str) -> str:
    """The same in a query with parameters."""
    return table_of(name).replace("%", "%%")


def run_in_psql(node: Node, query: str) -> int:
    """Runs what the query proposes to type; how many lines."""
    lines = [row["fix"] for row in node.sql(query)]
    for line in lines:
        node.psql(line)
    return len(lines)


def test_every_operation_takes_any_name_and_any_key(attached: Nodes) -> None:
    crm, billing = attached
    for name in HOSTILE:
        with crm.connect() as connection, connection.cursor() as cursor:
            cursor.executemany(f"insert into {given_to(name)} values (%s, %s)", [(key, key) for key in KEYS])
    sync(crm, billing)
    for name in HOSTILE:
        assert rows(billing, f"select * from {table_of(name)}") == rows(crm, f"select * from {table_of(name)}")
    for number, name in enumerate(HOSTILE):
        given = {"entity": name, "key": KEYS[number]}
        for operation in OPERATIONS:
            crm.sql(operation, given)
        billing.sql(f"update {given_to(name)} set v = 'from billing' where k = %s", [KEYS[number]])
    sync(crm, billing)
    for name in HOSTILE:
        assert rows(billing, f"select * from {table_of(name)}") == rows(crm, f"select * from {table_of(name)}")
        assert waiting(crm) == waiting(billing) == []
    assert rows(crm, "select name from rowferry.entities") == rows(billing, "select name from rowferry.entities")


def test_a_refused_row_is_explained_and_given_up_whatever_it_is_called(attached: Nodes) -> None:
    crm, billing = attached
    for number, name in enumerate(HOSTILE):
        billing.sql(f"alter table {table_of(name)} add constraint {quoted(name)} check (v <> 'no')")
        crm.sql(f"insert into {given_to(name)} values (%s, 'no')", [KEYS[number]])
    sync(crm, billing)
    held = crm.sql("select id, entity, record_id from rowferry.sync_events where sqlstate = '23514' order by id")
    assert [row["entity"] for row in held] == HOSTILE
    for number, row in enumerate(held):
        assert row["record_id"] == KEYS[number]
        crm.sql("select * from rowferry.row_status(%s, %s)", [row["entity"], row["record_id"]])
    assert crm.sql("select * from rowferry.why_stuck()") != []  # the first of them by name
    for row in held[::2]:
        crm.sql("select rowferry.skip(%s, %s, p_delete => true)", [row["id"], row["entity"]])
    for row in held[1::2]:
        crm.sql(f"update {given_to(row['entity'])} set v = 'yes' where k = %s", [row["record_id"]])
    sync(crm, billing)
    assert waiting(crm) == []
    for name in HOSTILE:
        assert rows(billing, f"select * from {table_of(name)}") == rows(crm, f"select * from {table_of(name)}")


def test_what_is_proposed_for_any_name_runs_in_psql(attached: Nodes) -> None:
    crm, billing = attached
    for name in HOSTILE:
        crm.sql(f"alter table {table_of(name)} disable trigger rowferry_capture_insert")
        function = crm.sql("select rowferry._generated_name('delete_', %s) as name", [name])[0]["name"]
        crm.sql(f"create or replace function rowferry.{quoted(function)}(p_keys text[]) returns void language sql as ''")
    assert run_in_psql(crm, "select fix from rowferry.drift()") == 2 * len(HOSTILE)
    assert crm.sql("select * from rowferry.drift()") == []
    for name in HOSTILE:
        billing.sql(f"alter table {table_of(name)} disable trigger rowferry_capture_insert")
        billing.sql(f"insert into {table_of(name)} values ('only there', 'x')")
    run_in_psql(billing, "select fix from rowferry.drift()")
    for name in HOSTILE[:3]:
        compared(attached, name)
        crm.sql("select * from rowferry.repair(%s, 'billing', false)", [name])
    sync(crm, billing)
    for name in HOSTILE[:3]:
        assert rows(crm, f"select k from {table_of(name)}") == ['("only there")']
