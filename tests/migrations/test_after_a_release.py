"""A change after a release: each revision runs what it ran when it was released, up, down, printed and on a new node."""

import re
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
import release

from harness import REPO, Nodes
from harness.migrations import dump, succeed
from harness.releases import NOTE, altered, copy_of, fixed, ini_of, last_release, new_version, newest, texts

CREATED = "create table rowferry.links (\n"


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """The present tree stands for a release."""
    return copy_of(REPO, tmp_path / "released")


@pytest.fixture
def changed(released: Path, tmp_path: Path) -> Path:
    """A later tree: another text of a function, and one column more in a table."""
    tree = copy_of(released, tmp_path / "changed")
    function, table, up, down, *_ = new_version(tree, "pause", "links")
    function.write_text(re.sub(r"(\bis\s+')", r"\1New: ", function.read_text(), count=1))
    text = table.read_text()
    last = re.search(r"(?m)^  \w+ .*\n\);", text)
    assert last and CREATED in text
    text = text.replace(last[0], last[0].replace("\n);", ",\n  colour text\n);"))
    comment = "comment on column rowferry.links.colour is 'Its colour.';\n"
    table.write_text(text + comment)
    up.write_text("alter table rowferry.links add column colour text;\n" + comment)
    down.write_text("alter table rowferry.links drop column colour;\n")
    return tree


def script(nodes: Nodes, way: str, span: str, tree: Path) -> str:
    """What --sql prints, without the folder of its files."""
    return succeed(nodes, "-x", "node=crm", way, span, "--sql", ini=ini_of(tree)).replace(str(tree), "")


def test_up_and_down_and_up_again_is_what_each_version_had(blank: Nodes, released: Path, changed: Path) -> None:
    succeed(blank, "upgrade", "head", ini=ini_of(released))
    before = dump(blank.crm)
    succeed(blank, "upgrade", "head", ini=ini_of(changed))
    after = dump(blank.crm)
    assert "New: " in after and "colour text" in after
    succeed(blank, "downgrade", "-1", ini=ini_of(changed))
    assert dump(blank.crm) == before
    succeed(blank, "upgrade", "head", ini=ini_of(changed))
    assert dump(blank.crm) == after
    assert blank.crm.sql("select * from rowferry.drift()") == []


def test_a_new_node_gets_what_an_old_one_was_upgraded_to(blank: Nodes, released: Path, changed: Path) -> None:
    succeed(blank, "-x", "node=crm", "upgrade", "head", ini=ini_of(released))
    succeed(blank, "upgrade", "head", ini=ini_of(changed))
    assert dump(blank.crm) == dump(blank.billing)


def test_all_revisions_together_make_what_the_present_files_make(blank: Nodes, changed: Path, tmp_path: Path) -> None:
    succeed(blank, "-x", "node=crm", "upgrade", "head", ini=ini_of(changed))
    present = copy_of(changed, tmp_path / "present")
    core = present / "sql" / "core"
    for folder in (core / "history").iterdir():  # the files have it from the beginning, and there is nothing to alter
        for path in (core / "revisions").glob(f"{folder.name}_*.up.sql"):
            path.write_text("select;\n")
    shutil.rmtree(core / "history")
    succeed(blank, "-x", "node=billing", "upgrade", "head", ini=ini_of(present))
    assert dump(blank.crm) == dump(blank.billing)


def test_printed_scripts_of_the_release_stay_as_they_were(blank: Nodes, released: Path, changed: Path) -> None:
    head = f"core_{newest(released):04}"
    for way, span in (("upgrade", f"base:{head}"), ("downgrade", f"{head}:base")):
        assert script(blank, way, span, changed) == script(blank, way, span, released)


def test_each_version_has_its_number(blank: Nodes, released: Path, changed: Path) -> None:
    succeed(blank, "-x", "node=crm", "upgrade", "head", ini=ini_of(changed))
    assert blank.crm.sql("select rowferry.version() as version") == [{"version": newest(released) + 1}]
    succeed(blank, "-x", "node=crm", "downgrade", "-1", ini=ini_of(changed))
    assert blank.crm.sql("select rowferry.version() as version") == [{"version": newest(released)}]


@pytest.mark.parametrize(("name", "hint"), [("pauze", "pause"), ("version", "_session"), ("", "ls sql"), ("/x", "ls sql")])
def test_a_new_version_of_what_is_not_there_is_one_line(released: Path, name: str, hint: str) -> None:
    command = [sys.executable, "-m", "rowferry.migrations.new_function", name]
    wrong = subprocess.run(command, cwd=released, capture_output=True, text=True)
    assert wrong.returncode == 2 and f"Hint: {hint}" in wrong.stderr and len(wrong.stderr.splitlines()) == 1


def test_a_released_file_that_was_edited_in_place_is_found(released: Path, changed: Path) -> None:
    assert altered(texts(released), released) == altered(texts(released), changed) == []
    edited = changed / "sql" / "core" / "operate" / "resume.sql"
    edited.write_text(edited.read_text() + "-- edited\n")
    (changed / "sql" / "core" / "history" / f"{newest(changed):04}" / "tables" / "links.sql").unlink()
    revision = next((changed / "migrations" / "core").glob("0002_*.py"))
    revision.write_text(revision.read_text() + "# edited\n")
    assert altered(texts(released), changed) == [
        f"migrations/core/{revision.name}",
        "sql/core/operate/resume.sql",
        "sql/core/tables/links.sql",
    ]


def test_make_release_fixes_the_texts_and_dates_the_changelog(released: Path, capsys: pytest.CaptureFixture[str]) -> None:
    day = date(2026, 12, 24)
    (released / NOTE).parent.mkdir(parents=True)
    (released / "pyproject.toml").write_text('[project]\nversion = "7.8.9"\n')
    (released / "CHANGELOG.md").write_text("# Changelog\n\n## 7.8.8 (2026-11-01)\n")
    [refused] = release.release(released, day)
    assert "## 7.8.9 (unreleased)" in refused and not (released / NOTE).exists()
    (released / "CHANGELOG.md").write_text("# Changelog\n\n## 7.8.9 (unreleased)\n\n## 7.8.8 (2026-11-01)\n")
    assert release.release(released, day) == []
    assert (released / "CHANGELOG.md").read_text() == "# Changelog\n\n## 7.8.9 (2026-12-24)\n\n## 7.8.8 (2026-11-01)\n"
    assert "git tag -a v7.8.9" in capsys.readouterr().out
    assert fixed(released) == texts(released) != {}
    edited = released / "sql" / "core" / "operate" / "resume.sql"
    edited.write_text(edited.read_text() + "-- edited\n")
    [refused] = release.release(released, day)
    assert refused.startswith("sql/core/operate/resume.sql was released") and 'make new-function NAME="resume"' in refused


def test_the_last_release_is_made_again_from_a_later_tree(changed: Path, released: Path, tmp_path: Path) -> None:
    assert last_release(tmp_path / "none", changed) is None
    (changed / NOTE).parent.mkdir(parents=True)
    (changed / NOTE).write_text("# 0.1.0\n" + "".join(f"{sha256}  {name}\n" for name, sha256 in texts(released).items()))
    again = last_release(tmp_path / "again", changed)
    assert again and texts(again) == texts(released)


def test_no_text_of_the_last_release_was_edited_in_place() -> None:
    if not fixed():
        pytest.skip("nothing is released yet: make release fixes the texts")
    assert release.edited(REPO) == []
