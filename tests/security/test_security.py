"""Whoever holds the worker's role reads no table, and whoever listens hears no secret."""

import itertools
from pathlib import Path

import psycopg
import pytest

from harness import Nodes, alembic, wait_until
from harness.exchange import rows, sync, waiting
from harness.notes import keep_notes
from harness.worker import start_worker, worker

NUMBERS = itertools.count(1)


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    return keep_notes(nodes)


@pytest.mark.case(84)
def test_the_workers_role_can_read_and_write_no_users_table(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    name = f"courier_{next(NUMBERS)}"
    notes.crm.sql(f"create role {name} in role rowferry_worker")
    with notes.crm.connect() as connection:
        connection.execute(f"set session authorization {name}")
        for statement in (
            *("select * from notes", "insert into notes values (2)", "update notes set body = 'b'", "delete from notes"),
            *("truncate notes", "select * from rowferry.sync_events", "select rowferry.read_notes('{1}', null)"),
            *("select rowferry.apply_notes(array['{x}', '{1}'], false)", "select * from rowferry.events"),
            "set role rowferry_owner",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
        assert connection.execute("select status from rowferry.process_batch()").fetchone() == ("idle",)


@pytest.mark.case(85)
@pytest.mark.parametrize("forced_on", ["source", "target"])
def test_row_level_security_on_a_table_makes_no_row_look_deleted(notes: Nodes, forced_on: str) -> None:
    """An owner under its own policies sees no row. Nothing is deleted, and the events wait with the reason."""
    for node in notes:
        owner = f"rls_owner_{next(NUMBERS)}"
        node.sql(f"select rowferry.detach('notes'); create role {owner}; alter table notes owner to {owner}")
        node.sql("select rowferry.attach('notes')")
    notes.crm.sql("insert into notes values (1, 'a'), (2, 'b')")
    sync(*notes)
    hidden = notes.crm if forced_on == "source" else notes.billing
    hidden.sql("alter table notes enable row level security; alter table notes force row level security")
    notes.crm.sql("update notes set body = 'z' where id = 1; delete from notes where id = 2")
    sync(*notes)
    assert rows(notes.billing, "select * from notes") == ["(1,a)", "(2,b)"]
    assert [event.rpartition(" ")[0] for event in waiting(notes.crm)] == ["update notes 1", "delete notes 2"]
    assert {event.rpartition(" ")[2] for event in waiting(notes.crm)} == {"RF020"}
    hidden.sql("alter table notes no force row level security")
    notes.crm.sql("select rowferry.retry(id) from rowferry.sync_events")
    sync(*notes)
    assert rows(notes.billing, "select * from notes") == ["(1,z)"]


@pytest.mark.case(85)
def test_row_level_security_for_others_than_the_owner_is_no_obstacle(notes: Nodes) -> None:
    for node in notes:
        node.sql("alter table notes enable row level security")
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(*notes)
    assert rows(notes.billing, "select * from notes") == ["(1,a)"]


def arguments_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


@pytest.mark.case(86)
def test_no_password_shows_in_arguments_activity_logs_status_or_migrations(notes: Nodes, tmp_path: Path) -> None:
    secrets = [node.server.password for node in notes]
    assert all(len(secret) > 20 for secret in secrets)
    seen = [alembic(notes.env, "upgrade", "head"), alembic(notes.env, "current"), alembic(notes.env, "history")]
    seen.append(alembic(notes.env, "-x", "node=crm", "upgrade", "head", "--sql"))
    log = tmp_path / "log"
    for node in notes:
        node.sql(f"alter database {node.database} set log_statement = 'all'")
    notes.billing.sql("alter table notes add constraint short check (length(body) < 3)")
    notes.crm.sql("insert into notes values (1, 'a'), (2, 'too long')")
    with worker(notes, log) as process:
        wait_until(lambda: waiting(notes.crm) == ["insert notes 2 23514"], 60, "one row arrives, one is held")
        seen.append(arguments_of(process.pid))
        for node in notes:
            seen += rows(node, "select * from pg_stat_activity")
            seen += rows(node, "select * from rowferry.status")
            seen += rows(node, "select * from rowferry.links")
            seen += rows(node, "select * from rowferry.sync_events")
    wrong = {**notes.env, "ROWFERRY_NODE_CRM": notes.crm.conninfo.replace(secrets[0], "a-wrong-secret")}
    failed = start_worker(Wrong(notes, wrong), log, "--once")  # type: ignore[arg-type]
    assert failed.wait(60) == 3
    seen.append(log.read_text())
    assert "password authentication failed" in seen[-1]
    seen += [node.server.log_path.read_text(errors="replace") for node in notes]
    text = "\n".join(seen)
    assert "process_batch" in text  # the statements are in the servers' logs
    for secret in (*secrets, "a-wrong-secret"):
        assert secret not in text


class Wrong:
    """Nodes with another environment."""

    def __init__(self, nodes: Nodes, env: dict[str, str]) -> None:
        self.nodes, self.env = nodes, env


LINT = r"""
    select p.oid::regprocedure::text as name, 'search_path' as what from pg_proc p
    where p.pronamespace = 'rowferry'::regnamespace
      and (p.prosecdef or p.prolang <> (select oid from pg_language where lanname = 'sql') or p.prosrc ~* 'from|join')
      and not exists (select from unnest(p.proconfig) c where c ~ '^search_path=.*pg_temp$')
      -- Each name in these is qualified, which a test of capture's rights tries under a hostile path.
      and p.proname !~ '^capture_' and p.proname not in (
        '_events_of_record', '_held_of_record', '_sendable_events', '_left_nothing', '_link_key', 'is_applying')
    union all
    select p.oid::regprocedure::text, 'granted to public' from pg_proc p
    where p.pronamespace = 'rowferry'::regnamespace
      and p.proname <> 'is_applying'  -- it stands in the WHEN of users' triggers
      and exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)
    union all
    select c.oid::regclass::text, 'granted to public' from pg_class c
    where c.relnamespace = 'rowferry'::regnamespace
      and exists (select from aclexplode(c.relacl) a where a.grantee = 0)
    union all
    select p.oid::regprocedure::text, 'owner may log in' from pg_proc p join pg_roles r on r.oid = p.proowner
    where p.pronamespace = 'rowferry'::regnamespace and r.rolcanlogin and p.proname !~ '_notes$|_parts$'
    union all
    select t.tgrelid::regclass || ' ' || t.tgname, 'not always' from pg_trigger t join pg_proc p on p.oid = t.tgfoid
    where p.pronamespace = 'rowferry'::regnamespace and t.tgname ~ '^rowferry' and t.tgenabled <> 'A'
    union all
    select p.oid::regprocedure::text, 'no security definer' from pg_proc p
    where p.pronamespace = 'rowferry'::regnamespace
      and p.proname ~ '^(capture|read|apply|delete|lock|differing|keys|finish)_(notes|parts)$' and not p.prosecdef"""


@pytest.mark.case(87)
def test_the_catalog_keeps_the_rules(notes: Nodes) -> None:
    notes.crm.sql(
        "create table parts (id int primary key) partition by list (id); create table parts_1 partition of parts default;"
        " select rowferry.attach('parts')"
    )
    assert [tuple(row.values()) for row in notes.crm.sql(LINT)] == []
    triggers = notes.crm.sql("select count(*) as n from pg_trigger where tgname like 'rowferry%' and tgenabled = 'A'")
    assert triggers[0]["n"] >= 7
