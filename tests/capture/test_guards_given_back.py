"""What becomes of guarded triggers later: detach(), a dump, and partitions that come and go."""

from __future__ import annotations

import psycopg
import pytest
from convergence.stage import replace_in

from harness import Node, Nodes
from harness.exchange import assert_equal, sync
from harness.guards import GUARD, NOTES, SPLIT, guarded, seen, triggers
from harness.servers import program


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """A table on both nodes, not yet attached, and a function for triggers that notes which of them ran."""
    for node in nodes:
        node.sql(NOTES)
    return nodes


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


@pytest.mark.promise("R10")
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
    with pytest.raises(psycopg.Error, match="more than the guard of a trigger would change") as caught:
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
