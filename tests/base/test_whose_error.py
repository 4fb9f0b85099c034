"""Whether an error is the fault of users' code, by the call stack, in whatever language the server writes it."""

import pytest

from harness import Nodes

OURS = {
    "en": "PL/pgSQL function rowferry.apply_notes(text[]) line 9 at SQL statement",
    "de": "PL/pgSQL-Funktion rowferry.apply_notes(text[]) Zeile 9 bei SQL-Anweisung",
    "fr": "fonction PL/pgSQL rowferry.apply_notes(text[]), ligne 9 à instruction SQL",
    "es": "función PL/pgSQL rowferry.apply_notes(text[]) en la línea 9 en sentencia SQL",
}
USERS = {
    "en": "PL/pgSQL function app.note() line 3 at {}",
    "de": "PL/pgSQL-Funktion app.note() Zeile 3 bei {}",
    "fr": "fonction PL/pgSQL app.note(), ligne 3 à {}",
    "es": "función PL/pgSQL app.note() en la línea 3 en {}",
}
STATEMENTS = {
    "en": 'SQL statement "update PL/x"',
    "de": "SQL-Anweisung »update«",
    "fr": "instruction SQL « update »",
    "es": "sentencia SQL: «update»",
}
SQL_FUNCTIONS = {
    "en": 'SQL function "f" statement 1',
    "de": "SQL-Funktion »f« Anweisung 1",
    "fr": "fonction SQL « f », instruction 1",
    "es": "función SQL «f» en la sentencia 1",
}


def is_transient(nodes: Nodes, state: str, *lines: str) -> bool:
    [row] = nodes.crm.sql("select rowferry._is_transient(%s, %s) as it", [state, "\n".join(lines)])
    return bool(row["it"])


@pytest.mark.catalog
@pytest.mark.parametrize("language", USERS)
def test_an_error_of_users_code_is_told_from_one_of_the_server_in_any_language(nodes: Nodes, language: str) -> None:
    ours, users, statement = OURS[language], USERS[language], STATEMENTS[language]
    for state in ("53100", "58030", "08006"):
        assert is_transient(nodes, state, statement, ours)
        assert not is_transient(nodes, state, users.format("PERFORM"), statement, ours)
        assert not is_transient(nodes, state, SQL_FUNCTIONS[language], statement, ours)
    for state in ("40001", "57014"):
        assert is_transient(nodes, state, users.format("PERFORM"), statement, ours)
        assert not is_transient(nodes, state, users.format("RAISE"), statement, ours)
        assert is_transient(nodes, state, ours.rpartition(" ")[0] + " RAISE")
    assert not is_transient(nodes, "23505", ours)
