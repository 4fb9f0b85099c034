"""The worker's login may call process_batch() with anything: what it breaks, it breaks until resync(), and what it
leaves behind is small."""

import json
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from harness import Node, Nodes
from harness.courier import Courier
from harness.exchange import assert_equal, sync
from harness.forged import field, forge, seal
from harness.notes import keep_notes
from harness.worker import start_worker

LAST = 999_999_999_999_999
HUGE = 9_223_372_036_854_775_807


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    return keep_notes(nodes, "values (1, 'a')")


def call(node: Node, token: str, envelope: bytes | None = None, **more: Any) -> dict[str, Any]:
    """process_batch() as the worker's login, within a time in which an honest call is done."""
    with psycopg.connect(node.conninfo, autocommit=True, row_factory=dict_row) as connection:
        connection.execute("set role rowferry_worker")
        row = connection.execute(
            "select * from rowferry.process_batch(p_token => %s, p_envelope => %s, p_limit => %s, p_courier => %s)",
            [token, envelope, more.get("limit"), more.get("courier")],
        ).fetchone()
    assert row is not None
    return row


def goes_on(nodes: Nodes) -> None:
    """A person's resync() on each node, and an honest courier: all that waits arrives."""
    for node in nodes:
        node.sql("select rowferry.resync()")
    nodes.crm.sql("insert into notes select max(id) + 1, 'later' from notes")
    sync(*nodes)
    sync(*nodes)
    assert_equal(nodes, "notes")
    assert nodes.crm.sql("select state, pending from rowferry.status") == [{"state": "idle", "pending": 0}]


@pytest.mark.case(128)
@pytest.mark.parametrize("on", ["crm", "both"])
def test_the_last_token_is_named_and_resync_begins_again(notes: Nodes, tmp_path: Path, on: str) -> None:
    for node in notes if on == "both" else [notes.crm]:
        call(node, f"{LAST}-{secrets.token_hex(4)}")
        [status] = node.sql("select state, reason from rowferry.status")
        assert status["state"] == "stuck" and "select * from rowferry.resync()" in status["reason"]
        [why] = node.sql("select severity, type_next from rowferry.why_stuck() where cause ~ 'token'")
        assert why["severity"] == "error" and why["type_next"].startswith("select * from rowferry.resync();")
    assert start_worker(notes, tmp_path / "log", "--once").wait(60) == 1
    assert "select * from rowferry.resync()" in (tmp_path / "log").read_text()
    goes_on(notes)


def test_a_number_beyond_the_last_is_no_token(notes: Nodes) -> None:
    with pytest.raises(psycopg.Error) as caught:
        call(notes.crm, f"{LAST + 1}-a")
    assert caught.value.sqlstate == "RF003" and "resync()" in str(caught.value.diag.message_hint)


def test_a_courier_of_before_that_comes_late_takes_nothing_from_the_new_generation(notes: Nodes) -> None:
    """Its token is greater than those that came after the number began again."""
    token = f"{LAST}-late"
    notes.billing.sql("insert into notes values (2, 'of billing')")
    call(notes.crm, token), call(notes.billing, token)
    hello = call(notes.crm, token)["envelope"]
    late = call(notes.billing, token, hello)
    assert late["sent"] == 1
    for node in notes:
        node.sql("select rowferry.resync()")
    sync(*notes)
    assert call(notes.crm, token, late["envelope"])["applied"] == 0
    goes_on(notes)


def built(nodes: Nodes) -> tuple[str, bytes]:
    """A token, and billing's envelope for crm with a row in it and an acknowledgement of crm's."""
    nodes.billing.sql("insert into notes select max(id) + 1, 'of billing' from notes")
    nodes.crm.sql("update notes set body = body || 'x' where id = 1")
    courier = Courier(nodes)
    hello = courier.call(nodes.crm)["envelope"], courier.call(nodes.billing)["envelope"]
    batch = courier.call(nodes.crm, hello[1])["envelope"]
    return courier.token, courier.call(nodes.billing, batch)["envelope"]


def acknowledged(**values: Any) -> Callable[[dict[str, Any], list[bytes | None]], None]:
    def change(header: dict[str, Any], _: list[bytes | None]) -> None:
        header["acks"][0].update(values)

    return change


