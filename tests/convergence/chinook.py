"""Chinook loaded on both nodes, users who change it on both, and whether both are equal."""

import os
import random
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from harness import REPO, Node, Nodes

CHINOOK = REPO / "tests" / "data" / "chinook.sql"
TABLES = "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by relname"
FOREIGN_KEYS = """
    select f.conname, f.conrelid::regclass::text as child, f.confrelid::regclass::text as parent,
      (select string_agg(format('c.%I = p.%I', c.attname, p.attname), ' and ')
        from unnest(f.conkey, f.confkey) k (c, p)
        join pg_attribute c on c.attrelid = f.conrelid and c.attnum = k.c
        join pg_attribute p on p.attrelid = f.confrelid and p.attnum = k.p) as matching,
      (select string_agg(format('c.%I is not null', c.attname), ' and ')
        from pg_attribute c where c.attrelid = f.conrelid and c.attnum = any (f.conkey)) as referring
    from pg_constraint f where f.contype = 'f' and f.connamespace = 'public'::regnamespace"""

DELETE_INVOICES = "with d as (delete from {} where invoice_id = any (%s) returning *) select json_agg(d)::text from d"
CLIENTS = 2  # on each side
WORDS = ["Für Elise", "O'Brien", 'say "yes"', "back\\slash", "tab\there", "{a,b}", "NULL", "", " ", "日本語 🎵", "line\nbreak"]


def new_seed() -> str:
    """ROWFERRY_SEED, or else a new one; printed, for the report of a failed test."""
    seed = os.environ.get("ROWFERRY_SEED") or str(random.randrange(10**9))
    print("ROWFERRY_SEED", seed)
    return seed


def tables(node: Node) -> list[str]:
    return [row["relname"] for row in node.sql(TABLES)]


def load(nodes: Nodes, dice: random.Random, fraction: int = 1) -> list[str]:
    """Chinook with its rows on crm and without on billing, all of it attached on both; 10: a tenth of the long tables."""
    names = make(nodes, fraction)
    for node in nodes:
        for name in dice.sample(names, len(names)):
            node.sql("select rowferry.attach(%s)", [name])
            node.sql("select rowferry.set_breaker(%s, null)", [name])  # its users may delete most of a table
    for name in dice.sample(names, len(names)):
        nodes.crm.sql("select * from rowferry.backfill(%s)", [name])
    return names


def make(nodes: Iterable[Node], fraction: int = 1) -> list[str]:
    """The tables, with their rows on the first node; each node draws keys of its own."""
    first, *others = nodes
    script = CHINOOK.read_text(encoding="utf-8")
    first.sql(script)
    for node in others:
        node.sql(script[: script.index("INSERT INTO")])
    if fraction > 1:
        first.sql(
            f"delete from playlist_track where track_id % {fraction} <> 1;"
            f"delete from invoice_line where invoice_id % {fraction} <> 1;"
            f"delete from invoice where invoice_id % {fraction} <> 1;"
            f"delete from track t where track_id % {fraction} <> 1 and track_id not in (select track_id from invoice_line);"
            "delete from album where album_id not in (select album_id from track);"
            "delete from artist where artist_id not in (select artist_id from album)"
        )
    names = tables(first)
    assert len(names) == 11 and all(names == tables(node) for node in others)
    for number, node in enumerate((first, *others)):
        for row in node.sql("select attrelid::regclass::text as name, attname from pg_attribute where attidentity = 'a'"):
            if row["name"] in names:
                step = f"set increment {1 + len(others)} restart {1_000_001 + number}"
                node.sql(f"alter table {row['name']} alter {row['attname']} {step}")
    return names


