"""A filter runs with rowferry_owner's rights: nothing that the table's owner makes, before or after attach(), runs with it."""

import psycopg
import pytest

from harness import Node, Nodes
from harness.exchange import refused_with, rows, sync, waiting
from harness.roles import as_role, role

# Whoever owns the table owns this schema too; what his functions see is noted here.
THEIRS = """
create schema m authorization {owner};
create table m.seen (who text); grant insert on m.seen to public; grant usage on schema m to public;
alter table m.seen owner to {owner};
create table m.t (id integer primary key, country {type}, v text); alter table m.t owner to {owner}"""
EVIL = """
create function m.evil(m.other) returns {base} language plpgsql as $$
begin insert into m.seen select current_user; return {spelled}; end $$;
create cast (m.other as {base}) with function m.evil(m.other) as implicit"""


def theirs(node: Node, type: str = "text", filter: str = "country = 'CH'", partitioned: bool = False, before: str = "") -> str:
    """A plain role that owns the table m.t, with a filter."""
    owner = role(node, "login")
    schema, seen, table = THEIRS.format(owner=owner, type=type).strip().replace("public;\nalter", "public; alter").split("\n", 2)
    if partitioned:
        partition = f"create table m.p partition of m.t default; alter table m.p owner to {owner}"
        table = f"{table.replace('v text);', 'v text) partition by range (id);')}; {partition}"
    node.sql(f"{schema} {seen} set role {owner}; {before}; reset role; {table}")
    node.sql("select rowferry.attach('m.t', p_filter => %s)", [filter])
    return owner


def seen(node: Node) -> list[str]:
    return rows(node, "select who from m.seen where who = 'rowferry_owner'")


@pytest.mark.case(122)
@pytest.mark.parametrize("partitioned", [False, True], ids=["table", "partitioned"])
@pytest.mark.parametrize(
    ("type", "filter", "make", "base", "spelled", "using"),
    [
        ("text", "country = 'CH'", "create type m.other as enum ('CH')", "text", "'CH'", "country::m.other"),
        ("text", "country = 'CH'", "create type m.other as (a text)", "text", "'CH'", "row(country)::m.other"),
        (
            "m.own",
            "country = 'CH'",
            "create type m.other as enum ('CH')",
            "text",
            "'CH'",
            "country::text::m.other",
        ),
        (
            "m.span",
            "country @> 5",
            "create type m.other as range (subtype = float4)",
            "int4range",
            "'[1,10)'",
            "m.other(lower(country)::float4, 10)",
        ),
    ],
    ids=["enum", "row", "domain", "domain over a range"],
)
def test_a_cast_of_the_owners_never_runs_with_rowferrys_rights(
    nodes: Nodes, partitioned: bool, type: str, filter: str, make: str, base: str, spelled: str, using: str
) -> None:
    domains = "create domain m.own as text; create domain m.span as int4range"
    owner = theirs(nodes.crm, type, filter, partitioned, domains)
    with as_role(nodes.crm, owner) as connection:
        connection.execute(make)
        connection.execute(EVIL.format(base=base, spelled=spelled))
        connection.execute(f"alter table m.t alter country type m.other using {using}")
    with as_role(nodes.crm, owner) as connection, pytest.raises(psycopg.errors.UndefinedFunction, match="_unaltered"):
        connection.execute("insert into m.t (id) values (1)")
    nodes.crm.sql("select * from rowferry.check()")
    nodes.crm.sql("select * from rowferry.drift()")
    assert seen(nodes.crm) == []


@pytest.mark.case(122)
def test_a_check_of_a_domain_never_runs_with_rowferrys_rights(nodes: Nodes) -> None:
    owner = theirs(nodes.crm)
    with as_role(nodes.crm, owner) as connection:
        connection.execute("""
            create function m.look(text) returns boolean language plpgsql as
              $$ begin if current_user = 'rowferry_owner' then raise exception 'seen'; end if; return true; end $$;
            create domain m.d as text check (m.look(value));
            alter table m.t alter country type m.d;
            insert into m.t values (1, 'CH')""")
    nodes.crm.sql("select * from rowferry.check()")
    assert waiting(nodes.crm) == ["insert t 1"]


