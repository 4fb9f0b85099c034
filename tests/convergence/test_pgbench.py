"""pgbench, as it comes with the server: its tables, its transactions, and the sums that must agree."""

import re
import subprocess
import time
from pathlib import Path

import psycopg
import pytest

from harness import Node, Nodes
from harness.worker import wait_for_rest, worker
from rowferry.demo.embedded import environment

TABLES = ["pgbench_branches", "pgbench_tellers", "pgbench_accounts", "pgbench_history"]
ACCOUNTS = 100_000
SUMS = """
    select (select sum(bbalance) from pgbench_branches) as branches, (select sum(tbalance) from pgbench_tellers) as tellers,
      (select sum(abalance) from pgbench_accounts) as accounts, (select sum(delta) from pgbench_history) as history,
      (select count(*) from pgbench_history) as transactions"""


def pgbench(node: Node, *arguments: str) -> str:
    """What it prints; fails the test with its errors."""
    program = Path(node.server.bin_dir) / "pgbench"
    if not program.exists():
        pytest.skip(f"no pgbench in {node.server.bin_dir}")
    env = environment(node.server.bin_dir)
    done = subprocess.run([program, *arguments, node.conninfo], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_pgbench(nodes: Nodes, tmp_path: Path) -> None:
    """Its four tables end equal and its sums agree on both nodes, and none of its transactions fails."""
    pgbench(nodes.crm, "-i", "--foreign-keys", "-q")
    pgbench(nodes.billing, "-i", "-I", "dtpf", "--foreign-keys", "-q")
    for number, node in enumerate(nodes, start=1):
        for table in TABLES[:-1]:
            node.sql("select rowferry.attach(%s)", [table])
        with pytest.raises(psycopg.Error) as refusal:
            node.sql("select rowferry.attach('pgbench_history')")
        assert refusal.value.sqlstate == "RF010"
        assert refusal.value.diag.message_primary == "a table without a primary key cannot be kept in sync"
        assert "alter table public.pgbench_history add primary key" in (refusal.value.diag.message_hint or "")
        node.sql(
            "alter table pgbench_history add column id bigint generated always as identity"
            f" (start with {number} increment by 2) primary key; select rowferry.attach('pgbench_history')"
        )
    for table in TABLES:
        nodes.crm.sql("select * from rowferry.backfill(%s)", [table])

    with worker(nodes, tmp_path / "log"):
        began = time.monotonic()
        wait_for_rest(nodes, 90)
        print(f"backfill of {ACCOUNTS + 11} rows: {time.monotonic() - began:.1f} s")
        assert [node.sql("select count(*) from pgbench_accounts")[0]["count"] for node in nodes] == [ACCOUNTS, ACCOUNTS]
        output = pgbench(nodes.crm, "-n", "-c", "4", "-T", "10")
        began = time.monotonic()
        wait_for_rest(nodes, 60)
        print(f"at rest {time.monotonic() - began:.1f} s after the end of pgbench")

    done = int(found[1]) if (found := re.search(r"transactions actually processed: (\d+)", output)) else 0
    print(f"{done} transactions")
    failed = re.search(r"failed transactions: (\d+)", output)  # from version 15 on; before, a failed one ended pgbench
    assert done > 100 and (failed is None or failed[1] == "0"), output
    for node in nodes:
        sums = node.sql(SUMS)[0]
        assert sums["branches"] == sums["tellers"] == sums["accounts"] == sums["history"], (node.name, sums)
        assert sums["transactions"] == done, (node.name, sums)
    for table in TABLES:
        digest = f"select count(*) as rows, md5(string_agg(t::text, ' ' order by t::text collate \"C\")) as md5 from {table} t"
        assert nodes.crm.sql(digest) == nodes.billing.sql(digest), table
