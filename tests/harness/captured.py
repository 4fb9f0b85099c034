"""Events that statements write, as short words."""

from harness.nodes import Node

EVENTS = "select concat_ws(' ', event_type, record_id) as event from rowferry.events order by id"


def captured(node: Node, *statements: str) -> list[str]:
    """Events of these statements alone, each in a transaction of its own of one session, in the order of their ids."""
    node.sql("truncate rowferry.events")
    with node.connect() as connection:
        for statement in statements:
            connection.execute(statement)
    return [row["event"] for row in node.sql(EVENTS)]
