"""What people are told of a table that is another one than was attached, and doing as told."""

from harness import Nodes
from harness.clock import advance
from harness.exchange import rows, sync, waiting
from harness.nodes import Node


def state(node: Node) -> tuple[str, str]:
    """State and reason of the node's one link, as a viewer sees them."""
    [row] = node.sql("set role rowferry_viewer; select state, reason from rowferry.status")
    return row["state"], row["reason"]


def proposal(node: Node, problem: str) -> str:
    """What check() says to type of the one error with this in it; status and why_stuck say the same."""
    [found] = [
        row for row in node.sql("select problem, fix from rowferry.check() where severity = 'error'") if problem in row["problem"]
    ]
    assert state(node)[0] == "stuck"
    assert found["problem"] in state(node)[1]
    assert found["fix"] in state(node)[1]
    assert found["fix"] in [row["type_next"] for row in node.sql("set role rowferry_viewer; select * from rowferry.why_stuck()")]
    return str(found["fix"])


def settle(nodes: Nodes) -> None:
    """Exchanges until what waited for its next try has been tried."""
    for _ in range(2):
        advance(nodes, 20)
        sync(*nodes)


def do_as_told(nodes: Nodes, fix: str) -> None:
    """Types what stands before the comment, waits for the report, and types what stands in the comment."""
    first, _, later = fix.partition("  -- once compare_runs says finished: ")
    nodes.crm.sql(first)
    settle(nodes)
    if later:
        assert nodes.crm.sql("select state from rowferry.compare_runs") == [{"state": "finished"}]
        nodes.crm.sql(later)
        settle(nodes)


def is_well(nodes: Nodes, query: str = "select id, name from visits") -> None:
    """Both nodes have equal rows, nothing waits, and a change of each side arrives."""
    for node in nodes:
        assert waiting(node) == []
        assert state(node)[0] == "idle"
    nodes.crm.sql("insert into visits values (100, 'from crm')")
    nodes.billing.sql("insert into visits values (200, 'from billing')")
    sync(*nodes)
    crm, billing = (rows(node, query) for node in nodes)
    assert crm == billing
    assert {'(100,"from crm")', '(200,"from billing")'} <= set(crm)
