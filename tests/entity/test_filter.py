"""Which rows of a table are kept in sync: attach(p_filter => ..)."""

import pytest

from harness import Nodes
from harness.exchange import refused_with, rows, sync, waiting

pytestmark = pytest.mark.smoke

TABLE = "create table customers (id integer primary key, name text, country text, archived boolean not null default false)"
PARTITIONED = f"""
{TABLE} partition by range (id);
create table customers_few partition of customers for values from (0) to (100);
create table customers_many partition of customers default"""
SWISS = "country = 'CH'"


def install(nodes: Nodes, left: str = "delete", there: str | None = None, table: str = TABLE, filter: str = SWISS) -> None:
    """crm sends its rows within the filter; billing has the filter `there`."""
    for node, condition in ((nodes.crm, filter), (nodes.billing, there)):
        node.sql(table)
        node.sql("select rowferry.attach('customers', p_filter => %s, p_filter_left => %s)", [condition, left])


def customers(nodes: Nodes) -> list[str]:
    return rows(nodes.billing, "select id, name, country from customers")


@pytest.mark.parametrize("table", [TABLE, PARTITIONED], ids=["table", "partitioned"])
def test_only_rows_within_the_filter_travel(nodes: Nodes, table: str) -> None:
    install(nodes, table=table)
    nodes.crm.sql("insert into customers values (1, 'Acme', 'CH'), (2, 'Globex', 'DE'), (3, 'Initech', null), (4, 'Hooli', 'CH')")
    assert waiting(nodes.crm) == ["insert customers 1", "insert customers 4"]
    sync(*nodes)
    assert customers(nodes) == ["(1,Acme,CH)", "(4,Hooli,CH)"]
    nodes.crm.sql("update customers set name = name || '!'")
    assert waiting(nodes.crm) == ["update customers 1", "update customers 4"]
    sync(*nodes)
    nodes.crm.sql("delete from customers where id > 1")
    assert waiting(nodes.crm) == ["delete customers 4"]
    sync(*nodes)
    assert customers(nodes) == ["(1,Acme!,CH)"]


@pytest.mark.parametrize("table", [TABLE, PARTITIONED], ids=["table", "partitioned"])
@pytest.mark.parametrize(("left", "stays"), [("delete", []), ("keep", ["(1,Acme,CH)"])])
def test_a_row_that_leaves_the_filter_is_deleted_on_the_peer_or_left_there(
    nodes: Nodes, table: str, left: str, stays: list[str]
) -> None:
    install(nodes, left, table=table)
    nodes.crm.sql("insert into customers values (1, 'Acme', 'CH'), (2, 'Globex', 'DE')")
    sync(*nodes)
    nodes.crm.sql("update customers set country = 'DE', name = 'secret' where id = 1")
    assert waiting(nodes.crm) == ["delete customers 1"]
    sync(*nodes)
    assert (customers(nodes), waiting(nodes.crm)) == (stays, [])
    nodes.crm.sql("update customers set name = 'still secret' where id = 1")
    nodes.crm.sql("delete from customers where id = 1")
    assert waiting(nodes.crm) == []
    nodes.crm.sql("insert into customers values (1, 'Again', 'CH')")
    sync(*nodes)
    assert customers(nodes) == ["(1,Again,CH)"]


@pytest.mark.parametrize("left", ["delete", "keep"])
def test_a_row_that_leaves_and_comes_back_before_it_was_sent_is_one_that_changed(nodes: Nodes, left: str) -> None:
    install(nodes, left)
    nodes.crm.sql("insert into customers values (1, 'Acme', 'CH')")
    sync(*nodes)
    for country in ("DE", "CH"):
        nodes.crm.sql("update customers set country = %s, name = name || '!' where id = 1", [country])
    sync(*nodes)
    assert customers(nodes) == ["(1,Acme!!,CH)"]


