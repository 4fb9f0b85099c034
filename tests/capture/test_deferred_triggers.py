"""A deferred trigger has the rights of its table's owner, whatever it defers again: before PostgreSQL 18 it would
have those of whoever makes it fire."""

from __future__ import annotations

import psycopg
import pytest

from harness import Node, Nodes
from harness.courier import Courier
from harness.exchange import assert_equal, refused_with, sync, waiting
from harness.roles import as_role, role


def owned(node: Node, schema: str) -> str:
    """A schema with a table m.t of a role of its own, and m.seen where everybody may note who they are."""
    owner = role(node)
    node.sql(f"""
        create schema {schema} authorization {owner};
        set role {owner};
        grant usage on schema {schema} to public;
        create table {schema}.t (id integer primary key, v text);
        create table {schema}.bounce (n integer);
        create table {schema}.seen (who text);
        grant insert on {schema}.bounce, {schema}.seen to public;
        create function {schema}.note() returns trigger language plpgsql as $$
        begin insert into {schema}.seen values (current_user); return null; end $$""")
    return owner


def attached(nodes: Nodes, schema: str) -> str:
    """The same table on both nodes; the owner of billing's."""
    nodes.crm.sql(
        f"create schema {schema}; create table {schema}.t (id integer primary key, v text);"
        f" select rowferry.attach('{schema}.t', '{schema}_t')"
    )
    owner = owned(nodes.billing, schema)
    nodes.billing.sql(f"select rowferry.attach('{schema}.t', '{schema}_t')")
    return owner


def requeue(node: Node, schema: str, owner: str, again: str = "set constraints all deferred") -> None:
    """A deferred trigger of the table that writes a row whose trigger is deferred once more."""
    node.sql(f"""
        set role {owner};
        create constraint trigger later after insert on {schema}.bounce
          deferrable initially deferred for each row execute function {schema}.note();
        create function {schema}.requeue() returns trigger language plpgsql as $$
        begin {again}; insert into {schema}.bounce values (1); return null; end $$;
        create constraint trigger first after insert or update on {schema}.t
          deferrable initially deferred for each row execute function {schema}.requeue();
          alter table {schema}.t enable always trigger first""")


def seen(node: Node, schema: str) -> list[str]:
    return [row["who"] for row in node.sql(f"select distinct who from {schema}.seen order by who")]


def before_18(node: Node) -> None:
    if node.major >= 18:
        pytest.skip("from PostgreSQL 18 on a deferred trigger has the rights of who queued it")


@pytest.mark.case(124)
@pytest.mark.parametrize("again", ["set constraints all deferred", "set constraints m.later deferred"])
def test_what_a_deferred_trigger_defers_again_runs_with_the_rights_of_the_tables_owner(nodes: Nodes, again: str) -> None:
    owner = attached(nodes, "m")
    requeue(nodes.billing, "m", owner, again)
    nodes.crm.sql("insert into m.t values (1, 'a')")
    sync(*nodes)
    assert seen(nodes.billing, "m") == [owner]
    assert_equal(nodes, "m.t")


def test_what_one_owner_defers_again_does_not_run_with_the_rights_of_another(nodes: Nodes) -> None:
    owners = {schema: attached(nodes, schema) for schema in ("m", "b")}
    for schema, owner in owners.items():
        requeue(nodes.billing, schema, owner)
    nodes.crm.sql("insert into b.t values (1, 'a'); insert into m.t values (1, 'a'); insert into b.t values (2, 'b')")
    sync(*nodes)
    assert [seen(nodes.billing, schema) for schema in owners] == [[owner] for owner in owners.values()]


def test_a_deferred_exclusion_constraint_evaluates_its_function_as_the_tables_owner(nodes: Nodes) -> None:
    owner = attached(nodes, "m")
    nodes.billing.sql(f"""
        set role {owner};
        create function m.tell() returns void language plpgsql as $$ begin insert into m.seen values (current_user); end $$;
        create function m.same(integer) returns integer immutable
          language plpgsql as $$ begin perform m.tell(); return $1; end $$;
        alter table m.bounce add constraint once exclude using btree (m.same(n) with =) deferrable initially deferred;
        create function m.requeue() returns trigger language plpgsql as $$
        begin set constraints all deferred; insert into m.bounce values (1), (1); delete from m.bounce; return null; end $$;
        create constraint trigger first after insert on m.t
          deferrable initially deferred for each row execute function m.requeue(); alter table m.t enable always trigger first""")
    nodes.crm.sql("insert into m.t values (1, 'a')")
    sync(*nodes)
    assert seen(nodes.billing, "m") == [owner]


