"""The tests keep their own rules: short files of one subject, names that are there once, and one place for the clock."""

from collections import Counter

from harness import REPO

FILES = sorted((REPO / "tests").rglob("*.py"))
REPLACED = "create or replace function rowferry._now"


def test_no_file_is_longer_than_a_person_reads_at_once() -> None:
    lengths = {str(path.relative_to(REPO)): len(path.read_text().splitlines()) for path in FILES}
    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}


def test_no_two_test_files_have_one_name() -> None:
    """The page of guarantees and the lists of conftest.py name tests by it, and pytest imports them by it."""
    names = Counter(path.stem for path in FILES if path.name.startswith("test_"))
    assert [name for name, count in names.items() if count > 1] == []


def test_only_the_harness_replaces_the_clock() -> None:
    replacing = {path.name for path in FILES if REPLACED in path.read_text() and path.name != "test_tests.py"}
    assert replacing == {"clock.py"}
