"""What check() finds between two nodes and their servers, and what it says while it cannot know."""

from __future__ import annotations

import re
from pathlib import Path

import psycopg
import pytest

from harness import Node, Nodes, wait_until
from harness.clock import put_forward
from harness.courier import Courier
from harness.exchange import assert_equal, sync
from harness.well import found, keep_well, said, timeless
from harness.worker import wait_for_rest, worker


@pytest.fixture
def good(nodes: Nodes) -> Nodes:
    return keep_well(nodes)


def test_what_the_fix_of_a_lost_trigger_says_brings_the_lost_change_over(good: Nodes) -> None:
    good.crm.sql("alter table users disable trigger rowferry_capture_update; update users set email = 'lost'")
    [row] = found(good.crm)
    good.crm.sql(row["fix"])
    sync(*good)
    assert assert_equal(good, "public.users") == ["(1,1,lost)"]


@pytest.mark.parametrize("busy", [False, True])
def test_where_staggered_sequences_go_on_is_told_at_once(nodes: Nodes, tmp_path: Path, busy: bool) -> None:
    """At rest, and while exchanges are on their way, none of which gets into trouble by it."""
    problem = "select problem from rowferry.check() where object ~ 'notes_id_seq'"
    log = tmp_path / "log"
    for node in nodes:
        node.sql("create table notes (id serial primary key, version int); select rowferry.attach('notes')")
    nodes.crm.sql("insert into notes (version) select 0 from generate_series(1, 300)")
    sync(*nodes)
    with worker(nodes, log):
        for _ in range(5 if busy else 1):
            nodes.billing.sql("alter sequence notes_id_seq increment by 1 restart with 1")
            nodes.crm.sql("update notes set version = version + 1")
            if not busy:
                wait_until(lambda: all(node.sql(problem) for node in nodes), 20, "check() knows of the sequences")
                wait_for_rest(nodes, 20)
            for node in nodes:
                node.sql("select rowferry.stagger_sequences()")
            wait_until(lambda: not any(node.sql(problem) for node in nodes), 20, "both nodes have heard of it")
    assert "timeout" not in log.read_text()


def test_sequences_that_can_never_meet_are_left_alone(good: Nodes) -> None:
    for change in (
        "alter sequence accounts_id_seq increment by 2 restart with 1000",
        "alter sequence accounts_id_seq increment by 1 maxvalue 5000 restart with 4001",
    ):
        good.billing.sql(change)
        if "maxvalue" in change:
            good.crm.sql("alter sequence accounts_id_seq increment by 1 maxvalue 4000")
        sync(*good)
        assert said(good.crm) == []


def test_what_differs_is_found_behind_other_names_of_tables_and_columns(nodes: Nodes) -> None:
    nodes.crm.sql("create table accounts (id serial primary key, name text); select rowferry.attach('accounts')")
    nodes.billing.sql("create table customers (customer_id serial primary key, title varchar(5))")
    nodes.billing.sql("""select rowferry.attach('customers', 'accounts', '{"id": "customer_id", "name": "title"}')""")
    sync(*nodes)
    assert timeless(said(nodes.billing)) == [
        "warning public.customers: column title is character varying(5) here and text on crm (public.accounts.name): "
        "a value that does not read back is held",
        "warning public.customers_customer_id_seq: public.accounts_id_seq on crm can draw the same values for "
        "public.customers.customer_id: rows with one key would be taken for one record",
    ]
    nodes.billing.sql("alter table customers add phone text, add fax text")
    [fax] = [row for row in found(nodes.billing, "info") if row["problem"] == "column fax does not travel"]
    nodes.billing.sql(fax["fix"])
    assert attached(nodes.billing) == {"id": "customer_id", "name": "title", "fax": "fax"}
    nodes.billing.sql("""select rowferry.attach('customers', p_columns => '{"id": "customer_id", "name": "title"}')""")
    nodes.crm.sql("alter table accounts add phone text, add fax text; select rowferry.attach('accounts')")
    sync(*nodes)
    here, there = (
        {row["fix"] for row in found(node) if re.match("column (phone|fax) is kept in sync", row["problem"])} for node in nodes
    )
    assert here == there, "one call takes both columns in, and both nodes print it"
    take_in, _, comment = here.pop().partition("  -- ")
    said_of, _, leave_out = comment.partition("; or without it: ")
    assert said_of == "on billing, once public.customers there has fax, phone (what it is called there stands on the right)"
    for node, call in ((nodes.crm, leave_out.removesuffix(" on crm")), (nodes.billing, take_in)):
        node.sql(call)
        sync(*nodes)
        assert not any("is kept in sync" in line for line in said(nodes.crm))
        nodes.crm.sql("""select rowferry.attach('accounts', p_columns => '"*"')""")
    assert attached(nodes.billing) == {"id": "customer_id", "name": "title", "fax": "fax", "phone": "phone"}


