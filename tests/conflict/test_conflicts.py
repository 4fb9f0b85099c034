"""What becomes of changes that both sides made without knowing of each other, by the rules of an entity."""

from pathlib import Path

import psycopg
import pytest

from harness import Node, Nodes, wait_until
from harness.clock import stop_clocks
from harness.courier import Courier
from harness.exchange import rows, sync, waiting
from harness.worker import start_worker

pytestmark = pytest.mark.smoke

MERGE = """
create schema if not exists app;
create table notes (id integer primary key, text text, amount integer not null default 0, tags text[]);
create function app.merge_note(mine notes, theirs notes) returns notes language plpgsql as $$
begin
  if mine.text = 'broken' or theirs.text = 'broken' then
    raise exception 'cannot merge';
  end if;
  if mine is null then
    return theirs;
  elsif theirs is null then
    return null;
  end if;
  mine.text := concat_ws('+', mine.text, theirs.text);
  mine.amount := mine.amount + theirs.amount;
  mine.tags := mine.tags || theirs.tags;
  return mine;
end $$"""


def install(nodes: Nodes, rule: str) -> None:
    for node in nodes:
        node.sql(MERGE)
        node.sql("select rowferry.attach('notes', p_conflict_rule => %s)", [rule])
    nodes.crm.sql("insert into notes values (1, 'first', 0, '{}'), (2, 'second', 0, '{}')")
    sync(*nodes)


def conflicts(node: Node) -> list[tuple[str, ...]]:
    """Record, rule, winner, and the text in the winner's, the loser's and the merged row."""
    query = """
        select record_id, rule, winner, winner_row ->> 'text' as won, loser_row ->> 'text' as lost, merged_row ->> 'text' as made
        from rowferry.conflicts order by id"""
    return [tuple(row.values()) for row in node.sql(query)]


@pytest.mark.parametrize("limit", [None, 1])
def test_the_arbiter_merges_what_both_sides_changed(nodes: Nodes, limit: int | None) -> None:
    install(nodes, "merge:app.merge_note")
    nodes.crm.sql("update notes set text = 'of crm', amount = 1, tags = '{a,NULL}' where id = 1")
    nodes.crm.sql("update notes set text = 'plain' where id = 2")
    nodes.billing.sql("update notes set text = 'of billing', amount = 20, tags = '{\"b,c\"}' where id = 1")
    sync(*nodes, limit=limit)
    for node in nodes:
        assert rows(node, "select * from notes where id = 1") == ['(1,"of billing+of crm",21,"{""b,c"",a,NULL}")']
        assert rows(node, "select text from notes where id = 2") == ["(plain)"]
        assert waiting(node) == []
        assert conflicts(node) == [("1", "merge:app.merge_note", "billing", "of billing", "of crm", "of billing+of crm")]


@pytest.mark.parametrize(
    ("crm", "billing", "merged"),
    [
        ("update notes set text = 'kept' where id = 1", "delete from notes where id = 1", ["(1,kept,0,{})"]),
        ("delete from notes where id = 1", "update notes set text = 'gone' where id = 1", []),
        ("delete from notes where id = 1", "delete from notes where id = 1", []),
        ("insert into notes values (1, 'x') on conflict do nothing", "update notes set text = 'y' where id = 1", ["(1,y,0,{})"]),
    ],
)
def test_a_merge_function_gets_null_for_a_deleted_row_and_may_return_it(
    nodes: Nodes, crm: str, billing: str, merged: list[str]
) -> None:
    install(nodes, "merge:app.merge_note")
    nodes.crm.sql(crm)
    nodes.billing.sql(billing)
    wait_until(lambda: sync(*nodes) and not waiting(nodes.crm) + waiting(nodes.billing), 10, "nothing is left to deliver")
    for node in nodes:
        assert rows(node, "select * from notes where id = 1") == merged


