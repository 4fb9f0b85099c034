"""The tour and the drills of docs/runbook.md, played through psql on nodes that have the fault, with the worker at work.

`WRITE_RUNBOOK=1 pytest tests/operate/test_runbook.py -n 0` puts what psql prints into the page.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from harness import Node, Nodes, wait_until
from harness.exchange import sync
from harness.runbook import PAGE, Drill, Statement, alike, drills, play, write
from harness.servers import backup, fresh, program, put_back
from harness.worker import wait_for_rest, worker

DRILLS = {drill.title: drill for drill in drills(PAGE.read_text())}
TABLES = """
    create table accounts (id integer primary key, name text not null, plan text not null default 'free');
    create table users (id integer primary key, account_id integer not null references accounts, name text not null);
    select rowferry.attach('accounts'), rowferry.attach('users')"""
TRIGGERS = "; ".join(
    f"alter table accounts enable always trigger rowferry_{name}"
    for name in ("capture_insert", "capture_update", "capture_delete", "truncate")
)
HELD = "select 1 from rowferry.sync_events where attempts > 1"
PLAYED: list[Drill] = []


@pytest.fixture(scope="module", autouse=True)
def page() -> Iterator[None]:
    """If asked to, the page is written once all has been played."""
    yield
    if os.environ.get("WRITE_RUNBOOK"):
        write(PAGE, PLAYED)


@contextmanager
def at_work(nodes: Nodes, folder: Path) -> Iterator[None]:
    """The tables, three accounts on both nodes, and the worker."""
    for node in nodes:
        node.sql(TABLES)
    with worker(nodes, folder / "worker.log", "--interval", "0.1"):
        nodes.crm.sql("insert into accounts values (1, 'Acme'), (2, 'Globex'), (17, 'Initech')")
        arrived(nodes.billing, "select count(*) = 3 from accounts")
        wait_for_rest(nodes, 20)
        yield


def arrived(node: Node, query: str) -> None:
    """Wait until the query's one value is true."""
    wait_until(lambda: list(node.sql(f"select ({query}) as found")[0].values()) == [True], 30, query)


def refused_twice(node: Node) -> None:
    """Wait for the second refusal, and put the third try off: in two seconds psql may not have shown what the page shows.

    A longer wait than 20 min would look as if the clock had been put back.
    """
    arrived(node, f"exists ({HELD})")
    node.sql("update rowferry.held_events set not_before = now() + interval '10 min'")


def plays(title: str, nodes: Nodes, **done: Callable[[], None]) -> None:
    """Type what a section of the page says, and wait after an act until it is `done`; all of it prints what the page shows."""
    drill = DRILLS[title]
    if drill.chapter == "Drills":
        assert [act for act in drill.acts if act != "Do" or "restored" not in title] == ["See", "Mend", "Then"]
        assert all(len(drill.acts[act]) <= 3 for act in drill.acts if act != "Then")
    expected = {act: [alike(statement.output) for statement in said] for act, said in drill.acts.items()}
    shown: dict[str, list[list[str]]] = {}
    for act, said in drill.acts.items():
        shown[act] = [printed(statement, nodes) for statement in said]
        if act in done:
            done[act]()
    PLAYED.append(drill)
    if not os.environ.get("WRITE_RUNBOOK"):
        assert shown == expected


def printed(statement: Statement, nodes: Nodes) -> list[str]:
    statement.output = play(statement, nodes)
    return alike(statement.output)


def test_each_section_of_the_page_is_played() -> None:
    source = Path(__file__).read_text()
    assert {drill.chapter for drill in DRILLS.values()} == {"Tour", "Drills"}
    played = re.findall(r'\bplays\(\s*"([^"]+)"', source)
    for titles in re.findall(r'parametrize\("title", \[([^]]+)\]\)', source):
        played += re.findall(r'"([^"]+)"', titles)
    assert sorted(played) == sorted(DRILLS)


