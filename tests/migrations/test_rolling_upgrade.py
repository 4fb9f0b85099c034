"""One node after the other is upgraded while users write on both and the worker runs."""

import re
import secrets
from pathlib import Path

import pytest
from faults.clients import clients, install
from faults.judge import assert_nothing_lost
from faults.processes import wait_for_exchange

from harness import REPO, Nodes
from harness.migrations import INI, succeed
from harness.releases import copy_of, ini_of, last_release, new_version, newest
from harness.worker import wait_for_rest, worker

CHANGED = "process_batch"  # what the artificial next version has a new version of


def next_version(folder: Path, before: Path) -> Path:
    """A copy of the present tree; if it is no newer than what came before, with one revision more."""
    copy_of(REPO, folder)
    if newest(REPO) == newest(before):
        function, *_ = new_version(folder, CHANGED)
        function.write_text(re.sub(r"(\bis\s+')", r"\1New: ", function.read_text(), count=1))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("order", [("crm", "billing"), ("billing", "crm")], ids="-".join)
def test_one_node_after_the_other_is_upgraded_under_load_and_nothing_is_lost_or_refused(
    blank: Nodes, tmp_path: Path, order: tuple[str, str]
) -> None:
    released = last_release(tmp_path / "before") or REPO
    before, after = ini_of(released) if released != REPO else INI, ini_of(next_version(tmp_path / "after", released))
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
