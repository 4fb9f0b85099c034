"""What takes a lock on a user's table gives it up in time, and holds no writer up for longer, though a transaction stays open."""

import threading
from pathlib import Path

import psycopg
import pytest

from harness import Nodes, wait_until
from harness.migrations import plant, start
from harness.steps import Meanwhile

TABLE = "create table notes (id integer primary key, text text); insert into notes values (1, 'a')"
BLOCKED = """
    select pid from pg_stat_activity
    where datname = current_database() and query like %s and cardinality(pg_blocking_pids(pid)) > 0"""


def long_transaction(nodes: Nodes, statement: str) -> psycopg.Connection[tuple[object, ...]]:
    """A user's transaction that stays open."""
    user = nodes.crm.connect(autocommit=False)
    user.execute(statement)
    return user


class Writer(threading.Thread):
    """A user whose one statement waits behind the lock."""

    def __init__(self, nodes: Nodes) -> None:
        super().__init__(daemon=True)
        self.connection = nodes.crm.connect()
        self.error: psycopg.Error | None = None

    def run(self) -> None:
        try:
            self.connection.execute("insert into notes values (2, 'of a writer')")
        except psycopg.Error as error:
            self.error = error


def seen_blocked(nodes: Nodes, statement: str) -> bool:
    return bool(nodes.crm.sql(BLOCKED, [statement]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("before", "statement", "attached"),
    [
        ("select 1", "select rowferry.attach('notes')", 0),
        ("select rowferry.attach('notes')", "select rowferry.detach('notes', p_force => true)", 1),
    ],
    ids=["attach", "detach"],
)
@pytest.mark.parametrize(
    "held", ["update notes set text = 'held'", "select * from notes", "lock table notes in access exclusive mode"]
)
def test_attach_and_detach_give_up_behind_a_long_transaction_and_let_writers_go(
    nodes: Nodes, before: str, statement: str, attached: int, held: str
) -> None:
    nodes.crm.sql(f"{TABLE}; {before}")
    user = long_transaction(nodes, held)
    dba = nodes.crm.connect()
    failed: list[psycopg.Error] = []

    def act() -> None:
        try:
            dba.execute(statement)  # type: ignore[call-overload]
        except psycopg.Error as error:
            failed.append(error)

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    if held.startswith("select") and before == "select 1":
        thread.join(60)  # a reader is in nobody's way
        assert not thread.is_alive() and not failed
        assert nodes.crm.sql("select count(*) from rowferry.entities") == [{"count": 1}]
        user.rollback()
        return
    wait_until(lambda: not thread.is_alive() or seen_blocked(nodes, "select rowferry.%"), 30, "it waits for the lock")
    writer = Writer(nodes)
    writer.start()
    thread.join(60)
    assert not thread.is_alive()
    [error] = failed
    assert error.sqlstate == "55P03"
    if "access exclusive" not in held:  # under that one even the look at the table waits
        assert str(user.info.backend_pid) in str(error.diag.message_detail) and error.diag.message_hint
    assert nodes.crm.sql("select count(*) from rowferry.entities") == [{"count": attached}]
    if "exclusive" not in held:  # that one is the user's own lock
        writer.join(60)
        assert not writer.is_alive() and writer.error is None  # although the long transaction is still open
    assert user.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
    user.rollback()
    writer.join(60)
    assert writer.error is None
    dba.execute(statement)  # type: ignore[call-overload]
    assert nodes.crm.sql("select count(*) from rowferry.entities") == [{"count": 1 - attached}]


@pytest.mark.slow
@pytest.mark.case(145)
def test_a_reader_who_goes_on_to_write_gets_no_deadlock_from_attach(nodes: Nodes) -> None:
    """A constraint trigger can only be dropped where nobody reads: attach() asks for that at once, not after a weaker lock."""
    nodes.crm.sql(f"""
        {TABLE}; create function nothing() returns trigger language plpgsql as 'begin return null; end';
        create constraint trigger late after insert on notes for each row execute function nothing()""")
    user = long_transaction(nodes, "select * from notes")
    dba = nodes.crm.connect()
    thread = threading.Thread(target=lambda: dba.execute("select rowferry.attach('notes')"), daemon=True)
    thread.start()
    wait_until(lambda: seen_blocked(nodes, "select rowferry.attach%"), 30, "it waits for the lock")
    user.execute("insert into notes values (3, 'of a reader')")
    user.commit()
    thread.join(60)
    assert not thread.is_alive()
    assert nodes.crm.sql("select count(*) from rowferry.entities") == [{"count": 1}]


@pytest.mark.slow
def test_a_transaction_that_attaches_two_tables_ends_no_users_transaction(nodes: Nodes) -> None:
    """A user has the second table and then needs the first: attach() gives way before PostgreSQL looks for a deadlock."""
    nodes.crm.sql(f"{TABLE}; create table parts (id integer primary key)")
    user = long_transaction(nodes, "insert into parts values (1)")
    dba = nodes.crm.connect(autocommit=False)
    dba.execute("select rowferry.attach('notes')")
    second = Meanwhile(lambda: dba.execute("select rowferry.attach('parts')"))
    wait_until(lambda: not second.is_alive() or waits_for_long(nodes), 30, "it gave up, or waits for longer than for a deadlock")
    write = Meanwhile(lambda: user.execute("insert into notes values (2, 'of a user')"))
    with pytest.raises(psycopg.errors.LockNotAvailable, match="the table is in use"):
        second.result(60)
    dba.rollback()
    write.result(60)
    user.commit()


def waits_for_long(nodes: Nodes) -> bool:
    """attach() has waited for a lock for longer than deadlock_timeout."""
    deadlock = "current_setting('deadlock_timeout')::interval"
    waiting = f"select now() - l.waitstart > {deadlock} as long from pg_locks l where not l.granted"
    return any(row["long"] for row in nodes.crm.sql(waiting))


@pytest.mark.slow
def test_a_revision_that_attaches_lets_writers_go_between_its_attempts_and_says_what_is_in_its_way(
    nodes: Nodes, tmp_path: Path
) -> None:
    ini = plant(tmp_path, "site", "select rowferry.attach('public.notes');\n")
    nodes.crm.sql(TABLE)
    user = long_transaction(nodes, "update notes set text = 'held'")
    process = start(nodes, "-n", "site", "-x", "node=crm", "upgrade", "head", ini=ini)
    wait_until(lambda: seen_blocked(nodes, "%rowferry.attach%"), 30, "the revision waits for the lock")
    writer = Writer(nodes)
    writer.start()
    writer.join(60)
    assert not writer.is_alive() and writer.error is None
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "55P03" in errors
    assert f"processes that hold it: {user.info.backend_pid}" in errors and "HINT: Nothing was changed" in errors
    assert nodes.crm.sql("select count(*) from rowferry.entities") == [{"count": 0}]
    user.rollback()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["upgrade", "downgrade"])
def test_a_long_transaction_that_wrote_events_is_not_in_the_way_of_core_for_longer_than_it_allows(
    blank: Nodes, tmp_path: Path, way: str
) -> None:
    """Its own revisions too: one that needs a lock on a table of events gives up, and writers go on."""
    ini = plant(
        tmp_path,
        "core",
        "select 1;\n",
        "alter table public.events add column more integer;\n",
        downs={2: "alter table public.events drop column more;\n"},
    )
    blank.crm.sql("create table public.events (id integer); create table notes (id integer primary key, text text)")
    process = start(blank, "-x", "node=crm", "upgrade", "head" if way == "downgrade" else "core_0001", ini=ini)
    assert process.wait(60) == 0
    user = long_transaction(blank, "insert into public.events values (1)")
    target = ["head"] if way == "upgrade" else ["-1"]
    process = start(blank, "-x", "node=crm", way, *target, ini=ini)
    wait_until(lambda: seen_blocked(blank, "alter table public.events%"), 30, "the revision waits for the lock")
    with blank.crm.connect() as other:
        other.execute("insert into public.events values (2)")
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and "55P03" in errors and "HINT: a transaction that stays open is" in errors
    user.rollback()
