"""Records both sides changed, rows that depend on each other, rows one side cannot take: both end equal, or say why not."""

from __future__ import annotations

import pytest

from harness import Nodes
from harness.clock import end_back_off, set_clocks, write_at
from harness.courier import Courier
from harness.exchange import rows, sync, waiting
from harness.notes import keep_notes

HOUR, DAY = 3600, 86400
PUT = "insert into notes values (1, '{}') on conflict (id) do update set body = excluded.body"
ROWS = "winner, winner_row ->> 'body' as won, loser_row ->> 'body' as lost"


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes that keep one table in sync, and whose clocks the test sets; row 1 is on both."""
    keep_notes(nodes)
    set_clocks(nodes)
    write_at(nodes.crm, 0, PUT.format("old"))
    sync(*nodes)
    return nodes


def make(nodes: Nodes, query: str, *tables: str) -> None:
    for node in nodes:
        node.sql(query)
        for table in tables:
            node.sql(f"select rowferry.attach('{table}')")


def equal(nodes: Nodes, table: str = "notes") -> list[str]:
    crm, billing = (rows(node, f"select * from {table}") for node in nodes)
    assert crm == billing
    return crm


def conflicts(nodes: Nodes, columns: str = ROWS) -> list[str]:
    """What both nodes have recorded, the same on each."""
    crm, billing = (rows(node, f"select {columns} from rowferry.conflicts") for node in nodes)
    assert crm == billing
    return crm


def at_rest(nodes: Nodes) -> None:
    assert waiting(nodes.crm) + waiting(nodes.billing) == []


def tried_again(nodes: Nodes) -> None:
    """All that is held is tried at once."""
    for node in nodes:
        end_back_off(node)
    sync(*nodes)


# both sides changed a record


@pytest.mark.case(39)
@pytest.mark.parametrize("first", ["crm", "billing"])
@pytest.mark.parametrize(("skew", "winner"), [(-HOUR, "crm"), (0, "crm"), (1, "billing"), (HOUR, "billing")])
def test_of_two_updates_the_newer_stays_whoever_hears_first(notes: Nodes, skew: int, winner: str, first: str) -> None:
    """At equal times the name decides, crm after billing."""
    write_at(notes.crm, DAY, PUT.format("of crm"))
    write_at(notes.billing, DAY + skew, PUT.format("of billing"))
    courier = Courier(notes)
    crm, billing = courier.meet(notes)
    if first == "crm":
        courier.call(notes.crm, billing)
    else:
        courier.call(notes.billing, crm)
    sync(*notes)
    loser = "billing" if winner == "crm" else "crm"
    assert equal(notes) == [f'(1,"of {winner}")']
    assert conflicts(notes) == [f'({winner},"of {winner}","of {loser}")']
    at_rest(notes)


@pytest.mark.case(40)
def test_a_change_is_as_old_as_its_statement_and_not_as_its_transaction(nodes: Nodes) -> None:
    make(nodes, "create table notes (id integer primary key, body text)", "notes")
    nodes.crm.sql(PUT.format("old"))
    sync(*nodes)
    long = nodes.crm.connect(autocommit=False)
    long.execute("select now()")
    nodes.crm.sql(PUT.format("other session"))
    nodes.billing.sql(PUT.format("billing"))
    long.execute("update notes set body = 'last' where id = 1")
    long.commit()
    sync(*nodes)
    assert equal(nodes) == ["(1,last)"]
    assert conflicts(nodes) == ["(crm,last,billing)"]


@pytest.mark.case(41)
@pytest.mark.parametrize("newer", ["crm", "billing"])
@pytest.mark.parametrize(
    ("crm", "billing", "results"),
    [
        ("update notes set body = 'kept'", "delete from notes", {"crm": ["(1,kept)"], "billing": []}),
        ("delete from notes", "update notes set body = 'kept'", {"crm": [], "billing": ["(1,kept)"]}),
        ("delete from notes", "delete from notes", {"crm": [], "billing": []}),
        (
            "delete from notes; insert into notes values (1, 'again')",
            "update notes set body = 'kept'",
            {"crm": ["(1,again)"], "billing": ["(1,kept)"]},
        ),
    ],
)
def test_a_deleted_record_stays_deleted_where_its_deletion_is_newer(
    notes: Nodes, crm: str, billing: str, results: dict[str, list[str]], newer: str
) -> None:
    write_at(notes.crm, DAY + (newer == "crm"), crm)
    write_at(notes.billing, DAY + (newer == "billing"), billing)
    sync(*notes)
    assert equal(notes) == results[newer]
    sync(*notes)
    assert equal(notes) == results[newer]
    at_rest(notes)
    assert len(conflicts(notes)) == (0 if crm == billing else 1)


@pytest.mark.case(41)
@pytest.mark.parametrize("heard", ["before", "between", "after"])
def test_a_record_that_is_deleted_and_made_again_with_delays_is_not_lost(notes: Nodes, heard: str) -> None:
    """crm deletes at 1 and makes it again at 3, billing updates at 2; crm hears of that at some time."""
    courier = Courier(notes)
    crm, billing = courier.meet(notes)
    write_at(notes.billing, DAY + 2, PUT.format("billing"))
    update = courier.call(notes.billing, crm)["envelope"]
    if heard == "before":
        courier.call(notes.crm, update)
    write_at(notes.crm, DAY + 1, "delete from notes")
    deletion = courier.call(notes.crm, billing)["envelope"]
    if heard == "between":
        courier.call(notes.crm, update)
    write_at(notes.crm, DAY + 3, "insert into notes values (1, 'again') on conflict (id) do update set body = excluded.body")
    if heard == "after":
        courier.call(notes.crm, update)
    courier.call(notes.billing, deletion)
    sync(*notes)
    assert equal(notes) == ["(1,again)"]
    at_rest(notes)


@pytest.mark.case(42)
def test_of_two_new_rows_with_one_key_one_stays_and_the_other_is_kept_aside(notes: Nodes) -> None:
    write_at(notes.crm, 2, "insert into notes values (2, 'of crm')")
    write_at(notes.billing, 1, "insert into notes values (2, 'of billing')")
    sync(*notes)
    assert equal(notes) == ["(1,old)", '(2,"of crm")']
    assert conflicts(notes) == ['(crm,"of crm","of billing")']


# unique values


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
    assert len(equal(nodes, "places")) == (5 if both else 4)
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
    assert equal(nodes, "places") == ["(1,2)", "(2,3)", "(3,14)", "(4,4)"]
    at_rest(nodes)


# rows that depend on each other

FAMILY = """
create table parents (id integer primary key, body text);
create table children (id integer primary key, parent integer not null references parents, body text)
"""


@pytest.mark.case(44)
@pytest.mark.parametrize("limit", [1, 2, 7])
def test_children_arrive_whatever_the_size_of_a_batch(nodes: Nodes, limit: int) -> None:
    """Parents are made before, after and between their children's changes, and some change hands: constraints stay on (R10)."""
    make(nodes, FAMILY, "children", "parents")
    for i in range(1, 13):
        nodes.crm.sql(
            f"insert into parents values ({i}, 'new');"
            f"insert into children select {i} * 10 + n, {i}, 'new' from generate_series(1, 3) n"
        )
    nodes.crm.sql("insert into parents values (99, 'last'); update children set parent = 99 where id % 10 = 1")
    sync(*nodes, limit=limit)
    assert (len(equal(nodes, "parents")), len(equal(nodes, "children"))) == (13, 36)
    nodes.crm.sql("update children set parent = 99; delete from parents where id % 2 = 0")
    sync(*nodes, limit=limit)
    assert (len(equal(nodes, "parents")), len(equal(nodes, "children"))) == (7, 36)
    nodes.crm.sql("delete from children; delete from parents")
    sync(*nodes, limit=limit)
    assert (equal(nodes, "parents"), equal(nodes, "children")) == ([], [])
    at_rest(nodes)


