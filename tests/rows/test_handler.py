"""A function of the user's that writes received rows in place of the generated upsert: attach(p_on_apply => ..)."""

import re
from pathlib import Path

import pytest

from harness import REPO, Nodes, wait_until
from harness.courier import Courier
from harness.exchange import assert_equal, refused_with, rows, sync, waiting
from harness.roles import role
from harness.worker import start_worker, wait_for_rest, worker

TABLE = "create table notes (id integer primary key, text text, amount numeric(10, 2), local text)"
HANDLER = """
create schema app;
create table app.seen (note integer, text text);
create function app.apply_note(p_rows notes[]) returns void language plpgsql as $$
begin
  insert into notes as n (id, text, amount)
  select r.id, r.text, r.amount from unnest(p_rows) r where r.text is distinct from 'leave out'
  on conflict (id) do update set text = excluded.text, amount = excluded.amount;
  insert into app.seen select r.id, r.text from unnest(p_rows) r;
end $$"""
COLUMNS = '["id", "text", "amount"]'


def install(nodes: Nodes) -> None:
    """billing applies by its own function, which notes each call: an effect that is not idempotent."""
    for node in nodes:
        node.sql(TABLE)
    nodes.billing.sql(HANDLER)
    nodes.crm.sql("select rowferry.attach('notes', p_columns => %s)", [COLUMNS])
    nodes.billing.sql("select rowferry.attach('notes', p_columns => %s, p_on_apply => 'app.apply_note')", [COLUMNS])


def test_the_handler_of_the_documentation_works_as_it_stands_there(nodes: Nodes) -> None:
    text = (REPO / "docs" / "attach.md").read_text()
    section = text[text.index("## A handler of your own") :]
    [table, handler, attach] = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)[:3]
    for node in nodes:
        node.sql(table)
    nodes.billing.sql(handler)
    nodes.billing.sql(attach)
    nodes.crm.sql("select rowferry.attach('billing.accounts')")
    nodes.crm.sql("insert into billing.accounts values (1, 'Acme', 'free'), (2, 'Globex', 'pro')")
    sync(*nodes)
    nodes.crm.sql("update billing.accounts set plan = 'pro' where id = 1")
    nodes.crm.sql("delete from billing.accounts where id = 2")
    sync(*nodes)
    assert assert_equal(nodes, "billing.accounts") == ["(1,Acme,pro)"]
    assert rows(nodes.billing, "select account_id, plan from billing.plan_changes") == ["(1,free)", "(1,pro)", "(2,pro)"]


