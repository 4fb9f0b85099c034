"""The clock of rowferry on the nodes of a test.

Each time that rowferry writes or compares comes from rowferry._now(). Tests replace this function here and nowhere else:
by a clock that stands still until the test moves it, by one that each writer sets, or by one that runs ahead.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from harness.nodes import Node

STANDS_STILL = """
create table if not exists public.clock (at timestamptz not null);
grant select on public.clock to public;
truncate public.clock;
insert into public.clock values (timestamptz '{at}')
"""
# For a connection that moves a stopped clock often: to this second of 2026.
SET_CLOCK = "update public.clock set at = timestamptz '2026-01-01 UTC' + %s * interval '1 s'"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
# What takes at() back.
RESET = "reset test.now"
WRITERS_TIME = "coalesce(nullif(current_setting('test.now', true), '')::timestamptz, timestamptz '2026-01-01 00:01:40 UTC')"


def stop_clocks(nodes: Iterable[Node], at: str = "2026-01-01 UTC") -> None:
    """Time stands still at this moment on these nodes until advance() moves it: no back-off ends by itself."""
    for node in nodes:
        node.sql(STANDS_STILL.format(at=at))
        _replace(node, "(select c.at from public.clock c)")


def advance(nodes: Iterable[Node], seconds: float) -> None:
    """Moves the stopped clocks of these nodes on."""
    for node in nodes:
        node.sql("update public.clock set at = at + %s * interval '1 s'", [seconds])


def set_clocks(nodes: Iterable[Node]) -> None:
    """From here on every stamp on these nodes is what write_at() says; whoever says nothing writes at second 100 of 2026."""
    for node in nodes:
        _replace(node, WRITERS_TIME)


def at(moment: float | str) -> str:
    """SQL with which a session writes at that second of 2026, or moment; after `alter database ..`, all new ones do."""
    return f"set test.now = '{moment if isinstance(moment, str) else BEGIN + timedelta(seconds=moment)}'"


def write_at(node: Node, moment: float | str, query: str) -> None:
    """Runs a user's statements at that second of 2026 or moment written out."""
    node.sql(f"{at(moment)}; {query}")


def put_forward(node: Node, by: str, first: str = "") -> None:
    """The clock of this node runs ahead of the server's by this interval; `first`: a setting of the session that says so."""
    _replace(node, f"pg_catalog.clock_timestamp() + interval '{by}'", first)


def end_back_off(node: Node, which: str = "true") -> None:
    """What the node holds is due for its next try now; `which`: a condition on rowferry.held_events."""
    node.sql(f"update rowferry.held_events set not_before = rowferry._now() where {which}")


def _replace(node: Node, expression: str, first: str = "") -> None:
    """Makes this expression the time of rowferry; the function keeps the properties of the real one."""
    node.sql(
        f"{first}; create or replace function rowferry._now() returns timestamptz language sql volatile parallel safe"
        f" as $clock$ select {expression} $clock$"
    )
