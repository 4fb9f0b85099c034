"""docs/monitoring: each query runs for whoever may only read, and has the columns that it is said to have."""

import re

import psycopg

from harness import REPO, Nodes
from harness.exchange import sync

FILE = REPO / "docs" / "monitoring" / "rowferry-queries.yml"
QUERY = re.compile(r"^(\w+):\n  query: \|\n((?:    .*\n)+)  metrics:\n((?:    - .*\n)+)", re.M)


def test_each_query_of_the_exporter_gives_numbers_under_the_names_it_says(nodes: Nodes) -> None:
    for node in nodes:
        node.sql("create table notes (id integer primary key, body text); select rowferry.attach('notes')")
        node.sql(f"insert into notes values (1, '{node.name}')")
    sync(*nodes)
    nodes.crm.sql("insert into notes values (2, 'waits')")
    queries = QUERY.findall(FILE.read_text())
    assert len(queries) == len(re.findall(r"^\w+:$", FILE.read_text(), re.M)) > 3
    numbers: set[str] = set()
    with psycopg.connect(nodes.crm.conninfo) as connection:
        connection.execute("set role rowferry_viewer")
        for name, query, metrics in queries:
            cursor = connection.execute(query)
            said = re.findall(r"- (\w+): \{usage: (\w+)", metrics)
            assert [column.name for column in cursor.description or ()] == [metric for metric, _ in said], name
            numbers |= {f"{name}_{metric}" for metric, usage in said if usage != "LABEL"}
            row = cursor.fetchone()
            assert row, name
            for value, (metric, usage) in zip(row, said, strict=True):
                assert isinstance(value, str) if usage == "LABEL" else value is None or float(value) is not None, metric
    shown = {row["name"] for row in nodes.crm.sql("select name from rowferry.metrics")}
    assert numbers == shown, "the worker's numbers have other names"
