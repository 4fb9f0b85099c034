"""Settings of a database, a role or a session change neither what is captured nor what a filter means, and batches move."""

import re
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from harness import REPO, Node, Nodes, alembic
from harness.exchange import rows, sync, waiting
from harness.literals import ambiguous_literals
from harness.migrations import alembic as migrate
from harness.migrations import psql
from harness.roles import role
from harness.worker import PROGRAM

SETTINGS = {
    "standard_conforming_strings": "off",
    "backslash_quote": "off",
    "escape_string_warning": "off",
    "transform_null_equals": "on",
    "quote_all_identifiers": "on",
    "array_nulls": "off",
    "datestyle": "'SQL, DMY'",
    "intervalstyle": "sql_standard",
    "timezone": "'Asia/Kathmandu'",
    "extra_float_digits": "-15",
    "bytea_output": "escape",
    "xmloption": "document",
    "search_path": "hostile, public",
    "default_transaction_deferrable": "on",
    "row_security": "off",
    "check_function_bodies": "off",
    "enable_seqscan": "off",
    "plpgsql.extra_errors": "'all'",
    "plpgsql.extra_warnings": "'all'",
    "client_min_messages": "error",
}
FILTER = r"path like 'C:\\%' and tag is distinct from 'it''s \ ' and kind = any ('{a,NULL,b}')"
TABLE = """
create table files (id integer primary key, path text, tag text, kind text,
  at timestamptz, d date, i interval, b bytea, f float8)"""
ROW = "insert into files values ({}, 'C:' || chr(92) || 'x', {}, 'a', '2020-02-03 04:05Z', '2020-02-03', '-1 day', '{{7}}', 1.1)"


def hostile(what: str) -> str:
    return "; ".join(f"alter {what} set {name} = {value}" for name, value in SETTINGS.items())


def as_user(node: Node, name: str) -> Node:
    """The node as this role sees it that logs in, with its own settings."""
    return replace(node, server=_Login(node.server, name), _connections=[])  # type: ignore[arg-type]


class _Login:
    """The server, whose connections are of another role."""

    def __init__(self, server: Any, user: str) -> None:
        self._server, self._user = server, user

    def __getattr__(self, name: str) -> Any:
        return getattr(self._server, name)

    def conninfo(self, database: str) -> str:
        return str(self._server.conninfo(database, self._user, self._user))


