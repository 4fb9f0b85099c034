"""Plays histories of all machines on real databases. Hypothesis chooses the steps, and shrinks one that fails."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterable, Iterator

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from convergence.exchange import Exchange, Tally
from convergence.family import Family
from convergence.lockstep import Favouring, Lockstep, Merging
from convergence.orphans import Dropping, Orphans, Reviving
from convergence.spokes import Spokes
from convergence.stage import Stage
from harness import Node

NO_FAULT = settings(
    deadline=None,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
    stateful_step_count=50,
    report_multiple_bugs=False,
)


def play(
    machine: type[Exchange], stage: Stage, first: int, histories: int, shrink: bool = True, tally: Tally | None = None
) -> Tally:
    """Plays histories of this machine; raises with the shortest program that fails."""
    tally = tally or Tally()
    stage.set_rules(machine.conflict_rule, machine.orphan_rule)
    numbered = seed(first)(type(machine.__name__, (machine,), {"stage": stage, "tally": tally}))
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    run_state_machine_as_test(numbered, settings=settings(NO_FAULT, max_examples=histories, phases=phases))
    return tally


@contextlib.contextmanager
def staged(nodes: Iterable[Node]) -> Iterator[Stage]:
    """The first node is linked to each of the others."""
    stage = Stage(nodes)
    try:
        yield stage
    finally:
        stage.close()


def run(nodes: Iterable[Node], seconds: float, first: int) -> Tally:
    """Plays histories of all machines for so long; the same seed on the same machine plays the same ones."""
    total = Tally()
    end = time.monotonic() + seconds
    with staged(nodes) as stage:
        for chunk, machine in enumerate(itertools.cycle(MACHINES if len(stage.sides) == 2 else [Spokes])):
            if time.monotonic() > end:
                return total
            add(total, play(machine, stage, first + chunk, 10))
    return total


def add(total: Tally, part: Tally) -> None:
    for name in ("histories", "steps", "calls", "rows", "conflicts", "comparisons"):
        setattr(total, name, getattr(total, name) + getattr(part, name))
    for name, count in part.by_machine.items():
        total.by_machine[name] = total.by_machine.get(name, 0) + count


MACHINES: list[type[Exchange]] = [Lockstep, Family, Merging, Favouring, Orphans, Dropping, Reviving]
