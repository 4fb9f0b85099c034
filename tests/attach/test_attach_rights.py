"""What runs with whose rights while rows are applied, and with which settings."""

import psycopg
import pytest

from harness import Node, Nodes
from harness.exchange import rows, sync, waiting
from harness.roles import as_role, role

PLAIN = "create table items (id int primary key, v text)"


@pytest.fixture
def crm(nodes: Nodes) -> Node:
    return nodes.crm


def test_what_touches_a_table_belongs_to_its_owner_and_capture_to_rowferry(crm: Node) -> None:
    owner = role(crm)
    crm.sql(f"{PLAIN}; alter table items owner to {owner}; select rowferry.attach('items')")
    owners = crm.sql(
        r"""select p.proname as name, pg_get_userbyid(p.proowner) as owner, p.prosecdef as definer from pg_proc p
            where p.pronamespace = 'rowferry'::regnamespace and p.proname ~ '_items$' order by 1"""
    )
    assert {row["name"]: row["owner"] for row in owners} == {
        "apply_items": owner,
        "capture_items": "rowferry_owner",
        "count_items": owner,
        "emptied_items": owner,
        "hash_items": owner,
        "delete_items": owner,
        "differing_items": owner,
        "keys_items": owner,
        "lacking_items": owner,
        "altered_items": owner,
        "sequences_items": owner,
        "wanting_items": owner,
        "lock_items": owner,
        "read_items": owner,
        "finish_items": owner,
    }
    assert all(row["definer"] for row in owners)
    assert crm.sql("select has_table_privilege('rowferry_owner', 'items', 'select, insert, update, delete') as may") == [
        {"may": False}
    ]
    with as_role(crm, owner) as connection:
        for statement in ("select rowferry.version()", "select * from rowferry.sync_events", "create table rowferry.mine ()"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.case(99)
def test_a_trigger_of_the_target_runs_with_the_rights_of_the_tables_owner_alone(nodes: Nodes) -> None:
    for node in nodes:
        owner = role(node)
        node.sql(
            f"{PLAIN}; alter table items owner to {owner}; create table vault (secret text); select rowferry.attach('items')"
        )
        node.sql(
            """create function pry() returns trigger language plpgsql as $$ begin
                 if new.v = 'pry' then perform * from vault; elsif new.v = 'own' then perform * from items; end if;
                 return new; end $$;
               create table seen (id int); alter table seen owner to rowferry_owner;
               create trigger pry before insert on items for each row execute function pry();
               alter table items enable always trigger pry"""
        )
    nodes.crm.sql("insert into items values (1, 'a'), (2, 'pry'), (3, 'own')")
    sync(*nodes)
    assert rows(nodes.billing, "select * from items") == ["(1,a)", "(3,own)"]
    assert waiting(nodes.crm) == ["insert items 2 42501"]
    nodes.billing.sql("drop trigger pry on items")
    nodes.crm.sql("select rowferry.retry(id) from rowferry.sync_events")
    sync(*nodes)
    assert waiting(nodes.crm) == []


@pytest.mark.case(85)
def test_row_level_security_that_is_forced_later_holds_the_tables_rows_and_deletes_nothing(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(f"{PLAIN}; alter table items owner to {role(node)}; select rowferry.attach('items')")
    nodes.crm.sql("insert into items values (1, 'a')")
    sync(*nodes)
    nodes.crm.sql("update items set v = 'b'; alter table items enable row level security, force row level security")
    sync(*nodes)
    assert waiting(nodes.crm) == ["update items 1 RF020"]
    assert rows(nodes.billing, "select * from items") == ["(1,a)"]
    nodes.crm.sql("alter table items no force row level security; select rowferry.retry(id) from rowferry.sync_events")
    sync(*nodes)
    assert rows(nodes.billing, "select * from items") == ["(1,b)"]


def test_a_trigger_of_the_target_finds_what_its_tables_schema_and_public_hold(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create schema sales; create table sales.items (id int primary key, v text); create table sales.log (id int)")
        node.sql(
            "create function twice(text) returns text language sql as 'select $1 || $1'; select rowferry.attach('sales.items')"
        )
    nodes.billing.sql(
        """create function sales.note() returns trigger language plpgsql as $$ begin
             insert into log values (coalesce(new.id, old.id)); perform twice('x'); return null; end $$;
           create trigger note after insert or delete on sales.items for each row execute function sales.note();
           alter table sales.items enable always trigger note"""
    )
    nodes.crm.sql("insert into sales.items values (1)")
    sync(*nodes)
    nodes.crm.sql("delete from sales.items")
    sync(*nodes)
    assert waiting(nodes.crm) == []
    assert rows(nodes.billing, "select * from sales.log") == ["(1)", "(1)"]


GENERATED = [
    ("apply_items", "text[], boolean, jsonb", "array['{1}', '{b}'], false"),
    ("delete_items", "text[]", "array['1']"),
    ("lock_items", "text[]", "array['1']"),
    ("wanting_items", "text[], text[]", "array['{1}', '{b}'], array['1']"),
    ("differing_items", "text[], text[]", "array['{1}', '{b}'], array['1']"),
    ("read_items", "text[], bigint", "array['1'], null"),
    ("keys_items", "text, integer", "null, 1"),
]


@pytest.mark.parametrize(("name", "types", "arguments"), [*GENERATED, ("sequences_items", "jsonb", "'{}'")])
def test_a_function_whose_owner_makes_it_run_with_the_callers_rights_does_nothing(
    crm: Node, name: str, types: str, arguments: str
) -> None:
    owner = role(crm)
    crm.sql(
        f"""{PLAIN}; insert into items values (1, 'a'); alter table items owner to {owner}; grant rowferry_viewer to {owner};
            select rowferry.attach('items')"""
    )
    with crm.connect() as connection:
        connection.execute("set session authorization rowferry_owner")
        connection.execute(f"begin; select rowferry.{name}({arguments}); rollback")
        crm.sql(f"set session authorization {owner}; alter function rowferry.{name}({types}) security invoker")
        with pytest.raises(psycopg.Error, match="this function must be security definer") as caught:
            connection.execute(f"select rowferry.{name}({arguments})")
    assert caught.value.sqlstate == "42501"


SPELLING = ["datestyle", "intervalstyle", "timezone", "extra_float_digits", "bytea_output", "lc_monetary"]
SPELLING += ["xmloption", "array_nulls"]
ASTRAY = """set_config('datestyle', 'German', true), set_config('intervalstyle', 'iso_8601', true),
    set_config('timezone', 'Asia/Tokyo', true), set_config('extra_float_digits', '-5', true),
    set_config('bytea_output', 'escape', true), set_config('xmloption', 'document', true),
    set_config('array_nulls', 'off', true)"""


@pytest.mark.case(54)
def test_what_a_trigger_of_the_target_sets_ends_with_the_function_that_fired_it(crm: Node) -> None:
    crm.sql(f"""{PLAIN}; select rowferry.attach('items'); create function stray() returns trigger language plpgsql as
        $$ begin perform {ASTRAY}; return coalesce(new, old); end $$;
        create trigger stray before insert or delete on items for each row execute function stray();
        alter table items enable always trigger stray""")
    now = "select " + ", ".join(f"current_setting('{name}')" for name in SPELLING)
    with crm.connect(autocommit=False) as connection:
        before = connection.execute(now).fetchone()
        for call in ("apply_items(array['{1}', '{a}'], false)", "delete_items(array['1'])"):
            connection.execute(f"select rowferry.{call}")
            assert connection.execute(now).fetchone() == before, call


@pytest.mark.case(54)
def test_every_function_that_spells_values_spells_them_one_way(crm: Node) -> None:
    crm.sql(f"{PLAIN}; select rowferry.attach('items')")
    for name, types, _ in GENERATED:
        pinned = crm.sql(f"select proconfig::text as settings from pg_proc where oid = 'rowferry.{name}({types})'::regprocedure")
        assert all(setting in pinned[0]["settings"].lower() for setting in SPELLING), name
