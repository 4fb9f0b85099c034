"""One call compares every table with every node."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.comparing import unseen
from harness.exchange import refused_with, rows
from harness.star import SPOKES, Star, star
from rowferry.operate.session import find_hubs

FOUND = "select entity, same, different, only_here, only_there, pending from rowferry.compare_runs where state = 'finished'"


@pytest.fixture
def hub(servers: Any, tmp_path: Path) -> Iterator[Star]:
    with star(servers, tmp_path, {"hub": SPOKES}) as made:
        made.sql("create table accounts (id int primary key, v text); create table notes (id int primary key, v text)")
        for table in ("accounts", "notes"):
            made.attach(table)
        made["hub"].sql("insert into accounts select n, 'v' from generate_series(1, 5) n; insert into notes values (1, 'v')")
        made.sync()
        yield made


def test_all_nodes_are_compared_with_the_hub_by_one_call(hub: Star) -> None:
    unseen(hub["north"], "update accounts set v = 'other' where id = 2", table="accounts")
    unseen(hub["east"], "delete from notes", table="notes")
    asked = hub["hub"].sql("select * from rowferry.compare_all()")
    assert [(row["entity"], row["peer"]) for row in asked] == [
        (f"{t}@{n}", n) for n in sorted(SPOKES) for t in ("accounts", "notes")
    ]
    assert all("compare_report where run_id" in row["state"] for row in asked)
    hub.sync()
    assert rows(hub["hub"], FOUND) == [
        "(accounts@east,5,0,0,0,0)",
        "(accounts@north,4,1,0,0,0)",
        "(accounts@south,5,0,0,0,0)",
        "(notes@east,0,0,1,0,0)",
        "(notes@north,1,0,0,0,0)",
        "(notes@south,1,0,0,0,0)",
    ]


def test_a_name_limits_it_to_one_peer(hub: Star) -> None:
    asked = hub["hub"].sql("select * from rowferry.compare_all('north')")
    assert [row["entity"] for row in asked] == ["accounts@north", "notes@north"]
    refused_with("RF002", hub["hub"], "select * from rowferry.compare_all('west')")


def test_the_command_asks_the_hub_wherever_it_stands_in_the_file(tmp_path: Path) -> None:
    """A spoke knows of one link only, so that its answer would read as if all were equal."""
    ini = tmp_path / "alembic.ini"
    ini.write_text("[nodes]\nnorth = N\nhub = H\nsouth = S\n\n[links]\nhub = north, south\n")
    assert [node.name for node in find_hubs(str(ini))] == ["hub"]
    ini.write_text("[nodes]\ncrm = C\nbilling = B\n")
    assert [node.name for node in find_hubs(str(ini))] == ["crm"]