@pytest.fixture
def ten(nodes: Nodes) -> Nodes:
    """As at_work(), but for tests that move each exchange themselves."""
    for node in nodes:
        node.sql(TABLES)
    nodes.crm.sql("insert into accounts values (1, 'Acme'), (2, 'Globex'), (17, 'Initech')")
    sync(*nodes)
    return nodes


def test_where_things_stand(nodes: Nodes, tmp_path: Path) -> None:
    with at_work(nodes, tmp_path):
        nodes.billing.sql("alter table accounts add check (plan <> 'trial')")
        nodes.crm.sql("update accounts set plan = 'trial' where id = 17")
        refused_twice(nodes.crm)
        wait_until(lambda: len(nodes.crm.sql("select from rowferry.why_stuck()")) == 1, 20, "nothing else is wrong")
        plays("Where things stand", nodes)


def test_one_record_and_what_waits_of_its_table(ten: Nodes) -> None:
    ten.crm.sql("update accounts set plan = 'pro' where id = 17; delete from accounts where id = 2")
    plays("One record, and what waits of its table", ten)


def test_what_went(ten: Nodes) -> None:
    ten.crm.sql("update accounts set plan = 'pro'; insert into users values (5, 1, 'Ann')")
    sync(*ten)
    plays("What went", ten)


def test_what_was_decided_between_two_changes(ten: Nodes) -> None:
    ten.crm.sql("update accounts set name = 'Acme Inc' where id = 1")
    ten.billing.sql("update accounts set name = 'Acme AG' where id = 1")
    sync(*ten)
    plays("What was decided between two changes", ten)


def test_many_deletes_wait_for_a_person(nodes: Nodes, tmp_path: Path) -> None:
    with at_work(nodes, tmp_path):
        nodes.crm.sql("insert into accounts select n, 'name ' || n from generate_series(101, 297) n")
        arrived(nodes.billing, "select count(*) = 200 from accounts")
        wait_for_rest(nodes, 20)
        nodes.crm.sql("delete from accounts where id > 150")
        arrived(nodes.crm, "select state = 'held' from rowferry.status")
        plays("Many deletes wait for a person", nodes, Do=lambda: wait_for_rest(nodes, 20))


def test_one_table_stands_still(nodes: Nodes, tmp_path: Path) -> None:
    with at_work(nodes, tmp_path):
        plays("One table stands still", nodes)


def test_rows_that_were_there_before(nodes: Nodes, tmp_path: Path) -> None:
    for node in nodes:
        node.sql("create table orders (id integer primary key, total numeric)")
    nodes.crm.sql("insert into orders select n, n from generate_series(1, 5000) n; analyze orders")
    for node in nodes:
        node.sql("select rowferry.attach('orders')")
    with worker(nodes, tmp_path / "worker.log", "--interval", "0.1"):
        plays("Rows that were there before", nodes, Do=lambda: wait_for_rest(nodes, 30))


def differing(nodes: Nodes) -> None:
    """Account 17 differs, 30 is only on crm, 31 only on billing; no trigger saw it."""
    for node, change in (
        (nodes.crm, "update accounts set plan = 'pro' where id = 17; insert into accounts values (30, 'Hooli')"),
        (nodes.billing, "insert into accounts values (31, 'Umbrella')"),
    ):
        node.sql("begin; alter table accounts disable trigger user;" + change + ";" + TRIGGERS + "; commit")


@pytest.mark.parametrize("title", ["Compare and repair", "Two tables that were both filled"])
def test_what_differs_is_found_and_mended(nodes: Nodes, tmp_path: Path, title: str) -> None:
    def run_is(state: str) -> None:
        arrived(nodes.crm, f"exists (select from rowferry.compare_runs where state = '{state}')")

    def mended() -> None:
        run_is("resolved")
        wait_for_rest(nodes, 20)

    with at_work(nodes, tmp_path):
        differing(nodes)
        plays(title, nodes, Do=lambda: run_is("finished"), Mend=mended)


