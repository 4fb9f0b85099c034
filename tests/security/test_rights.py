"""Who may do what: every role with every object and every right, against tests/data/rights.txt, which a person has read.

WRITE_RIGHTS=1 writes the file anew; read its diff before you commit it.
"""

import os
from collections.abc import Iterator

import psycopg
import pytest

from harness import REPO, Node, Nodes

FILE = REPO / "tests" / "data" / "rights.txt"
TABLES = """
    create table notes (id integer primary key, text text);
    create table kept (id integer primary key, country text) partition by hash (id);
    create table kept_0 partition of kept for values with (modulus 1, remainder 0);
    alter table kept owner to matrix_owner;
    grant usage on schema public to matrix_owner;
    create function app.merge(mine notes, theirs notes) returns notes language sql as 'select theirs';
    select rowferry.attach('notes', p_conflict_rule => 'merge:app.merge');
    select rowferry.attach('kept', p_filter => 'country = ''CH''');
    create table app.shaped (id integer primary key, name text);
    create view app.shaped_out as select id, upper(name) as loud from app.shaped;
    select rowferry.attach('app.shaped', p_outbound => 'app.shaped_out', p_filter => 'id > 0', p_direction => 'send');
    create table app.received (id integer primary key, name text);
    select rowferry.attach('app.received', p_direction => 'receive')"""
# A right that a role has for being the object's owner or a superuser is none that anybody gave.
RIGHTS = """
    with objects (object, kind, id, rights) as (
      select 'schema rowferry', 'schema', n.oid, array['usage', 'create'] from pg_namespace n where n.nspname = 'rowferry'
      union all
      select format('%s %s', case c.relkind when 'v' then 'view' when 'S' then 'sequence' else 'table' end, c.relname),
        case c.relkind when 'S' then 'sequence' else 'table' end, c.oid,
        case c.relkind when 'S' then array['usage', 'select', 'update']
          else array['select', 'insert', 'update', 'delete', 'truncate', 'references', 'trigger'] end
      from pg_class c where c.relnamespace = 'rowferry'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S', 'f')
      union all
      select format('function %s(%s)', p.proname, oidvectortypes(p.proargtypes)), 'function', p.oid, array['execute']
      from pg_proc p where p.pronamespace = 'rowferry'::regnamespace
    )
    select r.role, o.object, string_agg(w.name, ', ' order by w.ord) as rights
    from objects o
    cross join (values ('public'), ('rowferry_worker'), ('rowferry_viewer'), ('rowferry_operator'),
      ('matrix_owner'), ('matrix_user')) r (role)
    cross join lateral unnest(o.rights) with ordinality w (name, ord)
    where case o.kind
        when 'schema' then has_schema_privilege(r.role, o.id, w.name)
        when 'table' then has_table_privilege(r.role, o.id, w.name)
        when 'sequence' then has_sequence_privilege(r.role, o.id, w.name)
        else has_function_privilege(r.role, o.id, w.name) end
    group by r.role, o.object
    order by r.role, o.object collate "C" """


@pytest.fixture
def crm(nodes: Nodes) -> Iterator[Node]:
    node = nodes.billing  # the arbiter
    try:
        node.sql(f"create role matrix_owner; create role matrix_user; create schema app; {TABLES}")
        yield node
    finally:
        node.sql("drop owned by matrix_owner, matrix_user cascade; drop role matrix_owner, matrix_user")


def found(node: Node) -> str:
    lines, role = [], ""
    for row in node.sql(RIGHTS):
        if row["role"] != role:
            role = row["role"]
            lines.append(f"{role}\n")
        lines.append(f"  {row['object']}: {row['rights']}\n")
    return "".join(lines)


def test_every_role_has_the_rights_that_stand_in_the_file_and_no_other(crm: Node) -> None:
    text = found(crm)
    if os.environ.get("WRITE_RIGHTS"):
        FILE.write_text(text)
    assert text == FILE.read_text()


def test_a_plain_user_and_the_worker_may_do_next_to_nothing() -> None:
    """What the file says of those who matter most, so that a new line in it is not read over."""
    sections: dict[str, list[str]] = {}
    role = ""
    for line in FILE.read_text().splitlines():
        if line.startswith("  "):
            sections[role].append(line.strip())
        else:
            role = line
            sections[role] = []
    assert sections["public"] == sections["matrix_user"] == ["function is_applying(): execute"]
    assert sections["rowferry_worker"] == [
        "function is_applying(): execute",
        "function process_batch(text, text, bytea, integer, jsonb, boolean, interval): execute",
        "schema rowferry: usage",
    ]
    readers = sections["rowferry_viewer"] + sections["rowferry_operator"]
    assert [line for line in readers if "insert" in line or "update" in line or "truncate" in line] == []


@pytest.mark.parametrize("role", ["rowferry_worker", "rowferry_viewer", "rowferry_operator", "matrix_user"])
def test_nobody_but_the_owner_writes_what_the_sync_believes(crm: Node, role: str) -> None:
    """Forged events, forged marks of the applier, a forged release: refused by the server, not only by the catalog."""
    for statement in (
        "insert into rowferry.events (changed_at, entity_id, event_type, record_id) values (now(), 1, 'd', '1')",
        "insert into rowferry.applying (transaction_id, entity_id, hops) values (pg_current_xact_id(), 0, 0)",
        "update rowferry.links set acked = 9",
        "delete from rowferry.migration_log",
        "update rowferry.released set digest = ''",
        "select rowferry.apply_notes(array['{1}', '{x}'], false)",
        "alter table notes disable trigger rowferry_capture_insert",
        "set session_replication_role = replica",
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege), crm.connect() as connection:
            connection.execute(f"set role {role}")
            connection.execute(statement)  # type: ignore[call-overload]