def test_what_is_merged_is_merged_again_with_what_came_meanwhile(nodes: Nodes) -> None:
    """Each of many changes, made on both sides between single exchanges, is in the sum at the end: nothing is lost."""
    install(nodes, "merge:app.merge_note")
    for node, step in zip(nodes, (1, 1000), strict=True):
        node.sql("update notes set tags = %s where id = 1", [[str(step)]])
    courier = Courier(nodes)
    back: list[bytes | None] = [None, None]
    for turn in range(12):
        for index, node in enumerate(nodes):
            if turn % (2 + index) == 0:
                node.sql("update notes set tags = tags || %s where id = 1", [[f"{node.name}{turn}"]])
            back[index] = courier.call(node, back[1 - index])["envelope"]
    sync(*nodes)
    found = [node.sql("select tags from notes where id = 1")[0]["tags"] for node in nodes]
    assert found[0] == found[1]
    wanted = {"1", "1000", *(f"crm{n}" for n in range(0, 12, 2)), *(f"billing{n}" for n in range(0, 12, 3))}
    assert wanted == set(found[0])


@pytest.mark.parametrize("bad", [(11,), (289,), (11, 289, 290), ()])
def test_a_record_that_goes_with_another_one_which_wants_its_unique_value_is_merged_once(
    nodes: Nodes, bad: tuple[int, ...]
) -> None:
    """Rows beside it are refused, so that all are tried in parts: its own part comes after it has gone with the other one."""
    for node in nodes:
        node.sql(MERGE + "; create unique index on notes (text)")
        node.sql("select rowferry.attach('notes', p_conflict_rule => 'merge:app.merge_note')")
    nodes.crm.sql("insert into notes select n, 'text ' || n, 0, '{}' from generate_series(1, 300) n")
    sync(*nodes)
    nodes.billing.sql("alter table notes add check (amount >= 0); update notes set amount = 20 where id = 10")
    nodes.crm.sql("update notes set amount = case when id = any (%s) then -1 else 1 end", [list(bad)])
    nodes.crm.sql("update notes set text = 'new' where id = 10")
    nodes.crm.sql("update notes set text = 'text 10' where id = 290")
    sync(*nodes)
    assert {event.split()[2] for event in waiting(nodes.crm)} == {str(record) for record in bad}
    for node in nodes:
        assert (rows(node, "select amount from notes where id = 10"), len(conflicts(node))) == (["(21)"], 1)


def test_a_merge_function_that_fails_holds_the_event_and_stops_no_other(nodes: Nodes) -> None:
    install(nodes, "merge:app.merge_note")
    stop_clocks(nodes)
    nodes.crm.sql("update notes set text = 'broken' where id = 1")
    nodes.billing.sql("update notes set text = 'of billing'")
    sync(*nodes)
    held = nodes.crm.sql("select last_error, attempts from rowferry.sync_events")
    held += nodes.billing.sql("select last_error, attempts from rowferry.sync_events")
    assert sorted((row["last_error"] or "", row["attempts"]) for row in held) == [
        ("cannot merge", 1),
        ("this node is to merge both rows, and the row of the other node has not come", 0),
    ]
    assert rows(nodes.crm, "select text from notes where id = 2") == ['("of billing")']
    nodes.crm.sql("update notes set text = 'of crm' where id = 1")
    wait_until(lambda: sync(*nodes) and not waiting(nodes.crm) + waiting(nodes.billing), 10, "it is merged once it can be")
    assert [rows(node, "select text from notes where id = 1") for node in nodes] == [['("of billing+of crm")']] * 2


@pytest.mark.promise("R7")
@pytest.mark.parametrize("winner", ["crm", "billing"])
@pytest.mark.parametrize(
    ("crm", "billing", "result"),
    [
        ("update notes set text = 'c' where id = 1", "update notes set text = 'b' where id = 1", {"crm": "c", "billing": "b"}),
        ("insert into notes values (9, 'c')", "insert into notes values (9, 'b')", {"crm": "c", "billing": "b"}),
        ("update notes set text = 'c' where id = 1", "delete from notes where id = 1", {"crm": "c", "billing": None}),
        ("delete from notes where id = 1", "update notes set text = 'b' where id = 1", {"crm": None, "billing": "b"}),
    ],
)
@pytest.mark.parametrize("first", ["crm", "billing"])
@pytest.mark.case(41, 42)
def test_a_named_node_wins_whatever_the_time(
    nodes: Nodes, winner: str, crm: str, billing: str, result: dict[str, str | None], first: str
) -> None:
    install(nodes, f"node:{winner}")
    changes = {"crm": (nodes.crm, crm), "billing": (nodes.billing, billing)}
    for name in sorted(changes, key=lambda name: name != first):
        node, change = changes[name]
        node.sql(change)
    sync(*nodes)
    record = "9" if "9" in crm else "1"
    texts = [node.sql("select text from notes where id = %s", [record]) for node in nodes]
    assert texts == [[{"text": result[winner]}] if result[winner] else []] * 2
    for node in nodes:
        assert waiting(node) == []
        assert [row[:3] for row in conflicts(node)] == [(record, f"node:{winner}", winner)]


