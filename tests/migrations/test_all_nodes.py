"""All nodes are looked at before the first is changed; where one fails later, it is said how to go on."""

from pathlib import Path

import pytest

from harness import Nodes
from harness.migrations import alembic, plant, psql, succeed

VERSION = "select coalesce(max(version_num), 'base') as at from rowferry.alembic_version_site"
STEPS = ("create table one ();\n", "create table two ();\n")
DOWNS = {1: "drop table one;\n", 2: "drop table two;\n"}


def at(nodes: Nodes) -> list[str]:
    return [node.sql(VERSION)[0]["at"] for node in nodes]


@pytest.mark.case(137)
def test_a_node_out_of_reach_keeps_all_as_they_are(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site", *STEPS, downs=DOWNS)
    succeed(blank, "upgrade", "core_0001")
    succeed(blank, "-n", "site", "upgrade", "head", ini=ini)
    for env, exit_code in (({"ROWFERRY_NODE_BILLING": ""}, 2), ({"ROWFERRY_NODE_BILLING": "host=127.0.0.1 port=1 dbname=x"}, 3)):
        code, _, err = alembic(blank, "-n", "site", "downgrade", "-1", ini=ini, **env)
        assert code == exit_code and len(err.splitlines()) == 1 and err.startswith("billing: ")
        assert at(blank) == ["site_0002", "site_0002"]
    succeed(blank, "-n", "site", "downgrade", "-1", ini=ini)
    assert at(blank) == ["site_0001", "site_0001"]


@pytest.mark.case(137)
def test_where_one_fails_in_the_middle_it_is_said_which_are_done_and_how_to_go_on(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site", *STEPS, downs=DOWNS)
    succeed(blank, "upgrade", "core_0001")
    blank.billing.sql("create table two ()")
    code, _, err = alembic(blank, "-n", "site", "upgrade", "+2", ini=ini)
    assert code == 1 and 'billing: ERROR 42P07: relation "two" already exists' in err
    go_on = f"alembic -c {ini} -n site -x node=billing upgrade site_0002"
    assert err.splitlines()[-2:] == ["crm is done.", f"Not done: billing. To go on: {go_on}"]
    assert at(blank) == ["site_0002", "site_0001"]
    blank.billing.sql("drop table two")
    succeed(blank, "-n", "site", "-x", "node=billing", "upgrade", "site_0002", ini=ini)
    assert at(blank) == ["site_0002", "site_0002"]


@pytest.mark.case(137)
@pytest.mark.parametrize(("target", "named"), [("+1", "upgrade site_0001"), ("-1", "downgrade base")])
def test_a_relative_target_that_means_two_things_is_refused(blank: Nodes, tmp_path: Path, target: str, named: str) -> None:
    ini = plant(tmp_path, "site", *STEPS, downs=DOWNS)
    succeed(blank, "upgrade", "core_0001")
    succeed(blank, "-n", "site", "-x", "node=crm", "upgrade", "site_0001", ini=ini)
    if target == "+1":
        succeed(blank, "-n", "site", "-x", "node=crm", "downgrade", "base", ini=ini)
    succeed(blank, "-n", "site", "-x", "node=billing", "upgrade", "site_0002" if target == "-1" else "site_0001", ini=ini)
    before = at(blank)
    code, _, err = alembic(blank, "-n", "site", "downgrade" if target == "-1" else "upgrade", target, ini=ini)
    assert code == 2 and len(err.splitlines()) == 1
    assert err.startswith(f"{target} ends at ") and f"Hint: name the revision: alembic -c {ini} -n site {named}" in err
    assert at(blank) == before


@pytest.mark.case(136)
@pytest.mark.parametrize("how", ["online", "printed", "printed, goes on after an error"])
def test_a_revision_does_not_run_on_another_nodes_database(blank: Nodes, tmp_path: Path, how: str) -> None:
    ini = plant(tmp_path, "site", "create table public.mine ();\n", "create table public.two ();\n")
    succeed(blank, "upgrade", "head")
    if how == "online":
        swapped = {
            "ROWFERRY_NODE_CRM": blank.env["ROWFERRY_NODE_BILLING"],
            "ROWFERRY_NODE_BILLING": blank.env["ROWFERRY_NODE_CRM"],
        }
        code, _, err = alembic(blank, "-n", "site", "upgrade", "head", ini=ini, **swapped)
        assert code == 1
    else:
        _, err = psql(
            blank.billing, succeed(blank, "-n", "site", "-x", "node=crm", "upgrade", "head", "--sql", ini=ini), how == "printed"
        )
    assert "this is the database of another node: billing" in err
    for node in blank:
        assert node.sql("select to_regclass('public.mine') as t, to_regclass('rowferry.alembic_version_site') as v") == [
            {"t": None, "v": None}
        ]


def test_the_site_before_core_says_what_to_run_first(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site", *STEPS)
    code, _, err = alembic(blank, "-n", "site", "upgrade", "head", ini=ini)
    assert code == 1 and "crm: HINT: alembic" in err.splitlines()[-1] and err.splitlines()[-1].endswith("upgrade head")


def test_history_needs_no_node(blank: Nodes, tmp_path: Path) -> None:
    ini = plant(tmp_path, "site", *STEPS)
    nowhere = {"ROWFERRY_NODE_CRM": "", "ROWFERRY_NODE_BILLING": ""}
    for lineage in ([], ["-n", "site"]):
        code, out, err = alembic(blank, *lineage, "history", ini=ini, **nowhere)
        assert (code, err) == (0, "") and "_0001" in out
    code, _, err = alembic(blank, "-n", "site", "history", "-i", ini=ini, **nowhere)
    assert code == 2 and "is not set" in err
