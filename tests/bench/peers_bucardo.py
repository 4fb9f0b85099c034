"""Bucardo, two ways as rowferry, with short sleeps; its daemon runs all the time and is kicked by its own triggers."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import psutil

from bench.bed import SECONDS, TABLE, Bed, Way, await_true
from harness.nodes import Node

PROGRAM = "/usr/bin/bucardo"
# Seconds; the defaults are 0.2 to 10.
SLEEPS = {"mcp_loop_sleep": 0.05, "ctl_sleep": 0.05, "kid_sleep": 0.05, "kid_nodeltarows_sleep": 0.05, "endsync_sleep": 0.05}
LEFT = """
    select 1 from bucardo.delta_public_items d
    where not exists (select from bucardo.track_public_items t where t.txntime = d.txntime) limit 1"""


class Bucardo(Way):
    """It runs all the time."""

    def __init__(self, bed: Bed, database: str = "of_bucardo") -> None:
        super().__init__(bed, database)
        self.folder = Path(tempfile.mkdtemp(prefix="rowferry-bucardo-", dir=self.source.server.socket_dir))
        self.control = Node("crm", self.source.server, "bucardo")
        server = self.source.server
        self.variables = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "BUCARDO"))} | {
            "PGPASSWORD": server.password,
            "PGBINDIR": str(server.bin_dir),
            "HOME": str(self.folder),
        }
        at = ["--no-bucardorc", "--dbhost=127.0.0.1", f"--dbport={server.port}", f"--dbpass={server.password}"]
        self.files = [f"--piddir={self.folder}", f"--log-destination={self.folder}"]
        self.command = [PROGRAM, *at, "--dbname=bucardo", "--dbuser=bucardo"]
        for node in self.nodes:
            node.sql(TABLE.format(name="items"))
        Node("crm", server, "postgres").sql(f"create role bucardo superuser login password '{server.password}'")
        self.run([PROGRAM, "install", "--batch", *at, "--dbname=postgres", "--dbuser=postgres", f"--piddir={self.folder}"])
        for node in self.nodes:
            place = f"host=127.0.0.1 port={node.server.port} user=postgres pass={node.server.password}".split()
            self.run([*self.command, "add", "db", node.name, f"dbname={database}", *place])
        self.run([*self.command, "add", "table", "public.items", "db=crm", "relgroup=items"])
        self.run([*self.command, "add", "sync", "items", "relgroup=items", "dbs=crm:source,billing:source"])
        known = {row["name"] for row in self.control.sql("select name from bucardo.bucardo_config")}
        self.run([*self.command, "set", *(f"{name}={seconds}" for name, seconds in SLEEPS.items() if name in known)])
        self.run([*self.command, "set", f"reason_file={self.folder}/reason"])

    def run(self, command: list[str]) -> str:
        """What the program printed; RuntimeError with it if it failed."""
        how: dict[str, Any] = {"env": self.variables, "cwd": self.folder, "capture_output": True, "text": True}
        done = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=SECONDS, **how)
        if done.returncode:
            raise RuntimeError(f"bucardo: {done.stdout}{done.stderr}")
        return done.stdout

    def processes(self) -> list[psutil.Process]:
        """Those of this daemon, which writes the id of each into a file."""
        numbers = {int(word) for file in self.folder.glob("bucardo*.pid") for word in file.read_text().split()[:1]}
        return [psutil.Process(number) for number in numbers if psutil.pid_exists(number)]

    def release(self) -> None:
        self.run([*self.command, *self.files, "--sendmail=0", "start", "bench"])
        await_true("the daemon has its processes", lambda: len(self.processes()) >= 3)

    def hold(self) -> None:
        """End the daemon, by the ids of its own processes."""
        found = self.processes()
        for process in found:
            process.send_signal(signal.SIGTERM)
        _, alive = psutil.wait_procs(found, 10)
        for process in alive:
            process.kill()

    def drop(self) -> None:
        self.hold()
        super().drop()
        self.bed.drop("bucardo")

    def settle(self) -> None:
        for node in self.nodes:
            await_true("all changes have been taken", lambda node=node: not node.sql(LEFT))
