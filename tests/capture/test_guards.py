"""Users' triggers run for rows of the peer only if they are ENABLE ALWAYS, as PostgreSQL has it; nothing else in them changes."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from convergence.stage import replace_in

from harness import Node, Nodes
from harness.exchange import assert_equal, rows, sync, waiting
from harness.roles import as_role, role
from harness.servers import program

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
    return node.sql("set search_path = public;" + TRIGGERS)


def guarded(node: Node) -> set[str]:
    return {row["name"] for row in triggers(node) if GUARD in row["definition"]}


def seen(node: Node) -> list[str]:
    return rows(node, "select id, by from seen")


def log_of(answer: list[dict[str, Any]]) -> list[str]:
    return [str(value) for row in answer for value in row.values()]


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """A table on both nodes, not yet attached, and a function for triggers that notes which of them ran."""
    for node in nodes:
        node.sql(NOTES)
    return nodes


def attach(nodes: Nodes, options: str = "") -> None:
    for node in nodes:
        node.sql(f"select rowferry.attach('notes'{options})")


@pytest.mark.case(98, 144)
def test_a_row_keeps_the_time_at_which_its_user_changed_it(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("""
            create table film (id int primary key, title text, updated_at timestamptz not null default now());
            create function touch() returns trigger language plpgsql as
            $$ begin new.updated_at := clock_timestamp(); return new; end $$;
            create trigger touch before insert or update on film for each row execute function touch();
            select rowferry.attach('film')""")
    nodes.crm.sql("insert into film (id, title) select g, 'a' from generate_series(1, 300) g")
    sync(*nodes)
    nodes.crm.sql("update film set title = 'b' where id <= 250")
    nodes.billing.sql("update film set title = 'c' where id > 250")
    stored = rows(nodes.crm, "select * from film where id <= 250") + rows(nodes.billing, "select * from film where id > 250")
    sync(*nodes)
    assert assert_equal(nodes, "film") == sorted(stored)
    assert waiting(nodes.crm) + waiting(nodes.billing) == []


@pytest.mark.case(48, 144)
def test_an_order_takes_from_the_stock_once_and_is_logged_once(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("""
            create table product (id int primary key, stock int not null);
            create table orders (id uuid primary key default gen_random_uuid(), product int references product, quantity int);
            create table order_log (id uuid primary key default gen_random_uuid(), order_id uuid);
            create function on_order() returns trigger language plpgsql as $$
            begin
              insert into order_log (order_id) values (new.id);
              update product set stock = stock - new.quantity where id = new.product;
              return null;
            end $$;
            create trigger on_order after insert on orders for each row execute function on_order();
            select rowferry.attach(t) from unnest('{product,orders,order_log}'::regclass[]) t""")
    nodes.crm.sql("insert into product values (1, 100)")
    sync(*nodes)
    nodes.crm.sql("insert into orders (product, quantity) values (1, 10)")
    sync(*nodes)
    nodes.billing.sql("insert into orders (product, quantity) values (1, 5)")
    sync(*nodes)
    assert assert_equal(nodes, "product") == ["(1,85)"]
    assert len(assert_equal(nodes, "orders")) == len(assert_equal(nodes, "order_log")) == 2


@pytest.mark.case(144)
def test_each_node_counts_for_itself_with_an_always_trigger_and_a_column_that_does_not_travel(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("""
            create table accounts (id int primary key, name text, users_count int not null default 0);
            create table users (id int primary key, account int not null references accounts on delete cascade);
            create function count_users() returns trigger language plpgsql as $$
            begin
              if tg_op <> 'DELETE' then update accounts set users_count = users_count + 1 where id = new.account; end if;
              if tg_op <> 'INSERT' then update accounts set users_count = users_count - 1 where id = old.account; end if;
              return null;
            end $$;
            create trigger count_users after insert or delete or update of account on users
              for each row execute function count_users();
            alter table users enable always trigger count_users;
            select rowferry.attach('accounts', p_columns => '["id", "name"]'), rowferry.attach('users')""")
    nodes.crm.sql("insert into accounts values (1, 'a'), (2, 'b'); insert into users values (1, 1), (2, 1), (3, 1)")
    sync(*nodes)
    nodes.billing.sql("insert into users values (4, 1)")
    nodes.crm.sql("update users set account = 2 where id = 3; delete from users where id = 2")
    sync(*nodes)
    assert assert_equal(nodes, "accounts") == ["(1,a,2)", "(2,b,1)"]


@pytest.mark.case(142)
def test_no_setting_silences_a_trigger_and_no_right_is_needed_to_write(notes: Nodes) -> None:
    attacker = role(notes.crm)
    notes.crm.sql(f"""
        create trigger audit after insert or update on notes for each row execute function see();
        select rowferry.attach('notes');
        grant select, insert, update on notes to {attacker}; grant insert on seen to {attacker}""")
    assert guarded(notes.crm) == {"audit"}
    with as_role(notes.crm, attacker) as user:
        assert user.execute("select has_schema_privilege('rowferry', 'usage')").fetchone() == (False,)
        user.execute("insert into notes values (1, 'a')")
        user.execute("set rowferry.applying = 'on'")
        user.execute("update notes set body = 'b'")
        user.execute("begin")
        user.execute("set local rowferry.applying = 'on'")
        user.execute("insert into notes values (2, 'a')")
        user.execute("commit")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            user.execute("insert into rowferry.applying values (pg_current_xact_id(), 0, 1, '{}')")
    assert seen(notes.crm) == ["(1,audit)", "(1,audit)", "(2,audit)"]


def test_whoever_asks_is_told_whether_rows_of_the_peer_are_being_written(notes: Nodes) -> None:
    """In a function of the user's too, which needs no right on the schema once it is parsed."""
    user = role(notes.billing)
    notes.billing.sql(f"""
        create function applying() returns boolean language sql stable return rowferry.is_applying();
        create function tell() returns trigger language plpgsql as
        $$ begin insert into public.seen values (new.id, public.applying()::text); return new; end $$;
        create trigger tell before insert on notes for each row execute function tell();
        alter table notes enable always trigger tell;
        grant select, insert on notes to {user}; grant insert on seen to {user}""")
    attach(notes)
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(*notes)
    with as_role(notes.billing, user) as session:
        session.execute("set rowferry.applying = 'on'")
        session.execute("insert into notes values (2, 'b')")
        assert session.execute("select applying()").fetchone() == (False,)
    assert seen(notes.billing) == ["(1,true)", "(2,false)"]
    assert notes.billing.sql("select rowferry.is_applying() as applying") == [{"applying": False}]


