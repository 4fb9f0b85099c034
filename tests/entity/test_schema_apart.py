"""What one node's schema cannot take is kept with the exact reason, all else flows, and delivery goes on after the migration.

Never is a NULL stored in place of a value.
"""

import itertools

import psycopg
import pytest

from harness import Node, Nodes, alembic
from harness.clock import advance, stop_clocks
from harness.exchange import rows, sync, waiting

NOTES = "create table notes (id int primary key, body text, extra text)"
NUMBERS = itertools.count(1)


@pytest.fixture
def apart(nodes: Nodes) -> Nodes:
    """Two nodes whose clock stands still, so that waiting costs no time, and the table tags kept in sync."""
    stop_clocks(nodes)
    for node in nodes:
        node.sql("create table tags (id int primary key); select rowferry.attach('tags')")
    return nodes


def others_flow(nodes: Nodes) -> None:
    """A row of another table arrives each way."""
    for node in nodes:
        node.sql(f"insert into tags values ({next(NUMBERS)})")
    sync(*nodes)
    assert rows(nodes.crm, "select * from tags") == rows(nodes.billing, "select * from tags")


def reason(node: Node) -> tuple[str, str]:
    """SQLSTATE and message of all that waits on the node, which must be one."""
    found = node.sql("select distinct sqlstate, last_error, hint from rowferry.sync_events")
    assert len(found) == 1, found
    assert found[0]["hint"]
    return found[0]["sqlstate"], found[0]["last_error"]


@pytest.mark.case(57)
def test_a_column_that_the_other_node_lacks_holds_the_table_until_it_has_it(apart: Nodes) -> None:
    apart.crm.sql(f"{NOTES}; select rowferry.attach('notes')")
    apart.billing.sql("create table notes (id int primary key, body text); select rowferry.attach('notes')")
    apart.crm.sql("insert into notes values (1, 'a', 'x'), (2, 'b', null)")
    others_flow(apart)
    assert waiting(apart.crm) == ["insert notes 1 RF020", "insert notes 2 RF020"]
    assert reason(apart.crm) == ("RF020", "the columns differ: extra is not known there")
    # The other way too: a row without the column must not come as one with NULL in it.
    apart.billing.sql("insert into notes values (3, 'c')")
    others_flow(apart)
    assert reason(apart.billing) == ("RF020", "the columns differ: extra is not sent")
    assert rows(apart.crm, "select * from notes") == ["(1,a,x)", "(2,b,)"]
    for node in apart:
        [hint] = node.sql("select distinct hint from rowferry.sync_events")
        node.sql(hint["hint"])
        assert any("extra" in found["problem"] for found in node.sql("select problem from rowferry.check()"))
    apart.billing.sql("alter table notes add column extra text default 'here'")
    apart.billing.sql("select rowferry.attach('notes')")
    apart.billing.sql("select rowferry.backfill('notes')")
    advance(apart, 20)
    others_flow(apart)
    advance(apart, 20)
    sync(*apart)
    assert rows(apart.crm, "select * from notes") == ["(1,a,x)", "(2,b,)", "(3,c,here)"]
    assert rows(apart.billing, "select * from notes") == rows(apart.crm, "select * from notes")
    assert waiting(apart.crm) == waiting(apart.billing) == []


@pytest.mark.case(57)
def test_another_key_holds_the_table_until_the_line_that_is_printed_has_changed_it(apart: Nodes) -> None:
    for node, key in zip(apart, ("code", "id"), strict=True):
        node.sql("create table notes (id int primary key, code text not null unique)")
        node.sql("select rowferry.attach('notes', p_key => %s, p_orphan_rule => 'drop')", [[key]])
    apart.crm.sql("insert into notes values (1, 'a')")
    others_flow(apart)
    assert reason(apart.crm) == ("RF020", "the keys differ: code text here, id number there")
    apart.billing.sql(apart.crm.sql("select hint from rowferry.sync_events")[0]["hint"].partition("  -- on billing; ")[0])
    assert rows(apart.billing, "select key_columns, orphan_rule from rowferry.entities where name = 'notes'") == ["({code},drop)"]
    advance(apart, 20)
    sync(*apart)
    assert rows(apart.billing, "select * from notes") == ["(1,a)"]


