"""The SQL of the core as source: which file holds what, and which function calls which.

A name with `_` in front (`rowferry._now`) counts wherever it stands, also in the text of a function that is generated later; a
name that people type counts only outside of strings, since hints name it too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .nodes import REPO

CORE = REPO / "sql" / "core"
APART = {"tables", "revisions", "history"}
TOKEN = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?\*/)|(?P<string>[eE]?'(?:[^']|'')*')|(?P<dollar>\$\w*\$)|(?P<quoted>\"[^\"]*\")|(?P<other>.)",
    re.DOTALL,
)
MADE = re.compile(r"^create or replace (?:function|view|procedure) rowferry\.(\w+)", re.MULTILINE)
NAME = re.compile(r"\browferry\.(\w+)")


@dataclass(frozen=True)
class Source:
    """A file of a folder, with the functions or the view that it makes."""

    path: Path
    folder: str
    name: str
    lines: int
    calls: frozenset[str]


def folders(core: Path = CORE) -> dict[str, str]:
    """What each folder is, in a line, in the order of sql/core/README.md: each calls only what stands above it."""
    rows = re.findall(r"^\| `(\w+)/` \| (.+?) \|$", (core / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    return dict(rows)


def sources(core: Path = CORE) -> dict[str, Source]:
    """Each function and view by its name."""
    texts = {path: path.read_text(encoding="utf-8") for path in sorted(core.glob("*/*.sql")) if path.parent.name not in APART}
    names = {name for text in texts.values() for name in MADE.findall(text)}
    found = {}
    for path, text in texts.items():
        for name in MADE.findall(text):
            called = frozenset((set(named(text)) & names) - {name})
            found[name] = Source(path, path.parent.name, name, text.count("\n"), called)
    return found


def named(text: str) -> Iterator[str]:
    """The names of schema rowferry that a text uses."""
    code, strings = parts(text)
    yield from NAME.findall(code)
    yield from (name for name in NAME.findall(strings) if name.startswith("_"))


def parts(text: str) -> tuple[str, str]:
    """A text without comments, as what runs and what is a string. The body of a function runs; in it, all quotes are strings."""
    text = re.sub(r"^comment on .*?;$", "", text, flags=re.MULTILINE | re.DOTALL)
    code: list[str] = []
    strings: list[str] = []
    position, opened = 0, []
    while match := TOKEN.match(text, position):
        position = match.end()
        kind, word = match.lastgroup, match[0]
        if kind == "dollar" and opened and word == opened[-1]:
            opened.pop()
        elif kind == "dollar" and opened:
            end = text.index(word, position) + len(word)
            strings.append(text[position:end])
            position = end
        elif kind == "dollar":
            opened.append(word)
        elif kind == "string":
            strings.append(word)
        elif kind != "comment":
            code.append(word)
    return "".join(code), "\n".join(strings)


def columns(table: str, core: Path = CORE) -> list[str]:
    """The columns of a table as its file has them."""
    text = (core / "tables" / f"{table}.sql").read_text(encoding="utf-8")
    body = re.search(rf"create table rowferry\.{table} \(\n(.*?)\n\)", text, re.DOTALL)
    assert body, table
    names = re.findall(r"^  (\w+) ", body[1], re.MULTILINE)
    return [name for name in names if name not in ("primary", "unique", "check", "constraint", "foreign")]
