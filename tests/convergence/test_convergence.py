"""Random histories on two real databases, beside the model: equal at each step and at rest; and mutants of the SQL are caught.

HISTORIES (default 20, of each machine) and SEED (default: drawn and printed) choose how many and which.
"""

import os
import random
from pathlib import Path

import pytest

from convergence import machine, mutants
from convergence.exchange import Tally
from convergence.orphans import Dropping
from convergence.stage import Stage
from harness import Nodes

HISTORIES = int(os.environ.get("HISTORIES", "20"))
SEED = int(os.environ.get("SEED", str(random.SystemRandom().randrange(10**6))))
QUICK = [
    "own unseen changes are ignored",
    "beaten events stay",
    "events leave by the number of their batch",
    "a skip asks nothing",
]


@pytest.mark.promise("R1", "R2", "R3", "R5", "R6", "R7", "R14")
@pytest.mark.slow
@pytest.mark.case(1, 8, 9, 16, 26, 30, 32, 36, 39, 40, 41, 42, 44, 50, 52)
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", machine.MACHINES, ids=lambda m: m.__name__)
def test_random_histories_converge(nodes: Nodes, kind: type[machine.Exchange]) -> None:
    with machine.staged(nodes) as stage:
        try:
            tally = machine.play(kind, stage, SEED, HISTORIES)
        except BaseException as error:
            error.add_note(f"SEED={SEED} HISTORIES={HISTORIES}")
            raise
    print(f"SEED={SEED}: {tally}")
    assert tally.histories >= HISTORIES and tally.calls > HISTORIES and tally.rows > 0 and tally.conflicts > 0


@pytest.mark.slow
def test_mutants_of_the_sql_are_caught(nodes: Nodes) -> None:
    """The quick ones; the soak plants all."""
    with machine.staged(nodes) as stage:
        for name in QUICK:
            mutants.plant(nodes, name)
            try:
                with pytest.raises(BaseException) as caught:
                    machine.play(machine.Lockstep, stage, 1, mutants.MUTANTS[name].budget or 0, shrink=False)
                assert isinstance(caught.value, AssertionError), f"{name}: {caught.value!r}"
            finally:
                mutants.heal(nodes)
        machine.play(machine.Lockstep, stage, 1, 3)


@pytest.mark.parametrize("name", mutants.MUTANTS)
def test_every_mutant_can_be_planted_and_healed(nodes: Nodes, name: str) -> None:
    """A rule that was rewritten needs its mutant rewritten too."""
    functions = {function for function, _, _ in mutants.MUTANTS[name].changes}
    before = {f: mutants.definition(nodes.crm, f) for f in functions}
    mutants.plant(nodes, name)
    assert all(mutants.definition(nodes.crm, f) != before[f] for f in functions)
    mutants.heal(nodes)
    assert {f: mutants.definition(nodes.crm, f) for f in functions} == before


def test_a_mutant_that_histories_cannot_catch_names_a_test_that_can() -> None:
    tests = "".join(path.read_text() for path in Path(__file__).parents[1].rglob("test_*.py"))
    missing = [m.why for m in mutants.MUTANTS.values() if m.budget is None and f"def {m.why.split()[-1]}(" not in tests]
    assert missing == []


def test_an_answer_that_is_an_orphan_too_is_gone_in_the_log_of_the_model_and_of_the_nodes(nodes: Nodes) -> None:
    """A history found by chance: both nodes have deleted the other's parent, and the answer is an orphan as well."""
    stage = Stage(nodes)
    stage.set_rules(Dropping.conflict_rule, Dropping.orphan_rule)
    state = type("Replayed", (Dropping,), {"stage": stage, "tally": Tally()})()
    state.begin(skips=False, resyncs=False)
    state.cross_twice(calls=0, line="c", orders=["p", "q"])
    for _ in range(3):
        state.backfill(side=0, which=0)
    state.tick(seconds=1, side=1)
    state.cross_twice(calls=4, line="c", orders=["p", "q"])
    state.overtake(limit=1, side=0)
    state.carry(calls=1, limit=1)
    state.backfill(side=0, which=0)
    state.backfill(side=1, which=2)
    state.teardown()
    stage.close()
