"""plpgsql_check has nothing to say of any function, of core or written by attach(), but for what is explained here."""

from typing import Any

import psycopg
import pytest

from harness import Node, Nodes

pytestmark = pytest.mark.whole

ATTACHED = """
    create schema app;
    create table simple (id integer primary key, name text not null, amount numeric(10, 2), at timestamptz default now());
    create table composite (region text, number bigint, parent integer references simple, primary key (region, number));
    create table parted (id integer, v text, primary key (id)) partition by hash (id);
    create table parted_0 partition of parted for values with (modulus 1, remainder 0);
    create table filtered (id integer primary key, country text, email text unique);
    create table merged (id integer primary key, v text);
    create table handled (id integer primary key, v text);
    create function app.merge(mine merged, theirs merged) returns merged language sql as 'select coalesce(theirs, mine)';
    create function app.apply(p_rows handled[]) returns void language sql as
      'insert into handled select r.* from unnest(p_rows) r on conflict do nothing';
    select rowferry.attach('simple', p_truncate => 'propagate');
    select rowferry.attach('composite');
    select rowferry.attach('parted');
    select rowferry.attach('filtered', p_filter => 'country = ''CH''', p_filter_left => 'keep');
    select rowferry.attach('merged', p_conflict_rule => 'merge:app.merge');
    select rowferry.attach('handled', p_on_apply => 'app.apply');
    create table app.shaped (id integer primary key, first text, last text);
    create view app.shaped_out as select id, first || ' ' || last as name from app.shaped;
    create function app.shaped_in(p_rows app.shaped_out[]) returns table (id integer, first text) language sql as
      'select r.id, r.name from unnest(p_rows) r';
    select rowferry.attach('app.shaped', p_outbound => 'app.shaped_out', p_inbound => 'app.shaped_in',
      p_filter => 'id > 0', p_filter_left => 'keep');
    create table app.sent (id integer primary key, v text);
    create table app.received (id integer primary key, v text);
    select rowferry.attach('app.sent', p_direction => 'send');
    select rowferry.attach('app.received', p_direction => 'receive')"""
# Trigger functions are checked as the triggers of a table.
FOUND = """
    select p.proname as function, c.lineno as line, c.level, c.sqlstate, c.message, c.detail, c.context, c.query
    from pg_proc p
    join pg_language l on l.oid = p.prolang and l.lanname = 'plpgsql'
    left join lateral (select min(t.tgrelid) as relid from pg_trigger t where t.tgfoid = p.oid) t on true
    cross join lateral plpgsql_check_function_tb(p.oid, coalesce(t.relid, 0),
      fatal_errors => false, other_warnings => true, extra_warnings => true, security_warnings => true,
      performance_warnings => false,
      newtable => case when p.prorettype = 'trigger'::regtype then 'new_rows' end,
      oldtable => case when p.prorettype = 'trigger'::regtype then 'old_rows' end) c
    where p.pronamespace = 'rowferry'::regnamespace
    order by 1, 2"""

# The rest of a function is looked at no further once a record comes of dynamic SQL, as every row of a generated function does.
DYNAMIC = "cannot determinate a result of dynamic SQL"
# A statement that was put together of DDL that rowferry has written itself, every name in it by %I or as regclass, or of a
# condition that a DBA gave and that runs with nothing but his own rights (_check_filter).
TEXT = {"_change_kin", "_check_filter", "_let_dump", "_share_capture", "detach", "replay", "set_rules"}
# A value is read by the types that the catalog names, whose names are quoted by %I or written by format_type().
TYPES_AT_RUN_TIME = "altered_"
# Numbers, and names by %I or as regclass, go into the statements that read how far a column has come.
COUNTED = "sequences_"
# As many columns as there are: $2[1], $2[2], ..
NUMBERED = {"_row_literals"}
# Rows for functions of a user's are put together of the columns that there are then, with types of the catalog (_rows_of_sql).
ROW_AT_RUN_TIME = {"apply_handled", "apply_shaped", "merge_merged"}
# Tables and columns that the function itself makes before it comes there.
MADE = {("_check_filter", "3F000")}
# Variables that are read behind the place where the check goes no further.
READ_LATER = {("_queue_following", 'never read variable "v_rows"'), ("_decide_orphan", 'never read variable "v_rows"')}
# Generated functions have one signature, whether or not a table has foreign keys, a filter or a handler.
GENERATED = ("apply_", "lacking_", "read_", "wanting_")


def explained(finding: dict[str, Any], dynamic: set[str]) -> bool:
    name, message = finding["function"], finding["message"]
    if finding["level"] == "security":
        return name in TEXT | ROW_AT_RUN_TIME | NUMBERED or name.startswith((TYPES_AT_RUN_TIME, COUNTED))
    if finding["level"] == "warning extra":
        if (name, message) in READ_LATER:
            return True
        if message == 'never read variable "v_rows"':
            return name.startswith("apply_")  # a WITH that writes ends in a SELECT, and a SELECT needs an INTO
        unused = message.startswith(("unused parameter", "unmodified OUT variable")) and name.startswith(GENERATED)
        return unused or name in dynamic | NUMBERED or message.startswith("composite OUT variable")
    if (name, finding["sqlstate"]) == ("_write_outbox_section", "42804"):
        return True  # what its dynamic SQL returns, an array of tid, is not known to the check
    if finding["sqlstate"] == "42804":  # '{}' and '5 s' in a declaration are read as the variable's type, and not as text
        return str(finding["context"]).startswith("during statement block local variable")
    if finding["sqlstate"] == "55000":
        return name in dynamic
    return message == DYNAMIC or (name, finding["sqlstate"]) in MADE


@pytest.fixture
def checked(nodes: Nodes) -> Node:
    """The arbiter, which has a merge function too, with a table of each kind attached."""
    node = nodes.billing
    try:
        node.sql("create extension plpgsql_check")
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile):
        pytest.skip("this server has no plpgsql_check; on Debian: apt-get install postgresql-15-plpgsql-check")
    node.sql(ATTACHED)
    return node


def findings(node: Node) -> list[dict[str, Any]]:
    found = node.sql(FOUND)
    dynamic = {finding["function"] for finding in found if finding["message"] == DYNAMIC}
    return [finding for finding in found if not explained(finding, dynamic)]


def test_no_function_has_a_finding(checked: Node) -> None:
    [counted] = checked.sql("""
        select count(*) filter (where proname like '%\\_filtered') as generated, count(*) as checked
        from pg_proc where pronamespace = 'rowferry'::regnamespace
          and prolang = (select oid from pg_language where lanname = 'plpgsql')""")
    assert counted["generated"] > 10 and counted["checked"] > 150
    assert [(f["function"], f["line"], f["message"]) for f in findings(checked)] == []


@pytest.mark.parametrize(
    ("body", "level"),
    [
        ("begin return (select nothing from rowferry.node); end", "error"),
        ("declare v integer; begin return 1; end", "warning extra"),
        ("begin execute 'select ' || p; return 1; end", "security"),
    ],
)
def test_a_function_with_a_mistake_is_found(checked: Node, body: str, level: str) -> None:
    checked.sql(f"create function rowferry.mistaken(p text) returns integer language plpgsql as $$ {body} $$")
    assert level in {finding["level"] for finding in findings(checked) if finding["function"] == "mistaken"}
