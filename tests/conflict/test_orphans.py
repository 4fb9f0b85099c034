"""A row whose parent the other side deleted meanwhile: what each orphan rule makes of it, and of a key that cascades."""

import pytest

from harness import Node, Nodes, wait_until
from harness.clock import stop_clocks
from harness.courier import Courier
from harness.exchange import rows, sync, waiting


def install(nodes: Nodes, rule: str, action: str = "") -> None:
    for node in nodes:
        node.sql(f"""
            create table parents (id integer primary key, name text);
            create table children (id integer primary key, parent_id integer references parents {action}, name text);
            select rowferry.attach('parents');
            select rowferry.attach('children', p_orphan_rule => '{rule}')""")
    nodes.crm.sql("insert into parents values (1, 'first'), (2, 'second'); insert into children values (20, 2, 'of second')")
    sync(*nodes)


def conflicts(node: Node) -> list[tuple[str, ...]]:
    query = """
        select entity, record_id, rule, winner, winner_row ->> 'name' as won, loser_row ->> 'name' as lost
        from rowferry.conflicts order by id"""
    return [tuple(row.values()) for row in node.sql(query)]


def rest(nodes: Nodes) -> None:
    wait_until(lambda: sync(*nodes) and not waiting(nodes.crm) + waiting(nodes.billing), 15, "nothing is left to deliver")


PARENTS = "select * from parents"
CHILDREN = "select * from children"


@pytest.mark.case(44)
@pytest.mark.parametrize("deleter", ["crm", "billing"])
@pytest.mark.parametrize("limit", [None, 1])
@pytest.mark.parametrize(
    "change", ["insert into children values (10, 1, 'new')", "update children set parent_id = 1 where id = 20"]
)
def test_drop_gives_up_the_row(nodes: Nodes, deleter: str, limit: int | None, change: str) -> None:
    install(nodes, "drop")
    here, there = (nodes.crm, nodes.billing) if deleter == "crm" else (nodes.billing, nodes.crm)
    here.sql("delete from parents where id = 1")
    there.sql(change)
    there.sql("update parents set name = 'changed' where id = 2")
    sync(*nodes, limit=limit)
    rest(nodes)
    for node in nodes:
        assert rows(node, PARENTS) == ["(2,changed)"]
        assert rows(node, CHILDREN) == ['(20,2,"of second")']
        new = "insert" in change
        assert conflicts(node) == [
            ("children", "10" if new else "20", "drop", deleter, None if new else "of second", "new" if new else "of second")
        ]
    given_up = there.sql("select entity, requested_by, reason from rowferry.skips")
    assert given_up == [
        {"entity": "children", "requested_by": "orphan rule drop", "reason": f"its parent was deleted on {deleter}"}
    ]


@pytest.mark.case(44)
@pytest.mark.parametrize("newer", ["crm", "billing"])
@pytest.mark.parametrize("limit", [None, 1])
def test_a_row_whose_parents_each_side_deleted_is_dropped_without_end_to_the_questions(
    nodes: Nodes, newer: str, limit: int | None
) -> None:
    """Each node moved the row to the parent that the other one deleted: the answer to a row given up is an orphan too."""
    install(nodes, "drop")
    nodes.crm.sql("insert into parents values (3, 'third')")
    sync(*nodes)
    moves = {
        "crm": "update children set parent_id = 1; delete from parents where id in (2, 3)",
        "billing": "update children set parent_id = 3; delete from parents where id in (1, 2)",
    }
    for node in sorted(nodes, key=lambda node: node.name == newer):
        node.sql(moves[node.name])
    sync(*nodes, limit=limit)
    rest(nodes)
    for node in nodes:
        assert rows(node, PARENTS) == rows(node, CHILDREN) == []
        kept = node.sql("select loser_row ->> 'parent_id' as parent from rowferry.conflicts where rule = 'drop'")
        assert {row["parent"] for row in kept} == {"1", "3"}


@pytest.mark.case(44)
@pytest.mark.parametrize("deleter", ["crm", "billing"])
@pytest.mark.parametrize("limit", [None, 1])
@pytest.mark.parametrize("action", ["", "on delete restrict"])
def test_revive_brings_the_parent_back(nodes: Nodes, deleter: str, limit: int | None, action: str) -> None:
    install(nodes, "revive", action)
    here, there = (nodes.crm, nodes.billing) if deleter == "crm" else (nodes.billing, nodes.crm)
    here.sql("delete from parents where id = 1")
    there.sql("insert into children values (10, 1, 'new')")
    sync(*nodes, limit=limit)
    rest(nodes)
    for node in nodes:
        assert rows(node, PARENTS) == ["(1,first)", "(2,second)"]
        assert rows(node, CHILDREN) == ["(10,1,new)", '(20,2,"of second")']
        assert conflicts(node) == [("parents", "1", "revive", there.name, "first", None)]


