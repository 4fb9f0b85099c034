"""How far a backfill or a comparison is, in a view and on the worker's terminal; and a backfill that may not go faster."""

import os
import pty
import re
import subprocess
import time
from pathlib import Path

import pytest

from harness import REPO, Nodes, wait_until
from harness.comparing import REPORT, Carrier
from harness.courier import Courier
from harness.exchange import assert_equal, refused_with
from harness.worker import PROGRAM, beside_time, start_worker, wait_for_rest, worker

TABLE = "create table public.notes (id int primary key, body text)"


@pytest.fixture
def filled(nodes: Nodes) -> Nodes:
    """2,000 rows on crm that were there before the table was attached."""
    nodes.crm.sql(f"{TABLE}; insert into notes select n, 'note' from generate_series(1, 2000) n; analyze notes")
    nodes.billing.sql(TABLE)
    for node in nodes:
        node.sql("select rowferry.attach('public.notes')")
    return nodes


def test_backfill_progress_tells_how_far_it_is(filled: Nodes) -> None:
    filled.crm.sql("select * from rowferry.backfill('notes')")
    [row] = filled.crm.sql("select * from rowferry.backfill_progress")
    assert (row["entity"], row["state"], row["queued"], row["estimated_rows"], row["percent"]) == ("notes", "queued", 0, 2000, 0)
    courier = Courier(filled)
    courier.meet(filled)
    [row] = filled.crm.sql("select * from rowferry.backfill_progress")
    assert (row["state"], row["queued"], row["percent"]) == ("sending", 500, 25)
    assert courier.call(filled.crm)["progress"] == [{"what": "backfill", "entity": "notes", "done": 500, "of": 2000}]
    Carrier(filled).until_done()
    [row] = filled.crm.sql("select * from rowferry.backfill_progress")
    assert (row["state"], row["queued"], row["percent"]) == ("finished", 2000, 100)
    assert len(assert_equal(filled)) == 2000


def test_a_backfill_goes_no_faster_than_it_may(filled: Nodes, tmp_path: Path) -> None:
    began = time.monotonic()
    filled.crm.sql("select * from rowferry.backfill('notes', p_rows_per_second => 500)")
    with worker(filled, tmp_path / "log", "--interval", "0.1"):
        wait_for_rest(filled, 60)
    assert time.monotonic() - began > 3
    assert len(assert_equal(filled)) == 2000
    refused_with("22023", filled.crm, "select * from rowferry.backfill('notes', 0)")


def test_run_once_ends_when_a_comparison_has_finished(filled: Nodes, tmp_path: Path) -> None:
    filled.crm.sql("select * from rowferry.compare('notes')")
    assert start_worker(filled, tmp_path / "log", "--once").wait(60) == 0
    run = filled.crm.sql(REPORT)[0]
    assert (run["state"], run["only_here"]) == ("finished", 2000)


def test_the_worker_shows_a_bar_on_a_terminal_and_nowhere_else(filled: Nodes, tmp_path: Path) -> None:
    filled.crm.sql("select * from rowferry.backfill('notes', 1000)")
    reader, terminal = pty.openpty()
    process = subprocess.Popen([PROGRAM, "run", "--once"], env=filled.env, cwd=REPO, stdout=terminal, stderr=terminal)
    os.close(terminal)
    seen = b""

    def ended() -> bool:
        nonlocal seen
        try:
            seen += os.read(reader, 65536)
        except OSError:  # the other end has closed
            return True
        return False

    wait_until(ended, 60, "the worker has ended")
    assert process.wait(20) == 0
    assert re.search(rb"crm: backfill notes \[#{5}-{15}\] 25% of 2,000", seen)
    account = seen.rpartition(b"\x1b[K")[2].decode().split("\r\n")
    assert account[-3:] == ["billing: 0 sent, 2,000 taken, 0 held", "crm: 2,000 sent, 0 taken, 0 held", ""], (
        "the line is wiped at the end"
    )
    filled.crm.sql("select * from rowferry.backfill('notes')")
    assert start_worker(filled, tmp_path / "log", "--once").wait(60) == 0
    assert beside_time((tmp_path / "log").read_text()) == ""
