"""Triggers of users on the table notes, and those that attach() has kept from running for rows of the peer."""

from __future__ import annotations

from typing import Any

from harness import Node, Nodes
from harness.exchange import rows

# All that there is to say of a trigger.
TRIGGERS = """
    select t.tgrelid::regclass::text as relation, t.tgname as name, pg_get_triggerdef(t.oid) as definition,
      t.tgenabled as enabled, obj_description(t.oid, 'pg_trigger') as comment,
      c.conname, obj_description(c.oid, 'pg_constraint') as constraint_comment,
      array(select x.extname from pg_depend d join pg_extension x on x.oid = d.refobjid
        where d.classid = 'pg_trigger'::regclass and d.objid = t.oid and d.deptype = 'x') as extensions
    from pg_trigger t join pg_proc p on p.oid = t.tgfoid left join pg_constraint c on c.oid = t.tgconstraint
    where p.pronamespace = 'public'::regnamespace
    order by 1, 2"""
GUARD = "((current_setting('rowferry.applying'::text, true) IS DISTINCT FROM 'on'::text) OR (NOT rowferry.is_applying()))"
NOTES = """
    create table notes (id integer primary key, body text);
    create table seen (id integer, by text);
    create function see() returns trigger language plpgsql as $$
    begin
      insert into public.seen values (case when tg_level = 'ROW' then coalesce(new.id, old.id) end, tg_name);
      return coalesce(new, old);
    end $$;
    create function nothing() returns trigger language plpgsql as $$ begin return null; end $$;"""


def triggers(node: Node) -> list[dict[str, Any]]:
    """All that there is to say of users' triggers, by table and name."""
    return node.sql("set search_path = public;" + TRIGGERS)


def guarded(node: Node) -> set[str]:
    """Names of the triggers that run for no row of the peer."""
    return {row["name"] for row in triggers(node) if GUARD in row["definition"]}


def seen(node: Node) -> list[str]:
    """Which triggers have run, and for which row."""
    return rows(node, "select id, by from seen")


def log_of(answer: list[dict[str, Any]]) -> list[str]:
    """The values of all rows as text."""
    return [str(value) for row in answer for value in row.values()]


def attach(nodes: Nodes, options: str = "") -> None:
    """Attaches notes on both nodes."""
    for node in nodes:
        node.sql(f"select rowferry.attach('notes'{options})")


SPLIT = """
    create table split (id integer primary key, v text) partition by range (id);
    create table split_1 partition of split for values from (0) to (10) partition by range (id);
    create table split_11 partition of split_1 for values from (0) to (5);
    create table split_2 partition of split for values from (10) to (20);
    create trigger everywhere after insert on split for each row execute function nothing();
    create constraint trigger late after insert on split deferrable for each row when (new.id > 1) execute function nothing();
    create trigger one_only before update of v on split_11 for each row execute function nothing();
    create trigger of_root after insert on split for each statement execute function nothing();
    alter table only split_2 disable trigger everywhere;
    alter table split_11 enable replica trigger everywhere;
    alter table split_2 disable trigger late;
    comment on trigger everywhere on split_11 is 'copy';
    comment on trigger late on split_11 is 'copy of a constraint';
    comment on constraint late on split is 'a constraint';
    alter trigger everywhere on split_2 depends on extension plpgsql;
    create trigger off before insert on split for each row execute function nothing();
    alter table split disable trigger off;
    alter table split_1 enable trigger off;"""
