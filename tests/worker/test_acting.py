"""rowferry compare, first-contact and backfill, and what `run --once` says on a terminal."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event

from harness import Nodes, wait_until
from harness.accounts import count, insert
from harness.command import Command, courier, rows
from harness.terminal import on_terminal, plain
from harness.worker import wait_for_rest


def unseen(nodes: Nodes) -> None:
    """Rows on both nodes that were there before anybody looked: 1 on both, otherwise 2 on crm and 3 on billing."""
    for node, number in zip(nodes, (2, 3), strict=True):
        node.sql(
            f"""alter table accounts disable trigger all;
            insert into accounts values (1, '{node.name}'), ({number}, 'same');
            alter table accounts enable trigger all"""
        )


def test_compare_waits_for_the_worker_and_a_difference_is_1(rowferry: Command, nodes: Nodes) -> None:
    assert "crm: run 1: accounts with billing: queued" in rowferry("compare")
    rowferry.start()
    wait_until(lambda: courier(nodes.crm) > 0, 20, "a worker is at work")
    printed = rowferry("compare", "accounts", "--wait")
    assert printed.split()[-7:] == ["accounts", "billing", "0", "0", "0", "0", "0"]
    unseen(nodes)
    printed = rowferry("compare", "--wait", "--node", "billing", code=1)
    assert "accounts: different: 1" in printed
    assert "accounts: only on billing: 3" in printed and "accounts: only on crm: 2" in printed
    assert "select * from rowferry.repair('accounts', p_from => 'billing');" in printed
    nodes.crm.sql(
        """alter table accounts disable trigger all; insert into accounts select n, 'n' from generate_series(11, 16) n;
        alter table accounts enable trigger all"""
    )
    assert "accounts: only on crm: 11, 12, 13, 14, 15, ..\n" in rowferry("compare", "--wait", code=1)


def test_first_contact_reports_and_then_does_as_it_is_told(rowferry: Command, nodes: Nodes) -> None:
    rowferry.start()
    unseen(nodes)
    printed = rowferry("first-contact", "accounts", "--node", "crm", "--wait")
    assert "accounts: only on billing: 3" in printed and printed.endswith(
        "rowferry first-contact accounts --node crm --only-here here --only-there there --different here --wait\n"
    )
    choice = ("--only-here", "here", "--only-there", "there", "--different", "here")
    printed = rowferry("first-contact", "accounts", "--node", "crm", *choice, "--wait")
    assert "crm: only_here: 1 record, here: queued" in printed and "crm: accounts: done" in printed
    wait_for_rest(nodes, 30)
    assert rows(nodes.crm) == rows(nodes.billing) == [(1, "crm"), (2, "same"), (3, "same")]
    assert "nothing to choose" in rowferry("first-contact", "accounts", "--node", "crm", "--wait")
    assert "RF051" in rowferry("first-contact", "accounts", "--node", "crm", "--different", "nobody", code=1)


def test_backfill_waits_until_the_rows_are_there(rowferry: Command, nodes: Nodes) -> None:
    nodes.crm.sql(
        """alter table accounts disable trigger all;
        insert into accounts select n, 'n' from generate_series(1, 5000) n;
        alter table accounts enable trigger all; analyze accounts"""
    )
    rowferry.start()
    seen = on_terminal(rowferry.env, "backfill", "accounts", "--node", "crm", "--wait")
    assert count(nodes.billing) == 5000
    assert "accounts: " in plain(seen) and "━" in seen and "crm: accounts: 5,000 rows sent" in plain(seen)


def test_backfill_does_not_wait_for_users_to_stop(rowferry: Command, nodes: Nodes) -> None:
    insert(nodes.crm, 1, 1)
    rowferry.start()
    ended = Event()

    def write() -> None:
        with nodes.crm.connect() as connection:
            while not ended.wait(0.001):
                connection.execute("update accounts set name = name || 'x'")

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            rowferry("backfill", "accounts", "--node", "crm", "--wait")
        finally:
            ended.set()
        writing.result(30)


def test_who_waits_without_a_worker_is_told_so(rowferry: Command) -> None:
    told = "the link to billing does not move: no worker has run yet: start rowferry run"
    seen = on_terminal(rowferry.env, "compare", "--wait", code=130, until=lambda seen: told in plain(seen))
    assert told in plain(seen)


def test_a_held_backfill_ends_the_wait_with_1(rowferry: Command, nodes: Nodes) -> None:
    nodes.billing.sql("select rowferry.pause(p_entity => 'accounts')")
    insert(nodes.crm, 1, 1)
    rowferry.start()
    assert "rows of accounts are held. Hint: rowferry status" in rowferry(
        "backfill", "accounts", "--node", "crm", "--wait", code=1
    )


def test_rows_that_wait_for_a_parent_end_the_wait_too(rowferry: Command, nodes: Nodes) -> None:
    """Only the first of them is tried."""
    for node in nodes:
        node.sql(
            "create table lines (id integer primary key, account integer references accounts); select rowferry.attach('lines')"
        )
    nodes.crm.sql(
        """alter table accounts disable trigger all; alter table lines disable trigger all;
        insert into accounts values (1, 'only here'); insert into lines select n, 1 from generate_series(1, 2000) n;
        alter table accounts enable trigger all; alter table lines enable trigger all"""
    )
    rowferry.start()
    assert "rows of lines are held" in rowferry("backfill", "lines", "--node", "crm", "--wait", code=1)
    assert nodes.crm.sql("select from rowferry.sync_events where attempts = 0")


def test_what_is_no_entity_and_no_node_is_said_in_one_line(rowferry: Command) -> None:
    for command in (
        ["compare", "nothing"],
        ["backfill", "nothing", "--node", "crm"],
        ["first-contact", "nothing", "--node", "crm"],
    ):
        printed = rowferry(*command, code=1)
        assert "no such entity is attached: nothing is the name of no entity" in printed and "Hint: select name" in printed
    assert "the nodes are crm, billing" in rowferry("backfill", "accounts", "--node", "nobody", code=2)


def test_the_line_of_progress_is_one_line(rowferry: Command, nodes: Nodes) -> None:
    names = [f"table_{number}" for number in range(6)]
    for node in nodes:
        for name in names:
            node.sql(f"create table {name} (id integer primary key); select rowferry.attach('{name}')")
    nodes.crm.sql("select rowferry.compare_all()")
    seen = plain(on_terminal(rowferry.env, "run", "--once", width=72))
    shown = [part for part in seen.replace("\n", "\r").split("\r") if "compare" in part]
    assert shown and max(map(len, shown)) < 72 and any(part.endswith(" more") for part in shown), shown


def test_run_once_says_on_a_terminal_what_went(rowferry: Command, nodes: Nodes) -> None:
    insert(nodes.crm, 1, 1000)
    insert(nodes.billing, 2001, 2055)
    nodes.billing.sql("alter table accounts add constraint short check (id <> 1000) not valid")
    seen = plain(on_terminal(rowferry.env, "run", "--once", code=1))
    assert "crm: 999 sent, 55 taken, 1 held" in seen
    assert "billing: 55 sent, 999 taken, 0 held" in seen
    assert "sent" not in rowferry("run", "--once", code=1)
