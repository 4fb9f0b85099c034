"""What attach() refuses, with the reason and the way out, and that it then has changed nothing."""

import re

import psycopg
import pytest

from harness import Node, Nodes
from harness.attaching import PLAIN, refusal, refused, refused_fast
from harness.roles import as_role, role


@pytest.fixture
def crm(nodes: Nodes) -> Node:
    return nodes.crm


@pytest.mark.case(31, 38, 58, 85)
def test_a_table_that_cannot_be_kept_in_sync_is_refused_with_the_reason_and_nothing_is_changed(crm: Node) -> None:
    crm.sql(
        """create table keyless (a int, b int); create unique index on keyless (a);
           create table half (a int unique, b int not null);
           create unique index on half (b) where b > 0; create unique index on half ((b + 1));
           create unlogged table unlogged (id int primary key);
           create temp table temporary (id int primary key);
           create view seen as select 1 as id; create materialized view stored as select 1 as id;
           create foreign data wrapper w; create server s foreign data wrapper w; create foreign table far (id int) server s;
           create table split (id int primary key) partition by list (id); create table split_1 partition of split default;
           create table mixed (id int) partition by list (id); create foreign table mixed_1 partition of mixed default server s;
           create table raw (id int primary key) partition by list (id); create unlogged table raw_1 partition of raw default;
           create table parent (id int primary key); create table child (primary key (id)) inherits (parent);
           create table ruled (id int primary key); create rule r as on delete to ruled do also select 1;
           create table guarded (id int primary key); alter table guarded enable row level security, force row level security;
           create table large (id int primary key, o oid, b text); create table larger (id int primary key, o regclass[]);
           create domain blob as oid; create table largest (id int primary key, o blob);
           create table floats (id float8 primary key); create table spans (id interval primary key);
           create table lists (id int[] primary key);
           create table docs (id jsonb primary key); create table ranges (id int4range primary key);
           create table times (id timetz primary key);
           create table items (id int primary key, "V" text, g text generated always as ('x') stored);
           create table owned (id int primary key); create table "a$rowferry$" (id int primary key);
           create table dollar (id int primary key, "$rowferry$; drop table items; --" int)"""
    )
    with crm.connect() as temporary:
        temporary.execute("create temp table temporary (id int primary key)")
        with pytest.raises(psycopg.Error, match=r"only a permanent table.*\n.*temporary table"):
            temporary.execute("select rowferry.attach('temporary')")
    whoever = role(crm)
    stranger = role(crm)
    crm.sql(f"alter role {whoever} bypassrls; alter table guarded owner to {stranger}; grant {stranger} to {whoever}")
    cases = {
        "0": "no such table",
        "'keyless'": "without a primary key",
        "'half', p_key => array['a']": "the key must be",
        "'half', p_key => array['b']": "the key must be",
        "'items', p_key => array['nothing']": "the key must be",
        "'items', p_key => array['id', 'id']": "the key must be",
        "'items', p_key => '{}'": "the key must be",
        """'items', p_columns => '["V"]'""": "the key must be",
        "'unlogged'": "only a permanent table(.|\n)*an unlogged table",
        "'seen'": "only a permanent table(.|\n)*a view",
        "'stored'": "only a permanent table(.|\n)*a view",
        "'far'": "only a permanent table(.|\n)*a foreign table",
        "'items_pkey'": "only a permanent table(.|\n)*no table",
        "'pg_catalog.pg_class'": "only a permanent table(.|\n)*of the system",
        "'rowferry.events'": "only a permanent table(.|\n)*of the system",
        "'information_schema.sql_features'": "only a permanent table(.|\n)*of the system",
        "'split_1'": "a partition cannot be attached by itself(.|\n)*a partition of public.split",
        "'mixed'": "only a permanent table(.|\n)*mixed_1",
        "'raw'": "only a permanent table(.|\n)*raw_1",
        "'parent'": "a table that inherits, or from which others inherit(.|\n)*public.child inherits from it",
        "'child'": "a table that inherits, or from which others inherit(.|\n)*it inherits from public.parent",
        "'ruled'": "rules",
        "'guarded'": "row-level security",
        "'large'": "in this database only(.|\n)*o oid",
        "'larger'": "in this database only(.|\n)*o regclass",
        "'largest'": "in this database only(.|\n)*o oid",
        "'floats'": "several ways(.|\n)*id double precision",
        "'spans'": "several ways(.|\n)*id interval",
        "'lists'": "several ways(.|\n)*id integer\\[\\]",
        "'docs'": "several ways(.|\n)*id jsonb",
        "'ranges'": "several ways(.|\n)*id int4range",
        "'times'": "several ways(.|\n)*id time with time zone",
        """'items', p_columns => '["id", "v"]'""": "must name columns(.|\n)*: v",
        """'items', p_columns => '["id", "g"]'""": "must name columns(.|\n)*: g",
        """'items', p_columns => '{"id": "id", "b": "id"}'""": "must name columns(.|\n)*twice",
        """'items', p_columns => '{"id": null}'""": "must name columns",
        """'items', p_columns => '[null]'""": "must name columns",
        """'items', p_columns => '["ctid"]'""": "must name columns",
        """'items', p_columns => '[]'""": "must name columns",
        """'items', p_columns => '"id"'""": "must name columns",
        "'items', p_peer => 'nobody'": "no such peer",
        "'items', p_peer => 'crm'": "no such peer",
        "'items', ''": "1 to 63 bytes",
        "'items', repeat('é', 32)": "1 to 63 bytes",
        "'items', '$rowferry$; drop table items; --'": "no name may hold",
        "'a$rowferry$'": "no name may hold",
        "'a$rowferry$', 'fine'": "no name may hold",
        "'dollar'": "no name may hold",
    }
    for call, message in cases.items():
        refused_fast(crm, call, message)
    # A superuser's table is exempt from forced row-level security for as long as its owner is one.
    crm.sql("select rowferry.attach('owned')")
    refused_fast(crm, "'owned', 'other'", "already attached")
    refused_fast(crm, "'items', 'owned'", "already attached")


