"""A spoke that is away: what waits for it stays and is counted in bytes, and beyond a limit of one's choice its link is cut."""

import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from harness import REPO, clock, wait_until
from harness.exchange import refused_with, rows, sync
from harness.star import Star, star
from harness.worker import PROGRAM

AWAY, HERE = "north", "south"
TABLES = """
    create table accounts (id int primary key, amount int);
    create table notes (id int primary key, account int not null references accounts on delete cascade, v text)"""
NORTH = "select * from rowferry.status where peer = 'north'"
OF_NORTH = "select e.id from rowferry.events e join rowferry.entities n on n.id = e.entity_id where n.peer = 'north'"


@pytest.fixture
def hub(servers: Any, tmp_path: Path) -> Iterator[Star]:
    with star(servers, tmp_path, {"hub": (AWAY, HERE)}) as made:
        made.sql(TABLES)
        for table in ("accounts", "notes"):
            made.attach(table)
        made["hub"].sql("""
            insert into accounts select n, n from generate_series(1, 300) n;
            insert into notes select n, n, 'v' from generate_series(1, 300) n""")
        made.sync()
        yield made


def write_much(hub: Star) -> None:
    """While north is away: some 3,600 events for it, about 500 kB; parents and children come, change and go."""
    hub["hub"].sql("""
        insert into accounts select n, n from generate_series(301, 2000) n;
        update notes set v = 'w' where id <= 200;
        delete from accounts where id between 101 and 150;
        insert into notes select n, n, 'v' from generate_series(301, 2000) n""")


def cut(hub: Star) -> None:
    """North is away, more waits for it than may, and others' batches go on."""
    clock.stop_clocks([hub["hub"]], str(datetime.now(UTC)))
    hub["hub"].sql("select * from rowferry.set_backlog_limit('north', '300 kB')")
    write_much(hub)
    go_on(hub, 2)


def go_on(hub: Star, minutes: int) -> None:
    """A batch for the other spoke each minute."""
    for minute in range(minutes):
        clock.advance([hub["hub"]], 61)
        hub["hub"].sql(f"update accounts set amount = {-minute} where id = 300")
        sync(hub["hub"], hub[HERE])


@pytest.mark.parametrize("length", [5, 32, 96])
def test_status_says_how_many_bytes_wait_for_each_link(hub: Star, length: int) -> None:
    """About as many as the disk has, however long the keys are."""
    node = hub["hub"]
    node.sql("create table letters (id text primary key); select rowferry.attach('letters', p_peer => 'north')")
    node.sql(
        f"""insert into letters select left(repeat(md5(n::text), 3), {length}) from generate_series(1, 5000) n
        on conflict do nothing"""
    )
    [away] = node.sql(NORTH)
    node.sql("vacuum full rowferry.events")
    [disk] = node.sql("select pg_total_relation_size('rowferry.events') as bytes")
    assert away["bytes"] == pytest.approx(disk["bytes"], rel=0.3)
    assert node.sql("select bytes from rowferry.status where peer = 'south'") == [{"bytes": 0}]


@pytest.mark.promise("R1")
@pytest.mark.case(149)
def test_without_a_limit_what_waits_stays(hub: Star) -> None:
    clock.stop_clocks([hub["hub"]], str(datetime.now(UTC)))
    write_much(hub)
    clock.advance([hub["hub"]], 7 * 24 * 3600)
    sync(hub["hub"], hub[HERE])
    [away] = hub["hub"].sql(NORTH)
    assert away["state"] != "stopped" and away["pending"] > 3000
    hub.sync()
    assert len(hub.assert_equal("notes")) == 1950


@pytest.mark.case(150)
def test_beyond_the_limit_the_link_is_cut_and_its_events_go(hub: Star) -> None:
    cut(hub)
    node = hub["hub"]
    [away] = node.sql(NORTH)
    assert away["state"] == "stopped"
    assert "changes waited for north, and set_backlog_limit() allows 300 kB" in away["reason"]
    assert "select * from rowferry.resync('north');" in away["reason"]
    assert node.sql("select type_next from rowferry.why_stuck('north')")[0]["type_next"].startswith(
        "select * from rowferry.resync('north');"
    )
    for number in range(3):
        node.sql(f"update accounts set amount = {number} where id = 1")
        sync(node, hub[HERE])
    assert node.sql(OF_NORTH) == [], "also what came since"
    assert rows(node, "select state from rowferry.status where peer = 'south'") == ["(idle)"]
    assert rows(node, "select * from accounts") == rows(hub[HERE], "select * from accounts")


