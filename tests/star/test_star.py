"""More than two nodes: what one spoke changes reaches all others through the hub, once."""

import random
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import psycopg
import pytest

from harness.exchange import refused_with, rows, sync
from harness.star import SPOKES, Star, star

ACCOUNTS = "create table accounts (id int primary key, region text, amount int)"


@pytest.fixture
def hub(servers, tmp_path: Path) -> Iterator[Star]:  # type: ignore[no-untyped-def]
    with star(servers, tmp_path, {"hub": SPOKES}) as made:
        made.sql(ACCOUNTS)
        yield made


@pytest.mark.case(147)
def test_a_change_of_a_spoke_reaches_all_others_and_never_comes_back(hub: Star) -> None:
    hub.attach("accounts")
    hub["north"].sql("insert into accounts values (1, 'N', 10), (2, 'N', 20)")
    sync(hub["hub"], hub["north"])
    waiting = "select entity from rowferry.sync_events order by entity"
    assert rows(hub["hub"], waiting) == ["(accounts@east)"] * 2 + ["(accounts@south)"] * 2, "for the others, and not for north"
    hub.sync()
    assert hub.assert_equal("accounts") == ["(1,N,10)", "(2,N,20)"]
    hub["east"].sql("update accounts set amount = 11 where id = 1; delete from accounts where id = 2")
    hub.sync()
    assert hub.assert_equal("accounts") == ["(1,N,11)"]
    hub["hub"].sql("insert into accounts values (3, 'H', 1)")
    hub.sync()
    assert hub.assert_equal("accounts") == ["(1,N,11)", "(3,H,1)"]


@pytest.mark.case(147)
@pytest.mark.parametrize("order", list(permutations(SPOKES)))
def test_the_newest_of_four_nodes_changes_wins_on_all_nodes(hub: Star, order: tuple[str, ...]) -> None:
    """What is passed on counts in a conflict with the time of the change itself, whichever arrives at the hub first."""
    hub.attach("accounts")
    hub["hub"].sql("insert into accounts values (1, 'H', 0)")
    hub.sync()
    for amount, name in enumerate(("hub", "north", "south", "east"), 1):
        hub[name].sql(f"update accounts set amount = {amount}")
    for name in order:
        sync(hub["hub"], hub[name])
    hub.sync()
    assert hub.assert_equal("accounts") == ["(1,H,4)"]


def test_each_spoke_has_the_rows_of_its_own_filter(hub: Star) -> None:
    filters = {name: {"p_filter": f"region = '{name[0].upper()}'"} for name in SPOKES}
    hub.attach("accounts", **filters)
    hub["hub"].sql("insert into accounts values (1, 'N', 1), (2, 'S', 2), (3, 'E', 3), (4, 'X', 4)")
    hub.sync()
    assert {name: rows(hub[name], "select id from accounts") for name in SPOKES} == {
        "north": ["(1)"],
        "south": ["(2)"],
        "east": ["(3)"],
    }
    hub["north"].sql("update accounts set amount = 100")
    hub.sync()
    assert rows(hub["hub"], "select amount from accounts where id = 1") == ["(100)"]
    hub["hub"].sql("update accounts set region = 'S' where id = 1")
    hub.sync()
    assert {name: rows(hub[name], "select id from accounts") for name in SPOKES} == {
        "north": [],
        "south": ["(1)", "(2)"],
        "east": ["(3)"],
    }


def test_detach_for_one_peer_leaves_the_others(hub: Star) -> None:
    hub.attach("accounts")
    hub["hub"].sql("select rowferry.detach('accounts@north')")
    hub["hub"].sql("insert into accounts values (1, 'H', 1)")
    for name in ("south", "east"):
        sync(hub["hub"], hub[name])
        assert rows(hub[name], "select id from accounts") == ["(1)"]
    for name in ("south", "east"):
        hub["hub"].sql(f"select rowferry.detach('accounts@{name}')")
    left = "select tgname from pg_trigger where tgrelid = 'accounts'::regclass and not tgisinternal"
    assert rows(hub["hub"], left) == []
    hub["hub"].sql("truncate accounts")


def test_check_names_each_entity_of_a_table_that_was_altered(hub: Star) -> None:
    hub.attach("accounts")
    hub.sync()
    for node in hub:
        assert node.sql("select * from rowferry.check() where severity = 'error'") == []
        assert node.sql("select * from rowferry.drift()") == []
    hub["hub"].sql("alter table accounts rename amount to total")
    fixes = [row["fix"] for row in hub["hub"].sql("select fix from rowferry.check() where severity = 'error'")]
    assert all(any(f"accounts@{name}" in fix for fix in fixes) for name in SPOKES), fixes


