"""The real alembic on the nodes of a test, and revisions planted beside the shipped ones."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

from harness import prefork
from harness.nodes import REPO, Node, Nodes
from rowferry.demo.embedded import environment

INI = REPO / "alembic.ini"
FIRST = "core_0001"


def start(nodes: Nodes, *arguments: str, ini: Path = INI, **env: str) -> subprocess.Popen[str]:
    """alembic, begun in a folder that has nothing to do with the repository."""
    return subprocess.Popen(
        [sys.executable, "-m", "alembic", "-c", str(ini), *arguments],
        env={**nodes.env, **env},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Exit code, stdout, stderr."""
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def alembic(nodes: Nodes, *arguments: str, ini: Path = INI, **env: str) -> tuple[int, str, str]:
    return prefork.run(["-c", str(ini), *arguments], {**nodes.env, **env}, "/")


def succeed(nodes: Nodes, *arguments: str, ini: Path = INI) -> str:
    code, out, err = alembic(nodes, *arguments, ini=ini)
    assert code == 0, err
    return out if "--sql" in arguments else out + err


def psql(node: Node, script: str, stop: bool = True) -> tuple[int, str]:
    """Exit code and errors of psql; without stop it goes on after an error."""
    own = node.server.bin_dir / "psql"
    program = str(own) if own.exists() else "psql"
    command = [program, "-X", "-q", *(["-v", "ON_ERROR_STOP=1"] if stop else []), "-f", "-", node.conninfo]
    done = subprocess.run(
        command, input=script, env=environment(node.server.bin_dir), capture_output=True, text=True, encoding="utf-8"
    )
    return done.returncode, done.stderr


def dump(node: Node) -> str:
    """pg_dump --schema-only without the random words of its \\restrict lines."""
    own = node.server.bin_dir / "pg_dump"
    program = str(own) if own.exists() else "pg_dump"
    done = subprocess.run(
        [program, "--schema-only", "-d", node.conninfo], env=environment(node.server.bin_dir), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return re.sub(r"(?m)^\\(un)?restrict .*\n", "", done.stdout)


def relations(node: Node) -> set[str]:
    rows = node.sql("select relname from pg_class where relnamespace = to_regnamespace('rowferry') and relkind in ('r', 'v')")
    return {row["relname"] for row in rows}


def plant(folder: Path, lineage: str, *steps: str, downs: dict[int, str] | None = None, body: str = "") -> Path:
    """An ini file whose lineage has revisions of its own: step n of SQL is <lineage>_000n. Returns the ini file."""
    ini = folder / "alembic.ini"
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string((ini if ini.exists() else INI).read_text().replace("%(here)s", str(REPO)))
    section = parser["alembic" if lineage == "core" else "site"]
    section["version_locations"] = str(folder / lineage)
    section["sql_location"] = str(folder / f"{lineage}_sql")
    section["lock_wait"] = "3"
    section["lock_timeout"] = "1s"
    with ini.open("w") as file:
        parser.write(file)
    (folder / lineage).mkdir()
    (folder / f"{lineage}_sql" / "revisions").mkdir(parents=True)
    for number, sql in enumerate(steps, 1):
        name = f"{number:04}_step"
        (folder / lineage / f"{name}.py").write_text(
            "from alembic import op\n"
            "from rowferry.migrations import sqlfile\n"
            f"revision = '{lineage}_{number:04}'\n"
            f"down_revision = {f'{lineage}_{number - 1:04}' if number > 1 else None!r}\n"
            "def upgrade():\n"
            + (body or f"    sqlfile.run('revisions/{name}.up.sql')\n")
            + f"def downgrade():\n    sqlfile.run('revisions/{name}.down.sql')\n"
        )
        revisions = folder / f"{lineage}_sql" / "revisions"
        (revisions / f"{name}.up.sql").write_bytes(sql.encode())
        (revisions / f"{name}.down.sql").write_text((downs or {}).get(number, "select 1;\n"))
    return ini
