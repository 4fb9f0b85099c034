"""Whoever holds the worker's role but is not the peer has nothing applied partly, and whoever listens hears no secret."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from harness import Node, Nodes, alembic, wait_until
from harness.courier import Courier
from harness.exchange import rows, sync, waiting
from harness.notes import keep_notes
from harness.worker import start_worker, worker

NUMBERS = itertools.count(1)
LINK = "select to_jsonb(l) - 'courier_error' as link from rowferry.links l"
# Header and parts of the first section: keys, gone, asked, event keys, ids, stamps, hops, then body and id.
Change = Callable[[dict[str, Any], list[bytes | None]], None]


@pytest.fixture
def notes(nodes: Nodes) -> Nodes:
    return keep_notes(nodes)


def forge(node: Node, envelope: bytes, change: Change) -> bytes:
    """The envelope with its header and first section changed, and the lengths and the digest made right again."""
    line, _, rest = envelope.partition(b"\n")
    size = int(line.split()[3])
    header, body = json.loads(rest[:size]), rest[size:]
    lengths = header["sections"][0]["bytes"]
    parts: list[bytes | None] = []
    for length in lengths:
        parts.append(None if length < 0 else body[: max(length, 0)])
        body = body[max(length, 0) :]
    original = list(lengths)
    change(header, parts)
    section = header["sections"][0] if isinstance(header.get("sections"), list) else None
    if isinstance(section, dict) and section.get("bytes") == original:
        section["bytes"] = [-1 if part is None else len(part) for part in parts]
    return seal(node, json.dumps(header).encode(), b"".join(part or b"" for part in parts))


def seal(node: Node, header: bytes, body: bytes) -> bytes:
    """An envelope with a right digest: any database can make one, of what is text at all."""
    text = (header + body).decode(errors="replace").replace("\0", "")
    [row] = node.sql('select to_hex(hashtextextended(%s collate "C", 0)) as digest', [text])
    return b"rowferry 1 %s %d\n" % (row["digest"].encode(), len(header)) + header + body


def field(*path: Any, value: Any) -> Change:
    def change(header: dict[str, Any], _: list[bytes | None]) -> None:
        target: Any = header
        for step in path[:-1]:
            target = target[step]
        if value is ...:
            del target[path[-1]]
        else:
            target[path[-1]] = value

    return change


def part(number: int, value: bytes | None) -> Change:
    def change(_: dict[str, Any], parts: list[bytes | None]) -> None:
        parts[number] = value

    return change


def both(*changes: Change) -> Change:
    def change(header: dict[str, Any], parts: list[bytes | None]) -> None:
        for one in changes:
            one(header, parts)

    return change


def twice(header: dict[str, Any], parts: list[bytes | None]) -> None:
    """Each record stands in its section two times, with all that belongs to it."""
    for number, content in enumerate(parts):
        if content:
            parts[number] = content[:-1] + b"," + content[1:]


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


@pytest.mark.case(84)
def test_the_workers_role_can_read_and_write_no_users_table(notes: Nodes) -> None:
    notes.crm.sql("insert into notes values (1, 'a')")
    name = f"courier_{next(NUMBERS)}"
    notes.crm.sql(f"create role {name} in role rowferry_worker")
    with notes.crm.connect() as connection:
        connection.execute(f"set session authorization {name}")
        for statement in (
            *("select * from notes", "insert into notes values (2)", "update notes set body = 'b'", "delete from notes"),
            *("truncate notes", "select * from rowferry.sync_events", "select rowferry.read_notes('{1}', null)"),
            *("select rowferry.apply_notes(array['{x}', '{1}'], false)", "select * from rowferry.events"),
            "set role rowferry_owner",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)
        assert connection.execute("select status from rowferry.process_batch()").fetchone() == ("idle",)


@pytest.mark.case(85)
@pytest.mark.parametrize("forced_on", ["source", "target"])
def test_row_level_security_on_a_table_makes_no_row_look_deleted(notes: Nodes, forced_on: str) -> None:
    """An owner under its own policies sees no row. Nothing is deleted, and the events wait with the reason."""
    for node in notes:
        owner = f"rls_owner_{next(NUMBERS)}"
        node.sql(f"select rowferry.detach('notes'); create role {owner}; alter table notes owner to {owner}")
        node.sql("select rowferry.attach('notes')")
    notes.crm.sql("insert into notes values (1, 'a'), (2, 'b')")
    sync(*notes)
    hidden = notes.crm if forced_on == "source" else notes.billing
    hidden.sql("alter table notes enable row level security; alter table notes force row level security")
    notes.crm.sql("update notes set body = 'z' where id = 1; delete from notes where id = 2")
    sync(*notes)
    assert rows(notes.billing, "select * from notes") == ["(1,a)", "(2,b)"]
    assert [event.rpartition(" ")[0] for event in waiting(notes.crm)] == ["update notes 1", "delete notes 2"]
    assert {event.rpartition(" ")[2] for event in waiting(notes.crm)} == {"RF020"}
    hidden.sql("alter table notes no force row level security")
    notes.crm.sql("select rowferry.retry(id) from rowferry.sync_events")
    sync(*notes)
    assert rows(notes.billing, "select * from notes") == ["(1,z)"]


@pytest.mark.case(85)
def test_row_level_security_for_others_than_the_owner_is_no_obstacle(notes: Nodes) -> None:
    for node in notes:
        node.sql("alter table notes enable row level security")
    notes.crm.sql("insert into notes values (1, 'a')")
    sync(*notes)
    assert rows(notes.billing, "select * from notes") == ["(1,a)"]


def arguments_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


@pytest.mark.case(86)
def test_no_password_shows_in_arguments_activity_logs_status_or_migrations(notes: Nodes, tmp_path: Path) -> None:
    secrets = [node.server.password for node in notes]
    assert all(len(secret) > 20 for secret in secrets)
    seen = [alembic(notes.env, "upgrade", "head"), alembic(notes.env, "current"), alembic(notes.env, "history")]
    seen.append(alembic(notes.env, "-x", "node=crm", "upgrade", "head", "--sql"))
    log = tmp_path / "log"
    for node in notes:
        node.sql(f"alter database {node.database} set log_statement = 'all'")
    notes.billing.sql("alter table notes add constraint short check (length(body) < 3)")
    notes.crm.sql("insert into notes values (1, 'a'), (2, 'too long')")
    with worker(notes, log) as process:
        wait_until(lambda: waiting(notes.crm) == ["insert notes 2 23514"], 60, "one row arrives, one is held")
        seen.append(arguments_of(process.pid))
        for node in notes:
            seen += rows(node, "select * from pg_stat_activity")
            seen += rows(node, "select * from rowferry.status")
            seen += rows(node, "select * from rowferry.links")
            seen += rows(node, "select * from rowferry.sync_events")
    wrong = {**notes.env, "ROWFERRY_NODE_CRM": notes.crm.conninfo.replace(secrets[0], "a-wrong-secret")}
    failed = start_worker(Wrong(notes, wrong), log, "--once")  # type: ignore[arg-type]
    assert failed.wait(60) == 3
    seen.append(log.read_text())
    assert "password authentication failed" in seen[-1]
    seen += [node.server.log_path.read_text(errors="replace") for node in notes]
    text = "\n".join(seen)
    assert "process_batch" in text  # the statements are in the servers' logs
    for secret in (*secrets, "a-wrong-secret"):
        assert secret not in text


class Wrong:
    """Nodes with another environment."""

    def __init__(self, nodes: Nodes, env: dict[str, str]) -> None:
        self.nodes, self.env = nodes, env


LINT = r"""
    select p.oid::regprocedure::text as name, 'search_path' as what from pg_proc p
    where p.pronamespace = 'rowferry'::regnamespace
      and (p.prosecdef or p.prolang <> (select oid from pg_language where lanname = 'sql') or p.prosrc ~* 'from|join')
      and not exists (select from unnest(p.proconfig) c where c ~ '^search_path=.*pg_temp$')
      -- Each name in these is qualified, which a test of capture's rights tries under a hostile path.
      and p.proname !~ '^capture_' and p.proname not in ('_free_events', '_fresh_records', '_left_nothing', 'is_applying')
    union all
    select p.oid::regprocedure::text, 'granted to public' from pg_proc p
    where p.pronamespace = 'rowferry'::regnamespace
      and p.proname <> 'is_applying'  -- it stands in the WHEN of users' triggers
      and exists (select from aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a where a.grantee = 0)
    union all
    select c.oid::regclass::text, 'granted to public' from pg_class c
    where c.relnamespace = 'rowferry'::regnamespace
      and exists (select from aclexplode(c.relacl) a where a.grantee = 0)
    union all
    select p.oid::regprocedure::text, 'owner may log in' from pg_proc p join pg_roles r on r.oid = p.proowner
    where p.pronamespace = 'rowferry'::regnamespace and r.rolcanlogin and p.proname !~ '_notes$|_parts$'
    union all
    select t.tgrelid::regclass || ' ' || t.tgname, 'not always' from pg_trigger t join pg_proc p on p.oid = t.tgfoid
    where p.pronamespace = 'rowferry'::regnamespace and t.tgname ~ '^rowferry' and t.tgenabled <> 'A'
    union all
    select p.oid::regprocedure::text, 'no security definer' from pg_proc p
    where p.pronamespace = 'rowferry'::regnamespace
      and p.proname ~ '^(capture|read|apply|delete|lock|differing|keys|finish)_(notes|parts)$' and not p.prosecdef"""


@pytest.mark.case(87)
def test_the_catalog_keeps_the_rules(notes: Nodes) -> None:
    notes.crm.sql(
        "create table parts (id int primary key) partition by list (id); create table parts_1 partition of parts default;"
        " select rowferry.attach('parts')"
    )
    assert [tuple(row.values()) for row in notes.crm.sql(LINT)] == []
    triggers = notes.crm.sql("select count(*) as n from pg_trigger where tgname like 'rowferry%' and tgenabled = 'A'")
    assert triggers[0]["n"] >= 7
