"""The command rowferry on nodes that keep the table accounts in sync."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import Nodes
from harness.accounts import ACCOUNTS
from harness.command import Command


@pytest.fixture
def make_command(tmp_path: Path) -> Iterator[Callable[[Nodes], Command]]:
    made: list[Command] = []

    def make(nodes: Nodes) -> Command:
        for node in nodes:
            node.sql(ACCOUNTS)
        made.append(Command(nodes, tmp_path))
        return made[-1]

    yield make
    for worker in [worker for command in made for worker in command.workers]:
        worker.process.kill()
        worker.process.wait()
        assert "Traceback" not in worker.log()
        assert not any(secret in worker.log() for secret in worker.secrets)


@pytest.fixture
def rowferry(nodes: Nodes, make_command: Callable[[Nodes], Command]) -> Command:
    return make_command(nodes)
