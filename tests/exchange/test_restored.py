"""Nodes that forget: backups, clones, standbys, dumps. The link stops before a loss, says what to do, and that works."""

from __future__ import annotations

import itertools
import os
import signal
import threading

import psycopg
import pytest

from harness import Node, Nodes, wait_until
from harness.courier import Courier
from harness.exchange import assert_equal, rows, sync, waiting
from harness.notes import keep_notes
from harness.servers import backup, clone, fresh, program, promote, put_back, standby

STOPPED = "select state, reason from rowferry.status where state = 'stopped'"


@pytest.fixture
def notes(own_servers: Nodes) -> Nodes:
    """Two nodes on servers of their own that keep one table in sync; five rows are on both."""
    return keep_notes(own_servers, "select i, 'old' from generate_series(1, 5) i")


def stops(nodes: Nodes, what: str) -> None:
    """An exchange is refused, now and again; status says what happened and what to do; no row and no event changes."""
    before = [(rows(node, "select * from notes"), waiting(node)) for node in nodes]
    for _ in range(2):
        with pytest.raises(AssertionError, match="stopped: "):
            sync(*nodes)
    assert [(rows(node, "select * from notes"), waiting(node)) for node in nodes] == before
    found = [row["reason"] for node in nodes for row in node.sql(STOPPED)]
    assert any(what in reason for reason in found), found
    assert all("select * from rowferry.resync()" in reason for reason in found)


def resync_as_told(nodes: Nodes) -> None:
    """What the reason says: on each node that is stopped."""
    for node in nodes:
        if node.sql(STOPPED):
            node.sql("select * from rowferry.resync()")
    assert [node.sql(STOPPED) for node in nodes] == [[], []]


def backfill_from(*nodes: Node, to: Nodes) -> None:
    for node in nodes:
        node.sql("select rowferry.backfill(name) from rowferry.entities")
        sync(*to)


@pytest.mark.promise("R13")
@pytest.mark.case(69, 92)
@pytest.mark.parametrize("older", ["crm", "billing"])
def test_a_node_restored_from_an_older_backup_stops_the_link_and_is_made_whole_again(notes: Nodes, older: str) -> None:
    restored = getattr(notes, older)
    whole = next(node for node in notes if node.name != older)
    copy = backup(restored)
    restored.sql("insert into notes values (6, 'of the restored one'); update notes set body = 'newer' where id = 1")
    whole.sql("update notes set body = 'newer' where id = 2; delete from notes where id = 3")
    sync(*notes)
    put_back(restored, copy)
    assert restored.sql("select count(*) as n from notes where body = 'newer'") == [{"n": 0}]
    restored.sql("insert into notes values (7, 'after the restore')")
    whole.sql("insert into notes values (8, 'meanwhile')")
    stops(notes, "set back")
    assert (waiting(restored), waiting(whole)) == (["insert notes 7"], ["insert notes 8"])

    resync_as_told(notes)
    sync(*notes)
    # The new rows go although their batches bear numbers that were used before.
    assert waiting(restored) + waiting(whole) == []
    for node in notes:
        assert node.sql("select count(*) as n from notes where id in (7, 8)") == [{"n": 2}]
    backfill_from(whole, restored, to=notes)
    # Row 3 was deleted after the backup: nothing is left that knows of it, so the restored one stays, now on both.
    assert assert_equal(notes) == [
        "(1,newer)",
        "(2,newer)",
        "(3,old)",
        "(4,old)",
        "(5,old)",
        '(6,"of the restored one")',
        '(7,"after the restore")',
        "(8,meanwhile)",
    ]
    assert notes.crm.sql("select state from rowferry.status") == [{"state": "idle"}]


@pytest.mark.promise("R13")
@pytest.mark.case(70)
def test_a_clone_started_beside_the_original_is_not_served(notes: Nodes) -> None:
    with clone(notes.crm) as copied:
        cloned = Nodes(copied, notes.billing)
        copied.sql("insert into notes values (100, 'of the clone')")
        notes.crm.sql("insert into notes values (200, 'of the original')")
        sync(*notes)
        stops(cloned, "set back")
        assert waiting(copied) == ["insert notes 100"]
        copied.close()
    resync_as_told(Nodes(notes.crm, notes.billing))
    notes.crm.sql("insert into notes values (201, 'after')")
    sync(*notes)
    assert len(assert_equal(notes)) == 7


