"""The rules of the exchange, played in memory: random histories of every scenario end equal, and a missing rule is missed.

HISTORIES multiplies the number of histories, SEED shifts them.
"""

import copy
import os

import pytest

from convergence import race
from convergence.model import Node
from convergence.scenarios import HARMLESS, MUTATIONS, run
from convergence.state import Envelope, Link, Rules, Token

FACTOR = int(os.environ.get("HISTORIES", "40")) / 40
SEED = int(os.environ.get("SEED", "0"))
# Where luck needs long: the first seed from which on the mutation is caught at once.
KNOWN = {("couriers", "partial_keys"): 4072, ("fk", "consequence_now"): 8475}


def pair(broken: str = "", **rules: object) -> tuple[Node, Node]:
    """Two linked nodes that have met under the token (1, 1)."""
    log: list[tuple[str, str, str | None, dict[str, int]]] = []
    agreed = Rules(broken=broken, **rules)  # type: ignore[arg-type]
    a, b = Node("a", agreed, log), Node("b", agreed, log)
    a.links["b"], b.links["a"] = Link(), Link()
    meet(a, b, (1, 1))
    return a, b


def meet(a: Node, b: Node, token: Token) -> None:
    hello = a.call("b", token), b.call("a", token)
    a.call("b", token, hello[1])
    b.call("a", token, hello[0])


def settle(a: Node, b: Node, token: Token) -> None:
    """Exchanges until nothing is left, with a new courier."""
    there: Envelope | None = None
    back: Envelope | None = None
    for _ in range(20):
        a.now = b.now = a.now + 600
        there, back = a.call("b", token, back), b.call("a", token, there)
    assert not a.links["b"].events and not b.links["a"].events


def values(*nodes: Node) -> list[str | None]:
    return [n.rows["k"].value for n in nodes]


@pytest.mark.case(8, 16, 17, 39, 40, 41, 50, 52, 69, 70)
@pytest.mark.parametrize("scenario", MUTATIONS)
def test_histories_converge(scenario: str) -> None:
    wrong, played = run(scenario, int(500 * FACTOR), first=SEED)
    assert not wrong, f"seed {wrong[0][0]} of {scenario}: {wrong[0][1]}"
    assert played > 0


@pytest.mark.parametrize(("scenario", "broken"), [(s, m) for s, broken in MUTATIONS.items() for m in broken])
def test_a_rule_that_is_left_out_is_missed(scenario: str, broken: str) -> None:
    wrong, _ = run(scenario, 2000, broken, KNOWN.get((scenario, broken), 0))
    assert wrong, "the histories do not need this rule"


@pytest.mark.parametrize(("scenario", "broken"), [(s, m) for s, broken in HARMLESS.items() for m in broken])
def test_what_was_thought_a_rule_is_none(scenario: str, broken: str) -> None:
    assert not run(scenario, int(300 * FACTOR), broken, SEED)[0]


@pytest.mark.case(95)
def test_no_race_with_users_loses_a_change() -> None:
    assert [seed for seed in range(SEED, SEED + int(5000 * FACTOR)) if race.play(seed)] == []
    assert any(race.play(seed, "no_second_look") for seed in range(200)), "the second look is not needed"


@pytest.mark.case(90)
@pytest.mark.parametrize("broken", ["", "early_retire", "known_counts"])
def test_an_acknowledgement_that_overtakes_a_batch(broken: str) -> None:
    """Case 90: a must still know that it took b1 when it decides about b2, whatever `retired` says meanwhile."""
    a, b = pair(broken)
    b.write("k", "b1", 8)
    first = b.call("a", (1, 1))
    b.write("k", "b2", 0)
    second = b.call("a", (1, 1))
    assert first and second and first.batch and second.batch
    taken = a.call("b", (1, 1), first)
    third = b.call("a", (1, 1), taken)
    assert third and third.batch is None and third.retired == 1
    a.write("k", "a1", 3)
    late = a.call("b", (1, 1))
    assert late and late.batch
    a.call("b", (1, 1), third)
    a.call("b", (1, 1), second)
    b.call("a", (1, 1), late)
    assert values(a, b) == (["a1", "a1"] if not broken else ["b2", "a1"])


