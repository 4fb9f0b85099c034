"""An envelope that was forged or damaged is refused whole, and nothing of it is applied."""

from typing import Any

import psycopg
import pytest

from harness import Node, Nodes
from harness.courier import Courier
from harness.exchange import rows, sync, waiting
from harness.forged import Change, field, forge, part, seal, twice
from harness.notes import keep_notes

LINK = "select to_jsonb(l) - 'courier_error' as link from rowferry.links l"


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    return keep_notes(nodes)


NESTED = '{"a":' * 100000 + "1" + "}" * 100000
FORGED: dict[str, Change] = {
    "negative lengths": field("sections", 0, "bytes", value=[-9] * 9),
    "a length of a gigabyte": field("sections", 0, "bytes", value=[2**30, -1, -1, 5, 5, 5, -1, 5, 5]),
    "lengths beyond an integer": field("sections", 0, "bytes", value=[2**40] * 9),
    "lengths that add up beyond an integer": field("sections", 0, "bytes", value=[2**31 - 1] * 9),
    "lengths that are words": field("sections", 0, "bytes", value=["x"]),
    "no lengths": field("sections", 0, "bytes", value=...),
    "lengths of one part fewer": lambda header, parts: header["sections"][0]["bytes"].pop(),
    "more bytes than said": lambda header, parts: parts.append(b"more"),
    "an entity of null": field("sections", 0, "entity", value=None),
    "a section that is no object": field("sections", 0, value=[1]),
    "sections that are no array": field("sections", value={"a": 1}),
    "no sections": field("sections", value=...),
    "no acknowledgements": field("acks", value=...),
    "an effect that is none": field(
        "acks",
        value=[
            {
                "number": 1,
                "tag": "00000000-0000-0000-0000-000000000000",
                "ids": "{}",
                "applied_ms": 1,
                "refusals": [],
                "conflicts": [],
                "effect": {"notes": {"records": "all"}},
            }
        ],
    ),
    "an acknowledgement of words": field("acks", value=[{"number": "one"}]),
    "acknowledgements that are words": field("acks", value="all"),
    "a number that is none": field("number", value="first"),
    "a number without a tag": field("tag", value=...),
    "a tag that is none": field("tag", value="x"),
    "ids that are none": field("ids", value="{[1,"),
    "ids of null": field("ids", value=None),
    "no generation": field("generation", value=...),
    "a generation that is none": field("generation", value="late"),
    "a count beyond bigint": field("received", value=10**30),
    "keys that are no array": part(0, b"nothing"),
    "keys twice": twice,
    "keys that are bytes and no text": part(0, b"{\xff\xfe}"),
    "event ids that are words": part(4, b"{a,b,c}"),
    "fewer ids than events": part(4, b"{1,2}"),
    "no event ids": part(4, None),
    "stamps that are dates": part(5, b"{2026-01-01}"),
    "fewer stamps than events": part(5, b"{1.5,2.5}"),
    "no stamps": part(5, None),
    "event keys that are no array": part(3, b"nothing"),
    "fewer event keys than events": part(3, b"{1,2}"),
    "deep arrays": part(0, b"{" * 100000 + b"}" * 100000),
    "one column fewer": field("sections", 0, "columns", value=["id"]),
    "a header that is a list": lambda header, parts: None,
    "a header nested too deep": lambda header, parts: None,
    "a header that is no json": lambda header, parts: None,
}
RAW = {
    "a header that is a list": b"[]",
    "a header nested too deep": NESTED.encode(),
    "a header that is no json": b"{]",
}


def state(node: Node) -> list[Any]:
    return [node.sql(LINK), rows(node, "select * from notes"), node.sql("select * from rowferry.taken_batches"), waiting(node)]


@pytest.mark.case(82)
def test_a_forged_envelope_with_a_right_digest_is_refused_and_nothing_changes(notes: Nodes) -> None:
    notes.billing.sql("insert into notes values (1, 'old')")
    sync(*notes)
    notes.crm.sql("update notes set body = 'new'; insert into notes values (2, 'b'), (3, 'c')")
    courier = Courier(notes)
    envelope, _ = courier.meet(notes)
    before = state(notes.billing)
    for name, change in FORGED.items():
        forged = seal(notes.billing, RAW[name], b"") if name in RAW else forge(notes.billing, envelope, change)
        try:
            pytest.fail(f"{name}: {courier.call(notes.billing, forged)}")
        except psycopg.Error as error:
            assert error.sqlstate == "RF004", f"{name}: {error.sqlstate} {error}"
            assert error.diag.message_hint, name
        assert state(notes.billing) == before, name
    assert courier.call(notes.billing, envelope)["applied"] == 3
    assert rows(notes.billing, "select * from notes") == ["(1,new)", "(2,b)", "(3,c)"]


UNKNOWN: dict[str, tuple[Change, str]] = {
    "an unknown entity": (field("sections", 0, "entity", value="rowferry.events"), "the other node has no such entity"),
    "an entity that is SQL": (field("sections", 0, "entity", value='notes"; drop table notes; --'), "no such entity"),
    "an unknown column": (field("sections", 0, "columns", value=["body", "ctid"]), "ctid is not known there"),
    "another key": (field("sections", 0, "key", value=["body", "text"]), "the keys differ"),
}


@pytest.mark.case(82)
@pytest.mark.parametrize("name", UNKNOWN)
def test_what_a_forged_envelope_names_and_this_node_does_not_know_is_refused_whole(notes: Nodes, name: str) -> None:
    change, reason = UNKNOWN[name]
    notes.crm.sql("insert into notes values (1, 'a'), (2, 'b')")
    courier = Courier(notes)
    answer = courier.call(notes.billing, forge(notes.billing, courier.meet(notes)[0], change))
    assert (answer["applied"], answer["refused"]) == (0, 2)
    assert rows(notes.billing, "select * from notes") == []
    assert reason in notes.billing.sql("select refusals::text as text from rowferry.taken_batches")[0]["text"]


@pytest.mark.case(82)
@pytest.mark.parametrize(
    "change",
    [
        part(8, b"{1,2}"),
        part(7, None),
        part(8, b"{1,2,x}"),
    ],
    ids=["too few ids", "no bodies", "an id that is a word"],
)
def test_keys_without_their_columns_never_become_nulls(notes: Nodes, change: Change) -> None:
    notes.crm.sql("insert into notes values (1, 'a'), (2, 'b'), (3, 'c')")
    courier = Courier(notes)
    envelope = forge(notes.billing, courier.meet(notes)[0], change)
    try:
        courier.call(notes.billing, envelope)
    except psycopg.Error as error:
        assert error.sqlstate in ("RF004", "22P02")
    assert rows(notes.billing, "select * from notes where body is null or id is null") == []


@pytest.mark.case(82)
def test_bytes_flipped_one_by_one_are_all_noticed(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    courier = Courier(notes)
    envelope, _ = courier.meet(notes)
    before = state(notes.billing)
    for at in range(0, len(envelope), 17):
        altered = envelope[:at] + bytes([envelope[at] ^ 0x40]) + envelope[at + 1 :]
        with pytest.raises(psycopg.Error) as caught:
            courier.call(notes.billing, altered)
        assert caught.value.sqlstate == "RF004", at
    assert state(notes.billing) == before
