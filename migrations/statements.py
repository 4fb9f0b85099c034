"""The statements of an SQL file, by the tokens of a parser: what begins or ends a transaction, what only psql understands."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import TokenError
from sqlglot.tokens import Token, TokenType  # type: ignore[attr-defined]

QUOTED = {
    TokenType.STRING,
    TokenType.BYTE_STRING,
    TokenType.BIT_STRING,
    TokenType.HEX_STRING,
    TokenType.NATIONAL_STRING,
    TokenType.UNICODE_STRING,
    TokenType.HEREDOC_STRING,
    TokenType.RAW_STRING,
    TokenType.IDENTIFIER,
}
TRANSACTION = {"begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release"}


class _Tokenizer(Postgres.Tokenizer):
    # A statement that SQLGlot does not parse would else be one token to the next semicolon, be that in a string.
    COMMANDS: ClassVar[set[TokenType]] = set()


@dataclass(frozen=True)
class Statement:
    """A statement with its semicolon: where it begins in its file, and its tokens, as they are spelled and as words: in lower
    case, null in place of what is quoted."""

    text: str
    position: int
    line: int
    tokens: tuple[str, ...]
    words: tuple[str | None, ...]

    def is_of_a_transaction(self) -> bool:
        """Whether it begins or ends a transaction, or a part of one."""
        return self.words[0] in TRANSACTION or self.words[:2] == ("prepare", "transaction")

    def copies(self) -> bool:
        """Whether it is a copy from or to whoever sends it."""
        return self.words[0] == "copy" and not {("from", "stdin"), ("to", "stdout")}.isdisjoint(itertools.pairwise(self.words))

    def gives_up_locks(self) -> bool:
        """Whether it gives up the session's advisory locks, whoever took them."""
        return self.words[:2] == ("discard", "all") or "pg_advisory_unlock_all" in self.words

    def index(self) -> tuple[str, str] | None:
        """The index that it builds concurrently and its table, as it spells them; None if it builds none, or names none."""
        place = 2 if self.words[:2] == ("create", "unique") else 1
        if self.words[0] != "create" or self.words[place : place + 2] != ("index", "concurrently"):
            return None
        place += 5 if self.words[place + 2 : place + 5] == ("if", "not", "exists") else 2
        if "on" not in self.words[place:-1]:
            return None
        on = self.words.index("on", place)
        table = on + 2 if self.words[on + 1] == "only" else on + 1
        end = next((i for i, word in enumerate(self.words) if i > table and word in ("(", "using")), table + 1)
        return ("".join(self.tokens[place:on]), "".join(self.tokens[table:end])) if on > place else None


class Unfinished(Exception):
    """A quotation or a comment has no end."""


@functools.cache  # each file is read for each node, and looked into more than once
def split(text: str) -> tuple[Statement, ...]:
    """The statements of a file, where psql ends them. Raises Unfinished."""
    try:
        tokens = _Tokenizer().tokenize(text)
    except TokenError as error:
        raise Unfinished from error
    return tuple(_split(text, tokens))


def _split(text: str, tokens: list[Token]) -> Iterator[Statement]:
    start, part, depth, body = 0, list[Token](), 0, 0
    for token in tokens:
        part.append(token)
        word = _word(token)
        depth += (word == "(") - (word == ")")
        if depth == 0 and _makes_a_function(part):  # its body may be begin atomic .. end
            body += word == "begin" or (word == "case" and body > 0)
            body -= word == "end" and body > 0
        if word == ";" and depth <= 0 and body == 0:
            yield _statement(text, start, token.end + 1, part)
            start, part, depth = token.end + 1, [], 0
    if part:
        yield _statement(text, start, len(text), part)


def _statement(text: str, start: int, end: int, tokens: list[Token]) -> Statement:
    return Statement(text[start:end], start, tokens[0].line, tuple(map(_spelled, tokens)), tuple(map(_word, tokens)))


def _word(token: Token) -> str | None:
    return None if token.token_type in QUOTED else token.text.lower()


def _spelled(token: Token) -> str:
    return '"' + token.text.replace('"', '""') + '"' if token.token_type is TokenType.IDENTIFIER else token.text


def _makes_a_function(part: list[Token]) -> bool:
    words = [_word(token) for token in part[:4]]
    if words[1:3] == ["or", "replace"]:
        del words[1:3]
    return words[:1] == ["create"] and words[1:2] in (["function"], ["procedure"])
