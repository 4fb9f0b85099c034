"""plan() says what attach() would do with all tables that both nodes have, and why it would refuse the others."""

from __future__ import annotations

import re

import psycopg
import pytest

from harness import Nodes
from harness.exchange import sync
from harness.planned import calls, planned, reasons, run

NAMES = 'create table "odd\nname; drop table a"'


def both(nodes: Nodes, ddl: str) -> None:
    for node in nodes:
        node.sql(ddl)


def test_parents_come_before_children_and_a_circle_is_no_hindrance(nodes: Nodes) -> None:
    both(
        nodes,
        """create table z (id integer primary key, above integer references z);
        create table y (id integer primary key, z integer references z);
        create table a (id integer primary key, y integer references y);
        create table p (id integer primary key); create table q (id integer primary key, p integer references p);
        alter table p add q integer references q; create table below (id integer primary key, q integer references q)""",
    )
    crm = planned(nodes)["crm"]
    order = ("z", "y", "a", "p", "q", "below")
    assert calls(crm) == [f"select rowferry.attach('public.{name}');" for name in order]
    assert crm["down"][1:] == [f"select rowferry.detach('{name}', p_if_attached => true);" for name in reversed(order)]


def test_nothing_is_changed_and_what_it_prints_runs(nodes: Nodes) -> None:
    both(
        nodes,
        "create table a (id serial primary key, country text); create table b (id integer primary key, a integer references a)",
    )
    seen = (
        "select (select count(*) from pg_class) as c, (select count(*) from pg_trigger) as t, (select count(*) from pg_proc) as p"
    )
    before = [node.sql(seen) for node in nodes]
    plans = planned(nodes, {"a": "country = 'CH'"})
    assert [node.sql(seen) for node in nodes] == before
    for node in nodes:
        run(node, plans[node.name]["up"])
        assert run(node, plans[node.name]["verify"]) == [{"exists": True, "?column?": f"entity {name}"} for name in ("a", "b")]
    nodes.crm.sql("insert into a values (1, 'CH'), (2, 'DE'); insert into b values (1, 1), (2, 2)")
    sync(*nodes)
    assert nodes.billing.sql("select id from b") == [{"id": 1}]
    for node in nodes:
        run(node, plans[node.name]["down"])
        assert node.sql("select from rowferry.entities") == []
        run(node, plans[node.name]["down"])  # a table that was detached by hand is no hindrance


def test_rows_follow_a_filter_level_by_level(nodes: Nodes) -> None:
    both(
        nodes,
        """create table letters (id integer primary key, country text, other integer);
        create table pages (
          id integer primary key, letter integer references letters, copy integer constraint of_copy references letters);
        create table lines (id integer primary key, page integer references pages)""",
    )
    crm = planned(nodes, {"public.letters": "country = 'CH'"})["crm"]
    assert calls(crm) == [
        "select rowferry.attach('public.letters', p_filter => 'country = ''CH''');",
        "select rowferry.attach('public.pages', p_within => 'of_copy');",  # of two keys one is named
        "select rowferry.attach('public.lines', p_within => 'pages');",
    ]
    assert any("rows follow public.letters alone" in line for line in crm["up"])
    indexes = [line.removeprefix("-- ") for line in crm["up"] if line.startswith("-- create index")]
    assert [line.partition(";")[0] for line in indexes] == [
        "create index concurrently on public.pages (copy)",
        "create index concurrently on public.lines (page)",
    ]
    for line in indexes:
        nodes.crm.sql(line)
    assert not any("create index" in line for line in planned(nodes, {"letters": "country = 'CH'"})["crm"]["up"])
    for node in nodes:
        run(node, planned(nodes, {"letters": "country = 'CH'"})[node.name]["up"])


def test_a_filter_that_is_none_and_a_filter_of_no_table_are_said(nodes: Nodes) -> None:
    both(nodes, "create table a (id integer primary key)")
    assert "the filter is no condition" in reasons(planned(nodes, {"a": "nothing > 1"})["crm"])["public.a"]
    with pytest.raises(psycopg.Error, match="the plan does not have"):
        planned(nodes, {"nothing": "true"})


