"""What somebody changed by hand in production is named, with a line that heals it in psql."""

import json
import subprocess

import pytest

from harness import REPO, Nodes
from harness.exchange import refused_with
from harness.worker import PROGRAM

CHANGES = {
    "a function replaced": "create or replace function rowferry.version() returns integer language sql immutable as 'select 7'",
    "a function's setting": "alter function rowferry.retry(bigint) set search_path = public",
    "a function's owner": "alter function rowferry.pause(text, text) owner to postgres",
    "a function's security": "alter function rowferry.check(text) security invoker",
    "a function's volatility": "alter function rowferry.preview(integer, text) volatile",
    "a function dropped": "drop function rowferry.selftest()",
    "a function open to all": "grant execute on function rowferry.backfill(text, integer) to public",
    "a function given to somebody": "grant execute on function rowferry.backfill(text, integer) to rowferry_worker",
    "a function taken from its role": "revoke execute on function rowferry.check(text) from rowferry_viewer",
    "a table given to somebody": "grant delete on rowferry.events to rowferry_viewer",
    "a view taken from its role": "revoke select on rowferry.status from rowferry_viewer",
    "a sequence given to somebody": "grant usage on sequence rowferry.entity_ids to public",
    "a column given to somebody": "grant update (record_id) on rowferry.events to rowferry_viewer",
    "a right to give a right": "grant select on rowferry.status to rowferry_viewer with grant option",
    "a table given away": "alter table rowferry.skips owner to postgres",
    "a view given away": "alter view rowferry.status owner to postgres",
    "a table made": "create table rowferry.notepad (id integer primary key)",
    "a view made": "create view rowferry.glance as select 1 as one",
    "a sequence made": "create sequence rowferry.counter",
    "a type made": "create type rowferry.mood as enum ('good')",
    "an entity's view given to somebody": "grant select on rowferry.notes_events to rowferry_worker",
    "an entity's view taken from its role": "revoke select on rowferry.notes_events from rowferry_viewer",
    "more of the log of events": "grant delete on rowferry.sync_events to rowferry_viewer",
    "a generated function given to somebody": "grant execute on function rowferry.read_notes(text[], bigint) to rowferry_worker",
    "the schema opened": "grant create on schema rowferry to public",
    "a trigger disabled": "alter table notes disable trigger rowferry_capture_insert",
    "a trigger dropped": "drop trigger rowferry_capture_delete on notes",
    "TRUNCATE let through": "alter table notes disable trigger rowferry_truncate",
    "a generated function replaced": """create or replace function rowferry.delete_notes(p_keys text[]) returns void
        language sql as ''""",
    "a generated function's setting": "alter function rowferry.apply_notes(text[], boolean) set search_path = public, app",
    "a generated function's volatility": "alter function rowferry.read_notes(text[], bigint) volatile",
    "a generated function's owner": "alter function rowferry.lock_notes(text[]) owner to rowferry_owner",
    "a generated function open to all": "grant execute on function rowferry.apply_notes(text[], boolean) to public",
    "a generated function dropped": "drop function rowferry.differing_notes(text[], text[])",
}


@pytest.fixture
def attached(nodes: Nodes) -> Nodes:
    for node in nodes:
        node.sql("create schema app; create table notes (id integer primary key, text text); select rowferry.attach('notes')")
        assert node.sql("select * from rowferry.drift()") == []
    return nodes


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_each_change_is_named_and_healed_by_the_line_beside_it(attached: Nodes, change: str) -> None:
    node = attached.crm
    node.sql(CHANGES[change])
    found = node.sql("select * from rowferry.drift()")
    assert len(found) == 1
    checked = {(row["object"], row["problem"]) for row in node.sql("select * from rowferry.check()")}
    assert {(row["object"], row["problem"]) for row in found} <= checked
    node.psql(found[0]["fix"])
    assert node.sql("select * from rowferry.drift()") == []


def test_what_is_attached_granted_and_upgraded_is_no_drift(attached: Nodes) -> None:
    node = attached.crm
    node.sql("create role keeper; create table kept (id integer primary key); alter table kept owner to keeper")
    try:
        node.sql("grant usage on schema public to keeper; select rowferry.attach('kept')")
        node.sql("grant rowferry_operator to keeper")
        assert node.sql("select * from rowferry.drift()") == []
        node.sql("select rowferry.detach('kept'); select rowferry.detach('notes')")
        assert node.sql("select * from rowferry.drift()") == []
    finally:
        node.sql("drop owned by keeper cascade; drop role keeper")


def test_the_command_names_the_node_and_the_line_and_says_by_its_exit_code(attached: Nodes) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run([PROGRAM, "drift", *arguments], env=attached.env, cwd=REPO, capture_output=True, text=True)
        return done.returncode, done.stdout

    assert run() == (0, "")
    attached.billing.sql("grant create on schema rowferry to public")
    assert run() == (
        1,
        "billing: schema rowferry: no release gave CREATE to public\n  revoke create on schema rowferry from public;\n",
    )
    code, text = run("--json")
    assert (code, [row["node"] for row in json.loads(text)]) == (1, ["billing"])


def test_only_what_a_release_made_can_be_restored_and_only_by_its_owner(attached: Nodes) -> None:
    refused_with("RF008", attached.crm, "select rowferry.restore('rowferry.delete_notes(text[])')")
    with attached.crm.connect() as connection, pytest.raises(Exception, match="permission denied"):
        connection.execute("set role rowferry_operator")
        connection.execute("select rowferry.restore('rowferry.version()')")