def test_the_handler_gets_rows_in_their_types_and_null_where_a_column_does_not_travel(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("insert into notes values (1, 'one', 1.5, 'of crm'), (2, null, null, 'of crm')")
    nodes.billing.sql("update notes set local = 'kept'")
    sync(*nodes)
    assert rows(nodes.billing, "select * from notes") == ["(1,one,1.50,)", "(2,,,)"]
    nodes.crm.sql("delete from notes where id = 2")
    nodes.billing.sql("update notes set local = 'kept', text = 'back' where id = 1")
    sync(*nodes)
    assert rows(nodes.billing, "select * from notes") == ["(1,back,1.50,kept)"]
    assert rows(nodes.crm, "select * from notes") == ['(1,back,1.50,"of crm")']
    assert rows(nodes.billing, "select * from app.seen") == ["(1,one)", "(2,)"]


def test_columns_come_and_go_under_a_handler_as_under_the_upsert(nodes: Nodes) -> None:
    install(nodes)
    nodes.billing.sql("alter table notes add more text default 'of billing', drop local")
    nodes.crm.sql("insert into notes values (1, 'one', 1.5, null)")
    sync(*nodes)
    assert rows(nodes.billing, "select * from notes") == ['(1,one,1.50,"of billing")']
    assert waiting(nodes.crm) == []


def test_check_names_a_handler_that_is_gone_and_one_that_may_not_be_called(nodes: Nodes) -> None:
    install(nodes)
    sync(*nodes)
    problems = "select problem from rowferry.check() where object = 'public.notes' and severity = 'error'"
    assert nodes.billing.sql(problems) == []
    nodes.billing.sql("alter function app.apply_note(notes[]) rename to apply_notes")
    [found] = nodes.billing.sql(problems)
    assert "there is no such function that applies rows" in found["problem"]
    nodes.crm.sql("insert into notes values (1, 'one', 1, null)")
    sync(*nodes)
    assert waiting(nodes.crm) == ["insert notes 1 RF039"]


def test_what_the_handler_writes_otherwise_goes_back_to_the_peer(nodes: Nodes) -> None:
    install(nodes)
    nodes.billing.sql("""
        create or replace function app.apply_note(p_rows notes[]) returns void language sql as
          'insert into notes (id, text) select r.id, upper(r.text) from unnest(p_rows) r
           on conflict (id) do update set text = excluded.text'""")
    nodes.crm.sql("insert into notes values (1, 'one', 2, null)")
    sync(*nodes)
    for node in nodes:
        assert rows(node, "select id, text, amount from notes") == ["(1,ONE,)"]
        assert waiting(node) == []


def test_a_row_that_the_handler_leaves_out_is_held_and_not_deleted_on_the_peer(nodes: Nodes) -> None:
    install(nodes)
    nodes.crm.sql("insert into notes values (1, 'one', 1, null), (2, 'leave out', 2, null), (3, 'three', 3, null)")
    sync(*nodes)
    assert rows(nodes.billing, "select id from notes") == ["(1)", "(3)"]
    assert rows(nodes.crm, "select id from notes") == ["(1)", "(2)", "(3)"]
    assert waiting(nodes.crm) == ["insert notes 2 RF029"]
    assert rows(nodes.billing, "select note from app.seen") == ["(1)", "(3)"]


def test_an_effect_that_is_not_idempotent_happens_once_though_batches_come_twice(nodes: Nodes) -> None:
    install(nodes)
    courier = Courier(nodes)
    courier.meet(nodes)
    nodes.crm.sql("insert into notes values (1, 'one', 1, null)")
    envelope = courier.call(nodes.crm)["envelope"]
    for _ in range(3):
        courier.call(nodes.billing, envelope)
    sync(*nodes)
    sync(*nodes)
    assert rows(nodes.billing, "select * from app.seen") == ["(1,one)"]


@pytest.mark.slow
def test_an_effect_happens_once_for_each_row_though_workers_are_killed(nodes: Nodes, tmp_path: Path) -> None:
    install(nodes)
    applied = "select count(*) >= %s as enough from notes"
    for turn in range(6):
        nodes.crm.sql("insert into notes select %s * 400 + i, 'n', 1, null from generate_series(1, 400) i", [turn])
        process = start_worker(nodes, tmp_path / f"{turn}.log", "--interval", "0.05")
        wait_until(lambda turn=turn: nodes.billing.sql(applied, [turn * 400 + 1])[0]["enough"], 60, "the first of the new rows")  # type: ignore[misc]
        process.kill()
        process.wait()
    with worker(nodes, tmp_path / "last.log", "--interval", "0.05"):
        wait_for_rest(nodes, 60)
    [counted] = nodes.billing.sql("select count(*) as calls, count(distinct note) as notes from app.seen")
    assert counted == {"calls": 2400, "notes": 2400}


@pytest.mark.parametrize("name", ["apply_note", "app.nothing", "app.wrong", "app.a.b", "app.", "; drop table notes"])
def test_what_is_no_handler_is_refused_with_a_hint(nodes: Nodes, name: str) -> None:
    nodes.crm.sql(TABLE)
    nodes.crm.sql(HANDLER)
    nodes.crm.sql("create function app.wrong(p_rows notes) returns void language sql as ''")
    refused_with("RF013", nodes.crm, "select rowferry.attach('notes', p_on_apply => %s)", [name])


def test_a_handler_that_the_tables_owner_may_not_call_is_refused_with_the_grant(nodes: Nodes) -> None:
    keeper = role(nodes.crm)
    nodes.crm.sql(TABLE)
    nodes.crm.sql(HANDLER)
    nodes.crm.sql(f"alter table notes owner to {keeper}")
    message = refused_with("RF013", nodes.crm, "select rowferry.attach('notes', p_on_apply => 'app.apply_note')")
    assert f"grant usage on schema app to {keeper}" in message


def test_a_name_that_needs_quotes_is_kept_as_it_is_written(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(TABLE)
    nodes.billing.sql('create schema "A.b"')
    nodes.billing.sql("""create function "A.b"."it's"(p_rows notes[]) returns void language sql as
        'insert into notes select r.* from unnest(p_rows) r on conflict (id) do nothing'""")
    nodes.crm.sql("select rowferry.attach('notes')")
    nodes.billing.sql("select rowferry.attach('notes', p_on_apply => %s)", ['"A.b"."it\'s"'])
    nodes.crm.sql("insert into notes values (1, 'one', 1, null)")
    sync(*nodes)
    assert rows(nodes.billing, "select id from notes") == ["(1)"]


def test_check_names_a_merge_function_that_is_gone(nodes: Nodes) -> None:
    nodes.billing.sql(TABLE)
    nodes.billing.sql("create schema app")
    nodes.billing.sql("create function app.merge(mine notes, theirs notes) returns notes language sql as 'select mine'")
    nodes.billing.sql("select rowferry.attach('notes', p_conflict_rule => 'merge:app.merge')")
    problems = "select problem from rowferry.check() where object = 'public.notes' and problem like '%no such merge function%'"
    assert nodes.billing.sql(problems) == []
    nodes.billing.sql("drop function app.merge")
    assert len(nodes.billing.sql(problems)) == 1
