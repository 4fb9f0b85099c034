"""A hundred tables: what check(), drift() and the view status cost grows with their number, and not with its square."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from harness import REPO, Node, Nodes
from harness.exchange import sync
from harness.pair import copies
from harness.worker import PROGRAM

TABLES = """do $$ begin for i in {first} .. {last} loop
  execute format('create table t%s (id integer primary key, v text)', i);
  perform rowferry.attach(format('t%s', i)::regclass);
end loop; end $$"""


@pytest.fixture(scope="module")
def hundred(templates: Nodes, copying: str) -> Iterator[Nodes]:
    """The tables in two databases to copy: attaching them takes ten seconds."""
    with copies(templates, copying) as nodes:
        for node in nodes:
            node.sql("set client_min_messages = error; " + TABLES.format(first=1, last=100))
        nodes.crm.sql("".join(f"insert into t{number} values (1, 'a');" for number in range(1, 101)))
        sync(*nodes)
        for node in nodes:
            node.close()
        yield nodes


@pytest.fixture
def nodes_with_tables(hundred: Nodes, copying: str) -> Iterator[Nodes]:
    with copies(hundred, copying) as nodes:
        yield nodes


@pytest.fixture(scope="module")
def two_hundred(hundred: Nodes, copying: str) -> Iterator[Node]:
    """The same with twice the tables on crm, which nobody changes."""
    with copies(hundred, copying) as nodes:
        nodes.crm.sql("set client_min_messages = error; " + TABLES.format(first=101, last=200))
        yield nodes.crm


def calls(node: Node, question: str) -> int:
    """How many functions of rowferry's are called for an answer."""
    with node.connect() as connection:
        connection.execute("set track_functions = 'all'")
        before = "select coalesce(sum(calls), 0) from pg_stat_xact_user_functions where schemaname = 'rowferry'"
        connection.execute("begin")
        connection.execute(question)
        [(number,)] = connection.execute(before).fetchall()
        connection.execute("rollback")
    return int(number)


@pytest.mark.parametrize("question", ["select * from rowferry.check()", "select * from rowferry.drift()"])
def test_twice_the_tables_cost_twice_the_calls_at_most(nodes_with_tables: Nodes, two_hundred: Node, question: str) -> None:
    of_hundred = calls(nodes_with_tables.crm, question)
    assert of_hundred < calls(two_hundred, question) < 2.1 * of_hundred


def test_the_view_status_is_never_worth_compiling(nodes_with_tables: Nodes) -> None:
    nodes_with_tables.crm.sql(
        "insert into t1 select n, 'b' from generate_series(2, 20000) n; analyze rowferry.entities, rowferry.events"
    )
    [row] = nodes_with_tables.crm.sql("explain (format json) select * from rowferry.status")
    assert row["QUERY PLAN"][0]["Plan"]["Total Cost"] < 100_000


@pytest.mark.case(119)
def test_check_and_the_command_drift_find_nothing_on_a_hundred_good_tables(nodes_with_tables: Nodes) -> None:
    done = subprocess.run([PROGRAM, "drift"], env=nodes_with_tables.env, cwd=REPO, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    errors = "select * from rowferry.check() where severity = 'error' and object not like 'server%'"
    assert nodes_with_tables.crm.sql(errors) == []
