"""Random histories on two real databases, beside the model: equal at each step and at rest; and mutants of the SQL are caught.

HISTORIES (default 20, of each machine) and SEED (default: drawn and printed) choose how many and which.
"""

import os
import random
from pathlib import Path

import pytest

from convergence import machine, mutants
from convergence.lockstep import Lockstep
from convergence.orphans import Dropping, Orphans
from convergence.played import replayed, write
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
    """Both nodes have deleted the other's parent, and the answer is an orphan as well."""
    with replayed(nodes, Dropping) as state:
        state.cross_twice(calls=0, line="c", orders=["p", "q"])
        for _ in range(3):
            state.backfill(side=0, which=0)
        state.tick(seconds=1, side=1)
        state.cross_twice(calls=4, line="c", orders=["p", "q"])
        state.overtake(limit=1, side=0)
        state.carry(calls=1, limit=1)
        state.backfill(side=0, which=0)
        state.backfill(side=1, which=2)


def test_no_parent_goes_along_in_the_call_that_forgets_the_last_missing_one(nodes: Nodes) -> None:
    """The parent that was missing is deleted here too, and the child has another parent, which is on its way already."""
    with replayed(nodes, Orphans) as state:
        state.carry(calls=3, limit=1)
        state.cross(deleter=0, order="p", line="c", calls=1)
        state.call(which=0, again=False, lost=False, limit=1)
        for _ in range(3):
            state.call(which=0, again=True, lost=False, limit=1)
        state.cross(deleter=0, order="q", line="c", calls=3)
        state.cross(deleter=0, order="q", line="c", calls=2)


@pytest.mark.promise("R8")
def test_a_row_that_is_there_already_is_not_refused(nodes: Nodes) -> None:
    """Nothing is written, so no trigger of the users runs that would refuse it."""
    with replayed(nodes, Lockstep) as state:
        write(state, 0, "l")
        state.carry(calls=8, limit=1)
        state.refuse(side=0, which=1)
        state.backfill(side=1, which=1)
        state.carry(calls=6, limit=1)


@pytest.mark.promise("R7")
def test_a_row_that_won_and_was_deleted_at_the_same_time_is_in_two_conflicts(nodes: Nodes) -> None:
    """The first has the row as winner, the second as loser, and the other row of both is gone: nothing else tells them apart."""
    with replayed(nodes, Lockstep, skips=True) as state:
        write(state, 1, "l")
        state.give_up(1, "l", False)
        state.carry(calls=6, limit=5)
        write(state, 1, "l")  # wins against the answer: crm has no such row
        state.carry(calls=8, limit=5)
        state.backfill(side=0, which=1)
        write(state, 1, "l", "delete")  # wins against the backfill
    for node in nodes:
        assert len(node.sql("select from rowferry.conflicts where winner = 'billing'")) == 2


def nodes_with_open_skips(nodes: Nodes) -> list[str]:
    return [node.name for node in nodes if node.sql("select from rowferry.skips where ended_at is null")]


@pytest.mark.promise("R14")
def test_a_skip_ends_once_neither_node_has_the_record(nodes: Nodes) -> None:
    """Although a new generation had noted, before the answer came, that the record is different on purpose."""
    with replayed(nodes, Lockstep, skips=True, resyncs=True) as state:
        write(state, 0, "k")
        write(state, 0, "k", "delete")
        state.give_up(0, "k", False)
        state.carry(calls=6, limit=5)
        state.resync(link=(0, 1))
    assert nodes_with_open_skips(nodes) == []


@pytest.mark.promise("R14")
def test_a_skip_ends_once_the_peers_delete_was_taken_while_the_question_was_on_its_way(nodes: Nodes) -> None:
    with replayed(nodes, Lockstep, skips=True, resyncs=True) as state:
        write(state, 0, "k")
        state.carry(calls=8, limit=5)
        write(state, 0, "k")
        state.give_up(0, "k", False)
        state.carry(calls=2, limit=5)
        state.resync(link=(0, 1))
        write(state, 1, "k", "delete")
    assert nodes_with_open_skips(nodes) == []


@pytest.mark.promise("R14")
def test_a_skip_ends_once_its_record_changed_again_and_the_change_won_against_the_answer(nodes: Nodes) -> None:
    with replayed(nodes, Lockstep, skips=True, resyncs=True) as state:
        write(state, 0, "k")
        state.give_up(0, "k", False)
        state.carry(calls=5, limit=5)
        state.resync(link=(0, 1))
        state.carry(calls=11, limit=5)
        write(state, 0, "k")
    assert nodes_with_open_skips(nodes) == []


@pytest.mark.promise("R14")
def test_the_skip_of_an_answer_ends_once_its_row_was_deleted_with_the_word(nodes: Nodes) -> None:
    """Both nodes had asked the other one."""
    with replayed(nodes, Lockstep, skips=True) as state:
        write(state, 0, "k")
        state.give_up(0, "k", False)
        write(state, 1, "k")
        write(state, 1, "k", "delete")
        state.give_up(1, "k", False)
        state.carry(calls=5, limit=5)
        state.give_up(0, "k", True)
    assert nodes_with_open_skips(nodes) == ["billing"], "the answer that it waits for was given up"