def test_what_the_peer_does_to_a_row_that_it_kept_concerns_nobody_else(nodes: Nodes) -> None:
    install(nodes, "keep")
    nodes.crm.sql("insert into customers values (1, 'Acme', 'CH'), (2, 'Globex', 'CH')")
    sync(*nodes)
    nodes.crm.sql("update customers set country = 'DE'")
    sync(*nodes)
    nodes.billing.sql("delete from customers where id = 1; update customers set name = 'of billing' where id = 2")
    sync(*nodes)
    assert rows(nodes.crm, "select id, name, country from customers") == ["(1,Acme,DE)", "(2,Globex,DE)"]
    assert waiting(nodes.billing) == ["update customers 2 23514"]


def test_two_filters_let_through_what_is_within_both(nodes: Nodes) -> None:
    install(nodes, there="name like 'A%'")
    nodes.crm.sql("insert into customers values (1, 'Acme', 'CH'), (2, 'Globex', 'CH')")
    nodes.billing.sql("insert into customers values (3, 'Alpha', 'CH'), (4, 'Apple', 'DE')")
    sync(*nodes)
    assert customers(nodes) == ["(1,Acme,CH)", "(3,Alpha,CH)", "(4,Apple,DE)"]
    assert rows(nodes.crm, "select id, name, country from customers") == ["(1,Acme,CH)", "(2,Globex,CH)", "(3,Alpha,CH)"]
    assert (waiting(nodes.crm), waiting(nodes.billing)) == (["insert customers 2 23514"], ["insert customers 4 23514"])


def test_rows_that_are_kept_and_rows_that_are_deleted_leave_in_one_batch(nodes: Nodes) -> None:
    install(nodes, "keep")
    nodes.crm.sql("insert into customers values (1, 'Acme', 'CH'), (2, 'Globex', 'CH')")
    sync(*nodes)
    nodes.crm.sql("update customers set country = 'DE' where id = 1; delete from customers where id = 2")
    sync(*nodes)
    assert customers(nodes) == ["(1,Acme,CH)"]


@pytest.mark.parametrize("left", ["delete", "keep"])
def test_a_row_that_leaves_before_it_was_sent_never_travels(nodes: Nodes, left: str) -> None:
    install(nodes, left)
    nodes.crm.sql("insert into customers values (1, 'Acme', 'CH')")
    nodes.crm.sql("update customers set country = 'DE' where id = 1")
    sync(*nodes)
    assert (customers(nodes), waiting(nodes.crm)) == ([], [])


@pytest.mark.parametrize("table", [TABLE, PARTITIONED], ids=["table", "partitioned"])
def test_a_row_that_enters_the_filter_comes_whatever_column_let_it_in(nodes: Nodes, table: str) -> None:
    for node, condition in ((nodes.crm, "not archived"), (nodes.billing, None)):
        node.sql(table)
        node.sql("select rowferry.attach('customers', p_columns => '[\"id\", \"name\"]', p_filter => %s)", [condition])
    nodes.crm.sql("insert into customers values (1, 'Acme', 'CH', true)")
    sync(*nodes)
    assert rows(nodes.billing, "select id, name from customers") == []
    nodes.crm.sql("update customers set archived = false")
    sync(*nodes)
    assert rows(nodes.billing, "select id, name from customers") == ["(1,Acme)"]
    nodes.crm.sql("update customers set archived = true")
    sync(*nodes)
    assert rows(nodes.billing, "select id, name from customers") == []


@pytest.mark.parametrize("table", [TABLE, PARTITIONED], ids=["table", "partitioned"])
def test_a_key_that_changes_takes_its_row_along_or_out(nodes: Nodes, table: str) -> None:
    install(nodes, table=table)
    nodes.crm.sql("insert into customers values (1, 'Acme', 'CH'), (2, 'Globex', 'CH'), (3, 'Initech', 'DE')")
    sync(*nodes)
    nodes.crm.sql("update customers set id = id + 10, country = case id when 2 then 'DE' else 'CH' end")
    sync(*nodes)
    assert customers(nodes) == ["(11,Acme,CH)", "(13,Initech,CH)"]


def test_a_conflict_with_a_row_that_left_is_one_with_a_deleted_row(nodes: Nodes) -> None:
    install(nodes, there=SWISS)
    nodes.crm.sql("insert into customers values (1, 'Acme', 'CH')")
    sync(*nodes)
    nodes.billing.sql("update customers set name = 'of billing' where id = 1")
    nodes.crm.sql("update customers set country = 'DE' where id = 1")
    sync(*nodes)
    assert customers(nodes) == []
    for node in nodes:
        [conflict] = node.sql("select winner, winner_row, loser_row ->> 'name' as lost from rowferry.conflicts")
        assert conflict == {"winner": "crm", "winner_row": None, "lost": "of billing"}


