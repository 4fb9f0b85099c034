"""Which database a node takes itself for: a copy of a database is another one, a restored backup is the same."""

from collections.abc import Iterable

from harness.nodes import Node

# Where neither PostgreSQL nor the file system tells a copy from the original.
SAME = """
create or replace function rowferry._database_identity() returns jsonb language sql stable as
$$ select jsonb_build_object('system', '1', 'database', '1', 'timeline', '1') $$;
update rowferry.node set system_identifier = '1', database_oid = 1
"""
OWN = "update rowferry.node set database_oid = (select oid from pg_database where datname = current_database())"


def share_identity(nodes: Iterable[Node]) -> None:
    """Copies made from these nodes take themselves for the original from here on, as a restored backup does."""
    for node in nodes:
        node.sql(SAME)


def adopt_identity(node: Node) -> None:
    """This database, a copy of another one, is a node of its own from here on."""
    node.sql(OWN)
