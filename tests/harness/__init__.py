"""What tests stand on: two nodes on real servers, and waiting for a condition."""

import os

from harness.nodes import REPO, Node, Nodes, alembic
from harness.waiting import wait_until

os.environ.setdefault("HYPOTHESIS_STORAGE_DIRECTORY", str(REPO / ".pytest_cache" / "hypothesis"))

__all__ = ["REPO", "Node", "Nodes", "alembic", "wait_until"]