@pytest.mark.parametrize("left", ["delete", "keep"])
def test_backfill_and_compare_walk_rows_within_the_filter_only(nodes: Nodes, left: str) -> None:
    for node in nodes:
        node.sql(TABLE)
    nodes.crm.sql(
        "insert into customers select i, 'n', case when i % 3 = 0 then 'CH' else 'DE' end from generate_series(1, 90) i"
    )
    for node, condition in ((nodes.crm, SWISS), (nodes.billing, None)):
        node.sql("select rowferry.attach('customers', p_filter => %s, p_filter_left => %s)", [condition, left])
    nodes.crm.sql("select * from rowferry.backfill('customers')")
    sync(*nodes)
    assert rows(nodes.billing, "select count(*), count(*) filter (where country = 'CH') as swiss from customers") == ["(30,30)"]
    nodes.crm.sql("select * from rowferry.compare('customers')")
    sync(*nodes)
    [run] = nodes.crm.sql("select state, only_here, only_there, different from rowferry.compare_runs")
    assert run == {"state": "finished", "only_here": 0, "only_there": 0, "different": 0}


def test_a_truncate_that_is_propagated_takes_rows_within_the_filter(nodes: Nodes) -> None:
    for node, condition in ((nodes.crm, SWISS), (nodes.billing, None)):
        node.sql(TABLE)
        node.sql("select rowferry.attach('customers', p_filter => %s, p_truncate => 'propagate')", [condition])
        node.sql("select rowferry.set_breaker('customers', null)")
    nodes.crm.sql("insert into customers values (1, 'Acme', 'CH'), (2, 'Globex', 'DE')")
    nodes.crm.sql("truncate customers")
    assert waiting(nodes.crm) == ["insert customers 1", "delete customers 1"]
    sync(*nodes)
    assert customers(nodes) == []


def test_a_merge_function_gets_null_for_a_row_that_left(nodes: Nodes) -> None:
    merge = """
        create schema app;
        create function app.merge(mine customers, theirs customers) returns customers language sql as
          'select case when mine is null then null else theirs end'"""
    for node in nodes:
        node.sql(TABLE)
        node.sql(merge)
        node.sql("select rowferry.attach('customers', p_filter => %s, p_conflict_rule => 'merge:app.merge')", [SWISS])
    nodes.crm.sql("insert into customers values (1, 'Acme', 'CH')")
    sync(*nodes)
    [arbiter] = [
        node for node in nodes if node.sql("select rowferry._merges_here(peer) as arbiter from rowferry.links")[0]["arbiter"]
    ]
    [other] = [node for node in nodes if node is not arbiter]
    arbiter.sql("update customers set country = 'DE' where id = 1")
    other.sql("update customers set name = 'changed' where id = 1")
    sync(*nodes)
    assert rows(other, "select id, name, country from customers") == []
    assert rows(arbiter, "select id, name, country from customers") == ["(1,Acme,DE)"]


def test_names_of_the_generated_functions_own_variables_mean_the_columns(nodes: Nodes) -> None:
    for node in nodes:
        columns = "k1 integer, f integer, found boolean, p_keys integer, o_keys integer, tg_op text, t text"
        node.sql(f"create table things ({columns}, primary key (k1, f))")
        condition = "found and p_keys = o_keys and tg_op = t and k1 = f"
        node.sql("select rowferry.attach('things', p_filter => %s, p_filter_left => 'keep')", [condition])
    nodes.crm.sql(
        "insert into things values (1, 1, true, 7, 7, 'a', 'a'), (2, 2, false, 7, 7, 'a', 'a'), (3, 3, true, 7, 8, 'a', 'a')"
    )
    sync(*nodes)
    assert rows(nodes.billing, "select k1 from things") == ["(1)"]
    nodes.billing.sql("delete from things")
    sync(*nodes)
    assert rows(nodes.crm, "select k1 from things") == ["(2)", "(3)"]


