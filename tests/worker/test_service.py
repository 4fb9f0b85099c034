"""The worker as a service: what it tells systemd, the shipped unit, and its log for programs."""

import configparser
import ctypes
import json
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from harness import REPO, Nodes, wait_until
from harness.exchange import waiting
from harness.worker import PROGRAM
from rowferry.supervisor import Supervisor

UNIT = REPO / "docs" / "deploy" / "rowferry.service"


class Listener:
    """Stands in for systemd: a datagram socket, by its path or in the abstract namespace, and all that came."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.socket.setblocking(False)
        self.lines: list[str] = []

    def heard(self, line: str) -> bool:
        while True:
            try:
                self.lines += self.socket.recv(65536).decode().split("\n")
            except BlockingIOError:
                return any(found.startswith(line) for found in self.lines)


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Listener]:
    listener = Listener(f"@rowferry {tmp_path}" if request.param == "abstract" else str(tmp_path / "user@1000"))
    yield listener
    listener.socket.close()


def start(nodes: Nodes, listener: Listener, log: Path, *arguments: str) -> subprocess.Popen[Any]:
    with log.open("ab") as output:
        return subprocess.Popen(
            [PROGRAM, "run", *arguments], env={**nodes.env, "NOTIFY_SOCKET": listener.address}, cwd=REPO, stderr=output
        )


def test_it_tells_that_it_runs_what_it_does_and_that_it_stops(nodes: Nodes, systemd: Listener, tmp_path: Path) -> None:
    process = start(nodes, systemd, tmp_path / "log", "--interval", "0.1")
    for line in ("READY=1", "STATUS=at work between billing and crm", "WATCHDOG=1"):
        wait_until(lambda line=line: systemd.heard(line), 30, line)  # type: ignore[misc]
    process.terminate()
    assert process.wait(30) == 0
    assert systemd.heard("STOPPING=1")


def test_it_is_alive_while_it_waits_for_a_node_that_is_away(nodes: Nodes, systemd: Listener, tmp_path: Path) -> None:
    nodes.billing.sql("select 1")
    broken = Nodes(nodes.crm, nodes.billing)
    broken.billing.database = "away"
    process = start(broken, systemd, tmp_path / "log")
    try:
        wait_until(lambda: systemd.heard("STATUS=billing:"), 30, "it says that the node is away")
        for _ in range(3):
            systemd.lines.clear()
            wait_until(lambda: systemd.heard("WATCHDOG=1"), 60, "its loop turns")
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(30)


def states(pid: int) -> set[str]:
    """Of each thread of a process: the first may stop some time before the one that does the work."""
    return {path.read_text().rpartition(") ")[2][0] for path in Path(f"/proc/{pid}/task").glob("*/stat")}


@pytest.mark.slow
def test_its_watchdog_is_silent_while_a_process_of_it_does_not_go_on(nodes: Nodes, systemd: Listener, tmp_path: Path) -> None:
    process = start(nodes, systemd, tmp_path / "log", "--interval", "0.1")
    try:
        wait_until(lambda: systemd.heard("WATCHDOG=1"), 30, "its loop turns")
        process.send_signal(signal.SIGSTOP)
        wait_until(lambda: states(process.pid) == {"T"}, 30, "all its threads are frozen")
        systemd.heard("")
        systemd.lines.clear()
        nodes.crm.sql("select pg_sleep(3)")
        assert not systemd.heard("WATCHDOG=1")
        process.send_signal(signal.SIGCONT)
        wait_until(lambda: systemd.heard("WATCHDOG=1"), 30, "its loop turns again")
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(30)


def test_a_signal_that_the_kernel_hands_to_another_thread_ends_it(nodes: Nodes, systemd: Listener, tmp_path: Path) -> None:
    """As it does where a service is told to end while it is frozen."""
    process = start(nodes, systemd, tmp_path / "log")
    try:
        wait_until(lambda: "at work" in (tmp_path / "log").read_text(), 30, "it is at work")
        [other] = {int(task.name) for task in Path(f"/proc/{process.pid}/task").iterdir()} - {process.pid}
        ctypes.CDLL(None).tgkill(process.pid, other, signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_a_supervisor_that_is_gone_stops_nothing(nodes: Nodes, tmp_path: Path) -> None:
    for node in nodes:
        node.sql("create table notes (id integer primary key); select rowferry.attach('notes')")
    nodes.crm.sql("insert into notes values (1)")
    env = {**nodes.env, "NOTIFY_SOCKET": str(tmp_path / "nobody")}
    done = subprocess.run([PROGRAM, "run", "--once"], env=env, cwd=REPO, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert waiting(nodes.crm) == []


def test_a_supervisor_that_does_not_read_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", listener.address)
    supervisor = Supervisor()
    for number in range(1000):  # many more than the socket holds
        supervisor.tell(f"STATUS={number}")
    assert listener.heard("STATUS=0")
    listener.socket.close()


def test_its_log_for_programs_is_an_object_a_line(nodes: Nodes) -> None:
    nodes.crm.sql("select * from rowferry.pause()")
    done = subprocess.run(
        [PROGRAM, "run", "--once", "--json"], env=nodes.env, cwd=REPO, capture_output=True, text=True, timeout=60
    )
    [line] = done.stderr.splitlines()
    found = json.loads(line)
    assert (done.returncode, set(found), found["level"]) == (1, {"time", "level", "message"}, "warning")
    assert found["message"].startswith("crm: paused")
    assert datetime.fromisoformat(found["time"]).utcoffset() is not None


def test_the_unit_starts_what_there_is_and_the_watchdog_outlasts_the_longest_call() -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    service = parser["Service"]
    assert service["Type"] == "notify" and service["ExecStart"].endswith("rowferry run")
    assert int(service["WatchdogSec"]) > 4 * 45


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_unit_and_little_exposed(tmp_path: Path) -> None:
    text = UNIT.read_text().replace("/opt/rowferry/.venv/bin/rowferry", str(PROGRAM))
    (tmp_path / "rowferry.service").write_text(text)
    verify = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", "rowferry.service"], cwd=tmp_path, capture_output=True, text=True
    )
    own = [line for line in verify.stderr.splitlines() if "rowferry.service" in line]
    assert own == []
    security = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=20", "rowferry.service"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert security.returncode == 0, security.stdout[-300:] + security.stderr
