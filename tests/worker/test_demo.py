"""What the demo promises: it shows what it claims or fails, and leaves nothing behind, however it ends."""

import configparser
import glob
import os
import pty
import re
import select
import signal
import subprocess
import sys
import sysconfig
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness import REPO, Nodes, wait_until
from harness.pair import Servers
from rowferry.demo import children, embedded, pair, screen, worker

FOLDER = REPO / "worker" / "demo"
ROWFERRY = str(Path(sysconfig.get_path("scripts"), "rowferry"))
HEADINGS = [
    "Two PostgreSQL servers",
    "Install rowferry",
    "Accounts and their users",
    "Changes cross",
    "A delete",
    "Without the worker",
    "A conflict",
    "Where things stand",
]
SECONDS = 120


class Demo:
    """A demo as a process in a session of its own; all that it starts can be told by a mark in the environment."""

    def __init__(
        self, *command: str, cwd: Path = REPO, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.PIPE, **env: str
    ):
        self.mark = f"ROWFERRY_TEST_MARK={uuid.uuid4()}"
        name, _, value = self.mark.partition("=")
        self.process = subprocess.Popen(
            command or (ROWFERRY, "demo"),
            env={**os.environ, name: value, **env},
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE if stdout == subprocess.PIPE else stdout,
            start_new_session=True,
            text=True,
            encoding="utf-8",
        )

    def finish(self) -> tuple[int, str, str]:
        """Exit code, and the rest of stdout and stderr."""
        out, err = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, out, err

    def read_to(self, text: str) -> None:
        """Read stdout up to the line with the text."""
        assert self.process.stdout
        for line in self.process.stdout:
            if text in line:
                return
        pytest.fail(f"the demo ended before {text!r}: {self.finish()}")

    def left(self) -> list[str]:
        """Processes and folders of it that are there now."""
        prefix = f"/tmp/rowferry-demo-{self.process.pid}-"
        found = glob.glob(f"{prefix}*")
        for path in Path("/proc").glob("[0-9]*"):
            try:
                # A server's process has overwritten its environment, but works in the server's folder.
                ours = self.mark.encode() in (path / "environ").read_bytes() or os.readlink(path / "cwd").startswith(prefix)
                stat = (path / "stat").read_text().rpartition(")")[2].split()[0]
                if ours and stat != "Z":
                    found.append((path / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue
        return found

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def start() -> Iterator[Callable[..., Demo]]:
    """Starts a demo that does not outlive the test."""
    started: list[Demo] = []

    def begin(*command: str, **how: object) -> Demo:
        started.append(Demo(*command, **how))  # type: ignore[arg-type]
        return started[-1]

    yield begin
    for demo in started:
        demo.kill()


def program(*changes: str) -> tuple[str, ...]:
    """The demo with something of it changed: statements about its modules."""
    modules = "from rowferry.demo import pair, telling, worker"
    return sys.executable, "-c", "\n".join(["import sys", modules, *changes, "sys.exit(pair.main([]))"])


@pytest.mark.slow
def test_without_a_terminal_it_shows_every_step_and_ends_with_0(start: Callable[..., Demo], tmp_path: Path) -> None:
    # The visitor's own settings are about other servers and other nodes.
    demo = start(
        cwd=tmp_path, PGHOST="nowhere.invalid", PGSSLMODE="require", ROWFERRY_CONFIG="/nowhere", ALEMBIC_CONFIG="/nowhere"
    )
    code, out, err = demo.finish()
    assert (code, err) == (0, ""), out
    assert [line for line in out.splitlines() if line.startswith("===")] == [
        next(line for line in out.splitlines() if line.startswith(f"=== {heading}")) for heading in HEADINGS
    ]
    for shown in (
        "$ alembic -n site upgrade head\n",
        "          5 |           3 | hank@globex.test | Hank\n",
        "  2 | Initech    | free\n",
        "=# select * from sync_events;\n",
        "event_type | insert\n",
        " 1         | billing | newest | Acme AG | Acme Inc\n",
        "=# select * from status;\n",
    ):
        assert shown in out
    assert out.count(" 1         | billing | newest | Acme AG | Acme Inc\n") == 2, "both nodes record the conflict"
    assert "\x1b" not in out
    foreign = re.compile(r"\w+: Running upgrade|\$ cd /")
    assert [line for line in out.splitlines() if len(line) > 105 and not foreign.match(line)] == []
    assert demo.left() == []


@pytest.mark.slow
@pytest.mark.parametrize("heading", ["Two PostgreSQL servers", "Install rowferry", "Accounts and their users", "A conflict"])
def test_ctrl_c_in_the_middle_leaves_nothing(start: Callable[..., Demo], heading: str) -> None:
    demo = start()
    demo.read_to(heading)
    os.killpg(demo.process.pid, signal.SIGINT)
    code, _, err = demo.finish()
    assert (code, err) == (130, "")
    assert demo.left() == []


@pytest.mark.slow
def test_sigterm_in_the_middle_leaves_nothing(start: Callable[..., Demo]) -> None:
    demo = start()
    demo.read_to("rowferry run")
    demo.process.terminate()
    code, _, err = demo.finish()
    assert (code, err) == (143, "")
    assert demo.left() == []


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
@pytest.mark.parametrize(
    "moment", ["Two PostgreSQL servers", "alembic upgrade head", "Accounts and their users", "Changes cross"]
)
def test_killed_it_leaves_nothing_after_a_moment(start: Callable[..., Demo], moment: str) -> None:
    demo = start()
    demo.read_to(moment)
    assert demo.left()
    os.killpg(demo.process.pid, signal.SIGKILL)
    demo.finish()
    wait_until(lambda: not demo.left(), 60, "nothing is left of a demo that was killed")


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_it(start: Callable[..., Demo]) -> None:
    demo = start()
    assert demo.process.stdout
    demo.process.stdout.readline()
    demo.process.stdout.close()
    assert demo.process.wait(SECONDS) == 141
    assert demo.process.stderr
    assert demo.process.stderr.read() == ""
    assert demo.left() == []


@pytest.mark.slow
def test_a_worker_that_carries_nothing_makes_it_fail(start: Callable[..., Demo]) -> None:
    demo = start(*program("worker.RUN = ['sleep', '1000']", "telling.WAIT_SECONDS = 1"))
    code, _, err = demo.finish()
    assert code == 1
    assert "waited 1 s in vain on billing" in err
    assert demo.left() == []


@pytest.mark.slow
def test_a_worker_that_ends_by_itself_makes_it_fail(start: Callable[..., Demo]) -> None:
    demo = start(*program("worker.RUN = ['sh', '-c', 'echo my last words; exit 7']"))
    code, _, err = demo.finish()
    assert code == 1
    assert "the worker ended by itself with 7" in err
    assert "my last words" in err
    assert demo.left() == []


@pytest.mark.slow
def test_rows_other_than_claimed_make_it_fail(start: Callable[..., Demo]) -> None:
    demo = start(*program("pair.CUSTOMERS = pair.CUSTOMERS.replace('title', 'upper(title)')", "telling.WAIT_SECONDS = 10"))
    code, _, err = demo.finish()
    assert code == 1
    assert "wanted [('1', 'Acme', 'free')" in err
    assert "found  [('1', 'ACME', 'free')" in err
    assert demo.left() == []


def test_what_psql_shows_is_checked_too(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    node = screen.Node("postgres", servers.crm, children.Signals())
    story = pair.Story([node, node], worker.Worker(children.Signals(), {}, None, FOLDER))  # type: ignore[arg-type]
    story.see(node, "select 1 as a, 'x' as b;", [("1", "x")])
    monkeypatch.setattr(screen.Node, "type", lambda *_: " a | b\n---+---\n 1 | y\n(1 row)")
    with pytest.raises(children.DemoError, match="but shows"):
        story.see(node, "select 1 as a, 'x' as b;", [("1", "x")])
    node.close()


def test_without_psql_the_same_is_shown(servers: Servers) -> None:
    node = screen.Node("postgres", servers.crm, children.Signals())
    own = servers.crm.bin_dir / "psql"
    if not own.exists():
        pytest.skip("these programs have no psql to compare with")
    name = f"look_{uuid.uuid4().hex}"
    node.rows(f"create table {name} (id int)")
    for statement in (
        "select 1 as number, 'a' as text, null as nothing, 'longer' as t;",
        "select 1 as number where false;",
        "select n, repeat('x', 60 * n) as long, null as nothing from generate_series(1, 12) n;",
        "select 1 as a_name_that_is_longer_than_the_label, repeat('x', 120) as long;",
        "set search_path = public;",
        f"insert into {name} values (1), (2) returning id;",
    ):
        assert node._psycopg(statement) == node._psql(own, statement)
    node.rows(f"drop table {name}")
    with pytest.raises(children.DemoError, match='relation "nowhere" does not exist'):
        node._psycopg("select * from nowhere;")
    with pytest.raises(children.DemoError, match='relation "nowhere" does not exist'):
        node._psql(own, "select * from nowhere;")
    node.close()


@pytest.mark.parametrize("chosen", [None, "/nowhere"])
def test_without_a_postgresql_it_says_so_in_one_line(
    chosen: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(embedded, "_candidates", lambda: iter(()))
    if chosen:
        monkeypatch.setenv("ROWFERRY_PG_BIN", chosen)
    else:
        monkeypatch.delenv("ROWFERRY_PG_BIN", raising=False)
    assert pair.main([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"rowferry demo: .* Hint: .*\n", err)


def test_its_tables_can_be_taken_down_and_put_up_again(nodes: Nodes) -> None:
    # The shared databases come with the core of the shipped alembic.ini: that is the demo's core too.
    def alembic(*arguments: str) -> None:
        command = [sys.executable, "-m", "alembic", "-n", "site", *arguments]
        done = subprocess.run(command, env=nodes.env, cwd=FOLDER, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    tables = "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1"
    for _ in range(2):
        alembic("upgrade", "head")
        assert [row["relname"] for row in nodes.crm.sql(tables)] == ["accounts", "users"]
        assert [row["relname"] for row in nodes.billing.sql(tables)] == ["contacts", "customers"]
        alembic("downgrade", "base")
        assert nodes.crm.sql(tables) == nodes.billing.sql(tables) == []
        assert nodes.billing.sql("select * from rowferry.entities") == []


def test_its_configuration_is_the_shipped_one_but_for_the_site() -> None:
    def read(ini: Path) -> dict[str, dict[str, str]]:
        parser = configparser.RawConfigParser()
        parser.read_string(ini.read_text().replace("%(here)s", str(ini.parent)))
        return {
            name: {key: os.path.normpath(value) if value.startswith("/") else value for key, value in parser[name].items()}
            for name in parser.sections()
        }

    shipped, own = read(REPO / "alembic.ini"), read(FOLDER / "alembic.ini")
    for key in ("version_locations", "sql_location"):
        assert own["site"].pop(key).startswith(str(FOLDER))
        del shipped["site"][key]
    assert own == shipped


class Terminal:
    """A demo on a terminal of its own."""

    def __init__(self, start: Callable[..., Demo], **env: str) -> None:
        self.master, slave = pty.openpty()
        leader = "import os, sys, fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
        self.demo = start(sys.executable, "-c", leader, ROWFERRY, "demo", stdin=slave, stdout=slave, **env)
        os.close(slave)
        self.seen = ""

    def read_to(self, text: str) -> None:
        deadline = time.monotonic() + SECONDS
        while text not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0, deadline - time.monotonic()))
            try:
                more = os.read(self.master, 65536).decode(errors="replace") if ready else ""
            except OSError:
                more = ""
            if not more:
                pytest.fail(f"the demo did not say {text!r}: {self.seen}")
            self.seen += more.replace("\r\n", "\n")


@pytest.mark.slow
@pytest.mark.parametrize("no_color", ["", "1"])
def test_on_a_terminal_it_stays_up_until_ctrl_c(start: Callable[..., Demo], no_color: str) -> None:
    terminal = Terminal(start, NO_COLOR=no_color, TERM="xterm")
    terminal.read_to("rowferry.psqlrc")
    assert ("\x1b[" in terminal.seen) is (not no_color)
    commands = [line for line in terminal.seen.splitlines() if re.search(r"psql\S* '?postgresql://", line)]
    assert len(commands) == 2

    def ask(command: str, query: str) -> str:
        done = subprocess.run([*["sh", "-c", f'{command} -XAtqc "$0"'], query], cwd="/", capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    crm, billing = commands
    ask(crm, "insert into accounts (name) values ('Visitor')")
    wait_until(lambda: ask(billing, "select title from customers where title = 'Visitor'") == "Visitor", 20, "the visitor's row")
    os.write(terminal.master, b"\x03")
    assert terminal.demo.process.wait(SECONDS) == 0
    assert terminal.demo.left() == []
    os.close(terminal.master)


STAR_HEADINGS = [
    "Four PostgreSQL servers",
    "Install rowferry",
    "Products are kept in sync",
    "A product that north makes",
    "Each spoke has the orders",
    "Two spokes change one product",
    "A spoke that is away",
    "Are all nodes equal?",
]


@pytest.mark.slow
def test_the_star_shows_every_step_and_ends_with_0(start: Callable[..., Demo]) -> None:
    demo = start(ROWFERRY, "demo", "--star")
    code, out, err = demo.finish()
    assert (code, err) == (0, ""), out
    assert [line for line in out.splitlines() if line.startswith("===")] == [
        next(line for line in out.splitlines() if line.startswith(f"=== {heading}")) for heading in STAR_HEADINGS
    ]
    for shown in (
        "hub = north, south, east\n",
        "  1 | Tea  |  5.50\n",
        " east  | waiting |     999 |",
        " products@south | finished | 1000 |",
    ):
        assert shown in out
    assert [line for line in out.splitlines() if len(line) > 105 and "Running upgrade" not in line] == []
    assert demo.left() == []


def test_the_stars_configuration_is_the_shipped_one_but_for_nodes_links_and_the_site() -> None:
    shipped, own = (configparser.RawConfigParser() for _ in range(2))
    shipped.read(REPO / "alembic.ini")
    own.read(FOLDER / "four_nodes" / "alembic.ini")
    assert own.sections() == ["nodes", "links", "alembic"]
    assert dict(own["alembic"]) == dict(shipped["alembic"])