def test_a_row_that_the_last_node_of_a_chain_stores_in_another_way_comes_back_to_all(servers, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """How far a backfill has come is no sign of triggers that change a row back and forth."""
    with star(servers, tmp_path, {"a": ("b",), "b": ("c",), "c": ("d",), "d": ("e",)}) as chain:
        chain.sql(ACCOUNTS)
        chain["a"].sql("insert into accounts values (1, 'N', 10)")
        chain["e"].sql("""
            create function lower_region() returns trigger language plpgsql as $$
            begin new.region := lower(new.region); return new; end $$;
            create trigger lower_region before insert or update on accounts for each row execute function lower_region();
            alter table accounts enable always trigger lower_region""")
        chain.attach("accounts")
        chain["a"].sql("select * from rowferry.backfill('accounts')")
        chain.sync()
        assert chain.assert_equal("accounts") == ["(1,n,10)"]


def test_guards_of_triggers_are_those_of_the_peers_that_stay(hub: Star) -> None:
    hub["hub"].sql("""
        create function stamp() returns trigger language plpgsql as $$ begin new.amount := 1; return new; end $$;
        create trigger stamp before insert on accounts for each row execute function stamp()""")
    hub.attach("accounts", south={"p_direction": "send"})
    guarded = "select tgqual is not null as guarded from pg_trigger where tgname = 'stamp'"
    assert rows(hub["hub"], guarded) == ["(t)"], "rows of north arrive"
    for name in ("north", "east"):
        hub["hub"].sql(f"select rowferry.detach('accounts@{name}')")
    assert rows(hub["hub"], guarded) == ["(f)"], "no rows of a peer arrive any more"
    assert hub["hub"].sql("select * from rowferry.check('south') where problem like '%guard%'") == []


def test_truncate_is_refused_while_any_peer_has_the_table(hub: Star) -> None:
    hub.attach("accounts")
    hub["hub"].sql("select rowferry.detach('accounts@north')")
    with pytest.raises(Exception, match="cannot be truncated"):
        hub["hub"].sql("truncate accounts")


@pytest.mark.case(147)
@pytest.mark.parametrize("seed", range(3))
def test_random_changes_of_parents_and_children_end_equal_on_all_nodes(hub: Star, seed: int) -> None:
    dice = random.Random(seed)
    hub.sql("create table notes (id int primary key, account int not null references accounts on delete cascade, v text)")
    for table in ("accounts", "notes"):
        hub.attach(table)
    names = list(hub.nodes)
    for step in range(60):
        key, other = dice.randint(1, 4), dice.randint(1, 4)
        change = dice.choice(
            [
                f"insert into accounts values ({key}, 'A', {step}) on conflict (id) do update set amount = excluded.amount",
                f"delete from accounts where id = {key}",
                f"insert into notes select {other}, {key}, 'v{step}' where exists (select from accounts where id = {key})"
                " on conflict (id) do update set v = excluded.v",
                f"delete from notes where id = {other}",
            ]
        )
        hub[dice.choice(names)].sql(change)
        if dice.random() < 0.3:
            sync(*dice.choice(hub.pairs))
    hub.sync()
    hub.assert_equal("accounts")
    hub.assert_equal("notes")


@pytest.mark.case(148)
@pytest.mark.parametrize(
    ("links", "message"),
    [
        ({"hub": ("north", "south"), "south": ("north",), "east": ("hub",)}, "south and north are linked already"),
        ({"hub": ("north", "south")}, "east has no link"),
        ({"hub": ("north", "south", "west")}, "names 'west'"),
    ],
)
def test_links_that_form_no_tree_are_refused(hub: Star, links: dict[str, tuple[str, ...]], message: str) -> None:
    hub.write_ini(links)
    code, _, err = hub.alembic("upgrade", "head")
    assert code == 2
    assert message in err
    assert "Hint: " in err


@pytest.mark.case(148)
def test_a_node_that_hears_its_own_name_stops_the_link(hub: Star) -> None:
    """Each link may stand in an ini file of its own, so that no file shows the ring."""
    hub["north"].sql("insert into rowferry.links (peer, spoke) values ('south', 'ring')")
    hub["south"].sql("insert into rowferry.links (peer, spoke) values ('north', 'ring')")
    hub.attach("accounts")
    hub["north"].sql("select rowferry.attach('accounts', p_peer => 'south')")
    hub["south"].sql("select rowferry.attach('accounts', p_peer => 'north')")
    stopped = "select peer, stopped_reason from rowferry.links where stopped_at is not null"
    ring = [*hub.pairs, (hub["north"], hub["south"])]
    for _ in range(3):
        for first, second in ring:
            if not any(node.sql(stopped) for node in hub):
                try:
                    sync(first, second)
                except AssertionError as error:
                    assert "form a ring" in str(error)
    assert any("form a ring" in row["stopped_reason"] for node in hub for row in node.sql(stopped))


def test_the_name_of_a_table_that_has_one_peer_is_enough(hub: Star) -> None:
    hub.attach("accounts")
    north = hub["north"]
    assert north.sql("select rowferry.set_rules('accounts', 'node:hub') as said")[0]["said"].startswith("accounts@north: ")
    assert "no longer kept in sync with hub" in north.sql("select rowferry.detach('accounts') as said")[0]["said"]
    for call in ("detach('accounts')", "set_rules('accounts', 'node:hub')"):
        assert "attached for several peers" in refused_with("RF011", hub["hub"], f"select rowferry.{call}")
    hub["hub"].sql(
        "select rowferry.detach('accounts@north'); select rowferry.detach('accounts@south'); select rowferry.detach('accounts')"
    )
    assert rows(hub["hub"], "select name from rowferry.entities") == []


def test_a_table_name_that_two_schemas_have_says_nothing(hub: Star) -> None:
    hub["north"].sql("create schema other; create table other.accounts (id int primary key)")
    hub["north"].sql("select rowferry.attach('accounts'); select rowferry.attach('other.accounts', p_entity => 'those')")
    error = refused_with("RF011", hub["north"], "select rowferry.detach('accounts')")
    assert "several tables of this name" in error and "other.accounts" in error
    hub["north"].sql("select rowferry.detach('other.accounts')")
    assert rows(hub["north"], "select name from rowferry.entities") == ["(accounts@north)"]


def test_hints_of_a_node_with_several_peers_name_the_one_that_is_meant(hub: Star) -> None:
    hub.sql("create table notes (id int primary key, account int references accounts)")
    hub.attach("accounts", north={"p_filter": "amount > 0"})
    hub.attach("notes")
    said = "select problem, fix from rowferry.check('north') where fix like '%attach(%'"
    [fix] = [row["fix"] for row in hub["hub"].sql(said) if "p_within" in row["fix"]]
    assert "'public.notes', p_peer => 'north', p_within => 'accounts@north'" in fix
    hub["hub"].sql(fix)
    hub["hub"].sql("alter table notes add extra int")
    fixes = [row["fix"] for row in hub["hub"].sql("select fix from rowferry.check('north') where problem like '%extra%'")]
    assert fixes and all(
        "attach('notes', 'notes@north')" in fix or "attach('public.notes', 'notes@north')" in fix for fix in fixes
    )
    with hub["hub"].connect() as typed, pytest.raises(psycopg.Error) as caught:
        typed.execute("select rowferry.attach('accounts', p_peer => 'south', p_within => 'notes')")
    assert "p_peer => 'south'" in str(caught.value.diag.message_hint)


def test_lines_for_a_node_with_several_peers_are_typed_there_as_they_are_printed(hub: Star) -> None:
    """Also where the name of an entity says nothing of the peer that is meant."""
    south, here = hub["south"], hub["hub"]
    hub.sql('create table "Own notes" (id int primary key)')
    for table, entity in (("accounts", "own"), ('"Own notes"', "Own notes")):
        south.sql(f"select rowferry.attach('{table}', '{entity}'); insert into {table} values (1)")
    south.sql("update rowferry.entities set attached_at = '-infinity'")
    sync(here, south)
    lines = south.sql(
        "select hint from rowferry.sync_events union all select fix from rowferry.check() where problem ~ 'not attached'"
    )
    assert len(lines) == 4
    for line in lines:
        with here.connect() as typed, typed.transaction(force_rollback=True):
            typed.execute(line["hint"].replace("schema.table", "accounts"))
            assert typed.execute("select peer from rowferry.entities").fetchall() == [("south",)], line
    for spoke in ("north", "south"):
        here.sql(f"select rowferry.attach('accounts', p_peer => '{spoke}'); select rowferry.pause('{spoke}', 'accounts@{spoke}')")
    [said] = here.sql("select state from rowferry.resume('south')")
    here.sql(said["state"].partition("Next: ")[2])
    assert rows(here, "select name from rowferry.entities where paused_at is not null") == ["(accounts@north)"]
