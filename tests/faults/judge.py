"""What is left when all faults are over: every row of both nodes compared, every confirmed write looked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from faults.clients import EQUAL, Client, Failure
from harness import Nodes

# A client gets these when its own server crashes, starts or is stopped.
SERVER_GONE = ("08", "57P01", "57P02", "57P03")


@dataclass
class Tally:
    """What a run has seen; all figures are counted."""

    faults: Counter[str] = field(default_factory=Counter)  # by kind
    transactions: int = 0  # of the clients, confirmed
    rows: int = 0  # compared, of all tables of the clients
    diverged: int = 0  # rows that one node has otherwise or not at all
    lost: int = 0  # confirmed ledger rows that a node lacks
    doubled: int = 0  # effects on a ledger row that came a second time, or that nobody committed
    failed: int = 0  # statements of users that failed because of the sync (R11)
    excused: int = 0  # deadlocks that users met while a process of their server was stopped by us
    findings: list[str] = field(default_factory=list)  # the first few of each, in words

    @property
    def clean(self) -> bool:
        return not (self.diverged or self.lost or self.doubled or self.failed)

    def note(self, kind: str, found: Iterable[object]) -> int:
        """How many there are; the first ones stay in words."""
        all_of_them = [str(one) for one in found]
        if all_of_them:
            self.findings.append(f"{kind}: {len(all_of_them)}, such as {'; '.join(sorted(all_of_them)[:6])}")
        return len(all_of_them)


def judge(nodes: Nodes, found: Sequence[Client], tally: Tally) -> Tally:
    """Compare the nodes, at rest, with each other and with what the clients know."""
    for table in EQUAL:
        here, there = ({row["t"] for row in node.sql(f"select t::text as t from {table} t")} for node in nodes)
        tally.rows += len(here | there)
        tally.diverged += tally.note(f"{table} diverged", here ^ there)
    for node in nodes:
        stored: dict[int, set[int]] = {client.number: set() for client in found}
        for row in node.sql("select client, number from ledger"):
            stored[row["client"]].add(row["number"])
        again = node.sql(
            "select client, number, string_agg(what, ' ') as what from effects group by 1, 2"
            " having count(*) > 1 or min(what) <> 'INSERT'"
        )
        tally.doubled += tally.note(f"{node.name} doubled", again)
        for client in found:
            rows = stored[client.number]
            tally.lost += tally.note(f"{node.name} lost", (f"{client.number} {number}" for number in client.kept - rows))
            invented = rows - client.kept - client.unknown
            tally.doubled += tally.note(f"{node.name} invented", (f"{client.number} {number}" for number in invented))
    tally.transactions += sum(len(client.kept) for client in found)
    return tally


def assert_nothing_lost(nodes: Nodes, found: Sequence[Client]) -> None:
    """Every confirmed ledger row is on both sides and came once, every other one on both or on none, and all tables are equal."""
    tally = judge(nodes, found, Tally())
    failed = sum((client.failed for client in found), Counter[str]())
    conflicts = [node.sql("select count(*) from rowferry.conflicts")[0]["count"] for node in nodes]
    slowest = max(client.slowest for client in found)
    print(f"{tally.transactions} transactions, failed {dict(failed)}, conflicts {conflicts}, slowest {slowest:.2f} s")
    assert tally.clean, tally.findings
    assert tally.transactions > 200


def failures(found: Sequence[Client]) -> list[Failure]:
    """The statements that failed, except for what a client gets whose server crashes or starts."""
    return [failure for client in found for failure in client.failures if not failure.sqlstate.startswith(SERVER_GONE)]
