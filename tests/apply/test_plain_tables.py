"""What nobody's code hangs on needs no look at what such code did, and nothing that is deferred needs to be fired."""

from __future__ import annotations

import pytest

from harness import Nodes
from harness.exchange import sync

TABLES = """
    create table parents (id int primary key, other int unique);
    create table children (
      id int primary key, parent_id int references parents, note text default now()::text check (note <> ''));
    create function mine(int) returns int immutable language sql as 'select $1';
    create function mine(int, int) returns boolean immutable language sql as 'select true';
    create operator === (leftarg = int, rightarg = int, function = mine); create domain number as int check (mine(value) > 0);
    create function see() returns trigger language plpgsql as 'begin return new; end'"""

GENERATED = "alter table children add unique_twice int generated always as (mine(id)) stored"

CHANGES = [
    ("select 1", True),
    ("alter table children add foreign key (id) references parents deferrable", False),
    ("alter table children add unique (note) deferrable", False),
    ("alter table children add exclude (note with =) deferrable initially deferred", False),
    ("create table followers (id int references children on delete cascade)", False),
    ("create table followers (id int references children on delete set null)", False),
    ("create table followers (id int references children)", True),
    ("alter table children alter id set default mine(1)", False),
    ("alter table children add check (mine(id) > 0)", False),
    ("alter table children add check (id === 1)", False),
    ("alter table children alter id set default 1::number", False),
    ("create sequence s; alter table children alter id set default nextval('s'), add check (id > 0 and note like 'a%')", True),
    (GENERATED, False),
    ("create index on children (abs(id))", False),
    ("create index on children (note) where id > 0", False),
    ("create domain code as text; alter table children add code code", False),
    ("create rule r as on insert to children do also nothing", False),
    ("alter table children force row level security", False),
    ("create trigger t before insert on children for each row execute function see()", False),
    ("create constraint trigger t after insert on children deferrable for each row execute function see()", False),
    ("create trigger t before insert on children for each row execute function see(); select rowferry.attach('children')", True),
    (
        "create constraint trigger t after insert on children deferrable for each row execute function see(); "
        "select rowferry.attach('children')",
        False,
    ),
]


def test_a_table_is_plain_where_nothing_runs_and_nothing_is_deferred(nodes: Nodes) -> None:
    nodes.crm.sql(TABLES)
    nodes.crm.sql("select rowferry.attach('parents'); select rowferry.attach('children')")
    found, expected = [], dict(CHANGES)
    if nodes.crm.major < 15:
        # There a dependency of the column says what its expression calls, and none of the expression. A function that is
        # immutable writes nothing, so nothing comes of it.
        expected[GENERATED] = True
    with nodes.crm.connect() as connection:
        for change in expected:
            with connection.transaction(force_rollback=True):
                connection.execute(change)  # type: ignore[arg-type]
                [row] = connection.execute("select rowferry._plain_tables('{children}') as plain").fetchall()
                found.append((change, row[0]))
    assert found == list(expected.items())


@pytest.mark.parametrize(
    ("kind", "third"),
    [("unique (parent_id) deferrable initially deferred", 1), ("foreign key (parent_id) references parents deferrable", 3)],
)
def test_a_row_that_breaks_what_is_deferred_is_held_and_the_others_arrive(nodes: Nodes, kind: str, third: int) -> None:
    for node in nodes:
        node.sql(TABLES)
        node.sql("select rowferry.attach('children')")
    nodes.billing.sql(f"alter table children drop constraint children_parent_id_fkey, add {kind}")
    nodes.billing.sql("insert into parents values (1), (2)")
    nodes.crm.sql("insert into parents values (1), (2), (3)")
    nodes.crm.sql(f"insert into children values (1, 1), (2, 2), (3, {third})")
    sync(*nodes)
    assert nodes.billing.sql("select count(*) as n from children") == [{"n": 2}]
    assert nodes.crm.sql("select count(*) as n from rowferry.held_events") == [{"n": 1}]


def test_a_row_that_breaks_what_an_operator_of_a_check_has_deferred_is_held_and_the_others_arrive(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table t (id int primary key); select rowferry.attach('t')")
    nodes.billing.sql("""
        create table parents (id int primary key);
        create table log (id int references parents deferrable initially deferred);
        create function noted(int, int) returns boolean language plpgsql as
          'begin insert into public.log values ($1); return true; end';
        create operator === (leftarg = int, rightarg = int, function = noted);
        alter table t add check (id === 1);
        insert into parents values (1)""")
    nodes.crm.sql("insert into t values (1), (2)")
    sync(*nodes)
    assert nodes.billing.sql("select id from t") == [{"id": 1}]
    assert nodes.crm.sql("select record_id, sqlstate from rowferry.held_events") == [{"record_id": "2", "sqlstate": "23503"}]