@pytest.mark.promise("R13")
@pytest.mark.case(71)
def test_a_standby_that_was_promoted_with_all_it_needs_goes_on_with_a_warning(notes: Nodes) -> None:
    with standby(notes.crm) as promoted:
        notes.crm.server.stop()
        promote(promoted)
        pair = Nodes(promoted, notes.billing)
        promoted.sql("insert into notes values (6, 'after the failover')")
        sync(*pair)
        assert len(assert_equal(pair)) == 6
        [row] = notes.billing.sql("select state, reason from rowferry.status")
        assert row["state"] == "idle"
        assert "promoted" in row["reason"]


@pytest.mark.case(71)
def test_a_standby_that_was_promoted_without_the_last_changes_stops_the_link(notes: Nodes) -> None:
    with standby(notes.crm) as promoted:
        promoted.server.stop("immediate")
        notes.crm.sql("insert into notes values (6, 'lost here'); update notes set body = 'lost here' where id = 1")
        sync(*notes)
        notes.crm.server.stop("immediate")
        promoted.server.start_again()
        promote(promoted)
        pair = Nodes(promoted, notes.billing)
        promoted.sql("insert into notes values (7, 'after the failover')")
        notes.billing.sql("insert into notes values (8, 'meanwhile')")
        stops(pair, "set back")
        assert waiting(promoted) == ["insert notes 7"]
        resync_as_told(pair)
        backfill_from(notes.billing, promoted, to=pair)
        assert assert_equal(pair)[0] == '(1,"lost here")'
        assert len(assert_equal(pair)) == 8


@pytest.mark.case(72)
def test_what_a_data_only_restore_captures_is_harmless(nodes: Nodes) -> None:
    keep_notes(nodes)
    nodes.crm.sql("insert into notes select i, 'old' from generate_series(1, 100) i")
    sync(*nodes)
    nodes.billing.sql("update notes set body = 'billing' where id = 1")
    sync(*nodes)
    server = nodes.crm.server
    dump = program([f"{server.bin_dir}/pg_dump", "--data-only", "--table=notes", nodes.crm.conninfo], server)
    nodes.crm.sql("delete from notes")
    program([f"{server.bin_dir}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", nodes.crm.conninfo], server, dump)
    assert nodes.crm.sql("select pending from rowferry.status")[0]["pending"] >= 100
    before = nodes.billing.sql("select xmin::text, n::text from notes n order by id")
    sync(*nodes)
    assert nodes.billing.sql("select xmin::text, n::text from notes n order by id") == before  # not a row is written again
    assert len(assert_equal(nodes)) == 100
    assert waiting(nodes.crm) + waiting(nodes.billing) == []
    assert [node.sql("select * from rowferry.conflicts") for node in nodes] == [[], []]


