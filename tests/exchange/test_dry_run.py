"""process_batch(.., p_dry_run => true) does the whole call for real, shows its effect and takes it back."""

import pytest

from harness import Node, Nodes
from harness.courier import Courier
from harness.exchange import rows
from harness.notes import keep_notes


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    keep_notes(nodes, "values (1, 'old'), (2, 'old')")
    nodes.billing.sql("alter table notes add check (body <> 'bad')")
    return nodes


def everything(node: Node) -> dict[str, list[str]]:
    """All rows of all tables, and the row versions they are."""
    tables = node.sql(
        "select c.oid::regclass::text as name from pg_class c where c.relkind = 'r' and c.relnamespace in"
        " ('rowferry'::regnamespace, 'public'::regnamespace) order by 1"
    )
    return {table["name"]: rows(node, f"select xmin, t.* from {table['name']} t") for table in tables}


def test_a_dry_run_of_an_arriving_batch_shows_what_it_would_do_and_changes_nothing(notes: Nodes) -> None:
    """A row that is written, one that is refused, one that loses a conflict, and what goes back."""
    notes.crm.sql(
        "update notes set body = 'crm' where id = 1; delete from notes where id = 2;"
        "insert into notes values (3, 'bad'), (4, 'new')"
    )
    notes.billing.sql("update notes set body = 'billing' where id = 1; insert into notes values (5, 'mine')")
    courier = Courier(notes)
    to_billing, _ = courier.meet(notes)
    before = everything(notes.billing)
    shown = courier.call(notes.billing, to_billing, dry_run=True)
    assert everything(notes.billing) == before
    done = courier.call(notes.billing, to_billing)
    same = ("status", "applied", "refused", "conflicts", "retired", "sent", "pending", "held", "next_id", "token")
    assert [shown[name] for name in same] == [done[name] for name in same]
    assert (done["refused"], done["conflicts"]) == (1, 1) and done["applied"] >= 2
    assert everything(notes.billing) != before


def test_a_dry_run_of_the_first_call_opens_nothing_and_sends_nothing(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (3, 'new')")
    before = everything(notes.crm)
    courier = Courier(notes)
    shown = courier.call(notes.crm, dry_run=True)
    assert (shown["status"], shown["token"]) == ("moved", courier.token)
    assert everything(notes.crm) == before