def test_columns_of_two_names_are_paired_by_the_lines_of_either_node(nodes: Nodes) -> None:
    both = {"crm": "articles", "billing": "items"}
    nodes.crm.sql("create table articles (id int primary key, title text, note jsonb); select rowferry.attach('articles')")
    nodes.billing.sql(
        "create table items (id int primary key, label text, remark jsonb); select rowferry.attach('items', 'articles')"
    )
    nodes.crm.sql("insert into articles values (1, 'Pen', '[1]')")
    sync(*nodes)

    def pairing(node: Node, problem: str, least: str = "warning") -> str:
        [fix] = [row["fix"] for row in found(node, least) if re.match(problem, row["problem"])]
        said, _, _ = fix.partition("; otherwise: ")
        return str(said)

    # The first attach() forgot p_columns.
    fixes = {pairing(node, f"column {name} is kept in sync") for node in nodes for name in ("title", "label", "note", "remark")}
    [line] = fixes
    assert line.startswith("if crm's title is billing's label and crm's note is billing's remark: select ")
    nodes.crm.sql(line.partition(": ")[2])
    sync(*nodes)
    assert nodes.billing.sql("select label, remark from items") == [{"label": "Pen", "remark": [1]}]
    for node in nodes:
        assert said(node) == []

    # A column comes later on each node, and no change of this table tells the other of it.
    for node, name in ((nodes.crm, "colour"), (nodes.billing, "tint")):
        node.sql(f"alter table {both[node.name]} add {name} text")
    sync(*nodes)
    nodes.crm.sql("insert into articles values (2)")
    nodes.billing.sql("insert into items values (3)")
    sync(*nodes)
    for take_first in nodes:
        for node, name in ((nodes.crm, "colour"), (nodes.billing, "tint")):
            line = pairing(node, f"column {name} does not travel", "info")
            assert line.startswith("if crm's colour is billing's tint: ")
        calls = re.findall(r"(select rowferry.attach.*?\);)  -- on (\w+)", line)
        assert {name for _, name in calls} == {"crm", "billing"}
        # Whoever follows the line on one node alone is told of the other by check() there.
        [call] = [call for call, name in calls if name == take_first.name]
        take_first.sql(call)
        sync(*nodes)
        other = next(node for node in nodes if node is not take_first)
        problem = f"column {'colour' if take_first is nodes.crm else 'tint'} is kept in sync"
        line = pairing(other, problem)
        [(call, name)] = re.findall(r"(select rowferry.attach.*?\);)  -- on (\w+)", line)
        assert name == other.name
        other.sql(call)
        nodes.crm.sql("update articles set colour = 'red' where id = 1")
        sync(*nodes)
        assert nodes.billing.sql("select tint from items where id = 1") == [{"tint": "red"}]
        assert [line for node in nodes for line in said(node)] == []
        nodes.billing.sql("""select rowferry.attach('items', 'articles', '["id", "label", "remark"]')""")
        nodes.crm.sql("""select rowferry.attach('articles', p_columns => '{"id": "id", "label": "title", "remark": "note"}')""")
        sync(*nodes)


def test_what_takes_a_column_in_is_said_for_either_node(nodes: Nodes) -> None:
    nodes.crm.sql("create table articles (id int primary key, title text); select rowferry.attach('articles')")
    nodes.billing.sql("create schema catalog; create table catalog.items (nr int primary key, label text)")
    nodes.billing.sql("""select rowferry.attach('catalog.items', 'articles', '{"id": "nr", "title": "label"}')""")
    nodes.crm.sql("alter table articles add stock int")

    def fix(node: Node) -> str:
        [row] = [row for row in found(node, "info") if row["problem"] == "column stock does not travel"]
        return str(row["fix"])

    assert fix(nodes.crm).endswith("  -- where it is to (else p_columns => the others); then what check() says on billing")
    sync(*nodes)
    assert "then on billing, once catalog.items has stock: select" in fix(nodes.crm)
    nodes.billing.sql("alter table catalog.items add stock int")
    sync(*nodes)
    nodes.crm.sql("insert into articles values (1)")
    nodes.billing.sql("insert into catalog.items values (2)")
    sync(*nodes)
    for node in nodes:
        here, there = re.split(r"  -- where it is to \([^)]*\); then on ", fix(node))
        other = next(o for o in nodes if o is not node)
        assert there.startswith(f"{other.name}: select ")
        node.sql(here)
        other.sql(re.findall(r"select .*?\);", there)[0])
        nodes.crm.sql("update articles set stock = coalesce(stock, 0) + 7")
        sync(*nodes)
        assert nodes.billing.sql("select distinct stock from catalog.items") == nodes.crm.sql(
            "select distinct stock from articles"
        )
        assert [line for n in nodes for line in said(n)] == []
        nodes.crm.sql("""select rowferry.attach('articles', p_columns => '["id", "title"]')""")
        nodes.billing.sql("""select rowferry.attach('catalog.items', p_columns => '{"id": "nr", "title": "label"}')""")
        sync(*nodes)