def test_a_link_that_moves_is_not_cut(hub: Star) -> None:
    """A large change on the hub is no sign that the spoke is away."""
    node = hub["hub"]
    node.sql("select * from rowferry.set_backlog_limit('north', '300 kB')")
    node.sql("update accounts set amount = 0 where id = 1")
    sync(node, hub[AWAY])
    write_much(hub)
    sync(node, hub[HERE])
    assert rows(node, "select stopped_at from rowferry.links where peer = 'north'") == ["()"]


def test_a_link_that_a_person_has_paused_is_cut_only_once_it_is_resumed(hub: Star) -> None:
    node = hub["hub"]
    node.sql("select * from rowferry.pause('north')")
    cut(hub)
    assert rows(node, "select state from rowferry.status where peer = 'north'") == ["(paused)"]
    limit = "select state from rowferry.set_backlog_limit('north', %s)"
    assert node.sql(limit, ["300 kB"])[0]["state"].endswith("but not while it is paused, as it is now")
    node.sql("update rowferry.links set backlog_since = now() - interval '1 min' where peer = 'north'")
    node.sql("select rowferry.resume('north')")
    go_on(hub, 1)
    assert rows(node, "select cut_at from rowferry.links where peer = 'north'") == ["()"], "it gets its time anew"
    go_on(hub, 2)
    assert node.sql(NORTH)[0]["state"] == "stopped"
    assert node.sql(limit, [None])[0]["state"].startswith("the link is cut already, and what waited for north is given up")


def test_a_link_that_had_nothing_to_send_is_not_cut_by_one_large_change(hub: Star) -> None:
    """The other link may be the first to move then, and north has not been asked yet."""
    node = hub["hub"]
    clock.stop_clocks([node], str(datetime.now(UTC)))
    node.sql("select * from rowferry.set_backlog_limit('north', '300 kB')")
    for first in (1001, 5001):
        clock.advance([node], 3600)
        node.sql(f"insert into accounts select n, n from generate_series({first}, {first + 3999}) n")
        sync(node, hub[HERE])
        assert rows(node, "select stopped_at from rowferry.links where peer = 'north'") == ["()"]
        sync(node, hub[AWAY])


def test_a_cut_link_does_not_grow_while_much_is_written(hub: Star) -> None:
    cut(hub)
    node = hub["hub"]
    for first in (10001, 50001):
        node.sql("update rowferry.links set batch_limit = 20000")
        node.sql(f"insert into accounts select n, n from generate_series({first}, {first + 39999}) n")
        sync(node, hub[HERE])
    assert len(node.sql(OF_NORTH)) < 10000


def test_a_limit_keeps_no_link_from_working_beside_another(hub: Star) -> None:
    """The call of one link takes the lock of another only to look, once a minute."""
    node, south = hub["hub"], hub[HERE]
    node.sql("select * from rowferry.set_backlog_limit('north', '10 GB')")
    south.sql("update accounts set amount = -1 where id = 1")
    call = "select * from rowferry.process_batch(%s, '900-a', %s)"
    with psycopg.connect(node.conninfo, row_factory=dict_row) as connection:
        envelope = south.sql(call, ["hub", None])[0]["envelope"]
        for _ in range(2):
            answer = connection.execute(call, ["south", envelope]).fetchone()
            assert answer is not None
            if answer["applied"]:
                break
            connection.commit()
            envelope = south.sql(call, ["hub", answer["envelope"]])[0]["envelope"]
        assert answer["applied"] == 1
        assert node.sql(call, ["north", None])[0]["status"] != "busy"


