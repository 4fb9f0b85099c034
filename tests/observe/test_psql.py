"""What sql/psql promises: each query runs in the real psql, for whoever may only read, and rowferry.psqlrc knows each by name."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness import REPO, Node, Nodes
from rowferry.demo.embedded import environment

FOLDER = REPO / "sql" / "psql"
PSQLRC = FOLDER / "rowferry.psqlrc"
NAMES = ["status", "why", "events", "held", "conflicts", "backlog", "batches", "traffic", "check"]
SHOWS = {  # what busy() below makes each of them show, as psql -At prints it
    "status": r"billing\|held\|2\|1\|",
    "why": r"error\|no worker is at work\|[^|]+\|link to billing\|rowferry run .*\n"
    r"warning\|1 event is refused by billing: too short \(23514\)\|",
    "events": r"1\|billing\|things\|1\|insert\|[^|]+\|0\|3\n2\|billing\|things\|2\|insert\|[^|]+\|0\|0",
    "held": r"1\|things\|1\|insert\|3\|[^|]+\|23514\|too short\|make it longer",
    "conflicts": r'1\|[^|]+\|things\|9\|crm\|newest\|\{"id": "9"\}\|',
    "backlog": r"billing\|things\|insert\|2\|1\|[^|]+",
    "batches": r"1\|[^|]+\|billing\|sent\|1\|7\|0\|0\|12",
    "traffic": r"billing\|things\|sent\|[^|]+\|1\|7\|0\|0",
    "check": r"[a-z]+\|",
}


@pytest.fixture
def busy(nodes: Nodes) -> Node:
    """crm with two pending events, one of them held, one conflict, and one batch."""
    nodes.crm.sql("create table public.things (id int primary key, name text); select rowferry.attach('public.things')")
    nodes.crm.sql("insert into public.things values (1, 'a'), (2, 'b')")
    nodes.crm.sql("""
        insert into rowferry.held_events (event_id, entity_id, record_id, attempts, not_before, sqlstate, last_error, hint,
          first_at, last_at)
        select e.id, e.entity_id, e.record_id, 3, now() + interval '1 min', '23514', 'too short', 'make it longer', now(), now()
        from rowferry.events e where e.record_id = '1'""")
    nodes.crm.sql("""
        insert into rowferry.conflicts (conflict_key, peer, entity, record_id, winner, rule, winner_row,
          winner_changed_at, loser_changed_at, decided_at, decided_by)
        values (md5('k')::uuid, 'billing', 'things', '9', 'crm', 'newest', '{"id": "9"}', now(), now(), now(), 'crm')""")
    nodes.crm.sql("""
        insert into rowferry.batches (peer, direction, number, tag, records, events, refused, conflicts, ms, at)
        values ('billing', 'sent', 1, gen_random_uuid(), 7, 7, 0, 0, 12, now());
        insert into rowferry.traffic (peer, entity, direction, hour, batches, records, deletes, refused)
        values ('billing', 'things', 'sent', date_trunc('hour', now()), 1, 7, 0, 0)""")
    return nodes.crm


def found(node: Node) -> tuple[str, dict[str, str]]:
    """The program psql, and its environment."""
    own = node.server.bin_dir / "psql"
    program = str(own) if own.exists() else shutil.which("psql")
    assert program, f"no psql in {node.server.bin_dir} nor on PATH"
    return program, environment(node.server.bin_dir)


def psql(node: Node, script: str, *options: str, psqlrc: Path | None = None) -> str:
    """What psql prints, errors included."""
    program, env = found(node)
    done = subprocess.run(
        [program, "-v", "ON_ERROR_STOP=1", *(() if psqlrc else ("-X",)), *options, "-f", "-", node.conninfo],
        input=script,
        env={**env, **({"PSQLRC": str(psqlrc)} if psqlrc else {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_each_name_has_its_file() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.sql")) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_shows_what_it_says_to_whoever_may_only_read(busy: Node, name: str) -> None:
    shown = psql(busy, f"set role rowferry_viewer;\n\\i {FOLDER / name}.sql\n", "-qAt")
    assert re.match(SHOWS[name], shown), shown


@pytest.mark.parametrize("name", NAMES)
def test_a_short_name_runs_what_is_in_the_file(nodes: Nodes, name: str) -> None:
    variable = psql(nodes.crm, f"\\echo :{name}\n", psqlrc=PSQLRC).splitlines()[-1]
    lines = (FOLDER / f"{name}.sql").read_text().splitlines()
    assert variable == "\n".join(line for line in lines if not line.startswith("--"))


def test_the_psqlrc_names_the_queries_and_puts_rowferry_first(busy: Node) -> None:
    shown = psql(busy, "show search_path;\n:events\nselect count(*) from sync_events;\n", "-At", psqlrc=PSQLRC)
    lines = shown.splitlines()
    assert [word for word in lines[0].split() if word.startswith(":")] == [f":{name}" for name in NAMES]
    assert lines[2] == "rowferry, public"
    assert re.match(SHOWS["events"], "\n".join(lines[3:])), shown
    assert lines[-1] == "2"


def test_the_psqlrc_can_be_included_in_a_session(nodes: Nodes) -> None:
    shown = psql(nodes.crm, f"\\i {PSQLRC}\nselect 1 as number;\n").splitlines()
    assert shown[0].startswith("rowferry: ")
    assert "number" in shown[2]


def test_the_status_is_a_live_screen_of_170_columns(nodes: Nodes) -> None:
    """Of a link that is well; a worker's host has up to 16 characters."""
    nodes.crm.sql("""
        update rowferry.links set last_exchange_at = now(), opened_at = now(), clock_difference = '1 ms',
          courier = '{"host": "ferry-01.example", "pid": 1234567}'""")
    program, env = found(nodes.crm)
    holder = nodes.crm.connect()
    holder.execute("select pg_advisory_lock(rowferry._courier_lock('crm', 'billing'))")
    script = f"\\i {PSQLRC}\nselect * from rowferry.status \\watch 0.1\n"
    with subprocess.Popen(
        [program, "-X", "-f", "-", nodes.crm.conninfo], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as live:
        assert live.stdin and live.stdout
        live.stdin.write(script)
        live.stdin.close()
        lines: list[str] = []
        while sum("ferry-01.example, pid 1234567" in line for line in lines) < 2:
            lines.append(live.stdout.readline())
        live.kill()
    assert max(map(len, lines)) <= 171
