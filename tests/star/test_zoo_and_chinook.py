"""Whole schemas on four nodes: Chinook, and the zoo of what applications have in theirs. At rest all nodes are equal."""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from convergence import chinook
from convergence.test_zoo import RULES, SCHEMA, TABLES, ZOO, Client, in_sync, let_work, make

from harness.exchange import rows
from harness.star import SPOKES, Star, star


@pytest.fixture
def hub(servers: Any, tmp_path: Path) -> Iterator[Star]:
    """The hub is called as the zoo's users call the node that writes letters."""
    with star(servers, tmp_path, {"crm": SPOKES}) as made:
        yield made


def attach(hub: Star, names: list[str], role: str, rules: dict[str, str]) -> None:
    for parent, spoke in hub.pairs:
        for node, peer in ((parent, spoke.name), (spoke, parent.name)):
            for name in names:
                rule = rules.get(name, "").replace("'letter'", f"'letter@{spoke.name}'")
                node.sql(f"{role} select rowferry.attach('{name}', p_peer => '{peer}'{rule})")
    hub.sql("select rowferry.set_breaker(e.name, null) from rowferry.entities e")  # the users may delete most of a table
    hub["crm"].sql("select rowferry.backfill(e.name) from rowferry.entities e")


@pytest.mark.case(152)
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_chinook_on_four_nodes(hub: Star, tmp_path: Path) -> None:
    seed = chinook.new_seed()
    names = chinook.make(hub, 4)
    attach(hub, random.Random(seed).sample(names, len(names)), "", {})
    with hub.worker(tmp_path / "log"):
        hub.wait_for_rest(120)
        chinook.assert_equal(hub, names)
        with chinook.users(hub, seed, 60):
            pass
        hub.wait_for_rest(120)
    chinook.assert_equal(hub, names)


@pytest.mark.case(152)
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_zoo_on_four_nodes(hub: Star, tmp_path: Path) -> None:
    seed = os.environ.get("ROWFERRY_SEED") or str(random.randrange(10**9))
    print("ROWFERRY_SEED", seed)
    for node in hub:
        make(node, ZOO if node.name == "crm" else SCHEMA)
    names = [row["name"] for row in hub["crm"].sql(TABLES)]
    # What follows another table comes after it.
    attach(hub, sorted(names, key=lambda name: "p_within" in RULES.get(name, "")), "set role zoo_dba;", RULES)
    with hub.worker(tmp_path / "log"):
        hub.wait_for_rest(240)
        let_work([Client(node, number, seed, 40) for number, node in enumerate(hub)])
        hub.wait_for_rest(240)
    assert [node.sql("select * from rowferry.held_events") for node in hub] == [[]] * 4
    for name in names:
        found = [rows(node, in_sync(name)) for node in hub]
        assert all(there == found[0] for there in found), name
    for node in hub:
        count = "select count(*) from shop.orders o where o.customer = c.id"
        assert node.sql(f"select id from shop.customer c where orders_count <> ({count})") == []
        twice = "select record from books.audit where what = 'INSERT' group by relation, record having count(*) > 1"
        assert node.sql(twice) == []