@pytest.mark.case(44)
@pytest.mark.parametrize("limit", [1, 500])
@pytest.mark.parametrize("deferrable", ["", "deferrable", "deferrable initially deferred"])
def test_a_tree_in_one_table_arrives_and_goes(nodes: Nodes, deferrable: str, limit: int) -> None:
    make(nodes, f"create table trees (id integer primary key, parent integer references trees {deferrable})", "trees")
    nodes.crm.sql("insert into trees values (9, null), (5, 9), (7, 5), (1, 7), (8, 1)")
    sync(*nodes, limit=limit)
    assert len(equal(nodes, "trees")) == 5
    nodes.crm.sql("update trees set parent = null where id = 1; update trees set parent = 8 where id = 9")
    nodes.crm.sql("delete from trees where id = 7")
    sync(*nodes, limit=limit)
    tried_again(nodes)
    assert equal(nodes, "trees") == ["(1,)", "(5,9)", "(8,1)", "(9,8)"]
    nodes.crm.sql("delete from trees")
    sync(*nodes, limit=limit)
    tried_again(nodes)
    assert equal(nodes, "trees") == []
    at_rest(nodes)


@pytest.mark.case(44)
@pytest.mark.parametrize("limit", [1, 500])
@pytest.mark.parametrize("deferrable", ["deferrable", "deferrable initially deferred"])
def test_two_tables_that_refer_to_each_other_arrive_through_deferred_keys(nodes: Nodes, deferrable: str, limit: int) -> None:
    make(
        nodes,
        "create table teams (id integer primary key, lead integer);"
        f"create table people (id integer primary key, team integer not null references teams {deferrable});"
        f"alter table teams add foreign key (lead) references people {deferrable}",
        "teams",
        "people",
    )
    nodes.crm.sql(
        "begin; set constraints all deferred;"
        "insert into teams values (1, 11), (2, 22); insert into people values (11, 1), (22, 2), (12, 1); commit"
    )
    sync(*nodes, limit=limit)
    tried_again(nodes)
    assert (len(equal(nodes, "teams")), len(equal(nodes, "people"))) == (2, 3)
    nodes.crm.sql(
        "begin; set constraints all deferred; update teams set lead = 12 where id = 1; delete from people where id in (11, 22);"
        "delete from teams where id = 2; commit"
    )
    sync(*nodes, limit=limit)
    tried_again(nodes)
    assert (equal(nodes, "teams"), equal(nodes, "people")) == (["(1,12)"], ["(12,1)"])
    at_rest(nodes)


