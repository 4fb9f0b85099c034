"""A spoke that was restored from an older backup stops its own link alone, and is made whole while the others go on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Nodes, wait_until
from harness.exchange import rows
from harness.servers import backup, put_back
from harness.star import Star, star

STOPPED = "select peer from rowferry.status where state = 'stopped'"


@pytest.fixture
def hub(own_servers: Nodes, tmp_path: Path) -> Iterator[Star]:
    """North has a server of its own."""
    with star((own_servers.crm.server, own_servers.billing.server), tmp_path, {"hub": ("north", "south")}) as made:
        made.sql("create table accounts (id int primary key, v text)")
        made.attach("accounts")
        made["hub"].sql("insert into accounts select n, 'old' from generate_series(1, 9) n")
        made.sync()
        yield made


@pytest.mark.case(149)
@pytest.mark.slow
def test_a_restored_spoke_stops_its_own_link_and_is_made_whole_again(hub: Star, tmp_path: Path) -> None:
    node, north, south = hub["hub"], hub["north"], hub["south"]
    copy = backup(north)
    with hub.worker(tmp_path / "log"):
        north.sql("insert into accounts values (20, 'of north, lost there')")
        node.sql("update accounts set v = 'newer' where id = 1; delete from accounts where id = 2")
        wait_until(lambda: rows(south, "select from accounts where id = 20"), 30, "all have what north made")
        hub.wait_for_rest()
        put_back(north, copy)
        north.sql("insert into accounts values (21, 'since the restore')")
        south.sql("insert into accounts values (22, 'of south')")
        wait_until(lambda: rows(node, STOPPED) == ["(north)"], 30, "the hub stops the link to north, and no other")
        assert "north was set back" in node.sql("select reason from rowferry.status where peer = 'north'")[0]["reason"]
        wait_until(lambda: rows(node, "select from accounts where id = 22"), 30, "south goes on")
        node.sql("insert into accounts values (23, 'of the hub')")
        wait_until(lambda: rows(south, "select from accounts where id = 23"), 30, "south goes on")
        assert rows(south, STOPPED) == []

        for each, peer in ((node, "north"), (north, "hub")):
            if each.sql(STOPPED):
                each.sql(f"select * from rowferry.resync('{peer}')")
        node.sql("select rowferry.backfill(name) from rowferry.entities where peer = 'north' and direction <> 'receive'")
        hub.wait_for_rest()
        # What was deleted since the backup is on north alone: a comparison finds it.
        node.sql("select * from rowferry.compare_all('north')")
        hub.wait_for_rest()
        assert rows(node, "select record_id, kind from rowferry.differences") == ["(2,only_there)"]
        node.sql("select * from rowferry.repair('accounts@north', p_from => 'hub', p_dry_run => false)")
        hub.wait_for_rest()
    assert [row[1:].partition(",")[0] for row in hub.assert_equal("accounts")] == ["1", *map(str, (20, 21, 22, 23)), *"3456789"]
    assert "(1,newer)" in rows(north, "select * from accounts")
