"""What the throw-away server of the demo and the tests promises."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from harness import wait_until
from rowferry.demo import embedded


@pytest.fixture
def server() -> Iterator[embedded.Server]:
    with embedded.start("test", {"fsync": "off"}) as started:
        yield started


def one(server: embedded.Server, query: str) -> object:
    with psycopg.connect(server.conninfo(), autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchone()[0] if cursor.description else None


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return bool(done.stdout.strip()) and not done.stdout.startswith("Z")


def owner(pid: int) -> int:
    return int(subprocess.run(["ps", "-o", "uid=", "-p", str(pid)], capture_output=True, text=True, check=True).stdout)


def test_a_started_server_answers_with_its_settings() -> None:
    with embedded.start("test", {"fsync": "off", "deadlock_timeout": "123ms"}) as server:
        assert one(server, "show deadlock_timeout") == "123ms"
        assert one(server, "show server_encoding") == "UTF8"
        assert one(server, "select datcollate from pg_database where datname = 'postgres'") == "C.UTF-8"


def test_conninfo_works_in_psql_and_ignores_pg_variables(server: embedded.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c no_such_setting=1")
    program = server.bin_dir / "psql"
    done = subprocess.run(
        [program if program.exists() else "psql", "-XAt", "-c", "select current_user", server.conninfo()],
        env=embedded.environment(server.bin_dir),
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("postgres\n", "")


def test_a_wrong_password_is_refused(server: embedded.Server) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.conninfo(password="wrong"))


def test_two_servers_stand_side_by_side(server: embedded.Server) -> None:
    with embedded.start("test", {"fsync": "off"}) as other:
        identifier = "select system_identifier from pg_control_system()"
        assert one(server, identifier) != one(other, identifier)


def test_a_taken_port_is_passed_over(server: embedded.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    sample = embedded.random.sample
    monkeypatch.setattr(embedded.random, "sample", lambda ports, count: [server.port, *sample(ports, count)])
    with embedded.start("test", {"fsync": "off"}) as other:
        assert other.port != server.port
        assert one(other, "show port") == str(other.port)


def test_the_server_does_not_run_as_root(server: embedded.Server) -> None:
    assert owner(server.pid) != 0
    assert server.data_dir.stat().st_uid == owner(server.pid)


def test_a_killed_parent_leaves_no_server() -> None:
    code = (
        "import signal\n"
        "from rowferry.demo import embedded\n"
        "server = embedded.start('test', {'fsync': 'off'})\n"
        "print(server.pid, server.socket_dir, flush=True)\n"
        "signal.pause()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pid, folder = parent.stdout.readline().split()
    try:
        assert alive(int(pid))
        parent.kill()
        wait_until(lambda: not alive(int(pid)), 20, "the server of a killed parent ends")
    finally:
        parent.kill()
        parent.communicate()
        if alive(int(pid)):
            os.kill(int(pid), signal.SIGQUIT)
            wait_until(lambda: not alive(int(pid)), 20, "the server ends when told so")
        shutil.rmtree(folder)


def test_an_immediate_stop_keeps_port_and_committed_rows(server: embedded.Server) -> None:
    one(server, "create table kept as select 42 as answer")
    port, pid = server.port, server.pid
    server.stop("immediate")
    assert not alive(pid)
    server.start_again()
    assert server.port == port and server.pid != pid
    assert one(server, "select answer from kept") == 42
    assert "was not properly shut down" in server.log_path.read_text()


def test_a_killed_server_starts_again_once_its_last_process_has_ended(
    server: embedded.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "STOP_SECONDS", 120.0)  # the busy session ends late on a busy machine
    with contextlib.closing(psycopg.connect(server.conninfo())) as connection:
        connection.pgconn.send_query(b"do $$ begin for i in 1 .. 60000000 loop end loop; end $$")  # too busy to notice
        busy = "select count(*) from pg_stat_activity where query like 'do %' and state = 'active'"
        wait_until(lambda: one(server, busy), 10, "a session is busy")
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: not server.running(), 10, "the postmaster is gone")
        server.start_again()
    assert one(server, "select 1") == 1


def test_removal_leaves_nothing() -> None:
    server = embedded.start("test", {"fsync": "off"})
    assert server.socket_dir.exists() and alive(server.pid)
    server.remove()
    assert not alive(server.pid)
    assert not server.socket_dir.exists()
    server.remove()


def test_a_start_that_fails_says_why_and_leaves_nothing() -> None:
    with pytest.raises(embedded.EmbeddedError, match='unrecognized configuration parameter "no_such_setting"'):
        embedded.start("failing", {"no_such_setting": "1"})
    assert not list(Path("/tmp").glob("rowferry-failing-*"))


def test_a_folder_without_programs_is_named_with_a_hint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ROWFERRY_PG_BIN", str(tmp_path))
    with pytest.raises(embedded.EmbeddedError, match=rf"ROWFERRY_PG_BIN={tmp_path} .* Hint: "):
        embedded.find_binaries()


def test_an_absent_major_version_is_named_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROWFERRY_PG_BIN", raising=False)
    with pytest.raises(embedded.EmbeddedError, match=r"PostgreSQL 99 found\. Hint: "):
        embedded.find_binaries(99)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands programs to another account")
def test_root_copies_programs_that_the_account_cannot_read(server: embedded.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as closed, tempfile.TemporaryDirectory(dir="/tmp") as cache:
        os.chmod(cache, 0o755)
        package = server.bin_dir.parent.parent
        if not (server.bin_dir.parent / "share").is_dir():
            pytest.skip("this PostgreSQL cannot be moved: its share folder is elsewhere")
        shutil.copytree(package, Path(closed) / package.name, symlinks=True)
        if package.with_name(f"{package.name}.libs").is_dir():
            shutil.copytree(package.with_name(f"{package.name}.libs"), Path(closed) / f"{package.name}.libs", symlinks=True)
        monkeypatch.setattr(embedded, "CACHE", Path(cache))
        with embedded.start("test", {"fsync": "off"}, Path(closed) / package.name / server.bin_dir.parent.name / "bin") as other:
            assert other.bin_dir.is_relative_to(cache)
            assert one(other, "select 1") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_child_ends_although_its_parent_went_before_the_childs_program_began() -> None:
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        end_with_parent = embedded.end_with_parent()
        assert end_with_parent

        def ask_and_lose_the_parent() -> None:
            end_with_parent()
            os.kill(os.getpid(), signal.SIGINT)

        child = subprocess.Popen(["sleep", "60"], preexec_fn=ask_and_lose_the_parent)
        try:
            assert child.wait(10) == -signal.SIGINT
        finally:
            child.kill()
            child.wait()
    finally:
        signal.signal(signal.SIGINT, before)