class Client(threading.Thread):
    """One user: random transactions on rows of its own, that is on its share of the old rows and on what it inserted itself.

    It refers to other rows only where nobody deletes them, so that nothing it does can fail, here or on the other side.
    """

    def __init__(self, node: Node, number: int, seed: str, transactions: int) -> None:
        super().__init__(daemon=True)
        self.node, self.number, self.transactions = node, number, transactions
        self.dice = random.Random(f"{seed} {number}")
        self.failures: list[str] = []
        self.statements = self.rows = self.rolled_back = 0
        self.old = {
            name: [row["key"] for row in node.sql(f"select {name}_id as key from {name} where {name}_id < 1000000 order by 1")]
            for name in ("artist", "album", "customer", "employee", "invoice", "media_type", "playlist", "track")
        }
        self.own = {name: [key for key in keys if key % (2 * CLIENTS) == number] for name, keys in self.old.items()}
        self.own.update(artist=[], employee=[], media_type=[])  # old ones stay as they are

    def run(self) -> None:
        with psycopg.connect(self.node.conninfo) as self.connection:
            for number in range(self.transactions):
                kept = {name: list(keys) for name, keys in self.own.items()}
                try:
                    self.transaction()
                except psycopg.Error as error:
                    self.failures.append(f"{self.node.name}: {error.sqlstate} {error}")
                    self.connection.rollback()
                    self.own = kept
                else:
                    if number % 7 == 6:
                        self.connection.rollback()
                        self.rolled_back += 1
                        self.own = kept
                    else:
                        self.connection.commit()

    def transaction(self) -> None:
        for _ in range(self.dice.randint(1, 4)):
            act = self.dice.choices(ACTS, WEIGHTS)[0]
            if self.dice.random() < 0.1:
                kept = {name: list(keys) for name, keys in self.own.items()}
                self.connection.execute("savepoint before")
                act(self)
                self.connection.execute("rollback to before")
                self.own = kept
            else:
                act(self)

    def sql(self, query: str, *params: Any) -> list[int]:
        """The first column of what comes back."""
        cursor = self.connection.execute(query, params)  # type: ignore[call-overload]
        self.statements += 1
        self.rows += max(cursor.rowcount, 0)
        return [row[0] for row in cursor.fetchall()] if cursor.description else []

    def word(self) -> str:
        return f"{self.dice.choice(WORDS)} {self.dice.randrange(10**6)}"

    def some(self, name: str, most: int) -> list[int]:
        keys = self.own[name]
        return self.dice.sample(keys, min(len(keys), self.dice.randint(1, most)))

    def reference(self, name: str) -> int:
        """A row that stays: an old one, or one of this client's own (which it deletes only together with what refers to it)."""
        return self.dice.choice(self.old[name] + self.own[name])

    def forget(self, name: str, keys: list[int]) -> None:
        self.own[name] = [key for key in self.own[name] if key not in set(keys)]

    # What a client does.

    def add_albums(self) -> None:
        artist = self.sql("insert into artist (name) values (%s) returning artist_id", self.word())[0]
        albums = self.sql(
            "insert into album (title, artist_id) select %s || n, %s from generate_series(1, %s) n returning album_id",
            self.word(),
            artist,
            self.dice.randint(1, 4),
        )
        self.own["artist"].append(artist)
        self.own["album"] += albums
        for album in albums:
            self.own["track"] += self.sql(
                """insert into track (name, album_id, media_type_id, genre_id, composer, milliseconds, unit_price)
                   select %s || n, %s, %s, (select max(genre_id) from genre where genre_id %% 7 = n), %s, n, n / 7.0
                   from generate_series(1, %s) n returning track_id""",
                self.word(),
                album,
                self.reference("media_type"),
                self.dice.choice(WORDS),
                self.dice.randint(1, 12),
            )

    def add_genre(self) -> None:
        self.sql("insert into genre (name) values (%s)", self.word())  # stays for ever: tracks of all clients refer to it

    def add_invoices(self) -> None:
        if self.dice.random() < 0.5:
            self.own["customer"] += self.sql(
                "insert into customer (first_name, last_name, email, support_rep_id)"
                " values (%s, 'x', 'a@b', %s) returning customer_id",
                self.word(),
                self.reference("employee"),
            )
        for _ in range(self.dice.randint(1, 3)):
            invoice = self.sql(
                "insert into invoice (customer_id, invoice_date, total) values (%s, now(), 0) returning invoice_id",
                self.reference("customer"),
            )[0]
            self.own["invoice"].append(invoice)
            self.sql(
                "insert into invoice_line (invoice_id, track_id, unit_price, quantity)"
                " select %s, k, 1.99, 1 from unnest(%s::int[]) k",
                invoice,
                [self.reference("track") for _ in range(self.dice.randint(1, 15))],
            )
            self.sql(
                "update invoice i set total = (select sum(unit_price) from invoice_line l where l.invoice_id = i.invoice_id)"
                " where invoice_id = %s",
                invoice,
            )

    def add_employees(self) -> None:
        boss = self.reference("employee")
        for _ in range(self.dice.randint(1, 4)):
            boss = self.sql(
                "insert into employee (last_name, first_name, reports_to) values (%s, %s, %s) returning employee_id",
                self.word()[:20],
                self.word()[:20],
                boss,
            )[0]
            self.own["employee"].append(boss)

    def add_playlist(self) -> None:
        playlist = self.sql("insert into playlist (name) values (%s) returning playlist_id", self.word())[0]
        self.own["playlist"].append(playlist)
        self.sql(
            "insert into playlist_track (playlist_id, track_id) select %s, k from unnest(%s::int[]) k on conflict do nothing",
            playlist,
            [self.reference("track") for _ in range(self.dice.randint(0, 60))],
        )

    def change_tracks(self) -> None:
        tracks = self.some("track", 100)
        self.sql("update track set unit_price = unit_price + 0.01, name = %s where track_id = any (%s)", self.word(), tracks)

    def change_nothing(self) -> None:
        self.sql("update album set title = title where album_id = any (%s)", self.some("album", 20))

    def move_children(self) -> None:
        for child, column, parent in (
            ("track", "album_id", "album"),
            ("album", "artist_id", "artist"),
            ("invoice", "customer_id", "customer"),
            ("customer", "support_rep_id", "employee"),
            ("employee", "reports_to", "employee"),  # to a later one too, to itself, in a circle
        ):
            self.sql(f"update {child} set {column} = %s where {child}_id = any (%s)", self.reference(parent), self.some(child, 5))

    def move_keys(self) -> None:
        """Updates of a key: of one half of a composite key, then of the other."""
        playlist, track = self.dice.choice(self.own["playlist"]), self.reference("track")
        self.sql(
            """update playlist_track set track_id = %s where playlist_id = %s and not exists
                 (select from playlist_track o where o.playlist_id = %s and o.track_id = %s)
               and track_id = (select min(track_id) from playlist_track o where o.playlist_id = %s)""",
            track,
            playlist,
            playlist,
            track,
            playlist,
        )
        target = self.dice.choice(self.own["playlist"])
        self.sql(
            """update playlist_track p set playlist_id = %s where playlist_id = %s and track_id %% 5 = 0 and not exists
                 (select from playlist_track o where o.playlist_id = %s and o.track_id = p.track_id)""",
            target,
            playlist,
            target,
        )

    def delete_invoices(self) -> None:
        invoices = self.some("invoice", 8)
        self.sql("delete from invoice_line where invoice_id = any (%s)", invoices)
        self.sql("delete from invoice where invoice_id = any (%s)", invoices)
        self.forget("invoice", invoices)

    def delete_playlist(self) -> None:
        playlists = self.some("playlist", 1)
        if len(self.own["playlist"]) > 2:
            self.sql("delete from playlist_track where playlist_id = any (%s) returning track_id", playlists)
            self.sql("delete from playlist where playlist_id = any (%s)", playlists)
            self.forget("playlist", playlists)

    def delete_artist(self) -> None:
        artists = self.some("artist", 1)
        mine = self.sql("select album_id from album where artist_id = any (%s)", artists)
        keep = [album for album in mine if album < 1_000_000]  # an old one, moved here, that other clients refer to
        self.sql("update album set artist_id = %s where album_id = any (%s)", self.old["artist"][0], keep)
        albums = [album for album in mine if album not in keep]
        self.sql("update track set album_id = null where album_id = any (%s) and track_id < 1000000", albums)
        tracks = self.sql("select track_id from track where album_id = any (%s)", albums)
        self.sql("delete from invoice_line where track_id = any (%s)", tracks)
        self.sql("delete from playlist_track where track_id = any (%s)", tracks)
        self.sql("delete from track where track_id = any (%s)", tracks)
        self.sql("delete from album where album_id = any (%s)", albums)
        self.sql("delete from artist where artist_id = any (%s)", artists)
        for name, keys in (("track", tracks), ("album", albums), ("artist", artists)):
            self.forget(name, keys)

    def delete_employees(self) -> None:
        employees = self.some("employee", 3)
        self.sql("update customer set support_rep_id = null where support_rep_id = any (%s)", employees)
        self.sql("update employee set reports_to = null where reports_to = any (%s)", employees)
        self.sql("delete from employee where employee_id = any (%s)", employees)
        self.forget("employee", employees)

    def delete_and_insert_again(self) -> None:
        invoices = self.some("invoice", 1)
        deleted = [(name, self.sql(DELETE_INVOICES.format(name), invoices)[0]) for name in ("invoice_line", "invoice")]
        for name, rows in reversed(deleted):
            self.sql(
                f"insert into {name} overriding system value select * from json_populate_recordset(null::{name}, %s)",
                rows or "[]",
            )


