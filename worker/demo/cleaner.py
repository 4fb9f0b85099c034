"""Removes the demo's folders under /tmp if the demo itself cannot: after kill -9 nobody else would.

Run as a program of its own with the folders' common prefix, in a session of its own. Its standard input is a pipe that ends with
the demo, however that ends; the servers end by themselves.
"""

import contextlib
import glob
import os
import shutil
import sys
import time
from pathlib import Path

SECONDS = 30.0


def serves(folder: str) -> bool:
    """Whether a server, or initdb's, still runs in the folder."""
    try:
        pid = int(Path(folder, "data", "postmaster.pid").read_text().split("\n")[0])
        os.kill(abs(pid), 0)  # initdb's own server writes its id with a minus
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False
    return True


def main(prefix: str) -> None:
    with contextlib.suppress(OSError):
        sys.stdin.buffer.read()
    deadline = time.monotonic() + SECONDS
    empty = 0
    while empty < 3 and time.monotonic() < deadline:  # initdb, in its second of life, may make one more folder
        folders = glob.glob(f"{glob.escape(prefix)}*")
        empty = 0 if folders else empty + 1
        for folder in folders:
            if not serves(folder):
                shutil.rmtree(folder, ignore_errors=True)
        if folders:
            time.sleep(0.1)
        else:
            time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1])
