"""One table that cannot be read, written or judged holds its own entity, by name, and all others flow in the same calls."""

import psycopg
import pytest

from harness import Node, Nodes
from harness.clock import RESET, at, set_clocks, write_at
from harness.courier import Courier
from harness.exchange import rows, sync, waiting

TABLES = """
  create table others (id integer primary key, v text);
  create table t (id integer primary key, v text);
  create table kids (id integer primary key, t integer references t on delete cascade);
  create table locked (id integer primary key, v text);
  select rowferry.attach('others'), rowferry.attach('t'), rowferry.attach('kids'), rowferry.attach('locked')"""


@pytest.fixture
def tables(nodes: Nodes) -> Nodes:
    for node in nodes:
        node.sql(TABLES)
    nodes.crm.sql("insert into t values (1, '1'), (2, '2'); insert into kids values (1, 1); insert into locked values (1, 'a')")
    sync(*nodes)
    return nodes


def others_flow(nodes: Nodes) -> None:
    """A row of another table arrives in each direction."""
    nodes.crm.sql("insert into others values (1, 'from crm')")
    nodes.billing.sql("insert into others values (2, 'from billing')")
    sync(*nodes)
    for node in nodes:
        assert rows(node, "select id from others") == ["(1)", "(2)"]


def state(node: Node) -> str:
    [row] = node.sql("select state, reason from rowferry.status")
    return f"{row['state']}: {row['reason']}"


@pytest.mark.case(130)
@pytest.mark.parametrize(
    "change",
    [
        "update t set v = '3' where id = 1; alter table t alter column v type integer using 1",
        "delete from t where id = 2; alter table t alter column v type integer using 1",
        "update t set v = '3' where id = 1; alter table t drop column v",
        "update t set v = '3' where id = 1; alter table t rename to elsewhere",
        "delete from t where id = 2; alter table t rename to elsewhere",
        "delete from t where id = 1; alter table kids rename to children",
        "update t set v = '3' where id = 1; drop table t cascade",
    ],
)
def test_a_table_that_was_altered_where_it_changed_stops_no_other(tables: Nodes, change: str) -> None:
    tables.crm.sql(f"begin; {change}; commit")
    others_flow(tables)
    if "integer" not in change:  # a value of the new type is text on its way as ever
        assert not state(tables.crm).startswith(("idle", "moving"))


@pytest.mark.case(130)
@pytest.mark.parametrize(
    "change",
    [
        "alter table t alter column v type integer using 1",
        "alter table t rename to elsewhere",
        "alter table t drop column v",
        "drop table t cascade",
    ],
)
def test_a_table_that_was_altered_where_both_changed_it_stops_no_other(tables: Nodes, change: str) -> None:
    tables.billing.sql("update t set v = 'b' where id = 1; delete from t where id = 2; insert into t values (5, 'x')")
    tables.crm.sql(f"update t set v = 'c' where id = 1; delete from t where id = 2; {change}")
    others_flow(tables)
    assert state(tables.billing).startswith("stuck: on crm")


@pytest.mark.case(130)
@pytest.mark.parametrize("rule", ["hold", "drop", "revive"])
@pytest.mark.parametrize(
    "change",
    [
        "alter table s.parents rename to elsewhere",
        "alter table s.parents enable row level security",
        "revoke select on s.parents from other_owner",
    ],
)
def test_a_parent_that_cannot_be_read_stops_no_other(nodes: Nodes, change: str, rule: str) -> None:
    for node in nodes:
        node.sql("""
            create table others (id integer primary key, v text); select rowferry.attach('others');
            do $$ begin create role one_owner; create role other_owner; exception when duplicate_object then null; end $$;
            create schema s; grant usage on schema s to one_owner, other_owner;
            create table s.parents (id integer primary key); alter table s.parents owner to one_owner;
            grant references, select on s.parents to other_owner;
            create table s.children (id integer primary key, parent integer);
            alter table s.children owner to other_owner""")
        node.sql(f"select rowferry.attach('s.children', p_orphan_rule => '{rule}')")
    nodes.billing.sql(f"alter table s.children add foreign key (parent) references s.parents; {change}")
    nodes.crm.sql("insert into s.children values (1, 1), (2, 1), (3, null)")
    others_flow(nodes)
    assert rows(nodes.billing, "select id from s.children") in (["(3)"], [])
    assert state(nodes.crm).startswith("held")


