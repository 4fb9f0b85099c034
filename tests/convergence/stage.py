"""Real databases made ready for histories: tables, a clock that the test moves, a trigger that refuses, a fresh start."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import psycopg
from psycopg.rows import dict_row

from harness import Node
from harness.clock import SET_CLOCK, stop_clocks

KEYS = ("k", "l")

SCHEMA = """
create schema t;
create table t.records (id text primary key, value text);
create table t.parents (id text primary key, value text);
create table t.children (
  id text primary key, parent_id text references t.parents on update cascade on delete cascade, value text);
create table t.orders (id text primary key, value text);
create table t.lines (id text primary key, order_id text not null references t.orders, value text);
create table t.refused (id text primary key);
create function t.refuse() returns trigger language plpgsql as $$
begin
  if exists (select from rowferry.applying a where a.transaction_id = pg_current_xact_id_if_assigned()) and exists (
      select from t.refused r where r.id = coalesce(case when tg_op = 'DELETE' then old.id else new.id end)) then
    raise exception 'refused' using errcode = '23514';
  end if;
  return case when tg_op = 'DELETE' then old else new end;
end $$;
create trigger refuse before insert or update or delete on t.records for each row execute function t.refuse();
alter table t.records enable always trigger refuse;
create trigger refuse before insert or update or delete on t.parents for each row execute function t.refuse();
alter table t.parents enable always trigger refuse;
create trigger refuse before insert or update or delete on t.orders for each row execute function t.refuse();
alter table t.orders enable always trigger refuse;
create trigger refuse before insert or update or delete on t.lines for each row execute function t.refuse();
alter table t.lines enable always trigger refuse;
create table t.seen (pid integer, by name);
create function t.see() returns trigger language plpgsql as $$
begin insert into t.seen values (pg_backend_pid(), tg_name); return null; end $$;
create trigger users after insert or update or delete on t.records for each row execute function t.see();
create trigger every after insert or update or delete on t.records for each row execute function t.see();
alter table t.records enable always trigger every;
grant usage on schema t to public;
select rowferry.attach(table_name, p_peer => l.peer)
  from rowferry.links l, unnest(array['t.records', 't.parents', 't.children', 't.orders', 't.lines']) table_name;
create function t.merge(mine t.records, theirs t.records) returns t.records language sql immutable as $$
  select row(coalesce((mine).id, (theirs).id),
    format('(%s+%s)', coalesce((mine).value, 'None'), coalesce((theirs).value, 'None')))::t.records
$$;
create table t.fresh_links as table rowferry.links;
"""
# Nothing may depend on how busy this machine is: no batch shrinks, and who waits for a row gives up at once.
STEADY = """
alter database {database} set deadlock_timeout = '60s';
alter function rowferry.process_batch(text, text, bytea, integer, jsonb, boolean, interval) set lock_timeout = '5ms';
"""
RESET = """
delete from t.records;
delete from t.parents;
delete from t.children;
delete from t.lines;
delete from t.orders;
delete from t.refused;
delete from t.seen;
delete from rowferry.events;
delete from rowferry.held_events;
delete from rowferry.missing_parents;
delete from rowferry.built_batches;
delete from rowferry.taken_batches;
delete from rowferry.skips;
delete from rowferry.conflicts;
update rowferry.entities set unsettled_since = null,
  held_attempts = 0, held_until = null, held_sqlstate = null, held_error = null, held_hint = null;
update rowferry.links l set {columns} from t.fresh_links f where f.peer = l.peer;
select setval(pg_get_serial_sequence('rowferry.events', 'id'), 1);
delete from rowferry.batches;
"""


class Side:
    """A node of a history: connections of the courier and of its users."""

    def __init__(self, node: Node, sessions: int) -> None:
        self.name = node.name
        self.courier: psycopg.Connection[dict[str, Any]] = node.connect(row_factory=dict_row)
        self.courier.execute("set statement_timeout = '60s'")
        self.users: list[psycopg.Connection[dict[str, Any]]] = [node.connect(row_factory=dict_row) for _ in range(sessions)]
        for connection in self.users:
            connection.execute("set lock_timeout = '5s'")  # a user that waits is an error of the test
        self.users[-1].execute("set rowferry.applying = 'on'")  # anyone can; it may change nothing
        entities = self.courier.execute("select relation::text, peer, name from rowferry.entities").fetchall()
        self.entities: dict[tuple[str, str], str] = {(e["relation"], e["peer"]): e["name"] for e in entities}
        columns = self.courier.execute(
            "select attname from pg_attribute where attrelid = 't.fresh_links'::regclass and attnum > 0"
        )
        self.reset_sql = RESET.format(columns=", ".join(f'"{c["attname"]}" = f."{c["attname"]}"' for c in columns.fetchall()))

    def reset(self) -> None:
        for connection in self.users:
            connection.execute("rollback")
        self.courier.execute(self.reset_sql)

    def set_clock(self, seconds: float) -> None:
        self.courier.execute(SET_CLOCK, (seconds,))


class Stage:
    """All sides, prepared once and reset for each history. `pairs`: the links. The first side has one to each of the others."""

    def __init__(self, nodes: Iterable[Node], sessions: int = 2) -> None:
        nodes = list(nodes)
        self.pairs = [(0, side) for side in range(1, len(nodes))]
        for node in nodes:
            if not node.sql("select from pg_namespace where nspname = 't'"):
                node.sql(STEADY.format(database=node.database))
                stop_clocks([node])
                node.sql(SCHEMA)
                for function in ("_coalesce", "_build_batch"):
                    replace_in(node, function, "interval := '0.1 s'", "interval := '60 s'")
        self.sides = [Side(node, sessions) for node in nodes]

    def set_rules(self, conflict_rule: str, orphan_rule: str) -> None:
        """What decides conflicts of t.records, and orphans in t.lines, from now on."""
        for side in self.sides:
            for (table, _), entity in side.entities.items():
                if table == "t.records":
                    side.courier.execute("select rowferry.set_rules(%s, %s)", (entity, conflict_rule))
                if table == "t.lines":
                    side.courier.execute("select rowferry.set_rules(%s, null, %s)", (entity, orphan_rule))

    def reset(self) -> None:
        for side in self.sides:
            side.reset()

    def close(self) -> None:
        for side in self.sides:
            for connection in (side.courier, *side.users):
                connection.close()


def definition(node: Node, function: str) -> str:
    """Whole text of the one function of this name in schema rowferry."""
    found = node.sql(
        "select pg_get_functiondef(p.oid) as text from pg_proc p where pronamespace = 'rowferry'::regnamespace and proname = %s",
        (function,),
    )
    assert len(found) == 1, f"{len(found)} functions are called rowferry.{function}"
    return str(found[0]["text"])


def replace_in(node: Node, function: str, old: str, new: str) -> None:
    """Replaces a text that the function must hold exactly once."""
    text = definition(node, function)
    assert text.count(old) == 1, f"rowferry.{function} holds this {text.count(old)} times, not once: {old}"
    node.sql(text.replace(old, new))
