"""Whole schemas on four nodes: Chinook, and the zoo of what applications have in theirs. At rest all nodes are equal."""

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from convergence import chinook
from convergence.test_zoo import IN_SYNC, OWNERS, PRODUCT, RULES, SCHEMA, TABLES, ZOO, Client

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
        for owner in (*OWNERS, "zoo_dba"):
            node.sql(f"do $$ begin if to_regrole('{owner}') is null then create role {owner}; end if; end $$")
        node.sql(f'grant rowferry_owner, {", ".join(OWNERS)} to zoo_dba; grant create on database "{node.database}" to zoo_dba')
        node.sql(ZOO if node.name == "crm" else SCHEMA)
        node.sql("set role zoo_shop; alter table shop.orders enable always trigger count_orders")
    names = [row["name"] for row in hub["crm"].sql(TABLES)]
    # What follows another table comes after it.
    attach(hub, sorted(names, key=lambda name: "p_within" in RULES.get(name, "")), "set role zoo_dba;", RULES)
    with hub.worker(tmp_path / "log"):
        hub.wait_for_rest(240)
        clients = [Client(node, number, seed, 40) for number, node in enumerate(hub)]
        for client in clients:
            client.start()
        for client in clients:
            client.join(300)
        assert not any(client.is_alive() for client in clients), "the users did not finish"
        assert [failure for client in clients for failure in client.failures] == []
        hub.wait_for_rest(240)
    assert [node.sql("select * from rowferry.held_events") for node in hub] == [[]] * 4
    for name in names:
        columns = {"shop.customer": "id, party, country, email, updated_at", "shop.product": ", ".join([*PRODUCT, "gross"])}.get(
            name, "*"
        )
        found = [rows(node, f"select {columns} from {name}{IN_SYNC.get(name, '')}") for node in hub]
        assert all(there == found[0] for there in found), name
    for node in hub:
        count = "select count(*) from shop.orders o where o.customer = c.id"
        assert node.sql(f"select id from shop.customer c where orders_count <> ({count})") == []
        twice = "select record from books.audit where what = 'INSERT' group by relation, record having count(*) > 1"
        assert node.sql(twice) == []