@pytest.mark.case(44)
def test_rows_come_after_their_parents_and_go_before_them_in_one_attempt(nodes: Nodes) -> None:
    """The table of the children is the first by name; no part of either batch may be tried alone."""
    make(
        nodes,
        "create table owners (id integer primary key);"
        "create table animals (id integer primary key, owner integer not null references owners)",
        "animals",
        "owners",
    )
    nodes.billing.sql("alter function rowferry._apply_parts rename to _missing")
    nodes.crm.sql("insert into owners values (1), (2); insert into animals values (10, 1), (20, 2)")
    sync(*nodes)
    assert (equal(nodes, "owners"), equal(nodes, "animals")) == (["(1)", "(2)"], ["(10,1)", "(20,2)"])
    nodes.crm.sql("delete from animals where id = 10; delete from owners where id = 1")
    sync(*nodes)
    assert (equal(nodes, "owners"), equal(nodes, "animals")) == (["(2)"], ["(20,2)"])
    at_rest(nodes)


@pytest.mark.case(44)
def test_a_row_that_left_a_parent_before_it_was_deleted_keeps_what_only_this_node_has(nodes: Nodes) -> None:
    """Were the parent deleted first, its cascade would take the row, which comes back without the column that does not travel."""
    make(nodes, FAMILY.replace("references parents", "references parents on delete cascade"), "parents", "children")
    nodes.crm.sql("insert into parents values (1, 'old'), (2, 'old'); insert into children values (10, 1, 'old')")
    sync(*nodes)
    nodes.billing.sql("alter table children add column note text; update children set note = 'of billing'")
    nodes.crm.sql("update children set parent = 2; delete from parents where id = 1")
    sync(*nodes)
    assert equal(nodes, "parents") == ["(2,old)"]
    assert rows(nodes.billing, "select * from children") == ['(10,2,old,"of billing")']
    at_rest(nodes)


@pytest.mark.case(43, 44)
@pytest.mark.parametrize("null", ["", "not null"])
def test_a_unique_value_passes_from_a_deleted_row_to_the_one_that_its_children_move_to(nodes: Nodes, null: str) -> None:
    """The new row cannot be written before the old one is deleted, and no row alone."""
    make(
        nodes,
        f"create table places (id integer primary key, rank integer {null} unique);"
        "create table guests (id integer primary key, place integer not null references places deferrable)",
        "places",
        "guests",
    )
    nodes.crm.sql("insert into places values (1, 1); insert into guests values (10, 1)")
    sync(*nodes)
    nodes.crm.sql(
        "begin; update places set rank = 0; insert into places values (2, 1); update guests set place = 2;"
        "delete from places where id = 1; commit"
    )
    sync(*nodes)
    assert (equal(nodes, "places"), equal(nodes, "guests")) == (["(2,1)"], ["(10,2)"])
    at_rest(nodes)