def test_attach_proves_a_filter_without_calling_anything_of_the_owners(nodes: Nodes) -> None:
    owner = role(nodes.crm, "login")
    nodes.crm.sql(THEIRS.format(owner=owner, type="text"))
    with as_role(nodes.crm, owner) as connection:
        connection.execute(
            """
            create function m.shout(text) returns boolean language plpgsql immutable as
              $$ begin raise exception 'called' using errcode = 'XX000'; end $$;
            create domain m.d as text check (m.shout(value));
            create operator m.=~ (function = m.both, leftarg = text, rightarg = text)""".replace(
                "create operator",
                "create function m.both(text, text) returns boolean language plpgsql immutable as"
                " $$ begin raise exception 'called' using errcode = 'XX000'; end $$; create operator",
            )
        )
    for filter in (
        "m.shout('a')",
        "country = 'a'::m.d",
        "'a' operator(m.=~) 'b'",
        "m.shout('a')) and (true",
        "case when true then m.shout('a') end",
    ):
        refused_with("RF010", nodes.crm, "select rowferry.attach('m.t', p_filter => %s)", [filter])


def test_a_column_of_another_type_stops_writes_until_attach_proves_the_filter_again(nodes: Nodes) -> None:
    owner = theirs(nodes.crm, "varchar(5)")
    assert nodes.crm.sql("select filter_columns, filter_types from rowferry.entities") == [
        {"filter_columns": ["country"], "filter_types": ["character varying"]}
    ]
    for statement in ("insert into m.t values (1, 'CH')", "alter table m.t alter country type varchar(9)"):
        nodes.crm.sql(f"set role {owner}; {statement}")
    nodes.crm.sql("insert into m.t values (2, 'CH')")
    nodes.crm.sql("alter table m.t alter country type text")
    with pytest.raises(psycopg.errors.UndefinedFunction) as caught:
        nodes.crm.sql("insert into m.t values (3, 'CH')")
    assert "was altered?" in str(caught.value.diag.internal_query)
    problem = "select problem from rowferry.check() where problem like 'its filter%'"
    [found] = nodes.crm.sql(problem)
    assert "all writes fail: column country was of type character varying and is of type text" in found["problem"]
    nodes.crm.sql("select rowferry.attach('m.t', p_filter => 'country = ''CH''')")
    nodes.crm.sql(f"set role {owner}; insert into m.t values (3, 'CH'), (4, 'DE')")
    assert waiting(nodes.crm) == ["insert t 1", "insert t 2", "insert t 3"]
    assert nodes.crm.sql(problem) == []
    assert nodes.crm.sql("select filter, filter_types from rowferry.entities") == [
        {"filter": "(country = 'CH'::text)", "filter_types": ["text"]}
    ]
    nodes.crm.sql("select rowferry.attach('m.t', p_filter => 'country = ''DE''')")
    nodes.crm.sql(f"set role {owner}; insert into m.t values (5, 'CH'), (6, 'DE')")
    assert waiting(nodes.crm)[3:] == ["insert t 6"]


