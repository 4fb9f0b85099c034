"""One node after the other is upgraded while users write on both and the worker runs."""

import configparser
import io
import re
import secrets
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from faults.clients import clients, install
from faults.judge import assert_nothing_lost
from faults.processes import wait_for_exchange

from harness import REPO, Nodes
from harness.migrations import INI, succeed
from harness.worker import wait_for_rest, worker

CHANGED = "process_batch"  # what the artificial next version has a new version of


def release() -> str | None:
    """The last release, by its tag; None where there is none yet, or no history, as in an archive of the source."""
    command = ["git", "describe", "--tags", "--match", "v[0-9]*", "--abbrev=0"]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    return done.stdout.strip() or None


def ini_of(tree: Path) -> Path:
    """An ini file that runs the revisions of that tree in place of the installed ones."""
    parser = configparser.RawConfigParser()
    parser.read(INI)
    parser["alembic"]["script_location"] = str(tree / "migrations")
    parser["alembic"]["version_locations"] = str(tree / "migrations" / "core")
    parser["alembic"]["sql_location"] = str(tree / "sql" / "core")
    ini = tree / "rolling.ini"
    with ini.open("w") as file:
        parser.write(file)
    return ini


def last_release(folder: Path) -> Path:
    """The ini file of the last release; without one, that of the tree as it is."""
    tag = release()
    if tag is None:
        return INI
    packed = subprocess.run(["git", "archive", tag, "migrations", "sql"], cwd=REPO, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder)
    return ini_of(folder)


def newest(tree: Path) -> int:
    """Number of the tree's newest revision of core."""
    return max(int(path.name[:4]) for path in (tree / "migrations" / "core").glob("0*.py"))


def next_version(folder: Path, before: Path) -> Path:
    """The ini file of the tree as it is; if it is no newer than what came before, that of the tree with one revision more."""
    if newest(REPO) > newest(before.parent):
        return INI
    for part in ("migrations", "sql"):
        shutil.copytree(REPO / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "rowferry.migrations.new_function", CHANGED]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    function = folder / done.stdout.split()[0]
    function.write_text(re.sub(r" is '", " is 'New: ", function.read_text(), count=1))
    return ini_of(folder)


@pytest.mark.slow
@pytest.mark.parametrize("order", [("crm", "billing"), ("billing", "crm")], ids="-".join)
def test_one_node_after_the_other_is_upgraded_under_load_and_nothing_is_lost_or_refused(
    blank: Nodes, tmp_path: Path, order: tuple[str, str]
) -> None:
    before = last_release(tmp_path / "before")
    after = next_version(tmp_path / "after", before)
    succeed(blank, "upgrade", "head", ini=before)
    install(blank)
    with worker(blank, tmp_path / "log"):
        wait_for_rest(blank, 20)
        with clients(blank, secrets.token_hex(4)) as found:
            wait_for_exchange(blank)
            versions = set()
            for name in order:
                succeed(blank, "-x", f"node={name}", "upgrade", "head", ini=after)
                versions.add(tuple(node.sql("select rowferry.version() as version")[0]["version"] for node in blank))
                wait_for_exchange(blank)
        wait_for_rest(blank, 60)
    assert len(versions) == 2  # in between the nodes were apart
    assert [message for client in found for message in client.messages] == []
    assert_nothing_lost(blank, found)
    for node in blank:
        assert node.sql("select * from rowferry.held_events") == []
        assert node.sql("select refused from rowferry.traffic where refused > 0") == []
        # But for what is to be said of the server itself.
        assert node.sql("select * from rowferry.check() where severity = 'error' and object not like 'server%'") == []
