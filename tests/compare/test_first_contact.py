"""Two tables that were both filled before come together: a report first, then each case as a person chooses."""

import pytest

from harness import Nodes
from harness.comparing import Carrier, unseen
from harness.exchange import assert_equal, refused_with, rows

TABLE = """
    create table public.notes (id int primary key, body text, changed timestamptz);
    insert into notes select n, '{0}', '2026-01-01'::timestamptz + n * interval '1 day' from generate_series({1}) n;
    insert into notes select n, 'both', '2026-01-01' from generate_series(101, 200) n;
    select rowferry.attach('public.notes')"""


@pytest.fixture
def filled(nodes: Nodes) -> Nodes:
    """1 to 10 are only on crm, 21 to 30 only on billing, 101 to 200 equal; of the rest crm's 11 is newer, 12 older."""
    nodes.crm.sql(TABLE.format("crm", "1, 20"))
    nodes.billing.sql(TABLE.format("billing", "11, 30"))
    unseen(
        nodes.crm,
        "update notes set changed = case id when 11 then timestamptz '2026-05-05' when 12 then timestamptz '2020-05-05' end"
        " where id between 11 and 13",
    )
    return nodes


def report(nodes: Nodes) -> dict[str, int]:
    nodes.crm.sql("select * from rowferry.first_contact('notes')")
    Carrier(nodes).until_done()
    return {row["kind"]: row["records"] for row in nodes.crm.sql("select * from rowferry.compare_report")}


def choose(nodes: Nodes, only_here: str | None, only_there: str | None, different: str | None) -> list[str]:
    chosen = nodes.crm.sql(
        "select concat_ws(' ', kind, records, choice, state) as c from rowferry.first_contact('notes', 'key', %s, %s, %s)",
        [only_here, only_there, different],
    )
    Carrier(nodes).until_done()
    return [row["c"] for row in chosen]


def test_the_report_comes_first_and_changes_nothing(filled: Nodes) -> None:
    before = [rows(node, "select * from notes") for node in filled]
    assert report(filled) == {"same": 100, "different": 10, "only_here": 10, "only_there": 10, "pending": 0}
    assert [rows(node, "select * from notes") for node in filled] == before


def test_each_case_goes_as_it_was_chosen(filled: Nodes) -> None:
    report(filled)
    assert choose(filled, "here", "here", "there") == [
        "only_here 10 here queued",
        "only_there 10 here queued",
        "different 10 there queued",
    ]
    ids = [int(row[1:].partition(",")[0]) for row in assert_equal(filled)]
    assert sorted(ids) == [*range(1, 21), *range(101, 201)]
    assert rows(filled.crm, "select distinct body from notes where id between 11 and 20") == ["(billing)"]


def test_a_kind_that_was_not_chosen_is_left_alone(filled: Nodes) -> None:
    report(filled)
    choose(filled, None, "there", None)
    assert filled.billing.sql("select count(*) from notes where id <= 10")[0]["count"] == 0
    assert rows(filled.crm, "select distinct body from notes where id between 11 and 20") == ["(crm)"]
    assert filled.crm.sql("select count(*) from notes where id between 21 and 30")[0]["count"] == 10


def test_the_row_with_the_newest_value_stays(filled: Nodes) -> None:
    report(filled)
    choose(filled, "here", "there", "newest by changed")
    assert_equal(filled)
    kept = {row["id"]: row["body"] for row in filled.billing.sql("select id, body from notes where id between 11 and 20")}
    # Equal times: as in a conflict, the node whose name sorts last.
    assert kept == {11: "crm", 12: "billing", 13: "billing", **{n: "crm" for n in range(14, 21)}}


def test_first_contact_refuses_what_it_cannot_do_with_a_hint(filled: Nodes) -> None:
    refused_with("RF051", filled.crm, "select * from rowferry.first_contact('notes', 'body')")
    refused_with("RF050", filled.crm, "select * from rowferry.first_contact('notes', p_different => 'here')")
    refused_with("RF051", filled.crm, "select * from rowferry.first_contact('notes', p_different => 'newest by nothing')")
    refused_with("RF051", filled.crm, "select * from rowferry.first_contact('notes', p_only_here => 'newest by changed')")
    refused_with("RF011", filled.crm, "select * from rowferry.first_contact('nothing')")


@pytest.mark.parametrize(
    ("table", "direction", "choice"),
    [
        (
            "id int primary key, updated_at timestamptz",
            "both",
            "'here', p_only_there => 'there', p_different => 'newest by updated_at'",
        ),
        ("id int primary key, seen_at timestamptz", "both", "'here', p_only_there => 'there', p_different => 'here'"),
        ("id int primary key, updated_at timestamptz", "send", "'here', p_only_there => 'here', p_different => 'here'"),
        ("id int primary key, updated_at timestamptz", "receive", "'there', p_only_there => 'there', p_different => 'there'"),
    ],
)
def test_what_it_proposes_fits_the_entity(nodes: Nodes, table: str, direction: str, choice: str) -> None:
    other = {"both": "both", "send": "receive", "receive": "send"}[direction]
    for node, way in zip(nodes, (direction, other), strict=True):
        node.sql(f"create table notes ({table}); select rowferry.attach('notes', p_direction => '{way}')")
    [row] = nodes.crm.sql("select state from rowferry.first_contact('notes')")
    proposed = row["state"].partition("then choose: ")[2]
    assert proposed == f"select * from rowferry.first_contact('notes', p_only_here => {choice});"
    Carrier(nodes).until_done()
    nodes.crm.sql(proposed)
