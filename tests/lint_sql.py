"""What is wrong with the SQL that a node is given: each finding a line, exit code 1 if there are any.

    python tests/lint_sql.py < SCRIPT        SCRIPT: alembic -x node=crm upgrade head --sql

pgspot looks for names that somebody else could catch; the rules below are rowferry's own.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from typing import Any

import pgspot.visitors
from pglast import ast, parse_plpgsql, parse_sql
from pglast.parser import ParseError
from pglast.visitors import Visitor
from pgspot.state import Counter, State

# Made part of the statement that calls them, which a setting would prevent; every name in them is qualified.
# Or, for _left_nothing(), which looks at the setting of its caller; is_applying() is called for each row of a peer's.
WITHOUT_SEARCH_PATH = {
    "_now",
    "_unaltered",
    "_events_of_record",
    "_held_of_record",
    "_is_free",
    "_anything_rare",
    "_stamp",
    "_event_bytes",
    "_sendable_events",
    "_winner",
    "_index_key",
    "_left_nothing",
    "_link_key",
}
WITHOUT_SEARCH_PATH |= {"is_applying"}
# What went wrong is passed on with its SQLSTATE; whatever it was, it may not end the call.
CATCH_ALL = {
    "_try_sections",
    "_compare",
    "_hopeless",
    "_is_outside",
    "_leave_altered",
    "_leave_locked",
    "_needs",
    "_queue_backfill",
    "_queue_followers",
    "_read_rows",
    "_refusal",
    "_refuse_record",
    "_sequences_of",
    "_trip_breakers",
    "_unreadable_records",
    "_weigh_places",
    "_with_holders",
    "_with_rows",
    "plan_facts",
    "skip",
}
# Their errors are caught by the functions themselves or end in the report of a comparison.
CAUGHT = {"_check_header", "_decode", "_try_sections", "_compare_ask", "_compare_hear"}
# A plan that is kept compares each key with each; the events of some keys are found over their index.
EACH_WITH_EACH = (
    r"(?:<> all|= any) \((?:coalesce\()?(?:[\w\[\]]+\.)?\w*(?:keys|records|record_ids|gone|here|missing|single)\b(?!\()"
)
ERROR, SQLSTATE, MESSAGE, HINT = 21, 0, 1, 3  # of the parser's raise statements

PARSE = pgspot.visitors.visit_sql


def main() -> int:
    """Findings in the script on standard input; exit code."""
    script = readable(sys.stdin.read())
    findings = [*found_by_pgspot(script), *found_by_own_rules(script)]
    print(*findings, sep="\n")
    return 1 if findings else 0


def found_by_pgspot(script: str) -> Iterator[str]:
    """What pgspot says of the whole script, in which it sees the schema being made that all else is in."""
    found: list[str] = []
    options = {
        "plpgsql": True,
        "ignore": [],
        "ignore_lang": [],
        "sql_fn": [],
        "proc_without_search_path": [],
        "summary_only": False,
    }
    counter = Counter(argparse.Namespace(**options))
    counter.print_issue = lambda code, context: found.append(f"{code} {context}")
    state = State(counter)
    pgspot.visitors.visit_sql = statement_or_expression
    for statement in parse_sql(script):
        pgspot.visitors.SQLVisitor(state)(statement)
    for finding in found:
        function = re.match(r"PS00[35] rowferry\.(\w+)\(", finding)
        if not function or function[1] not in WITHOUT_SEARCH_PATH:
            yield finding


def statement_or_expression(state: State, sql: str, toplevel: bool = False) -> None:
    """pgspot takes some expressions of PL/pgSQL for statements."""
    try:
        PARSE(state, sql, toplevel)
    except ParseError:
        PARSE(state, f"select {sql}", toplevel)


def found_by_own_rules(script: str) -> Iterator[str]:
    """Errors say what to do, nothing is caught unnamed, rows name their columns, no table is emptied by accident, no keys
    are compared each with each."""
    for statement in parse_sql(script):
        text = script[statement.stmt_location : statement.stmt_location + statement.stmt_len]
        function = re.search(r"create or replace function rowferry\.(\w+)\(", text)
        name = function[1] if function else text.strip().partition("\n")[0]
        yield from (f"{name}: {found}..): in (select unnest(..))" for found in re.findall(EACH_WITH_EACH, text))
        if "language plpgsql" in text or isinstance(statement.stmt, ast.DoStmt):
            for kind, node in nodes(parse_plpgsql(text)):
                yield from (f"{name}: {finding}" for finding in broken_by(kind, node, name))
        else:
            yield from (f"{name}: {finding}" for finding in broken_by_query(text))


def nodes(tree: Any) -> Iterator[tuple[str, Any]]:
    """Each node of a tree of PL/pgSQL with its kind."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        if isinstance(key, str):
            yield key, value
        yield from nodes(value)


