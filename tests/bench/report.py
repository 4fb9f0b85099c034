"""What a scenario found, as a line of the table and of results.json."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import psutil
from tabulate import tabulate

from bench.run import Section


@dataclass
class Result:
    """`ours` and `peer` in `unit`; without a peer the figure of ours stands alone. `better`: more or less of the ratio."""

    name: str
    ours: float
    peer: float | None
    unit: str
    goal: float
    better: str
    ours_runs: list[float] = field(default_factory=list)
    peer_runs: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Ours to the peer's; the figure itself where there is no peer."""
        return self.ours if self.peer is None else self.ours / self.peer

    @property
    def met(self) -> bool:
        return self.ratio >= self.goal if self.better == "more" else self.ratio <= self.goal

    def as_dict(self) -> dict[str, float | str | None]:
        return {
            "ours": rounded(self.ours),
            "peer": None if self.peer is None else rounded(self.peer),
            "unit": self.unit,
            "ratio": rounded(self.ratio),
            "goal": self.goal,
            "better": self.better,
        }


def compared(name: str, ours: list[float], peer: list[float], unit: str, goal: float, better: str) -> Result:
    """Medians of the runs of both."""
    return Result(name, median(ours), median(peer), unit, goal, better, ours, peer)


def rounded(figure: float) -> float:
    return float(f"{figure:.4g}")


def spread(figures: list[float]) -> str:
    return f" ({shown(min(figures))} to {shown(max(figures))})" if len(figures) > 1 else ""


def shown(figure: float) -> str:
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:.3g}"


def table(results: list[Result]) -> str:
    """Markdown."""
    lines = [
        [
            f"`{r.name}`",
            shown(r.ours) + spread(r.ours_runs),
            "–" if r.peer is None else shown(r.peer) + spread(r.peer_runs),
            r.unit,
            f"{r.ratio:.2f}" if r.ratio < 100 else shown(r.ratio),
            f"{'≥' if r.better == 'more' else '≤'} {r.goal:g}",
            "yes" if r.met else "no",
        ]
        for r in results
    ]
    heads = ["scenario", "rowferry", "peer", "unit", "ratio", "goal", "met"]
    return tabulate(lines, heads, tablefmt="github", disable_numparse=True)


def machine(version: str) -> str:
    """On what it was measured."""
    memory = psutil.virtual_memory().total / 2**30
    return f"PostgreSQL {version}, {os.cpu_count()} processors, {memory:.0f} GB of memory, both servers on this machine."


def told(section: Section) -> str:
    """A table beside the scenarios, with its heading."""
    cells = tabulate(section.lines, section.heads, tablefmt="github", disable_numparse=True)
    return f"### {section.title}\n\n{section.words}\n\n{cells}"


def write(results: list[Result], path: Path, quick: bool) -> None:
    path.write_text(json.dumps({"quick": quick, "scenarios": {r.name: r.as_dict() for r in results}}, indent=2) + "\n")
