"""What an outbox costs beside Debezium that reads the table itself: bytes of the write-ahead log, and how fast both are read."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from bench.bed import ROWS, TABLE, Bed, Ours, Pair, await_true, pgbench
from bench.report import Result, shown
from bench.run import Run, Section
from harness import debezium
from harness.nodes import Node, alembic
from harness.worker import start_worker

ROW_COUNT = 100_000
UPDATES = 20_000  # each a transaction
UPDATE = "\\set id random(1, {rows})\nupdate items set amount = amount + 1, changed_at = now() where id = :id;\n"
OPTIONS = ["-c", "2", "-j", "2", "-M", "prepared"]


SLOT = "select from pg_replication_slots where slot_name = %s"


class Tables(Pair):
    """The table with nothing but a publication of its own."""

    title = "Debezium reads the table"
    engine: dict[str, str | None] = {  # where it differs from the settings for an outbox
        "slot.name": "of_wal_tables",
        "publication.name": "items",
        "table.include.list": "public.items",
        "schema.include.list": "public",
        "transforms": None,
        "heartbeat.interval.ms": "0",  # it would count as a message
    }

    def __init__(self, bed: Bed, database: str) -> None:
        super().__init__(bed, database)
        self.slot = f"of_{database}"
        self.prepare()
        self.source.sql("select pg_create_logical_replication_slot(%s, 'pgoutput')", [self.slot])

    def prepare(self) -> None:
        self.source.sql(TABLE.format(name="items"))
        self.source.sql("create publication items for table items")

    def settle(self) -> None:
        """Until all that was written is in the log in the form in which it is read."""

    def drop(self) -> None:
        await_true("nobody reads the slot", lambda: not self.source.sql(f"{SLOT} and active", [self.slot]))
        self.source.sql("select pg_drop_replication_slot(%s)", [self.slot])
        super().drop()


class Outbox(Tables):
    """The table attached for an outbox, and for no other node."""

    title = "an outbox"
    engine: dict[str, str | None] = {"slot.name": "of_wal_outbox", "heartbeat.interval.ms": "0"}

    def prepare(self) -> None:
        alembic(self.nodes.env, "upgrade", "head")
        self.source.sql(TABLE.format(name="items"))
        self.source.sql("select rowferry.add_outbox('kafka', %s)", [self.slot])
        self.source.sql("select rowferry.attach('items', p_peer => 'kafka')")

    def settle(self) -> None:
        worker = start_worker(self.nodes, self.bed.log)
        try:
            newest = "select 1 from rowferry.events order by id desc limit 1"
            await_true("all events have left", lambda: not self.source.sql(newest), 0.05)
        finally:
            worker.terminate()
            worker.wait(60)


class Link(Ours):
    """The table kept in sync with the other node, for comparison; it has no slot."""

    title = "a second database"

    def settle(self) -> None:
        self.release()
        super().settle()
        self.hold()


def at(node: Node) -> int:
    """How many bytes of the log have been written."""
    return int(node.sql("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') as bytes")[0]["bytes"])


def written(way: Tables | Link, rows: int, updates: int) -> list[float]:
    """Bytes of the log for each change: inserts, updates, updates of one row, deletes."""
    work = [
        (rows, lambda: way.source.sql(ROWS.format(name="items", first=1, last=rows))),
        (rows, lambda: way.source.sql("update items set amount = amount + 1, changed_at = now()")),
        (updates, lambda: pgbench(way.source, *OPTIONS, "-t", str(updates // 2), script=UPDATE.format(rows=rows))),
        (rows // 4, lambda: way.source.sql(f"delete from items where id <= {rows // 4}")),
    ]
    found = []
    for count, do in work:
        way.source.sql("vacuum items")
        before = at(way.source)
        do()
        way.settle()
        found.append((at(way.source) - before) / count)
    return found


def read(way: Tables, rows: int) -> float:
    """Messages per second that come out of Debezium's engine, so many of them, while what was written above waits in the log."""
    with tempfile.TemporaryDirectory() as folder:
        engine = debezium.Engine(way.source, "postgres", way.source.server.password, Path(folder), way.engine)

        def seen() -> int:
            return sum(map(int, engine.outputs[-1].read_text().split()))

        engine.start("count")
        try:
            first = await_true("it has begun", seen, 0.05)
            began = time.monotonic()
            await_true("it has read all", lambda: seen() >= rows, 0.2)
            return (rows - first) / (time.monotonic() - began)
        except TimeoutError:
            print(engine.last_words())
            raise
        finally:
            engine.kill()


def measure(run: Run) -> tuple[Section, list[Result]]:
    """A line for each way."""
    section = Section(
        "outbox",
        "An outbox beside Debezium that reads the table",
        "The first four columns say how many bytes each change adds to the node's write-ahead log until its event has left the "
        f"queue. One statement inserts {ROW_COUNT // run.scale:,} rows of some 100 bytes, one updates them and one deletes a "
        f"quarter of them; the updates of one row are {UPDATES // run.scale:,} transactions. The last column says how many "
        "messages per second Debezium's engine gives out while all rows wait in the log.",
        ["", "insert", "update", "update of one row", "delete", "rows/s"],
    )
    for kind in (Tables, Outbox, Link):
        with kind(run.bed, f"wal_{kind.__name__.lower()}") as way:
            figures = [shown(figure) for figure in written(way, ROW_COUNT // run.scale, UPDATES // run.scale)]
            if isinstance(way, Tables) and shutil.which("java"):
                figures.append(shown(read(way, ROW_COUNT // run.scale)))
            section.lines.append([kind.title, *figures, *["–"] * (5 - len(figures))])
            run.say(f"outbox: {', '.join(section.lines[-1])}")
    return section, []
