"""The first generation after resync(): what the other node never heard of is not overwritten without a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import Node, Nodes, wait_until
from harness.exchange import assert_equal, rows, sync, waiting
from harness.roles import role
from harness.servers import backup, put_back
from harness.worker import worker

CAPTURE = [f"trigger rowferry_capture_{name}" for name in ("insert", "update", "delete")]


def owned(node: Node, ddl: str, *tables: str, attach: str = "") -> None:
    """Tables of a plain owner, kept in sync."""
    owner = role(node)
    node.sql(f"grant usage, create on schema public to {owner}; set role {owner}; {ddl}")
    for name in tables:
        node.sql(f"select rowferry.attach('{name}'{attach})")


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """One table on both nodes, with three rows."""
    for node in nodes:
        owned(node, "create table notes (id integer primary key, body text)", "notes")
    nodes.crm.sql("insert into notes values (1, 'a'), (2, 'b'), (3, 'c')")
    sync(*nodes)
    return nodes


def unseen(node: Node, statement: str, table: str = "notes") -> None:
    """As if the other node had forgotten it."""
    off, on = (", ".join(f"{mode} {trigger}" for trigger in CAPTURE) for mode in ("disable", "enable always"))
    node.sql(f"alter table {table} {off}; {statement}; alter table {table} {on}")


def resync(*nodes: Node) -> list[dict[str, Any]]:
    return [node.sql("select * from rowferry.resync()")[0] for node in nodes]


def conflicts(node: Node) -> list[tuple[Any, ...]]:
    """Record, winner, and both bodies."""
    query = """select record_id, winner, winner_row ->> 'body' as won, loser_row ->> 'body' as lost
        from rowferry.conflicts order by record_id, id"""
    return [tuple(row.values()) for row in node.sql(query)]


def unsettled(*nodes: Node) -> list[int]:
    return [node.sql("select count(*) as n from rowferry.entities where unsettled_since is not null")[0]["n"] for node in nodes]


CHANGES = {
    "insert into notes values (4, 'mine')": "(4,mine)",
    "update notes set body = 'mine' where id = 1": "(1,mine)",
    "delete from notes where id = 1": None,
}


@pytest.mark.promise("R13")
@pytest.mark.smoke
@pytest.mark.parametrize("statement", CHANGES)
def test_a_row_that_the_writer_never_saw_is_kept_as_a_conflict_on_both_nodes(notes: Nodes, statement: str) -> None:
    record = "1" if "id = 1" in statement else "4"
    unseen(notes.billing, f"insert into notes values ({record}, 'theirs') on conflict (id) do update set body = 'theirs'")
    resync(*notes)
    notes.crm.sql(statement)
    sync(*notes)
    won = CHANGES[statement]
    expected = [(record, "crm", "mine" if won else None, "theirs")]
    assert [conflicts(node) for node in notes] == [expected, expected]
    for node in notes:
        assert ([r for r in rows(node, f"select * from notes where id = {record}")] or [None]) == [won]
    [row] = notes.billing.sql("select loser_row, loser_changed_at = '-infinity' as of_before, rule from rowferry.conflicts")
    assert row == {"loser_row": {"id": record, "body": "theirs"}, "of_before": True, "rule": "newest"}
    notes.billing.sql("select rowferry.let_loser_win(id) from rowferry.conflicts")
    sync(*notes)
    assert f"({record},theirs)" in assert_equal(notes)


def test_equal_rows_are_no_conflict_and_what_was_not_there_overwrites_nothing(notes: Nodes) -> None:
    resync(notes.crm)
    notes.crm.sql("insert into notes values (5, 'new')")
    for node in notes:
        node.sql("select * from rowferry.backfill('notes')")
    sync(*notes)
    assert [conflicts(node) for node in notes] == [[], []]
    assert len(assert_equal(notes)) == 4


def test_a_backfill_of_the_whole_node_keeps_what_it_overwrites(notes: Nodes) -> None:
    unseen(notes.billing, "update notes set body = 'older' where id = 2")
    resync(*notes)
    sync(*notes)
    notes.crm.sql("select * from rowferry.backfill('notes')")
    sync(*notes)
    assert assert_equal(notes) == ["(1,a)", "(2,b)", "(3,c)"]
    assert [conflicts(node) for node in notes] == [[("2", "crm", "b", "older")]] * 2


@pytest.mark.smoke
@pytest.mark.parametrize("how", ["backfill", "compare"])
def test_it_ends_on_both_nodes_once_all_rows_are_known_to_be_equal(notes: Nodes, how: str) -> None:
    resync(notes.billing)
    sync(*notes)
    assert unsettled(*notes) == [1, 1]
    [line] = [r for r in notes.billing.sql("select * from rowferry.check()") if "since resync()" in r["problem"]]
    assert line["severity"] == "info"
    notes.crm.sql(f"select * from rowferry.{how}('notes')")
    sync(*notes)
    assert unsettled(*notes) == [0, 0]
    notes.billing.sql("update notes set body = 'changed' where id = 1")
    sync(*notes)
    assert [conflicts(node) for node in notes] == [[], []], "an ordinary change"


def test_it_goes_on_where_a_difference_was_found_or_a_row_is_refused(notes: Nodes) -> None:
    unseen(notes.billing, "update notes set body = 'other' where id = 1")
    resync(notes.billing)
    sync(*notes)
    notes.crm.sql("select * from rowferry.compare('notes')")
    sync(*notes)
    assert unsettled(*notes) == [1, 1]
    notes.billing.sql("alter table notes add constraint no_b check (body <> 'b') not valid")
    notes.billing.sql("update notes set body = 'x' where id = 2")
    sync(*notes)
    notes.billing.sql("alter table notes add constraint no_c check (body <> 'c') not valid")
    notes.crm.sql("select * from rowferry.backfill('notes')")
    unseen(notes.crm, "update notes set body = 'b' where id = 1")
    sync(*notes)
    assert unsettled(notes.crm) == [1]


def test_what_a_cascade_takes_is_kept_too(nodes: Nodes) -> None:
    ddl = """create table parents (id integer primary key, body text);
        create table children (id integer primary key, parent_id integer references parents on delete cascade, body text)"""
    for node in nodes:
        owned(node, ddl, "parents", "children")
    nodes.crm.sql("insert into parents values (1, 'p'); insert into children values (1, 1, 'known')")
    sync(*nodes)
    unseen(nodes.billing, "insert into children values (2, 1, 'unknown')", "children")
    resync(*nodes)
    sync(*nodes)
    nodes.crm.sql("delete from parents")
    sync(*nodes)
    assert [rows(node, "select * from children") for node in nodes] == [[], []]
    lost = [(r, lost) for r, _, _, lost in conflicts(nodes.billing)]
    assert ("2", "unknown") in lost


@pytest.mark.parametrize("rule", ["node:billing", "node:crm"])
def test_a_rule_decides_nothing_here_a_real_change_stays(nodes: Nodes, rule: str) -> None:
    for node in nodes:
        owned(node, "create table notes (id integer primary key, body text)", "notes", attach=f", p_conflict_rule => '{rule}'")
    unseen(nodes.billing, "insert into notes values (1, 'theirs')")
    resync(*nodes)
    nodes.crm.sql("insert into notes values (1, 'mine')")
    sync(*nodes)
    assert assert_equal(nodes) == ["(1,mine)"]
    assert [conflicts(node) for node in nodes] == [[("1", "crm", "mine", "theirs")]] * 2


def test_many_rows_are_kept_in_the_calls_that_bring_them(notes: Nodes) -> None:
    """One of them is refused, too."""
    notes.crm.sql("insert into notes select i, 'crm ' || i from generate_series(10, 3000) i")
    sync(*notes)
    unseen(notes.billing, "update notes set body = 'billing ' || id where id >= 10")
    notes.billing.sql("alter table notes add constraint no_99 check (body <> 'late 99')")
    resync(*notes)
    notes.crm.sql("update notes set body = 'late ' || id where id >= 10")
    sync(*notes)
    assert waiting(notes.crm) == ["update notes 99 23514"]
    for node in notes:
        assert node.sql("select count(*) as n, count(distinct record_id) as records from rowferry.conflicts") == [
            {"n": 2990, "records": 2990}
        ]


SERIAL = """create table invoices (
    id bigint generated by default as identity (start with {start} increment by 2) primary key, body text)"""
SEQUENCE = "public.invoices_id_seq"


def insert(node: Node, *bodies: str) -> list[int]:
    return [node.sql("insert into invoices (body) values (%s) returning id", [body])[0]["id"] for body in bodies]


@pytest.mark.smoke
@pytest.mark.parametrize("staggered", [True, False])
def test_a_sequence_that_was_set_back_is_named_with_what_moves_it(nodes: Nodes, staggered: bool) -> None:
    """By resync() on either node and by check(), whether the other node draws in turn or not at all; and the line mends it."""
    for node, start in zip(nodes, (2, 1), strict=True):
        owned(node, SERIAL.format(start=start if staggered else 1), "invoices")
    assert insert(nodes.crm, "a") and (not staggered or insert(nodes.billing, "b", "c", "d", "e", "f"))
    sync(*nodes)
    drawn = insert(nodes.crm, "lost", "lost as well")
    sync(*nodes)
    unseen(
        nodes.crm,
        f"delete from invoices where id in ({drawn[0]}, {drawn[1]}); alter sequence invoices_id_seq restart with {drawn[0]}",
        "invoices",
    )
    nodes.crm.sql("update rowferry.links set built = 0, acked = 0, acked_tag = null")
    with pytest.raises(AssertionError, match="stopped"):
        sync(*nodes)
    there = resync(nodes.billing)[0]["sequences"]
    assert (
        f"{SEQUENCE} on crm: it goes on with {drawn[0]}, and rows here have values that it draws again ({drawn[0]}, ..)" in there
    )
    here = resync(nodes.crm)[0]["sequences"]
    assert here.startswith(f"{SEQUENCE}: it goes on with {drawn[0]}, and ")
    sync(*nodes)
    [line] = [r for r in nodes.billing.sql("select * from rowferry.check()") if r["object"] == f"{SEQUENCE} on crm"]
    assert line["severity"] == "error" and line["fix"] in there
    for _ in range(2):
        nodes.crm.sql(here.splitlines()[0].partition("Next: ")[2])
    new = insert(nodes.crm, "new")
    nodes.crm.sql("select setval('invoices_id_seq', 1000)")
    nodes.crm.sql(line["fix"])
    [late] = insert(nodes.crm, "late")
    assert late >= 1001, "typed late, it moves nothing back"
    nodes.crm.sql("delete from invoices where body = 'late'")
    assert new[0] > drawn[1] and (not staggered or new[0] % 2 == 0)
    sync(*nodes)
    nodes.billing.sql("select rowferry.backfill('invoices')")
    sync(*nodes)
    assert [conflicts(node) for node in nodes] == [[], []]
    assert {body for row in assert_equal(nodes, "invoices") for body in ("lost", "new") if body in row} == {"lost", "new"}
    sync(*nodes)
    again = [r["object"] for node in nodes for r in node.sql("select * from rowferry.check()") if "draws again" in r["problem"]]
    assert (
        again == []
        if staggered
        else SEQUENCE
        not in [r["object"] for r in nodes.crm.sql("select * from rowferry.check()") if "draws again" in r["problem"]]
    )


def test_a_sequence_behind_rows_of_its_own_table_is_named(nodes: Nodes) -> None:
    """Where rows came from elsewhere: the next insert would fail. What only the other node draws is no reason."""
    for node, start in zip(nodes, (2, 1), strict=True):
        owned(node, SERIAL.format(start=start), "invoices")
    insert(nodes.billing, "1", "3", "5", "7")
    sync(*nodes)
    assert [r for r in nodes.crm.sql("select * from rowferry.check()") if r["object"] == SEQUENCE] == []
    nodes.crm.sql("insert into invoices values (4, 'by hand')")
    [line] = [r for r in nodes.crm.sql("select * from rowferry.check()") if r["object"] == SEQUENCE]
    assert (line["severity"], line["problem"]) == (
        "warning",
        "it goes on with 2, and rows of public.invoices have values that it draws again (4, ..): inserts will fail",
    )
    nodes.crm.sql(line["fix"])
    assert insert(nodes.crm, "next") == [8]
    assert [r for r in nodes.crm.sql("select * from rowferry.check()") if r["object"] == SEQUENCE] == []
    [moved] = nodes.crm.sql("select * from rowferry.stagger_sequences()")
    nodes.crm.sql("insert into invoices values (%s, 'by hand')", [moved["next_value"]])
    [line] = [r for r in nodes.crm.sql("select * from rowferry.check()") if r["object"] == SEQUENCE and "again" in r["problem"]]
    assert line["fix"] == f"select * from rowferry.stagger_sequence('{SEQUENCE}');"
    nodes.crm.sql(line["fix"])
    assert insert(nodes.crm, "in turn") == [moved["next_value"] + moved["increment"]]


def test_a_sequence_that_goes_on_between_two_facts_is_not_named(nodes: Nodes, tmp_path: Path) -> None:
    """Nobody says of the other node what is not true any more; what it draws again, it says itself."""
    for node, start in zip(nodes, (2, 1), strict=True):
        owned(node, SERIAL.format(start=start), "invoices")
    sync(*nodes)
    heard = "select heard_at from rowferry.peer_facts"
    before = nodes.crm.sql(heard)
    nodes.billing.sql("insert into invoices (body) values ('drawn since')")
    with worker(nodes, tmp_path / "log"):
        wait_until(lambda: nodes.crm.sql("select from invoices"), 20, "it has arrived")
        nodes.billing.sql("insert into invoices (body) values ('drawn after the opening')")
        wait_until(lambda: len(nodes.crm.sql("select from invoices")) == 2, 20, "it has arrived")
        assert before != nodes.crm.sql(heard)
        assert [r for node in nodes for r in node.sql("select * from rowferry.check()") if "draws again" in r["problem"]] == []
        nodes.billing.sql("alter sequence invoices_id_seq restart with 1")
        told = nodes.crm.sql(heard)
        # The first ones may come too soon after the last look at the catalog.
        change = "update invoices set body = body || '.' where id = 1 returning 1"
        wait_until(lambda: nodes.billing.sql(change) and nodes.crm.sql(heard) != told, 20, "crm knows of the altered sequence")
        found = [r["object"] for r in nodes.billing.sql("select * from rowferry.check()") if "draws again" in r["problem"]]
        assert found == [SEQUENCE]


@pytest.mark.case(69)
def test_a_persons_row_survives_the_restore_of_the_node_that_drew_its_key(own_servers: Nodes) -> None:
    """From a real backup, with a table beside it that only comes from one side; users are not even kept off."""
    nodes = own_servers
    for node, start in zip(nodes, (2, 1), strict=True):
        owned(node, SERIAL.format(start=start) + "; create table prices (id integer primary key, price integer)", "invoices")
        node.sql(f"select rowferry.attach('prices', p_direction => '{'send' if node.name == 'crm' else 'receive'}')")
    nodes.crm.sql("insert into prices values (1, 100)")
    insert(nodes.crm, "of before")
    sync(*nodes)
    copy = backup(nodes.crm)
    assert insert(nodes.crm, "a person's invoice") == [4]
    sync(*nodes)
    put_back(nodes.crm, copy)
    assert insert(nodes.crm, "drawn again") == [4]
    with pytest.raises(AssertionError, match="stopped"):
        sync(*nodes)
    # As the reason says, word by word.
    for node in nodes:
        for [reason] in [[r["reason"]] for r in node.sql("select reason from rowferry.status where state = 'stopped'")]:
            assert "no users on a node that was set back" in reason and "move the sequences that it names" in reason
            backfill = reason.rpartition("select ")[2]
            node.sql("select * from rowferry.resync()")
    sync(*nodes)
    nodes.billing.sql("select " + backfill)
    sync(*nodes)
    for node in nodes:
        kept = node.sql(
            "select winner_row ->> 'body' as won, loser_row ->> 'body' as lost from rowferry.conflicts where record_id = '4'"
        )
        assert kept == [{"won": "drawn again", "lost": "a person's invoice"}]
    assert_equal(nodes, "invoices")
