"""Debezium's engine as a process of its own, with the settings of docs/deploy/outbox.properties."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.nodes import REPO, Node

LOCK = REPO / "tests" / "debezium.lock"
FOLDER = REPO / ".venv" / "debezium"
PROGRAM = Path(__file__).with_name("debezium_engine.py")
SETTINGS = REPO / "docs" / "deploy" / "outbox.properties"


def python() -> Path:
    """The Python of a venv with what the lock file names, made once. Skips the test where there is no Java."""
    if shutil.which("java") is None:
        pytest.skip("Debezium needs Java 17: apt-get install openjdk-17-jre-headless")
    program, done = FOLDER / "bin" / "python", FOLDER / "installed"
    FOLDER.parent.mkdir(exist_ok=True)
    with (FOLDER.parent / "debezium.making").open("w") as making:
        fcntl.flock(making, fcntl.LOCK_EX)
        if not done.exists() or done.read_text() != LOCK.read_text():
            pip = [str(program), "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input", "install"]
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True)
            subprocess.run([*pip, "--require-hashes", "--only-binary", ":all:", "-r", str(LOCK)], check=True)
            done.write_text(LOCK.read_text())
    return program


def settings(node: Node, user: str, password: str, offsets: Path, changed: dict[str, str | None]) -> dict[str, str]:
    """Those of the documentation, with this node in the place of the environment's, and what only the embedded engine needs."""
    lines = [line for line in SETTINGS.read_text().splitlines() if line and not line.startswith("#")]
    documented = {name: value.replace("\\\\", "\\") for name, _, value in (line.partition("=") for line in lines)}
    own = {
        "database.hostname": "127.0.0.1",
        "database.port": str(node.server.port),
        "database.user": user,
        "database.password": password,
        "database.dbname": node.database,
        "offset.storage": "org.apache.kafka.connect.storage.FileOffsetBackingStore",
        "offset.storage.file.filename": str(offsets),
        "offset.flush.interval.ms": "1000",
        "converter.schemas.enable": "false",
    }
    assert own.keys() - documented.keys() == {name for name in own if name.startswith(("offset.", "converter."))}
    assert changed.keys() <= documented.keys()
    left_out = tuple(f"{name}." for name, value in changed.items() if value is None)
    merged = {name: value for name, value in (documented | own | changed).items() if not name.startswith(left_out or ("-",))}
    return {name: value for name, value in merged.items() if value is not None}


class Engine:
    """Runs from `start()` until `kill()`, over the same file of offsets; what came out is in `messages()`.

    `changed`: settings that are other ones than in the documentation; one that is None goes with all below it.
    """

    def __init__(self, node: Node, user: str, password: str, folder: Path, changed: dict[str, str | None]) -> None:
        self.program, self.folder = python(), folder
        self.settings = settings(node, user, password, folder / "offsets", changed)
        self.outputs: list[Path] = []  # one for each start: whoever is killed may leave half a line
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        self.outputs.append(self.folder / f"messages_{len(self.outputs)}")
        self.outputs[-1].touch()
        with (self.folder / "engine.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.program), str(PROGRAM), json.dumps(self.settings), str(self.outputs[-1]), *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env={name: value for name, value in os.environ.items() if not name.startswith("PG")},
            )

    def kill(self) -> None:
        """SIGKILL, so that it can note nothing."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def messages(self) -> list[dict[str, Any]]:
        """Those of the outbox, in the order in which they came."""
        lines = [line for output in self.outputs for line in output.read_text().splitlines(keepends=True)]
        parsed = [json.loads(line) for line in lines if line.endswith("\n")]
        return [message for message in parsed if message["topic"].startswith("outbox.event.")]

    def last_words(self) -> str:
        return "\n".join((self.folder / "engine.log").read_text().splitlines()[-40:]) + f"\n{time.ctime()}"
