"""Two nodes' rows compared while both are written: what differs is found, and nothing else."""

import pytest

from harness import Nodes
from harness.comparing import compared, differences, found
from harness.exchange import sync

NOTES = "create table public.notes (id int primary key, body text); select rowferry.attach('public.notes')"
# Past capture, as a restored table or a disabled trigger would leave it.
UNSEEN = "set session_replication_role = replica; alter table public.notes disable trigger all; {}; alter table public.notes enable always trigger all"


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """1,000 equal rows on both nodes."""
    for node in nodes:
        node.sql(NOTES)
    nodes.crm.sql("insert into notes select n, 'note ' || n from generate_series(1, 1000) n")
    sync(*nodes)
    return nodes


def unseen(node, statement: str, table: str = "public.notes") -> None:
    """A change that no trigger sees."""
    node.sql(f"alter table {table} disable trigger all; {statement}")
    node.sql(f"""
        do $$ declare t record; begin
          for t in select tgname from pg_trigger where tgrelid = '{table}'::regclass and not tgisinternal loop
            execute format('alter table {table} enable always trigger %I', t.tgname);
          end loop;
        end $$""")


def test_equal_tables_are_found_equal(notes: Nodes) -> None:
    run = compared(notes, "notes")
    assert run["state"] == "finished", run["error"]
    assert found(run) == {"same": 1000, "different": 0, "only_here": 0, "only_there": 0, "pending": 0}
    assert (run["rows_here"], run["rows_there"]) == (1000, 1000)


def test_each_kind_of_difference_is_found_and_no_other(notes: Nodes) -> None:
    unseen(notes.crm, "update notes set body = 'other' where id = 17; delete from notes where id = 500")
    unseen(notes.billing, "delete from notes where id in (3, 1000)")
    run = compared(notes, "notes")
    assert found(run) == {"same": 996, "different": 1, "only_here": 2, "only_there": 1, "pending": 0}
    assert differences(notes.crm) == ["different 17", "only_here 1000", "only_here 3", "only_there 500"]