def attached(node: Node) -> dict[str, str]:
    """The columns of accounts, by their names between the nodes."""
    [row] = node.sql("""
        select jsonb_object_agg(c.name, c.local) as columns
        from rowferry.entities, unnest(columns, local_columns) c (name, local)""")
    columns: dict[str, str] = row["columns"]
    return columns


def test_clocks_that_are_apart_are_found_on_both_nodes(good: Nodes) -> None:
    put_forward(good.billing, "7 s")
    sync(*good)
    assert any("the clock of billing is 00:00:0" in line and "ahead" in line for line in said(good.crm))
    assert any("the clock of crm is 00:00:0" in line and "behind" in line for line in said(good.billing))
    [row] = good.crm.sql("select clock_difference > '6 s' and clock_difference < '7.1 s' as right from rowferry.links")
    assert row["right"]


BAD = """
create or replace function rowferry._server_warning(p_version integer) returns text language sql immutable
set search_path = pg_catalog, pg_temp as $$ select 'bad' where p_version > 0 $$
"""
MERGES = "merge into public.accounts a using (values (-1)) v (id) on a.id = v.id when matched then do nothing"


@pytest.mark.parametrize("body", ["none", "text", "parsed"])
def test_a_server_of_a_bad_minor_version_is_named_on_either_side_the_graver_where_a_function_uses_merge(
    good: Nodes, body: str
) -> None:
    with good.crm.connect() as connection:
        if body == "parsed" and connection.info.server_version < 150000:
            pytest.skip("MERGE came with PostgreSQL 15")
    for node in good:
        node.sql(BAD)
    if body == "text":
        good.billing.sql(f"create function merges() returns void language plpgsql as $$ begin {MERGES}; end $$")
    elif body == "parsed":
        good.billing.sql(f"create function merges() returns void begin atomic {MERGES}; end")
    courier = Courier(good)
    courier.meet(good)
    sync(*good)
    uses = body != "none"
    for node, place, there in ((good.billing, "server", ""), (good.crm, "server of billing", "there ")):
        words = f"function public.merges() {there}uses it"
        [row] = node.sql("select * from rowferry.check() where object = %s and problem ~ '^bad'", [place])
        assert (row["severity"], words in row["problem"]) == ("warning" if uses else "info", uses)


def test_a_sequence_in_a_schema_that_is_closed_to_rowferry_owner_is_told_of(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("""
            create schema "Utils"; create sequence "Utils".numbers;
            create table counted (id bigint default nextval('"Utils".numbers') primary key); select rowferry.attach('counted');
            select * from rowferry.stagger_sequence('"Utils".numbers')""")
    sync(*nodes)
    for node in nodes:
        [row] = node.sql("select facts #> '{entities,counted,columns,id,sequence}' as told from rowferry.peer_facts")
        assert (row["told"]["name"], row["told"]["block"]) == ('"Utils".numbers', 1)


def test_the_schema_that_may_not_be_used_is_named_with_the_line_that_grants_it(nodes: Nodes) -> None:
    """Also before the peer has said anything."""
    nodes.crm.sql("""
        create schema "Utils"; create table counted (id bigint primary key); select rowferry.attach('counted')""")
    nodes.crm.sql("""
        create or replace function rowferry._type_spelled(p_type oid, p_typmod integer, p_labels boolean) returns text
        language plpgsql stable set search_path = pg_catalog, pg_temp as $$ begin
          if not has_schema_privilege('rowferry_owner', 'Utils', 'usage') then
            raise insufficient_privilege using message = 'permission denied for schema Utils';
          end if;
          return format_type(p_type, p_typmod);
        end $$""")
    [row] = [row for row in found(nodes.crm) if "this node cannot read" in row["problem"]]
    assert row["fix"] == 'grant usage on schema "Utils" to rowferry_owner;'
    nodes.crm.sql(row["fix"])
    assert not [row for row in found(nodes.crm) if "this node cannot read" in row["problem"]]


def test_databases_of_other_collations_are_found(good: Nodes) -> None:
    good.crm.sql(
        'update rowferry.peer_facts set facts = jsonb_set(facts, \'{collation}\', \'{"name": "tr-TR", "provider": "i"}\')'
    )
    [line] = said(good.crm)
    assert line.startswith("warning database: its collation is ")
    assert "tr-TR of provider i on billing" in line


def test_a_worker_that_has_connected_as_a_superuser_is_named(good: Nodes) -> None:
    with good.crm.connect() as courier:
        courier.execute("select pg_advisory_lock(hashtextextended('rowferry courier billing crm', 0))")
        assert said(good.crm) == ["warning role postgres: the worker that is at work has connected as a superuser"]


def test_before_the_first_exchange_it_says_that_the_nodes_are_not_compared(nodes: Nodes) -> None:
    assert said(nodes.crm, "info") == [
        "info link billing: billing has not said anything of itself yet, so the two nodes are not compared"
    ]


def test_a_peer_that_is_not_known_is_refused(good: Nodes) -> None:
    with pytest.raises(psycopg.Error) as caught:
        good.crm.sql("select * from rowferry.check('nobody')")
    assert caught.value.sqlstate == "RF002"
