"""The pattern of many articles: a trigger writes events, a loop takes them one by one, a transaction for each."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.synchronize import Event
from typing import Any

import psycopg
from psycopg.rows import dict_row

from bench.bed import TABLE, Bed, Way, await_true

EVENTS = """
    create table events (id bigint generated always as identity primary key, item_id int not null);
    create function note() returns trigger language plpgsql as $$
    begin
      insert into events (item_id) values (coalesce(new.id, old.id));
      return null;
    end $$;
    create trigger note after insert or update or delete on items for each row execute function note()"""
UPSERT = """
    insert into items values (%(id)s, %(name)s, %(amount)s, %(price)s, %(changed_at)s, %(note)s)
    on conflict (id) do update set name = excluded.name, amount = excluded.amount, price = excluded.price,
      changed_at = excluded.changed_at, note = excluded.note"""


def loop(source: str, target: str, stop: Event) -> None:
    """Until told to stop: read an event, read its row, write it on the other side, delete the event."""
    parent = os.getppid()
    with psycopg.connect(source, row_factory=dict_row) as one, psycopg.connect(target) as other:
        while not stop.is_set() and os.getppid() == parent:
            event: Any = one.execute("select id, item_id from events order by id limit 1").fetchone()
            if event is None:
                one.rollback()
                stop.wait(0.05)
                continue
            row: Any = one.execute("select * from items where id = %s", [event["item_id"]]).fetchone()
            if row is None:
                other.execute("delete from items where id = %s", [event["item_id"]])
            else:
                other.execute(UPSERT, row)
            other.commit()
            one.execute("delete from events where id = %s", [event["id"]])
            one.commit()


class Article(Way):
    """One way, so no loop of its own changes has to be broken. It runs all the time."""

    def __init__(self, bed: Bed, database: str = "of_article") -> None:
        super().__init__(bed, database)
        for node in self.nodes:
            node.sql(TABLE.format(name="items"))
        self.source.sql(EVENTS)
        context = multiprocessing.get_context("spawn")
        self.stop = context.Event()
        self.process = context.Process(target=loop, args=(self.source.conninfo, self.target.conninfo, self.stop), daemon=True)

    def release(self) -> None:
        self.process.start()

    def hold(self) -> None:
        self.stop.set()
        if self.process.pid:
            self.process.join(10)
            self.process.kill()

    def drop(self) -> None:
        self.hold()
        super().drop()

    def settle(self) -> None:
        await_true("all events have left", lambda: not self.source.sql("select 1 from events limit 1"))
