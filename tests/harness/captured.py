"""Events that statements write, as short words."""

from harness.nodes import Node

EVENTS = "select concat_ws(' ', event_type, record_id) as event from rowferry.events order by id"

# A table in partitions of other column orders, one of them in partitions itself.
SPLIT = """
    create table split (v text, id int, part int, primary key (id, part)) partition by list (part);
    create table split_1 partition of split for values in (1);
    create table split_2 (part int not null, gone int, id int not null, v text) ;
    alter table split_2 drop column gone;
    alter table split attach partition split_2 for values in (2);
    create table split_3 partition of split for values in (3) partition by range (id);
    create table split_3a partition of split_3 default;
    select rowferry.attach('split');"""


def captured(node: Node, *statements: str) -> list[str]:
    """Events of these statements alone, each in a transaction of its own of one session, in the order of their ids."""
    node.sql("truncate rowferry.events")
    with node.connect() as connection:
        for statement in statements:
            connection.execute(statement)
    return [row["event"] for row in node.sql(EVENTS)]
