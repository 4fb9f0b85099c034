"""pg_dump by the database's owner, who is no superuser: it works where that shows nothing of others; else check() says how."""

from __future__ import annotations

import subprocess

import pytest

from harness import Node, Nodes
from harness.exchange import sync
from harness.roles import role
from rowferry.migrations import schema

READS = """
    select c.oid::regclass::text as name from pg_class c
    where c.relnamespace = 'rowferry'::regnamespace
      and case c.relkind when 'S' then has_sequence_privilege(%(role)s, c.oid, 'select')
        else c.relkind in ('r', 'v') and has_table_privilege(%(role)s, c.oid, 'select') end"""


def owned(node: Node) -> str:
    """A plain role that owns the database and its table notes, which is kept in sync."""
    owner = role(node, "login password 'secret'")
    node.sql(
        f"""alter database {node.database} owner to {owner}; grant usage, create on schema public to {owner}; set role {owner};
            create table notes (id integer primary key, body text)"""
    )
    node.sql("select rowferry.attach('notes')")
    return owner


def dump(node: Node, user: str, *options: str) -> subprocess.CompletedProcess[str]:
    program = node.server.bin_dir / "pg_dump"
    return subprocess.run(
        [program, node.server.conninfo(node.database, user, "secret"), *options], capture_output=True, text=True
    )


def told(node: Node, owner: str) -> list[str]:
    return [r["fix"] for r in node.sql("select * from rowferry.check()") if r["object"] == f"role {owner}"]


@pytest.mark.smoke
def test_the_databases_owner_dumps_it_and_what_it_dumps_is_whole(nodes: Nodes) -> None:
    owner = owned(nodes.crm)
    nodes.billing.sql("create table notes (id integer primary key, body text); select rowferry.attach('notes')")
    nodes.crm.sql("insert into notes values (1, 'a')")
    sync(*nodes)
    nodes.crm.sql("insert into notes values (2, 'pending')")
    done = dump(nodes.crm, owner)
    assert done.returncode == 0, done.stderr
    copy = Node("crm", nodes.crm.server, f"{nodes.crm.database}_copy")
    Node("crm", nodes.crm.server, "postgres").sql(f"create database {copy.database}")
    try:
        copy.psql(done.stdout, "-q")
        for query in (
            "select * from notes order by id",
            "select record_id, event_type from rowferry.sync_events",
            "select count(*) from rowferry.batches",
        ):
            assert copy.sql(query) == nodes.crm.sql(query)
    finally:
        Node("crm", nodes.crm.server, "postgres").sql(f"drop database {copy.database} with (force)")
    assert told(nodes.crm, owner) == []


def test_a_migration_leaves_the_right_to_dump(nodes: Nodes) -> None:
    owner = owned(nodes.crm)
    nodes.crm.sql(schema.OWN_VERSION_TABLES)
    assert told(nodes.crm, owner) == []
    done = dump(nodes.crm, owner)
    assert done.returncode == 0, done.stderr


@pytest.mark.smoke
def test_a_table_of_somebody_else_ends_it_for_ever_and_check_says_how_to_dump(nodes: Nodes) -> None:
    """Rows of that table may be in conflicts and skips, also when it is detached again."""
    owner, other = owned(nodes.crm), role(nodes.crm)
    nodes.crm.sql(
        f"grant usage, create on schema public to {other}; set role {other}; create table secrets (id integer primary key)"
    )
    nodes.crm.sql("select rowferry.attach('secrets')")
    for statement in (
        "select 1",
        "select rowferry.detach('secrets')",
        "drop table secrets",
        "select rowferry.detach('notes')",
        "select rowferry.attach('notes')",
    ):
        nodes.crm.sql(statement)
        assert nodes.crm.sql(READS, {"role": owner}) == []
        assert dump(nodes.crm, owner).returncode == 1
    assert dump(nodes.crm, owner, "-N", "rowferry").returncode == 0
    [fix] = told(nodes.crm, owner)
    nodes.crm.sql(fix.partition(";")[0])
    try:
        assert dump(nodes.crm, owner).returncode == 0
        assert told(nodes.crm, owner) == []
    finally:
        nodes.crm.sql(f"revoke pg_read_all_data from {owner}")


def test_a_new_owner_of_the_database_is_told_how(nodes: Nodes) -> None:
    owner, other = owned(nodes.crm), role(nodes.crm)
    nodes.crm.sql(f"alter database {nodes.crm.database} owner to {other}")
    [fix] = told(nodes.crm, other)
    assert fix.startswith("grant pg_read_all_data to "), "the table is not theirs"
    nodes.crm.sql(f"grant {owner} to {other}; revoke select on rowferry.events from {owner}")
    [fix] = told(nodes.crm, other)
    nodes.crm.sql(fix)
    assert told(nodes.crm, other) == []


def test_a_superuser_who_owns_the_database_gets_no_right(nodes: Nodes) -> None:
    nodes.crm.sql("create table notes (id integer primary key); select rowferry.attach('notes')")
    granted = """select from pg_class c, aclexplode(c.relacl) a
        where c.relnamespace = 'rowferry'::regnamespace and a.grantee = 'postgres'::regrole"""
    assert nodes.crm.sql(granted) == []