@pytest.mark.case(150)
def test_a_spoke_that_was_cut_comes_back_by_resync(hub: Star) -> None:
    """It keeps what it changed meanwhile; deletes reach it too; the hub's rows stay elsewhere."""
    cut(hub)
    node, north = hub["hub"], hub[AWAY]
    north.sql("insert into accounts values (9001, 1); insert into notes values (9001, 9001, 'mine')")
    north.sql("update notes set v = 'x' where id = 7")
    node.sql("update accounts set amount = -1 where id = 1")
    sync(node, hub[HERE])
    [told] = node.sql("select * from rowferry.resync('north')")
    assert told["was_stopped_for"].startswith("the link was cut")
    hub.sync()
    wait_until(lambda: not compare_on(hub), 30, "the comparisons have ended")
    for table in ("accounts", "notes"):
        assert hub.assert_equal(table)
    assert rows(north, "select * from notes where id in (7, 9001)") == ["(7,7,x)", "(9001,9001,mine)"]
    given_up = rows(node, "select record_id from rowferry.conflicts where entity = 'notes@north' and loser_row ->> 'v' = 'w'")
    assert given_up == ["(7)"], "the hub's change of this row, which lost"
    assert rows(north, "select * from accounts where id in (1, 120)") == ["(1,-1)"]
    assert [
        row["unsettled_since"] for each in (node, north) for row in each.sql("select unsettled_since from rowferry.entities")
    ] == [None] * 6
    assert rows(node, "select state from rowferry.status") == ["(idle)"] * 2
    node.sql("update accounts set amount = 5 where id = 1")
    hub.sync()
    hub.assert_equal("accounts")


@pytest.mark.case(150)
@pytest.mark.parametrize(("decide", "left"), [("approve('items@north')", 20), ("skip_deletes('items@north', 'no')", 300)])
def test_a_mass_delete_that_a_cut_made_forget_waits_for_a_person(hub: Star, decide: str, left: int) -> None:
    node, north = hub["hub"], hub[AWAY]
    hub.sql("create table items (id int primary key)")
    hub.attach("items")
    node.sql("insert into items select generate_series(1, 300)")
    hub.sync()
    node.sql("select * from rowferry.set_breaker('items@south', null); delete from items where id > 20")
    cut(hub)
    node.sql("select * from rowferry.resync('north')")
    for _ in range(4):
        sync(node, north)
    assert rows(north, "select count(*) from items") == ["(300)"]
    [status] = node.sql(NORTH)
    assert status["state"] == "held"
    assert "280 of about 300 rows are to be deleted on north" in status["reason"] and "approve('items@north')" in status["reason"]
    [told] = node.sql(f"select * from rowferry.{decide}")
    assert 280 in told.values()
    wait_until(lambda: not compare_on(hub), 30, "the comparisons have ended")
    assert len(hub.assert_equal("items")) == left
    assert rows(node, "select state from rowferry.status") == ["(idle)"] * 2


@pytest.mark.parametrize(("direction", "left"), [("both", "(1,1)"), ("send", "(1,0)")])
def test_what_a_person_gave_up_stays_given_up_after_a_cut(hub: Star, direction: str, left: str) -> None:
    node, north = hub["hub"], hub[AWAY]
    if direction == "send":
        node.sql("select rowferry.attach('accounts', p_peer => 'north', p_direction => 'send')")
        north.sql("select rowferry.attach('accounts', p_direction => 'receive')")
    hub.sync()
    node.sql("update accounts set amount = 0 where id <= 2")
    node.sql("""
        select rowferry.skip(id, 'not for them') from rowferry.sync_events where entity = 'accounts@north' and record_id = '1'""")
    cut(hub)
    node.sql("select * from rowferry.resync('north')")
    wait_until(lambda: not compare_on(hub), 30, "the comparisons have ended")
    assert rows(north, "select * from accounts where id <= 2") == ["(1,1)", "(2,0)"]
    assert rows(node, "select * from accounts where id <= 2") == [left, "(2,0)"]
    assert rows(node, "select state from rowferry.status") == ["(idle)"] * 2


def test_a_comparison_after_a_cut_that_fails_is_seen(hub: Star) -> None:
    cut(hub)
    node, north = hub["hub"], hub[AWAY]
    north.sql("select rowferry.detach('notes', p_force => true)")
    node.sql("select * from rowferry.resync('north')")
    wait_until(lambda: not compare_on(hub), 30, "the comparisons have ended")
    [status] = node.sql(NORTH)
    assert "rows of notes@north may differ, because a comparison failed" in status["reason"]
    [cause] = node.sql("select severity, cause, type_next from rowferry.why_stuck('north')")
    assert cause["severity"] == "warning" and "north has no such entity" in cause["cause"]
    north.sql("select rowferry.attach('notes')")
    node.sql(cause["type_next"])
    wait_until(lambda: not compare_on(hub), 30, "the comparison has ended")
    assert node.sql("select * from rowferry.why_stuck('north')") == []
    node.sql("select * from rowferry.first_contact('notes@north', null, 'here', 'here', 'here')")
    wait_until(lambda: not compare_on(hub), 30, "the rows are equal")
    hub.assert_equal("notes")


