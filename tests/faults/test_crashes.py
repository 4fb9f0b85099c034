"""A crash or an error at any step, on any side: events are kept or have had their effect, once."""

import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from faults import failpoints
from faults.processes import checkpointer
from harness import Node, Nodes, alembic, wait_until
from harness.courier import Courier
from harness.exchange import rows, sync, waiting
from harness.pair import SETTINGS, Servers, copy, named_anew, started

# Every insert, update and delete that the sync makes in accounts, as the table's own trigger sees it.
TABLES = """
    create table accounts (id integer primary key, name text not null);
    create table effects (id integer, what text);
    create function note_effect() returns trigger language plpgsql as $$
    begin
      insert into effects values (coalesce(new.id, old.id), tg_op);
      return null;
    end $$;
    create trigger note_effect after insert or update or delete on accounts for each row execute function note_effect();
    alter table accounts enable always trigger note_effect;
    select rowferry.attach('accounts')"""


@pytest.fixture(scope="module")
def own_templates() -> Iterator[Nodes]:
    """Two servers of this file alone, which its tests may crash, with a database each to copy.

    A crash of the server loses what it has not written, whether or not that has reached the disk: fsync makes no difference.
    """
    with started({**SETTINGS, "wal_writer_delay": "10s", "autovacuum": "off"}) as pair:
        nodes = Nodes(*(Node(name, server, name) for name, server in zip(Servers._fields, pair, strict=True)))
        for node in nodes:
            Node(node.name, node.server, "postgres").sql(f"create database {node.database}")
        alembic(nodes.env, "upgrade", "head")
        yield nodes


@pytest.fixture
def crashing(own_templates: Nodes) -> Iterator[Nodes]:
    """As nodes, on servers that the test may crash."""
    nodes = named_anew(own_templates)
    copy(own_templates, nodes)
    for node in nodes:
        node.sql(TABLES)
    yield nodes
    for node in nodes:
        node.close()


def kill(node: Node, pid: int) -> None:
    """kill -9 of a backend, and until the server has restarted."""
    before = checkpointer(node)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: checkpointer(node) not in (0, before), 30, "the server has restarted")


def pid(courier: Courier, node: Node) -> int:
    return courier.connections[node.name].info.backend_pid


def started_call(courier: Courier, node: Node, envelope: bytes) -> Callable[[], psycopg.Error | None]:
    """A call in a thread of its own; the function waits for its end: its error, or None."""
    found: list[psycopg.Error | None] = []

    def call() -> None:
        try:
            courier.call(node, envelope)
            found.append(None)
        except psycopg.Error as error:
            found.append(error)

    thread = threading.Thread(target=call)
    thread.start()

    def end() -> psycopg.Error | None:
        thread.join(30)
        assert found, "the call hangs"
        return found[0]

    return end


def names(node: Node) -> dict[int, str]:
    return {row["id"]: row["name"] for row in node.sql("select id, name from accounts")}


def effects(node: Node) -> list[str]:
    return [row["e"] for row in node.sql("select what || ' ' || id as e from effects order by 1")]


@pytest.mark.promise("R1")
@pytest.mark.case(2)
def test_sender_killed_before_the_peer_applies(crashing: Nodes) -> None:
    crm, billing = crashing
    crm.sql("insert into accounts values (1, 'a'), (2, 'b')")
    courier = Courier(crashing)
    courier.meet(crashing)
    kill(crm, pid(courier, crm))
    assert waiting(crm) == ["insert accounts 1", "insert accounts 2"]
    assert names(billing) == {}
    sync(*crashing)
    assert names(billing) == {1: "a", 2: "b"}
    assert effects(billing) == ["INSERT 1", "INSERT 2"]