ACTS = [
    Client.add_albums, Client.add_genre, Client.add_invoices, Client.add_employees, Client.add_playlist,
    Client.change_tracks, Client.change_nothing, Client.move_children, Client.move_keys,
    Client.delete_invoices, Client.delete_playlist, Client.delete_artist, Client.delete_employees, Client.delete_and_insert_again,
]  # fmt: skip
WEIGHTS = [6, 1, 8, 3, 4, 6, 1, 5, 4, 4, 2, 2, 2, 2]


@contextmanager
def users(nodes: Iterable[Node], seed: str, transactions: int) -> Iterator[list[Client]]:
    """Four clients at work on two nodes or four; at the end they have finished, and not one statement of theirs has failed."""
    at = list(nodes)
    each = 2 * CLIENTS // len(at)
    clients = [Client(node, side * each + n, seed, transactions) for side, node in enumerate(at) for n in range(each)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        for client in clients:
            client.join(120)
    assert not any(client.is_alive() for client in clients), "the users did not finish in two minutes"
    assert [failure for client in clients for failure in client.failures] == []
    counts = {name: sum(getattr(client, name) for client in clients) for name in ("statements", "rows", "rolled_back")}
    print(f"seed {seed}: {counts}")
    assert counts["rolled_back"] > 0


def assert_equal(nodes: Iterable[Node], names: list[str]) -> None:
    """Row by row as text, on all nodes; foreign keys hold on all; nothing was refused."""
    nodes = list(nodes)
    assert not [row for node in nodes for row in node.sql("select * from rowferry.held_events")]
    total = 0
    for name in names:
        digest = f"""select count(*) as rows, md5(string_agg(t::text, ' ' order by t::text collate "C")) as md5 from {name} t"""
        here, *others = (node.sql(digest)[0] for node in nodes)
        rows = [{row["t"] for row in node.sql(f"select t::text as t from {name} t")} for node in nodes]
        for node, there in zip(nodes[1:], rows[1:], strict=True):
            assert rows[0] == there, f"{name} on {node.name}: {sorted(rows[0] ^ there)[:10]}"
        assert all(here == there for there in others), name
        total += here["rows"]
    print(f"{total} rows equal")
    for node in nodes:
        for key in node.sql(FOREIGN_KEYS):
            orphans = node.sql(
                f"select c::text from {key['child']} c where {key['referring']} "
                f"and not exists (select from {key['parent']} p where {key['matching']}) limit 5"
            )
            assert not orphans, f"{key['conname']} on {node.name}: {orphans}"
