"""Which triggers attach() guards, what it says of them, and what check() says of those that were made since."""

from __future__ import annotations

import re

import psycopg
import pytest

from harness import Nodes
from harness.exchange import sync
from harness.guards import GUARD, NOTES, guarded, log_of, seen, triggers
from harness.roles import as_role, role


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    """A table on both nodes, not yet attached, and a function for triggers that notes which of them ran."""
    for node in nodes:
        node.sql(NOTES)
    return nodes


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