def test_what_would_go_wrong(nodes: Nodes, tmp_path: Path) -> None:
    if nodes.crm.sql("select rowferry._server_warning(current_setting('server_version_num')::integer) is not null as warned")[0][
        "warned"
    ]:
        pytest.skip("check() warns of this minor version of PostgreSQL too, which the page does not show")
    for node in nodes:
        node.sql(
            "create table invoices (id bigint generated by default as identity primary key, total numeric);"
            "select rowferry.attach('invoices')"
        )
    sync(*nodes)
    nodes.crm.sql("alter table invoices disable trigger rowferry_capture_update")
    plays("What would go wrong", nodes)


def test_why_a_record_differs(nodes: Nodes, tmp_path: Path) -> None:
    with at_work(nodes, tmp_path):
        nodes.billing.sql("alter table accounts add check (plan <> 'trial')")
        nodes.crm.sql("update accounts set plan = 'trial' where id = 17")
        refused_twice(nodes.crm)
        plays("Why does a record differ?", nodes, Mend=lambda: wait_for_rest(nodes, 20))


def test_a_row_that_the_other_side_will_never_take(nodes: Nodes, tmp_path: Path) -> None:
    with at_work(nodes, tmp_path):
        nodes.billing.sql("alter table accounts add check (length(name) < 20)")
        nodes.crm.sql("update accounts set name = 'a whole letter, by mistake' where id = 1")
        refused_twice(nodes.crm)
        plays("A row that the other side will never take", nodes, Mend=lambda: wait_for_rest(nodes, 20))


def test_a_child_whose_parent_is_missing(nodes: Nodes, tmp_path: Path) -> None:
    with at_work(nodes, tmp_path):
        nodes.billing.sql(
            f"begin; alter table accounts disable trigger user; delete from accounts where id = 1; {TRIGGERS}; commit"
        )
        nodes.crm.sql("insert into users values (5, 1, 'Ann')")
        arrived(nodes.crm, f"exists ({HELD})")
        plays("A child whose parent is missing", nodes, Mend=lambda: wait_for_rest(nodes, 20))


def test_undo_a_lost_write(nodes: Nodes, tmp_path: Path) -> None:
    with at_work(nodes, tmp_path):
        nodes.crm.sql("select rowferry.pause()")
        nodes.crm.sql("update accounts set name = 'Acme Inc' where id = 1")
        nodes.billing.sql("update accounts set name = 'Acme AG' where id = 1")
        nodes.crm.sql("select rowferry.resume()")
        wait_for_rest(nodes, 20)
        plays("Undo a lost write", nodes, Mend=lambda: wait_for_rest(nodes, 20))


def altered(nodes: Nodes, ddl: str, change: str) -> None:
    """crm's table was altered and a row of it changed since, and billing has heard of it."""
    nodes.crm.sql(ddl)
    nodes.crm.sql(change)
    for node in nodes:
        arrived(node, "select state = 'stuck' from rowferry.status")


def test_a_column_was_added(nodes: Nodes, tmp_path: Path) -> None:
    with at_work(nodes, tmp_path):
        for node in nodes:
            node.sql("alter table accounts add column phone text")
        nodes.crm.sql("update accounts set phone = '555-' || id")
        plays("A column was added", nodes, Mend=lambda: settled(nodes))


def test_a_column_was_dropped(nodes: Nodes, tmp_path: Path) -> None:
    with at_work(nodes, tmp_path):
        altered(nodes, "alter table accounts drop column plan", "update accounts set name = 'Initech Inc' where id = 17")
        plays("A column was dropped", nodes, Mend=lambda: settled(nodes))


def test_a_column_was_renamed(nodes: Nodes, tmp_path: Path) -> None:
    with at_work(nodes, tmp_path):
        altered(nodes, "alter table accounts rename name to title", "update accounts set title = 'Initech Inc' where id = 17")
        wait_until(lambda: len(nodes.crm.sql("select from rowferry.why_stuck()")) == 1, 20, "nothing else is wrong")
        plays("A column was renamed", nodes, Mend=lambda: settled(nodes))


