"""The picture of the results: one bar for each scenario, how far it is from its goal."""

from __future__ import annotations

import re
from pathlib import Path

import pygal
from pygal.style import Style

from bench.report import Result

MET, MISSED = "#2e7d32", "#c62828"
DARK, PALE = "#222222", "#bbbbbb"
MOST = 3.0  # a longer bar would make the others unreadable; its label says the true figure


def share(result: Result) -> float:
    """How good it is, 1 being the goal: the ratio to the goal, turned round where less is better."""
    return result.ratio / result.goal if result.better == "more" else result.goal / result.ratio


def label(result: Result) -> str:
    sign = "≥" if result.better == "more" else "≤"
    unit = f" {result.unit}" if result.peer is None else ""
    return f"{result.name}: {result.ratio:.3g}{unit} (goal {sign} {result.goal:g})"


def draw(results: list[Result], path: Path) -> None:
    """An SVG without scripts and without anything to be fetched."""
    style = Style(
        background="white",
        plot_background="white",
        foreground=DARK,
        foreground_strong=DARK,
        foreground_subtle=PALE,
        guide_stroke_color=PALE,
        major_guide_stroke_color=PALE,
        colors=(MET, MISSED),
        font_family="sans-serif",
        label_font_size=13,
        major_label_font_size=13,
        title_font_size=16,
        legend_font_size=13,
    )
    chart = pygal.HorizontalBar(
        style=style,
        js=[],
        width=1000,
        height=90 + 30 * len(results),
        show_legend=False,
        title=f"1 is the goal, longer is better (turned round where less is better; cut at {MOST:g})",
        x_labels=[label(result) for result in reversed(results)],
        range=(0, MOST),
        disable_xml_declaration=True,
        print_values=False,
    )
    chart.uuid = "benchmark"  # not a random one: the same results are the same picture
    chart.y_labels = [0, 0.5, 1, 1.5, 2, 2.5, MOST]
    chart.add(
        "share",
        [{"value": min(share(result), MOST), "color": MET if result.met else MISSED} for result in reversed(results)],
    )
    drawn = re.sub(r"<script.*?</script>|<!--.*?-->", "", chart.render(is_unicode=True), flags=re.DOTALL)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(drawn + "\n")