@pytest.mark.case(73)
def test_a_node_upgraded_by_dump_and_restore_stops_until_it_is_told_that_it_is_the_same(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (6, 'pending while it is dumped')")
    old = notes.crm.server
    with fresh(old) as new:
        roles = program([f"{old.bin_dir}/pg_dumpall", "--roles-only", "-d", old.conninfo()], old)
        program(
            [f"{old.bin_dir}/psql", "-X", "-q", new.conninfo()],
            new,
            "\n".join(r for r in roles.splitlines() if "postgres" not in r),
        )
        dump = program([f"{old.bin_dir}/pg_dump", "--create", notes.crm.conninfo], old)
        program([f"{old.bin_dir}/psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", new.conninfo()], new, dump)
        old.stop()
        pair = Nodes(Node("crm", new, "crm"), notes.billing)
        stops(pair, "upgraded by dump")
        assert waiting(pair.crm) == ["insert notes 6"]
        resync_as_told(pair)
        pair.crm.sql("select rowferry.attach(relation, name) from rowferry.entities")  # its tables have other numbers there
        pair.crm.sql("insert into notes values (7, 'after')")
        pair.billing.sql("update notes set body = 'billing' where id = 1")
        sync(*pair)
        assert len(assert_equal(pair)) == 7
        assert waiting(pair.crm) + waiting(pair.billing) == []


@pytest.mark.promise("R4")
@pytest.mark.case(7)
@pytest.mark.settings(synchronous_commit="off")
def test_what_has_left_a_node_survives_its_crash_though_it_commits_asynchronously(notes: Nodes) -> None:
    """The process that would write the log in the background is stopped, then killed, at which PostgreSQL starts anew."""
    [writer] = notes.crm.sql("select pid from pg_stat_activity where backend_type = 'walwriter'")
    os.kill(writer["pid"], signal.SIGSTOP)
    notes.crm.sql("insert into notes values (6, 'has left')")
    courier = Courier(notes)
    batch, _ = courier.meet(notes)
    assert courier.call(notes.billing, batch)["applied"] == 1
    notes.crm.sql("insert into notes values (7, 'has not')")
    notes.crm.close()
    os.kill(writer["pid"], signal.SIGKILL)
    wait_until(lambda: _walwriter(notes.crm) not in (0, writer["pid"]), 30, "the server has started anew")
    assert notes.crm.sql("select body from notes where id >= 6") == [{"body": "has left"}]  # the rest was never promised
    sync(*notes)
    assert len(assert_equal(notes)) == 6


def _walwriter(node: Node) -> int:
    try:
        return int(node.sql("select pid from pg_stat_activity where backend_type = 'walwriter'")[0]["pid"])
    except (psycopg.OperationalError, IndexError):
        return 0


@pytest.mark.case(75)
def test_a_table_attached_under_load_arrives_without_a_gap_and_without_a_duplicate(nodes: Nodes) -> None:
    """A user inserts, updates and deletes from before attach() until the backfill is under way; none comes twice."""
    for node in nodes:
        node.sql("create table notes (id integer primary key, body text)")
    nodes.crm.sql("insert into notes select i, 'old' from generate_series(1, 3000) i")
    nodes.billing.sql(
        "create table effects (id integer);"
        "create function note_effect() returns trigger language plpgsql as"
        " $$ begin insert into effects values (new.id); return null; end $$;"
        "create trigger effect after insert on notes for each row execute function note_effect();"
        "alter table notes enable always trigger effect;"
        "select rowferry.attach('notes')"
    )
    halt, written = threading.Event(), []

    def write() -> None:
        with nodes.crm.connect() as user:
            for n in itertools.count(1):
                if halt.is_set():
                    return
                user.execute("insert into notes values (%s, 'new')", [3000 + n])
                user.execute("update notes set body = %s where id = %s", [f"changed {n}", n * 7 % 3000 + 1])
                user.execute("delete from notes where id = %s", [n * 11 % 3000 + 1])
                written.append(n)

    user = threading.Thread(target=write, daemon=True)
    user.start()
    try:
        wait_until(lambda: len(written) > 20, 20, "the user is at work")
        at = len(written)
        nodes.crm.sql("select rowferry.attach('notes'); select * from rowferry.backfill('notes')")
        wait_until(lambda: len(written) > at + 20, 20, "the user goes on")
        courier = Courier(nodes)
        crm, billing = courier.meet(nodes)
        for _ in range(8):
            answer = courier.call(nodes.billing, crm, limit=200)
            billing = answer["envelope"]
            crm = courier.call(nodes.crm, billing, limit=200)["envelope"]
        assert nodes.crm.sql("select count(*) as n from rowferry.backfills where finished_at is null") == [{"n": 1}]
    finally:
        halt.set()
        user.join(20)
    sync(*nodes)
    assert len(assert_equal(nodes)) > 2000
    assert nodes.billing.sql("select id from effects group by id having count(*) > 1") == []
    assert waiting(nodes.crm) + waiting(nodes.billing) == []


@pytest.mark.case(76)
def test_detaching_with_pending_changes_needs_a_word_more_and_leaves_nothing(nodes: Nodes) -> None:
    made = """
        select tgname::text as name from pg_trigger where tgrelid = 'notes'::regclass
        union all select proname from pg_proc where pronamespace = 'rowferry'::regnamespace and proname ~ '^[a-z]+_notes$'
        union all select relname from pg_class where relnamespace = 'rowferry'::regnamespace and relname like '%notes%'"""
    keep_notes(nodes)
    nodes.crm.sql("insert into notes values (1, 'pending')")
    with pytest.raises(psycopg.Error, match="still pending") as refused:
        nodes.crm.sql("select rowferry.detach('notes')")
    assert refused.value.sqlstate == "RF012"
    assert "p_force => true" in str(refused.value.diag.message_hint)
    assert nodes.crm.sql(made) != []
    assert waiting(nodes.crm) == ["insert notes 1"]
    nodes.crm.sql("select rowferry.detach('notes', p_force => true)")
    assert nodes.crm.sql(made) == []
    assert waiting(nodes.crm) == []
    nodes.crm.sql("insert into notes values (2, 'not captured')")
    sync(*nodes)
    assert nodes.billing.sql("select * from notes") == []
    sync(*nodes)
