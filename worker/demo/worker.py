"""The worker of a demo, and the commands that are typed beside it."""

import shlex
import signal
import subprocess
from pathlib import Path
from typing import IO, Any

from rowferry.demo import embedded
from rowferry.demo.children import DemoError, Signals, end, output
from rowferry.demo.screen import prompt, say

RUN = ["rowferry", "run", "--interval", "0.2"]
END_SECONDS = 15.0
COMMAND_SECONDS = 60.0


class Worker:
    """`rowferry run` as a process that ends with this one."""

    def __init__(self, signals: Signals, env: dict[str, str], log: IO[bytes], folder: Path) -> None:
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
            code = self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            raise DemoError(f"waited {END_SECONDS:g} s for the worker to end\n{self.words()}") from None
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
