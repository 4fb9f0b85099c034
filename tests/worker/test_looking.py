"""rowferry check, status and plan: what they show, where, and with which exit code."""

import json
import subprocess
from pathlib import Path

import pytest

from harness import REPO, Nodes
from harness.accounts import insert
from harness.command import Command
from harness.terminal import on_terminal, plain
from harness.worker import PROGRAM


def test_check_asks_both_nodes_and_an_error_is_1(rowferry: Command, nodes: Nodes) -> None:
    printed = rowferry("check")
    assert "crm: info: link billing" in printed and "billing: info: link crm" in printed
    nodes.billing.sql("alter table accounts disable trigger rowferry_capture_insert")
    printed = rowferry("check", code=1)
    assert "billing: error: " in printed and "crm: error: " not in printed
    found = json.loads(rowferry("check", "--json", code=1))
    errors = [row for row in found if row["severity"] == "error"]
    assert {row["node"] for row in errors} == {"billing"}
    for row in errors:
        nodes.billing.sql(row["fix"].partition(" then ")[0])
    rowferry("check")


def test_check_of_a_node_out_of_reach_is_3_and_the_other_one_is_checked(rowferry: Command) -> None:
    printed = rowferry("check", code=3, ROWFERRY_NODE_BILLING="host=127.0.0.1 port=1 dbname=x user=x password=secret-x")
    assert "crm: info: " in printed and "rowferry: billing: cannot connect" in printed


@pytest.mark.parametrize("command", [["status"], ["check"], ["plan"], ["compare"]])
def test_both_variables_on_one_database_are_refused_with_a_hint(rowferry: Command, nodes: Nodes, command: list[str]) -> None:
    printed = rowferry(*command, code=2, ROWFERRY_NODE_CRM=nodes.billing.conninfo)
    assert "crm: this is the database of billing" in printed and "Hint: ROWFERRY_NODE_CRM holds" in printed


@pytest.mark.parametrize("width", [60, 80, 140])
def test_status_fits_the_terminal(rowferry: Command, nodes: Nodes, width: int) -> None:
    insert(nodes.crm, 1, 1234)
    nodes.billing.sql("select rowferry.pause()")
    seen = on_terminal(rowferry.env, "status", width=width, code=1)
    lines = plain(seen).splitlines()
    assert all(len(line) <= width for line in lines), lines
    [crm] = [line for line in lines if line.startswith("crm → billing")]
    assert "waiting" in crm and "1,234" in crm
    assert ("worker" in lines[0]) == (width == 140)
    assert "\x1b[33mwaiting" in seen and "\x1b[35mpaused" in seen
    assert "next: select * from rowferry.resume('crm');" in plain(seen)
    colourless = on_terminal({**rowferry.env, "NO_COLOR": "1"}, "status", width=width, code=1)
    assert not any(f"\x1b[3{colour}m" in colourless for colour in range(8))


def test_status_has_no_colour_where_there_is_no_terminal(rowferry: Command) -> None:
    assert "\x1b" not in rowferry("status")


def test_watch_shows_changes_until_ctrl_c(rowferry: Command, nodes: Nodes) -> None:
    inserted = False

    def changed(seen: str) -> bool:
        nonlocal inserted
        if "crm → billing" in seen and not inserted:
            insert(nodes.crm, 1, 77)
            inserted = True
        return " 77 " in plain(seen)

    seen = on_terminal(rowferry.env, "status", "--watch", "0.2", until=changed)
    assert "every 0.2 s; Ctrl-C ends it" in seen


def test_a_name_cannot_write_on_the_screen(rowferry: Command, nodes: Nodes) -> None:
    evil = "\x1b[31mred"
    nodes.crm.sql(f'create table "{evil}" (id integer primary key); select rowferry.attach(\'"{evil}"\')')
    nodes.crm.sql(f'alter table "{evil}" disable trigger rowferry_capture_insert')
    assert "\x1b" not in rowferry("check", code=1)
    assert evil not in on_terminal(rowferry.env, "check", code=1)


def test_plan_prints_what_each_node_is_to_run(rowferry: Command, nodes: Nodes, tmp_path: Path) -> None:
    for node in nodes:
        node.sql("create table users (id integer primary key, account integer references accounts)")
    nodes.crm.sql("alter table users add extra text; create table letters (id int primary key, country text)")
    nodes.billing.sql("create table mails (id int primary key, country text)")
    crm, billing = rowferry("plan").split("-- ===== billing, for crm")
    assert """attach('public.users', p_columns => '["account", "id"]');""" in crm
    assert "attach('public.users');" in billing and "accounts" not in billing
    assert "-- Not attached, and why:\n-- public.letters: " in crm
    assert all(len(line) <= 100 or line.count("select ") == 1 for line in (crm + billing).splitlines() if line.startswith("--"))
    assert "\n--   " in crm and "select rowferry.attach('public.letters', p_entity => 'letters');" in crm
    alone = rowferry("plan", "--node", "billing", "--file", "down")
    assert "select rowferry.detach('users', p_if_attached => true);" in alone and "=====" not in alone
    assert all(node.sql("select count(*) as n from rowferry.entities") == [{"n": 1}] for node in nodes)
    rowferry("plan", "--into", str(tmp_path / "0001_users"))
    assert "0001_users.billing.down.sql" in rowferry("plan", "--into", str(tmp_path / "0001_users"), code=2)
    for node in nodes:
        node.sql((tmp_path / f"0001_users.{node.name}.up.sql").read_text())
        assert all(row["exists"] for row in node.sql((tmp_path / f"0001_users.{node.name}.verify.sql").read_text()))
    nothing = rowferry("plan", "--into", str(tmp_path / "0002_nothing"), code=1)
    assert "nothing to attach" in nothing and not list(tmp_path.glob("0002*"))
    rowferry("plan", code=1)


def test_who_reads_no_further_ends_the_watch_without_a_traceback(rowferry: Command) -> None:
    command = [PROGRAM, "status", "--watch", "0.1"]
    process = subprocess.Popen(command, env=rowferry.env, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None and process.stdout.readline()
    process.stdout.close()
    assert process.wait(30) == 141 and process.stderr.read() == ""
    process.stderr.close()


def test_plan_takes_filters(rowferry: Command, nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table letters (id integer primary key, country text)")
    printed = rowferry("plan", "--filter", "letters=country = 'CH'")
    assert printed.count("attach('public.letters', p_filter => 'country = ''CH''');") == 2
    assert "nothing (RF011)" in rowferry("plan", "--filter", "nothing=true", code=1)
    assert "TABLE=CONDITION" in rowferry("plan", "--filter", "nothing", code=2)


def test_each_command_has_examples_and_exit_codes() -> None:
    top = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout
    assert "exit codes:" in top
    for command in ("run", "status", "check", "drift", "plan", "compare", "first-contact", "backfill", "init", "completion"):
        told = subprocess.run([PROGRAM, command, "--help"], capture_output=True, text=True, check=True).stdout
        assert f"examples:\n  rowferry {command}" in told and "exit codes:\n  0  " in told, command


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_completions_know_every_command(shell: str) -> None:
    printed = subprocess.run([PROGRAM, "completion", shell], capture_output=True, text=True, check=True).stdout
    assert all(word in printed for word in ("first-contact", "backfill", "watch"))


def test_bash_completes_commands_and_options() -> None:
    script = f"""eval "$({PROGRAM} completion bash)"
    COMP_WORDS=(rowferry back) COMP_CWORD=1; _shtab_rowferry rowferry back rowferry; echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "backfill", done.stderr
