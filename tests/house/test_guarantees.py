"""docs/guarantees.md names, for each promise and each case, the tests that hold it: as marked in the tests, or why there is none.

Run as a program, this file writes these names into the page.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
PAGE = TESTS.parent / "docs" / "guarantees.md"
PROMISES = [f"R{number}" for number in range(1, 16)]
PROMISE = re.compile(r"^### (?P<promise>R\d+)\. ")
HELD_BY = "Held by:"
ROW = re.compile(r"^\| (?P<case>\d+) \| (?P<priority>P\d) \| (?P<text>[^|]+) \| (?P<held>[^|]*)\|$")


def marked(mark: str) -> dict[str, list[str]]:
    """Tests by what stands in `@pytest.mark.<mark>(..)`, as `folder/file` test, sorted."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                for decorator in node.decorator_list:
                    if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == f"pytest.mark.{mark}":
                        for held in decorator.args:
                            name = f"`{path.parent.name}/{path.stem[5:]}` {node.name[5:].replace('_', ' ')}"
                            found[str(ast.literal_eval(held))].append(name)
    return found


def rows(page: str) -> Iterator[re.Match[str]]:
    return filter(None, map(ROW.match, page.splitlines()))


def written(page: str) -> str:
    """The page with the tests that the marks name; where a case has no test, its reason (`none: ..`) stays."""
    cases, promises, promise, listed = marked("case"), marked("promise"), "", False
    lines = []
    for line in page.splitlines():
        if listed and (not line or line.startswith("- `")):
            continue  # what the page named before
        lines += [""] if listed else []
        heading, row, listed = PROMISE.match(line), ROW.match(line), line == HELD_BY
        if heading:
            promise = heading["promise"]
        elif row:
            tests = "; ".join(cases[row["case"]]) or row["held"].strip()
            line = f"| {row['case']} | {row['priority']} | {row['text']} | {tests} |"
        lines.append(line)
        if listed:
            lines += ["", *(f"- {test}" for test in promises[promise])]
    return "\n".join(lines) + "\n"


def test_the_page_names_the_tests_that_hold_each_case() -> None:
    page = PAGE.read_text()
    assert page == written(page), "run: python tests/house/test_guarantees.py"


def test_every_case_has_a_test_or_a_reason() -> None:
    page = list(rows(PAGE.read_text()))
    assert len(page) > 80
    assert [row["case"] for row in page if not row["held"].strip()] == []
    assert set(marked("case")) <= {row["case"] for row in page}


def test_every_promise_is_explained_and_has_a_test() -> None:
    lines = PAGE.read_text().splitlines()
    explained = [heading["promise"] for heading in filter(None, map(PROMISE.match, lines))]
    assert explained == PROMISES
    assert lines.count(HELD_BY) == len(PROMISES)
    assert sorted(marked("promise")) == sorted(PROMISES)


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
