"""A crash or an error at any step, on any side: events are kept or have had their effect, once."""

import os
import signal
import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest

from faults import failpoints
from faults.effects import TABLES, effects, names
from faults.processes import checkpointer
from harness import Node, Nodes, alembic, wait_until
from harness.courier import Courier
from harness.exchange import rows, sync, waiting
from harness.pair import SETTINGS, Servers, copy, named_anew, started


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
