"""What check() finds, each on a database made bad for it, and that it finds nothing on a good one."""

from harness import Nodes
from harness.exchange import sync


def test_two_good_nodes_have_nothing_to_mend(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table public.notes (id integer primary key, body text)")
        node.sql("select rowferry.attach('public.notes')")
    sync(*nodes)
    for node in nodes:
        assert node.sql("select * from rowferry.check()") == []


def test_selftest(nodes: Nodes) -> None:
    for r in nodes.crm.sql("select * from rowferry.selftest() l"):
        print(r["l"])
    assert 0
