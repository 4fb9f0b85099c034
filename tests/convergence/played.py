"""Steps that chance or an exploration has found, played on real databases beside the model with all its rules."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from convergence import machine
from convergence.exchange import Post, Tally
from convergence.explore import Explorer, Found, State, Step
from convergence.lockstep import Beside, Lockstep
from harness import Node


@contextlib.contextmanager
def replayed(nodes: Iterable[Node], kind: type[Beside], skips: bool = False, resyncs: bool = False) -> Iterator[Any]:
    """A history that is played step by step; then all must come to rest."""
    with machine.staged(nodes) as stage:
        stage.set_rules(kind.conflict_rule, kind.orphan_rule)
        state = type("Replayed", (kind,), {"stage": stage, "tally": Tally()})()
        state.begin(skips=skips, resyncs=resyncs)
        yield state
        state.teardown()


def write(state: Any, side: int, key: str, kind: str = "write") -> None:
    state.user(side=side, who=0, kind=kind, key=key, other=key, stays_open=False, jump=0)


class Played(Lockstep):
    """The exploration may lack a rule that is in force here: then an answer stands for the one that came in its place there."""

    def play(self, explorer: Explorer, found: Found) -> None:
        state = explorer.start()
        self.envelopes: dict[int, Post] = {}
        self.number_openings(explorer, (1, 1))
        for i, step in enumerate(found.way):
            after = next(after for taken, after in explorer.next(state) if taken == step)
            self.take(explorer, state, step)
            for post in {s.how[0] for s in found.way[i + 1 :] if s.what == "call"}.intersection(after.posts) - {*self.envelopes}:
                side, token, _ = explorer.known.posts[post]  # said by the other node when it is only asked
                self.call_and_number(explorer.known.post(1 - side, token), post, explorer.scope.limits[0])
            state = after

    def take(self, explorer: Explorer, state: State, step: Step) -> None:
        side = step.side
        if step.what == "courier":
            self.come(0, 1)
            self.number_openings(explorer, (step.how[0], step.how[1]))
        elif step.what == "tick":
            for each in (0, 1):
                self.set_clock(each, self.clocks[each] + 600)
        elif step.what == "skip":
            self.give_up(side, *step.how)
        elif step.what == "write":
            stamp, writes = step.how
            for key, value in writes:
                kind = "write" if value else "delete"
                self.user.__wrapped__(self, side, 0, kind, key, key, False, stamp - self.clocks[side])  # type: ignore[attr-defined]
        else:
            post, limit, refuse = step.how
            _, answer = explorer.known.call(state.nodes[side], post, limit, refuse)
            if refuse:
                self.toggle(side, refuse)
            self.call_and_number(post, answer, limit)
            if refuse:
                self.toggle(side, refuse)

    def call_and_number(self, post: int, answer: int | None, limit: int) -> None:
        """Makes the call, if there is what it brings, and notes what its answer stands for."""
        made = self.exchange(self.envelopes[post], limit) if post in self.envelopes else None
        if made is not None and answer is not None:
            self.envelopes[answer] = made

    def number_openings(self, explorer: Explorer, token: tuple[int, int]) -> None:
        """The calls of a new courier, which bring nothing yet."""
        self.envelopes.update(zip(explorer.hellos(token), self.posts, strict=True))
        self.posts.clear()