@pytest.mark.promise("R6")
@pytest.mark.parametrize("rule", ["node:crm", "merge:app.merge_note"])
def test_a_change_made_after_seeing_the_other_asks_no_rule(nodes: Nodes, rule: str) -> None:
    install(nodes, rule)
    nodes.crm.sql("update notes set text = 'seen' where id = 1")
    sync(*nodes)
    nodes.billing.sql("update notes set text = text || ' and changed' where id = 1")
    sync(*nodes)
    for node in nodes:
        assert rows(node, "select text from notes where id = 1") == ['("seen and changed")']
        assert conflicts(node) == []


def test_different_rules_keep_the_entity_until_both_nodes_have_the_same(nodes: Nodes) -> None:
    install(nodes, "newest")
    nodes.crm.sql("select rowferry.set_rules('notes', 'node:crm')")
    nodes.crm.sql("update notes set text = 'c' where id = 1")
    nodes.billing.sql("update notes set text = 'b' where id = 1")
    sync(*nodes)
    held = nodes.billing.sql("select sqlstate, last_error, hint from rowferry.sync_events")
    assert [(row["sqlstate"], row["last_error"]) for row in held] == [
        ("RF020", "the rules differ: newest and hold here, node:crm and hold there")
    ]
    assert held[0]["hint"].startswith("select rowferry.set_rules('notes', 'newest', 'hold');  -- on crm; or ")
    there = nodes.crm.sql("select hint from rowferry.sync_events")[0]["hint"]
    nodes.billing.sql(there.partition("  -- on billing; ")[0])
    for node in nodes:
        node.sql("select rowferry.retry(id) from rowferry.sync_events")
    sync(*nodes)
    assert [rows(node, "select text from notes where id = 1") for node in nodes] == [["(c)"]] * 2


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("'oldest'", "no such conflict rule"),
        ("'node:nobody'", "neither this one nor the peer"),
        ("'merge:merge_note'", "named with its schema"),
        ("'merge:app.\"merge'", "named with its schema"),
        ("'merge:app.absent'", "there is no such merge function"),
        ("'merge:app.of_integers'", "there is no such merge function"),
        ("'merge:app.strict'", "called on null too"),
        ("null, 'adopt'", "no such orphan rule"),
    ],
)
def test_a_wrong_rule_gets_one_clear_error_with_a_hint(nodes: Nodes, rules: str, message: str) -> None:
    install(nodes, "newest")
    node = nodes.billing  # the arbiter
    node.sql("create function app.of_integers(integer, integer) returns integer language sql return 1")
    node.sql("create function app.strict(mine notes, theirs notes) returns notes language sql strict return mine")
    with pytest.raises(psycopg.Error, match=message) as raised:
        node.sql(f"select rowferry.set_rules('notes', {rules})")
    assert raised.value.sqlstate == "RF013" and raised.value.diag.message_hint
    assert node.sql("select conflict_rule, orphan_rule from rowferry.entities") == [
        {"conflict_rule": "newest", "orphan_rule": "hold"}
    ]


def test_a_merge_function_may_not_change_the_key(nodes: Nodes) -> None:
    install(nodes, "newest")
    for node in nodes:
        node.sql(
            "create function app.move(mine notes, theirs notes) returns notes language sql return row(7, 'moved', 0, null)::notes"
        )
        node.sql("select rowferry.set_rules('notes', 'merge:app.move')")
        node.sql("update notes set text = %s where id = 1", [node.name])
    sync(*nodes)
    assert "RF022" in {row["sqlstate"] for row in nodes.crm.sql("select sqlstate from rowferry.sync_events")}
    assert [rows(node, "select id from notes") for node in nodes] == [["(1)", "(2)"]] * 2


