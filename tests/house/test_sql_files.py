"""Rules that keep an SQL file running the same way online, in a script and in psql."""

from pathlib import Path

import pytest

from harness import REPO
from rowferry.migrations import sqlfile

SQL_FILES = sorted(path for lineage in ("core", "site") for path in (REPO / "sql" / lineage).rglob("*.sql"))


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: str(path.relative_to(REPO)))
def test_each_file_runs_the_same_everywhere(path: Path) -> None:
    assert list(sqlfile.broken_rules(path.read_bytes())) == []


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"select 1;\r\n", "carriage return"),
        (b"\xef\xbb\xbfselect 1;\n", "byte order mark"),
        (b"select '\xe9';\n", "not UTF-8"),
        (b"BEGIN;\nselect 1;\n", "transaction"),
        (b"select 1;\n  commit ;\n", "transaction"),
        (b"select 1; rollback;\n", "transaction"),
        (b"-- why\nstart transaction read only;\n", "transaction"),
        (b"create table a ();\nend;\ncreate table b ();\n", "transaction"),
        (b"select 1;\nabort work;\n", "transaction"),
        (b"prepare transaction 'x';\n", "transaction"),
        (b"commit prepared 'x';\n", "transaction"),
        (b"/* a /* nested */ ; */ end /* here */ and chain;\n", "transaction"),
        (
            b"create function f() returns int language sql begin atomic select case when true then 1 end; end; commit;\n",
            "transaction",
        ),
        (b"savepoint s;\n", "transaction"),
        (b"\\i other.sql\nselect 1;\n", "psql"),
        (b"select 1 \\gset\n;\n", "psql"),
        (b"copy t from stdin;\n", "copies from stdin"),
        (b"select 'a;\n", "without an end"),
        (b"do $$ begin;\n", "without an end"),
    ],
)
def test_a_file_that_runs_differently_somewhere_is_refused(tmp_path: Path, data: bytes, rule: str) -> None:
    path = tmp_path / "bad.sql"
    path.write_bytes(data)
    with pytest.raises(Exception, match=rule) as caught:
        sqlfile.read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "do $$\nbegin\n  commit;\nend\n$$;\n",
        "create function f() returns int language sql begin atomic\n  select 1;\n  select 2;\nend;\n",
        "",
        "-- nothing but a comment: end;\n",
        "select 1\n",
        "select 1;\n\n\n",
        "select 'a\ttab' -- and no end",
        "/* /* nested: */ commit; */ select 1;\n",
        "prepare q as select ';commit;' || $a$;abort;$a$;\n",
        "create table t (\"end\" int, begin_at date);\nselect end_at, \"end\" from t where ';end;' <> E'\\\\';\n",
        "-- commit;\nselect ';\nbegin;\n', e'\\'\\n', \"a\\b\", $x$ \\i $$ $x$ /* \\q ' */;\n",
    ],
)
def test_rules_look_at_statements_only(text: str) -> None:
    assert list(sqlfile.broken_rules(text.encode())) == []


def test_the_folder_of_migrations_ships_without_revisions_of_a_site() -> None:
    assert not list((REPO / "migrations" / "site").glob("*.py"))
    assert not list((REPO / "sql" / "site").rglob("*.sql"))