@pytest.mark.case(91)
@pytest.mark.parametrize("broken", ["", "any_token"])
def test_an_old_courier_that_comes_late(broken: str) -> None:
    """Case 91: its opening and its envelope are refused, however late they come."""
    a, b = pair(broken)
    a.write("k", "a1", 1)
    old = a.call("b", (1, 1))
    assert old and old.batch
    hello, _ = a.call("b", (2, 2)), b.call("a", (2, 2))
    b.write("k", "b1", 5)
    b.call("a", (2, 2), a.call("b", (2, 2), b.call("a", (2, 2), hello)))
    assert values(a, b) == ["b1", "b1"] and not a.links["b"].events and not b.links["a"].events
    b.call("a", (1, 1))
    b.call("a", (1, 1), old)
    assert values(a, b) == ["b1", "b1"]
    assert bool(b.links["a"].stopped) == bool(broken), "an old envelope that is let in looks like a node set back"


@pytest.mark.case(36)
@pytest.mark.parametrize("broken", ["", "coalesce_oldest"])
def test_of_many_changes_the_newest_stamp_stays(broken: str) -> None:
    """Whichever stays, both sides decide alike; but only with the newest does the newest change win."""
    a, b = pair(broken)
    a.write("k", "a1", 9)
    a.write("k", "a2", 0)
    b.write("k", "b1", 5)
    settle(a, b, (2, 2))
    assert values(a, b) == (["a2", "a2"] if not broken else ["b1", "b1"])


def test_a_change_made_after_a_skip_is_not_coalesced_into_what_was_given_up() -> None:
    """The clock went back: the event given up has the newer stamp, and still the later change must stay."""
    a, b = pair()
    a.write("k", "a1", 9)
    a.skip("b", "k")
    a.write("k", "a2", 0)
    settle(a, b, (2, 2))
    assert values(a, b) == ["a2", "a2"]


def test_a_row_that_the_peer_has_not_goes_only_with_the_word() -> None:
    for delete in (False, True):
        a, b = pair()
        a.write("k", "a1", 1)
        a.skip("b", "k", delete=delete)
        settle(a, b, (2, 2))
        assert a.live("k") is not delete and not b.live("k")
        assert ("k" in a.links["b"].asked) is not delete


def test_the_answer_to_a_skip_with_the_word_deletes_nothing_once_a_later_one_is_without() -> None:
    a, b = pair()
    a.write("k", "a1", 1)
    a.skip("b", "k", delete=True)
    question = a.call("b", (1, 1))
    answer = b.call("a", (1, 1), question)  # gone
    a.write("k", "a2", 2)
    a.skip("b", "k")
    a.call("b", (1, 1), answer)
    settle(a, b, (2, 2))
    assert a.rows["k"].value == "a2" and a.links["b"].asked["k"].kept


def test_what_both_nodes_give_up_at_once_stays_where_it_is() -> None:
    """Each answers the other's question; what has gone there first is known here when its acknowledgement is heard."""
    a, b = pair()
    a.write("k", "a1", 1)
    b.write("k", "b1", 4)
    b.write("k", None, 8)
    a.skip("b", "k")
    b.skip("a", "k", delete=True)
    settle(a, b, (2, 2))
    assert a.rows["k"].value == "a1" and a.links["b"].asked["k"].kept and not b.live("k")


def test_after_a_new_generation_a_row_that_the_writer_did_not_know_is_a_conflict() -> None:
    """Node a is an old copy, which has never heard of what it had drawn and sent."""
    a, b = pair()
    old = copy.deepcopy(a)
    a.write("k", "lost", 1)
    settle(a, b, (2, 2))
    old.writer = "a'"
    old.write("k", "drawn again", 2)
    hello = old.call("b", (3, 3)), b.call("a", (3, 3))
    old.call("b", (3, 3), hello[1]), b.call("a", (3, 3), hello[0])
    assert old.links["b"].stopped and b.links["a"].stopped
    old.resync("b"), b.resync("a")
    settle(old, b, (9, 9))
    assert values(old, b) == ["drawn again"] * 2
    assert [(c.winner_value, c.loser_value) for c in b.conflicts] == [("drawn again", "lost")] and b.conflicts == old.conflicts


def test_equal_rows_are_merged_without_a_change() -> None:
    a, b = pair(conflict="merge")
    a.write("k", "same", 1)
    b.write("k", "same", 2)
    settle(a, b, (2, 2))
    assert values(a, b) == ["same", "same"]
    assert a.version == 1, "the arbiter wrote nothing"