@pytest.mark.promise("R1", "R2")
@pytest.mark.case(1)
def test_sender_killed_before_it_retires_what_the_peer_has_committed(crashing: Nodes) -> None:
    crm, billing = crashing
    failpoints.install(crm, ["_delete_events"])
    crm.sql("insert into accounts values (1, 'a'), (2, 'b')")
    courier = Courier(crashing)
    to_billing, _ = courier.meet(crashing)
    acknowledged = courier.call(billing, to_billing)["envelope"]
    assert names(billing) == {1: "a", 2: "b"}
    gate = crm.connect()
    gate.execute("select pg_advisory_lock(%s)", [failpoints.GATE])
    failpoints.arm(crm, "_delete_events", "wait")
    end = started_call(courier, crm, acknowledged)
    wait_until(lambda: failpoints.hits(crm) == 1, 10, "crm is about to delete its events")
    kill(crm, pid(courier, crm))
    assert end() is not None
    crm.sql("truncate failpoint.armed")
    assert waiting(crm) == ["insert accounts 1", "insert accounts 2"]
    sync(*crashing)
    assert waiting(crm) == []
    assert effects(billing) == ["INSERT 1", "INSERT 2"], "the effect came twice"


@pytest.mark.promise("R2")
@pytest.mark.case(3)
def test_peer_killed_while_it_applies(crashing: Nodes) -> None:
    crm, billing = crashing
    failpoints.install(billing, ["_finish"])
    crm.sql("insert into accounts values (1, 'a'), (2, 'b')")
    courier = Courier(crashing)
    to_billing, _ = courier.meet(crashing)
    gate = billing.connect()
    gate.execute("select pg_advisory_lock(%s)", [failpoints.GATE])
    failpoints.arm(billing, "_finish", "wait")
    end = started_call(courier, billing, to_billing)
    wait_until(lambda: failpoints.hits(billing) == 1, 10, "billing has written the rows")
    kill(billing, pid(courier, billing))
    error = end()
    assert error is not None and (error.sqlstate or "08").startswith(("08", "57P")), error
    assert (names(billing), effects(billing)) == ({}, [])
    billing.sql("truncate failpoint.armed")
    assert waiting(crm) == ["insert accounts 1", "insert accounts 2"]
    sync(*crashing)
    assert effects(billing) == ["INSERT 1", "INSERT 2"]


@pytest.mark.promise("R2")
@pytest.mark.case(4)
def test_an_answer_that_is_lost_after_the_commit_has_one_effect(crashing: Nodes) -> None:
    """The peer has committed, and nobody knows: a new exchange finds out, and repeats nothing."""
    crm, billing = crashing
    crm.sql("insert into accounts values (1, 'a')")
    courier = Courier(crashing)
    to_billing, _ = courier.meet(crashing)
    courier.call(billing, to_billing)  # and the answer goes nowhere
    billing.sql("update accounts set name = 'seen and changed' where id = 1")
    sync(*crashing)
    assert names(crm) == names(billing) == {1: "seen and changed"}
    assert effects(billing) == ["INSERT 1", "UPDATE 1"]
    assert [node.sql("select count(*) from rowferry.conflicts")[0]["count"] for node in crashing] == [0, 0]


@pytest.mark.promise("R2")
@pytest.mark.case(6)
@pytest.mark.parametrize("hit", ["crm", "billing"])
def test_a_server_that_crashes_in_mid_batch(crashing: Nodes, hit: str) -> None:
    """pg_ctl stop -m immediate while either node applies a batch of the other."""
    node = getattr(crashing, hit)
    for side, writer in enumerate(crashing):
        writer.sql(f"insert into accounts select {side * 1000} + n, 'of {writer.name}' from generate_series(1, 500) n")
    failpoints.install(node, ["_take"])
    courier = Courier(crashing)
    envelopes = courier.meet(crashing)
    gate = node.connect()
    gate.execute("select pg_advisory_lock(%s)", [failpoints.GATE])
    failpoints.arm(node, "_take", "wait")
    end = started_call(courier, node, envelopes[1] if hit == "crm" else envelopes[0])
    wait_until(lambda: failpoints.hits(node) == 1, 10, "it applies")
    node.server.stop("immediate")
    assert end() is not None
    node.server.start_again()
    node.sql("truncate failpoint.armed")
    sync(*crashing)
    assert names(crashing.crm) == names(crashing.billing)
    assert len(names(node)) == 1000
    for one in crashing:
        assert len(set(effects(one))) == len(effects(one)) == 1000, "an effect came twice"


