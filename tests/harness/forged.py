"""Envelopes as somebody forges them who has the worker's login: any change, and the lengths and the digest right again."""

import json
from collections.abc import Callable
from typing import Any

from harness import Node

# Header and parts of the first section: keys, gone, asked, event keys, ids, stamps, hops, then body and id.
Change = Callable[[dict[str, Any], list[bytes | None]], None]


def forge(node: Node, envelope: bytes, change: Change) -> bytes:
    """The envelope with its header and first section changed, and the lengths and the digest made right again."""
    line, _, rest = envelope.partition(b"\n")
    size = int(line.split()[3])
    header, body = json.loads(rest[:size]), rest[size:]
    lengths = header["sections"][0]["bytes"]
    parts: list[bytes | None] = []
    for length in lengths:
        parts.append(None if length < 0 else body[: max(length, 0)])
        body = body[max(length, 0) :]
    original = list(lengths)
    change(header, parts)
    section = header["sections"][0] if isinstance(header.get("sections"), list) else None
    if isinstance(section, dict) and section.get("bytes") == original:
        section["bytes"] = [-1 if part is None else len(part) for part in parts]
    return seal(node, json.dumps(header).encode(), b"".join(part or b"" for part in parts))


def seal(node: Node, header: bytes, body: bytes) -> bytes:
    """An envelope with a right digest: any database can make one, of what is text at all."""
    text = (header + body).decode(errors="replace").replace("\0", "")
    [row] = node.sql('select to_hex(hashtextextended(%s collate "C", 0)) as digest', [text])
    return b"rowferry 1 %s %d\n" % (row["digest"].encode(), len(header)) + header + body


def field(*path: Any, value: Any) -> Change:
    """Sets a value in the header, or removes it where the value is `...`."""

    def change(header: dict[str, Any], _: list[bytes | None]) -> None:
        target: Any = header
        for step in path[:-1]:
            target = target[step]
        if value is ...:
            del target[path[-1]]
        else:
            target[path[-1]] = value

    return change


def part(number: int, value: bytes | None) -> Change:
    """Sets a part of the first section."""

    def change(_: dict[str, Any], parts: list[bytes | None]) -> None:
        parts[number] = value

    return change


def twice(header: dict[str, Any], parts: list[bytes | None]) -> None:
    """Each record stands in its section two times, with all that belongs to it."""
    for number, content in enumerate(parts):
        if content:
            parts[number] = content[:-1] + b"," + content[1:]