def broken_by(kind: str, node: Any, function: str) -> Iterator[str]:
    if kind == "PLpgSQL_stmt_raise" and node["elog_level"] == ERROR and node.keys() - {"lineno", "elog_level"}:
        options = [option["PLpgSQL_raise_option"] for option in node.get("options", [])]
        given = {option.get("opt_type", 0) for option in options}
        if function in CAUGHT or any(option["expr"]["PLpgSQL_expr"]["query"] == "'RF101'" for option in options):
            return
        wanted = ((SQLSTATE, "errcode"), (MESSAGE, "message"), (HINT, "hint"))
        if missing := [word for number, word in wanted if number not in given]:
            yield f"an error without {' and '.join(missing)}, line {node['lineno']}"
    elif kind == "PLpgSQL_condition" and node["condname"] == "others" and function not in CATCH_ALL:
        yield "catches all errors, whatever they are"
    elif kind == "PLpgSQL_stmt_execsql":
        yield from broken_by_query(node["sqlstmt"]["PLpgSQL_expr"]["query"])


def broken_by_query(query: str) -> Iterator[str]:
    found: list[str] = []

    class Rules(Visitor):  # type: ignore[misc]
        def visit_InsertStmt(self, _: Any, node: ast.InsertStmt) -> None:
            if node.cols is None and node.selectStmt is not None:
                found.append(f"an insert into {node.relation.relname} that names no columns")

        def visit_UpdateStmt(self, _: Any, node: ast.UpdateStmt) -> None:
            if node.whereClause is None and node.relation.relname != "node":  # it has one row
                found.append(f"an update of all rows of {node.relation.relname}")

        def visit_DeleteStmt(self, _: Any, node: ast.DeleteStmt) -> None:
            if node.whereClause is None:
                found.append(f"a delete of all rows of {node.relation.relname}")

    Rules()(parse_sql(query))
    yield from found


def readable(script: str) -> str:
    """The script as the parser of PL/pgSQL can read it, which has no catalog.

    A variable of a table's row type is a record to it, so are parameters whose fields are set; pgspot drops quotes of names.
    """
    script = re.sub(r"^(  v_\w+ (?:constant )?)rowferry\.\w+(;| := | default )", r"\1record\2", script, flags=re.MULTILINE)
    script = script.replace('  "row" jsonb', "  row_ jsonb").replace('"row" :=', "row_ :=")

    def shadowed(function: re.Match[str]) -> str:
        names = sorted(set(re.findall(r"\b(p_\w+)\.\w+ := ", function[0])))
        declared = "".join(f"  {name} record;\n" for name in names)
        before = "\ndeclare\n" if "\ndeclare\n" in function[0] else "\nbegin\n"
        after = f"\ndeclare\n{declared}" + ("" if before == "\ndeclare\n" else "begin\n")
        return function[0].replace(before, after, 1) if names else function[0]

    return re.sub(r"^create or replace function .*?^\$(?:function)?\$;$", shadowed, script, flags=re.MULTILINE | re.DOTALL)


if __name__ == "__main__":
    sys.exit(main())
