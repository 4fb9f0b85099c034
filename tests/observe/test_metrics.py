"""`rowferry run --metrics`: what it serves, to whom, and when /healthz says that the worker is not well."""

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from harness import Nodes, wait_until
from harness.command import Command, run
from harness.exchange import sync
from harness.measured import NOTES, address, login, measured
from rowferry.config import ConfigError
from rowferry.observe import metrics


@pytest.fixture
def command(nodes: Nodes, tmp_path: Path) -> Iterator[Command]:
    with measured(nodes, tmp_path) as found:
        yield found


def get(url: str, method: str = "GET") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def values(url: str) -> dict[str, float]:
    """Each number by its name and labels."""
    status, text = get(f"{url}/metrics")
    assert status == 200
    lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in lines}


def test_it_serves_what_the_view_says_of_both_nodes(command: Command, nodes: Nodes) -> None:
    url = address(command.start("--metrics", "127.0.0.1:0"))
    nodes.crm.sql("insert into notes values (1, 'goes')")
    wait_until(lambda: nodes.billing.sql("select from notes"), 20, "the row arrives")
    found = wait_until(lambda: values(url) if values(url)['rowferry_pending{node="crm",peer="billing"}'] == 0 else {}, 20, "rest")
    assert found['rowferry_up{node="crm"}'] == found['rowferry_up{node="billing"}'] == 1
    assert found['rowferry_courier{node="billing",peer="crm"}'] == 1
    assert found['rowferry_causes_count{node="crm",severity="error"}'] == 0
    assert found["process_resident_memory_bytes"] > 0
    said = {name.partition("{")[0] for name in found if name.startswith("rowferry_")} - {"rowferry_up"}
    assert said == {row["name"] for row in nodes.crm.sql("select distinct name from rowferry.metrics")}
    assert get(f"{url}/healthz") == (200, "billing: crm: well\ncrm: billing: well\n")
    assert get(f"{url}/")[0] == get(f"{url}/metrics/x")[0] == 404
    assert get(f"{url}/healthz", "HEAD") == get(f"{url}/metrics", "HEAD") == (200, "") and get(f"{url}/", "HEAD") == (404, "")


def test_a_row_that_is_held_is_counted_and_the_worker_is_healthy_since_all_others_move(command: Command, nodes: Nodes) -> None:
    url = address(command.start("--metrics", "0"))
    nodes.billing.sql("alter table notes add check (body <> 'bad')")
    nodes.crm.sql("insert into notes values (1, 'bad'), (2, 'good')")
    held = 'rowferry_held{node="crm",peer="billing"}'
    found = wait_until(lambda: values(url) if values(url)[held] == 1 else {}, 20, "the row is held")
    assert found['rowferry_well{node="crm",peer="billing"}'] == 0 and found['rowferry_works{node="crm",peer="billing"}'] == 1
    assert found['rowferry_entity_held{entity="notes",node="crm",peer="billing"}'] == 1
    assert get(f"{url}/healthz")[0] == 200


def test_it_is_not_healthy_where_work_waits_and_nothing_moves(command: Command, nodes: Nodes) -> None:
    url = address(command.start("--metrics", "127.0.0.1:0"))
    nodes.billing.sql("select rowferry.pause()")
    assert get(f"{url}/healthz")[0] == 200, "there is no work"
    nodes.billing.sql("insert into notes values (1, 'waits')")
    assert get(f"{url}/healthz") == (503, "billing: crm: work waits and nothing moves\ncrm: billing: well\n")
    assert get(f"{url}/healthz", "HEAD") == (503, "")
    nodes.billing.sql("select rowferry.resume()")
    wait_until(lambda: get(f"{url}/healthz")[0] == 200, 20, "it moves")


def test_a_node_that_does_not_answer_is_down_and_the_other_nodes_numbers_are_there(command: Command, nodes: Nodes) -> None:
    command.env["ROWFERRY_NODE_BILLING"] = login(nodes.billing, "rowferry_worker")
    worker = command.start("--metrics", "127.0.0.1:0")
    url = address(worker)
    for _ in range(2):
        found = values(url)
        assert (found['rowferry_up{node="billing"}'], found['rowferry_up{node="crm"}']) == (0, 1)
        assert 'rowferry_well{node="crm",peer="billing"}' in found
    assert get(f"{url}/healthz")[0] == 503
    assert worker.log().count("metrics: billing: ") == 1 and "grant rowferry_viewer to ferry_" in worker.log()


def test_an_address_is_on_the_loopback_unless_it_names_another_host() -> None:
    assert metrics.parse("9187") == metrics.parse(":9187") == ("127.0.0.1", 9187)
    assert metrics.parse("[::1]:9187") == ("::1", 9187)
    assert metrics.parse("0.0.0.0:9187") == ("0.0.0.0", 9187)
    for wrong in ("", "localhost", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536"):
        with pytest.raises(ConfigError, match="Hint"):
            metrics.parse(wrong)


@pytest.mark.parametrize("given", [[], ["--metrics", "127.0.0.1:0"]])
def test_nothing_listens_unless_it_is_asked_for(command: Command, given: list[str]) -> None:
    worker = command.start(*given)
    wait_until(lambda: "at work" in worker.log(), 20, "the worker is at work")
    found = [link.laddr.ip for link in psutil.Process(worker.process.pid).net_connections() if link.status == "LISTEN"]
    assert found == ["127.0.0.1"] * bool(given)


@pytest.mark.parametrize(
    "given",
    [["--once", "--metrics", "0"], ["--metrics", "256.0.0.1:9187"], ["--metrics", "localhost"], ["--metrics", "a..b:9187"]],
)
def test_what_cannot_be_served_is_one_line_with_a_hint(command: Command, given: list[str]) -> None:
    said = run(command.env, "run", *given, code=2)
    assert len(said.splitlines()) == 1 and "Hint: " in said


def test_a_port_that_is_taken_is_one_line_with_a_hint(command: Command) -> None:
    port = address(command.start("--metrics", "127.0.0.1:0")).rpartition(":")[2]
    said = run(command.env, "run", "--metrics", port, code=2)
    assert len(said.splitlines()) == 1 and "Address already in use" in said


def test_without_the_package_it_says_what_to_install(nodes: Nodes) -> None:
    code = "import sys; sys.modules['prometheus_client'] = None; from rowferry.cli import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, "run", "--metrics", "0"], env=nodes.env, capture_output=True, text=True)
    assert done.returncode == 2 and "Hint: pip install 'rowferry[metrics]'" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_viewer_reads_the_same_in_psql(nodes: Nodes) -> None:
    for node in nodes:
        node.sql(NOTES)
    sync(*nodes)
    found = nodes.crm.sql("set role rowferry_viewer; select name, labels, value from rowferry.metrics")
    assert {"name": "rowferry_well", "labels": {"node": "crm", "peer": "billing"}, "value": 1.0} in found
    assert len({(row["name"], str(row["labels"])) for row in found}) == len(found) > 10
