"""A clock that the writer of a change sets, so that a test says when each change was made."""

from harness.nodes import Node, Nodes

# Seconds of 2026; whoever sets none writes at 100.
CLOCK = """
create or replace function rowferry._now() returns timestamptz language sql volatile as
$$ select timestamptz '2026-01-01' + coalesce(nullif(current_setting('test.at', true), '')::bigint, 100) * interval '1 s' $$
"""


def set_clocks(nodes: Nodes) -> None:
    """From here on every stamp on both nodes is what write_at() says."""
    for node in nodes:
        node.sql(CLOCK)


def write_at(node: Node, second: int, query: str) -> None:
    """Run a user's statements at that second of 2026."""
    node.sql(f"set test.at = '{second}'; {query}")
