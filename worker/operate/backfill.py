"""`rowferry backfill`: the rows that a node has already are sent to its peer."""

import argparse
import sys

from rowferry.observe.screen import console, number, text
from rowferry.operate.session import acting, find_node
from rowferry.operate.waiting import wait

CALL = "select * from rowferry.backfill(%s, %s)"

# Backfills on their way, for waiting.wait(): finished is one whose last row has gone, held one of which some rows could not go.
# What users have changed since then does not count: it may never end. A row whose parent is missing may be held without having
# been tried; then it has an error all the same.
GOING = """
select b.entity as label, b.queued as done, b.estimated_rows as total,
  case when b.state <> 'finished' then b.state
    when w.waiting > w.held then 'delivering'
    when w.held > 0 then 'held'
    else b.state end as state
from rowferry.backfill_progress b
cross join lateral (
  select count(*), count(*) filter (where e.attempts > 0 or e.last_error is not null)
  from rowferry.sync_events e where e.entity = b.entity and e.changed_at <= b.finished_at) w (waiting, held)
where b.entity = any(%s)
order by b.entity"""


def backfill(options: argparse.Namespace) -> int:
    """rowferry.backfill() of each entity; with --wait 1 where rows are held."""
    node = find_node(options.config, options.node)
    with acting(node) as cursor:
        started = [cursor.execute(CALL, [name, options.rows_per_second]).fetchall()[0] for name in options.entities]
        for row in started:
            about = f"about {number(row['estimated_rows'])} rows, " if row["estimated_rows"] else ""
            console().print(text(f"{node.name}: {row['entity']}: {about}{row['state']}"), soft_wrap=True)
        if not options.wait:
            return 0
        rows = wait(cursor, GOING, [row["entity"] for row in started])
        for row in rows:
            if row["state"] == "held":
                print(f"rowferry: {node.name}: rows of {row['label']} are held. Hint: rowferry status says why", file=sys.stderr)
            else:
                console().print(text(f"{node.name}: {row['label']}: {number(row['done']) or '0'} rows sent"), soft_wrap=True)
        return int(any(row["state"] == "held" for row in rows))