def test_columns_and_keys_are_those_that_both_have(nodes: Nodes) -> None:
    nodes.crm.sql(
        """create table a (id integer primary key, name text, here text, code text not null unique);
        create table b (id integer primary key, code text not null unique);
        create table c (id integer primary key); create table d (id integer primary key, at timestamptz)"""
    )
    nodes.billing.sql(
        """create table a (id bigint primary key, name text, there text not null, code text not null unique);
        create table b (id uuid primary key, code text not null unique);
        create table c (id uuid primary key); create table d (id integer primary key, at date)"""
    )
    plans = planned(nodes)
    for name in ("crm", "billing"):
        assert calls(plans[name]) == [
            """select rowferry.attach('public.a', p_columns => '["code", "id", "name"]');""",
            "select rowferry.attach('public.b', p_key => array['code']);",
            "select rowferry.attach('public.d');",
        ]
    assert "no key is the same on both nodes: [id, number] here, [id, uuid] on billing" in reasons(plans["crm"])["public.c"]
    up = "\n".join(plans["crm"]["up"])
    assert "-- here stays here, billing has no such column" in up
    assert "-- billing.there must have a value, and rows from here bring none" in up
    assert "-- at is timestamp with time zone here and date on billing" in up
    assert "-- id is integer here and uuid on billing" in up
    for node in nodes:
        run(node, plans[node.name]["up"])


def test_a_table_that_is_attached_on_one_node_is_attached_alike_on_the_other(nodes: Nodes) -> None:
    nodes.crm.sql(
        """create table clients (nr integer primary key, title text, own text);
        select rowferry.attach('clients', 'accounts', '{"id": "nr", "name": "title"}', p_conflict_rule => 'node:crm')"""
    )
    nodes.billing.sql("create table accounts (id integer primary key, name text, note text)")
    plans = planned(nodes)
    assert calls(plans["crm"]) == []
    assert calls(plans["billing"]) == [
        """select rowferry.attach('public.accounts', p_columns => '["id", "name"]', p_conflict_rule => 'node:crm');"""
    ]
    run(nodes.billing, plans["billing"]["up"])
    nodes.crm.sql("insert into clients values (1, 'Acme', 'mine')")
    sync(*nodes)
    assert nodes.billing.sql("select * from accounts") == [{"id": 1, "name": "Acme", "note": None}]
    given = planned(nodes, {"accounts": "id > 1"})["billing"]
    assert calls(given) == []
    assert reasons(given) == {
        "public.accounts": "it is attached already; to give it this filter: "
        "select rowferry.attach('public.accounts', 'accounts', p_filter => 'id > 1');"
    }


def test_a_table_that_only_sends_is_attached_on_the_other_node_to_receive(nodes: Nodes) -> None:
    both(nodes, "create table a (id integer primary key); create table b (id integer primary key)")
    nodes.crm.sql("select rowferry.attach('a', p_direction => 'send'); select rowferry.attach('b', p_direction => 'receive')")
    assert calls(planned(nodes)["billing"]) == [
        "select rowferry.attach('public.a', p_direction => 'receive');",
        "select rowferry.attach('public.b', p_direction => 'send');",
    ]


def test_tables_of_one_name_in_two_schemas_get_names_of_their_own(nodes: Nodes) -> None:
    both(nodes, "create schema s; create table s.a (id integer primary key); create table public.a (id integer primary key)")
    plans = planned(nodes)
    assert calls(plans["crm"]) == calls(plans["billing"])
    assert calls(plans["crm"]) == [
        "select rowferry.attach('public.a', p_entity => 'public.a');",
        "select rowferry.attach('s.a', p_entity => 's.a');",
    ]
    for node in nodes:
        run(node, plans[node.name]["up"])


