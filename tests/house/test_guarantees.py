"""docs/guarantees.md names, for each case, the tests that hold it: as marked in the tests, or the reason why there is none.

Run as a program, this file writes that column.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "guarantees.md"
ROW = re.compile(r"^\| (?P<case>\d+) \| (?P<priority>P\d) \| (?P<text>[^|]+) \| (?P<held>[^|]*)\|$")


def marked() -> dict[int, list[str]]:
    """Tests by the number of a case in `@pytest.mark.case(..)`, as `file test`, sorted."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py"), key=lambda path: path.stem):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.case":
                        for number in mark.args:
                            found[ast.literal_eval(number)].append(f"`{path.stem[5:]}` {node.name[5:].replace('_', ' ')}")
    return found


def rows(page: str) -> Iterator[re.Match[str]]:
    return filter(None, map(ROW.match, page.splitlines()))


def written(page: str) -> str:
    """The page with its column `held by` as the marks have it; a reason (`none: ..`) stays where there is no test."""
    held = marked()
    lines = []
    for line in page.splitlines():
        row = ROW.match(line)
        if row:
            tests = "; ".join(held[int(row["case"])]) or row["held"].strip()
            line = f"| {row['case']} | {row['priority']} | {row['text']} | {tests} |"
        lines.append(line)
    return "\n".join(lines) + "\n"


def test_the_page_names_the_tests_that_hold_each_case() -> None:
    page = PAGE.read_text()
    assert page == written(page), "run: python tests/house/test_guarantees.py"


def test_every_case_has_a_test_or_a_reason() -> None:
    page = list(rows(PAGE.read_text()))
    assert len(page) > 80
    assert [row["case"] for row in page if not row["held"].strip()] == []
    assert set(marked()) <= {int(row["case"]) for row in page}


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