def test_a_foreign_key_acts_and_a_trigger_of_a_table_beside_runs_while_rows_are_applied(notes: Nodes) -> None:
    """Only triggers of tables that are kept in sync are guarded."""
    for node in notes:
        node.sql("""
            create table kept (id int primary key, note int references notes on delete cascade);
            create table beside (id int primary key, note int references notes on delete cascade);
            create trigger kept after delete on kept for each row execute function see();
            create trigger beside after delete on beside for each row execute function see();
            select rowferry.attach('notes'), rowferry.attach('kept')""")
    notes.crm.sql("insert into notes values (1, 'a'); insert into kept values (1, 1)")
    sync(*notes)
    notes.billing.sql("insert into beside values (1, 1)")
    notes.crm.sql("delete from notes")
    sync(*notes)
    assert [rows(node, "select id from kept union all select id from beside") for node in notes] == [[], []]
    assert (seen(notes.crm), seen(notes.billing)) == (["(1,kept)"], ["(1,beside)"])


KINDS = {
    "before": "create trigger t before insert or update or delete on notes for each row execute function see()",
    "after": "create trigger t after insert or update or delete on notes for each row execute function see()",
    "with a condition": "create trigger t before insert on notes"
    " for each row when (new.id > 0 or new.body is null) execute function see()",
    "with a case": "create trigger t before insert on notes"
    " for each row when (case when new.id = 1 then true else new.id > 0 end) execute function see()",
    "of a column": "create trigger t before insert or update of body on notes for each row execute function see('an argument')",
    "for each statement": "create trigger t after insert on notes for each statement execute function see()",
    "with a condition for each statement": "create trigger t before insert on notes"
    " for each statement when (current_setting('no.such', true) is null) execute function see()",
    "with a transition table": "create trigger t after insert on notes"
    " referencing new table as new_rows for each statement execute function see()",
    "a constraint": "create constraint trigger t after insert on notes for each row when (new.id > 0) execute function see()",
    "a deferred constraint": "create constraint trigger t after insert on notes"
    " deferrable initially deferred for each row execute function see()",
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@pytest.mark.case(144, 145)
def test_a_trigger_of_any_kind_runs_for_users_and_not_for_rows_of_the_peer(notes: Nodes, kind: str) -> None:
    notes.crm.sql(kind)
    before = triggers(notes.crm)
    attach(notes)
    assert guarded(notes.crm) == {"t"}
    notes.crm.sql("insert into notes values (1, 'a')")
    assert len(seen(notes.crm)) == 1
    notes.billing.sql("insert into notes values (2, 'b')")
    sync(*notes)
    notes.billing.sql("update notes set body = 'c'")
    notes.billing.sql("delete from notes where id = 1")
    sync(*notes)
    assert len(seen(notes.crm)) == 1
    assert assert_equal(notes) == ["(2,c)"]
    notes.crm.sql("select rowferry.detach('notes')")
    assert triggers(notes.crm) == before


ZOO = r"""
    create extension if not exists plpgsql;
    create domain "FOR EACH ROW WHEN (" as text;
    create table zoo (
      id integer primary key, " FOR EACH ROW WHEN (" text, "a""b" text, amount numeric, at timestamptz, flag boolean, x xml,
      d "FOR EACH ROW WHEN (");
    create function public." EXECUTE FUNCTION f("() returns trigger language plpgsql as $$ begin return null; end $$;
    create trigger plain after insert on zoo for each row execute function nothing();
    create trigger " FOR EACH ROW WHEN (true) EXECUTE FUNCTION " after update of " FOR EACH ROW WHEN (", "a""b" on zoo
      for each row
      execute function public." EXECUTE FUNCTION f("(' FOR EACH ROW WHEN ("', 'it''s', '\ back', ') EXECUTE FUNCTION f()');
    create trigger "quoted ""name"" ' WHEN (" after insert or delete on zoo for each row execute function nothing('"');
    create trigger strings before insert or update on zoo for each row
      when (new." FOR EACH ROW WHEN (" = ') EXECUTE FUNCTION x(''"' or new."a""b" like '%\%' and not new.flag)
      execute function nothing('a', '');
    create trigger changed before update on zoo for each row when (old.* is distinct from new.*) execute function nothing();
    create trigger bare before update on zoo for each row when (new.flag) execute function nothing();
    create trigger nots before update on zoo for each row when (not new.flag is true) execute function nothing();
    create trigger document before update on zoo for each row when (new.x is document) execute function nothing();
    create trigger cases before update on zoo for each row
      when (case new.id when 1 then true else new.at > '2026-01-02 03:04:05+09' end and new.amount between 1.0 and 2.50
        or new.at - old.at > interval '-1 day 2 hours' and new.d collate "C" <> all (array['a', null, '()']))
      execute function nothing();
    create trigger asks before update on zoo for each row when (rowferry.is_applying()) execute function nothing();
    create trigger statement after update on zoo referencing old table as "o""ld" new table as " WHEN ("
      for each statement execute function nothing();
    create constraint trigger "Checks" after insert or update of amount on zoo from notes not deferrable
      for each row when (new.amount > 0) execute function nothing();
    create constraint trigger late after insert on zoo deferrable initially deferred for each row execute function nothing();
    alter trigger late on zoo rename to later;
    comment on trigger later on zoo is 'a trigger''s';
    comment on constraint late on zoo is 'a constraint''s';
    comment on trigger plain on zoo is 'plain';
    create trigger off after insert on zoo for each row execute function nothing();
    alter table zoo disable trigger off;
    create constraint trigger off_too after insert on zoo for each row execute function nothing();
    alter table zoo disable trigger off_too;
    alter trigger plain on zoo depends on extension plpgsql;
    alter trigger later on zoo depends on extension plpgsql;
    create trigger always after insert on zoo for each row execute function nothing();
    alter table zoo enable always trigger always;
    create trigger replica after insert on zoo for each row execute function nothing();
    alter table zoo enable replica trigger replica;
    create trigger emptied after truncate on zoo for each statement execute function nothing();
    create trigger emptied_too after insert or truncate on zoo for each statement execute function nothing();"""
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


@pytest.mark.case(145)
def test_detach_gives_back_whatever_triggers_there_were(notes: Nodes) -> None:
    node = notes.crm
    node.sql(f"{ZOO} {SPLIT}")
    before = triggers(node)
    node.sql("select rowferry.attach('zoo'); select rowferry.attach('split')")
    with_guard = triggers(node)
    assert [{**row, "definition": ""} for row in with_guard] == [{**row, "definition": ""} for row in before]
    left = {old["name"] for old, new in zip(before, with_guard, strict=True) if old == new}
    assert left == {"always", "replica", "emptied"}
    both = node.sql("""
        select d.definition, f.* from pg_trigger t cross join lateral pg_get_triggerdef(t.oid) d (definition)
        cross join lateral rowferry._guard_forms(d.definition) f""")
    assert all(row["definition"] in (row["o_with"], row["o_without"]) for row in both)
    node.sql("select rowferry.detach('zoo'), rowferry.detach('split')")
    assert triggers(node) == before


@pytest.mark.parametrize(
    "setting", ["datestyle = german", "intervalstyle = sql_standard", "quote_all_identifiers = on", "timezone = 'Asia/Tokyo'"]
)
def test_settings_of_whoever_attaches_change_no_trigger(notes: Nodes, setting: str) -> None:
    node = notes.crm
    node.sql(ZOO)
    before = triggers(node)
    node.sql(f"set {setting}; select rowferry.attach('zoo')")
    assert "strings" in guarded(node)
    node.sql(f"set {setting}; select rowferry.detach('zoo')")
    assert triggers(node) == before


def test_a_trigger_runs_for_rows_of_the_peer_with_the_line_that_attach_says(notes: Nodes) -> None:
    node = notes.billing
    node.sql('create trigger "My trigger" after insert on notes for each row execute function see()')
    notes.crm.sql("select rowferry.attach('notes')")
    [_, line] = log_of(node.sql("select rowferry.attach('notes')"))
    assert line == (
        "notes: trigger My trigger will not run for rows of crm; if it is to: "
        "alter table public.notes enable always trigger \"My trigger\"; select rowferry.attach('public.notes');"
    )
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(*notes)
    node.sql(line.partition("if it is to: ")[2])
    notes.crm.sql("insert into notes values (2, 'a')")
    sync(*notes)
    assert (guarded(node), seen(node)) == (set(), ['(2,"My trigger")'])
    node.sql("alter table notes enable trigger \"My trigger\"; select rowferry.attach('notes')")
    notes.crm.sql("insert into notes values (3, 'a')")
    sync(*notes)
    assert (guarded(node), len(seen(node))) == ({"My trigger"}, 1)


def test_a_dry_run_shows_the_guards_and_makes_none(notes: Nodes) -> None:
    node = notes.crm
    node.sql("""
        create trigger t after insert on notes for each row execute function see();
        create constraint trigger c after insert on notes for each row execute function see();
        alter table notes disable trigger c""")
    before = triggers(node)
    shown = log_of(node.sql("select rowferry.attach('notes', p_dry_run => true)"))
    assert triggers(node) == before
    start = next(i for i, line in enumerate(shown) if "drop trigger" in line)
    assert [re.sub(r"WHEN \(.*\) EXECUTE", "WHEN (..) EXECUTE", line) for line in shown[start:]] == [
        "drop trigger c on public.notes;",
        "CREATE CONSTRAINT TRIGGER c AFTER INSERT ON public.notes NOT DEFERRABLE INITIALLY IMMEDIATE"
        " FOR EACH ROW WHEN (..) EXECUTE FUNCTION public.see();",
        "alter table only public.notes disable trigger c;",
        "CREATE OR REPLACE TRIGGER t AFTER INSERT ON public.notes FOR EACH ROW WHEN (..) EXECUTE FUNCTION public.see();",
    ]
    node.sql("select rowferry.attach('notes')")
    after = triggers(node)
    node.sql("select rowferry.detach('notes')")
    for line in shown[start:]:
        node.sql(line)
    assert triggers(node) == after


def test_triggers_are_left_as_they_are_where_all_are_to_fire(notes: Nodes) -> None:
    node = notes.billing
    node.sql("create trigger t after insert on notes for each row execute function see()")
    before = triggers(node)
    notes.crm.sql("select rowferry.attach('notes')")
    assert len(log_of(node.sql("select rowferry.attach('notes', p_triggers => 'fire')"))) == 1
    assert triggers(node) == before
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(*notes)
    assert seen(node) == ["(1,t)"]
    assert node.sql("select object from rowferry.check() where problem like '%its trigger t%'") == []
    node.sql("select rowferry.set_rules('notes', p_triggers => 'guard')")
    assert guarded(node) == {"t"}
    node.sql("select rowferry.set_rules('notes', p_triggers => 'fire')")
    assert triggers(node) == before
    with pytest.raises(psycopg.Error, match="no such rule for triggers") as caught:
        node.sql("select rowferry.set_rules('notes', p_triggers => 'always')")
    assert caught.value.sqlstate == "RF013"


def test_a_table_that_only_sends_keeps_its_triggers_as_they_are(notes: Nodes) -> None:
    """Nothing of the peer's is written there."""
    for node in notes:
        node.sql("create trigger t after insert on notes for each row execute function see()")
    notes.crm.sql("select rowferry.attach('notes', p_direction => 'send')")
    notes.billing.sql("select rowferry.attach('notes', p_direction => 'receive')")
    assert (guarded(notes.crm), guarded(notes.billing)) == (set(), {"t"})
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(*notes)
    assert (seen(notes.crm), seen(notes.billing)) == (["(1,t)"], [])
    assert [node.sql("select object from rowferry.check() where problem like '%its trigger t%'") for node in notes] == [[], []]


LATER = {
    "made since": (
        "create trigger t after insert on notes for each row execute function see()",
        "its trigger t, which is not ENABLE ALWAYS, runs for rows of billing too: it was made or replaced since attach()",
    ),
    "replaced": (
        "create or replace trigger old after insert on notes for each row execute function see()",
        "its trigger old, which is not ENABLE ALWAYS, runs for rows of billing too: it was made or replaced since attach()",
    ),
    "always": (
        "alter table notes enable always trigger old",
        "its trigger old does not run for rows of billing, although it is ENABLE ALWAYS by now",
    ),
    "replica": ("alter table notes enable replica trigger old", "its trigger old has a guard that it should not have"),
    "disabled": (
        "create trigger t after insert on notes for each row execute function see(); alter table notes disable trigger t",
        None,
    ),
}


@pytest.mark.parametrize(("change", "problem"), LATER.values(), ids=LATER)
@pytest.mark.case(143)
def test_check_names_triggers_that_were_made_or_altered_since_with_the_line_that_mends_it(
    notes: Nodes, change: str, problem: str | None
) -> None:
    node = notes.crm
    node.sql("create trigger old after insert on notes for each row execute function see(); select rowferry.attach('notes')")
    found = "select severity, object, problem, fix from rowferry.check() where problem like '%its trigger%'"
    assert node.sql(found) == []
    node.sql(change)
    said = node.sql(found)
    assert [row["problem"] for row in said] == ([problem] if problem else [])
    assert all(row["severity"] == "warning" and row["object"] == "public.notes" for row in said)
    node.sql(said[0]["fix"].partition(" or, if")[0] if said else "select rowferry.attach('notes')")
    assert node.sql(found) == []
    assert guarded(node) == {row["name"] for row in triggers(node) if row["enabled"] in ("O", "D")}


def test_who_may_not_execute_a_triggers_function_is_told_so(notes: Nodes) -> None:
    node = notes.crm
    owner, dba = role(node), role(node)
    node.sql(f"""
        create schema hidden; create function hidden.see() returns trigger language plpgsql as 'begin return new; end';
        create trigger t after insert on notes for each row execute function hidden.see();
        alter table notes owner to {owner}; grant {owner}, rowferry_owner to {dba};
        revoke execute on function hidden.see() from public""")
    definition = "select pg_get_triggerdef(oid) as definition from pg_trigger where tgname = 't'"
    before = node.sql(definition)
    with as_role(node, dba) as session:
        with pytest.raises(psycopg.Error, match="right to execute its function") as caught:
            session.execute("select rowferry.attach('notes')")
        assert caught.value.sqlstate == "42501"
        grants = f"grant usage on schema hidden to {dba}; grant execute on function hidden.see() to {dba};"
        hint = f"{grants} or leave the triggers as they are: p_triggers => 'fire'."
        assert str(caught.value.diag.message_hint) == hint
        assert (node.sql(definition), node.sql("select name from rowferry.entities")) == (before, [])
        node.sql(grants)
        session.execute("select rowferry.attach('notes')")
        assert GUARD in node.sql(definition)[0]["definition"]
        session.execute("select rowferry.detach('notes')")
    assert node.sql(definition) == before


@pytest.mark.case(145)
def test_a_partition_that_has_left_gets_its_trigger_back(notes: Nodes) -> None:
    node = notes.crm
    node.sql(SPLIT)
    before = [row for row in triggers(node) if row["name"] == "one_only"]
    node.sql("select rowferry.attach('split'); alter table split_1 detach partition split_11")
    assert "one_only" in guarded(node)
    node.sql("select rowferry.detach('split')")
    assert [row for row in triggers(node) if row["name"] == "one_only"] == before
    assert guarded(node) == set()


def test_a_new_partition_and_a_new_trigger_of_a_partition_are_guarded_by_attach_again(notes: Nodes) -> None:
    for node in notes:
        node.sql(SPLIT)
        node.sql("""
            select rowferry.attach('split');
            create table split_3 partition of split for values from (20) to (30);
            create trigger mine before insert on split_3 for each row execute function see()""")
    copies = [row for row in triggers(notes.crm) if row["relation"] == "split_3" and row["name"] != "mine"]
    assert all(GUARD in row["definition"] for row in copies) and len(copies) >= 3
    said = notes.crm.sql("select object, fix from rowferry.check() where problem like '%trigger mine%'")
    assert [row["object"] for row in said] == ["public.split_3"]
    for node in notes:
        node.sql("select rowferry.attach('split')")
    notes.billing.sql("insert into split values (25, 'a')")
    sync(*notes)
    assert assert_equal(notes, "split") == ["(25,a)"]
    assert (seen(notes.crm), seen(notes.billing)) == ([], ["(25,mine)"])


def test_a_restored_dump_has_its_triggers_and_their_guards(notes: Nodes) -> None:
    """Neither order nor rights stand in the way: the function comes before the triggers that call it."""
    node = notes.crm
    node.sql("create trigger t after insert on notes for each row execute function see(); select rowferry.attach('notes')")
    server, there = node.server, Node("crm", node.server, f"{node.database}_again")
    dump = program([f"{server.bin_dir}/pg_dump", node.conninfo], server)
    Node("crm", server, "postgres").sql(f"create database {there.database}")
    try:
        program([f"{server.bin_dir}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", there.conninfo], server, dump)
        assert triggers(there) == triggers(node)
        there.sql("select rowferry.attach(relation, name) from rowferry.entities; select rowferry.detach('notes')")
        assert guarded(there) == set()
    finally:
        there.close()
        Node("crm", server, "postgres").sql(f"drop database {there.database} with (force)")


@pytest.mark.case(145)
def test_a_change_of_a_trigger_that_is_not_its_guard_stops_attach(notes: Nodes) -> None:
    """It is looked at when all is done."""
    node = notes.crm
    node.sql("create trigger t after insert on notes for each row execute function see(); alter table notes disable trigger t")
    before = triggers(node)
    replace_in(node, "_guards_sql", "if v_copy.enabled <> 'O' then", "if false then")
    with pytest.raises(psycopg.Error, match="did not come out as it was") as caught:
        node.sql("select rowferry.attach('notes')")
    assert caught.value.sqlstate == "RF014"
    assert triggers(node) == before


def test_a_copy_of_another_name_in_a_partition_is_refused_with_the_line_that_mends_it(notes: Nodes) -> None:
    node = notes.crm
    node.sql(SPLIT)
    # From PostgreSQL 15 on such a name can only come from an older server.
    node.sql("update pg_trigger set tgname = 'other' where tgname = 'everywhere' and tgrelid = 'split_2'::regclass")
    with pytest.raises(psycopg.Error, match="another name in a partition") as caught:
        node.sql("select rowferry.attach('split')")
    assert caught.value.sqlstate == "RF010"
    node.sql(str(caught.value.diag.message_hint))
    node.sql("select rowferry.attach('split')")
    assert "everywhere" in guarded(node)


@pytest.mark.parametrize(
    ("trigger", "looks"),
    [
        ("", False),
        ("before update on notes for each row execute function see()", False),
        ("before update on notes for each row when (new.id > 0) execute function see()", False),
        ("before update on notes for each row execute function see(); alter table notes enable always trigger t", True),
        ("before update on notes for each row execute function see(); alter table notes disable trigger t", False),
        ("after truncate on notes for each statement execute function see()", False),
        ("before update on notes for each row when (rowferry.is_applying()) execute function see()", False),
    ],
)
def test_a_batch_looks_for_the_work_of_those_triggers_alone_that_run(notes: Nodes, trigger: str, looks: bool) -> None:
    node = notes.crm
    may = "select rowferry._may_differ('{notes}') as may"
    node.sql(f"create trigger t {trigger}; select rowferry.attach('notes')" if trigger else "select rowferry.attach('notes')")
    assert node.sql(may) == [{"may": looks}]
    node.sql("create trigger late before update on notes for each row when (rowferry.is_applying()) execute function see()")
    assert node.sql(may) == [{"may": True}]
    node.sql("select rowferry.attach('notes')")
    assert node.sql(may) == [{"may": looks}]


@pytest.mark.parametrize(
    ("change", "looks"),
    [
        ("select 1", False),
        ("alter table only split_2 enable trigger off", False),
        ("alter table split_2 disable trigger everywhere", False),
        ("alter table split enable always trigger everywhere; select rowferry.attach('split')", True),
        ("create trigger mine after insert on split_11 for each row execute function see()", True),
    ],
)
def test_a_batch_looks_for_the_work_of_triggers_of_partitions(notes: Nodes, change: str, looks: bool) -> None:
    node = notes.crm
    node.sql(f"{SPLIT} select rowferry.attach('split'); {change}")
    assert node.sql("select rowferry._may_differ('{split}') as may") == [{"may": looks}]


def test_a_batch_looks_for_the_work_of_a_copy_that_is_enabled_where_its_original_is_not(notes: Nodes) -> None:
    node = notes.crm
    node.sql(SPLIT)
    node.sql("""
        alter table split disable trigger everywhere; alter table split_2 enable trigger everywhere;
        select rowferry.attach('split', p_triggers => 'fire')""")
    node.sql(
        "alter table split disable trigger late; alter table split disable trigger of_root;"
        "alter table split_11 disable trigger one_only"
    )
    node.sql("alter table split_1 disable trigger off")
    assert node.sql("select rowferry._may_differ('{split}') as may") == [{"may": True}]
    node.sql("alter table split_2 disable trigger everywhere")
    assert node.sql("select rowferry._may_differ('{split}') as may") == [{"may": False}]


def test_what_a_person_writes_with_a_function_of_rowferrys_is_a_change_made_here(notes: Nodes) -> None:
    for node in notes:
        node.sql("create trigger t after update on notes for each row execute function see()")
    attach(notes)
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(*notes)
    notes.crm.sql("update notes set body = 'crm'")
    notes.billing.sql("update notes set body = 'billing'")
    sync(*notes)
    assert [len(seen(node)) for node in notes] == [1, 1]
    [conflict] = notes.billing.sql("select id, loser_row ->> 'body' as body from rowferry.conflicts")
    notes.billing.sql(f"select * from rowferry.let_loser_win({conflict['id']})")
    sync(*notes)
    assert assert_equal(notes) == [f"(1,{conflict['body']})"]
    assert [len(seen(node)) for node in notes] == [1, 2]
