"""A family of tables in sync, and a courier that goes through all of a test."""

import pytest

from harness import Nodes
from harness.family import FAMILY, Exchange


@pytest.fixture
def family(nodes: Nodes) -> Nodes:
    for node in nodes:
        node.sql(FAMILY)
    return nodes


@pytest.fixture
def exchange(family: Nodes) -> Exchange:
    return Exchange(family)
