"""The command rowferry as a process, and what a node says of the worker."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from harness import REPO, Node, Nodes
from harness.worker import PROGRAM, beside_time


def run(env: dict[str, str], *arguments: str, code: int) -> str:
    """Output of rowferry, both streams; fails the test for another exit code or a traceback."""
    done = subprocess.run([str(PROGRAM), *arguments], env=env, cwd=REPO, capture_output=True, text=True, timeout=90)
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    assert "Traceback" not in output
    return output


@dataclass
class Worker:
    """A process of `rowferry run`; its output, once it has ended, is checked for passwords."""

    process: subprocess.Popen[Any]
    path: Path
    secrets: list[str]

    def log(self) -> str:
        return self.path.read_text()

    def end(self, number: int) -> int:
        """Signal it and wait: its exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)


@dataclass
class Command:
    """Runs rowferry on the nodes of a test."""

    nodes: Nodes
    folder: Path
    env: dict[str, str] = field(init=False)
    workers: list[Worker] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.env = self.nodes.env

    @property
    def secrets(self) -> list[str]:
        values = [value for name, value in self.env.items() if name.startswith("ROWFERRY_NODE_")]
        return [str(psycopg.conninfo.conninfo_to_dict(value)["password"]) for value in values]

    def __call__(self, *arguments: str, code: int = 0, **variables: str) -> str:
        """As run() on these nodes; fails the test for a password in the output too."""
        output = run({**self.env, **variables}, *arguments, code=code)
        assert not any(secret in output for secret in self.secrets)
        return output

    def once(self, code: int = 0) -> str:
        """What one run says, but for calls that it had to repeat."""
        return beside_time(self("run", "--once", code=code))

    def start(self, *arguments: str, program: tuple[str, ...] = (str(PROGRAM),)) -> Worker:
        """`rowferry run` in the background."""
        path = self.folder / f"worker{len(self.workers)}.log"
        with path.open("wb") as output:
            process = subprocess.Popen([*program, "run", *arguments], env=self.env, cwd=REPO, stdout=output, stderr=output)
        self.workers.append(Worker(process, path, self.secrets))
        return self.workers[-1]


def rows(node: Node) -> list[tuple[int, str]]:
    """The accounts of a node."""
    return [(row["id"], row["name"]) for row in node.sql("select id, name from accounts order by id")]


def at_rest(nodes: Nodes) -> bool:
    """Whether both queues are empty."""
    return not any(node.sql("select 1 from rowferry.events limit 1") for node in nodes)


def advisory_locks(node: Node) -> int:
    """How many are held in the node's database."""
    mine = "database = (select oid from pg_database where datname = current_database())"
    return int(node.sql(f"select count(*) from pg_locks where locktype = 'advisory' and {mine}")[0]["count"])


def transactions(node: Node) -> int:
    """How many the node's database has seen, those of the asking too."""
    return int(node.sql("select xact_commit as n from pg_stat_database where datname = current_database()")[0]["n"])


def status(node: Node) -> dict[str, Any]:
    """The node's row of the view status."""
    return node.sql("select * from rowferry.status")[0]


def courier(node: Node) -> int:
    """Process id of the worker that holds the node's lock, 0 if none does."""
    return int((status(node)["courier"] or "pid 0").rpartition(" ")[2])