@pytest.mark.case(44)
@pytest.mark.parametrize("action", ["", "on delete restrict"])
def test_hold_keeps_both_changes_for_a_person(nodes: Nodes, action: str) -> None:
    """From PostgreSQL 18 on, ON DELETE RESTRICT has an SQLSTATE of its own."""
    install(nodes, "hold", action)
    nodes.crm.sql("delete from parents where id = 1")
    nodes.billing.sql("insert into children values (10, 1, 'new'); update parents set name = 'changed' where id = 2")
    sync(*nodes)
    assert waiting(nodes.crm) == ["delete parents 1 23503"]
    assert waiting(nodes.billing) == ["insert children 10 23503"]
    assert rows(nodes.crm, PARENTS) == ["(2,changed)"]
    for node in nodes:
        assert all(row["hint"] for row in node.sql("select hint from rowferry.sync_events"))
    nodes.billing.sql("delete from children where id = 10")
    rest(nodes)
    assert [rows(node, PARENTS) for node in nodes] == [["(2,changed)"]] * 2


@pytest.mark.case(44)
def test_a_row_that_stays_as_it_is_here_is_decided_although_its_other_version_is_an_orphan(nodes: Nodes) -> None:
    """It comes together with an orphan that is held: the newer change of this node decides it, and only the orphan is held."""
    install(nodes, "hold")
    nodes.billing.sql("update children set parent_id = 1 where id = 20; insert into children values (10, 1, 'new')")
    nodes.crm.sql("delete from parents where id = 1; update children set name = 'newer' where id = 20")
    courier = Courier(nodes)
    _, billing = courier.meet(nodes)
    answer = courier.call(nodes.crm, billing)
    assert (answer["refused"], answer["conflicts"]) == (1, 1)
    sync(*nodes)
    assert waiting(nodes.crm) == ["delete parents 1 23503"]
    assert waiting(nodes.billing) == ["insert children 10 23503"]
    assert rows(nodes.crm, CHILDREN) == ["(20,2,newer)"]
    assert rows(nodes.billing, CHILDREN) == ["(10,1,new)", "(20,2,newer)"]


@pytest.mark.parametrize("rule", ["drop", "revive"])
def test_no_rule_is_asked_where_nothing_crossed(nodes: Nodes, rule: str) -> None:
    """A parent and its rows deleted together, and one whose parent comes in a later batch: refused, never given up."""
    install(nodes, rule)
    nodes.crm.sql("insert into parents values (3, 'third'); insert into children values (30, 3, 'of third')")
    sync(*nodes)
    with nodes.crm.connect() as late, nodes.crm.connect() as early:
        for connection in (late, early):
            connection.execute("begin")
        late.execute("insert into parents values (4, 'fourth')")
        early.execute("delete from children where id = 30")
        early.execute("delete from parents where id = 3")
        late.execute("insert into children values (40, 4, 'of fourth')")
        early.execute("commit")
        courier = Courier(nodes)
        courier.meet(nodes)
        late.execute("commit")
    sync(*nodes, limit=1)
    rest(nodes)
    for node in nodes:
        assert rows(node, PARENTS) == ["(1,first)", "(2,second)", "(4,fourth)"]
        assert rows(node, CHILDREN) == ['(20,2,"of second")', '(40,4,"of fourth")']
        assert conflicts(node) == []
        assert node.sql("select from rowferry.skips") == []


@pytest.mark.parametrize("rule", ["drop", "revive"])
def test_a_deleted_parent_that_was_made_again_knowing_of_it_is_no_crossing(nodes: Nodes, rule: str) -> None:
    """Its new version is refused for a time: so is its row, and neither is given up."""
    install(nodes, rule)
    refuse = "alter table parents add constraint refuse check (name <> 'again')"
    nodes.billing.sql(f"delete from parents where id = 1; {refuse}")
    courier = Courier(nodes)
    _, billing = courier.meet(nodes)
    courier.call(nodes.crm, billing)
    nodes.crm.sql("insert into parents values (1, 'again'); insert into children values (10, 1, 'new')")
    assert courier.call(nodes.billing, courier.call(nodes.crm)["envelope"])["refused"] == 2
    sync(*nodes)
    assert nodes.crm.sql("select from rowferry.skips") == []
    assert waiting(nodes.crm) == ["insert parents 1 23514", "insert children 10 23503"]
    nodes.billing.sql("alter table parents drop constraint refuse")
    nodes.crm.sql("select rowferry.retry(id) from rowferry.sync_events")
    rest(nodes)
    assert [rows(node, PARENTS) for node in nodes] == [["(1,again)", "(2,second)"]] * 2


