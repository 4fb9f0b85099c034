"""The model explored exhaustively at a small scope: every state comes to rest equal, and a rule that is left out is missed.

What is found so is played on two real databases, with all rules and with the same rule taken out of the SQL.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

from convergence import machine, mutants
from convergence.exchange import Tally
from convergence.explore import CASCADE, DROP, FAMILY, MERGE, PARENT, SMALL, Explorer, Found, Left, Scope, State
from convergence.explored import frozen
from convergence.played import Played
from harness import Nodes

THREE = Scope(writes=3, couriers=0)
REFUSED = Scope(writes=3, couriers=0, refusals=1, ticks=1)
SKIPPED = Scope(couriers=0, skips=1)
# Rules that are left out, and what must be allowed to happen until it shows. Random histories rarely find the first three.
FALLING = {
    "early_retire": THREE,
    "known_counts": THREE,
    "any_token": Scope(),
    "partial_keys": REFUSED,
    "no_guard": THREE,
    "unseen_ignored": THREE,
    "coalesce_sent": THREE,
    "beaten_stay": THREE,
    "no_retry": REFUSED,
    "skip_forgets": SKIPPED,
    "skip_deletes": SKIPPED,
    "both_merge": Scope(rules=MERGE),
    "other_takes": Scope(rules=MERGE),
    "never_gives_up": Scope(couriers=0, rules=DROP, **PARENT),
    "no_capture": Scope(writes=3, couriers=0, rules=CASCADE, **PARENT),
}
# The same rules in the SQL, where what is in flight is not coalesced for another reason too (coalesce_sent).
PLAYED = {
    "early_retire": "acknowledgements are honoured too early",
    "known_counts": "every event counts as unknown",
    "any_token": "any token opens",
    "partial_keys": "a key travels without its events in flight",
    "no_guard": "acknowledgements are honoured too early",
    "beaten_stay": "beaten events stay",
    "no_retry": "held events are never retried",
    "skip_forgets": "a skip asks nothing",
    "skip_deletes": "a skip deletes without the word",
}


def fall(broken: str) -> tuple[Explorer, Found]:
    scope = FALLING[broken]
    explorer = Explorer(replace(scope, rules=replace(scope.rules, broken=broken)))
    return explorer, explorer.explore()


@pytest.mark.case(8, 39, 41, 90, 91)
@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", SMALL)
def test_every_state_of_a_small_scope_comes_to_rest_equal(name: str, record_property: Callable[[str, object], None]) -> None:
    found = Explorer(SMALL[name]).explore()
    record_property("counted", f"{name}: {found.counts}")
    assert not found.wrong, str(found)
    assert found.whole


@pytest.mark.parametrize("broken", FALLING)
def test_a_rule_that_is_left_out_falls_at_a_small_scope(broken: str, record_property: Callable[[str, object], None]) -> None:
    _, found = fall(broken)
    record_property("counted", f"without {broken}, {len(found.way)} steps to what is wrong: {found.counts}")
    assert found.wrong, f"{found}: the rule is not needed"


@pytest.mark.case(90, 91)
@pytest.mark.parametrize("broken", PLAYED)
def test_what_an_exploration_finds_is_found_in_the_sql(nodes: Nodes, broken: str) -> None:
    """The databases take the steps that a missing rule falls by, and end equal; with the rule taken out of them, they do not."""
    explorer, found = fall(broken)
    with machine.staged(nodes) as stage:
        stage.set_rules(Played.conflict_rule, Played.orphan_rule)

        def play() -> None:
            played = type("Played", (Played,), {"stage": stage, "tally": Tally()})()
            played.begin(skips=True, resyncs=False)
            played.play(explorer, found)
            played.teardown()

        play()
        mutants.plant(nodes, PLAYED[broken])
        try:
            with pytest.raises(AssertionError):
                play()
        finally:
            mutants.heal(nodes)


class Unfolded(Explorer):
    """Nothing is left out of a state that a node could be called with, and no node has said anything by itself."""

    def moved(self, state: State, side: int, after: int, left: Left, answer: int | None = None) -> State:
        nodes = (state.nodes[0], after) if side else (after, state.nodes[1])
        return State(nodes, left, tuple(sorted({*state.posts, *([] if answer is None else [answer])})))


@pytest.mark.parametrize(
    "scope",
    [
        Scope(writes=1),
        Scope(writes=1, couriers=0, refusals=1, ticks=1),
        Scope(writes=1, couriers=0, skips=1),
        Scope(couriers=0),
        Scope(writes=1, couriers=0, limits=(1,), rules=CASCADE, **FAMILY),
    ],
)
def test_what_is_left_out_of_the_states_hides_no_pair_of_nodes(scope: Scope) -> None:
    pairs, states = [], []
    for explorer in (Explorer(scope), Unfolded(scope)):
        states.append(explorer.explore().states)
        nodes = explorer.known.nodes
        pairs.append({tuple(frozen(nodes[n]) for n in state.nodes) for state in explorer.came_from})
    assert pairs[0] == pairs[1]
    assert states[0] < states[1]