@pytest.mark.promise("R4")
@pytest.mark.case(101)
def test_what_is_acknowledged_survives_a_crash_at_once(crashing: Nodes) -> None:
    """synchronous_commit = off in the role, and the target crashes as soon as its acknowledgement has left."""
    crm, billing = crashing
    for node in crashing:
        node.sql(f"alter role postgres in database {node.database} set synchronous_commit = off")
    crm.sql("insert into accounts values (1, 'a'), (2, 'b')")
    courier = Courier(crashing)
    to_billing, _ = courier.meet(crashing)
    assert courier.connections["billing"].execute("show synchronous_commit").fetchone() == {"synchronous_commit": "off"}
    acknowledged = courier.call(billing, to_billing)["envelope"]
    billing.server.stop("immediate")
    billing.server.start_again()
    assert names(billing) == {1: "a", 2: "b"}
    courier.call(crm, acknowledged)
    assert waiting(crm) == []
    sync(*crashing)
    assert effects(billing) == ["INSERT 1", "INSERT 2"]


@pytest.mark.promise("R4")
@pytest.mark.case(7)
def test_what_has_left_a_node_is_not_lost_there(crashing: Nodes) -> None:
    """The origin commits without waiting for its disk and crashes once its batch has left: it still has what the peer holds."""
    crm, billing = crashing
    crm.sql(f"alter role postgres in database {crm.database} set synchronous_commit = off")
    crm.sql("insert into accounts values (1, 'a'), (2, 'b')")
    courier = Courier(crashing)
    to_billing, _ = courier.meet(crashing)
    crm.server.stop("immediate")
    crm.server.start_again()
    courier.call(billing, to_billing)
    assert names(crm) == names(billing) == {1: "a", 2: "b"}
    sync(*crashing)
    assert waiting(crm) == []
    assert effects(billing) == ["INSERT 1", "INSERT 2"]


@pytest.mark.promise("R3")
@pytest.mark.case(8)
def test_old_envelopes_in_any_order_change_nothing(nodes: Nodes) -> None:
    crm, billing = nodes
    for node in nodes:
        node.sql(TABLES)
    courier = Courier(nodes)
    recorded: list[tuple[Node, bytes]] = []
    to_billing, to_crm = courier.meet(nodes)
    for number in range(1, 5):
        crm.sql("insert into accounts values (%s, 'a') on conflict (id) do update set name = 'b'", [number])
        billing.sql("insert into accounts values (%s, 'c'); ".replace("%s", str(100 + number)))
        recorded += [(billing, to_billing), (crm, to_crm)]
        to_billing, to_crm = courier.call(crm, to_crm)["envelope"], courier.call(billing, to_billing)["envelope"]
    sync(*nodes)
    opened = Courier(nodes)
    opened.meet(nodes)
    before = [(rows(node, "select * from accounts"), effects(node), waiting(node)) for node in nodes]
    assert len(recorded) == 8 and len(before[0][0]) == 8
    for order in (recorded, recorded[::-1], recorded[3:] + recorded[:3]):
        for node, envelope in order:
            assert courier.call(node, envelope)["status"] == "superseded"  # as the old courier, which is late
            assert opened.call(node, envelope)["status"] == "superseded"  # as the new one, with another's envelope
    assert [(rows(node, "select * from accounts"), effects(node), waiting(node)) for node in nodes] == before


@pytest.mark.promise("R2")
@pytest.mark.case(8)
def test_an_envelope_of_the_same_courier_that_comes_again_and_late_changes_nothing(nodes: Nodes) -> None:
    crm, billing = nodes
    for node in nodes:
        node.sql(TABLES)
    courier = Courier(nodes)
    to_billing, to_crm = courier.meet(nodes)
    recorded = []
    for number in range(1, 6):
        crm.sql("insert into accounts values (%s, 'a')", [number])
        crm.sql("update accounts set name = name || %s where id = 1", [str(number)])
        recorded.append(to_billing)
        to_billing, to_crm = courier.call(crm, to_crm)["envelope"], courier.call(billing, to_billing)["envelope"]
    courier.call(billing, to_billing)
    before = rows(billing, "select * from accounts"), effects(billing)
    assert "UPDATE 1" in before[1]
    for envelope in recorded + recorded[::-1] + recorded[2:]:
        answer = courier.call(billing, envelope)
        assert (answer["applied"], answer["refused"]) == (0, 0)
    assert (rows(billing, "select * from accounts"), effects(billing)) == before


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
