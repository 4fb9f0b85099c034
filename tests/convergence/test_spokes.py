"""Random histories of a hub and its spokes on real databases, beside the model: equal at each step and at rest."""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from convergence import machine
from convergence.spokes import Spokes
from harness.star import SPOKES, Star, star

HISTORIES = int(os.environ.get("HISTORIES", "20"))
SEED = int(os.environ.get("SEED", str(random.SystemRandom().randrange(10**6))))


@pytest.fixture(params=[2, 3], ids=lambda count: f"{count} spokes")
def hub(request: pytest.FixtureRequest, servers: Any, tmp_path: Path) -> Iterator[Star]:
    with star(servers, tmp_path, {"hub": SPOKES[: request.param]}) as made:
        yield made


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_random_histories_of_a_star_converge(hub: Star) -> None:
    with machine.staged(hub, [(0, spoke) for spoke in range(1, len(hub.nodes))]) as stage:
        try:
            tally = machine.play(Spokes, stage, SEED, HISTORIES)
        except BaseException as error:
            error.add_note(f"SEED={SEED} HISTORIES={HISTORIES}")
            raise
    print(f"SEED={SEED}: {tally}")
    assert tally.histories >= HISTORIES and tally.rows > 0 and tally.conflicts > 0
