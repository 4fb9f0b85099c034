"""A batch looks for what triggers did to its rows only where a trigger runs for rows of the peer."""

from __future__ import annotations

import pytest

from harness import Nodes
from harness.guards import NOTES, SPLIT


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """A table on both nodes, not yet attached, and a function for triggers that notes which of them ran."""
    for node in nodes:
        node.sql(NOTES)
    return nodes


@pytest.mark.parametrize(
    ("trigger", "looks"),
    [
        ("", False),
        ("before update on notes for each row execute function see()", False),
        ("before update on notes for each row when (new.id > 0) execute function see()", False),
        ("before update on notes for each row execute function see(); alter table notes enable always trigger t", True),
        ("before update on notes for each row execute function see(); alter table notes disable trigger t", False),
        ("after truncate on notes for each statement execute function see()", False),
        ("before update on notes for each row when (rowferry.is_applying()) execute function see()", False),
    ],
)
def test_a_batch_looks_for_the_work_of_those_triggers_alone_that_run(notes: Nodes, trigger: str, looks: bool) -> None:
    node = notes.crm
    may = "select rowferry._may_differ('{notes}') as may"
    node.sql(f"create trigger t {trigger}; select rowferry.attach('notes')" if trigger else "select rowferry.attach('notes')")
    assert node.sql(may) == [{"may": looks}]
    node.sql("create trigger late before update on notes for each row when (rowferry.is_applying()) execute function see()")
    assert node.sql(may) == [{"may": True}]
    node.sql("select rowferry.attach('notes')")
    assert node.sql(may) == [{"may": looks}]


@pytest.mark.parametrize(
    ("change", "looks"),
    [
        ("select 1", False),
        ("alter table only split_2 enable trigger off", False),
        ("alter table split_2 disable trigger everywhere", False),
        ("alter table split enable always trigger everywhere; select rowferry.attach('split')", True),
        ("create trigger mine after insert on split_11 for each row execute function see()", True),
    ],
)
def test_a_batch_looks_for_the_work_of_triggers_of_partitions(notes: Nodes, change: str, looks: bool) -> None:
    node = notes.crm
    node.sql(f"{SPLIT} select rowferry.attach('split'); {change}")
    assert node.sql("select rowferry._may_differ('{split}') as may") == [{"may": looks}]


def test_a_batch_looks_for_the_work_of_a_copy_that_is_enabled_where_its_original_is_not(notes: Nodes) -> None:
    node = notes.crm
    node.sql(SPLIT)
    node.sql("""
        alter table split disable trigger everywhere; alter table split_2 enable trigger everywhere;
        select rowferry.attach('split', p_triggers => 'fire')""")
    node.sql(
        "alter table split disable trigger late; alter table split disable trigger of_root;"
        "alter table split_11 disable trigger one_only"
    )
    node.sql("alter table split_1 disable trigger off")
    assert node.sql("select rowferry._may_differ('{split}') as may") == [{"may": True}]
    node.sql("alter table split_2 disable trigger everywhere")
    assert node.sql("select rowferry._may_differ('{split}') as may") == [{"may": False}]
