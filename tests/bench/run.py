"""What the scenarios of one run share."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.bed import Bed
from bench.noise import Noise


@dataclass
class Run:
    """`scale` divides sizes and seconds; `runs` of each way are alternated; `say` tells how far it is."""

    bed: Bed
    noise: Noise
    scale: int
    runs: int
    say: Callable[[str], None]

    def alternated(self, ways: Sequence[str]) -> list[tuple[int, str]]:
        """(run, way) in the order ab ba ab, so that a machine which becomes slower favours neither."""
        return [(run, way) for run in range(self.runs) for way in ways[:: 1 if run % 2 == 0 else -1]]


@dataclass
class Section:
    """A table beside the scenarios: `heads` and `lines` as for tabulate, `words` above it."""

    name: str
    title: str
    words: str
    heads: list[str]
    lines: list[list[str]] = field(default_factory=list)


def percentile(figures: Sequence[float], share: float) -> float:
    """The smallest of the figures that is not exceeded by this share of them."""
    return sorted(figures)[max(0, math.ceil(share * len(figures)) - 1)]