@pytest.mark.case(130)
def test_a_renamed_table_and_a_row_that_a_user_holds_stop_no_other(tables: Nodes) -> None:
    tables.billing.sql("alter table t rename to elsewhere")
    user = tables.billing.connect(autocommit=False)
    user.execute("update locked set v = 'user' where id = 1")
    tables.crm.sql("update t set v = '3' where id = 1; update locked set v = 'b'")
    others_flow(tables)
    user.rollback()
    tables.crm.sql("select rowferry.retry(id) from rowferry.sync_events where entity = 'locked'")
    sync(*tables)
    assert rows(tables.billing, "select v from locked") == ["(b)"]
    assert [event.split()[1] for event in waiting(tables.crm)] == ["t"]


@pytest.mark.case(130)
@pytest.mark.parametrize(
    "body",
    [
        "perform pg_read_file('/no/such/template')",
        "perform pg_advisory_xact_lock(g) from generate_series(1, 200000) g",
        "raise exception using errcode = '53100', message = 'my quota'",
        "raise exception using errcode = '58030', message = 'my disk'",
    ],
)
def test_a_trigger_that_always_fails_for_want_of_something_stops_no_other_table(tables: Nodes, body: str) -> None:
    tables.billing.sql(f"""
        create function broken() returns trigger language plpgsql as $$ begin {body}; return new; end $$;
        create trigger broken before insert on t for each row execute function broken();
        alter table t enable always trigger broken""")
    tables.crm.sql("insert into t values (3, 'x')")
    sync(*tables)
    others_flow(tables)
    [event] = waiting(tables.crm)
    assert event.startswith("insert t 3 5")
    tables.billing.sql("drop trigger broken on t")
    tables.crm.sql("select rowferry.retry(id) from rowferry.sync_events")
    sync(*tables)
    assert rows(tables.billing, "select id from t") == ["(1)", "(2)", "(3)"]


@pytest.mark.case(67)
def test_a_server_without_room_blames_no_table(tables: Nodes) -> None:
    """No function of a user's has to do with it: the call fails as a whole, and nothing is held."""
    for table in ("t", "others"):
        tables.billing.sql(f"""
            create function rowferry.no_room_{table}() returns trigger language plpgsql as
            $$ begin raise exception using errcode = '53100', message = 'could not extend file'; end $$;
            create trigger no_room before insert on {table} for each row execute function rowferry.no_room_{table}()""")
    tables.crm.sql("insert into t values (3, 'x'); insert into others values (3, 'x')")
    with pytest.raises(psycopg.errors.DiskFull):
        sync(*tables)
    assert rows(tables.crm, "select count(*) from rowferry.held_events") == ["(0)"]
    for table in ("t", "others"):
        tables.billing.sql(f"drop trigger no_room on {table}")
    sync(*tables)
    assert waiting(tables.crm) == []


@pytest.mark.case(131)
def test_no_wait_outlasts_a_clock_that_was_put_right(tables: Nodes) -> None:
    tables.billing.sql("alter table t add constraint short check (length(v) < 3); alter table locked rename to elsewhere")
    set_clocks(tables)
    for node in tables:
        node.sql(f"alter database {node.database} {at(31536000)}")  # a year ahead
    write_at(tables.crm, 100, "update t set v = 'long' where id = 1; update locked set v = 'b'")
    sync(*tables)
    assert len(waiting(tables.crm)) == 2
    for node in tables:
        node.sql(f"alter database {node.database} {RESET}")
    tables.billing.sql("alter table t drop constraint short; alter table elsewhere rename to locked")
    sync(*tables)
    assert waiting(tables.crm) == []
    assert rows(tables.billing, "select v from t where id = 1 union all select v from locked") == ["(b)", "(long)"]


def test_what_this_node_cannot_send_is_not_laid_to_the_peer(tables: Nodes) -> None:
    tables.crm.sql("update t set v = '3' where id = 1; alter table t rename to elsewhere")
    sync(*tables)
    [row] = tables.crm.sql("select state, reason from rowferry.status")
    assert "billing" not in row["reason"]
    assert not any("refused by billing" in cause["cause"] for cause in tables.crm.sql("select cause from rowferry.why_stuck()"))


