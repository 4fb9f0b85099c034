"""The lock of migrations: one at a time for each database."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import psycopg

from rowferry.config import Node
from rowferry.migrations import settings
from rowferry.migrations.report import Refusal, log

POLL_SECONDS = 0.2

# Also for whoever repairs functions by hand: who holds it may create or replace them, and no two do so at once.
KEY = "hashtextextended('rowferry migrations', 0)"
TRY = f"select pg_try_advisory_lock({KEY})"
HOLDER = f"""
    select l.pid, a.application_name, a.usename
    from pg_locks l left join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.objsubid = 1 and l.granted
      and l.database = (select oid from pg_database where datname = current_database())
      and (l.classid::bigint << 32) | l.objid::bigint = {KEY}"""


@contextlib.contextmanager
def held(node: Node, deadline: float) -> Iterator[psycopg.Connection[Any]]:
    """Hold the lock on a connection that is idle and in no transaction: one that waited for the lock in a transaction would
    deadlock with `create index concurrently`, and with the process killed the lock is free at once.

    `deadline`: until when to wait, in seconds of time.monotonic(). Raises Refusal with the holder.
    """
    with node.connect(autocommit=True, application_name="rowferry migrations") as connection:
        connection.execute(settings.OURS)
        waiting = False
        while not connection.execute(TRY).fetchone()[0]:  # type: ignore[index]
            if time.monotonic() > deadline:
                pid, application, user = connection.execute(HOLDER).fetchone() or ("unknown", None, None)
                raise Refusal(
                    f"another migration holds the lock: process {pid} ({application or 'no name'}, user {user or 'unknown'}). "
                    f"Hint: wait for it, or end it: select pg_terminate_backend({pid});",
                    5,
                )
            if not waiting:
                log.info("waiting for another migration to end")
                waiting = True
            # A session that waited in pg_advisory_lock() would keep a snapshot, which CREATE INDEX CONCURRENTLY waits for.
            time.sleep(POLL_SECONDS)
        yield connection
