"""Signals and child processes: whenever a signal comes, every child that was born is known to someone who ends it."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class DemoError(Exception):
    """The demo did not show what it claims; the message says what was awaited and what was there."""


class Stopped(BaseException):
    """A signal asks the demo to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Signals:
    """The first signal raises Stopped where the demo is; what comes later changes nothing."""

    def __init__(self) -> None:
        self.number = 0
        self.holding = False

    def __enter__(self) -> "Signals":
        self.before = {number: signal.signal(number, self._come) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _come(self, number: int, frame: FrameType | None) -> None:
        if not self.number:
            self.number = number
            if not self.holding:
                raise Stopped(number)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Raise only at the end of the block, whatever else it raises: a child born in it is then known."""
        self.check()
        self.holding = True
        try:
            yield
        finally:
            self.holding = False
            self.check()

    def check(self) -> None:
        """Raise now if a signal has come, also when Python swallowed what was raised then, as it does in a destructor."""
        if self.number:
            raise Stopped(self.number)

    def ignore(self) -> None:
        """From here on nothing disturbs the cleaning up."""
        self.holding = True


def output(signals: Signals, command: Sequence[str], seconds: float, **how: Any) -> tuple[int, str]:
    """Exit code and all output of a child in a session of its own: Ctrl-C is for the demo alone. DemoError if it takes longer."""
    with contextlib.ExitStack() as stack:
        with signals.held():
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                text=True,
                encoding="utf-8",
                errors="replace",
                **how,
            )
            stack.callback(end, process)
        try:
            text, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            raise DemoError(f"waited {seconds:g} s for the end of {command[0]}") from None
    return process.returncode, text


def end(process: subprocess.Popen[Any]) -> None:
    """Ask a child to end, and make it; nothing if it has ended."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout:
        process.stdout.close()
