"""`rowferry demo`: the product's main job on two real servers, every step typed, awaited and checked (star.py: on four).

Exit codes: 0 all was as claimed, 1 something was not, 2 no PostgreSQL to run, 128 + n ended by signal n before the end.
"""

import contextlib
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psycopg

from rowferry.demo import embedded
from rowferry.demo.children import DemoError, Signals, Stopped, end, output
from rowferry.demo.screen import Node, Row, bold, dim, heading, say
from rowferry.migrations.sqlfile import shipped_sql

HERE = Path(__file__).resolve().parent
WAIT_SECONDS = 15.0
COMMAND_SECONDS = 60.0
RUN = ["rowferry", "run", "--interval", "0.2"]
SETTINGS = {"fsync": "off"}  # nothing here outlives the demo

ACCOUNTS = "select id, name, plan from accounts order by id;"
CUSTOMERS = "select customer_id, title, plan from customers order by customer_id;"
CONTACTS = "select contact_id, customer_id, mail, full_name from contacts order by contact_id;"
USERS = "select id, account_id, email, name from users order by id;"
WAITING = "select entity, record_id, event_type from rowferry.sync_events order by id"
CONFLICTS = """\
select record_id, winner, rule, winner_row ->> 'name' as kept, loser_row ->> 'name' as given_up
from conflicts where entity = 'accounts';"""


@dataclass
class Play:
    """A demo: the nodes, the folder in which its commands are typed, and what is told of them."""

    title: str
    names: Sequence[str]
    folder: Path
    story: Callable[[Sequence[Node], "Worker"], "Telling"]


def main(_: object, play: Play | None = None) -> int:
    """On a terminal the servers stay up until Ctrl-C, for you to try."""
    play = play or Play("Two PostgreSQL servers, crm and billing", ("crm", "billing"), HERE, Story)
    with Signals() as signals:
        try:
            return demo(signals, play, stays=sys.stdin.isatty() and sys.stdout.isatty())
        except Stopped as stopped:
            return 128 + stopped.number
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nor may Python complain when it ends
            return 128 + signal.SIGPIPE


def demo(signals: Signals, play: Play, stays: bool) -> int:
    started = time.monotonic()
    try:
        bin_dir = embedded.find_binaries()
    except embedded.EmbeddedError as error:
        print(f"rowferry demo: {error}", file=sys.stderr)
        return 2
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]  # they are about other servers
    with contextlib.ExitStack() as stack:
        try:
            heading(play.title)
            nodes = start_servers(signals, stack, bin_dir, play.names)
            worker = Worker(signals, environment(nodes), stack.enter_context(tempfile.TemporaryFile()), play.folder)
            stack.callback(worker.end)
            play.story(nodes, worker).tell()
            say(bold(f"All of it happened and was checked, in {time.monotonic() - started:.0f} seconds."))
            signals.check()
            if stays:
                stay(nodes, worker)
        except (DemoError, embedded.EmbeddedError, psycopg.Error) as error:
            print(f"\nrowferry demo: {error}", file=sys.stderr)
            return 1
        finally:
            signals.ignore()
    return 0


