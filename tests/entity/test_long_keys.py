"""Any key that a table's own index takes can be captured, found, refused, compared and given up, whatever its length as text."""

from typing import Any

import pytest

from harness import Node, Nodes
from harness.courier import Courier
from harness.exchange import assert_equal, sync, waiting

NOISE = "(select string_agg(encode(sha256((%s || g)::text::bytea), 'base64'), '') from generate_series(1, 200) g)"
NOISY = NOISE % "'x'"
KEYS = {
    "a text as long as an index takes": ("k text primary key", f"left({NOISY}, 2685)"),
    "a text that an index only takes compressed": ("k text primary key", "repeat('a', 100000)"),
    "characters of four bytes": ("k text primary key", "repeat(chr(128512), 660)"),
    "backslashes": ("k text primary key", r"repeat(E'\\', 1200) || E'\\x00'"),
    "bytes, each of which is two characters": ("k bytea primary key", f"substring(convert_to({NOISY}, 'UTF8') for 2000)"),
    "a number": ("k numeric primary key", "repeat('7', 5000)::numeric"),
}


@pytest.mark.case(116)
@pytest.mark.parametrize("kind", KEYS)
def test_a_key_that_the_table_takes_is_captured_and_arrives(nodes: Nodes, kind: str) -> None:
    column, key = KEYS[kind]
    for node in nodes:
        node.sql(f"create table files ({column}, n integer); select rowferry.attach('files')")
    nodes.crm.sql(f"insert into files values ({key}, 1)")
    sync(*nodes)
    nodes.billing.sql("update files set n = 2")
    nodes.crm.sql("update files set n = 3")
    sync(*nodes)
    assert len(assert_equal(nodes, "files")) == 1
    [record] = nodes.crm.sql("select record_id, octet_length(record_id) > 1000 as long from rowferry.conflicts")
    assert record["long"]
    [status] = nodes.crm.sql("select state, last_conflict from rowferry.row_status('files', %s)", [record["record_id"]])
    assert status["state"] == "in sync" and status["last_conflict"]
    nodes.billing.sql("delete from files")
    sync(*nodes)
    assert assert_equal(nodes, "files") == []


