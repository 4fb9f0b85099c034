"""docs/monitoring with a real Prometheus: it takes what a worker serves, and each picture and each alert finds its numbers."""

import json
import re
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import REPO, Nodes, wait_until
from harness.command import Command
from harness.measured import address, measured

PROMETHEUS, PROMTOOL = shutil.which("prometheus"), shutil.which("promtool")
MONITORING = REPO / "docs" / "monitoring"

pytestmark = pytest.mark.skipif(not (PROMETHEUS and PROMTOOL), reason="no Prometheus on this machine: apt-get install prometheus")


@pytest.fixture
def command(nodes: Nodes, tmp_path: Path) -> Iterator[Command]:
    with measured(nodes, tmp_path) as found:
        yield found


@pytest.fixture
def ask(command: Command, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Asks a Prometheus that was configured as docs/monitoring says, but for times and ports."""
    target = address(command.start("--metrics", "127.0.0.1:0")).removeprefix("http://")
    text = (MONITORING / "prometheus.yml").read_text().replace("127.0.0.1:9187", target)
    (tmp_path / "prometheus.yml").write_text(re.sub(r"(_interval|_timeout): 15s", r"\1: 1s", text))
    shutil.copy(MONITORING / "alerts.yml", tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        at = f"127.0.0.1:{free.getsockname()[1]}"
    options = [f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address={at}"]
    with (tmp_path / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([str(PROMETHEUS), *options], stdout=log, stderr=log)

    def get(path: str, **params: str) -> Any:
        try:
            with urllib.request.urlopen(f"http://{at}/api/v1/{path}?{urllib.parse.urlencode(params)}", timeout=20) as answer:
                return json.load(answer)["data"]
        except OSError:
            assert process.poll() is None, (tmp_path / "prometheus.log").read_text()
            return {}

    try:
        yield get
    finally:
        process.terminate()
        process.wait(20)


def expressions() -> list[str]:
    """What each picture of the dashboard asks, for all nodes."""
    board = json.loads((MONITORING / "grafana.json").read_text())
    found = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    return [expression.replace("$node", ".*") for expression in found]


def test_a_real_prometheus_takes_the_numbers_and_each_picture_and_alert_finds_them(ask: Callable[..., Any], nodes: Nodes) -> None:
    for node in nodes:  # a conflict, so that there is one to show
        node.sql(f"insert into notes values (1, 'of {node.name}')")
    nodes.billing.sql("alter table notes add check (body <> 'bad')")
    nodes.crm.sql("insert into notes values (2, 'bad')")

    def result(expression: str) -> dict[str, float]:
        found = ask("query", query=expression).get("result", ())
        return {
            "{node} {peer}".format_map({"peer": "", **{"node": ""}, **row["metric"]}).strip(): float(row["value"][1])
            for row in found
        }

    wait_until(
        lambda: result("rowferry_held") == {"crm billing": 1, "billing crm": 0}, 60, "Prometheus knows of the row that is held"
    )
    assert result("rowferry_well")["crm billing"] == 0 and result("up") == {"": 1}
    for expression in expressions():
        wait_until(lambda expression=expression: result(expression), 30, f"a picture has numbers: {expression}")
    states = wait_until(
        lambda: {alert["labels"]["alertname"]: alert["state"] for alert in ask("alerts").get("alerts", ())},
        30,
        "an alert is raised",
    )
    assert states == {"RowferryNotWell": "pending"}, "it fires after two minutes"


def test_an_alert_fires_after_two_minutes(tmp_path: Path) -> None:
    """Played by promtool: what a worker serves of a link that is not well, then nothing at all."""
    shutil.copy(MONITORING / "alerts.yml", tmp_path)
    (tmp_path / "test.yml").write_text("""
rule_files: [alerts.yml]
evaluation_interval: 15s
tests:
  - interval: 15s
    input_series:
      - {series: 'rowferry_well{node="crm",peer="billing"}', values: "1x4 0x12 _x40"}
      - {series: 'rowferry_up{node="crm"}', values: "1x4 0x12 _x40"}
      - {series: 'rowferry_causes_count{node="crm",severity="error"}', values: "0x4 1x12 _x40"}
      - {series: 'rowferry_causes_count{node="crm",severity="warning"}', values: "9x60"}
    alert_rule_test:
      - {eval_time: 3m, alertname: RowferryNotWell, exp_alerts: []}
      - {eval_time: 4m, alertname: RowferryNotWell, exp_alerts: [{exp_labels: {node: crm, peer: billing, severity: warning},
          exp_annotations: {summary: "crm: something of the link to billing does not move",
          description: "On crm: select * from rowferry.why_stuck(); names each cause and what to type."}}]}
      - {eval_time: 4m, alertname: RowferryNoValues, exp_alerts: []}
    promql_expr_test:
      - {expr: 'count by (alertname) (ALERTS{alertstate="firing"})', eval_time: 4m, exp_samples: [
          {labels: '{alertname="RowferryNotWell"}', value: 1}, {labels: '{alertname="RowferryStandsStill"}', value: 1},
          {labels: '{alertname="RowferryNodeAway"}', value: 1}]}
      - {expr: 'count by (alertname) (ALERTS{alertstate="firing"})', eval_time: 13m, exp_samples: [
          {labels: '{alertname="RowferryNoValues"}', value: 1}]}
""")
    done = subprocess.run([str(PROMTOOL), "test", "rules", str(tmp_path / "test.yml")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
