"""What tests stand on: two nodes on real servers, and waiting for a condition."""

from harness.nodes import REPO, Node, Nodes, alembic
from harness.waiting import wait_until

__all__ = ["REPO", "Node", "Nodes", "alembic", "wait_until"]
