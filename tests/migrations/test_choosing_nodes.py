"""Which nodes there are, how they are reached, and what is said when one cannot be."""

from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness import Nodes
from harness.migrations import INI, alembic, relations
from rowferry.config import ConfigError, read_nodes
from rowferry.migrations.targets import pick

FIRST = "core_0001"


@pytest.mark.case(74)
def test_a_node_can_be_migrated_alone_without_the_other_ones_variable(blank: Nodes) -> None:
    code, _, err = alembic(blank, "-x", "node=crm", "upgrade", FIRST, ROWFERRY_NODE_BILLING="")
    assert code == 0, err
    assert "node" in relations(blank.crm)
    assert relations(blank.billing) == set()


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("node=sales", "no node is named 'sales'. Hint: the nodes are crm, billing\n"),
        ("node=", "no node is named ''. Hint: the nodes are crm, billing\n"),
        ("nod=crm", "-x nod means nothing. Hint: -x node=crm\n"),
    ],
)
def test_an_unknown_node_is_refused_in_one_line(blank: Nodes, argument: str, message: str) -> None:
    code, out, err = alembic(blank, "-x", argument, "upgrade", "head")
    assert (code, out, err) == (2, "", message)
    assert relations(blank.crm) == set()


BAD_CONNECTIONS = {
    "not set": ("", 2),
    "no connection string": ("sekret word", 2),
    "unquoted space": ("host=127.0.0.1 password=a sekret dbname=x", 2),
    "unencoded slash": ("postgresql://u:sek/sekret@127.0.0.1:1/x", 2),
    "unencoded at": ("postgresql://u:sek@sekret@127.0.0.1:1/x", 2),
    "bad escape": ("postgresql://u:sekret%zz@127.0.0.1/x", 2),
    "nobody listens": ("postgresql://u:sekret@127.0.0.1:1/x", 3),
    "no such host": ("host=host.invalid password=sekret dbname=x sslmode=require", 3),
    "wrong password": ("wrong", 3),
}


@pytest.mark.case(86)
@pytest.mark.parametrize("case", BAD_CONNECTIONS)
def test_a_node_out_of_reach_is_named_in_one_line_without_its_password(blank: Nodes, case: str) -> None:
    value, expected = BAD_CONNECTIONS[case]
    if case == "wrong password":
        value = blank.crm.server.conninfo(password="sekret")
    code, out, err = alembic(blank, "upgrade", "head", ROWFERRY_NODE_CRM=value)
    assert (code, out) == (expected, "")
    assert err.count("\n") == 1, err
    assert err.startswith("crm: ")
    assert "ROWFERRY_NODE_CRM" in err
    assert "sek" not in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[alembic]\n", "no section"),
        ("[nodes]\ncrm = A\n", "names 1 of two nodes"),
        ("[nodes]\ncrm = A\nBilling = B\n", "cannot name a node"),
        ("[nodes]\ncrm = A\nbilling = postgresql://u:sekret@h/x\n", "name of an environment variable"),
        ("crm = sekret\n", "not an ini file"),
        (None, "no configuration file"),
    ],
)
def test_a_wrong_list_of_nodes_is_refused(tmp_path: Path, text: str | None, message: str) -> None:
    ini = tmp_path / "alembic.ini"
    if text is not None:
        ini.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        read_nodes(ini)
    assert "Hint: " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "sekret" not in str(caught.value)


def test_nodes_come_from_the_file_that_is_named_or_is_here_and_from_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, name in (("named", "a"), ("here", "b")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "alembic.ini").write_text(f"[nodes]\nz{name} = Z\n{name} = V\n")
    monkeypatch.delenv("ROWFERRY_CONFIG", raising=False)
    monkeypatch.chdir("/")
    with pytest.raises(ConfigError, match=r"no alembic\.ini in this folder\. Hint: .*: rowferry init \w+ --nodes"):
        read_nodes()
    monkeypatch.chdir(tmp_path / "here")
    assert [node.name for node in read_nodes()] == ["zb", "b"]
    monkeypatch.setenv("ROWFERRY_CONFIG", str(tmp_path / "named" / "alembic.ini"))
    assert [node.name for node in read_nodes()] == ["za", "a"]
    assert [node.name for node in read_nodes(tmp_path / "here" / "alembic.ini")] == ["zb", "b"]
    assert [node.name for node in pick(read_nodes(), ["a"])] == ["a"]


def test_a_connection_string_keeps_what_its_user_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    node = read_nodes(INI)[0]
    monkeypatch.delenv("PGCONNECT_TIMEOUT", raising=False)
    monkeypatch.setenv("ROWFERRY_NODE_CRM", "postgresql://u:a%40b%25@h/x?keepalives_idle=99&sslmode=require")
    settings: dict[str, Any] = psycopg.conninfo.conninfo_to_dict(node.conninfo())
    assert (settings["password"], settings["keepalives_idle"], settings["connect_timeout"]) == ("a@b%", "99", "10")
    assert "a@b" not in repr(node)
    monkeypatch.setenv("ROWFERRY_NODE_CRM", "service=crm")
    assert psycopg.conninfo.conninfo_to_dict(node.conninfo())["service"] == "crm"
