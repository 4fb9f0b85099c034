"""The house of the core: folders that call only what stands above them, a file for each thing, nothing that nobody calls."""

import os
import re
import runpy
import subprocess
import sys

import pytest

from harness import REPO, Nodes
from harness.source import APART, CORE, MADE, columns, folders, named, parts, sources
from rowferry.migrations import sqlfile

# Of sql/core, what the Python of the migrations calls.
BY_MIGRATIONS = {"configure_node", "_note_release"}
# What members of rowferry_owner call, who need no grant; revisions of the site mostly.
BY_MEMBERS = {"add_outbox", "attach", "plan", "plan_facts", "remove_outbox", "remove_peer", "require_core", "set_rules"}


def test_the_readme_lists_all_folders() -> None:
    assert list(folders()) == list(dict.fromkeys(folders()))
    assert set(folders()) == {path.name for path in CORE.iterdir() if path.is_dir()} - APART


def test_each_folder_calls_only_what_stands_above_it() -> None:
    order = {folder: place for place, folder in enumerate(folders())}
    found = sources()
    upwards = [
        f"{source.folder}/{source.name} calls {found[name].folder}/{name}"
        for source in found.values()
        for name in sorted(source.calls)
        if order[found[name].folder] > order[source.folder]
    ]
    assert upwards == []


def test_a_file_is_named_as_what_it_makes_and_is_run_by_a_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    listed: set[str] = set()
    for revision in (REPO / "migrations" / "core").glob("0*.py"):
        run: list[str] = []
        monkeypatch.setattr(sqlfile, "run", run.append)
        runpy.run_path(str(revision))["upgrade"]()
        assert len(run) == len(set(run)), revision
        listed.update(run)
    for path in CORE.glob("*/*.sql"):
        if path.parent.name in APART - {"tables"}:
            continue
        made = set(MADE.findall(path.read_text())) | set(
            re.findall(r"^create (?:table|type) rowferry\.(\w+)", path.read_text(), re.M)
        )
        assert made == {path.stem}, path
        assert f"{path.parent.name}/{path.name}" in listed, path


def test_nobody_calls_no_function() -> None:
    found = sources()
    called = {name for source in found.values() for name in source.calls} | BY_MIGRATIONS | BY_MEMBERS
    for path in [*CORE.glob("tables/*.sql"), *CORE.glob("revisions/*.sql")]:
        text = path.read_text()
        called |= set(named(text)) | set(re.findall(r"'(\w+)\(", text))  # rights.sql lists signatures
    assert sorted(found.keys() - called) == []


def test_whatever_is_called_is_there() -> None:
    """A function may name what is made after it, so PostgreSQL looks only when it runs."""
    texts = {path: path.read_text() for path in CORE.glob("*/*.sql")}
    made = {
        name
        for text in texts.values()
        for name in re.findall(r"(?m)^create (?:\w+ )*?(?:table|type|view|function|sequence) rowferry\.(\w+)", text)
    }
    wanted = {(path.name, name) for path, text in texts.items() for name in named(text) if name.startswith("_")}
    assert sorted((file, name) for file, name in wanted if name not in made) == []


def test_each_column_stands_in_its_tables_file(nodes: Nodes) -> None:
    rows = nodes.crm.sql("""
        select c.relname::text as name, array_agg(a.attname::text order by a.attnum) as columns
        from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where c.relnamespace = 'rowferry'::regnamespace and c.relkind = 'r'
          and c.relname <> 'migration_log' and c.relname !~ '^alembic_version_'
        group by c.oid""")
    assert {row["name"]: row["columns"] for row in rows} == {path.stem: columns(path.stem) for path in CORE.glob("tables/*.sql")}


@pytest.mark.parametrize(
    ("text", "code", "quoted"),
    [
        ("as $$\nselect 'a''b' || c -- d\n$$;", "c", "a''b"),
        ("as $$ begin execute $x$ rowferry._f() $x$; end $$;", "execute", "rowferry._f()"),
        ("select \"it's\", 'x'", '"it\'s"', "x"),
    ],
)
def test_strings_are_told_from_what_runs(text: str, code: str, quoted: str) -> None:
    runs, strings = parts(text)
    assert code in runs and quoted not in runs and quoted in strings


def test_the_map_shows_the_present_folders_and_calls() -> None:
    command = [sys.executable, str(REPO / "tests" / "house" / "draw_map.py")]
    env = os.environ | {"PYTHONPATH": str(REPO / "tests")}
    drawn = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    assert drawn.stdout == (REPO / "docs" / "map.svg").read_text(), "the picture is stale. Hint: make map"


def test_no_view_takes_whatever_columns_a_table_has() -> None:
    """A node that was upgraded would have another view than a new one."""
    texts = {
        path.name: parts(path.read_text())[0] for path in CORE.glob("*/*.sql") if "create or replace view" in path.read_text()
    }
    assert len(texts) > 5
    assert [name for name, text in texts.items() if re.search(r"\w\.\*|select \*", text)] == []


def test_pages_about_the_core_name_files_and_functions_that_are_there() -> None:
    pages = [REPO / "docs" / "design.md", *(REPO / "docs" / "design").glob("*.md"), CORE / "README.md"]
    made = "\n".join(path.read_text() for path in [*CORE.rglob("*.sql"), *(REPO / "migrations").glob("*.py")])
    missing = []
    for page in pages:
        text = page.read_text()
        missing += [f"{page.name}: {name}" for name in re.findall(r"`(\w+/\w+\.sql)`", text) if not (CORE / name).is_file()]
        missing += [
            f"{page.name}: {name}" for name in re.findall(r"`(_\w+)(?:\(\))?`", text) if not re.search(rf"\b{name}\b", made)
        ]
    assert missing == []


def test_the_design_fits_in_a_head() -> None:
    lines = (REPO / "docs" / "design.md").read_text().splitlines()
    assert len(lines) <= 250 and max(map(len, lines)) <= 120


def test_the_readme_lists_every_error() -> None:
    """RF100 and beyond never leave a function."""
    sources = [*CORE.rglob("*.sql"), *(REPO / "migrations").glob("*.py"), *(REPO / "worker").rglob("*.py")]
    raised = {code for path in sources for code in re.findall(r"RF0\d\d", path.read_text())}
    listed = set(re.findall(r"^\| (RF0\d\d) \|", (CORE / "README.md").read_text(), re.MULTILINE))
    assert raised == listed


def test_whoever_writes_events_beside_the_courier_has_a_transaction_id_first() -> None:
    """Else a call could note a rest between the event's number and the id of the transaction, and never look again. The link's
    lock keeps such a call away; in an AFTER trigger, or after another write, the transaction has its id.
    """
    under_the_lock = {"apply", "build", "conflict", "exchange"}
    after_a_write = {"_capture_one_sql", "_capture_part_sql", "_capture_row_sql", "_capture_statement_sql", "_compare_queue"}
    early = [
        path.stem
        for path in CORE.rglob("*.sql")
        if "insert into rowferry.events" in (text := path.read_text())
        and path.parent.name not in under_the_lock
        and path.stem not in after_a_write
        and not {"_link_lock", "pg_current_xact_id"}
        & set(re.findall(r"_link_lock|pg_current_xact_id", text.partition("insert into rowferry.events")[0]))
    ]
    assert early == []
