"""The table people, which travels in the shape of a view on crm: attach(p_outbound => .., p_inbound => ..)."""

from harness import Nodes

DEFERRABLE = " unique deferrable initially deferred"
PEOPLE = (
    f"create table people (id integer primary key, first text not null, last text not null, email text{DEFERRABLE}, notes text)"
)
PARTITIONED = f"{PEOPLE.replace(DEFERRABLE, '')} partition by hash (id)"
SHAPE = """
create schema app;
create view app.people_out as
  select id, first || ' ' || last as name, lower(email) as address,
    (select max(g) from generate_series(1, 2) g where g = 2) as two from people;
create function app.people_in(p_rows app.people_out[])
  returns table (id integer, first text, last text, email text)
  language sql as $$
    select r.id, split_part(r.name, ' ', 1), substr(r.name, strpos(r.name, ' ') + 1), r.address from unnest(p_rows) r $$"""
PLAIN = "create table people (id integer primary key, name text, address text unique)"
COLUMNS = '["id", "name", "address"]'
ATTACH = "select rowferry.attach('people', p_columns => %s, p_outbound => 'app.people_out', p_inbound => 'app.people_in')"
# But for what is to be said of the server itself.
PROBLEMS = "select problem, fix from rowferry.check() where severity = 'error' and object not like 'server%'"
THERE = "select id, name, address from people"


def install(nodes: Nodes, table: str = PEOPLE) -> None:
    """crm keeps names in two columns, billing in one."""
    nodes.crm.sql(table)
    nodes.crm.sql(SHAPE)
    nodes.crm.sql(ATTACH, [COLUMNS])
    nodes.billing.sql(PLAIN)
    nodes.billing.sql("select rowferry.attach('people')")
