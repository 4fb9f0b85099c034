"""The table that most tests keep in sync: notes, of a number and a text."""

from harness.exchange import sync
from harness.nodes import Nodes

NOTES = "create table public.notes (id integer primary key, body text); select rowferry.attach('public.notes')"

# Of a third column no two rows have the same value, but a transaction may swap two.
RANKED = NOTES.replace("body text", "body text, rank integer unique deferrable")
PUT = "insert into notes values (1, '{}') on conflict (id) do update set body = excluded.body"


def keep_notes(nodes: Nodes, rows: str = "", table: str = NOTES) -> Nodes:
    """The nodes, which keep the table notes in sync; `rows`: what both have in it, as the rest of `insert into notes`."""
    for node in nodes:
        node.sql(table)
    if rows:
        nodes.crm.sql(f"insert into notes {rows}")
        sync(*nodes)
    return nodes