def test_a_table_in_another_schema_there_is_found_by_its_name(nodes: Nodes) -> None:
    nodes.crm.sql("create table a (id integer primary key)")
    nodes.billing.sql("create schema s; create table s.a (id integer primary key)")
    plans = planned(nodes)
    assert calls(plans["crm"]) == ["select rowferry.attach('public.a');"]
    assert calls(plans["billing"]) == ["select rowferry.attach('s.a');"]


def test_what_cannot_be_attached_is_named_with_the_reason_in_one_line(nodes: Nodes) -> None:
    both(
        nodes,
        """create table fine (id integer primary key);
        create table keyless (a integer); create unlogged table unlogged (id integer primary key);
        create table ruled (id integer primary key); create rule r as on delete to ruled do instead nothing;
        create table parent (id integer primary key); create table heir () inherits (parent);
        create table floating (id double precision primary key); create table alembic_version_own (version_num text primary key);
        create table forced (id integer primary key); alter table forced force row level security;
        create role plain_owner; alter table forced owner to plain_owner; grant usage on schema public to plain_owner;
        create table child (id integer primary key, k integer references fine)""",
    )
    nodes.crm.sql(f"create table here (id integer primary key); {NAMES} (id oid primary key)")
    nodes.billing.sql(f"create table there (id integer primary key); {NAMES} (id oid primary key)")
    try:
        crm = planned(nodes)["crm"]
        said = reasons(crm)
        for table, reason in {
            "keyless": "a table without a primary key cannot be kept in sync (public.keyless has no primary key). Add one",
            "unlogged": "only a permanent table can be kept in sync (public.unlogged is an unlogged table)",
            "ruled": "a table with rules cannot be kept in sync",
            "parent": "a table that inherits, or from which others inherit, cannot be kept in sync",
            "heir": "a table that inherits",
            "floating": "a key column has a type in which one value can be spelled in several ways (public.floating: id double",
            "alembic_version_own": "it says which migrations this database has",
            "forced": "row-level security would hide rows from the sync",
            "here": "billing has no table of this name",
            "there": "only billing has a table of this name",
            '"odd name; drop table a"': "a column holds what has a meaning in this database only",
        }.items():
            assert said.pop(f"public.{table}").startswith(reason), table
        assert said == {}
        assert calls(crm) == ["select rowferry.attach('public.fine');", "select rowferry.attach('public.child');"]
        assert not any("\n" in line for line in crm["up"])
    finally:
        both(nodes, "drop owned by plain_owner; drop role plain_owner")


def test_a_role_without_rights_is_told_what_to_grant(nodes: Nodes) -> None:
    both(nodes, "create table a (id integer primary key); create role planner; grant rowferry_owner to planner")
    try:
        assert "attaching a table needs the rights of its owner" in reasons(planned(nodes, role="planner")["crm"])["public.a"]
    finally:
        both(nodes, "drop role planner")


def test_triggers_that_will_not_run_are_named(nodes: Nodes) -> None:
    both(
        nodes,
        """create table a (id integer primary key);
        create function f() returns trigger language plpgsql as 'begin return new; end';
        create trigger silent before update on a for each row execute function f();
        create trigger loud before update on a for each row execute function f(); alter table a enable always trigger loud""",
    )
    up = planned(nodes)["crm"]["up"]
    line = next(line for line in up if "trigger" in line)
    assert line.startswith("-- trigger silent will not run for rows of billing") and "loud" not in line
    nodes.crm.sql(line[line.index("alter table") :])
    assert not any("will not run" in line for line in planned(nodes)["crm"]["up"])


