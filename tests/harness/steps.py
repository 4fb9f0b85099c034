"""Sessions that a test moves by hand: statements that run meanwhile, and gates at which one waits until the test opens it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

import psycopg

from harness.courier import Courier
from harness.exchange import sync
from harness.nodes import Node, Nodes
from harness.waiting import wait_until

T = TypeVar("T")

GATE = 4711
# The function waits at its start while the gate is closed, whatever the caller's lock_timeout; otherwise it is as it was.
FAILPOINT = """
do $do$
declare
  f pg_proc := (select p from pg_proc p where p.pronamespace = 'rowferry'::regnamespace and p.proname = '{name}');
  v_identity text := pg_get_function_identity_arguments(f.oid);
  v_out text := (select string_agg(f.proargnames[i], ', ' order by i) from generate_subscripts(f.proargmodes, 1) i
    where f.proargmodes[i] = 'o');
  v_call text := format('rowferry.%I(%s)', f.proname || '_then',
    (select string_agg('$' || n, ', ') from generate_series(1, f.pronargs) n));
  v_gated text := format($f$create function rowferry.%I(%s) returns %s language plpgsql %s security definer as $x$
    declare
      v_timeout text := current_setting('lock_timeout');
    begin
      perform set_config('lock_timeout', '0', true);
      perform pg_advisory_lock_shared({gate}), pg_advisory_unlock_shared({gate});
      perform set_config('lock_timeout', v_timeout, true);
      %s;
    end $x$$f$, f.proname, pg_get_function_arguments(f.oid), pg_get_function_result(f.oid),
    case f.provolatile when 's' then 'stable' else 'volatile' end,
    case when v_out is not null then format('select * into %s from %s', v_out, v_call)
      when f.prorettype = 'void'::regtype then 'perform ' || v_call else 'return ' || v_call end);
begin
  execute format('alter function rowferry.%I(%s) rename to %I', f.proname, v_identity, f.proname || '_then');
  execute v_gated;
  execute format('alter function rowferry.%I(%s) owner to %I', f.proname, v_identity, pg_get_userbyid(f.proowner));
  execute format('grant execute on function rowferry.%I(%s) to public', f.proname, v_identity);
end $do$
"""


class Meanwhile(threading.Thread, Generic[T]):
    """A call that runs in a thread; result() waits for it and raises what it raised."""

    def __init__(self, action: Callable[[], T]) -> None:
        super().__init__(daemon=True)
        self.action = action
        self.value: Any = None
        self.error: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            self.value = self.action()
        except BaseException as error:
            self.error = error

    def result(self, seconds: float = 20) -> T:
        self.join(seconds)
        assert not self.is_alive(), f"still running after {seconds:g} s"
        if self.error:
            raise self.error
        return self.value  # type: ignore[no-any-return]


def wait_for_lock(node: Node, connection: psycopg.Connection[Any], event: str | None = None) -> None:
    """Until the session waits for a lock: any, or that wait_event ("advisory": at the gate)."""
    query = (
        "select pid from pg_stat_activity where pid = %s and wait_event_type = 'Lock' and wait_event = coalesce(%s, wait_event)"
    )
    pid = connection.info.backend_pid
    wait_until(lambda: bool(node.sql(query, [pid, event])), 10, f"session {pid} of {node.name} waits for {event or 'a lock'}")


def install_gate(node: Node, function: str) -> None:
    """Have a function of schema rowferry wait at its start while the gate is closed(); the test's database is its own."""
    node.sql(FAILPOINT.format(name=function, gate=GATE))


@contextmanager
def closed(node: Node) -> Iterator[Callable[[], None]]:
    """The gate of a node, closed; yields what opens it."""
    with node.connect() as keeper:

        def open_it() -> None:
            keeper.execute("select pg_advisory_unlock(%s)", [GATE])

        keeper.execute("select pg_advisory_lock(%s)", [GATE])
        yield open_it


@contextmanager
def held_while_building(nodes: Nodes, courier: Courier, reader: str) -> Iterator[tuple[Meanwhile[Any], Callable[[], None]]]:
    """A call of crm's that has chosen its events and waits before it reads rows; yields the call and what lets it go on."""
    install_gate(nodes.crm, reader)
    hello = courier.call(nodes.billing)["envelope"]
    courier.call(nodes.crm)
    with closed(nodes.crm) as open_gate:
        build = Meanwhile(lambda: courier.call(nodes.crm, hello))
        wait_for_lock(nodes.crm, courier.connections["crm"], "advisory")
        yield build, open_gate


def keep_two_tables(nodes: Nodes) -> Nodes:
    """The tables a and b with a row each. A batch takes the row of a first, then that of b: a gate at apply_b is between them."""
    for node in nodes:
        node.sql(
            "create table a (id integer primary key, body text);"
            "create table b (id integer primary key, body text, a_id integer references a);"
            "select rowferry.attach('a'), rowferry.attach('b')"
        )
    nodes.crm.sql("insert into a values (1, 'old'); insert into b values (1, 'old')")
    sync(*nodes)
    return nodes
