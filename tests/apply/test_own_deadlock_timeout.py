"""A user who looks for deadlocks earlier than others is no victim of the applier, and what other isolation levels meet."""

import psycopg
import pytest

from harness import Nodes
from harness.courier import Courier
from harness.exchange import assert_equal, rows, sync
from harness.roles import role
from harness.steps import Meanwhile, closed, install_gate, keep_two_tables, wait_for_lock

SETTINGS = {
    "alter role {role} set deadlock_timeout = '5ms'": "5 milliseconds",
    "alter role {role} in database {database} set deadlock_timeout = 7": "7 milliseconds",
    "alter database {database} set deadlock_timeout = '0.5s'": "500 milliseconds",
    "alter database {database} set deadlock_timeout = '2500us'": "2500 microseconds",
}


@pytest.fixture
def two_tables(nodes: Nodes) -> Nodes:
    return keep_two_tables(nodes)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_opening_notes_the_shortest_deadlock_timeout_of_a_role_or_database(two_tables: Nodes, setting: str) -> None:
    crm = two_tables.crm
    name = role(crm)
    assert crm.sql("select users_timeout from rowferry.links") == [{"users_timeout": None}]
    try:
        crm.sql(f"alter role {name} set deadlock_timeout = '10s'")
        crm.sql(setting.format(role=name, database=crm.database))
        sync(*two_tables)
        [link] = crm.sql("select users_timeout = %s::interval as noted, users_timeout from rowferry.links", [SETTINGS[setting]])
        assert link["noted"], link["users_timeout"]
        crm.sql(f"alter role {name} reset deadlock_timeout; alter role {name} in database {crm.database} reset deadlock_timeout")
        crm.sql(f"alter database {crm.database} reset deadlock_timeout")
        sync(*two_tables)
        assert crm.sql("select users_timeout from rowferry.links") == [{"users_timeout": None}]
    finally:
        crm.sql(f"drop owned by {name}; drop role {name}")


@pytest.mark.promise("R11")
def test_a_user_who_looks_early_waits_for_no_batch_that_waits_for_him(two_tables: Nodes) -> None:
    """The user has b and wants a; a batch that takes both takes what is free and leaves the rest: there is no deadlock."""
    billing = two_tables.billing
    name = role(billing)
    try:
        billing.sql(f"alter role {name} set deadlock_timeout = '5ms'")
        two_tables.crm.sql("update a set body = 'crm'; update b set body = 'crm'")
        install_gate(billing, "apply_a")
        courier = Courier(two_tables)
        batch, _ = courier.meet(two_tables)
        user = billing.connect(autocommit=False)
        user.execute("set local deadlock_timeout = '5ms'")
        user.execute("update b set body = 'user'")
        applier = courier.connections["billing"]
        with closed(billing) as open_gate:
            call = Meanwhile(lambda: courier.call(billing, batch))
            wait_for_lock(billing, applier, "advisory")
            wait = Meanwhile(lambda: user.execute("update a set body = 'user'"))
            wait_for_lock(billing, user)
            open_gate()
            assert call.result()["applied"] == 1
            wait.result()
            user.commit()
        two_tables.crm.sql("update rowferry.held_events set not_before = now() where attempts = 0")
        sync(*two_tables)
        assert assert_equal(two_tables, "a") == ["(1,user)"]
        assert rows(two_tables.crm, "select body from b") == ["(user)"]
    finally:
        billing.sql(f"drop role {name}")


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_user_with_a_snapshot_of_before_gets_40001_for_a_row_that_was_applied_since(two_tables: Nodes, level: str) -> None:
    """As after any other session's write."""
    user = two_tables.billing.connect(autocommit=False)
    user.execute(f"set transaction isolation level {level}")  # type: ignore[call-overload]
    user.execute("select * from a")
    two_tables.crm.sql("update a set body = 'crm'")
    sync(*two_tables)
    with pytest.raises(psycopg.errors.SerializationFailure):
        user.execute("update a set body = 'user'")


def test_a_row_that_is_being_applied_is_locked_for_nowait_and_passed_by_skip_locked(two_tables: Nodes) -> None:
    two_tables.crm.sql("update a set body = 'crm'; update b set body = 'crm'")
    install_gate(two_tables.billing, "apply_b")
    courier = Courier(two_tables)
    batch, _ = courier.meet(two_tables)
    with closed(two_tables.billing) as open_gate:
        call = Meanwhile(lambda: courier.call(two_tables.billing, batch))
        wait_for_lock(two_tables.billing, courier.connections["billing"], "advisory")
        user = two_tables.billing.connect()
        with pytest.raises(psycopg.errors.LockNotAvailable):
            user.execute("select * from a for update nowait")
        assert user.execute("select * from a for update skip locked").fetchall() == []
        open_gate()
        assert call.result()["applied"] == 2