def test_a_deferred_foreign_key_is_checked_and_nothing_else_is_done_again(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(
            "create table parents (id integer primary key);"
            " create table kids (id integer primary key, p integer references parents deferrable initially deferred)"
        )
        node.sql("select rowferry.attach('parents'); select rowferry.attach('kids')")
    nodes.crm.sql("begin; insert into kids values (1, 1); insert into parents values (1); commit")
    sync(*nodes)
    assert assert_equal(nodes, "kids") == ["(1,1)"]


def test_triggers_that_defer_each_other_without_end_hold_the_row(nodes: Nodes) -> None:
    before_18(nodes.billing)
    owner = attached(nodes, "m")
    nodes.billing.sql(f"""
        set role {owner};
        create function m.again() returns trigger language plpgsql as $$
        begin set constraints all deferred; insert into m.bounce values (1); return null; end $$;
        create constraint trigger again after insert on m.bounce
          deferrable initially deferred for each row execute function m.again();
        create constraint trigger again after insert on m.t
          deferrable initially deferred for each row when (new.id = 1) execute function m.again();
          alter table m.t enable always trigger again""")
    nodes.crm.sql("insert into m.t values (1, 'bad'), (2, 'good')")
    sync(*nodes)
    assert waiting(nodes.crm) == ["insert m_t 1 RF040"]
    assert nodes.billing.sql("select id from m.t") == [{"id": 2}]


def test_a_temporary_table_that_could_defer_is_not_left_in_the_workers_session(nodes: Nodes) -> None:
    """It could be written by a reader, read-only or not, and would fire at commit."""
    before_18(nodes.billing)
    owner = attached(nodes, "m")
    nodes.billing.sql(f"""
        set role {owner};
        create function m.leave() returns trigger language plpgsql as $$
        begin
          create temporary table left_behind (n integer);
          create constraint trigger later after insert on left_behind
            deferrable initially deferred for each row execute function m.note();
          return null;
        end $$;
        create trigger leave after insert on m.t for each row when (new.id = 1) execute function m.leave();
        alter table m.t enable always trigger leave""")
    nodes.crm.sql("insert into m.t values (1, 'bad'), (2, 'good')")
    sync(*nodes)
    assert waiting(nodes.crm) == ["insert m_t 1 RF042"]
    assert nodes.billing.sql("select id from m.t") == [{"id": 2}]


def conflicts(nodes: Nodes, schema: str) -> str:
    """Two conflicts that the same node has won, and a deferred trigger of the owner's there; the owner."""
    owner = attached(nodes, schema)
    nodes.crm.sql(f"insert into {schema}.t values (1, 'a'), (2, 'a')")
    sync(*nodes)
    nodes.crm.sql(f"update {schema}.t set v = 'crm'")
    nodes.billing.sql(f"update {schema}.t set v = 'billing'")
    sync(*nodes)
    requeue(nodes.billing, schema, owner)
    return owner


@pytest.mark.case(124)
def test_what_let_loser_win_defers_runs_with_the_rights_of_the_tables_owner(nodes: Nodes) -> None:
    owner = conflicts(nodes, "m")
    turned = nodes.billing.sql(
        "select w.record_id from rowferry.conflicts c cross join lateral rowferry.let_loser_win(c.id) w order by 1"
    )
    assert [row["record_id"] for row in turned] == ["1", "2"]
    assert seen(nodes.billing, "m") == [owner]
    sync(*nodes)
    assert_equal(nodes, "m.t")


def test_conflicts_are_turned_one_after_the_other_in_one_transaction(nodes: Nodes) -> None:
    conflicts(nodes, "m")
    ids = [row["id"] for row in nodes.billing.sql("select id from rowferry.conflicts order by id")]
    with nodes.billing.connect(autocommit=False) as connection:
        for number in ids:
            connection.execute("select rowferry.let_loser_win(%s)", [number])
    assert waiting(nodes.billing) == ["update m_t 1", "update m_t 2"]


def test_let_loser_win_never_fires_what_its_caller_deferred_before(nodes: Nodes) -> None:
    """With the rights of the table's owner it would be a way to get these."""
    before_18(nodes.billing)
    conflicts(nodes, "m")
    operator = role(nodes.billing)
    nodes.billing.sql(f"grant rowferry_operator to {operator}; create schema o authorization {operator}; set role {operator}")
    with as_role(nodes.billing, operator) as connection:
        connection.execute("""
            create table o.seen (who text); grant usage on schema o to public; grant insert on o.seen to public;
            create table o.mine (n integer);
            create function o.note() returns trigger
              language plpgsql as $$ begin insert into o.seen values (current_user); return null; end $$;
            create constraint trigger later after insert on o.mine
              deferrable initially deferred for each row execute function o.note()""")
    first, second = (row["id"] for row in nodes.billing.sql("select id from rowferry.conflicts order by id"))
    write = "insert into o.mine values (1)"
    for before in (write, f"select rowferry.let_loser_win({first}); {write}"):
        with as_role(nodes.billing, operator) as connection, pytest.raises(psycopg.Error) as caught:
            connection.execute(f"begin; {before}; select rowferry.let_loser_win({second})")  # type: ignore[call-overload]
        assert caught.value.sqlstate == "RF041"
    assert seen(nodes.billing, "o") == []


def test_a_batch_is_not_applied_in_a_transaction_that_has_written_already(nodes: Nodes) -> None:
    before_18(nodes.billing)
    attached(nodes, "m")
    nodes.crm.sql("insert into m.t values (1, 'a')")
    courier = Courier(nodes)
    envelope, _ = courier.meet(nodes)
    connection = courier.connections["billing"]
    connection.execute("begin; create temporary table scratch (n integer)")
    with pytest.raises(psycopg.Error) as caught:
        courier.call(nodes.billing, envelope)
    assert caught.value.sqlstate == "RF041"
    connection.execute("rollback")
    assert courier.call(nodes.billing, envelope)["applied"] == 1


def test_refused_with_a_hint(nodes: Nodes) -> None:
    before_18(nodes.billing)
    conflicts(nodes, "m")
    refused_with(
        "RF041",
        nodes.billing,
        "begin; create table scratch (); select rowferry.let_loser_win((select min(id) from rowferry.conflicts)); commit",
    )