@pytest.mark.case(44)
def test_a_child_whose_parent_was_deleted_over_there_is_held_by_name_until_someone_decides(nodes: Nodes) -> None:
    make(nodes, FAMILY, "parents", "children")
    nodes.crm.sql("insert into parents values (1, 'old'), (2, 'old')")
    sync(*nodes)
    nodes.crm.sql("insert into children values (10, 1, 'new'), (20, 2, 'new')")
    nodes.billing.sql("delete from parents where id = 1")
    for _ in range(3):
        sync(*nodes)
    assert waiting(nodes.crm) == ["insert children 10 23503"]
    assert waiting(nodes.billing) == ["delete parents 1 23503"]
    held = [row for node in nodes for row in node.sql("select last_error, hint from rowferry.sync_events")]
    assert all("children_parent_fkey" in row["last_error"] and row["hint"] for row in held)
    assert rows(nodes.billing, "select * from children") == ["(20,2,new)"]
    nodes.crm.sql("delete from children where id = 10")
    tried_again(nodes)
    tried_again(nodes)
    assert (equal(nodes, "parents"), equal(nodes, "children")) == (["(2,old)"], ["(20,2,new)"])
    at_rest(nodes)


# rows that one side cannot take


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
    assert equal(notes) == ["(1,old)"]
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
    assert len(equal(notes)) == 40
    assert [row.partition(",")[2] for row in equal(notes, "log")] == [row.partition(",")[2] for row in equal(notes)]
    at_rest(notes)
    assert conflicts(notes, "entity") == []


# time


@pytest.mark.case(49)
def test_after_days_apart_everything_arrives(notes: Nodes) -> None:
    for day in range(1, 11):
        write_at(notes.crm, day * DAY, f"insert into notes values ({day * 10}, 'crm {day}'); {PUT.format(f'crm {day}')}")
        late = day * DAY + HOUR
        write_at(notes.billing, late, f"insert into notes values ({day * 10 + 1}, 'new'); {PUT.format(f'billing {day}')}")
    write_at(notes.crm, 3 * DAY, "delete from notes where id = 20")
    for node in notes:
        node.sql(f"update rowferry.links set last_exchange_at = last_exchange_at - interval '{10 * DAY} s'")
    sync(*notes)
    assert len(equal(notes)) == 20
    assert '(1,"billing 10")' in equal(notes)
    assert conflicts(notes) == ['(billing,"billing 10","crm 10")']
    at_rest(notes)


@pytest.mark.case(50)
@pytest.mark.parametrize("writer", ["crm", "billing"])
def test_a_clock_that_jumps_back_loses_no_change(notes: Nodes, writer: str) -> None:
    """The second change of a node is an hour older than its first, and than what it has seen of the other's."""
    node = getattr(notes, writer)
    other = next(n for n in notes if n.name != writer)
    write_at(node, DAY, PUT.format("first"))
    sync(*notes)
    write_at(other, DAY + 60, PUT.format("other"))
    sync(*notes)
    write_at(node, DAY - HOUR, PUT.format("after the jump"))
    sync(*notes)
    assert equal(notes) == ['(1,"after the jump")']
    assert conflicts(notes) == []


@pytest.mark.case(50)
def test_summer_time_and_zones_do_not_matter(nodes: Nodes) -> None:
    """The writers' zones are 26 hours apart, and the later change stands in the hour that the clocks repeat."""
    make(nodes, "create table notes (id integer primary key, body text)", "notes")
    set_clocks(nodes)
    # 01:30 in New York came twice on that day, at -04 and at -05; there it was 06:30 of the next day in Kiritimati.
    write_at(nodes.crm, "2026-11-01 05:31:00+00", f"set timezone = 'Pacific/Kiritimati'; {PUT.format('looks later')}")
    write_at(nodes.billing, "2026-11-01 01:30:00-05", f"set timezone = 'America/New_York'; {PUT.format('is later')}")
    sync(*nodes)
    assert equal(nodes) == ['(1,"is later")']
    assert conflicts(nodes) == ['(billing,"is later","looks later")']


@pytest.mark.case(51)
def test_a_stamp_ten_years_ahead_freezes_nothing(notes: Nodes) -> None:
    """It wins one conflict; whoever has seen it changes the record as ever, on either side."""
    write_at(notes.crm, 10 * 365 * DAY, PUT.format("poisoned"))
    write_at(notes.billing, DAY, PUT.format("did not know"))
    sync(*notes)
    assert equal(notes) == ["(1,poisoned)"]
    for turn, node in enumerate((notes.billing, notes.crm, notes.billing)):
        write_at(node, DAY + turn, PUT.format(f"knew {turn}"))
        sync(*notes)
        assert equal(notes) == [f'(1,"knew {turn}")']
    assert conflicts(notes) == ['(crm,poisoned,"did not know")']
