"""The table that is kept in sync is the one that was attached, and never another one that has got its name.

Names are given away by whoever owns a schema, on purpose or when a table is rebuilt.
"""

import psycopg
import pytest

from harness import Nodes
from harness.attached import do_as_told, is_well, proposal, settle, state
from harness.clock import stop_clocks
from harness.exchange import rows, sync, waiting
from harness.nodes import Node
from harness.roles import role

VISITS = "create table public.visits (id int primary key, name text)"
SWAP = """
    create table public.visits_new (like public.visits including all); insert into public.visits_new select * from public.visits;
    begin; alter table public.visits rename to visits_old; alter table public.visits_new rename to visits; commit"""
DROP = "drop table public.visits cascade; create table public.visits (id int primary key, name text)"
# Both functions say whose rights they have and undo nothing themselves.
SPY = """
    create table {schema}.accounts (id int primary key, name text);
    grant all on {schema}.accounts to public;
    create function {schema}.spy() returns trigger language plpgsql as $$
    begin raise exception using errcode = 'P0001', message = 'ran as ' || current_user; end $$;
    create trigger spy before insert or update or delete on {schema}.accounts
      for each statement execute function {schema}.spy();"""


@pytest.fixture
def visits(nodes: Nodes) -> Nodes:
    """Two nodes with a clock that stands still; the tables visits and tags are in sync, and visits has two rows."""
    stop_clocks(nodes)
    for node in nodes:
        node.sql(f"{VISITS}; create table tags (id int primary key); select rowferry.attach('visits'), rowferry.attach('tags')")
    nodes.crm.sql("insert into visits values (1, 'a'), (2, 'b')")
    sync(*nodes)
    return nodes


def tags_flow(nodes: Nodes) -> None:
    for number, node in enumerate(nodes):
        node.sql(f"insert into tags select coalesce(max(id), 0) + 1 + {number} from tags")
    sync(*nodes)
    assert rows(nodes.crm, "select * from tags") == rows(nodes.billing, "select * from tags")


@pytest.mark.case(115)
@pytest.mark.parametrize("how", [SWAP, DROP], ids=["swapped", "dropped and made again"])
def test_a_table_that_was_rebuilt_is_held_by_name_and_comes_together_as_told(visits: Nodes, how: str) -> None:
    visits.crm.sql("update visits set name = 'c' where id = 2")
    visits.crm.sql(how)
    visits.crm.sql("insert into visits values (3, 'after'), (1, 'new') on conflict (id) do update set name = excluded.name")
    visits.billing.sql("insert into visits values (4, 'from billing')")
    before = rows(visits.crm, "select * from visits")
    tags_flow(visits)
    assert rows(visits.crm, "select * from visits") == before, "the peer's rows do not go to a table that was never attached"
    assert rows(visits.billing, "select * from visits") == ["(1,a)", "(2,b)", '(4,"from billing")'], (
        "nothing was taken for deleted"
    )
    assert waiting(visits.billing) == ["insert visits 4 RF039"]
    [held] = visits.billing.sql("select last_error, hint from rowferry.sync_events")
    assert held["last_error"].startswith("on the other node its table ")
    assert held["hint"].startswith(
        "select rowferry.detach('visits', p_force => true); select rowferry.attach('public.visits', 'visits');"
    )
    do_as_told(visits, proposal(visits.crm, "what is written there does not travel"))
    is_well(visits)
    assert "(3,after)" in rows(visits.billing, "select * from visits")


def test_a_change_that_waited_for_a_table_that_was_rebuilt_is_held_and_not_looked_up_in_the_new_one(visits: Nodes) -> None:
    visits.crm.sql(f"update visits set name = name || '!'; {SWAP}; delete from visits")
    tags_flow(visits)
    assert waiting(visits.crm) == ["update visits 1 RF039", "update visits 2 RF039"]
    assert rows(visits.billing, "select * from visits") == ["(1,a)", "(2,b)"]


