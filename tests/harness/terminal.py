"""A command on a terminal of a given width: what a person sees."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from collections.abc import Callable

from harness.nodes import REPO
from harness.waiting import wait_until
from harness.worker import PROGRAM

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def on_terminal(
    env: dict[str, str], *arguments: str, width: int = 100, code: int = 0, until: Callable[[str], bool] | None = None
) -> str:
    """All that rowferry writes there, escape sequences included. `until`: when what was written is this, Ctrl-C is pressed."""
    reader, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    env = {name: value for name, value in env.items() if name not in ("COLUMNS", "LINES")} | {"TERM": "xterm-256color"}
    # Whoever started the tests in the background of a shell has made them ignore SIGINT.
    asked = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen([PROGRAM, *arguments], env=env, cwd=REPO, stdin=terminal, stdout=terminal, stderr=terminal)
    signal.signal(signal.SIGINT, asked)
    os.close(terminal)
    os.set_blocking(reader, False)
    seen, pressed = b"", False

    def ended() -> bool:
        nonlocal seen, pressed
        with contextlib.suppress(BlockingIOError):
            try:
                while part := os.read(reader, 65536):
                    seen += part
            except OSError as error:
                if isinstance(error, BlockingIOError):
                    raise
                return True  # the other end has closed
        if until and not pressed and until(seen.decode(errors="replace")):
            process.send_signal(signal.SIGINT)
            pressed = True
        return False

    try:
        wait_until(ended, 90, "the command has ended")
        assert process.wait(20) == code, seen
    finally:
        process.kill()
        process.wait()
        os.close(reader)
    return seen.decode().replace("\r\n", "\n")


def plain(seen: str) -> str:
    """Without colours and movements of the cursor."""
    return ESCAPES.sub("", seen)