def test_a_row_that_changed_again_is_not_given_up(nodes: Nodes) -> None:
    """Its sender gives a refused row up only as it was refused: moved to another parent meanwhile, it is delivered."""
    install(nodes, "drop")
    nodes.crm.sql("delete from parents where id = 1")
    nodes.billing.sql("insert into children values (10, 1, 'new')")
    courier = Courier(nodes)
    _, billing = courier.meet(nodes)
    answer = courier.call(nodes.crm, billing)["envelope"]
    nodes.billing.sql("update children set parent_id = 2 where id = 10")
    courier.call(nodes.billing, answer)
    assert nodes.billing.sql("select from rowferry.skips") == []
    rest(nodes)
    for node in nodes:
        assert rows(node, PARENTS) == ["(2,second)"]
        assert rows(node, CHILDREN) == ["(10,2,new)", '(20,2,"of second")']


@pytest.mark.case(44)
@pytest.mark.parametrize("rule", ["hold", "drop", "revive"])
@pytest.mark.parametrize("deleter", ["crm", "billing"])
def test_a_cascade_takes_the_row_but_not_its_memory(nodes: Nodes, rule: str, deleter: str) -> None:
    """Where the foreign key itself cascades it has decided; the row that went is kept on both nodes and can be brought back."""
    install(nodes, rule, "on delete cascade")
    here, there = (nodes.crm, nodes.billing) if deleter == "crm" else (nodes.billing, nodes.crm)
    here.sql("delete from parents where id in (1, 2)")
    there.sql("insert into children values (10, 1, 'new'), (11, 1, 'newer')")
    sync(*nodes)
    rest(nodes)
    for node in nodes:
        assert rows(node, PARENTS) == rows(node, CHILDREN) == []
        assert {row[:2] + row[3:] for row in conflicts(node)} == {
            ("children", "10", deleter, None, "new"),
            ("children", "11", deleter, None, "newer"),
        }
        assert {row[2] for row in conflicts(node)} == ({"cascade", "drop"} if rule == "drop" else {"cascade"})
    here.sql("insert into parents values (1, 'again')")
    here.sql("select rowferry.let_loser_win(id) from rowferry.conflicts where record_id = '10' and rule = 'cascade'")
    sync(*nodes)
    assert [rows(node, CHILDREN) for node in nodes] == [["(10,1,new)"]] * 2


@pytest.mark.case(44)
def test_a_row_that_won_and_goes_in_a_cascade_of_the_same_batch_is_kept(nodes: Nodes) -> None:
    """Its key is in the batch, but it is not what the batch writes."""
    install(nodes, "hold", "on delete cascade")
    nodes.billing.sql("update children set parent_id = 1, name = 'older' where id = 20; delete from parents where id = 2")
    nodes.crm.sql("update children set name = 'newer' where id = 20")
    courier = Courier(nodes)
    _, billing = courier.meet(nodes)
    courier.call(nodes.crm, billing)
    rest(nodes)
    for node in nodes:
        assert rows(node, CHILDREN) == []
        assert ("children", "20", "cascade", "billing", None, "newer") in conflicts(node)


def test_a_delete_that_waits_for_its_children_is_not_taken_for_a_crossing(nodes: Nodes) -> None:
    """A child that both sides know keeps its parent's delete waiting, under `revive` too: nothing is given up."""
    install(nodes, "revive")
    nodes.billing.sql("""
        create function keep() returns trigger language plpgsql as $$ begin raise exception 'kept'; end $$;
        create trigger keep before delete on children for each row execute function keep();
        alter table children enable always trigger keep""")
    nodes.crm.sql("delete from children where id = 20; delete from parents where id = 2")
    sync(*nodes)
    assert waiting(nodes.crm) == ["delete children 20 P0001", "delete parents 2 23503"]
    assert nodes.crm.sql("select from rowferry.skips") == []
    nodes.billing.sql("drop trigger keep on children")
    nodes.crm.sql("select rowferry.retry(id) from rowferry.sync_events")
    rest(nodes)
    assert [rows(node, PARENTS) for node in nodes] == [["(1,first)"]] * 2


@pytest.mark.parametrize("rule", ["drop", "revive"])
def test_what_a_foreign_key_held_goes_on_as_soon_as_the_other_row_has_moved(nodes: Nodes, rule: str) -> None:
    """No back-off is waited for: the clock stands still."""
    install(nodes, rule)
    stop_clocks(nodes)
    nodes.crm.sql("delete from parents where id = 1")
    nodes.billing.sql("insert into children values (10, 1, 'new')")
    for _ in range(5):
        sync(*nodes)
    assert waiting(nodes.crm) + waiting(nodes.billing) == []