def run_once(nodes: Nodes) -> None:
    done = subprocess.run([PROGRAM, "run", "--once"], env=nodes.env, cwd=REPO, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, [done.stderr, [n.sql("select last_error, sqlstate from rowferry.sync_events") for n in nodes]]


@pytest.mark.case(118, 127)
@pytest.mark.parametrize("how", ["database", "roles"])
def test_hostile_settings_neither_silence_capture_nor_break_a_batch_nor_change_a_filter(blank: Nodes, how: str) -> None:
    if how == "database":
        for node in blank:
            node.sql(hostile(f"database {node.database}"))
    alembic(blank.env, "upgrade", "head")
    users, workers = {}, []
    for node in blank:
        user, worker = role(node), role(node)
        users[node.name] = as_user(node, user)
        workers.append(as_user(node, worker))
        for name in (user, worker):
            node.sql(f"alter role {name} login password '{name}'")
            if how == "roles":
                node.sql(hostile(f"role {name}"))
        node.sql(f"grant rowferry_worker, rowferry_viewer to {worker}; grant create on schema public to {user}")
        users[node.name].sql(TABLE)
        node.sql("select rowferry.attach('public.files', p_filter => %s)", [FILTER])
        assert "array_nulls=on" in str(node.sql("select proconfig from pg_proc where proname = 'capture_files'"))
    users["crm"].sql("; ".join(ROW.format(i, "null") for i in (1, 2)))
    users["crm"].sql("insert into files values (3, 'D:' || chr(92) || 'x', null, 'a'), (4, 'C:' || chr(92), null, 'NULL')")
    users["crm"].sql("insert into files values (5, 'C:' || chr(92), 'it''s ' || chr(92) || ' ', 'a')")
    assert waiting(blank.crm) == ["insert files 1", "insert files 2"]
    run_once(Nodes(*workers))
    users["billing"].sql("update files set tag = 'seen' where id = 1")
    users["billing"].sql("delete from files where id = 2")
    run_once(Nodes(*workers))
    for node in blank:
        assert waiting(node) == []
    there = rows(blank.billing, "select * from public.files")
    assert rows(blank.crm, "select * from public.files where id < 3") == there
    assert len(there) == 1
    blank.crm.sql("select rowferry.backfill('files'); select rowferry.compare('files')")
    run_once(Nodes(*workers))
    assert [run["state"] for run in blank.crm.sql("select state from rowferry.compare_runs")] == ["finished"]
    for node in workers:
        node.sql("select * from rowferry.why_stuck()")
        assert [row["problem"] for row in node.sql("select * from rowferry.check()") if "filter" in row["problem"]] == []
    for node in blank:
        node.sql("select rowferry.detach('files', p_force => true)")


def test_what_one_node_says_of_its_tables_reads_alike_under_its_settings(nodes: Nodes) -> None:
    """What check() of the other one compares: types, unique indexes with predicates, foreign keys, triggers, sequences."""
    for node in nodes:
        node.sql(
            """
            create type mood as enum ('good', 'bad');
            create table public.groups (id integer primary key);
            create table public."Members" (id serial primary key, "Name" text, m mood, x xml, v varchar(9),
              at timestamptz default now(),
              g integer references groups on delete cascade);
            create unique index on public."Members" ("Name") where at > '2020-01-02 03:04Z';
            select rowferry.attach('public.groups'); select rowferry.attach('public."Members"');
            select rowferry.stagger_sequence('public."Members_id_seq"', %s, 2)""".replace("%s", "1" if node is nodes.crm else "2")
        )
    problems = "select object, problem from rowferry.check() where severity <> 'info' and object not like 'server%'"
    sync(*nodes)
    before = [node.sql(problems) for node in nodes]
    nodes.crm.sql(hostile(f"database {nodes.crm.database}"))
    for node in nodes:
        node.sql("insert into public.groups values (%s)", [int(node is nodes.crm)])
        node.sql("update rowferry.links set facts_sent_at = null, facts_looked_at = null")
    sync(*nodes)
    assert [node.sql(problems) for node in nodes] == before


def test_a_database_that_takes_no_changes_by_default_is_not_migrated_and_the_way_out_works(blank: Nodes) -> None:
    node = blank.crm
    node.sql(f"alter database {node.database} set default_transaction_read_only = on")
    script = migrate(blank, "-x", "node=crm", "upgrade", "head", "--sql")[1]
    for code, said in (migrate(blank, "-x", "node=crm", "upgrade", "head")[::2], psql(node, script)):
        assert code != 0
        assert "this database takes no changes" in said and "PGOPTIONS='-c default_transaction_read_only=off'" in said
    assert node.sql("select to_regnamespace('rowferry') as there") == [{"there": None}]
    code, _, said = migrate(blank, "-x", "node=crm", "upgrade", "head", PGOPTIONS="-c default_transaction_read_only=off")
    assert code == 0, said
    assert node.sql("select * from rowferry.drift()") == []
    assert migrate(blank, "-x", "node=crm", "current")[0] == 0


PRINTS_CONSTANTS = r"pg_get_(?:functiondef|indexdef|constraintdef|viewdef|expr|triggerdef|ruledef|partkeydef)\b"
PRINTS = re.compile(
    rf"{PRINTS_CONSTANTS}|format_type|%\d*\$?I|quote_ident|pg_identify_object|pg_describe_object"
    r"|::reg(?:class|procedure|type|role|namespace|oper|operator|collation)\b(?!\s*::\s*oid)"
)
# What pg_get_expr() and those like it write otherwise by the session's settings.
SPELLING = {
    "quote_all_identifiers",
    "standard_conforming_strings",
    "datestyle",
    "intervalstyle",
    "timezone",
    "extra_float_digits",
    "bytea_output",
    "lc_monetary",
}
# These look only for a condition that holds no constant: the guard, and columns that are not null; it sets them where it prints.
SPELLED_OTHERWISE = {"_runs_for_peer", "_lacking_index", "_check_filter"}


def core_functions() -> dict[str, str]:
    """The text of each function's file without comments, by the function's name."""
    files = (path for path in (REPO / "sql" / "core").glob("*/*.sql") if path.parent.name not in ("revisions", "tables"))
    texts = {path.stem: re.sub(r"--[^\n]*", "", path.read_text()) for path in files}
    return {name: text for name, text in texts.items() if "create or replace function" in text}


def pins(text: str) -> set[str]:
    """What the settings of a function, which stand before its body, pin."""
    return set(re.findall(r"(?m)^set (\S+) = ", text.partition("\nas $")[0]))


def test_who_prints_an_expression_pins_all_that_decides_how_it_is_spelled() -> None:
    printing = {name: pins(text) for name, text in core_functions().items() if re.search(PRINTS_CONSTANTS, text)}
    assert len(printing) > len(SPELLED_OTHERWISE) + 3
    assert {
        name: SPELLING - found for name, found in printing.items() if name not in SPELLED_OTHERWISE and SPELLING - found
    } == {}


def test_each_door_pins_how_names_are_quoted_where_anything_behind_it_prints_some() -> None:
    """Two nodes compare what they print, and drift() compares what was printed then with what is printed now."""
    texts = core_functions()
    calls = {name: set(re.findall(r"rowferry\.(\w+)\(", text)) & texts.keys() - {name} for name, text in texts.items()}
    pinned = {name for name, text in texts.items() if "quote_all_identifiers" in pins(text)}

    def behind(name: str, seen: set[str]) -> set[str]:
        if name not in seen | pinned:
            seen.add(name)
            for called in calls[name]:
                behind(called, seen)
        return seen

    inner = {name for name in texts if name.startswith("_")} & set().union(*calls.values())
    doors = texts.keys() - inner
    assert {"attach", "check", "drift", "process_batch"} <= doors & pinned
    assert [door for door in sorted(doors) if any(PRINTS.search(texts[name]) for name in behind(door, set()))] == []


@pytest.mark.parametrize("value", ["on", "off"])
def test_a_filter_is_read_alike_whatever_the_session_that_attaches_takes_a_backslash_for(nodes: Nodes, value: str) -> None:
    nodes.crm.sql(TABLE)
    with nodes.crm.connect() as connection:
        connection.execute(f"set standard_conforming_strings = {value}")
        connection.execute("set transform_null_equals = on")
        connection.execute("select rowferry.attach('files', p_filter => $$ path like 'a\\\\b%' or tag = null $$)")
    nodes.crm.sql("insert into files (id, path) values (1, 'a' || chr(92) || 'b'), (2, 'ab'), (3, null)")
    assert waiting(nodes.crm) == ["insert files 1"]


def test_no_literal_of_a_function_means_another_text_where_a_backslash_escapes(nodes: Nodes) -> None:
    """In the release's files and in what attach() makes: a backslash stands in E'..' only, and quotes none in there."""
    nodes.crm.sql(TABLE)
    nodes.crm.sql("select rowferry.attach('files', p_filter => %s, p_truncate => 'propagate')", [FILTER])
    bodies = nodes.crm.sql("""
        select p.proname as name, p.prosrc as body from pg_proc p
        where p.pronamespace = 'rowferry'::regnamespace and strpos(p.prosrc, chr(92)) > 0""")
    assert len(bodies) > 10
    files = {path.name: path.read_text() for path in (REPO / "sql" / "core").rglob("*.sql")}
    texts = files | {row["name"]: row["body"] for row in bodies}
    assert [(name, literal) for name, text in texts.items() for literal in ambiguous_literals(text)] == []


@pytest.mark.parametrize("text", [r"select '\d'", r"do $$ begin perform 'a\b'; end $$", r"select E'\''", r"select U&'\0061'"])
def test_a_literal_that_sessions_read_differently_is_found(text: str) -> None:
    assert len(list(ambiguous_literals(text))) == 1


@pytest.mark.parametrize(
    "text", [r"""select E'\\d', 'a''b', "a\b" -- '\d'""", r"select /* '\d' */ 'a'", r"do $$ select E'it''s \n' $$"]
)
def test_a_literal_that_all_sessions_read_alike_is_none(text: str) -> None:
    assert list(ambiguous_literals(text)) == []