LATE = {
    "entity": "notes",
    "record_id": "1",
    "sqlstate": "57014",
    "message": "x" * 1_000_000,
    "here": True,
    "patience": 2_147_483_647,
}
EFFECT = {"notes": {"records": HUGE, "deletes": HUGE, "refused": HUGE}}
FORGED = {
    "a generation far ahead": field("generation", value=HUGE),
    "a generation of before all": field("generation", value=-HUGE),
    "more received than ever built": field("received", value=HUGE),
    "more retired than ever received": field("retired", value=HUGE),
    "all was built": field("built", value=HUGE),
    "the top is out of reach": field("top", value=HUGE),
    "the last of all numbers": field("number", value=HUGE),
    "ids without an end": field("ids", value="{(,)}"),
    "an identity that is none": field("identity", value="nobody"),
    "an identity of a megabyte": field("identity", value={"system": "x" * 1_000_000}),
    "a time without an end": field("target_ms", value=-2_147_483_648),
    "refused for longer than an integer": acknowledged(refusals=[LATE], ids="{}"),
    "more records than a sum can bear": acknowledged(effect=EFFECT),
    "applied before it began": acknowledged(applied_ms=-2_147_483_648),
}


@pytest.mark.case(128)
@pytest.mark.parametrize("name", FORGED)
def test_no_forged_envelope_ends_the_link_for_good(notes: Nodes, name: str) -> None:
    for _ in range(3):  # what one such envelope leaves behind meets the next
        token, envelope = built(notes)
        try:
            call(notes.crm, token, forge(notes.billing, envelope, FORGED[name]))
        except psycopg.Error as error:
            assert error.sqlstate is not None and error.sqlstate[:2] in ("RF", "22", "23")
        [link] = notes.crm.sql("select state, reason from rowferry.status")
        if link["state"] == "stopped":
            assert "resync()" in link["reason"]
            break
    for node in notes:
        node.sql("select * from rowferry.status"), node.sql("select * from rowferry.why_stuck()")
    notes.crm.sql("update rowferry.held_events set not_before = now()")
    goes_on(notes)
    assert notes.crm.sql("select max(octet_length(last_error)) as most from rowferry.held_events") == [{"most": None}]


def test_a_node_whose_generation_was_driven_ahead_is_caught_up_with(notes: Nodes) -> None:
    """Each envelope takes it a million ahead at most, and the other node follows as far with each."""
    for ahead in range(1, 4):
        courier = Courier(notes)
        courier.call(notes.crm)
        envelope = courier.call(notes.billing)["envelope"]
        line, _, rest = envelope.partition(b"\n")
        size = int(line.split()[3])
        header = json.loads(rest[:size]) | {"generation": HUGE}
        answer = courier.call(notes.crm, seal(notes.billing, json.dumps(header).encode(), rest[size:]))
        assert answer["applied"] == 0
        assert notes.crm.sql("select generation, stopped_at from rowferry.links") == [
            {"generation": 1 + ahead * 1_000_000, "stopped_at": None}
        ]
    notes.billing.sql("insert into notes values (7, 'of billing')")
    sync(*notes)
    assert [node.sql("select generation from rowferry.links") for node in notes] == [[{"generation": 3_000_001}]] * 2
    assert len(assert_equal(notes, "notes")) == 2
    goes_on(notes)


def test_of_what_a_courier_says_of_itself_a_line_is_kept(notes: Nodes) -> None:
    said = {
        "host": "h" * 1_000_000,
        "pid": [1],
        "more": "x" * 10_000_000,
        "error": {"node": "n", "sqlstate": "x" * 999, "message": "m" * 1_000_000},
    }
    call(notes.crm, "900-a", courier=json.dumps(said))
    [kept] = notes.crm.sql("select length(courier::text) + length(courier_error::text) as length from rowferry.links")
    assert kept["length"] < 3000
    for number, courier in enumerate(("7", "[]", '"x"', "null", '{"error": 1}', '{"error": {"message": {}}}')):
        call(notes.crm, f"90{1 + number}-a", courier=courier)
    goes_on(notes)


@pytest.mark.parametrize("limit", [-2_147_483_648, 0, 2_147_483_647])
def test_no_limit_of_a_batch_is_too_small_or_too_large(notes: Nodes, limit: int) -> None:
    notes.crm.sql("insert into notes select g, 'x' from generate_series(2, 50) g")
    token, envelope = built(notes)
    assert call(notes.crm, token, envelope, limit=limit)["applied"] == 1
    goes_on(notes)


def test_json_too_deep_to_be_read_is_refused(notes: Nodes) -> None:
    with pytest.raises(psycopg.errors.StatementTooComplex):
        call(notes.crm, "900-a", courier="[" * 1_000_000 + "]" * 1_000_000)
    goes_on(notes)