def compare_on(hub: Star) -> bool:
    """Carry on while a comparison is open; whether one still is."""
    hub.sync()
    return bool(hub["hub"].sql("select from rowferry.comparisons where state in ('queued', 'walking', 'resolving')"))


def test_after_resync_it_takes_two_looks_again(hub: Star) -> None:
    cut(hub)
    node = hub["hub"]
    node.sql("select * from rowferry.resync('north'); update notes set v = 'x'; update accounts set amount = 5")
    go_on(hub, 1)
    assert rows(node, "select stopped_at from rowferry.links where peer = 'north'") == ["()"]
    go_on(hub, 2)
    assert rows(node, "select cut_at is null from rowferry.links where peer = 'north'") == ["(f)"]


@pytest.mark.promise("R1")
@pytest.mark.case(150)
def test_resync_on_the_spoke_alone_ends_no_cut(hub: Star) -> None:
    cut(hub)
    hub[AWAY].sql("select * from rowferry.resync()")
    with pytest.raises(AssertionError, match="the link was cut"):
        sync(hub["hub"], hub[AWAY])
    assert "the link was cut" in hub["hub"].sql(NORTH)[0]["reason"]


def test_a_node_with_one_link_cuts_it_when_its_worker_says_that_the_peer_is_away(hub: Star) -> None:
    """No other link's batch does it then."""
    south = hub[HERE]
    clock.stop_clocks([south], str(datetime.now(UTC)))
    south.sql("select * from rowferry.set_backlog_limit('hub', '300 kB')")
    south.sql("insert into accounts select n, n from generate_series(5001, 8000) n")
    clock.advance([south], 120)
    opening = "select status, reason from rowferry.process_batch('hub', %s, p_courier => %s)"
    assert south.sql(opening, ["900-a", '{"host": "h"}'])[0]["status"] != "stopped", "the peer is there"
    away = '{"host": "h", "error": {"node": "hub", "sqlstate": "08006", "message": "no answer"}}'
    assert south.sql(opening, ["901-a", away])[0]["status"] != "stopped", "it may be away for a moment only"
    clock.advance([south], 61)
    [answer] = south.sql(opening, ["902-a", away])
    assert answer["status"] == "stopped" and "the link was cut" in answer["reason"]
    assert south.sql("select from rowferry.events") == []


def test_a_limit_that_is_no_size_is_refused(hub: Star) -> None:
    assert "a size above 0" in refused_with("RF013", hub["hub"], "select * from rowferry.set_backlog_limit('north', '0')")
    assert "This node knows" in refused_with("RF002", hub["hub"], "select * from rowferry.set_backlog_limit('west', '1 GB')")
    assert hub["hub"].sql("select state from rowferry.set_backlog_limit('north', null)")[0]["state"].startswith("off")


@pytest.mark.case(150)
@pytest.mark.slow
def test_a_real_worker_cuts_a_node_that_is_away_and_takes_it_in_again(hub: Star, tmp_path: Path) -> None:
    node = hub["hub"]
    node.sql("select * from rowferry.set_backlog_limit('north', '300 kB')")
    node.sql("""
        update rowferry.links set last_exchange_at = last_exchange_at - interval '1 hour', backlog_looked_at = null,
          backlog_since = case when backlog_limit is not null then now() - interval '1 min' end""")
    write_much(hub)
    away = {**hub.env, "NODE_NORTH": "host=127.0.0.1 port=1 dbname=north connect_timeout=2"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([str(PROGRAM), "run"], env=away, cwd=REPO, stderr=log)
        try:
            wait_until(lambda: "the link was cut" in (node.sql(NORTH)[0]["reason"] or ""), 30, "the link is cut")
            wait_until(lambda: hub.pending() == 0, 30, "south has all, and nothing waits for north")
        finally:
            process.terminate()
            assert process.wait(30) == 0
    with (tmp_path / "log").open("ab") as log:
        process = subprocess.Popen([str(PROGRAM), "run"], env=hub.env, cwd=REPO, stderr=log)
        try:
            node.sql("select * from rowferry.resync('north')")
            resolved = "select from rowferry.compare_runs where state = 'resolved'"
            wait_until(lambda: len(node.sql(resolved)) == 2 and hub.pending() == 0, 60, "north is taken in again")
        finally:
            process.terminate()
            assert process.wait(30) == 0
    for table in ("accounts", "notes"):
        hub.assert_equal(table)
