"""What attach(p_outbound => .., p_inbound => ..) refuses, each with a hint: what is not the table row by row, wrong functions."""

import pytest

from harness import Nodes
from harness.exchange import refused_with
from harness.outbound import ATTACH, COLUMNS, PARTITIONED, PEOPLE, SHAPE
from harness.roles import role

pytestmark = pytest.mark.smoke

VIEWS = {
    "of another table": "select id, name from other",
    "with a condition": "select id, first as name from people where notes is null",
    "with a condition beside a subquery": "select id, (select count(*) from other) as n from people where notes is null",
    "a name of a column beside a subquery": "select id, (select s.first from people s) as n, upper(last) as last from people",
    "a name of a column in place of a subquery's": "select id, upper(first) as first, "
    "(select x.first from (select id, first from people) x) as n from people",
    "with a system column": "select id, xmin::text as version from people",
    "that locks": "select id, first as name from people for update",
    "with a join": "select p.id, o.name from people p join other o using (id)",
    "with an aggregate": "select id, max(first) as name from people group by id",
    "distinct": "select distinct id, first as name from people",
    "with a limit": "select id, first as name from people limit 10",
    "a union": "select id, first as name from people union all select id, first from people",
    "a function that gives rows": "select id, unnest(array[first, last]) as name from people",
    "another key": "select id + 1 as id, first as name from people",
    "a key that is another column": "select second as id, first as name from people",
    "a name of a column": "select id, upper(last) as last from people",
    "without the key": "select first as name from people",
    "of a view": "select id, name from app.people_out",
}


@pytest.mark.parametrize("query", VIEWS.values(), ids=VIEWS.keys())
def test_a_view_that_is_not_the_table_row_by_row_is_refused_with_a_hint(nodes: Nodes, query: str) -> None:
    nodes.crm.sql(PEOPLE)
    nodes.crm.sql("alter table people add second integer")
    nodes.crm.sql(SHAPE)
    nodes.crm.sql("create table other (id integer, name text)")
    nodes.crm.sql(f"create view app.wrong as {query}")
    sqlstate = "RF010" if query.startswith("select first as name") else "RF013"
    refused_with(sqlstate, nodes.crm, "select rowferry.attach('people', p_outbound => 'app.wrong', p_direction => 'send')")
    assert nodes.crm.sql("select name from rowferry.entities") == []


def test_a_view_of_a_partitioned_table_alone_is_empty_and_refused(nodes: Nodes) -> None:
    nodes.crm.sql(PARTITIONED)
    nodes.crm.sql("create schema app; create view app.people_out as select id, first as name from only people")
    refused_with("RF013", nodes.crm, "select rowferry.attach('people', p_outbound => 'app.people_out', p_direction => 'send')")


@pytest.mark.parametrize(
    "query", ["select distinct on (notes) id, first as n from people", "select id, first as n from people limit 1"]
)
def test_a_rule_does_not_make_a_view_one_row_for_each_row(nodes: Nodes, query: str) -> None:
    nodes.crm.sql(PEOPLE)
    nodes.crm.sql(f"create schema app; create view app.people_out as {query}")
    nodes.crm.sql("create rule r as on update to app.people_out do instead nothing")
    refused_with("RF013", nodes.crm, "select rowferry.attach('people', p_outbound => 'app.people_out', p_direction => 'send')")


def test_a_view_whose_owner_would_not_see_all_rows_is_refused(nodes: Nodes) -> None:
    keeper = role(nodes.crm)
    nodes.crm.sql(PEOPLE)
    nodes.crm.sql(SHAPE)
    nodes.crm.sql(f"alter table people enable row level security; grant select on people to {keeper}")
    nodes.crm.sql(f"alter view app.people_out owner to {keeper}")
    assert "alter view app.people_out owner to" in refused_with("RF013", nodes.crm, ATTACH, [COLUMNS])


def test_a_view_whose_owner_may_not_read_the_table_is_refused_with_the_grant(nodes: Nodes) -> None:
    keeper = role(nodes.crm)
    nodes.crm.sql(PEOPLE)
    nodes.crm.sql(SHAPE)
    nodes.crm.sql(f"alter view app.people_out owner to {keeper}")
    assert f"grant select on public.people to {keeper};" in refused_with("RF013", nodes.crm, ATTACH, [COLUMNS])


@pytest.mark.parametrize("name", ["people_out", "app.nothing", "app.stored", "app.a.b", "app.", "; drop table people"])
def test_what_is_no_view_is_refused_with_a_hint(nodes: Nodes, name: str) -> None:
    nodes.crm.sql(PEOPLE)
    nodes.crm.sql(SHAPE)
    nodes.crm.sql("create materialized view app.stored as select id, first as name from people")
    refused_with("RF013", nodes.crm, "select rowferry.attach('people', p_outbound => %s, p_direction => 'send')", [name])


FUNCTIONS = {
    "one row": "(p_rows app.people_out[]) returns people",
    "another argument": "(p_rows people[]) returns table (id integer, first text)",
    "no such column": "(p_rows app.people_out[]) returns table (id integer, nothing text)",
    "another type": "(p_rows app.people_out[]) returns table (id bigint, first text)",
    "without the key": "(p_rows app.people_out[]) returns table (first text, last text)",
    "two arguments": "(p_rows app.people_out[], p_more integer) returns table (id integer, first text)",
}


@pytest.mark.parametrize("declaration", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_what_is_no_inbound_function_is_refused_with_a_hint(nodes: Nodes, declaration: str) -> None:
    nodes.crm.sql(PEOPLE)
    nodes.crm.sql(SHAPE)
    nodes.crm.sql(f"create function app.wrong{declaration} language plpgsql as 'begin end'")
    refused_with("RF013", nodes.crm, "select rowferry.attach('people', p_outbound => 'app.people_out', p_inbound => 'app.wrong')")


@pytest.mark.parametrize(
    "arguments",
    [
        "p_outbound => 'app.people_out'",
        "p_inbound => 'people_in'",
        "p_outbound => 'app.people_out', p_inbound => 'app.people_in', p_on_apply => 'app.people_in'",
        "p_outbound => 'app.people_out', p_direction => 'receive'",
    ],
)
def test_a_view_that_could_not_be_written_is_refused_with_a_hint(nodes: Nodes, arguments: str) -> None:
    nodes.crm.sql(PEOPLE)
    nodes.crm.sql(SHAPE)
    refused_with("RF013", nodes.crm, f"select rowferry.attach('people', {arguments})")


def test_the_tables_owner_must_be_able_to_read_the_view_and_call_the_function(nodes: Nodes) -> None:
    keeper = role(nodes.crm)
    nodes.crm.sql(PEOPLE)
    nodes.crm.sql(SHAPE)
    nodes.crm.sql(f"alter table people owner to {keeper}")
    message = refused_with("RF013", nodes.crm, ATTACH, [COLUMNS])
    assert f"grant usage on schema app to {keeper}; grant select on app.people_out to {keeper};" in message
    nodes.crm.sql(f"grant usage on schema app to {keeper}; grant select on app.people_out to {keeper}")
    nodes.crm.sql("revoke execute on function app.people_in from public")
    message = refused_with("RF013", nodes.crm, ATTACH, [COLUMNS])
    assert "grant execute on function app.people_in" in message