def test_an_enum_is_seen_as_text_also_behind_a_domain(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("""
            create type mood as enum ('good', 'fair', 'bad'); create domain feeling as mood;
            create table moods (id integer primary key, mood mood, felt feeling);
            select rowferry.attach('moods', p_filter => 'mood in (''good'', ''fair'') or felt::text = ''bad''')""")
    assert nodes.crm.sql("select filter_types from rowferry.entities") == [
        {"filter_types": ["enum{good,fair,bad}", "enum{good,fair,bad}"]}
    ]
    same = "select (rowferry._check_filter(relation, filter, true)).o_filter = filter as same from rowferry.entities"
    assert nodes.crm.sql(same) == [{"same": True}]
    nodes.crm.sql(
        "insert into moods values (1, 'good', null), (2, 'bad', null), (3, null, 'bad'), (4, 'fair', 'good'), (5, null, null)"
    )
    sync(*nodes)
    assert rows(nodes.billing, "select id from moods") == ["(1)", "(3)", "(4)"]
    problem = "select problem from rowferry.check() where problem like 'its filter%'"
    assert nodes.crm.sql(problem) == []
    nodes.crm.sql("alter type mood rename value 'fair' to 'so so'")
    [found] = nodes.crm.sql(problem)
    assert "no longer a value of an enum: 'fair' of column felt, 'fair' of column mood" in found["problem"]
    nodes.crm.sql("select rowferry.attach('moods')")
    assert nodes.crm.sql(problem) == []


@pytest.mark.parametrize(
    ("filter", "hint"),
    [
        ("mood < 'bad'", "Name the values"),
        ("mood between 'good' and 'fair'", "Name the values"),
        ("mood > any ('{good,fair}')", "Name the values"),
        ("(id, mood) > (1, 'good')", "Name the values"),
        ("(mood, id) > ('good', 1)", "Name the values"),
        ("greatest(mood, 'good') = 'fair'", "Name the values"),
        ("mood = 'good'::public.mood", "casts to the enum"),
        ("mood = 'god'", "a condition on columns"),
        ("place is null", "built-in types"),
        ("customers is null", "a condition on columns"),
        ("tableoid > 0", "a condition on columns"),
        ("country = any (select 'CH')", "a condition on columns"),
    ],
)
def test_what_a_filter_cannot_see_is_refused_with_a_way(nodes: Nodes, filter: str, hint: str) -> None:
    nodes.crm.sql("""
        create type public.mood as enum ('good', 'fair', 'bad'); create type public.place as (x integer);
        create table customers (id integer primary key, country text, mood mood, place place)""")
    with nodes.crm.connect() as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute("select rowferry.attach('customers', p_filter => %s)", [filter])
    assert caught.value.sqlstate == "RF010"
    assert hint in str(caught.value.diag.message_hint)
    nodes.crm.sql("select rowferry.attach('customers', p_filter => 'mood = ''good''')")


def test_a_filter_finds_rows_by_an_index_on_its_column(nodes: Nodes) -> None:
    nodes.crm.sql("""
        create domain code as text; create table customers (id integer primary key, country code);
        create index on customers (country); set enable_seqscan = off;
        select rowferry.attach('customers', p_filter => 'country = ''CH''')""")
    [source] = nodes.crm.sql("select rowferry._source_sql(e) as sql from rowferry.entities e")
    with nodes.crm.connect() as connection:
        connection.execute("set enable_seqscan = off; set enable_bitmapscan = off")
        for query, index in (("", "customers_country_idx"), (" where t.id = any ('{1,2}')", "customers_pkey")):
            plan = "\n".join(str(row) for row in connection.execute(f"explain select from {source['sql']} t{query}").fetchall())
            assert index in plan
            assert "SubPlan" not in plan


@pytest.mark.parametrize("keys", ["id integer primary key", "id integer, place text, primary key (id, place)"])
@pytest.mark.parametrize("merge", [False, True])
def test_a_plain_owner_without_rights_on_rowferry_has_a_filter_that_works_both_ways(nodes: Nodes, keys: str, merge: bool) -> None:
    for node in nodes:
        owner = role(node)
        node.sql(f"""
            grant create on schema public to {owner}; set role {owner};
            create table f ({keys}, country text, v text);
            create function merge_f(mine f, theirs f) returns f language sql as 'select coalesce(theirs, mine)'; reset role""")
        node.sql(
            "select rowferry.attach('f', p_filter => 'country = ''CH''', p_conflict_rule => %s)",
            ["merge:public.merge_f" if merge else "newest"],
        )
    names = "id, country" if "place" not in keys else "id, place, country"
    value = "{}, 'x', {}" if "place" in keys else "{}, {}"
    nodes.crm.sql(f"insert into f ({names}) values ({value.format(1, repr('CH'))}), ({value.format(2, repr('DE'))})")
    sync(*nodes)
    nodes.billing.sql(f"insert into f ({names}) values ({value.format(3, repr('CH'))}); update f set v = 'b' where id = 1")
    nodes.crm.sql("update f set v = 'c' where id = 1")
    sync(*nodes)
    nodes.billing.sql("delete from f where id = 1")
    sync(*nodes)
    assert rows(nodes.crm, "select id, country from f") == ["(2,DE)", "(3,CH)"]
    for node in nodes:
        assert waiting(node) == []
        assert node.sql("select problem from rowferry.drift()") == []