def test_a_column_has_another_type(nodes: Nodes, tmp_path: Path) -> None:
    with at_work(nodes, tmp_path):
        ddl = "alter table accounts alter plan type varchar(20) using upper(plan)"
        altered(nodes, ddl, "update accounts set name = 'Initech Inc' where id = 17")
        plays("A column has another type", nodes, Mend=lambda: settled(nodes))


def settled(nodes: Nodes) -> None:
    """Nothing waits, and both nodes say that they are well."""
    wait_for_rest(nodes, 30)
    for node in nodes:
        arrived(node, "select state = 'idle' from rowferry.status")


def test_a_peer_that_was_restored_from_last_nights_backup(own_servers: Nodes, tmp_path: Path) -> None:
    nodes = own_servers
    with at_work(nodes, tmp_path):
        for node, start in zip(nodes, (2, 1), strict=True):
            node.sql(
                f"""create table invoices (
                      id integer generated by default as identity (start with {start} increment by 2) primary key, total integer);
                    select rowferry.attach('invoices')"""
            )
        nodes.billing.sql("insert into invoices (total) values (100)")
        arrived(nodes.crm, "select count(*) = 1 from invoices")
        wait_for_rest(nodes, 20)
        copy = backup(nodes.billing)
        nodes.crm.sql("insert into accounts values (20, 'Umbrella')")
        nodes.billing.sql("insert into invoices (total) values (300)")
        arrived(nodes.billing, "select count(*) = 4 from accounts")
        arrived(nodes.crm, "select count(*) = 2 from invoices")
        wait_for_rest(nodes, 20)
        put_back(nodes.billing, copy)
        nodes.crm.sql("insert into accounts values (21, 'Hooli')")
        for node in nodes:
            arrived(node, "select state = 'stopped' from rowferry.status")

        def mended() -> None:
            nodes.billing.sql("insert into invoices (total) values (500)")  # users are back
            arrived(nodes.billing, "select count(*) = 5 from accounts")
            arrived(nodes.crm, "select count(*) = 3 from invoices")
            wait_for_rest(nodes, 20)

        named = "exists (select from rowferry.check() where object = 'public.invoices_id_seq on billing')"
        plays("The peer was restored from last night's backup", nodes, Do=lambda: arrived(nodes.crm, named), Mend=mended)


def test_a_move_to_a_new_server(own_servers: Nodes, tmp_path: Path) -> None:
    nodes = own_servers
    with ExitStack() as old:
        old.enter_context(at_work(nodes, tmp_path))
        nodes.crm.sql("select rowferry.pause()")
    dump = program([f"{nodes.billing.server.bin_dir}/pg_dump", nodes.billing.conninfo], nodes.billing.server)
    roles = program([f"{nodes.billing.server.bin_dir}/pg_dumpall", "-r", "-d", nodes.billing.conninfo], nodes.billing.server)
    with fresh(nodes.billing.server) as server:
        moved = Nodes(nodes.crm, Node("billing", server, "moved"))
        roles = "\n".join(line for line in roles.splitlines() if "rowferry" in line)
        program([f"{server.bin_dir}/psql", "-q", server.conninfo("postgres")], server, roles + "create database moved;")
        program([f"{server.bin_dir}/psql", "-q", "-v", "ON_ERROR_STOP=1", moved.billing.conninfo], server, dump)
        nodes.crm.sql("insert into accounts values (20, 'Umbrella')")
        with worker(moved, tmp_path / "moved.log", "--interval", "0.1"):
            arrived(moved.billing, "select state = 'stopped' from rowferry.status")
            plays("Move to a new server", moved, Mend=lambda: wait_for_rest(moved, 20))


def test_stop_everything_now(nodes: Nodes, tmp_path: Path) -> None:
    with at_work(nodes, tmp_path):
        plays(
            "Stop everything now",
            nodes,
            Mend=lambda: arrived(nodes.billing, "select reason ~ 'paused' from rowferry.status"),
        )


def test_drain_before_maintenance(nodes: Nodes, tmp_path: Path) -> None:
    with at_work(nodes, tmp_path):
        plays("Drain before maintenance", nodes, Mend=lambda: arrived(nodes.crm, "select state = 'paused' from rowferry.status"))
