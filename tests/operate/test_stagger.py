"""What stagger_sequence() promises: from then on the two nodes never draw the same value."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from harness import Node, Nodes
from harness.exchange import assert_equal, refused_with, sync, waiting
from harness.roles import as_role, role

SEQUENCE = "public.accounts_id_seq"
KINDS = {
    "serial": "id serial primary key",
    "identity": "id integer generated always as identity primary key",
    "default": f"id bigint primary key default nextval('{SEQUENCE}')",
}


def attached(nodes: Nodes, kind: str) -> Nodes:
    for node in nodes:
        if kind == "default":
            node.sql(f"create sequence {SEQUENCE}")
        node.sql(f"create table public.accounts ({KINDS[kind]}, name text); select rowferry.attach('public.accounts')")
    return nodes


def insert(node: Node, name: str, count: int = 1) -> None:
    node.sql("insert into public.accounts (name) select %s from generate_series(1, %s)", [name, count])


def stagger(node: Node, arguments: str = "") -> list[Any]:
    """What it returns, as a list."""
    [row] = node.sql(f"select * from rowferry.stagger_sequence('{SEQUENCE}'{arguments})")
    return list(row.values())


@pytest.mark.parametrize("kind", KINDS)
def test_two_nodes_that_drew_the_same_values_never_do_again(nodes: Nodes, kind: str) -> None:
    attached(nodes, kind)
    insert(nodes.crm, "crm", 4)
    sync(*nodes)
    assert [row for row in nodes.crm.sql("select * from rowferry.check()") if row["object"] == SEQUENCE]
    assert stagger(nodes.crm) == [SEQUENCE[7:], 1, 5, 2, 6]
    assert stagger(nodes.billing) == [SEQUENCE[7:], 1, 1, 2, 5]
    for node in nodes:
        insert(node, node.name, 3)
    sync(*nodes)
    assert waiting(nodes.crm) == waiting(nodes.billing) == []
    assert_equal(nodes, "public.accounts")
    ids = nodes.crm.sql("select name, array_agg(id order by id) as ids from accounts where id > 4 group by name order by name")
    assert [row["ids"] for row in ids] == [[5, 7, 9], [6, 8, 10]]
    for node in nodes:
        assert [row for row in node.sql("select * from rowferry.check()") if row["object"] == SEQUENCE] == []


def test_it_goes_on_beyond_what_the_peer_has_drawn(nodes: Nodes) -> None:
    attached(nodes, "serial")
    nodes.billing.sql(f"select setval('{SEQUENCE}', 100)")
    sync(*nodes)
    assert stagger(nodes.crm)[-1] == 102


def test_again_it_changes_nothing(nodes: Nodes) -> None:
    attached(nodes, "serial")
    insert(nodes.crm, "a", 3)
    assert stagger(nodes.crm)[-1] == 4
    assert stagger(nodes.crm) == [SEQUENCE[7:], 2, 4, 2, 4]


def test_more_nodes_and_a_number_may_be_given(nodes: Nodes) -> None:
    attached(nodes, "serial")
    assert stagger(nodes.crm, ", 3, 5")[-1] == 3
    assert stagger(nodes.crm, ", 5, 5")[-1] == 5
    insert(nodes.crm, "a", 2)
    assert nodes.crm.sql("select array_agg(id order by id) as ids from accounts") == [{"ids": [5, 10]}]


def test_what_counts_downwards_and_numbers_that_are_none_are_refused(nodes: Nodes) -> None:
    nodes.crm.sql("create sequence public.down increment by -1")
    nodes.crm.sql("create sequence public.up")
    for call in ("'public.down'", "'public.up', 3, 2", "'public.up', 0, 2", "null"):
        refused_with("RF017", nodes.crm, f"select * from rowferry.stagger_sequence({call})")


def draw(node: Node) -> int:
    return int(node.sql(f"select nextval('{SEQUENCE}') as id")[0]["id"])


@pytest.mark.parametrize("downwards", [False, True])
def test_values_that_stand_for_blocks_of_ids_keep_their_blocks_apart(nodes: Nodes, downwards: bool) -> None:
    """An application hands out 50 ids for each value by itself: those from it on, or those up to it."""
    owners = {}
    for node in nodes:
        owner = owners[node.name] = role(node)
        node.sql(
            f"""grant usage, create on schema public to {owner}; grant rowferry_operator to {owner}; set role {owner};
                create sequence {SEQUENCE} increment by 50; create table public.accounts ({KINDS["default"]}, name text);
                reset role; select rowferry.attach('public.accounts')"""
        )
        insert(node, node.name)
    sync(*nodes)
    for node in nodes:
        lines = [r for r in node.sql("select * from rowferry.check()") if r["object"] == SEQUENCE]
        assert any("can draw the same values" in r["problem"] and "stagger_sequence" in r["fix"] for r in lines), node.name
    for node in nodes:
        for before in (50, 100):  # the second time it is staggered already
            call = f"select increment_before, increment from rowferry.stagger_sequence('{SEQUENCE}')"
            assert as_role(node, owners[node.name]).execute(call).fetchall() == [(before, 100)]
    drawn: set[int] = {row["id"] for node in nodes for row in node.sql("select id from accounts")}
    for node in nodes:
        for _ in range(3):
            value = draw(node)
            block = range(value - 49, value + 1) if downwards else range(value, value + 50)
            assert not drawn & set(block)
            drawn |= set(block)
            node.sql("insert into accounts select g, 'block' from generate_series(%s::bigint, %s) g", [block[0], block[-1]])
    sync(*nodes)
    assert waiting(nodes.crm) == waiting(nodes.billing) == []
    assert len(assert_equal(nodes, "accounts")) == 301
    for node in nodes:
        sync(*nodes)
        assert [r for r in node.sql("select * from rowferry.check()") if r["object"] == SEQUENCE] == []


def test_an_increment_that_somebody_gives_it_later_counts_anew(nodes: Nodes) -> None:
    attached(nodes, "serial")
    nodes.crm.sql(f"alter sequence {SEQUENCE} increment by 50")
    assert stagger(nodes.crm)[3] == 100
    assert stagger(nodes.crm, ", 2, 3")[3] == 150
    nodes.crm.sql(f"alter sequence {SEQUENCE} increment by 7")
    assert stagger(nodes.crm)[3] == 14


REFUSED = {
    "it counts downwards": "increment by -1 minvalue -100 maxvalue 1000 restart with 1000",
    "it cycles": "maxvalue 100000 cycle",
    "its largest value is 10": "maxvalue 10 restart with 10",
    "it counts by 3, and the sequence of the other node": "increment by 3",
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_staggered_is_refused_with_the_reason_and_check_says_so(nodes: Nodes, reason: str) -> None:
    """check() does not offer what will be refused."""
    attached(nodes, "serial")
    nodes.crm.sql(f"alter sequence {SEQUENCE} {REFUSED[reason]}")
    nodes.billing.sql(f"alter sequence {SEQUENCE} maxvalue 100000")
    sync(*nodes)
    with pytest.raises(psycopg.Error) as refused:
        nodes.crm.sql(f"select * from rowferry.stagger_sequence('{SEQUENCE}')")
    assert refused.value.sqlstate == "RF017"
    assert reason in str(refused.value.diag.message_detail)
    before = nodes.crm.sql("select seqincrement from pg_sequence where seqrelid = %s::regclass", [SEQUENCE])
    assert before == [
        {"seqincrement": int(REFUSED[reason].split("increment by ")[1].split()[0]) if "increment" in REFUSED[reason] else 1}
    ]
    for node in nodes:
        lines = [r for r in node.sql("select * from rowferry.check()") if "can draw the same values" in r["problem"]]
        assert [("stagger_sequence" in r["fix"], "It cannot be staggered" in r["fix"]) for r in lines] == [(False, True)], (
            node.name
        )


def test_nobody_notes_anything_about_a_sequence_of_others(nodes: Nodes) -> None:
    attached(nodes, "serial")
    stranger = role(nodes.crm)
    nodes.crm.sql(f"grant rowferry_operator to {stranger}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="must be owner of the sequence"):
        as_role(nodes.crm, stranger).execute(f"select rowferry._note_staggered('{SEQUENCE}', 7)")


def test_it_takes_the_right_to_the_sequence_and_no_more(nodes: Nodes) -> None:
    attached(nodes, "serial")
    owner, other = role(nodes.crm), role(nodes.crm)
    nodes.crm.sql(f"alter table accounts owner to {owner}; grant rowferry_operator to {owner}, {other}")
    nodes.crm.sql(f"grant usage, create on schema public to {owner}, {other}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        as_role(nodes.crm, other).execute(f"select * from rowferry.stagger_sequence('{SEQUENCE}')")
    as_role(nodes.crm, owner).execute(f"select * from rowferry.stagger_sequence('{SEQUENCE}')")


def warned(node: Node) -> list[str]:
    """The warnings of a call of stagger_sequence(), each with its hint."""
    heard: list[str] = []
    with node.connect() as connection:
        connection.add_notice_handler(lambda notice: heard.append(f"{notice.message_primary}: {notice.message_hint}"))
        connection.execute(f"select * from rowferry.stagger_sequence('{SEQUENCE}')")
    return heard


def test_before_the_peer_has_told_of_its_values_it_warns_and_again_it_goes_beyond_them(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table public.accounts (id serial primary key, name text)")
    insert(nodes.crm, "crm", 50)
    for node in nodes:
        node.sql("select rowferry.attach('public.accounts')")
    for node in nodes:
        [warning] = warned(node)
        assert warning.startswith(f"{SEQUENCE}: which values the other node has is not known yet")
        line = f": select * from rowferry.stagger_sequence('{SEQUENCE}');"
        assert warning.endswith(f"{line}  -- again, on both nodes, once its rows are here")
    nodes.crm.sql("select rowferry.backfill('accounts')")
    sync(*nodes)
    for node in nodes:
        assert warned(node) == []
        insert(node, node.name, 3)
    sync(*nodes)
    assert waiting(nodes.crm) == waiting(nodes.billing) == []
    assert len(assert_equal(nodes, "public.accounts")) == 56


def test_all_sequences_of_a_link_are_staggered_in_one_call(nodes: Nodes) -> None:
    """Those that feed keys of tables that go both ways; one that cannot be staggered keeps no other one back."""
    for node in nodes:
        node.sql(
            """create table a (id serial primary key, free serial);
            create table b (id bigint generated always as identity primary key);
            create sequence down increment -1; create table c (id integer primary key default nextval('down'));
            create table d (id serial primary key); create table e (id serial primary key);
            select rowferry.attach(t) from unnest(array['a', 'b', 'c']) t; select rowferry.attach('d', p_direction => 'send')"""
        )
    notices: list[str] = []
    with nodes.crm.connect() as connection:
        connection.add_notice_handler(lambda notice: notices.append(str(notice.message_primary)))
        found = connection.execute("select sequence::text, increment from rowferry.stagger_sequences()").fetchall()
    assert found == [("a_id_seq", 2), ("b_id_seq", 2)]
    assert any(notice.startswith("left as it is: public.down: ") for notice in notices)
    sync(*nodes)
    nodes.billing.sql("select * from rowferry.stagger_sequences('crm')")
    assert [node.sql("select nextval('a_id_seq') n")[0]["n"] for node in nodes] == [2, 3]


def test_an_operator_who_owns_the_sequences_staggers_them(nodes: Nodes) -> None:
    """Also where the schema of the sequence is closed to rowferry_owner."""
    node, keeper = nodes.crm, role(nodes.crm)
    node.sql(
        f"""grant rowferry_operator, rowferry_owner to {keeper};
        create schema closed authorization {keeper};
        create table closed.a (id serial primary key); alter table closed.a owner to {keeper};
        set role {keeper}; select rowferry.attach('closed.a'); reset role; revoke rowferry_owner from {keeper}"""
    )
    found = as_role(node, keeper).execute("select sequence::text, increment from rowferry.stagger_sequences()").fetchall()
    assert found == [("closed.a_id_seq", 2)]
