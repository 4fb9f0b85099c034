"""Puts the figures of a run into docs/performance.md, between two marks; nothing else there is touched."""

from __future__ import annotations

from pathlib import Path

BEGIN = "<!-- figures: written by make bench ARGS=--write-docs, not by hand -->"
END = "<!-- end of figures -->"


def put(figures: str, path: Path) -> None:
    """Replace what stands between the marks; ValueError if they are not there."""
    before, found, rest = path.read_text().partition(BEGIN)
    _, ends, after = rest.partition(END)
    if not (found and ends):
        raise ValueError(f"{path} has no line {BEGIN} or {END}")
    path.write_text(f"{before}{BEGIN}\n\n{figures.strip()}\n\n{END}{after}")