@pytest.mark.promise("R12")
def test_without_a_courier_nothing_is_said_to_move(tables: Nodes) -> None:
    tables.crm.sql("update t set v = '3' where id = 1")
    assert state(tables.crm) == "waiting: no worker is at work: start rowferry run"


@pytest.mark.case(117)
def test_a_record_whose_key_has_a_label_that_was_renamed_stops_no_other_of_its_table(tables: Nodes) -> None:
    for node in tables:
        node.sql("""
          create type mood as enum ('good', 'fair', 'bad');
          create table days (mood mood primary key, n integer);
          select rowferry.attach('days')""")
    tables.crm.sql("insert into days values ('good', 1), ('fair', 1), ('bad', 1)")
    sync(*tables)
    tables.crm.sql("update days set n = 2; delete from days where mood = 'bad'; alter type mood rename value 'good' to 'fine'")
    others_flow(tables)
    assert rows(tables.crm, "select record_id, sqlstate from rowferry.sync_events") == ["(good,22P02)"]
    assert rows(tables.billing, "select * from days") == ["(fair,2)", "(good,1)"]
    [status] = tables.crm.sql("select state, last_error from rowferry.row_status('days', 'good')")
    assert status["state"] == "held" and "invalid input value" in status["last_error"]
    tables.crm.sql("alter type mood rename value 'fine' to 'good'; select rowferry.retry('days')")
    sync(*tables)
    for node in tables:
        assert rows(node, "select * from days") == ["(fair,2)", "(good,2)"]


@pytest.mark.parametrize(("bad", "count", "whole"), [(2, 300, False), (30, 20000, False), (300, 300, True)])
def test_some_records_that_cannot_be_read_are_held_and_where_there_is_no_other_the_table(
    tables: Nodes, bad: int, count: int, whole: bool
) -> None:
    for node in tables:
        node.sql("""
          create table shares (id integer primary key, total integer, parts integer);
          create view shares_out as select id, total / parts as share from shares;
          create function shares_in(p_rows shares_out[]) returns table (id integer, total integer, parts integer) language sql as
            'select r.id, r.share, 1 from unnest(p_rows) r';
          select rowferry.attach('shares', p_outbound => 'public.shares_out', p_inbound => 'public.shares_in')""")
    parts = f"case when g % {count // bad} = 0 then 0 else 1 end"
    tables.crm.sql(f"insert into shares select g, g, {parts} from generate_series(1, {count}) g")
    others_flow(tables)
    sync(*tables)
    refused = rows(tables.crm, "select record_id from rowferry.sync_events where sqlstate = '22012'")
    assert (len(refused), len(rows(tables.billing, "select id from shares"))) == ((0, 0) if whole else (bad, count - bad))
    assert rows(tables.crm, "select held_sqlstate from rowferry.entities where name = 'shares'") == ["(RF020)" if whole else "()"]
    tables.crm.sql("update shares set parts = 1 where parts = 0; select rowferry.retry('shares')")
    sync(*tables)
    assert len(rows(tables.billing, "select id from shares")) == count


def test_a_wait_that_was_written_while_the_clock_was_ahead_and_a_courier_at_work_ends(tables: Nodes) -> None:
    courier = Courier(tables)
    courier.meet(tables)
    set_clocks(tables)
    tables.crm.sql("alter table t rename to elsewhere; delete from elsewhere where id = 2")
    courier.connections["crm"].execute(at(31536000))
    courier.call(tables.crm)
    assert rows(tables.crm, "select held_until > timestamptz '2026-12-01' from rowferry.entities where name = 't'") == ["(t)"]
    courier.connections["crm"].execute(RESET)
    tables.crm.sql("alter table elsewhere rename to t")
    courier.call(tables.crm)
    assert rows(tables.crm, "select held_until < timestamptz '2026-02-01' from rowferry.entities where name = 't'") == ["(t)"]
    sync(*tables)
    assert rows(tables.billing, "select id from t") == ["(1)"]