@pytest.mark.parametrize(
    "rename, back",
    [
        ("alter table visits rename to guests", "alter table guests rename to visits"),
        ("create schema moved; alter table visits set schema moved", "alter table moved.visits set schema public"),
    ],
)
@pytest.mark.parametrize("told", [True, False], ids=["attached again", "named back"])
def test_a_table_that_was_renamed_is_held_until_it_is_attached_by_its_new_name_or_has_the_old_one(
    visits: Nodes, rename: str, back: str, told: bool
) -> None:
    visits.crm.sql(f"update visits set name = 'c' where id = 2; {rename}")
    visits.billing.sql("insert into visits values (4, 'from billing')")
    tags_flow(visits)
    assert waiting(visits.crm) == ["update visits 2 RF039"]
    fix = proposal(visits.crm, "its table public.visits is ")
    visits.crm.sql(fix if told else back)
    settle(visits)
    assert [waiting(node) for node in visits] == [[], []]
    assert state(visits.crm)[0] == "idle"
    [table] = visits.crm.sql("select relation::text as name from rowferry.entities where name = 'visits'")
    assert rows(visits.crm, f"select * from {table['name']}") == rows(visits.billing, "select * from visits")
    assert visits.crm.sql("select * from rowferry.check() where severity = 'error' and problem like '%table%'") == []


def test_a_view_under_the_old_name_leaves_the_renamed_table_the_one_to_attach(visits: Nodes) -> None:
    visits.crm.sql(
        "alter table visits rename to guests; create view visits as select * from guests; insert into visits values (3, 'c')"
    )
    tags_flow(visits)
    assert waiting(visits.crm) == ["insert visits 3 RF039"]
    visits.crm.sql(proposal(visits.crm, "its table public.visits is public.guests now"))
    settle(visits)
    assert len(rows(visits.billing, "select * from visits")) == 3


def test_what_is_proposed_has_the_options_of_the_entity(nodes: Nodes) -> None:
    for node, direction in zip(nodes, ("send", "receive"), strict=True):
        node.sql(
            "create table visits (id int, part int unique not null, title text, own text, primary key (id, part));"
            """ select rowferry.attach('visits', 'guests', '{"part": "part", "name": "title"}', '{part}', """
            f"p_filter => 'part > 0', p_filter_left => 'keep', p_direction => '{direction}');"
            " select rowferry.set_breaker('guests', null, 5)"
        )
    nodes.crm.sql("insert into visits values (1, 1, 'a', 'x')")
    sync(*nodes)
    kept = (
        "select key_columns, columns, local_columns, direction, filter, filter_left, breaker_share, breaker_rows"
        " from rowferry.entities"
    )
    before = nodes.crm.sql(kept)
    nodes.crm.sql(SWAP + "; insert into visits values (2, 2, 'b', 'y')")
    first, _, _ = proposal(nodes.crm, "does not travel").partition("  -- ")
    nodes.crm.sql(first)
    assert nodes.crm.sql(kept) == before
    assert nodes.crm.sql("select relation::text as name from rowferry.entities") == [{"name": "visits"}]


@pytest.mark.case(123)
@pytest.mark.parametrize("superuser", [False, True], ids=["a plain owner's table", "a superuser's table"])
@pytest.mark.parametrize("side", ["crm", "billing"])
def test_whoever_owns_the_schema_runs_nothing_with_the_rights_of_the_tables_owner(
    nodes: Nodes, superuser: bool, side: str
) -> None:
    holders = {}
    for each in nodes:
        holder, owner = role(each), role(each)
        holders[each.name] = holder
        each.sql(
            f"create schema app authorization {holder}; grant all on schema app to {owner};"
            " create table tags (id int primary key);"
            "create table app.accounts (id int primary key, name text); select rowferry.attach('tags')"
        )
        if not superuser:
            each.sql(f"alter table app.accounts owner to {owner}")
        each.sql(f"grant create on database {each.database} to {holder}; select rowferry.attach('app.accounts')")
    node: Node = getattr(nodes, side)
    nodes.crm.sql("insert into app.accounts values (1, 'a'); insert into tags values (1)")
    node.sql(
        f"set role {holders[side]}; alter schema app rename to gone; create schema app; grant usage on schema app to public;"
        f" {SPY.format(schema='app')}"
    )
    sync(*nodes)
    assert waiting(nodes.crm) == ["insert accounts 1 RF039"]
    assert rows(nodes.billing, "select * from tags") == ["(1)"], "others flow"
    for call in (
        'apply_accounts(\'{"{3}","{c}"}\', false)',
        "delete_accounts('{1}')",
        "lock_accounts('{1}')",
        "keys_accounts(null, 5)",
    ):
        with pytest.raises(psycopg.Error) as caught:
            node.sql(f"select rowferry.{call}")
        assert caught.value.sqlstate == "RF039"
        assert caught.value.diag.message_hint