@pytest.mark.case(57)
def test_a_table_that_the_other_node_has_not_attached_yet_waits_for_it(apart: Nodes) -> None:
    apart.crm.sql(f"{NOTES}; select rowferry.attach('notes'); insert into notes values (1, 'a', 'x')")
    others_flow(apart)
    assert reason(apart.crm) == ("RF020", "the other node has no such entity")
    others_flow(apart)
    assert apart.crm.sql("select held_attempts from rowferry.entities where name = 'notes'") == [{"held_attempts": 1}]
    # It is told at once that the table is there, and does not wait for its time.
    apart.billing.sql(f"{NOTES}; select rowferry.attach('notes')")
    others_flow(apart)
    assert rows(apart.billing, "select * from notes") == ["(1,a,x)"]
    assert waiting(apart.crm) == []


@pytest.mark.case(57)
@pytest.mark.parametrize("where", ["source", "target"])
def test_a_column_that_is_renamed_or_dropped_stops_its_table_and_no_other(apart: Nodes, where: str) -> None:
    for node in apart:
        node.sql(f"{NOTES}; select rowferry.attach('notes')")
    apart.crm.sql("insert into notes values (1, 'a', 'x')")
    sync(*apart)
    apart.crm.sql("update notes set body = 'b'")
    changed = apart.crm if where == "source" else apart.billing
    changed.sql("alter table notes rename extra to other")
    others_flow(apart)
    sqlstate, message = reason(apart.crm)
    assert (sqlstate, "extra" in message) == ("RF020", True), message
    assert rows(apart.billing, "select * from notes") == ["(1,a,x)"]
    changed.sql("alter table notes rename other to extra")
    advance(apart, 20)
    others_flow(apart)
    assert rows(apart.billing, "select * from notes") == ["(1,b,x)"]
    assert waiting(apart.crm) == []


APART = {
    "a label that the enum lacks": (
        "create type mood as enum ('sad', 'ok'{more}); create table notes (id int primary key, v mood)",
        ", 'glad'",
        "'ok'",
        "'glad'",
        "22P02",
        'invalid input value for enum mood: "glad"',
        "alter type mood add value 'glad'",
    ),
    "a type that is narrower": (
        "create table notes (id int primary key, v {more})",
        "bigint",
        "7",
        "5000000000",
        "22003",
        'value "5000000000" is out of range for type integer',
        "alter table notes alter v type bigint; select rowferry.attach('notes')",
    ),
    "a text that is shorter": (
        "create table notes (id int primary key, v varchar{more})",
        "",
        "'abc'",
        "'abcd'",
        "22003",
        "a value does not fit its column on the other node without loss",
        "alter table notes alter v type varchar; select rowferry.attach('notes')",
    ),
    "a domain that allows less": (
        "create domain wage as int{more}; create table notes (id int primary key, v wage)",
        "",
        "5",
        "500",
        "23514",
        'value for domain wage violates check constraint "low"',
        "alter domain wage drop constraint low",
    ),
    "a check": (
        "create table notes (id int primary key, v int{more})",
        "",
        "5",
        "500",
        "23514",
        'new row for relation "notes" violates check constraint "low"',
        "alter table notes drop constraint low",
    ),
    "a not null": (
        "create table notes (id int primary key, v int{more})",
        "",
        "5",
        "null",
        "23502",
        'null value in column "v" of relation "notes" violates not-null constraint',
        "alter table notes alter v drop not null",
    ),
}
NARROW = {
    "a label that the enum lacks": "",
    "a type that is narrower": "int",
    "a text that is shorter": "(3)",
    "a domain that allows less": " constraint low check (value < 100)",
    "a check": " constraint low check (v < 100)",
    "a not null": " not null",
}


