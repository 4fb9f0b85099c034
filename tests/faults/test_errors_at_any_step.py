"""Every step of a call with every kind of error: the next exchange goes on."""

import itertools
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from faults import failpoints
from faults.effects import TABLES, effects, names
from harness import Nodes

STEPS = {
    "opening": ["_open"],
    "hearing": ["_decode", "_check_memory", "_meet", "_honour_acks", "_hold_refused", "_delete_events"],
    "applying": ["_take", "_apply_batch", "_try_sections", "_decide", "_write_sections", "_finish"],
    "building": [
        "_build_envelope",
        "_perform_skips",
        "_queue_backfill",
        "_choose_records",
        "_read_batch",
        "_read_section",
        "_encode",
    ],
}
# Connection, rollback, lock, cancelled, resources, system; what a constraint or a check would raise; and the end of the backend.
STATES = ("08006", "40001", "55P03", "57014", "53100", "53200", "58030", "23514", "XX000", "end")


class Exchange:
    """Exchanges on connections that stay, each of a new courier; a connection that has ended is opened anew."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes = nodes
        self.connections = [node.connect(row_factory=dict_row) for node in nodes]

    def attempt(self) -> str:
        """Rounds until both nodes are idle: '', or the SQLSTATE of the error that ended it."""
        try:
            tokens = [self.call(side)["token"] for side in (0, 1)]
            token = f"{1 + max(int(token.partition('-')[0]) for token in tokens)}-test"
            envelopes: list[bytes | None] = [None, None]
            for _ in range(40):
                answers = [self.call(side, token, envelopes[1 - side]) for side in (0, 1)]
                if all(answer["status"] == "idle" for answer in answers):
                    return ""
                envelopes = [answer["envelope"] for answer in answers]
        except psycopg.Error as error:
            for side, node in enumerate(self.nodes):
                if self.connections[side].closed:
                    self.connections[side] = node.connect(row_factory=dict_row)
            return error.sqlstate or "08006"
        raise AssertionError(f"still moving: {answers}")

    def call(self, side: int, token: str | None = None, envelope: bytes | None = None) -> dict[str, Any]:
        query = "select status, token, envelope from rowferry.process_batch(null, %s, %b)"
        row = self.connections[side].execute(query, [token, envelope], binary=True).fetchone()
        assert row is not None and row["status"] in ("moved", "idle"), row
        return row


@pytest.mark.promise("R2")
@pytest.mark.slow
@pytest.mark.case(13, 67)
@pytest.mark.parametrize("phase", STEPS)
def test_an_error_at_any_step(nodes: Nodes, phase: str) -> None:
    """Every step with every SQLSTATE: the next exchange goes on, all has its effect once, and no row stays blamed."""
    for node in nodes:
        node.sql(TABLES)
    failpoints.install(nodes.crm, STEPS[phase])
    pairs = list(itertools.product(STEPS[phase], STATES))
    nodes.crm.sql(f"insert into accounts select n, 'crm' from generate_series(10, {len(pairs) * 10 + 9}) n where n % 10 < 4")
    exchange = Exchange(nodes)
    assert exchange.attempt() == ""
    crm, billing = users = [node.connect(row_factory=dict_row) for node in nodes]
    unhit = []
    for number, (step, state) in enumerate(pairs, start=1):
        first = number * 10
        # New rows from both sides, a record that both change, one that is deleted, one whose change is given up.
        billing.execute(f"insert into accounts values ({first + 5}, 'billing'); delete from accounts where id = {first + 1}")
        crm.execute(f"insert into accounts values ({first + 6}, 'crm'); update accounts set name = 'no' where id = {first + 2}")
        crm.execute(f"select rowferry.skip(id, 'a test') from rowferry.sync_events where record_id = '{first + 2}'")
        for user in users:
            user.execute(f"update accounts set name = 'both' || pg_backend_pid() where id = {first}")
        if step == "_queue_backfill":
            crm.execute("select rowferry.backfill('accounts')")
        crm.execute("truncate failpoint.armed; select setval('failpoint.hits', 0)")
        crm.execute(f"insert into failpoint.armed values ('{step}', '{state}')")
        said = [exchange.attempt()]
        if crm.execute("select from failpoint.hits where last_value > 0").rowcount == 0:
            unhit.append(f"{step} {state}")
        for _ in range(4):
            for user in users:  # what was blamed on a row is a held event: a person asks for another try
                user.execute("update rowferry.entities set held_until = now() where held_until is not null")
                user.execute("update rowferry.held_events set not_before = now()")
            said.append(exchange.attempt())
            waits = [user.execute("select * from rowferry.sync_events").fetchall() for user in users]
            if waits == [[], []]:
                break
        assert waits == [[], []], f"{step} {state}: {said}"
    assert unhit == []
    found = [names(node) for node in nodes]
    assert found[0] == found[1]
    for number, pair in enumerate(pairs, start=1):
        first = number * 10
        here = {key - first: name for key, name in found[0].items() if first <= key < first + 10}
        assert here.pop(0).startswith("both"), pair
        assert here == {2: "crm", 3: "crm", 5: "billing", 6: "crm"}, pair
    # On each node every row was inserted once, by its user or by the sync, and deleted once if at all.
    for node in nodes:
        once = [effect for effect in effects(node) if not effect.startswith("UPDATE")]
        assert len(once) == len(set(once)) == len(pairs) * 7, "an effect came twice"


def test_failpoints_do_what_they_say(nodes: Nodes) -> None:
    """So that a failpoint that never fails cannot pass for a system that survives it."""
    found: dict[str, Any] = {}
    for node in nodes:
        node.sql(TABLES)
    failpoints.install(nodes.crm, ["_build_envelope"])
    exchange = Exchange(nodes)
    for state in STATES:
        failpoints.arm(nodes.crm, "_build_envelope", state)
        found[state] = exchange.attempt()
    assert {state: said for state, said in found.items() if said != state} == {"end": "57P01"}
