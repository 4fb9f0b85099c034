"""Draws the folders of sql/core and the calls between them, from the code: `make map` writes it to docs/map.svg."""

from __future__ import annotations

from collections import Counter
from html import escape
from itertools import accumulate

from harness.source import folders, sources

ROW, LEFT, NAMES, DOT = 46, 24, 500, 40
HEAD = 150
INK, FAINT, BAR, CALL = "#1f2933", "#7b8794", "#9fb3c8", "#2b6cb0"


def draw() -> str:
    """The picture as SVG: a row for each folder; a dot in a row says that it calls the folder of that column, and how often."""
    found, order = sources(), folders()
    calls = Counter(
        (source.folder, found[name].folder)
        for source in found.values()
        for name in source.calls
        if found[name].folder != source.folder
    )
    functions = Counter(source.folder for source in found.values())
    most_functions, most_calls = max(functions.values()), max(calls.values())
    width, height = NAMES + DOT * len(order) + 40, HEAD + ROW * len(order) + 20
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        text(LEFT, 40, "sql/core: who calls whom", 24, INK, bold=True),
        text(
            LEFT,
            66,
            f"{len(found)} functions and views. Each folder calls only what stands above it.",
            14,
            FAINT,
        ),
        text(LEFT, 86, "A dot in a row: this folder calls the one of the column; its number says how many calls.", 14, FAINT),
    ]
    tops = dict(zip(order, accumulate([HEAD, *[ROW] * (len(order) - 1)]), strict=True))
    for place, folder in enumerate(order):
        top, centre = tops[folder], NAMES + DOT * place + DOT / 2
        if place % 2:
            out.append(f'<rect x="0" y="{top}" width="{width}" height="{ROW}" fill="#f5f7fa"/>')
        out.append(
            f'<text transform="translate({centre + 5:.0f} {HEAD - 10}) rotate(-45)" font-size="13" fill="{INK}">{folder}</text>'
        )
    for place, (folder, what) in enumerate(order.items()):
        top, centre = tops[folder], NAMES + DOT * place + DOT / 2
        bar = 150 * functions[folder] / most_functions
        out += [
            text(LEFT, top + 19, folder, 16, INK, bold=True),
            f'<rect x="{LEFT + 100}" y="{top + 8}" width="{bar:.0f}" height="13" rx="2" fill="{BAR}"/>',
            text(LEFT + 106 + bar, top + 19, str(functions[folder]), 12, FAINT),
            text(LEFT, top + 37, what.partition(":")[0], 12, FAINT),
            f'<line x1="{centre}" y1="{top + ROW / 2}" x2="{centre}" y2="{HEAD + ROW * len(order)}" stroke="#d9dee4"/>',
            f'<rect x="{centre - 5}" y="{top + ROW / 2 - 5}" width="10" height="10" fill="#cbd2d9"/>',
        ]
    for (caller, called), number in sorted(calls.items()):
        x, y = NAMES + DOT * list(order).index(called) + DOT / 2, tops[caller] + ROW / 2
        share = (number / most_calls) ** 0.5
        radius, opacity = 8 + 9 * share, 0.35 + 0.6 * share
        out.append(f'<circle cx="{x}" cy="{y}" r="{radius:.1f}" fill="{CALL}" fill-opacity="{opacity:.2f}"/>')
        out.append(f'<text x="{x}" y="{y + 4}" font-size="11" fill="#ffffff" text-anchor="middle">{number}</text>')
    return "\n".join([*out, "</svg>", ""])


def text(x: float, y: float, words: str, size: int, colour: str, bold: bool = False) -> str:
    """A line of words, its left end at x, y."""
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{colour}"{weight}>{escape(words)}</text>'


if __name__ == "__main__":
    print(draw(), end="")