@pytest.mark.case(57, 45)
@pytest.mark.parametrize("case", APART)
def test_a_value_that_the_other_nodes_schema_does_not_take_waits_for_it_alone(apart: Nodes, case: str) -> None:
    table, wide, fits, refused, sqlstate, message, migration = APART[case]
    for node, more in ((apart.crm, wide), (apart.billing, NARROW[case])):
        node.sql(f"{table.format(more=more)}; select rowferry.attach('notes')")
    apart.crm.sql(f"insert into notes values (1, {fits}), (2, {refused}), (3, {fits})")
    others_flow(apart)
    assert rows(apart.billing, "select id from notes") == ["(1)", "(3)"]
    assert waiting(apart.crm) == [f"insert notes 2 {sqlstate}"]
    assert reason(apart.crm)[1].startswith(message), reason(apart.crm)
    apart.billing.sql(migration)
    advance(apart, 400)
    others_flow(apart)
    assert waiting(apart.crm) == []
    assert rows(apart.billing, "select * from notes") == rows(apart.crm, "select * from notes")


@pytest.mark.case(57)
def test_a_new_column_that_is_not_kept_in_sync_stops_nothing(apart: Nodes) -> None:
    for node in apart:
        node.sql(f"{NOTES}; select rowferry.attach('notes')")
    apart.billing.sql("alter table notes add column own text default 'mine'")
    apart.crm.sql("insert into notes values (1, 'a', 'x')")
    sync(*apart)
    assert rows(apart.billing, "select * from notes") == ["(1,a,x,mine)"]
    apart.billing.sql("update notes set own = 'changed', body = 'b'")
    sync(*apart)
    assert rows(apart.crm, "select * from notes") == ["(1,b,x)"]
    apart.crm.sql("update notes set body = 'c'")
    sync(*apart)
    assert rows(apart.billing, "select * from notes") == ["(1,c,x,changed)"]


@pytest.mark.case(57)
def test_a_column_without_a_default_that_only_the_other_node_requires_holds_new_rows(apart: Nodes) -> None:
    for node in apart:
        node.sql(f"{NOTES}; select rowferry.attach('notes')")
    apart.crm.sql("insert into notes values (1, 'a', 'x')")
    sync(*apart)
    apart.billing.sql(
        "alter table notes add column own text; update notes set own = 'y'; alter table notes alter own set not null"
    )
    apart.crm.sql("insert into notes values (2, 'b', 'x')")
    others_flow(apart)
    assert reason(apart.crm)[0] == "23502"
    apart.billing.sql("alter table notes alter own set default 'z'")
    advance(apart, 400)
    others_flow(apart)
    assert rows(apart.billing, "select * from notes") == ["(1,a,x,y)", "(2,b,x,z)"]
    assert waiting(apart.crm) == []


@pytest.mark.case(55)
def test_a_database_of_another_encoding_is_refused(nodes: Nodes) -> None:
    latin = Node("crm", nodes.crm.server, f"latin_{next(NUMBERS)}")
    nodes.crm.sql(f"create database {latin.database} template template0 encoding 'LATIN1' locale 'C'")
    try:
        with pytest.raises(pytest.fail.Exception, match="UTF8"):
            alembic({**nodes.env, "ROWFERRY_NODE_CRM": latin.conninfo}, "-x", "node=crm", "upgrade", "head")
        with pytest.raises(psycopg.Error):
            latin.sql("select * from rowferry.process_batch()")
    finally:
        nodes.crm.sql(f"drop database {latin.database} with (force)")


@pytest.mark.case(57)
def test_attach_again_fits_the_functions_to_a_column_of_another_type_and_to_nothing_less(apart: Nodes) -> None:
    for node in apart:
        node.sql(f"{NOTES}; select rowferry.attach('notes')")
    again = "select rowferry.attach('notes', p_dry_run => true)"
    assert apart.crm.sql(again) == []
    apart.crm.sql("alter table notes alter body type varchar(5)")
    statements = [row["attach"] for row in apart.crm.sql(again)]
    made = {statement.split("(")[0].split(".")[-1] for statement in statements if statement.startswith("create")}
    assert made == {"altered_notes", "apply_notes", "differing_notes", "hash_notes"}
    assert len(statements) == 6
    assert "set column_types = '{\"character varying(5)\",text,integer}'" in statements[1]
    apart.crm.sql("select rowferry.attach('notes')")
    apart.billing.sql("insert into notes values (1, 'abcdef')")
    sync(*apart)
    assert reason(apart.billing)[0] == "22003"
