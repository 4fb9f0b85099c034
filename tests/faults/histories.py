"""Random histories for so many seconds, and mutants that they must catch: SQL with one rule taken out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

import psycopg
from test_histories import CLOCK, SCHEMA, History

from harness import Node, Nodes

SCENARIOS = ("couriers", "skip")


@dataclass
class Tally:
    """What histories have seen."""

    histories: int = 0
    rows: int = 0  # compared at rest


class Mutant(NamedTuple):
    """One text in one function of rowferry's, and what takes its place."""

    name: str
    function: str
    text: str
    instead: str
    scenarios: tuple[str, ...] = SCENARIOS  # those that can catch it
    seconds: float = 60  # that it may need; a run that has less does not plant it


MUTANTS = (
    Mutant(
        "R1: events leave when they are sent",
        "_build",
        "v_tag := gen_random_uuid();",
        "v_tag := gen_random_uuid(); perform rowferry._delete_events(v_batch.o_ids);",
        seconds=15,
    ),
    Mutant(
        "R6: nobody looks for changes of both sides",
        "_own_events",
        "  -- One-way",
        "  return null;  -- One-way",
        scenarios=("couriers",),
    ),
    Mutant(
        "R14: what is skipped is forgotten",
        "_perform_skips",
        "if rowferry._delete_events(v_skip.ids) > 0 then",
        "if rowferry._delete_events(v_skip.ids) < 0 then",
        scenarios=("skip",),
    ),
    Mutant(
        "R2: a batch is taken whatever its number",
        "_exchange",
        "if (v_header ->> 'number')::bigint = v_link.received + 1 then",
        "if (v_header ->> 'number')::bigint > 0 then v_link.received := (v_header ->> 'number')::bigint - 1;"
        " delete from rowferry.taken_batches where number > v_link.received;",
        seconds=120,
    ),
)


def run(nodes: Nodes, seconds: float, seed: int) -> Tally:
    """Play histories until the time is over, at least one of each scenario; AssertionError or psycopg.Error if one goes wrong."""
    tally = Tally()
    ends = time.monotonic() + seconds
    install(nodes)
    while time.monotonic() < ends or tally.histories < len(SCENARIOS):
        play(nodes, seed + tally.histories, SCENARIOS[tally.histories % len(SCENARIOS)], tally)
    return tally


def hunt(nodes: Nodes, seconds: float, seed: int, mutant: Mutant) -> tuple[bool, int]:
    """Plant a mutant in both nodes and play until a history goes wrong: whether one did in time, and how many were played."""
    tally = Tally()
    ends = time.monotonic() + seconds
    install(nodes)
    for node in nodes:
        plant(node, mutant)
    while time.monotonic() < ends:
        try:
            play(nodes, seed + tally.histories, mutant.scenarios[tally.histories % len(mutant.scenarios)], tally)
        except (AssertionError, psycopg.Error):
            return True, tally.histories + 1
    return False, tally.histories


def install(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(SCHEMA)
        node.sql(CLOCK)
        node.sql("select rowferry.attach('t.parents'), rowferry.attach('t.children')")


def play(nodes: Nodes, seed: int, scenario: str, tally: Tally) -> None:
    """One history, judged at its end."""
    history = History(seed, nodes.crm, nodes.billing, judged=scenario != "skip")
    try:
        history.play(scenario)
        tally.rows += history.rest()
        tally.histories += 1
    except (AssertionError, psycopg.Error) as error:
        error.add_note(f"history {seed} of {scenario}")
        raise
    finally:
        for side in history.sides:
            side.connection.close()


def plant(node: Node, mutant: Mutant) -> None:
    """Change one function; fails if its text is not what the mutant expects."""
    [row] = node.sql(
        "select pg_get_functiondef(oid) as body from pg_proc where proname = %s and pronamespace = 'rowferry'::regnamespace",
        [mutant.function],
    )
    changed = row["body"].replace(mutant.text, mutant.instead, 1)
    assert changed != row["body"], f"{mutant.function} has no {mutant.text!r}"
    node.sql(changed)