@pytest.mark.parametrize("table", ["parent", "child"])
def test_a_table_that_inherits_is_refused_with_the_lines_that_take_it_out_of_the_tree(crm: Node, table: str) -> None:
    crm.sql("""
        create table parent (id int primary key);
        create table child (primary key (id)) inherits (parent);
        create table other (primary key (id)) inherits (parent)""")
    with pytest.raises(psycopg.Error) as caught:
        crm.sql(f"select rowferry.attach('{table}')")
    lines = str(caught.value.diag.message_hint).partition(": ")[2].partition(" Or make")[0]
    crm.sql(f"{lines} select rowferry.attach('{table}')")


@pytest.mark.case(31)
def test_a_table_without_a_primary_key_is_refused_with_the_line_that_takes_its_unique_index(crm: Node) -> None:
    crm.sql("""
        create table keyless (a int, "B" int not null, c int not null, unique (a), unique ("B", c));
        create unique index on keyless (c) where c > 0; create unique index on keyless ((c + 1));
        create table bare (a int unique)""")
    for call in ("'keyless'", "'keyless', p_key => '{a}'"):
        hint = str(refused(crm, call, "a table without a primary key|the key must be").diag.message_hint)
        [line] = re.findall(r"select .*?;", hint)
        assert "p_key => array['B', 'c']" in line
    crm.sql(line)
    assert crm.sql("select key_columns from rowferry.entities") == [{"key_columns": ["B", "c"]}]
    assert "alter table public.bare add primary key" in str(refused(crm, "'bare'", "without a primary key").diag.message_hint)


@pytest.mark.case(31)
def test_a_refused_table_is_left_as_it_was(crm: Node) -> None:
    crm.sql("create table keyless (a int); create table floats (id float8 primary key)")
    assert refused(crm, "'keyless'", "without a primary key").sqlstate == "RF010"
    assert refused(crm, "'floats'", "several ways").sqlstate == "RF010"


def test_a_table_that_a_subscription_writes_is_refused(crm: Node) -> None:
    crm.sql(f"{PLAIN}; insert into pg_subscription_rel (srsubid, srrelid, srsubstate) values (1, 'items'::regclass, 'r')")
    refused_fast(crm, "'items'", "a subscription writes")


@pytest.mark.whole
@pytest.mark.case(30)
def test_a_key_of_a_nondeterministic_collation_or_citext_is_refused(crm: Node) -> None:
    crm.sql("create extension citext; create table words (id citext primary key)")
    refused_fast(crm, "'words'", "several ways(.|\n)*citext")
    try:
        crm.sql("create collation loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    except psycopg.Error as error:
        pytest.skip(f"citext is refused; this server has no ICU, so no collation that is not deterministic: {error}")
    crm.sql("create table names (id text collate loose primary key)")
    refused_fast(crm, "'names'", "several ways(.|\n)*text")


def test_whoever_attaches_needs_the_rights_of_both_owners_and_no_more(crm: Node) -> None:
    owner, stranger, dba = role(crm), role(crm), role(crm)
    crm.sql(f"{PLAIN}; alter table items owner to {owner}; grant rowferry_owner to {stranger}")
    assert refusal(crm, "select rowferry.attach('items')", owner).sqlstate == "42501"
    error = refused(crm, "'items'", "needs the rights of its owner and of rowferry_owner", stranger)
    assert error.sqlstate == "42501"
    assert f"grant {owner}, rowferry_owner to {stranger}" in str(error.diag.message_hint)
    crm.sql(f"grant {owner}, rowferry_owner to {dba}")
    with as_role(crm, dba) as connection:
        connection.execute("select rowferry.attach('items')")
        connection.execute("insert into items values (1)")
        connection.execute("select rowferry.detach('items', true)")


def test_a_member_that_may_not_become_the_owner_is_refused_before_anything_is_made(crm: Node) -> None:
    if not crm.sql("select current_setting('server_version_num')::int >= 160000 as yes")[0]["yes"]:
        pytest.skip("before PostgreSQL 16 every member may become the role")
    owner, dba = role(crm), role(crm)
    crm.sql(f"{PLAIN}; alter table items owner to {owner}; grant {owner} to {dba} with set false; grant rowferry_owner to {dba}")
    error = refused(crm, "'items'", "needs the rights of its owner", dba)
    assert "with inherit true, set true" in str(error.diag.message_hint)


def test_an_owner_that_may_not_use_its_tables_schema_is_refused(crm: Node) -> None:
    owner = role(crm)
    crm.sql(f"create schema hidden; create table hidden.items (id int primary key); alter table hidden.items owner to {owner}")
    refused_fast(crm, "'hidden.items'", "may not use the schema")
    crm.sql(f"grant usage on schema hidden to {owner}; select rowferry.attach('hidden.items')")
