"""What the schema says of itself, and who may do what in it."""

from __future__ import annotations

import psycopg
import pytest

from harness import Nodes
from harness.notes import RANKED, keep_notes


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """Two nodes that keep one table in sync."""
    return keep_notes(nodes, table=RANKED)


def test_everything_in_the_schema_explains_itself(notes: Nodes) -> None:
    missing = notes.crm.sql(
        """
        select p.oid::regprocedure::text as name from pg_proc p
        where p.pronamespace = 'rowferry'::regnamespace and obj_description(p.oid, 'pg_proc') is null
        union all
        select c.oid::regclass::text from pg_class c
        where c.relnamespace = 'rowferry'::regnamespace and c.relkind in ('r', 'v') and c.relname not like 'alembic%'
          and obj_description(c.oid, 'pg_class') is null
        union all
        select c.oid::regclass || '.' || a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid
        where c.relnamespace = 'rowferry'::regnamespace and c.relkind in ('r', 'v')
          and a.attnum > 0 and not a.attisdropped
          and c.relname not like 'alembic%'
          and col_description(c.oid, a.attnum) is null
        """
    )
    assert missing == []


def test_functions_are_pinned_and_nothing_is_granted_to_public(notes: Nodes) -> None:
    bad = notes.crm.sql(
        """
        select p.oid::regprocedure::text as name, 'search_path' as what from pg_proc p
        where p.pronamespace = 'rowferry'::regnamespace 
          and p.proname not in
            ('_now', '_events_of_record', '_held_of_record', '_is_free', '_anything_rare', '_winner', '_stamp', '_event_bytes',
             '_sendable_events', '_index_key', '_left_nothing', '_link_key', 'is_applying')
          and not exists (select from unnest(p.proconfig) c where c like 'search_path=%pg_temp')
          -- Each name in these is qualified, which a test of capture's rights tries under a hostile path.
          and p.proname !~ '^capture_' and p.proname <> '_unaltered'
        union all
        select p.oid::regprocedure::text, 'public' from pg_proc p
        where p.pronamespace = 'rowferry'::regnamespace and p.proname <> 'is_applying'
          and has_function_privilege('public', p.oid, 'execute')
        union all
        select c.oid::regclass::text, 'public' from pg_class c
        where c.relnamespace = 'rowferry'::regnamespace and c.relkind in ('r', 'v')
          and has_table_privilege('public', c.oid, 'select, insert, update, delete')
        union all
        select p.oid::regprocedure::text, 'owner' from pg_proc p join pg_roles r on r.oid = p.proowner
        where p.pronamespace = 'rowferry'::regnamespace and p.proname ~ '^(_|process|capture)' and r.rolname <> 'rowferry_owner'
        union all
        select t.tgname, 'always' from pg_trigger t join pg_proc p on p.oid = t.tgfoid
        where p.pronamespace = 'rowferry'::regnamespace and t.tgname like 'rowferry%' and t.tgenabled <> 'A'
        """
    )
    assert bad == []


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("rowferry_worker", {"process_batch"}),
        ("rowferry_viewer", {"status", "sync_events", "conflicts", "version"}),
        ("rowferry_operator", {"status", "sync_events", "conflicts", "pause", "backfill", "version", "delete"}),
    ],
)
def test_each_role_may_do_its_part_and_no_more(notes: Nodes, role: str, allowed: set[str]) -> None:
    actions = {
        "process_batch": "select rowferry.process_batch()",
        "status": "select * from rowferry.status",
        "sync_events": "select * from rowferry.sync_events",
        "conflicts": "select * from rowferry.conflicts",
        "version": "select rowferry.version()",
        "pause": "select * from rowferry.pause()",
        "backfill": "select * from rowferry.backfill('notes')",
        "delete": "delete from rowferry.sync_events",
        "table": "select * from public.notes",
        "events": "select * from rowferry.events",
        "links": "update rowferry.links set paused_at = null",
        "read": "select rowferry.read_notes('{1}', null)",
        "attach": "select rowferry.attach('public.notes')",
        "internal": "select rowferry._delete_events('{[1,100)}')",
        "proof": "insert into rowferry.applying values (pg_current_xact_id(), 0, 1, '{}')",
    }
    done = set()
    for name, query in actions.items():
        with notes.crm.connect() as connection:
            connection.execute(f"set role {role}")
            try:
                connection.execute(query)
                done.add(name)
            except psycopg.errors.InsufficientPrivilege:
                pass
    assert done == allowed