def test_sequences_that_both_draw_from_are_staggered_and_others_are_left_alone(nodes: Nodes) -> None:
    both(
        nodes,
        """create table a (id serial primary key); create table b (id integer generated by default as identity primary key);
        create sequence down increment -1; create table c (id integer primary key default nextval('down'));
        create table d (id integer primary key, free serial)""",
    )
    nodes.crm.sql("create table e (id serial primary key)")
    nodes.billing.sql("create table e (id integer primary key)")
    crm = planned(nodes)["crm"]
    staggered = [line for line in crm["up"] if line.startswith("select * from rowferry.stagger_sequence(")]
    assert staggered == [f"select * from rowferry.stagger_sequence('public.{name}_id_seq');" for name in "ab"]
    assert any(line.startswith("-- public.down cannot be staggered: it counts downwards") for line in crm["up"])
    give_back = [line.removeprefix("-- ") for line in crm["down"] if line.startswith("-- select setval(")]
    assert give_back == [
        f"select setval('public.{name}_id_seq', max(id)) from public.{name}; alter sequence public.{name}_id_seq increment by 1;"
        for name in "ab"
    ]
    for node in nodes:
        run(node, planned(nodes)[node.name]["up"])
    nodes.billing.sql("insert into a values (41)")
    sync(*nodes)
    run(nodes.crm, crm["down"] + give_back)
    assert nodes.crm.sql("select nextval('a_id_seq') as a") == [{"a": 42}]


def test_tables_of_one_name_in_schemas_that_only_one_node_has_are_not_taken_for_each_other(nodes: Nodes) -> None:
    """Two tenants, each with a schema, of which one is on both nodes."""
    nodes.crm.sql(
        "create schema t1; create schema t2; create table t1.a (id int primary key); create table t2.a (id int primary key)"
    )
    nodes.billing.sql(
        "create schema t1; create schema t3; create table t1.a (id int primary key); create table t3.a (id int primary key)"
    )
    plans = planned(nodes)
    assert calls(plans["crm"]) == calls(plans["billing"]) == ["select rowferry.attach('t1.a');"]
    assert reasons(plans["crm"]) == {
        "t2.a": "billing has no table of this name; if its t3.a is the same table, add to the file up here: "
        "select rowferry.attach('t2.a', p_entity => 't2.a'); and change all files of both nodes "
        "(down: select rowferry.detach('t2.a', p_if_attached => true);)",
        "t3.a": "only billing has a table of this name",
    }


def test_the_call_for_a_table_of_another_name_works_as_it_is_printed_on_both_nodes(nodes: Nodes) -> None:
    nodes.crm.sql("create table clients (id int primary key, name text); create table x (id int primary key, a text)")
    nodes.billing.sql("create table accounts (id int primary key, name text); create table y (id int primary key, b text)")
    both(nodes, "create table z (id int primary key)")
    nodes.billing.sql("alter table z add own text")  # named with p_columns on billing, and taken as it is on crm
    plans = planned(nodes)
    for node, table in ((nodes.crm, "clients"), (nodes.billing, "accounts")):
        reason = reasons(plans[node.name])[f"public.{table}"]
        [call] = re.findall(r"here: (select .*;) and change all files of both nodes ", reason)
        assert "p_entity => 'accounts'" in call
        run(node, plans[node.name]["up"] + [call])
        node.sql("insert into z values (%s)", [len(table)])
        node.sql(f"insert into {table} values (%s, 'Acme')", [len(table)])
    assert "p_entity, say 'y', and change" in reasons(plans["billing"])["public.y"]
    assert "the one that the file of billing says" in reasons(plans["crm"])["public.x"]
    sync(*nodes)
    assert nodes.crm.sql("select id from clients order by id") == nodes.billing.sql("select id from accounts order by id")
    assert nodes.crm.sql("select count(*) as n from z") == [{"n": 2}] == nodes.billing.sql("select count(*) as n from z")
    nodes.crm.sql("alter table x add n int, add m int")
    nodes.billing.sql("alter table y add k int, add l int")
    plans = planned(nodes)
    for name, table in (("crm", "x"), ("billing", "y")):
        assert "p_entity => 'x'); with p_columns, where" in reasons(plans[name])[f"public.{table}"], "the only two that are left"
    nodes.crm.sql("alter table x drop n; alter table x alter id add generated by default as identity")
    nodes.billing.sql("alter table y drop k; alter table y alter id add generated by default as identity")
    plans = planned(nodes)
    for node, table in ((nodes.crm, "x"), (nodes.billing, "y")):
        [call] = re.findall(
            r"here: (select .*;) and change all files of both nodes ", reasons(plans[node.name])[f"public.{table}"]
        )
        assert ("p_columns" in call) == (node is nodes.crm), "billing, the first by name, keeps its names"
        assert call.endswith(f" select * from rowferry.stagger_sequence('public.{table}_id_seq');")
        run(node, [call])
    nodes.crm.sql("insert into x (a, m) values ('Acme', 7)")
    sync(*nodes)
    assert nodes.billing.sql("select b, l from y") == [{"b": "Acme", "l": 7}]


