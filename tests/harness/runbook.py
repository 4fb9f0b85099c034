"""docs/runbook.md as a play: the statements of a drill go through the real psql, and what psql prints is what the page shows."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.nodes import REPO, Node, Nodes

PAGE = REPO / "docs" / "runbook.md"
PSQLRC = REPO / "sql" / "psql" / "rowferry.psqlrc"
ACTS = ("See", "Do", "Mend", "Then")
CHAPTERS = ("## Tour", "## Drills")
TERMINAL = "\\set QUIET on\n\\pset columns 150\n\\pset format wrapped\n\\unset QUIET\n"
HOST = "worker-1"  # stands in the page for the machine on which it was written

# What no two plays have in common.
VARIES = [
    (re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?([+-]\d\d(:\d\d)?)?"), "TIME"),
    (re.compile(r"(?<![\w:])-?(\d+ days? )?\d\d:\d\d:\d\d(\.\d+)?"), "AGE"),
    (re.compile(r"\bpid \d+"), "pid N"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"-?\b\d{15,}\b"), "NUMBER"),
    (re.compile(r"-?\b\d+\.\d+\b"), "N.N"),
    (re.compile(r"-{2,}"), "-"),
    (re.compile(r"[ \t]+"), " "),
]


@dataclass
class Statement:
    """One statement of the page: on which node, its lines as typed, and where its output stands in the page."""

    node: str
    lines: list[str]
    output: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """As psql is given it."""
        return "\n".join(self.lines)

    def shown(self) -> list[str]:
        """Prompt and statement, as in a session."""
        first, *rest = self.lines
        return [f"{self.node}=# {first}", *(f"{self.node}-# {line}" for line in rest)]


@dataclass
class Drill:
    """A section of the page: per act, the statements and the lines of the page between which their block stands."""

    title: str
    chapter: str
    acts: dict[str, list[Statement]] = field(default_factory=dict)
    blocks: dict[str, tuple[int, int]] = field(default_factory=dict)


def drills(page: str) -> Iterator[Drill]:
    """The sections `### title` of two chapters, with the block after each line `See:`, `Do:`, `Mend:`, `Then:`."""
    lines = page.splitlines()
    number, chapter = 0, ""
    drill, act = None, None
    while number < len(lines):
        line = lines[number]
        if line.startswith("## "):
            chapter = line
        if line.startswith("### ") and chapter in CHAPTERS:
            if drill:
                yield drill
            drill, act = Drill(line[4:], chapter[3:]), None
        elif line.rstrip(":") in ACTS:
            act = line.rstrip(":")
        elif line == "```" and drill and act:
            end = lines.index("```", number + 1)
            drill.acts[act] = list(statements(lines[number + 1 : end]))
            drill.blocks[act] = (number + 1, end)
            number, act = end, None
        number += 1
    if drill:
        yield drill


def statements(block: list[str]) -> Iterator[Statement]:
    """The statements of a block of the page, each with the output under it."""
    found: Statement | None = None
    for line in block:
        prompt = re.match(r"(\w+)([=-])# ?(.*)", line)
        if prompt and prompt[2] == "=":
            if found:
                yield found
            found = Statement(prompt[1], [prompt[3]])
        elif prompt and found:
            found.lines.append(prompt[3])
        elif found:
            found.output.append(line)
    if found:
        yield found


def play(statement: Statement, nodes: Nodes) -> list[str]:
    """What psql prints, with the settings of rowferry.psqlrc, the lines' trailing blanks removed."""
    node: Node = getattr(nodes, statement.node)
    printed = node.psql(f"\\i {PSQLRC}\n{TERMINAL}{statement.text}\n", "-q").replace(socket.gethostname(), HOST)
    lines = [line.rstrip() for line in printed.splitlines()]
    return lines[2:]  # what the psqlrc says of itself


def alike(lines: list[str]) -> list[str]:
    """The lines as far as two plays have them in common."""
    text = "\n".join(line.strip() for line in lines if line.strip())
    for pattern, stand_in in VARIES:
        text = pattern.sub(stand_in, text)
    return [line.strip() for line in text.splitlines()]


def write(page: Path, played: list[Drill]) -> None:
    """Put what the drills printed into the page."""
    lines = page.read_text().splitlines()
    blocks = [(*drill.blocks[act], said) for drill in played for act, said in drill.acts.items()]
    for start, end, said in sorted(blocks, key=lambda block: block[0], reverse=True):
        lines[start:end] = session(said)
    page.write_text("\n".join(lines) + "\n")


def session(said: list[Statement]) -> list[str]:
    """Statements and outputs as they follow each other in psql."""
    lines: list[str] = []
    for statement in said:
        output = statement.output
        while output and not output[-1]:
            output = output[:-1]
        lines += [*([""] if lines else []), *statement.shown(), *output]
    return lines
