"""What the constraints and triggers of the target make of rows that arrive: both nodes end equal, or say why not."""

from __future__ import annotations

import pytest

from harness import Nodes
from harness.cases import at_rest, conflicts, keep_first_note, make, tried_again
from harness.exchange import assert_equal, rows, sync, waiting


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    return keep_first_note(nodes)


@pytest.mark.case(43)
@pytest.mark.parametrize("taken", ["one value", "two values of two rows"])
def test_a_unique_value_given_out_on_both_sides_holds_both_rows_and_no_other(nodes: Nodes, taken: str) -> None:
    make(nodes, "create table places (id integer primary key, code integer unique, label text unique)", "places")
    nodes.crm.sql("insert into places values (1, 7, 'x'), (10, 10, 'flows')")
    both = taken != "one value"
    nodes.billing.sql(f"insert into places values (2, 7, {'null' if both else repr('y')}), (20, 20, 'flows too')")
    if both:
        nodes.billing.sql("insert into places values (3, null, 'x')")
    for _ in range(4):
        sync(*nodes)
    there = ['(20,20,"flows too")', "(10,10,flows)"]
    for node in nodes:
        assert set(there) <= set(rows(node, "select * from places"))
    assert waiting(nodes.crm) == ["insert places 1 23505"]
    assert waiting(nodes.billing) == ["insert places 2 23505"] + ["insert places 3 23505"] * both
    assert all(row["hint"] for node in nodes for row in node.sql("select hint from rowferry.sync_events"))
    nodes.crm.sql("update places set code = 100, label = 'z' where id = 1")
    tried_again(nodes)
    tried_again(nodes)
    assert len(assert_equal(nodes, "places")) == (5 if both else 4)
    at_rest(nodes)


@pytest.mark.case(43)
@pytest.mark.parametrize("limit", [1, 500])
def test_a_unique_value_handed_along_three_rows_arrives(nodes: Nodes, limit: int) -> None:
    make(nodes, "create table places (id integer primary key, rank integer unique)", "places")
    nodes.crm.sql("insert into places values (1, 1), (2, 2), (3, 3), (4, 4)")
    sync(*nodes)
    for query in ("id = 3", "id = 2", "id = 1"):
        nodes.crm.sql(f"update places set rank = rank + 1 + (id = 3)::integer * 10 where {query}")
    sync(*nodes, limit=limit)
    tried_again(nodes)
    assert assert_equal(nodes, "places") == ["(1,2)", "(2,3)", "(3,14)", "(4,4)"]
    at_rest(nodes)


@pytest.mark.promise("R8", "R10")
@pytest.mark.case(45)
@pytest.mark.parametrize(
    ("refusing", "sqlstate"),
    [
        ("alter table things add check (value <> 13)", "23514"),
        ("alter table things alter note set not null", "23502"),
        (
            "insert into things values (0, 13, 'x', '[0,9)');"
            "alter table things add exclude using gist (span with &&) where (value = 13)",
            "23P01",
        ),
        ("create domain small as integer check (value <> 13); alter table things alter value type small", "23514"),
    ],
)
def test_a_row_that_only_the_peer_refuses_is_found_among_many(nodes: Nodes, refusing: str, sqlstate: str) -> None:
    make(nodes, "create table things (id integer primary key, value integer, note text, span int4range)")
    nodes.billing.sql(refusing)
    make(nodes, "", "things")
    nodes.crm.sql(
        "insert into things select i, case i when 77 then 13 else i + 100 end, case i when 77 then null else 'n' end, '[1,2)'"
        " from generate_series(1, 200) i"
    )
    for _ in range(3):
        sync(*nodes)
    assert nodes.billing.sql("select count(*) as n from things where id > 0") == [{"n": 199}]
    assert waiting(nodes.crm) == [f"insert things 77 {sqlstate}"]
    [status] = nodes.crm.sql("select state, held, reason from rowferry.status")
    assert (status["state"], status["held"]) == ("held", 1)
    assert "refused by billing" in status["reason"]


@pytest.mark.case(46)
@pytest.mark.parametrize("operation", ["insert", "update", "delete"])
def test_a_write_that_a_trigger_of_the_target_swallows_is_noticed_and_undone(notes: Nodes, operation: str) -> None:
    notes.billing.sql(
        "create function swallow() returns trigger language plpgsql as $$ begin return null; end $$;"
        f"create trigger swallow before {operation} on notes for each row execute function swallow();"
        "alter table notes enable always trigger swallow"
    )
    query = {
        "insert": "insert into notes values (2, 'new')",
        "update": "update notes set body = 'new'",
        "delete": "delete from notes",
    }
    notes.crm.sql(query[operation])
    sync(*notes)
    assert assert_equal(notes) == ["(1,old)"]
    at_rest(notes)
    built = [node.sql("select built from rowferry.links") for node in notes]
    sync(*notes)
    assert [node.sql("select built from rowferry.links") for node in notes] == built


@pytest.mark.case(48)
def test_triggers_on_both_sides_that_write_a_second_table_make_one_row_of_it(notes: Nodes) -> None:
    """Each side's own trigger writes the row, and it is sent as well: one key, so one row."""
    make(notes, "create table log (note integer primary key, text text)", "log")
    for node in notes:
        node.sql(
            "create function log_it() returns trigger language plpgsql as $$ begin"
            " insert into log values (new.id, new.body) on conflict (note) do update set text = excluded.text;"
            " return null; end $$;"
            "create trigger log_it after insert or update on notes for each row execute function log_it();"
            "alter table notes enable always trigger log_it"
        )
    notes.crm.sql("insert into notes select i, 'crm' from generate_series(2, 20) i")
    notes.billing.sql("insert into notes select i, 'billing' from generate_series(21, 40) i")
    notes.billing.sql("update notes set body = 'billing' where id = 1")
    sync(*notes)
    assert len(assert_equal(notes)) == 40
    assert [row.partition(",")[2] for row in assert_equal(notes, "log")] == [row.partition(",")[2] for row in assert_equal(notes)]
    at_rest(notes)
    assert conflicts(notes, "entity") == []
