"""The real alembic in a process of its own, which a process makes that has imported it: to import it takes longer than most runs.

What it imports is others' alone. rowferry, and what alembic.ini names, is found and imported anew by each run.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import IO, Any

SECONDS = 120.0
lock = threading.Lock()
server: "subprocess.Popen[str] | None" = None


def run(arguments: Sequence[str], env: Mapping[str, str], cwd: Path | str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `python -m alembic` with these arguments."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        if lock.acquire(blocking=False):
            try:
                code = _forked(arguments, env, cwd, out, err)
            finally:
                lock.release()
        else:  # another one is at work, in another thread
            command = [sys.executable, "-m", "alembic", *arguments]
            done = subprocess.run(command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=out, stderr=err, timeout=SECONDS)
            code = done.returncode
        texts = [_text(file) for file in (out, err)]
    return code, texts[0], texts[1]


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def _forked(arguments: Sequence[str], env: Mapping[str, str], cwd: Path | str, out: IO[bytes], err: IO[bytes]) -> int:
    global server
    if server is None or server.poll() is not None:
        server = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    files = [f"/proc/{os.getpid()}/fd/{file.fileno()}" for file in (out, err)]
    assert server.stdin and server.stdout
    print(
        json.dumps({"arguments": [*arguments], "env": dict(env), "cwd": str(cwd), "files": files}), file=server.stdin, flush=True
    )
    timer = threading.Timer(SECONDS, server.kill)
    timer.start()
    try:
        return int(server.stdout.readline())
    finally:
        timer.cancel()


def _serve() -> None:
    """Runs what each line of stdin asks for, and prints its exit code."""
    for name in ("alembic.command", "sqlalchemy.dialects.postgresql.psycopg", "sqlglot.dialects.postgres"):
        import_module(name)
    main = import_module("alembic.config").main
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(asked)
            _finish(main, asked["arguments"])
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _become(asked: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    sys.path[0] = asked["cwd"]
    for number, path in enumerate([os.devnull, *asked["files"]]):
        os.dup2(os.open(path, os.O_RDWR), number)


def _finish(main: Any, arguments: list[str]) -> None:
    """Run it, and end with its exit code as Python would."""
    code: Any = 0
    try:
        main(arguments, prog="alembic")
    except SystemExit as end:
        code = end.code
    except BaseException:
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    _serve()