def test_parts_of_a_key_that_grow_by_quoting_are_captured(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(
            "create table files (volume text, path text, n integer, primary key (volume, path)); select rowferry.attach('files')"
        )
    nodes.crm.sql(r"""insert into files select repeat('"', 600) || g, repeat(E'\\', 1200), 1 from generate_series(1, 3) g""")
    sync(*nodes)
    assert len(assert_equal(nodes, "files")) == 3
    assert waiting(nodes.crm) == []


@pytest.fixture
def alike(nodes: Nodes) -> Nodes:
    """Records whose long keys begin alike, and what an index holds of one of them as a key of its own."""
    for node in nodes:
        node.sql("create table files (k text primary key, n integer check (n <> 13)); select rowferry.attach('files')")
    nodes.crm.sql("insert into files select repeat('a', 1500) || g, g from generate_series(1, 5) g")
    nodes.crm.sql("insert into files select rowferry._index_key(min(k)), 0 from files")
    sync(*nodes)
    return nodes


def test_keys_that_begin_alike_are_told_apart(alike: Nodes) -> None:
    assert len(assert_equal(alike, "files")) == 6
    alike.billing.sql("alter table files drop constraint files_n_check")
    alike.crm.sql("update files set n = 10 * n")
    alike.billing.sql("update files set n = 13 where k like '%4'")
    sync(*alike)
    assert {
        row["record"]
        for row in alike.billing.sql("select right(record_id, 1) as record from rowferry.sync_events where attempts > 0")
    } == {"4"}
    alike.billing.sql("delete from rowferry.sync_events where attempts > 0")
    sync(*alike)
    assert len(assert_equal(alike, "files")) == 6
    assert waiting(alike.billing) == []


def test_a_comparison_and_its_repair_go_through_long_keys(alike: Nodes) -> None:
    with alike.billing.connect() as unseen:
        names = [
            row[0]
            for row in unseen.execute("select tgname from pg_trigger where tgrelid = 'files'::regclass and not tgisinternal")
        ]
        for change in ("disable", "enable always"):
            for name in names:
                unseen.execute(f"alter table files {change} trigger {name}")  # type: ignore[call-overload]
            if change == "disable":
                unseen.execute("update files set n = n + 1 where n > 2; delete from files where n = 1")
    alike.crm.sql("select rowferry.compare('files')")
    sync(*alike)
    found = alike.crm.sql("select kind, count(*) as records from rowferry.differences group by kind order by kind")
    assert found == [{"kind": "different", "records": 3}, {"kind": "only_here", "records": 1}]
    alike.crm.sql("select rowferry.repair('files', 'crm', p_dry_run => false)")
    sync(*alike)
    assert len(assert_equal(alike, "files")) == 6


LOOKED = "select * from rowferry.row_status('files', '7')"
GIVEN_UP = "delete from rowferry.sync_events where record_id = '8'"


@pytest.mark.parametrize("query", [LOOKED, GIVEN_UP])
def test_a_long_log_is_not_read_for_one_record(nodes: Nodes, query: str) -> None:
    """Of 200,000 conflicts and as many closed skips, row_status() and a delete from sync_events read no more than they need."""
    for node in nodes:
        node.sql("create table files (id integer primary key, n integer); select rowferry.attach('files')")
    nodes.crm.sql("insert into files select g, 0 from generate_series(1, 10) g")
    nodes.crm.sql(
        "insert into rowferry.conflicts (conflict_key, peer, entity, record_id, winner, rule,"
        " winner_changed_at, loser_changed_at, decided_at, decided_by)"
        " select md5(g::text)::uuid, 'billing', 'files', 1000 + g, 'crm', 'newest', now(), now(), now(), 'crm'"
        " from generate_series(1, 200000) g;"
        "insert into rowferry.skips (peer, entity_id, entity, record_id, ids, requested_at, requested_by, done_at)"
        " select 'billing', 1, 'files', 1000 + g, '{}', now(), 'me', now() from generate_series(1, 200000) g;"
        "analyze rowferry.conflicts, rowferry.skips"
    )
    with nodes.crm.connect() as connection:
        connection.execute("select pg_stat_reset()")
        connection.execute(query)  # type: ignore[call-overload]
        nodes.crm.flush_statistics(connection)
    assert read(nodes.crm) < 100
    courier = Courier(nodes)
    courier.meet(nodes)
    nodes.crm.flush_statistics(courier.connections["crm"])
    assert read(nodes.crm) < 1000


def read(node: Node) -> int:
    """Rows of both logs that were read, by whatever way."""
    [row] = node.sql(
        "select sum(coalesce(seq_tup_read, 0) + coalesce(i.read, 0))::integer as read from pg_stat_user_tables t"
        " cross join lateral (select sum(idx_tup_read) as read from pg_stat_user_indexes i where i.relid = t.relid) i"
        " where relname in ('conflicts', 'skips')"
    )
    return int(row["read"])


def test_two_records_never_have_the_same_key_of_an_index(nodes: Nodes) -> None:
    keys: list[Any] = nodes.crm.sql(
        "select count(*) as keys, count(distinct rowferry._index_key(k)) as different,"
        " max(octet_length(rowferry._index_key(k))) as longest"
        r" from (select distinct k from (select repeat(c, n) || e as k from unnest(array['a', chr(128512), E'\\', '\"', ' ']) c,"
        r" generate_series(240, 1100, 5) n, unnest(array['', ' ', '  ', E'\\', E'\\\\']) e"
        " union select rowferry._index_key(repeat('a', n)) from generate_series(990, 1010) n) s (k)) d"
    )
    # What an index holds of a long key has itself more than 1,000 bytes: as a record's key, it has another.
    assert keys[0]["keys"] == keys[0]["different"] and keys[0]["longest"] < 2000
