"""Literals that a session reads by its settings."""

import re
from collections.abc import Iterator

# Comments, quoted names and literals; what is quoted by dollars is SQL again, and looked into.
TOKEN = re.compile(
    r"""--[^\n]* | /\*.*?\*/ | "(?:[^"]|"")*" | \b[eE]'(?:[^'\\]|\\.|'')*' | (?:\b[uU]&)?'(?:[^']|'')*'""", re.VERBOSE | re.DOTALL
)


def ambiguous_literals(text: str) -> Iterator[str]:
    """Literals of an SQL text that standard_conforming_strings or backslash_quote make others of: write E'..', and '' in it."""
    for token in TOKEN.findall(text):
        if "'" in token and not token.startswith(("--", "/*", '"')):
            escaped = token[0] in "eE" and not re.search(r"(?<!\\)(?:\\\\)*\\'", token)
            if "\\" in token and not escaped:
                yield token