@pytest.mark.case(44)
def test_a_backfilled_orphan_is_given_up_for_the_row_as_the_other_side_has_it(nodes: Nodes) -> None:
    """Its stamp is as old as an answer's, but nobody has asked: the row of the node that deleted the parent takes its place."""
    install(nodes, "drop")
    trigger = "trigger rowferry_capture_update"
    nodes.crm.sql(
        f"alter table children disable {trigger}; update children set parent_id = 1 where id = 20;"
        f"alter table children enable always {trigger}; select rowferry.backfill('children')"
    )
    nodes.billing.sql("delete from parents where id = 1")
    sync(*nodes)
    rest(nodes)
    assert [rows(node, CHILDREN) for node in nodes] == [['(20,2,"of second")']] * 2


def typed(here: Node, there: Node) -> tuple[str, str]:
    """The lines of why_stuck() for an orphan that both nodes hold: on the deleting node, and on the one with the child."""
    for _ in range(3):
        sync(here, there)
    [deleted] = here.sql("select cause, type_next from rowferry.why_stuck() where severity = 'warning'")
    [missing] = there.sql("select cause, type_next from rowferry.why_stuck() where severity = 'warning'")
    assert f"{here.name} deleted parents 1, and {there.name} made or changed children 10, which refers to it" in deleted["cause"]
    assert f"parents 1 was deleted on {here.name}, and rows here that refer to it" in missing["cause"]
    return deleted["type_next"], missing["type_next"]


@pytest.mark.case(44)
@pytest.mark.parametrize("deleter", ["crm", "billing"])
@pytest.mark.parametrize("wish", ["keep", "give up"])
def test_who_looks_at_an_orphan_that_is_held_is_told_the_line_for_either_wish(nodes: Nodes, deleter: str, wish: str) -> None:
    install(nodes, "hold")
    here, there = (nodes.crm, nodes.billing) if deleter == "crm" else (nodes.billing, nodes.crm)
    here.sql("delete from parents where id = 1")
    there.sql("insert into children values (10, 1, 'new')")
    sync(*nodes)
    keep, give_up = typed(here, there)
    if wish == "keep":
        here.sql(keep)
    else:
        there.sql(give_up.partition(" here what refers to it: ")[2])
    rest(nodes)
    for node in nodes:
        kept = wish == "keep"
        assert rows(node, PARENTS) == (["(1,first)"] if kept else []) + ["(2,second)"]
        assert rows(node, CHILDREN) == (["(10,1,new)"] if kept else []) + ['(20,2,"of second")']
        assert node.sql("select * from rowferry.why_stuck() where severity = 'warning'") == []


@pytest.mark.case(44)
def test_who_looks_at_many_orphans_is_told_of_each_in_turn_and_the_line_fits_keys_of_any_kind(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("""
            create table parents (a text, "B" integer, primary key (a, "B"));
            create table children (id integer primary key, "p B" integer, pa text,
              foreign key (pa, "p B") references parents (a, "B"));
            select rowferry.attach('parents'), rowferry.attach('children')""")
    nodes.crm.sql("""insert into parents select 'it''s', n from generate_series(1, 300) n""")
    sync(*nodes)
    nodes.crm.sql("""delete from parents where "B" > 1""")
    nodes.billing.sql("""insert into children select n, n, 'it''s' from generate_series(1, 300) n""")
    many = "select * from rowferry.why_stuck() where cause like '299 records of parents were deleted on crm, the first is %'"
    wait_until(lambda: sync(*nodes) or nodes.billing.sql(many), 30, "all children are held")
    [cause] = nodes.billing.sql(many)
    nodes.billing.sql(cause["type_next"].partition(" here what refers to it: ")[2])
    assert len(rows(nodes.billing, "select * from children")) == 299


@pytest.mark.case(44)
@pytest.mark.parametrize("wish", ["delete", "keep"])
def test_a_delete_that_a_table_outside_of_the_sync_refuses_names_this_table(nodes: Nodes, wish: str) -> None:
    install(nodes, "hold")
    nodes.billing.sql("""create table points (parent_id integer references parents); insert into points values (1)""")
    nodes.crm.sql("delete from parents where id = 1")
    sync(*nodes)
    [cause] = nodes.crm.sql("select cause, type_next from rowferry.why_stuck() where severity = 'warning'")
    assert "points on billing, which is not kept in sync, has a row that refers to it" in cause["cause"]
    retry, _, keep = cause["type_next"].partition(" or keep parents 1, whose row comes back: ")
    assert "once no row of points on billing refers to it" in retry.replace("public.", "")
    if wish == "delete":
        nodes.billing.sql("delete from points")
    nodes.crm.sql(retry if wish == "delete" else keep)
    rest(nodes)
    for node in nodes:
        assert rows(node, PARENTS) == (["(1,first)"] if wish == "keep" else []) + ["(2,second)"]