def test_changing_the_rule_leaves_nothing_of_the_old_one_behind(nodes: Nodes) -> None:
    install(nodes, "merge:app.merge_note")
    functions = "select proname from pg_proc where pronamespace = 'rowferry'::regnamespace and proname = 'merge_notes'"
    assert [len(node.sql(functions)) for node in nodes] == [0, 1]
    nodes.billing.sql("select rowferry.set_rules('notes', 'newest')")
    assert nodes.billing.sql(functions) == []
    nodes.billing.sql("select rowferry.set_rules('notes', 'merge:app.merge_note')")
    nodes.billing.sql("select rowferry.detach('notes')")
    assert nodes.billing.sql(functions) == []


@pytest.mark.parametrize("where", ["crm", "billing"])
@pytest.mark.parametrize(
    ("crm", "billing", "restored"),
    [
        (
            "update notes set text = 'lost', tags = '{\"a b\",NULL}'",
            "update notes set text = 'won'",
            ['(1,lost,0,"{""a b"",NULL}")'],
        ),
        ("delete from notes", "update notes set text = 'won'", []),
        ("update notes set text = 'lost'", "delete from notes", ["(1,lost,0,{})"]),
    ],
)
def test_the_loser_can_be_let_win(nodes: Nodes, where: str, crm: str, billing: str, restored: list[str]) -> None:
    install(nodes, "newest")
    nodes.crm.sql(f"{crm} where id = 1")
    nodes.billing.sql(f"{billing} where id = 1")
    sync(*nodes)
    node = nodes.crm if where == "crm" else nodes.billing
    found = node.sql("select id, winner, loser_row from rowferry.conflicts")
    assert [row["winner"] for row in found] == ["billing"]
    with node.connect() as connection:
        connection.execute("set role rowferry_operator")
        done = connection.execute("select row_before, row_after from rowferry.let_loser_win(%s)", [found[0]["id"]]).fetchall()
    assert done[0][1] == found[0]["loser_row"] != done[0][0]
    sync(*nodes)
    for node in nodes:
        assert rows(node, "select * from notes where id = 1") == restored
        assert waiting(node) == []
        assert len(conflicts(node)) == 1


def test_a_conflict_that_is_not_there_cannot_be_turned_round(nodes: Nodes) -> None:
    with pytest.raises(psycopg.Error, match="no such conflict") as raised:
        nodes.crm.sql("select * from rowferry.let_loser_win(7)")
    assert raised.value.sqlstate == "RF008" and raised.value.diag.message_hint


@pytest.mark.parametrize("rule", ["node:crm", "node:billing", "merge:app.merge_note"])
@pytest.mark.parametrize("real", ["crm", "billing"])
def test_a_backfill_loses_to_a_real_change_whatever_the_rule(nodes: Nodes, rule: str, real: str) -> None:
    install(nodes, rule)
    changed, other = (nodes.crm, nodes.billing) if real == "crm" else (nodes.billing, nodes.crm)
    courier = Courier(nodes)
    crm, billing = courier.meet(nodes)
    other.sql("select rowferry.backfill('notes')")
    changed.sql("update notes set text = 'real' where id = 1")
    answers = courier.call(nodes.crm, billing), courier.call(nodes.billing, crm)
    assert [answer["sent"] for answer in answers] == ([1, 2] if real == "crm" else [2, 1])
    sync(*nodes)
    for node in nodes:
        assert rows(node, "select text from notes order by id") == ["(real)", "(second)"]
        assert waiting(node) == []


def test_a_change_whose_merge_does_not_come_is_held_after_a_while(nodes: Nodes, tmp_path: Path) -> None:
    """While the merge function fails, `run --once` ends and says that something is held, on both sides."""
    install(nodes, "merge:app.merge_note")
    for node in nodes:
        stop_clocks([node], "2026-01-01 12:00:00")
    nodes.crm.sql("update notes set text = 'broken' where id = 1")
    nodes.billing.sql("update notes set text = 'of billing' where id = 1")
    sync(*nodes)
    for second in (1, 12):
        for node in nodes:
            stop_clocks([node], f"2026-01-01 12:00:{second}")
        sync(*nodes)
    assert start_worker(nodes, tmp_path / "log", "--once").wait(30) == 1
    held = [node.sql("select sqlstate, attempts > 0 as counted from rowferry.sync_events") for node in nodes]
    assert held == [[{"sqlstate": "P0001", "counted": True}], [{"sqlstate": "RF023", "counted": True}]]