@pytest.mark.parametrize(
    "condition",
    [
        "country",
        "nowhere = 1",
        "country = (select 'CH')",
        "count(*) > 1",
        "now() > '2020-01-01'",
        "random() < 0.5",
        "true); drop table public.customers; select (true",
        "public.shady(country)",
        "country operator(public.=~) 'CH'",
        "'$rowferry$' = country",
    ],
)
def test_what_is_no_filter_is_refused_with_a_hint(nodes: Nodes, condition: str) -> None:
    nodes.crm.sql(TABLE)
    nodes.crm.sql("create function public.shady(text) returns boolean language sql immutable return true")
    nodes.crm.sql("create function public.like_it(text, text) returns boolean language sql immutable return true")
    nodes.crm.sql("create operator public.=~ (function = public.like_it, leftarg = text, rightarg = text)")
    refused_with("RF010", nodes.crm, "select rowferry.attach('customers', p_filter => %s)", [condition])
    assert nodes.crm.sql("select to_regclass('customers') as there, (select count(*) from rowferry.entities) as attached") == [
        {"there": "customers", "attached": 0}
    ]
    assert nodes.crm.sql("select relname from pg_class where relname like 'rowferry\\_filter%%'", []) == []


def test_a_filter_is_kept_as_postgresql_spells_it(nodes: Nodes) -> None:
    nodes.crm.sql(TABLE)
    nodes.crm.sql("select rowferry.attach('customers', p_filter => %s)", ["country = 'CH' -- the rest is another's"])
    assert nodes.crm.sql("select filter from rowferry.entities") == [{"filter": "(country = 'CH'::text)"}]


def test_a_filter_rule_that_is_none_and_a_column_that_would_be_a_variable_are_refused(nodes: Nodes) -> None:
    nodes.crm.sql(TABLE)
    refused_with("RF013", nodes.crm, "select rowferry.attach('customers', p_filter => 'true', p_filter_left => 'drop')")
    nodes.crm.sql("alter table customers rename name to v_keys")
    refused_with("RF010", nodes.crm, "select rowferry.attach('customers', p_filter => 'true')")


def test_operators_of_others_do_not_stand_in_for_those_of_a_filter(nodes: Nodes) -> None:
    """Writing functions run with public in search_path, where anybody may have put an operator that fits better."""
    nodes.crm.sql("create type public.kind as enum ('a', 'b')")
    nodes.crm.sql("create table things (id integer primary key, kind public.kind)")
    nodes.billing.sql("create table things (id integer primary key, kind text)")
    nodes.crm.sql("grant usage on schema public to rowferry_owner")
    nodes.crm.sql("select rowferry.attach('things', p_filter => 'kind = ''a''')")
    nodes.billing.sql("select rowferry.attach('things')")
    body = "begin raise exception 'hijacked'; end"
    nodes.crm.sql(f"create function public.never(kind, kind) returns boolean language plpgsql as $${body}$$")
    nodes.crm.sql("create operator public.= (function = public.never, leftarg = public.kind, rightarg = public.kind)")
    nodes.crm.sql("insert into things values (1, 'a'), (2, 'b')")
    sync(*nodes)
    nodes.billing.sql("insert into things values (3, 'a')")
    nodes.billing.sql("update things set id = 4 where id = 1")
    sync(*nodes)
    assert rows(nodes.crm, "select id, kind from things") == ["(2,b)", "(3,a)", "(4,a)"]


def test_check_names_a_filter_that_only_the_peer_has(nodes: Nodes) -> None:
    install(nodes)
    sync(*nodes)
    [found] = nodes.billing.sql(
        "select severity, problem from rowferry.check() where problem like '%%filter%%' or problem like '%%only rows%%'", []
    )
    assert found["severity"] == "warning"
    assert "crm keeps only rows in sync" in found["problem"]


def test_detach_takes_all_of_it_away(nodes: Nodes) -> None:
    install(nodes, "keep")
    nodes.crm.sql("select rowferry.detach('customers')")
    assert nodes.crm.sql("select proname from pg_proc where proname like '%%\\_customers'", []) == []


