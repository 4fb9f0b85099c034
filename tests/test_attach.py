"""What attach() takes, what it makes, what it refuses, and that detach() leaves nothing behind."""

import re
import subprocess

import psycopg
import pytest

from harness import Node, Nodes
from harness.exchange import rows, sync, waiting
from harness.roles import as_role, role
from rowferry.demo.embedded import environment

PLAIN = "create table items (id int primary key, v text)"
SPLIT = """create table split (id int, part int, primary key (id, part)) partition by list (part);
    create table split_1 partition of split for values in (1);"""


@pytest.fixture
def crm(nodes: Nodes) -> Node:
    return nodes.crm


def dump(node: Node) -> str:
    """The whole catalog as pg_dump writes it, and the registered entities."""
    own = node.server.bin_dir / "pg_dump"
    done = subprocess.run(
        [str(own) if own.exists() else "pg_dump", "--schema-only", "-d", node.conninfo],
        env=environment(node.server.bin_dir),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    entities = rows(node, "select id, name, peer, relation, key_columns, columns, local_columns from rowferry.entities")
    return re.sub(r"(?m)^\\(un)?restrict .*\n", "", done.stdout) + "\n".join(entities)


def refusal(node: Node, statement: str, user: str | None = None) -> psycopg.Error:
    """The error of a statement that must leave everything as it was."""
    before = dump(node)
    connection = as_role(node, user) if user else node.connect()
    with connection, pytest.raises(psycopg.Error) as caught:
        connection.execute(statement)
    assert dump(node) == before
    return caught.value


def refused(node: Node, call: str, message: str, user: str | None = None) -> psycopg.Error:
    """As refusal, of rowferry.attach(call): with this in its message, and a hint."""
    error = refusal(node, f"select rowferry.attach({call})", user)
    assert re.search(message, str(error)), error
    assert error.diag.message_hint, error
    return error


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


def refused_fast(node: Node, call: str, message: str) -> None:
    """rowferry.attach(call) is refused with this in its message, and a hint, and registers nothing."""
    with node.connect() as connection, pytest.raises(psycopg.Error) as caught:
        connection.execute(f"select rowferry.attach({call})")
    assert re.search(message, str(caught.value)), f"{call}: {caught.value}"
    assert str(caught.value.sqlstate).startswith("RF"), f"{call}: {caught.value.sqlstate}"
    assert caught.value.diag.message_hint, call


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


def test_locking_many_rows_takes_time_in_proportion_to_them(crm: Node) -> None:
    crm.sql(f"{PLAIN}; select rowferry.attach('items'); insert into items select g, 'x' from generate_series(1, 20000) g")
    with crm.connect() as connection:
        connection.execute("set statement_timeout = '1s'")
        for _ in range(8):
            connection.execute("select rowferry.lock_items(array(select g::text from generate_series(1, 20000) g))")


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
