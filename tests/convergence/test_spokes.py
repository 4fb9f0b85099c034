"""Random histories of a hub and its spokes on real databases, beside the model; and mutants of what stars need are caught.

HISTORIES (default 20, half as many of each star) and SEED (default: drawn and printed) choose how many and which.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from convergence import machine, mutants
from convergence.played import replayed, write
from convergence.spokes import Spokes
from harness.exchange import rows
from harness.star import SPOKES, Star, star

HISTORIES = -(-int(os.environ.get("HISTORIES", "20")) // 2)
SEED = int(os.environ.get("SEED", str(random.SystemRandom().randrange(10**6))))


@pytest.fixture
def hub(request: pytest.FixtureRequest, servers: Any, tmp_path: Path) -> Iterator[Star]:
    with star(servers, tmp_path, {"hub": SPOKES[: getattr(request, "param", 2)]}) as made:
        yield made


@pytest.mark.promise("R1", "R2", "R3", "R5", "R6", "R7", "R9", "R13", "R14")
@pytest.mark.slow
@pytest.mark.case(8, 39, 52, 69)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("hub", [2, 3], indirect=True, ids=lambda count: f"{count} spokes")
def test_random_histories_of_a_star_converge(hub: Star) -> None:
    with machine.staged(hub) as stage:
        try:
            tally = machine.play(Spokes, stage, SEED, HISTORIES)
        except BaseException as error:
            error.add_note(f"SEED={SEED} HISTORIES={2 * HISTORIES}")
            raise
    print(f"SEED={SEED}: {tally}")
    assert tally.histories >= HISTORIES and tally.calls > HISTORIES and tally.rows > 0 and tally.conflicts > 0


@pytest.mark.promise("R7", "R13")
def test_a_spoke_that_goes_back_stops_its_link_and_all_nodes_end_equal(hub: Star) -> None:
    """What it has forgotten has gone on to the other spoke, and it draws the same numbers again."""
    with replayed(hub, Spokes) as state:
        write(state, 2, "k")
        state.carry(calls=8, limit=5)
        state.begin_to_fail(goes_back=True)
        state.back_up()
        write(state, 2, "k")
        write(state, 2, "l")
        state.carry(calls=8, limit=5)
        assert state.nodes[1].rows == state.nodes[2].rows
        state.go_back()
        write(state, 1, "k")
        write(state, 2, "l")
        state.carry(calls=8, limit=5)
        assert state.stopped()
    assert rows(hub["south"], "select id from t.records order by id") == ["(k)", "(l)"]
    hub.assert_equal("t.records")


@pytest.mark.promise("R7", "R9")
@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, mutant in mutants.MUTANTS.items() if mutant.machine == Spokes.__name__])
def test_mutants_of_what_stars_need_are_caught(hub: Star, name: str) -> None:
    mutants.plant(hub, name)
    with machine.staged(hub) as stage, pytest.raises(BaseException) as caught:
        machine.play(Spokes, stage, 1, mutants.MUTANTS[name].budget or 0, shrink=False)
    assert isinstance(caught.value, AssertionError), repr(caught.value)
