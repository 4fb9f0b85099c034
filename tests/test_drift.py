"""What somebody changed by hand in production is named, with a line that heals it."""

import json
import re
import subprocess

import pytest

from harness import REPO, Node, Nodes
from harness.worker import PROGRAM

CHANGES = {
    "a function replaced": "create or replace function rowferry.version() returns integer language sql immutable as 'select 7'",
    "a function's setting": "alter function rowferry.retry(bigint) set search_path = public",
    "a function's owner": "alter function rowferry.pause(text, text) owner to postgres",
    "a function's security": "alter function rowferry.check(text) security invoker",
    "a function's volatility": "alter function rowferry.row_status(text, text) volatile",
    "a function dropped": "drop function rowferry.require_core(integer)",
    "a function made": """create function rowferry.mine() returns integer language sql as 'select 1';
        revoke execute on function rowferry.mine() from public""",
    "a function open to all": "grant execute on function rowferry.backfill(text, integer) to public",
    "the call taken from the worker": """revoke execute on function
        rowferry.process_batch(text, text, bytea, integer, jsonb, boolean) from rowferry_worker""",
    "the schema taken from a role": "revoke usage on schema rowferry from rowferry_viewer",
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


def heal(node: Node, fix: str) -> None:
    """Do what the line says: in psql, or, where it is a command, as a member of rowferry_owner."""
    command = re.fullmatch(r"psql -f (sql/core/functions/\w+\.sql)  -- as a member of rowferry_owner", fix)
    node.psql(f"set role rowferry_owner;\n\\i {command[1]}\n" if command else fix)


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_each_change_is_named_and_healed_by_the_line_beside_it(attached: Nodes, change: str) -> None:
    node = attached.crm
    node.sql(CHANGES[change])
    found = node.sql("select * from rowferry.drift()")
    assert len(found) == 1
    checked = {(row["object"], row["problem"]) for row in node.sql("select * from rowferry.check()")}
    assert {(row["object"], row["problem"]) for row in found} <= checked
    heal(node, found[0]["fix"])
    assert node.sql("select * from rowferry.drift()") == []


def test_what_is_attached_and_granted_is_no_drift(attached: Nodes) -> None:
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
    attached.billing.sql("revoke usage on schema rowferry from rowferry_worker")
    assert run() == (
        1,
        "billing: schema rowferry: rowferry_worker may not use it\n  grant usage on schema rowferry to rowferry_worker;\n",
    )
    code, text = run("--json")
    assert (code, [row["node"] for row in json.loads(text)]) == (1, ["billing"])
