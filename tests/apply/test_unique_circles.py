"""A circle of unique values that does not fit into one batch.

Each row of it wants the value of the next one, so it arrives as a whole or not at all.
"""

from pathlib import Path

import pytest

from harness import Nodes, wait_until
from harness.clock import stop_clocks
from harness.exchange import assert_equal, rows, sync, waiting
from harness.worker import worker

NOTE = "note text"
TABLES = {
    "deferrable": f"create table items (id int primary key, place int not null unique deferrable, {NOTE})",
    "deferred": f"create table items (id int primary key, place int not null unique deferrable initially deferred, {NOTE})",
    "may be null": f"create table items (id int primary key, place int unique, {NOTE})",
}
ROTATE = """
    begin; set constraints all deferred;
    update items set place = 1 + place % {n} where id <= {n}; commit"""
ROTATE_NULL = "update items set place = -place where id <= {n}; update items set place = 1 + (-place) % {n} where id <= {n}"


def attached(nodes: Nodes, table: str, count: int, limit: int) -> None:
    for node in nodes:
        node.sql(f"{table}; select rowferry.attach('items')")
    nodes.crm.sql(f"insert into items select n, n from generate_series(1, {count}) n")
    sync(*nodes)
    for node in nodes:
        node.sql(f"update rowferry.links set batch_limit = {limit}")


@pytest.mark.parametrize(("rotated", "limit"), [(4, 3), (4, 1), (100, 10)])
@pytest.mark.parametrize("kind", TABLES)
def test_a_circle_that_the_limit_of_a_batch_cuts_arrives(nodes: Nodes, kind: str, rotated: int, limit: int) -> None:
    attached(nodes, TABLES[kind], 200, limit)
    stop_clocks(nodes)  # how soon a row goes again depends on how long ago it was refused
    nodes.crm.sql((ROTATE if "defer" in kind else ROTATE_NULL).format(n=rotated))
    nodes.crm.sql("update items set note = 'other' where id > 150")
    sync(*nodes)
    assert waiting(nodes.crm) == []
    assert len(assert_equal(nodes, "items")) == 200


def test_rows_that_exchange_values_of_two_columns_arrive(nodes: Nodes) -> None:
    """Each row waits for two others."""
    attached(nodes, "create table items (id int primary key, place int unique, note int unique deferrable)", 200, 3)
    nodes.crm.sql("update items set note = id")
    sync(*nodes)
    for node in nodes:
        node.sql("update rowferry.links set batch_limit = 3")
    nodes.crm.sql(ROTATE_NULL.format(n=20))
    nodes.crm.sql("begin; set constraints all deferred; update items set note = 21 - id where id <= 20; commit")
    sync(*nodes)
    assert waiting(nodes.crm) == []
    assert len(assert_equal(nodes, "items")) == 200


@pytest.mark.parametrize("limit", [1, 3, 100])
def test_a_circle_that_cannot_be_written_is_held_with_the_line_that_lets_it_arrive(nodes: Nodes, limit: int) -> None:
    """Also where no batch held all of it at first."""
    table = f"create table items (id int primary key, place int not null, {NOTE}); alter table items add unique (place)"
    attached(nodes, table, 200, limit)
    nodes.crm.sql("update items set place = -place where id <= 4; update items set place = 1 - place % 4 where id <= 4")
    nodes.crm.sql("update items set note = 'other' where id > 150")
    sync(*nodes)
    assert {event.split()[2] for event in waiting(nodes.crm)} == {"1", "2", "3", "4"}
    hints = {row["hint"] for row in nodes.crm.sql("select hint from rowferry.held_events")}
    [hint] = hints
    there, _, here = hint.partition(" then here: ")
    assert there.startswith("alter table public.items drop constraint items_place_key, add constraint")
    nodes.billing.sql(there)
    nodes.crm.sql(here)
    sync(*nodes)
    assert waiting(nodes.crm) == []
    assert len(assert_equal(nodes, "items")) == 200


def test_a_bad_row_in_a_circle_keeps_the_circle_back_and_no_other(nodes: Nodes) -> None:
    attached(nodes, TABLES["deferrable"] + "; alter table items add check (note <> 'bad' or current_database() ~ 'crm')", 200, 3)
    nodes.crm.sql(ROTATE.format(n=10))
    nodes.crm.sql("update items set note = 'bad' where id = 7; update items set note = 'other' where id > 150")
    sync(*nodes)
    assert {event.split()[2] for event in waiting(nodes.crm)} == {str(n) for n in range(1, 11)}
    nodes.crm.sql("update items set note = 'good' where id = 7; select rowferry.retry('items')")
    sync(*nodes)
    assert waiting(nodes.crm) == []
    assert len(assert_equal(nodes, "items")) == 200


def test_a_circle_that_takes_too_long_keeps_no_other_row_back(nodes: Nodes, tmp_path: Path) -> None:
    """The other node cannot write all of it in the time of one call."""
    for node in nodes:
        node.sql("create table others (id int primary key); select rowferry.attach('others')")
    attached(nodes, TABLES["deferrable"], 40, 500)
    # All 40 rows take 1.2 s, and a call has 0.7 s.
    nodes.billing.sql("""
        create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(0.03); return new; end $$;
        create trigger slow before update on items for each row execute function slow();
        alter table items enable always trigger slow; select rowferry.attach('items')""")
    nodes.crm.sql(ROTATE.format(n=40))
    with worker(nodes, tmp_path / "log", "--interval", "0.1"):
        late = "select count(*) from rowferry.held_events where sqlstate = '57014'"
        wait_until(lambda: rows(nodes.crm, late) == ["(40)"], 60, "all of it was tried, and ran out of time")
        nodes.crm.sql("insert into others select generate_series(1, 10)")
        wait_until(lambda: len(rows(nodes.billing, "select * from others")) == 10, 20, "others arrive")
        nodes.billing.sql("alter table items disable trigger slow; select rowferry.attach('items')")
        nodes.crm.sql("select rowferry.retry('items')")
        wait_until(lambda: waiting(nodes.crm) == [], 20, "the circle arrives once it is fast enough")
    assert len(assert_equal(nodes, "items")) == 40
