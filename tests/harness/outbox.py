"""What Debezium would read of an outbox: the rows that a slot hands out through the publication, by the plugin pgoutput."""

from __future__ import annotations

import json
import secrets
import struct
from dataclasses import dataclass
from typing import Any

from harness.exchange import MOST_ROUNDS
from harness.nodes import Node

READ = """
    select data
    from pg_logical_slot_{how}_binary_changes('of_' || current_database(), null, null, 'proto_version', '1',
      'publication_names', 'rowferry_outbox')"""


@dataclass(frozen=True)
class Message:
    """A row of rowferry.outbox; `payload` is parsed, None stands for a tombstone."""

    id: str
    aggregatetype: str
    aggregateid: str
    type: str
    payload: Any
    changed_at: str


def add_outbox(node: Node, name: str = "kafka", slot: bool = True) -> None:
    """The outbox, and its slot under a name that no other database of the server has."""
    node.sql(f"select rowferry.add_outbox('{name}', 'of_{node.database}')")
    if slot:
        make_slot(node)


def make_slot(node: Node) -> None:
    node.sql("select pg_create_logical_replication_slot(slot, 'pgoutput') from rowferry.links where slot is not null")


def drop_slots(node: Node) -> None:
    """Of this database; each is first left by whoever reads it."""
    of_node = "from pg_replication_slots where database = current_database()"
    node.sql(f"select pg_terminate_backend(active_pid) {of_node} and active")
    node.sql(f"select pg_drop_replication_slot(slot_name) {of_node} and not active")


def deliver(node: Node, outbox: str = "kafka", limit: int | None = None) -> dict[str, Any]:
    """Calls as a worker makes them, until nothing moves; the last answer."""
    courier = node.courier()
    known = courier.execute("select * from rowferry.process_batch(%s)", [outbox]).fetchone()
    assert known is not None
    token = f"{1 + int(known['token'].partition('-')[0])}-{secrets.token_hex(8)}"
    for _ in range(MOST_ROUNDS):
        answer = courier.execute("select * from rowferry.process_batch(%s, %s, null, %s)", [outbox, token, limit]).fetchone()
        assert answer is not None
        if answer["status"] != "moved":
            return answer
        assert answer["envelope"] is None
    raise AssertionError(f"still moving after {MOST_ROUNDS} calls: {answer}")


def read(node: Node, how: str = "get") -> list[Message]:
    """What has been published since the last read, in the order of the log; with `peek` it stays to be read."""
    columns: list[str] = []
    messages = []
    for row in node.sql(READ.format(how=how)):
        data = bytes(row["data"])
        if data[:1] == b"R":
            columns = _columns(data)
        elif data[:1] == b"I":
            values = dict(zip(columns, _values(data), strict=True))
            payload = values.pop("payload")
            messages.append(Message(payload=None if payload is None else json.loads(payload), **values))  # type: ignore[arg-type]
        else:
            assert data[:1] in b"BCOY", f"neither an insert nor the frame of a transaction: {data!r}"
    return messages


def last(messages: list[Message]) -> dict[str, Any]:
    """The last payload of each key: what somebody has who keeps the last message of each."""
    return {message.aggregateid: message.payload for message in messages}


def _columns(data: bytes) -> list[str]:
    """Names of the columns of a relation, of which the plugin tells before its first row."""
    _namespace, _, rest = data[5:].partition(b"\0")
    _name, _, rest = rest.partition(b"\0")
    (count,) = struct.unpack(">h", rest[1:3])
    rest, names = rest[3:], []
    for _ in range(count):
        name, _, rest = rest[1:].partition(b"\0")
        names.append(name.decode())
        rest = rest[8:]
    return names


def _values(data: bytes) -> list[str | None]:
    """The values of an inserted row as text."""
    (count,) = struct.unpack(">h", data[6:8])
    rest, values = data[8:], []
    for _ in range(count):
        if rest[:1] == b"n":
            values.append(None)
            rest = rest[1:]
        else:
            (length,) = struct.unpack(">i", rest[1:5])
            values.append(rest[5 : 5 + length].decode())
            rest = rest[5 + length :]
    return values