def start_servers(signals: Signals, stack: contextlib.ExitStack, bin_dir: Path, names: Sequence[str]) -> list[Node]:
    """Servers, each with an empty database of its name; gone when the stack ends, or this process however it ends."""
    mark = f"demo-{os.getpid()}-{secrets.token_hex(2)}"
    with signals.held():
        # In a session of its own, so that it outlives us when we are killed with our whole group.
        cleaner = subprocess.Popen(
            [sys.executable, str(HERE / "cleaner.py"), f"/tmp/rowferry-{mark}-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        stack.callback(cleaner.communicate)
    nodes = []
    for name in names:
        with signals.held():
            server = stack.enter_context(embedded.start(f"{mark}-{name}", SETTINGS, bin_dir))
        with psycopg.connect(server.conninfo(), autocommit=True) as connection:
            version = connection.execute("select split_part(version(), ' on ', 1)").fetchone()
            connection.execute(f"create database {name}".encode())
        node = Node(name, server, signals)
        stack.callback(node.close)
        nodes.append(node)
        say(f"{name + ':':8} {version[0] if version else ''}, port {server.port}")
    say()
    return nodes


def environment(nodes: Sequence[Node]) -> dict[str, str]:
    """For the commands: where the nodes are, and this installation's alembic and rowferry first on PATH."""
    ours = {"PATH", "ROWFERRY_CONFIG", "ALEMBIC_CONFIG"}
    path = os.pathsep.join([sysconfig.get_path("scripts"), str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    return {
        **{name: value for name, value in os.environ.items() if name not in ours},
        "PATH": path,
        **{f"ROWFERRY_NODE_{node.name.upper()}": node.uri for node in nodes},
    }


class Worker:
    """`rowferry run` as a process that ends with this one."""

    def __init__(self, signals: Signals, env: dict[str, str], log: IO[bytes], folder: Path = HERE) -> None:
        self.signals = signals
        self.folder = folder
        self.env = env
        self.log = log
        self.process: subprocess.Popen[Any] | None = None

    def start(self) -> None:
        prompt(f"{shlex.join(RUN)} &")
        with self.signals.held():
            self.process = subprocess.Popen(
                RUN, **self._how(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True
            )
        say()

    def stop(self) -> None:
        """As `kill %1` does; DemoError if that is not a clean end."""
        assert self.process is not None
        self.check()
        prompt("kill %1")
        self.process.terminate()
        try:
            code = self.process.wait(WAIT_SECONDS)
        except subprocess.TimeoutExpired:
            raise DemoError(f"waited {WAIT_SECONDS:g} s for the worker to end\n{self.words()}") from None
        if code not in (0, -signal.SIGTERM, 128 + signal.SIGTERM):
            raise DemoError(f"the worker ended with {code}\n{self.words()}")
        self.process = None
        say()

    def end(self) -> None:
        """Stop it without a word, with force if need be."""
        if self.process is not None:
            end(self.process)

    def check(self) -> None:
        """DemoError if it should run and does not."""
        if self.process is not None and self.process.poll() is not None:
            raise DemoError(f"the worker ended by itself with {self.process.returncode}\n{self.words()}")

    def words(self) -> str:
        self.log.seek(0)
        return "\n".join(self.log.read().decode(errors="replace").splitlines()[-20:])

    def command(self, *arguments: str) -> None:
        """Run a command as typed and show what it prints; DemoError if it fails."""
        prompt(shlex.join(arguments))
        try:
            code, text = output(self.signals, arguments, COMMAND_SECONDS, **self._how())
        except OSError as error:
            raise DemoError(f"{arguments[0]} does not run: {error.strerror}. Hint: pip install -e . in the checkout") from None
        say(f"{text.rstrip()}\n".lstrip("\n"))
        if code:
            raise DemoError(f"{shlex.join(arguments)} ended with {code}")

    def _how(self) -> dict[str, Any]:
        return {"cwd": self.folder, "env": self.env, "preexec_fn": embedded.end_with_parent()}


def prompt(command: str) -> None:
    say(bold("$ ", "32") + command)


class Telling:
    """What is typed, awaited and checked, in order."""

    def __init__(self, nodes: Sequence[Node], worker: Worker) -> None:
        self.nodes, self.worker = nodes, worker
        self.changed_at = time.monotonic()

    def tell(self) -> None:
        raise NotImplementedError

    def go_to(self, *variables: str) -> None:
        """Show where the commands are typed and what they find in the environment."""
        folder = self.worker.folder
        if Path.cwd() != folder:
            prompt(f"cd {shlex.quote(min(str(folder), os.path.relpath(folder), key=len))}")
        prompt("export " + " \\\n    ".join(" ".join(f"{name}=postgresql://..." for name in pair) for pair in pairs(variables)))

    def change(self, node: Node, statement: str, tag: str) -> None:
        """Show a statement that changes something, and check what psql says of it."""
        answer = node.type(statement)
        self.changed_at = time.monotonic()
        if answer.splitlines()[-1:] != [tag]:
            raise DemoError(f"{node.name}: {statement}\nshould answer {tag}, not {answer}")
        say()

    def search_rowferry(self, node: Node) -> None:
        """Show and remember that from here on names are looked up in rowferry's schema first."""
        self.change(node, "set search_path = rowferry, public;", "SET")
        node.search_path = "rowferry, public"

    def until(self, node: Node, query: str, wanted: list[Row]) -> None:
        """Wait until the query gives the rows that are wanted; DemoError, with the rows there were, after WAIT_SECONDS."""
        begun = time.monotonic()
        while True:
            late = time.monotonic() - begun > WAIT_SECONDS
            found = node.rows(query)
            if found == wanted:
                return
            self.worker.signals.check()
            self.worker.check()
            if late:
                raise DemoError(
                    f"waited {WAIT_SECONDS:g} s in vain on {node.name}: {query}\nwanted {wanted}\nfound  {found}\n"
                    f"the worker said: {self.worker.words() or 'nothing'}"
                )
            time.sleep(0.02)

    def see(self, node: Node, query: str, wanted: list[Row]) -> None:
        """Wait until the query gives the rows that are wanted, show it, and check that this is what was shown."""
        self.until(node, query, wanted)
        answer = node.type(query)
        shown = [tuple(value.strip() for value in line.split("|")) for line in answer.splitlines()[2:-1]]
        if shown != wanted:
            raise DemoError(f"{node.name}: {query}\nshould show {wanted}\nbut shows   {shown}")
        say()

    def arrive(self, node: Node, query: str, wanted: list[Row]) -> None:
        """As see(), saying how long after the last change it was so."""
        self.until(node, query, wanted)
        say(dim(f"-- {time.monotonic() - self.changed_at:.1f} s later"))
        self.see(node, query, wanted)

    def settle(self) -> None:
        """Wait until nothing is on its way."""
        for node in self.nodes:
            self.until(node, WAITING, [])


def pairs(names: Sequence[str]) -> list[Sequence[str]]:
    return [names[place : place + 2] for place in range(0, len(names), 2)]


class Story(Telling):
    """Two nodes."""

    def __init__(self, nodes: Sequence[Node], worker: Worker) -> None:
        super().__init__(nodes, worker)
        self.crm, self.billing = nodes

    def tell(self) -> None:
        self.install()
        contacts = self.appear()
        self.cross()
        contacts = self.delete(contacts)
        self.wait_without_worker(contacts)
        self.conflict()
        self.status()

    def install(self) -> None:
        heading("Install rowferry on both, then the demo's own tables; start the worker")
        self.go_to("ROWFERRY_NODE_CRM", "ROWFERRY_NODE_BILLING")
        self.worker.command("alembic", "upgrade", "head")
        self.worker.command("alembic", "-n", "site", "upgrade", "head")
        say("crm's accounts and users are billing's customers and contacts, with other names for the columns:")
        say("each node attaches its two tables in sql/revisions.\n")
        self.worker.start()

    def appear(self) -> list[Row]:
        heading("Accounts and their users, made on crm, appear on billing")
        self.change(self.crm, "insert into accounts (name, plan) values ('Acme', 'free'), ('Globex', 'pro');", "INSERT 0 2")
        self.change(
            self.crm,
            "insert into users (account_id, email, name)\n"
            "values (1, 'ann@acme.test', 'Ann'), (1, 'bob@acme.test', 'Bob'), (3, 'hank@globex.test', 'Hank');",
            "INSERT 0 3",
        )
        contacts: list[Row] = [
            ("1", "1", "ann@acme.test", "Ann"),
            ("3", "1", "bob@acme.test", "Bob"),
            ("5", "3", "hank@globex.test", "Hank"),
        ]
        self.arrive(self.billing, CONTACTS, contacts)
        self.see(self.billing, CUSTOMERS, [("1", "Acme", "free"), ("3", "Globex", "pro")])
        return contacts

    def cross(self) -> None:
        heading("Changes cross from either side")
        self.change(self.crm, "update accounts set plan = 'team' where id = 1;", "UPDATE 1")
        self.change(self.billing, "update customers set title = 'Globex Ltd' where customer_id = 3;", "UPDATE 1")
        self.change(self.billing, "insert into customers (title) values ('Initech');", "INSERT 0 1")
        customers: list[Row] = [("1", "Acme", "team"), ("2", "Initech", "free"), ("3", "Globex Ltd", "pro")]
        self.arrive(self.crm, ACCOUNTS, customers)
        self.see(self.billing, CUSTOMERS, customers)

    def delete(self, contacts: list[Row]) -> list[Row]:
        heading("A delete takes the account's users along, on both")
        self.change(self.crm, "delete from accounts where id = 3;", "DELETE 1")
        left = contacts[:2]
        self.see(self.crm, USERS, left)
        self.arrive(self.billing, CONTACTS, left)
        self.see(self.billing, CUSTOMERS, [("1", "Acme", "team"), ("2", "Initech", "free")])
        return left

    def wait_without_worker(self, contacts: list[Row]) -> None:
        heading("Without the worker changes wait in sync_events; with it they go")
        self.settle()
        self.worker.stop()
        self.change(self.crm, "update users set name = 'Ann Lee' where id = 1;", "UPDATE 1")
        self.change(self.crm, "insert into users (account_id, email, name) values (1, 'cid@acme.test', 'Cid');", "INSERT 0 1")
        self.search_rowferry(self.crm)
        backlog: list[Row] = [("users", "1", "update"), ("users", "7", "insert")]
        answer = self.crm.type("select * from sync_events;")
        found = self.crm.rows(WAITING)
        if found != backlog or answer.count("users") != 2:
            raise DemoError(f"crm's backlog is not {backlog} but {found}")
        unchanged = self.billing.rows(CONTACTS)
        if unchanged != contacts:
            raise DemoError(f"billing, without a worker, is not {contacts} but {unchanged}")
        say()
        self.worker.start()
        self.changed_at = time.monotonic()
        self.arrive(self.crm, "select count(*) from sync_events;", [("0",)])
        self.see(
            self.billing,
            CONTACTS,
            [("1", "1", "ann@acme.test", "Ann Lee"), contacts[1], ("7", "1", "cid@acme.test", "Cid")],
        )

    def conflict(self) -> None:
        heading("A conflict: both sides change one account while they are apart")
        self.settle()
        self.worker.stop()
        self.change(self.crm, "update accounts set name = 'Acme Inc' where id = 1;", "UPDATE 1")
        self.change(self.billing, "update customers set title = 'Acme AG' where customer_id = 1;", "UPDATE 1")
        self.search_rowferry(self.billing)
        self.worker.start()
        say("The later change wins, on both; both keep the row that was given up.\n")
        for node in (self.crm, self.billing):
            self.until(node, "select count(*) from rowferry.conflicts", [("1",)])
        self.settle()
        accounts: list[Row] = [("1", "Acme AG", "team"), ("2", "Initech", "free")]
        decided: list[Row] = [("1", "billing", "newest", "Acme AG", "Acme Inc")]
        self.see(self.crm, ACCOUNTS, accounts)
        self.see(self.billing, CUSTOMERS, accounts)
        self.see(self.crm, CONFLICTS, decided)
        self.see(self.billing, CONFLICTS, decided)

    def status(self) -> None:
        heading("Where things stand")
        self.settle()
        state = "select peer, state, pending, held, courier is not null, reason from rowferry.status"
        for node, peer in ((self.crm, "billing"), (self.billing, "crm")):
            self.until(node, state, [(peer, "idle", "0", "0", "t", None)])
        answer = self.crm.type("select * from status;")
        if "idle" not in answer or "billing" not in answer:
            raise DemoError("crm's status does not say that the link to billing is idle")
        say()


def stay(nodes: Sequence[Node], worker: Worker) -> None:
    """Keep everything up for the visitor until a signal comes, which is then a good end."""
    try:
        heading("Your turn: the servers and the worker stay up until Ctrl-C")
        found = shutil.which("psql")
        for node in nodes:
            own = node.server.bin_dir / "psql"
            program = "psql" if found or not own.exists() else shlex.quote(str(own))
            say(f"{program} '{node.uri}'")
        say(f"\nIn psql, short names for what to look at: \\i {shipped_sql() / 'psql' / 'rowferry.psqlrc'}")
        assert worker.process is not None
        while True:
            worker.check()
            worker.signals.check()
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(1)
    except Stopped:
        with contextlib.suppress(OSError):  # the terminal may be gone
            say("\nStopping the worker and the servers; nothing is kept.")