def test_a_view_and_a_function_of_another_role_are_not_used(nodes: Nodes) -> None:
    owner, holder = role(nodes.crm), role(nodes.crm)
    nodes.crm.sql(
        f"create schema app authorization {holder}; grant all on schema app to {owner}; grant usage on schema public to {owner};"
        f" grant create on schema public to {owner}; set role {owner};"
        " create table public.people (id int primary key, name text);"
        " create view app.people_out as select id, name as called from public.people;"
        " create function app.people_in(p_rows app.people_out[]) returns table (id int, name text) language sql as"
        " 'select r.id, r.called from unnest(p_rows) r'; reset role;"
        " select rowferry.attach('public.people', p_outbound => 'app.people_out', p_inbound => 'app.people_in')"
    )
    nodes.billing.sql("create table people (id int primary key, called text); select rowferry.attach('people')")
    nodes.billing.sql("insert into people values (1, 'a')")
    sync(*nodes)
    assert rows(nodes.crm, "select * from people") == ["(1,a)"]
    # Whoever owns a schema may drop what is in it.
    nodes.crm.sql(
        f"set role {holder}; drop function app.people_in; create function app.people_in(p_rows app.people_out[])"
        " returns table (id int, name text) language sql as 'select r.id, current_user::text from unnest(p_rows) r';"
        " grant execute on function app.people_in to public"
    )
    nodes.billing.sql("insert into people values (2, 'b')")
    sync(*nodes)
    assert waiting(nodes.billing) == ["insert people 2 RF039"]
    assert rows(nodes.crm, "select * from people") == ["(1,a)"]
    nodes.crm.sql("insert into people values (3, 'c')")
    nodes.crm.sql(
        f"set role {holder}; drop view app.people_out cascade;"
        " create view app.people_out as select 3 as id, current_user::text as called;"
        " grant select on app.people_out to public"
    )
    sync(*nodes)
    assert waiting(nodes.crm) == ["insert people 3 RF039"]
    assert rows(nodes.billing, "select id from people") == ["(1)", "(2)"]


def test_a_table_that_has_another_number_since_a_restore_is_held_until_attach_makes_its_functions_anew(visits: Nodes) -> None:
    # What pg_restore leaves: the same names, other numbers.
    visits.crm.sql("update rowferry.entities set relation_oid = 1 where name = 'visits'")
    visits.billing.sql("insert into visits values (3, 'c')")
    tags_flow(visits)
    assert waiting(visits.billing) == ["insert visits 3 RF039"]
    visits.crm.sql(proposal(visits.crm, "restored from a dump"))
    settle(visits)
    is_well(visits)


def test_a_function_that_was_dropped_and_made_again_by_its_owner_goes_on(nodes: Nodes) -> None:
    make = "create function public.merged(mine notes, theirs notes) returns notes language sql as 'select theirs'"
    for node in nodes:
        node.sql(
            f"create table notes (id int primary key, v text); {make};"
            " select rowferry.attach('notes', p_conflict_rule => 'merge:public.merged')"
        )
        node.sql(f"drop function public.merged; {make}")
        node.sql(f"insert into notes values (1, '{node.name}')")
    sync(*nodes)
    assert rows(nodes.crm, "select * from notes") == rows(nodes.billing, "select * from notes")
