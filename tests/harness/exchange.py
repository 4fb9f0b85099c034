"""The courier's part of an exchange, without the worker: for tests of what the SQL does."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from harness.nodes import Node, Nodes

MOST_ROUNDS = 200
CALL = "select * from rowferry.process_batch(%s, %s, %s, %s)"
SPELLED = " ".join(
    f"-c {setting}"
    for setting in (
        "datestyle=ISO",
        "intervalstyle=postgres",
        "timezone=UTC",
        "extra_float_digits=1",
        "bytea_output=hex",
        "lc_monetary=C",
        "xmloption=content",
    )
)


def sync(crm: Node, billing: Node, limit: int | None = None) -> int:
    """Rounds until both nodes are idle: opens both with a new token, then swaps their envelopes. `limit`: events per batch.

    Acts as rowferry_worker, so that its rights are seen to suffice. Fails if a node is neither moved nor idle, or without end.
    Batches are at least as large afterwards as before: on a busy machine they become small, and a test that looks at single
    calls after its sync() is about what one batch does. Tests of the worker see batches adapt.
    """
    with _courier(crm, billing.name) as left, _courier(billing, crm.name) as right:
        known = [_call(left, billing.name), _call(right, crm.name)]
        number = 1 + max(int(answer["token"].partition("-")[0]) for answer in known)
        token = f"{number}-{secrets.token_hex(8)}"
        to_crm = to_billing = None
        for rounds in range(1, MOST_ROUNDS + 1):
            answers = _call(left, billing.name, token, to_crm, limit), _call(right, crm.name, token, to_billing, limit)
            for answer in answers:
                assert answer["status"] in ("moved", "idle"), f"{answer['status']}: {answer['reason']}"
            if all(answer["status"] == "idle" for answer in answers):
                return rounds
            to_billing, to_crm = answers[0]["envelope"], answers[1]["envelope"]
    raise AssertionError(f"still moving after {MOST_ROUNDS} rounds: {answers}")


def rows(node: Node, query: str) -> list[str]:
    """Rows of a query, sorted, each in the one text that its types have under pinned settings: equal texts are equal bytes."""
    with psycopg.connect(node.conninfo, options=SPELLED) as connection:
        return sorted(row[0] for row in connection.execute(f"select (r.*)::text from ({query}) r").fetchall())  # type: ignore[call-overload]


def waiting(node: Node) -> list[str]:
    """What the node still has to deliver: 'insert accounts 1', with the refusal's SQLSTATE where there was one; oldest first."""
    return [
        row["event"]
        for row in node.sql(
            "select concat_ws(' ', event_type, entity, record_id, sqlstate) as event from rowferry.sync_events order by id"
        )
    ]


@contextmanager
def _courier(node: Node, peer: str) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """The node's session as rowferry_worker; at the end batches for the peer are at least as large as at the beginning."""
    limits = node.sql("select peer, batch_limit from rowferry.links where peer = %s", [peer])
    yield node.courier()
    for limit in limits:
        node.sql(
            "update rowferry.links set batch_limit = %(batch_limit)s where peer = %(peer)s and batch_limit < %(batch_limit)s",
            limit,
        )


def _call(
    connection: psycopg.Connection[dict[str, Any]],
    peer: str,
    token: str | None = None,
    envelope: bytes | None = None,
    limit: int | None = None,
) -> dict[str, Any]:
    answer = connection.execute(CALL, [peer, token, envelope, limit]).fetchone()
    assert answer is not None
    return answer


def assert_equal(nodes: Nodes, table: str = "public.notes") -> list[str]:
    """Both nodes hold the same rows; these."""
    crm, billing = (rows(node, f"select * from {table}") for node in nodes)
    assert crm == billing
    return crm


def refused_with(sqlstate: str, node: Node, query: str, params: object = None) -> str:
    """The query fails with this SQLSTATE and a hint; its error."""
    with pytest.raises(psycopg.Error) as caught, node.connect() as connection:
        connection.execute(query, params)  # type: ignore[arg-type]
    assert caught.value.sqlstate == sqlstate
    assert caught.value.diag.message_hint
    return str(caught.value)