def test_a_table_in_a_schema_that_is_closed_to_rowferry_can_have_a_filter(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create schema sales; create table sales.t (id integer primary key, v text)")
        node.sql("select rowferry.attach('sales.t', p_filter => 'id > 0')")
        assert node.sql("select * from rowferry.drift()") == []
        assert node.sql("select problem from rowferry.check() where severity = 'error' and object not like 'server%'") == []
        node.sql("set role rowferry_owner; select rowferry._note_release()")
    nodes.crm.sql("insert into sales.t values (1, 'a'), (-1, 'b')")
    sync(*nodes)
    assert rows(nodes.billing, "select * from sales.t") == ["(1,a)"]
    nodes.crm.sql("select rowferry.detach('t', p_force => true)")
    assert nodes.crm.sql("select proname from pg_proc where proname = 'within_t'") == []


def test_a_filter_means_what_it_meant_where_it_was_written(nodes: Nodes) -> None:
    nodes.crm.sql("create table days (d date primary key, i interval, b bytea)")
    nodes.crm.sql("""
        set datestyle = 'SQL, DMY'; set intervalstyle = 'sql_standard'; set bytea_output = 'escape';
        select rowferry.attach('days', p_filter => $$ d < '21/02/2020' and i > '-1 2:00:00' and b <> '\\x07' $$)""")
    nodes.crm.sql("""insert into days values ('2020-02-20', '-1 day', 'a'), ('2020-02-22', '0', 'a'),
        ('2020-02-19', '-1 day -3 hours', 'a'), ('2020-02-18', '0', '\\x07')""")
    assert waiting(nodes.crm) == ["insert days 2020-02-20"]


@pytest.mark.parametrize(
    "change",
    [
        "alter table customers rename country to land",
        "alter table customers drop country cascade",
        "alter type mood rename value 'good' to 'better'",
    ],
)
def test_check_names_a_filter_that_no_longer_says_what_it_said(nodes: Nodes, change: str) -> None:
    nodes.crm.sql(f"create type mood as enum ('good', 'bad'); {TABLE}; alter table customers add mood mood")
    nodes.crm.sql(
        "select rowferry.attach('customers', p_columns => %s, p_filter => %s)",
        ['["id", "name"]', "country = 'CH' or mood = 'good'"],
    )
    problems = "select problem from rowferry.drift() where problem like 'its filter %'"
    assert nodes.crm.sql(problems) == []
    nodes.crm.sql(change)
    assert len(nodes.crm.sql(problems)) == 1


def test_a_virtual_generated_column_is_refused_in_a_filter(nodes: Nodes) -> None:
    [version] = nodes.crm.sql("select current_setting('server_version_num')::integer as number")
    if version["number"] < 180000:
        pytest.skip("before PostgreSQL 18 generated columns are stored")
    nodes.crm.sql("create table v (id integer primary key, twice integer generated always as (id * 2) virtual, b integer)")
    refused_with("RF010", nodes.crm, "select rowferry.attach('v', p_filter => 'twice > 2')")
    nodes.crm.sql("select rowferry.attach('v', p_filter => 'id * 2 > 2')")


def test_attach_called_again_with_a_rule_changes_it_and_keeps_the_others(nodes: Nodes) -> None:
    nodes.crm.sql(TABLE)
    nodes.crm.sql("select rowferry.attach('customers')")
    nodes.crm.sql("alter table customers alter name type varchar(20)")
    for given in ("p_filter => 'id > 0'", "p_conflict_rule => 'node:crm'", "p_filter_left => 'keep'"):
        nodes.crm.sql(f"select rowferry.attach('customers', {given})")
    refused_with("RF013", nodes.crm, "select rowferry.attach('customers', p_direction => 'send')")
    nodes.crm.sql("select rowferry.attach('customers', p_direction => 'send', p_conflict_rule => 'newest')")
    assert nodes.crm.sql("select filter, filter_left, direction, conflict_rule, orphan_rule from rowferry.entities") == [
        {"filter": "(id > 0)", "filter_left": "keep", "direction": "send", "conflict_rule": "newest", "orphan_rule": "hold"}
    ]
    assert nodes.crm.sql("select * from rowferry.drift()") == []
