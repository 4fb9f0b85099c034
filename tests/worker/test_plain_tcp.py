"""Nothing goes to another host unencrypted unless it was asked for. 192.0.2.0/24 is no network: refused means not even tried."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness import REPO, Nodes
from harness.worker import PROGRAM
from rowferry import config
from rowferry.config import ConfigError, Node

AWAY = "192.0.2.1"
VARIABLE = "ROWFERRY_NODE_CRM"


@pytest.fixture(autouse=True)
def no_settings_of_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGHOSTADDR", "PGSSLMODE", "PGSERVICE", "PGSERVICEFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("value", "environment"),
    [
        (f"host={AWAY} dbname=app", {}),
        (f"postgresql://dba@{AWAY}/app", {}),
        (f"postgresql://dba@{AWAY}/app?sslmode=prefer", {}),
        (f"postgresql://dba@{AWAY}/app?sslmode=allow", {}),
        (f"host=localhost,{AWAY} dbname=app", {}),
        (f"host=localhost hostaddr={AWAY} dbname=app", {}),
        (f"host=localhost,{AWAY} hostaddr=127.0.0.1, dbname=app", {}),
        (f"service=crm host={AWAY}", {}),
        (f"host={AWAY} dbname=app", {"PGSERVICE": "crm"}),
        (f"host={AWAY} service=crm", {"PGSSLMODE": "verify-full"}),
        ("host=localhost.crm.example dbname=app", {}),
        ("host=2001:db8::1 dbname=app", {}),
        ("dbname=app", {"PGHOST": AWAY}),
        ("host=localhost dbname=app", {"PGHOSTADDR": AWAY}),
        (f"host={AWAY} dbname=app", {"PGSSLMODE": "prefer"}),
        (f"host={AWAY} dbname=app sslmode=prefer", {"PGSSLMODE": "verify-full"}),
    ],
)
def test_another_host_in_plain_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, value: str, environment: dict[str, str]
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    for name, setting in environment.items():
        monkeypatch.setenv(name, setting)
    with pytest.raises(ConfigError, match=r"^crm: ROWFERRY_NODE_CRM would let rows go to .* unencrypted\. Hint: add sslmode="):
        Node("crm", VARIABLE).conninfo()


@pytest.mark.parametrize(
    ("value", "environment"),
    [
        (f"host={AWAY} sslmode=require", {}),
        (f"postgresql://dba@{AWAY}/app?sslmode=verify-full", {}),
        (f"host={AWAY} sslmode=disable", {}),
        (f"host={AWAY}", {"PGSSLMODE": "verify-ca"}),
        ("host=localhost", {}),
        ("host=127.0.0.2", {}),
        ("host=::1", {}),
        ("host=/run/postgresql", {}),
        ("host=@abstract", {}),
        ("host=crm.example hostaddr=127.0.0.1", {}),
        ("dbname=app", {}),
    ],
)
def test_what_is_encrypted_or_local_or_asked_for_is_not(
    monkeypatch: pytest.MonkeyPatch, value: str, environment: dict[str, str]
) -> None:
    monkeypatch.setenv(VARIABLE, value)
    for name, setting in environment.items():
        monkeypatch.setenv(name, setting)
    Node("crm", VARIABLE).conninfo()


@pytest.mark.parametrize(
    "command",
    [
        [PROGRAM, "run", "--once"],
        [PROGRAM, "status"],
        [sys.executable, "-m", "alembic", "-c", REPO / "alembic.ini", "-x", "node=crm", "current"],
    ],
    ids=["run", "status", "alembic"],
)
def test_every_program_refuses_before_it_tries(nodes: Nodes, command: list[str]) -> None:
    env = {**nodes.env, VARIABLE: f"postgresql://dba:secret@{AWAY}/app?connect_timeout=600"}
    done = subprocess.run(command, env=env, cwd=REPO, capture_output=True, text=True, timeout=120)  # an attempt lasts longer
    assert done.returncode == 2 and "unencrypted" in done.stderr and "secret" not in done.stdout + done.stderr
    assert len([line for line in done.stderr.splitlines() if "Hint: " in line]) == 1


def test_what_only_libpq_knows_is_looked_at_once_connected(nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that a service names. No test opens a port to another host, so that this host is taken for another one."""
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    monkeypatch.setenv(VARIABLE, "service=crm")
    server = nodes.crm.server
    text = f"[crm]\nhost=127.0.0.1\nport={server.port}\nuser=postgres\npassword={server.password}\ndbname={nodes.crm.database}\n"
    (tmp_path / "services").write_text(text)
    with Node("crm", VARIABLE).connect() as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    monkeypatch.setattr(config, "_is_local", lambda host: False)
    with pytest.raises(ConfigError, match=r"rows go to 127\.0\.0\.1 unencrypted"):
        Node("crm", VARIABLE).connect()
    (tmp_path / "services").write_text(text + "sslmode=disable\n")
    Node("crm", VARIABLE).connect().close()
