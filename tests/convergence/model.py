"""The rules of the exchange as a model: nodes, links and envelopes in memory, close enough to the SQL to be its oracle.

A row is an Image: its value (None: there is no row) and what its writer knew, the number of each node's writes behind it.
`Rules.broken` names a rule that is left out, to show that a check would notice; scenarios.py says what each one is.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from convergence.building import Building
from convergence.state import Envelope, Link, Token
from convergence.taking import Taking


class Node(Taking, Building):
    """A node: one call of it takes the peer's batch, honours its acknowledgements and builds the next batch."""

    def call(
        self,
        peer: str,
        token: Token,
        envelope: Envelope | None = None,
        limit: int = 1000,
        refuse: Iterable[str] = (),
        order: Sequence[str] = (),
    ) -> Envelope | None:
        """process_batch(): None if there is no answer. `order`: which keys are answered first, where the rules leave it open."""
        link, broken = self.links[peer], self.rules.broken
        if token < link.token and broken != "any_token":
            return None
        if token != link.token:
            self._open(link, token)
        if envelope is not None and envelope.token != token:
            return None
        if envelope is not None and envelope.generation > link.generation:
            link.renew(envelope.generation)
        if envelope is not None and not link.stopped:
            link.stopped = self._memory(link, envelope)
            number = envelope.batch.number if envelope.batch else 0
            if not link.stopped and number <= link.received + 1 and envelope.generation == link.generation:
                link.peer_generation = envelope.generation
                if number == link.received + 1:
                    self._take(peer, link, envelope, set(refuse), order)
                if envelope.top <= link.received or broken == "no_guard":
                    self._hear(peer, link, envelope)
                if envelope.top <= link.received or broken == "early_retire":
                    link.taken = {n: a for n, a in link.taken.items() if n > envelope.retired}
        return None if link.stopped else self._build(peer, link, limit)

    def skip(self, peer: str, key: str, ids: set[int] | None = None, delete: bool = False) -> bool:
        done = super().skip(peer, key, ids, delete)
        if self.rules.broken == "skip_in_flight":
            self._perform_skips(self.links[peer], peer)
        return done

    def _open(self, link: Link, token: Token) -> None:
        link.token, link.ready, link.top = token, False, link.acked
        for built in link.batches.values():
            built.in_flight = False

    def _memory(self, link: Link, envelope: Envelope) -> str:
        if self.rules.broken == "no_memory_check":
            return ""
        if envelope.generation < link.generation:  # it has not heard of resync() here
            return "the peer was set back" if not link.ready and envelope.generation < link.peer_generation else ""
        if envelope.received > link.built or envelope.retired > link.received:
            return "this node was set back"
        if envelope.received > link.acked and link.acked + 1 not in envelope.acks:
            return "this node forgot an acknowledgement"
        if envelope.received >= link.acked and self.rules.broken != "no_tags":
            built = link.batches.get(envelope.received_tag)
            same = envelope.received == link.acked and envelope.received_tag == link.acked_tag
            if not same and (built is None or built.number != envelope.received):
                return "the peer took a batch from another copy of this node"
        if not link.ready and (envelope.received < link.acked or envelope.built < link.received):
            return "the peer was set back"
        return ""
