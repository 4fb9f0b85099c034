"""`make soak`: the model explored, random histories and random faults in turn for so many minutes, then mutants to catch.

The last line says what was counted. Exit code 1 if anything that should be 0 is not, if nothing was tried, or if a mutant lives.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from convergence import explore, machine, mutants
from convergence.spokes import Spokes
from faults import runner

from harness import Node, Nodes, alembic
from harness.pair import SETTINGS, copy, named_anew, started
from harness.star import SPOKES, Star, star

LONGEST_SLICE = 150.0  # seconds of faults before histories have their turn again
SHARE_OF_MUTANTS, SHARE_OF_HISTORIES = 0.25, 0.25
MOST_FOR_MUTANTS = 900.0
SHARE_OF_EXPLORATION = 0.1
SHARE_OF_STARS = 0.3  # of the histories' time
# Caught within a few histories of this seed: those that have their turn first, the first one always.
QUICK = (
    "own unseen changes are ignored",
    "beaten events stay",
    "events leave by the number of their batch",
    "a skip asks nothing",
)
SEED_OF_MUTANTS = 1


@dataclass
class Soak:
    """What was counted so far."""

    ends: float
    began: float = field(default_factory=time.monotonic)
    states: int = 0
    histories: int = 0
    seconds_of_histories: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    diverged: int = 0
    lost: int = 0
    doubled: int = 0
    failed: int = 0
    excused: int = 0
    broken: bool = False  # something else went wrong; it has been printed
    said_at: float = 0.0

    def left(self) -> float:
        return self.ends - time.monotonic()

    def say(self, text: str, every: float = 0.0) -> None:
        """A line of progress; with `every`, only if the last one is so many seconds ago."""
        now = time.monotonic()
        if now - self.said_at >= every:
            self.said_at = now
            print(f"{now - self.began:6.0f} s  {text}", flush=True)

    def last_line(self) -> str:
        return (
            f"soak: {self.states} states, {self.histories} histories, {sum(self.faults.values())} faults, "
            f"{self.rows} rows compared, {self.diverged} diverged, {self.lost} lost, {self.doubled} doubled, "
            f"{self.failed} user statements failed"
        )

    def well(self) -> bool:
        wrong = self.broken or self.diverged or self.lost or self.doubled or self.failed
        return not wrong and bool(self.histories and sum(self.faults.values()) and self.rows)


@contextlib.contextmanager
def fresh(template: Nodes) -> Iterator[Nodes]:
    """Two new databases with rowferry's core, copied from the template's."""
    nodes = named_anew(template)
    copy(template, nodes)
    try:
        yield nodes
    finally:
        for node in nodes:
            node.close()
            with contextlib.suppress(psycopg.Error):
                Node(node.name, node.server, "postgres").sql(f"drop database {node.database} with (force)")


@contextlib.contextmanager
def fresh_star(template: Nodes) -> Iterator[Star]:
    """A hub and three spokes, new databases on the servers of the template."""
    servers = tuple(node.server for node in template)
    with tempfile.TemporaryDirectory() as folder, star(servers, Path(folder), {"hub": SPOKES}) as made:
        yield made


def explore_model(soak: Soak, seconds: float, seed: int) -> None:
    """Larger scopes for so long, each whole if there is time, and each seed begins with another one."""
    ends = time.monotonic() + seconds
    names = list(explore.LARGE)
    for name in names[seed % len(names) :] + names[: seed % len(names)]:
        if (left := ends - time.monotonic()) > 0:
            found = explore.Explorer(explore.LARGE[name]).explore(left)
            soak.states += found.states
            soak.broken = soak.broken or bool(found.wrong)
            soak.say(f"{name}: {found}")


def play_histories(soak: Soak, template: Nodes, seconds: float, seed: int) -> None:
    began = time.monotonic()
    with fresh(template) as nodes:
        tally = machine.run(nodes, seconds * (1 - SHARE_OF_STARS), seed)
    with fresh_star(template) as hub:
        machine.add(tally, machine.run(hub, began + seconds - time.monotonic(), seed))
    soak.seconds_of_histories += time.monotonic() - began
    soak.histories += tally.histories
    soak.rows += tally.rows
    soak.say(f"{soak.histories} histories so far")


def inject_faults(soak: Soak, template: Nodes, seconds: float, seed: int) -> None:
    with fresh(template) as nodes:
        tally = runner.run(nodes, seconds, seed, lambda text: soak.say(f"this turn {text}", every=5))
    soak.faults += tally.faults
    soak.rows += tally.rows
    soak.diverged += tally.diverged
    soak.lost += tally.lost
    soak.doubled += tally.doubled
    soak.failed += tally.failed
    soak.excused += tally.excused
    for finding in tally.findings:
        soak.say(finding)
    soak.broken = soak.broken or bool(tally.findings)
    soak.say(f"{sum(soak.faults.values())} faults so far, {tally.transactions} transactions of users in this turn")


def plant_mutants(soak: Soak, template: Nodes) -> list[str]:
    """A line for each mutant; one that lives breaks the soak. For which there is no time is said."""
    pace = soak.histories / soak.seconds_of_histories
    names = sorted(mutants.MUTANTS, key=lambda name: QUICK.index(name) if name in QUICK else len(QUICK))
    lines = []
    for name in names:
        mutant = mutants.MUTANTS[name]
        if mutant.budget is None:
            continue  # histories cannot catch it; mutants.py names the test that does
        if lines and soak.left() < 0.3 * mutant.budget / pace:
            lines.append(f"mutant {name}: not planted, no time left")
            continue
        tally, outcome = machine.Tally(), "STILL ALIVE"
        kind = next(kind for kind in (*machine.MACHINES, Spokes) if kind.__name__ == mutant.machine)
        with fresh_star(template) if kind is Spokes else fresh(template) as nodes, machine.staged(nodes) as stage:
            mutants.plant(nodes, name)
            try:
                machine.play(kind, stage, SEED_OF_MUTANTS, mutant.budget, shrink=False, tally=tally)
            except (Exception, pytest.fail.Exception):  # of whatever kind: the mutant was noticed
                outcome = "caught"
            finally:
                mutants.heal(nodes)
        soak.broken = soak.broken or outcome != "caught"
        lines.append(f"mutant {name}: {outcome} after {max(1, tally.histories)} histories")
        soak.say(lines[-1])
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description="Random histories, faults and mutants.")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if options.seed is None else options.seed
    print(f"SEED={seed} MINUTES={options.minutes:g}", flush=True)
    soak = Soak(ends=time.monotonic() + options.minutes * 60 - 8)
    lines: list[str] = []
    explore_model(soak, soak.left() * SHARE_OF_EXPLORATION, seed)
    with started(SETTINGS) as servers:
        try:
            template = Nodes(*(Node(name, server, name) for name, server in zip(("crm", "billing"), servers, strict=True)))
            for node in template:
                Node(node.name, node.server, "postgres").sql(f"create database {node.database}")
            alembic(template.env, "upgrade", "head")
            soak.say("two servers are ready")
            mutants_from = soak.ends - min(MOST_FOR_MUTANTS, soak.left() * SHARE_OF_MUTANTS)
            rounds = 0
            while (rest := mutants_from - time.monotonic()) > (25 if rounds else 0):
                turn = min(rest, LONGEST_SLICE / (1 - SHARE_OF_HISTORIES))
                play_histories(soak, template, turn * SHARE_OF_HISTORIES, seed + 1_000_000 * rounds)
                inject_faults(soak, template, turn * (1 - SHARE_OF_HISTORIES), seed + rounds)
                rounds += 1
            lines = plant_mutants(soak, template)
        except (Exception, pytest.fail.Exception) as error:  # what a wait that was in vain raises is no Exception
            soak.broken = True
            traceback.print_exc()
            soak.say(f"{type(error).__name__}: {error} {' '.join(getattr(error, '__notes__', []))}")
    for kind, count in sorted(soak.faults.items()):
        print(f"fault {kind}: {count}")
    if soak.excused:
        print(f"not counted: {soak.excused} deadlocks of users while a process of their server was stopped")
    for line in lines:
        print(line)
    print(soak.last_line(), flush=True)
    return 0 if soak.well() else 1


if __name__ == "__main__":
    sys.exit(main())
