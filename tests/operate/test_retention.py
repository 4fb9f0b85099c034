"""Decided conflicts and closed skips are kept as long as set_retention() says, and go little by little."""

from __future__ import annotations

import pytest

from harness import Node, Nodes
from harness.exchange import sync

CONFLICTS = """
insert into rowferry.conflicts (conflict_key, peer, entity, record_id, winner, rule, winner_row,
  winner_changed_at, loser_changed_at, decided_at, decided_by)
select md5(n::text)::uuid, 'billing', 'notes', n::text, 'crm', 'newest', to_jsonb(repeat('x', {size})),
  now(), now(), now() - interval '{age}', 'crm'
from generate_series({first}, {last}) n
"""
SKIPS = """
insert into rowferry.skips (peer, entity_id, entity, record_id, ids, requested_at, requested_by, ended_at)
select 'billing', 0, 'gone', n::text, '{}', now() - interval '200 days', 'ann',
  case when n <= 3 then now() - interval '100 days' when n = 4 then now() end
from generate_series(1, 5) n
"""


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    for node in nodes:
        node.sql("create table notes (id integer primary key); select rowferry.attach('notes')")
    sync(*nodes)
    return nodes


def kept(node: Node) -> tuple[int, list[str]]:
    [conflicts] = node.sql("select count(*) as n from rowferry.conflicts")
    return conflicts["n"], [row["record_id"] for row in node.sql("select record_id from rowferry.skips order by id")]


def test_what_is_older_than_ninety_days_goes_and_an_open_skip_stays(notes: Nodes) -> None:
    node = notes.crm
    node.sql(CONFLICTS.format(size=1, age="91 days", first=1, last=5))
    node.sql(CONFLICTS.format(size=1, age="89 days", first=6, last=8))
    node.sql(SKIPS)
    node.sql("insert into notes values (1)")
    sync(*notes)
    assert kept(node) == (3, ["4", "5"])


def test_the_time_can_be_set_by_an_operator_and_null_keeps_all(notes: Nodes) -> None:
    node = notes.crm
    node.sql(CONFLICTS.format(size=1, age="1000 days", first=1, last=5))
    node.sql("set role rowferry_operator; select * from rowferry.set_retention(null)")
    node.sql("select rowferry._prune_logs()")
    assert kept(node)[0] == 5
    node.sql("set role rowferry_operator; select * from rowferry.set_retention('999 days')")
    node.sql("select rowferry._prune_logs()")
    assert kept(node)[0] == 0


def test_less_than_a_day_is_refused(notes: Nodes) -> None:
    with notes.crm.connect() as connection, pytest.raises(Exception, match="less than a day"):
        connection.execute("select * from rowferry.set_retention('1 hour')")


def test_one_call_removes_a_hundred_at_most_and_large_ones_one_by_one(notes: Nodes) -> None:
    node = notes.crm
    node.sql(CONFLICTS.format(size=1, age="91 days", first=1, last=250))
    node.sql("select rowferry._prune_logs()")
    assert kept(node)[0] == 150
    node.sql("select rowferry._prune_logs(), rowferry._prune_logs(); select rowferry._prune_logs()")
    node.sql("alter table rowferry.conflicts alter winner_row set storage external")
    node.sql(CONFLICTS.format(size=3_000_000, age="91 days", first=1, last=3))
    node.sql("select rowferry._prune_logs()")
    assert kept(node)[0] == 2


def test_an_exchange_without_a_batch_removes_nothing(notes: Nodes) -> None:
    notes.crm.sql(CONFLICTS.format(size=1, age="91 days", first=1, last=5))
    sync(*notes)
    assert kept(notes.crm)[0] == 5
