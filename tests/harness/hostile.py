"""Names made to break quoting."""

HOSTILE = [
    'x"y',
    "it's",
    "a b",
    "100%s%I%1$s",
    "a.b",
    "é😀",
    "n" * 63,
    "é" * 31,
    "😀" * 15,
    "select",
    '"; drop table x; --',
    "a$b$$",
    "$f$",
    "$1",
    "back\\slash",
    "tab\there",
    "record_id",
    "rowferry_truncate",
    "{a,b}",
    "Upper",
]


def quoted(name: str) -> str:
    """The name as an identifier in SQL."""
    return '"' + name.replace('"', '""') + '"'
