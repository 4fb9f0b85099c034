"""Rows that wait for each other in a circle, and how what waits is found."""

from collections.abc import Callable

import pytest

from harness import Nodes
from harness.family import AGAIN, Exchange, equal, number, why

CIRCLE = """
create table shop (id integer primary key, boss integer not null, name text);
create table person (id integer primary key, shop integer not null references shop deferrable initially deferred);
create table sale (id integer primary key, shop integer not null references shop);
"""
CLOSED = """
alter table shop add constraint boss_fk foreign key (boss) references person deferrable initially deferred;
select rowferry.attach(t) from unnest(array['shop', 'person', 'sale']) t;
"""
# As where no statement can write both tables.
REFUSE = """
create function refuse_{table}() returns trigger language plpgsql as $$
begin raise foreign_key_violation using constraint = '{constraint}', schema = 'public', table = '{table}'; end $$;
create trigger refuse before insert on {table} for each row execute function refuse_{table}();
alter table {table} enable always trigger refuse;
"""


@pytest.mark.case(44, 45)
@pytest.mark.parametrize("asked", ["select * from rowferry.retry('shop')", "update shop set name = 'mended'"])
def test_a_circle_that_was_held_goes_once_it_may_however_many_hang_on_it(nodes: Nodes, asked: str) -> None:
    for node in nodes:
        node.sql(CIRCLE + CLOSED)
    for table, constraint in (("shop", "boss_fk"), ("person", "person_shop_fkey")):
        nodes.billing.sql(REFUSE.format(table=table, constraint=constraint))
    exchange = Exchange(nodes)
    nodes.crm.sql("""
        begin; insert into shop values (1, 1), (2, 2); insert into person values (1, 1), (2, 2); commit;
        insert into sale select i, 1 + i % 2 from generate_series(1, 4000) i""")
    exchange.until(exchange.all_held, 100)
    for _ in range(3):
        exchange.later(300)
        exchange.rest(20)
    cause = why(nodes)[0]
    assert cause["cause"].startswith("4 records of person and shop refer to each other") and cause["cause"].endswith(
        "; 4000 others wait for them"
    )
    nodes.billing.sql("drop trigger refuse on shop; drop trigger refuse on person")
    nodes.crm.sql(asked)
    assert exchange.until(exchange.delivered) <= 30
    equal(nodes, "shop", "person", "sale")


READ = """
select coalesce(sum(coalesce(t.seq_tup_read, 0) + coalesce(i.read, 0)), 0)::integer as n
from pg_stat_user_tables t
cross join lateral (select sum(x.idx_tup_read) as read from pg_stat_user_indexes x where x.relid = t.relid) i
where t.schemaname = 'rowferry' and t.relname in ('held_events', 'missing_parents', 'events')
"""
NO_ROWS = """
delete from pg_statistic where starelid in (select c.oid from pg_class c where c.relnamespace = 'rowferry'::regnamespace);
update pg_class set reltuples = 0, relpages = greatest(relpages, 1)
where relnamespace = 'rowferry'::regnamespace and relkind in ('r', 'i')
"""


@pytest.mark.slow
@pytest.mark.case(45, 78)
def test_what_waits_is_found_by_its_records_where_statistics_say_that_there_are_none(family: Nodes, exchange: Exchange) -> None:
    """As after an ANALYZE of empty tables that a rollback had grown: any plan will do for the planner, until the next one."""
    for table in ("held_events", "missing_parents", "events"):
        family.crm.sql(f"alter table rowferry.{table} set (autovacuum_enabled = off)")
    family.crm.sql("""
        insert into parents select n, 'bad' from generate_series(1, 1000) n;
        insert into children select n, 1 + n % 1000 from generate_series(1, 2000) n;
        insert into toys select n, 1 + n % 2000 from generate_series(1, 3000) n""")
    exchange.until(exchange.all_held)
    family.crm.sql(NO_ROWS)
    crm = exchange.courier.connections["crm"]
    crm.execute("discard plans; set statement_timeout = '20s'")

    def reads_little(act: Callable[[], object]) -> None:
        family.crm.flush_statistics(crm)
        before = number(family, READ)
        act()
        family.crm.flush_statistics(crm)
        assert number(family, READ) - before < 40 * 6000

    exchange.later(60)
    for _ in range(3):
        reads_little(exchange.call)
    crm.execute("select count(*) from rowferry.retry('toys')")
    crm.execute("select state from rowferry.status")
    crm.execute("select * from rowferry.why_stuck()")
    exchange.until(exchange.all_held)
    family.billing.sql(AGAIN)
    crm.execute("select * from rowferry.retry('parents')")
    for _ in range(100):
        if number(family, "select count(*)::integer as n from rowferry.events") == 0:
            break
        exchange.later(60)
        reads_little(exchange.call)
    equal(family, "parents", "children", "toys")
