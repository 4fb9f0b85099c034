"""One worker serves all links of a star, and a node that is away keeps no other waiting."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import REPO, wait_until
from harness.exchange import rows
from harness.star import SPOKES, Star, star
from harness.worker import PROGRAM


@pytest.fixture
def hub(servers: Any, tmp_path: Path) -> Iterator[Star]:
    with star(servers, tmp_path, {"hub": SPOKES}) as made:
        made.sql("create table accounts (id int primary key, amount int)")
        made.attach("accounts")
        yield made


def run_once(hub: Star) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(PROGRAM), "run", "--once"], env=hub.env, cwd=REPO, capture_output=True, text=True, timeout=90)


def test_run_once_carries_what_waits_on_all_links(hub: Star) -> None:
    hub["hub"].sql("insert into accounts values (1, 1)")
    hub["north"].sql("insert into accounts values (2, 2)")
    for _ in range(2):  # what comes from north goes on with the second
        done = run_once(hub)
        assert done.returncode == 0, done.stderr
    assert hub.assert_equal("accounts") == ["(1,1)", "(2,2)"]


@pytest.mark.case(149)
@pytest.mark.slow
def test_a_node_that_is_away_keeps_no_other_waiting(hub: Star, tmp_path: Path) -> None:
    away = {**hub.env, "NODE_EAST": "host=127.0.0.1 port=1 dbname=east connect_timeout=2"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([str(PROGRAM), "run"], env=away, cwd=REPO, stderr=log)
    try:
        hub["north"].sql("insert into accounts values (1, 1)")
        wait_until(lambda: rows(hub["south"], "select id from accounts") == ["(1)"], 30, "south has the row")
        assert "east" in (tmp_path / "log").read_text()
        [waits] = hub["hub"].sql("select pending from rowferry.status where peer = 'east'")
        assert waits["pending"] == 1
    finally:
        process.terminate()
        assert process.wait(30) == 0
    assert run_once(hub).returncode == 0
    hub.assert_equal("accounts")
