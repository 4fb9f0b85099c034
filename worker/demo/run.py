"""Runs a demo: the product's main job on real servers, every step typed, awaited and checked. pair.py and star.py tell what.

Exit codes: 0 all was as claimed, 1 something was not, 2 no PostgreSQL to run, 128 + n ended by signal n before the end.
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from rowferry.demo import embedded
from rowferry.demo.children import DemoError, Signals, Stopped
from rowferry.demo.screen import Node, bold, heading, say
from rowferry.demo.servers import environment, start_servers
from rowferry.demo.telling import Telling
from rowferry.demo.worker import Worker
from rowferry.migrations.sqlfile import shipped_sql


@dataclass
class Play:
    """A demo: the nodes, the folder in which its commands are typed, and what is told of them."""

    title: str
    names: Sequence[str]
    folder: Path
    story: Callable[[Sequence[Node], Worker], Telling]


def run(play: Play) -> int:
    """On a terminal the servers stay up until Ctrl-C, for you to try."""
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


def stay(nodes: Sequence[Node], worker: Worker) -> None:
    """Keep everything up for the visitor until a signal comes, which is then a good end."""
    try:
        say()
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
