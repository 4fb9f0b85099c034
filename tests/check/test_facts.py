"""The facts that nodes tell each other for check(): when they travel, and that they delay no change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import Nodes, wait_until
from harness.courier import Courier
from harness.exchange import assert_equal, sync
from harness.well import keep_well, said
from harness.worker import worker


@pytest.fixture
def good(nodes: Nodes) -> Nodes:
    return keep_well(nodes)


def test_facts_that_make_no_sense_are_said_and_stop_nothing(good: Nodes) -> None:
    for facts in ('{"entities": 1}', '{"clock": 1e300, "entities": {}}', "[]", '"x"', "null"):
        good.crm.sql("select rowferry._note_facts('billing', %s)", [facts])
    assert said(good.crm) == []
    good.crm.sql(
        """select rowferry._note_facts('billing', '{"clock": 1, "entities": {"users": {"columns": [1], "uniques": {"a": 1}}}}')"""
    )
    assert any("what billing said of itself cannot be read" in line for line in said(good.crm))


def test_facts_go_along_at_the_opening_and_then_at_most_every_five_minutes(good: Nodes) -> None:
    def heard() -> Any:
        return good.billing.sql("select heard_at from rowferry.peer_facts")[0]["heard_at"]

    first = heard()
    courier = Courier(good)
    courier.meet(good)
    opened = heard()
    assert opened > first
    envelope = courier.call(good.crm)["envelope"]
    good.crm.sql("insert into accounts (name) values ('Globex')")
    envelope = courier.call(good.crm)["envelope"]
    assert b'"facts"' not in envelope
    envelope = courier.call(good.billing, envelope)["envelope"]
    assert b'"facts"' not in envelope
    good.crm.sql("update rowferry.links set facts_sent_at = facts_sent_at - interval '6 min'")
    courier.call(good.crm, envelope)
    assert b'"facts"' not in courier.call(good.crm)["envelope"], "an idle call has nothing that travels"
    good.crm.sql("insert into accounts (name) values ('Initech')")
    envelope = courier.call(good.crm)["envelope"]
    assert b'"facts"' in envelope
    courier.call(good.billing, envelope)
    assert heard() > opened


def test_an_idle_call_draws_no_transaction_id_however_old_the_facts(good: Nodes) -> None:
    courier = Courier(good)
    courier.meet(good)
    while courier.call(good.crm)["status"] != "idle":
        pass
    good.crm.sql("update rowferry.links set facts_sent_at = facts_sent_at - interval '1 day'")
    connection = courier.connections["crm"]
    with connection.transaction():
        assert courier.call(good.crm)["status"] == "idle"
        [row] = connection.execute("select pg_current_xact_id_if_assigned() as id").fetchall()
    assert row["id"] is None


def test_a_table_that_somebody_has_locked_delays_the_facts_and_no_change(good: Nodes) -> None:
    good.crm.sql("insert into accounts (name) values ('Globex'); update rowferry.links set facts_sent_at = null")
    with good.crm.connect(autocommit=False) as user:
        user.execute("lock table users in access exclusive mode; lock table logs in access exclusive mode")
        user.execute("alter table accounts_id_seq rename to other_seq")
        sync(*good)
        user.rollback()
    assert_equal(good, "public.accounts")


def test_an_opening_with_many_entities_takes_no_longer_than_a_call_may(nodes: Nodes, tmp_path: Path) -> None:
    """What check() needs to know is told in several envelopes."""
    for node in nodes:
        for first in range(1, 160, 40):
            node.sql(f"""
                do $$ begin
                  for n in {first}..{first + 39} loop
                    execute format('create table public.t_%s (id serial primary key, v text)', n);
                    perform rowferry.attach(format('public.t_%s', n)::regclass);
                  end loop;
                end $$""")
    nodes.crm.sql("insert into t_3 (v) values ('a')")
    with worker(nodes, tmp_path / "log"):
        wait_until(lambda: nodes.billing.sql("select v from t_3") == [{"v": "a"}], 60, "a row arrives")
        told = "select (select count(*) from jsonb_object_keys(facts -> 'entities')) as n from rowferry.peer_facts"
        wait_until(
            lambda: [node.sql(told) for node in nodes] == [[{"n": 160}]] * 2, 60, "both nodes know all entities of the other"
        )
    assert nodes.crm.sql("select * from rowferry.check() where problem ~ 'attached'") == []
