"""The log of batches and the sums of traffic: what each exchange did, the same on both nodes."""

from __future__ import annotations

from typing import Any

import pytest

from harness import Node, Nodes
from harness.clock import stop_clocks
from harness.courier import Courier
from harness.exchange import assert_equal, sync
from harness.notes import keep_notes

BATCHES = """
select number, tag::text, records, events, refused, conflicts, ms from rowferry.batches where direction = %s order by number"""
TRAFFIC = """
select entity, sum(records)::int as records, sum(deletes)::int as deletes, sum(refused)::int as refused
from rowferry.traffic where direction = %s group by entity order by entity"""
LINK = "select to_jsonb(l) as link from rowferry.links l"


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two tables in sync; billing refuses a note that is empty."""
    for node in keep_notes(nodes):
        node.sql("create table parts (id integer primary key, body text); select rowferry.attach('parts')")
    nodes.billing.sql("alter table notes add check (body <> '')")
    return nodes


def traffic(node: Node, direction: str) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in node.sql(TRAFFIC, [direction])]


def test_both_nodes_log_the_same_batches_one_as_sent_and_one_as_applied(notes: Nodes) -> None:
    notes.crm.sql("insert into notes select n, 'a' from generate_series(1, 30) n; update notes set body = 'b' where id = 7")
    notes.crm.sql("insert into notes values (40, '')")
    notes.billing.sql("insert into parts values (1, 'p')")
    sync(*notes, limit=10)
    for left, right in ((notes.crm, notes.billing), (notes.billing, notes.crm)):
        sent, applied = left.sql(BATCHES, ["sent"]), right.sql(BATCHES, ["applied"])
        assert sent == applied != []
    sums = "select sum(records)::int as records, sum(events)::int as events, max(refused)::int as refused from rowferry.batches"
    assert notes.crm.sql(f"{sums} where direction = 'sent'") == [{"records": 30, "events": 31, "refused": 1}]


def test_traffic_counts_records_deletes_and_refusals_of_each_entity_and_hour(notes: Nodes) -> None:
    stop_clocks(notes, "2026-03-01 10:59:58.5+00")
    notes.crm.sql("insert into notes select n, 'a' from generate_series(1, 30) n; insert into notes values (40, '')")
    notes.crm.sql("insert into parts select n, 'a' from generate_series(1, 20) n")
    sync(*notes)
    stop_clocks(notes, "2026-03-01 11:00:01+00")
    notes.crm.sql("delete from parts where id <= 5; update parts set body = 'b' where id = 6")
    sync(*notes)
    for node, direction in ((notes.crm, "sent"), (notes.billing, "applied")):
        found = {row[0]: row[1:4] for row in traffic(node, direction)}
        assert found["parts"] == (26, 5, 0)
        assert found["notes"][:2] == (30, 0) and found["notes"][2] >= 1
        hours = node.sql(
            "select extract(hour from hour at time zone 'UTC')::int as hour, records from rowferry.traffic"
            " where entity = 'parts' order by 1"
        )
        assert [tuple(row.values()) for row in hours] == [(10, 20), (11, 6)]


def test_an_idle_call_writes_nothing_of_it(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(*notes)
    state = "select (select count(*) from rowferry.batches) as batches, (select sum(batches) from rowferry.traffic) as traffic"
    before = [node.sql(state) for node in notes]
    courier = Courier(notes)
    crm, billing = courier.meet(notes)
    statuses = []
    for _ in range(3):
        answers = courier.call(notes.crm, billing), courier.call(notes.billing, crm)
        crm, billing = (answer["envelope"] for answer in answers)
        statuses += [answer["status"] for answer in answers]
    assert statuses[-4:] == ["idle"] * 4
    assert [node.sql(state) for node in notes] == before


def test_the_log_and_the_sums_do_not_grow_without_end(notes: Nodes) -> None:
    for node in notes:
        node.sql("""
            insert into rowferry.batches (peer, direction, number, tag, records, events, refused, conflicts, ms, at)
            select l.peer, 'sent', n, gen_random_uuid(), 1, 1, 0, 0, 1, now() from rowferry.links l, generate_series(1, 12999) n;
            insert into rowferry.traffic
            select l.peer, 'notes', 'sent', date_trunc('hour', now()) - n * interval '1 day', 1, 1, 0, 0
            from rowferry.links l, generate_series(1, 100) n""")
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(*notes)
    for node in notes:
        [kept] = node.sql("select count(*) as count, min(id) as first, max(id) as last from rowferry.batches")
        assert kept == {"count": 10000, "first": 3001, "last": 13000}
        assert node.sql("select from rowferry.traffic where hour < now() - interval '90 days'") == []
        assert node.sql("select count(*) as count from rowferry.traffic where hour < now()")[0]["count"] in (90, 91)


def test_a_batch_of_a_call_that_failed_is_not_in_the_log(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    courier = Courier(notes)
    crm, _ = courier.meet(notes)
    with notes.billing.connect(autocommit=False) as connection:
        connection.execute("select * from rowferry.process_batch(null, %s, %s)", (courier.token, crm))
        connection.rollback()
    assert notes.billing.sql("select * from rowferry.batches") == []
    courier.call(notes.billing, crm)
    courier.call(notes.billing, crm)
    assert len(notes.billing.sql("select * from rowferry.batches")) == 1
    sync(*notes)
    assert_equal(notes)


# A dry run


def test_a_persons_dry_run_shows_what_the_next_call_would_send_and_keeps_nothing(notes: Nodes) -> None:
    notes.crm.sql("insert into notes select n, 'a' from generate_series(1, 7) n")
    sync(*notes)
    notes.crm.sql("update notes set body = 'b' where id <= 3")
    before = notes.crm.sql(LINK), notes.crm.sql("select * from rowferry.built_batches")
    [shown] = notes.crm.sql("select sent, pending, envelope, reason from rowferry.process_batch(p_dry_run => true)")
    assert shown == {"sent": 3, "pending": 3, "envelope": None, "reason": "dry run, nothing was kept"}
    assert before == (notes.crm.sql(LINK), notes.crm.sql("select * from rowferry.built_batches"))
    sync(*notes)
    assert_equal(notes)


def test_a_dry_run_names_the_records_that_would_be_refused(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a'), (2, '')")
    courier = Courier(notes)
    crm, _ = courier.meet(notes)
    notices: list[str] = []
    courier.connections["billing"].add_notice_handler(lambda notice: notices.append(str(notice.message_detail)))
    answer = courier.call(notes.billing, crm, dry_run=True)
    assert (answer["applied"], answer["refused"], answer["envelope"]) == (1, 1, None)
    [notice] = notices
    assert notice.startswith("notes 2: new row for relation")
    assert notes.billing.sql("select * from notes") == []
    assert notes.billing.sql("select * from rowferry.taken_batches") == []
    assert courier.call(notes.billing, crm)["applied"] == 1