def test_a_name_with_an_at_sign_is_a_name_as_a_whole(nodes: Nodes) -> None:
    nodes.crm.sql('create table "log@2024" (id int primary key)')
    nodes.billing.sql('create table "log@2025" (id int primary key)')
    assert calls(planned(nodes)["crm"]) == []


def test_two_tables_never_get_one_name(nodes: Nodes) -> None:
    both(
        nodes,
        """create schema s; create table s.a (id int primary key); create table public.a (id int primary key);
        create table public."s.a" (id int primary key)""",
    )
    plans = planned(nodes)
    for node in nodes:
        assert calls(plans[node.name]) == ["select rowferry.attach('public.a', p_entity => 'public.a');"]
        assert all("two tables would have the name s.a" in reason for reason in reasons(plans[node.name]).values())
        run(node, plans[node.name]["up"])


def test_a_foreign_key_with_the_name_of_another_parent_is_not_taken_for_it(nodes: Nodes) -> None:
    both(
        nodes,
        """create table boxes (id int primary key); create table letters (id int primary key, country text);
        create table pages (
          id int primary key, box int constraint letters references boxes, letter int constraint other references letters)""",
    )
    plans = planned(nodes, {"letters": "country = 'CH'"})
    assert "select rowferry.attach('public.pages', p_within => 'other');" in calls(plans["crm"])
    for node in nodes:
        run(node, plans[node.name]["up"])


def test_a_filter_is_of_one_table(nodes: Nodes) -> None:
    both(nodes, "create schema s; create table s.a (id int primary key); create table public.a (id int primary key)")
    with pytest.raises(psycopg.Error, match="several tables of one name"):
        planned(nodes, {"a": "id > 1"})
    assert "select rowferry.attach('s.a', p_entity => 's.a', p_filter => 'id > 1');" in calls(
        planned(nodes, {"s.a": "id > 1"})["crm"]
    )


def test_a_name_that_no_file_may_hold_is_said_and_the_rest_runs(nodes: Nodes) -> None:
    both(nodes, 'create table "a\rb" (id int primary key); create table a (id int primary key)')
    plans = planned(nodes)
    assert not any("\r" in line for files in plans.values() for lines in files.values() for line in lines)
    assert calls(plans["crm"]) == ["select rowferry.attach('public.a');"]
    assert "a carriage return" in reasons(plans["crm"])['public."a b"']


def test_a_table_that_cannot_be_read_does_not_spoil_the_plan(nodes: Nodes) -> None:
    """A foreign table whose server is away is not asked, and a policy may fail for whoever plans."""
    both(
        nodes,
        """create foreign data wrapper nothing; create server away foreign data wrapper nothing;
        create foreign table far (id int) server away;
        create table a (id int primary key); create table hidden (id int primary key); insert into hidden values (1);
        create function f(int) returns boolean language plpgsql as $$ begin raise 'nobody may look'; end $$;
        alter table hidden enable row level security; alter table hidden force row level security;
        create policy p on hidden using (f(id));
        create role planner; grant rowferry_owner to planner; grant usage, create on schema public to planner""",
    )
    try:
        both(nodes, "alter table a owner to planner; alter table hidden owner to planner")
        assert "select rowferry.attach('public.a');" in calls(planned(nodes, role="planner")["crm"])
        assert "far" in "".join(reasons(planned(nodes)["crm"]))
    finally:
        both(nodes, "drop owned by planner; drop role planner")
