"""What attach() takes, what it makes, what it refuses, and that detach() leaves nothing behind."""

import re

import pytest

from harness import Node, Nodes
from harness.attaching import PLAIN, dump, refusal
from harness.exchange import refused_with, rows, sync, waiting
from harness.roles import as_role, role

SPLIT = """create table split (id int, part int, primary key (id, part)) partition by list (part);
    create table split_1 partition of split for values in (1);"""


@pytest.fixture
def crm(nodes: Nodes) -> Node:
    return nodes.crm


def test_one_call_keeps_a_table_in_sync(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(PLAIN)
        answer = node.sql("select rowferry.attach('items')")
        assert re.fullmatch(
            r"items: items is kept in sync with \w+, key id, 2 columns|items: public.items is .*", answer[0]["attach"]
        )
    nodes.crm.sql("insert into items values (1, 'a'), (2, 'b')")
    nodes.billing.sql("insert into items values (3, 'c')")
    assert sync(*nodes) > 1
    assert rows(nodes.crm, "select * from items") == rows(nodes.billing, "select * from items") == ["(1,a)", "(2,b)", "(3,c)"]
    assert waiting(nodes.crm) == waiting(nodes.billing) == []
    assert sync(*nodes) <= 3


def test_nodes_may_call_table_columns_and_key_differently(nodes: Nodes) -> None:
    nodes.crm.sql('create schema sales; create table sales.accounts (id int primary key, name text, "E-mail" text, secret text)')
    said = nodes.crm.sql("""select rowferry.attach('sales.accounts', p_columns => '["id", "name", "E-mail"]') as line""")
    assert [row["line"] for row in said][1:] == ["accounts: does not travel: secret"]
    nodes.billing.sql("create table customers (no int not null unique, called text, address text, own serial primary key)")
    nodes.billing.sql(
        """select rowferry.attach('customers', 'accounts', '{"id": "no", "name": "called", "E-mail": "address"}',
           array['id'], p_peer => 'crm')"""
    )
    nodes.crm.sql("insert into sales.accounts values (1, 'a', 'a@b', 's')")
    nodes.billing.sql("insert into customers values (2, 'b', 'b@b')")
    sync(*nodes)
    assert rows(nodes.crm, "select * from sales.accounts") == ["(1,a,a@b,s)", "(2,b,b@b,)"]
    assert rows(nodes.billing, "select no, called, address from customers") == ["(1,a,a@b)", "(2,b,b@b)"]
    nodes.billing.sql("update customers set called = 'c' where no = 1; delete from customers where no = 2")
    sync(*nodes)
    assert rows(nodes.crm, "select * from sales.accounts") == ["(1,c,a@b,s)"]


def test_the_key_may_be_named_by_its_columns_or_by_the_names_that_both_nodes_use(crm: Node) -> None:
    crm.sql("create table items (b int not null, a int not null, v text, unique (a, b) include (v))")
    for key in ("array['a', 'b']", "array['x', 'y']", "array['x', 'a']"):
        crm.sql(f"""select rowferry.attach('items', p_columns => '{{"x": "b", "y": "a", "v": "v"}}', p_key => {key})""")
        assert crm.sql("select key_columns, columns from rowferry.entities") == [
            {"key_columns": ["x", "y"], "columns": ["v", "x", "y"]}
        ]
        crm.sql("select rowferry.detach('items')")


def test_what_a_dry_run_prints_makes_the_same_catalog_as_attach(crm: Node) -> None:
    owner, dba = role(crm), role(crm)
    crm.sql(f"grant create on schema public to {owner}; grant {owner}, rowferry_owner to {dba}")
    crm.sql(f'set role {owner}; {SPLIT} create table "It\'s" (id int primary key, "a b" numeric(9, 2) unique, j json)')
    for call in ("'split'", """'"It''s"', 'its%', '{"k": "id", "w": "a b"}'"""):
        before = dump(crm)
        [given] = crm.sql("select last_value, is_called from rowferry.entity_ids")
        with as_role(crm, dba) as connection:
            script = [
                "".join(row) + "\n" for row in connection.execute(f"select rowferry.attach({call}, p_dry_run => true)").fetchall()
            ]
        assert dump(crm) == before
        crm.psql(f"set session authorization {dba};\nbegin;\n{''.join(script)}commit;\n")
        by_hand = dump(crm)
        with as_role(crm, dba) as connection:
            name = connection.execute("select name from rowferry.entities").fetchone()
            assert name
            connection.execute("select rowferry.detach(%s)", name)
            assert dump(crm) == before
            crm.sql("select setval('rowferry.entity_ids', %s, %s)", list(given.values()))  # the functions name the id
            connection.execute(f"select rowferry.attach({call})")
            assert dump(crm) == by_hand
            connection.execute("select rowferry.detach(%s)", name)
        assert dump(crm) == before


def test_everything_that_attach_makes_has_a_comment(crm: Node) -> None:
    crm.sql(PLAIN + ";" + SPLIT)
    crm.sql("select rowferry.attach('items'), rowferry.attach('split')")
    bare = crm.sql(
        """select p.oid::regprocedure::text as object from pg_proc p
           where p.pronamespace = 'rowferry'::regnamespace and obj_description(p.oid, 'pg_proc') is null
           union all
           select t.tgname || ' on ' || t.tgrelid::regclass from pg_trigger t
           where t.tgname like 'rowferry%' and t.tgparentid = 0 and obj_description(t.oid, 'pg_trigger') is null"""
    )
    assert bare == []
    assert crm.sql(
        "select count(*) as n from pg_trigger where tgname like 'rowferry%' and tgenabled = 'A'"
        " and tgrelid <> 'rowferry.events'::regclass"
    ) == [{"n": 8}]


@pytest.mark.case(76)
def test_detach_removes_all_that_attach_made(crm: Node) -> None:
    owner = role(crm)
    crm.sql(PLAIN + ";" + SPLIT)
    crm.sql(f"alter table items owner to {owner}; alter table split owner to {owner}")
    before = dump(crm)
    crm.sql("select rowferry.attach('items')")
    between = dump(crm)
    crm.sql("select rowferry.attach('split'); create table split_2 partition of split for values in (2)")
    crm.sql("select rowferry.detach('split'); drop table split_2")
    assert dump(crm) == between
    crm.sql("select rowferry.detach('items')")
    assert dump(crm) == before
    crm.sql("insert into items values (1)")
    assert crm.sql("select * from rowferry.events") == []


@pytest.mark.case(76)
def test_detach_is_refused_while_events_are_pending_unless_forced(crm: Node) -> None:
    crm.sql(PLAIN)
    before = dump(crm)
    crm.sql("select rowferry.attach('items'); insert into items values (1)")
    error = refusal(crm, "select rowferry.detach('items')")
    assert error.sqlstate == "RF012"
    assert "p_force => true" in str(error.diag.message_hint)
    assert refusal(crm, "select rowferry.detach('item')").sqlstate == "RF011"
    crm.sql("select rowferry.detach('items', p_force => true)")
    assert dump(crm) == before
    assert crm.sql("select * from rowferry.events") == []


@pytest.mark.case(76)
def test_a_table_that_one_node_has_detached_leaves_the_other_by_the_line_that_is_printed(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(f"{PLAIN}; select rowferry.attach('items')")
    sync(*nodes)
    nodes.crm.sql("select rowferry.detach('items')")
    nodes.billing.sql("insert into items values (1)")
    sync(*nodes)
    leave = "or, if it is to leave the sync, {}: select rowferry.detach('items', p_force => true); which gives up what waits"
    for node, where, problem in (
        (nodes.billing, "here", "crm has not attached entity items%"),
        (nodes.crm, "on billing", "it is attached on billing (public.items) and not here%"),
    ):
        [row] = node.sql("select fix from rowferry.check() where problem like %s", [problem])
        assert leave.format(where) in row["fix"], row
    error = refusal(nodes.billing, "select rowferry.detach('items')")
    assert error.sqlstate == "RF012"
    hint = str(error.diag.message_hint)
    assert hint.startswith("select rowferry.detach('items', p_force => true);  -- gives them up"), hint
    nodes.billing.sql(hint)
    assert rows(nodes.billing, "select name from rowferry.entities") == []


def test_an_entity_of_a_dropped_table_can_be_detached(crm: Node) -> None:
    before = dump(crm)
    owner = role(crm)
    crm.sql(
        f"{PLAIN}; alter table items owner to {owner}; select rowferry.attach('items'); drop table items cascade;"
        f" select rowferry.detach('items')"
    )
    assert dump(crm) == before


def test_a_new_entity_never_gets_the_number_of_one_that_left_something_behind(crm: Node) -> None:
    crm.sql(PLAIN + "; select rowferry.attach('items'); insert into items values (1)")
    crm.sql("select rowferry.skip(min(id)) from rowferry.events; select rowferry.detach('items', p_force => true)")
    crm.sql("select rowferry.attach('items')")
    assert crm.sql("select id from rowferry.entities") == [{"id": 2}]


def test_locking_many_rows_takes_time_in_proportion_to_them(crm: Node) -> None:
    """It takes 0.1 s. Where each row was compared with each, it took 26 s, with some of the plans only from the sixth call on."""
    crm.sql(f"{PLAIN}; select rowferry.attach('items'); insert into items select g, 'x' from generate_series(1, 40000) g")
    with crm.connect() as connection:
        connection.execute("set statement_timeout = '10s'")
        for _ in range(8):
            connection.execute("select rowferry.lock_items(array(select g::text from generate_series(1, 40000) g))")


@pytest.mark.parametrize("kind", ["text", "bytea", "jsonb", "text[]"])
def test_rows_that_are_stored_compressed_count_at_full_size_when_read(crm: Node, kind: str) -> None:
    value = {
        "bytea": "repeat('x', 100000)::bytea",
        "jsonb": "to_jsonb(repeat('x', 100000))",
        "text[]": "array[repeat('x', 100000)]",
    }.get(kind, "repeat('x', 100000)")
    crm.sql(f"create table items (id int primary key, v {kind}); select rowferry.attach('items')")
    crm.sql(f"insert into items select g, {value} from generate_series(1, 4) g; insert into items values (5, null)")
    read = "select cardinality(o_keys) as read, cardinality(o_cut) as cut from rowferry.read_items('{1,2,3,4,5}', 150000)"
    assert crm.sql(read) == [{"read": 2, "cut": 3}]


@pytest.mark.case(89)
def test_a_server_whose_merge_is_broken_is_warned_of(nodes: Nodes) -> None:
    """What capture stands on was wrong before certain minor versions; attach() says so and goes on."""
    versions = "array[140000, 150019, 150020, 170011, 180005, 180006, 190000]"
    warned = nodes.crm.sql(f"select v from unnest({versions}) v where rowferry._server_warning(v) is not null")
    assert [row["v"] for row in warned] == [150019, 170011, 180005]
    text = nodes.crm.sql("select pg_get_functiondef('rowferry._server_warning'::regproc) as text")[0]["text"]
    assert text.count("(18, 6)") == 1
    this_one = "(current_setting('server_version_num')::integer / 10000, 9999)"
    nodes.crm.sql(text.replace("(18, 6)", f"(18, 6), {this_one}").replace("IMMUTABLE", "STABLE"))
    notices: list[str] = []
    connection = nodes.crm.connect()
    connection.add_notice_handler(lambda n: notices.append(f"{n.severity} {n.message_primary} {n.message_hint}"))
    connection.execute("create table notes (id integer primary key)")
    connection.execute("select rowferry.attach('notes')")
    assert len(notices) == 1
    assert notices[0].startswith("WARNING this server is PostgreSQL ")
    assert "latest minor version" in notices[0]
    assert nodes.crm.sql("select name from rowferry.entities") == [{"name": "notes"}]
    connection.execute("create table more (id integer primary key)")
    connection.execute("select rowferry.attach('more')")
    assert len(notices) == 1  # once is enough


def test_a_down_file_may_find_a_table_detached_by_hand(nodes: Nodes) -> None:
    nodes.crm.sql("create table spare (id integer primary key); select rowferry.attach('spare')")
    calls = [nodes.crm.sql("select rowferry.detach('spare', p_if_attached => true) as said") for _ in range(2)]
    said = [row["said"] for (row,) in calls]
    assert said == ["spare: public.spare is no longer kept in sync with billing", "spare: is not attached"]
    refused_with("RF011", nodes.crm, "select rowferry.detach('spare')")


def test_a_down_file_that_runs_again_takes_no_other_table_of_that_name(nodes: Nodes) -> None:
    nodes.crm.sql("""
        create schema s; create table spare (id int primary key); create table s.spare (id int primary key);
        select rowferry.attach('spare'); select rowferry.attach('s.spare', 'other')""")
    down = "select rowferry.detach('spare', p_if_attached => true)"
    nodes.crm.sql(down)
    assert "s.spare is entity other" in refused_with("RF011", nodes.crm, down)
    assert nodes.crm.sql("select name from rowferry.entities") == [{"name": "other"}]
