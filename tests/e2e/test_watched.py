"""What people are shown of a lap: every target, every rule, every panel, and an alert's whole way.

Prometheus kept what it saw while the lap turned.
"""

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.queries import queries
from services.embedded.settings import ROOT
from tests.e2e.conftest import MODEL, Demo, Loop
from tests.programs import wait_for

DASHBOARDS = sorted((ROOT / "grafana/dashboards").glob("*.json"))
RIGHTLY_EMPTY = {"dag:relay_dag_last_run_state:failed"}  # records of what may not have happened
SOURCES = {"airflow", "mlflow", "data_registry", "checks", "disk"}
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def ask(loop: Loop, query: str) -> list[dict[str, Any]]:
    answer = loop.get("prometheus", "/api/v1/query", query=query).json()
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result


def test_every_target_is_up_and_every_source_is_read(loop: Loop) -> None:
    jobs = {"serving", "exporter", "page", "prometheus", "alertmanager"}
    wait_for(
        lambda: {each["metric"]["job"] for each in ask(loop, "up == 1")} == jobs, "all to be up"
    )
    sources = ask(loop, "relay_exporter_source_up == 1")
    assert {each["metric"]["source"] for each in sources} == SOURCES


def test_every_rule_can_be_evaluated_and_every_record_has_data(loop: Loop) -> None:
    groups = loop.get("prometheus", "/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 20
    assert not [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"]
    records = {rule["name"] for rule in rules if rule["type"] == "recording"}
    empty = {name for name in records if not ask(loop, f"last_over_time({name}[1h])")}
    assert empty <= RIGHTLY_EMPTY


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_has_data_of_the_lap(path: Path, loop: Loop, demo: Demo) -> None:
    now = time.time()
    span = {"start": str(now - 3600), "end": str(now), "step": "15"}
    series: Counter[str] = Counter()
    for panel, query in queries(json.loads(path.read_text()), {"model": MODEL, "version": ".*"}):
        answer = loop.get("prometheus", "/api/v1/query_range", query=query, **span).json()
        series[panel] += len(answer["data"]["result"])
    rightly = yaml.safe_load((ROOT / "grafana/rightly_empty.yml").read_text()).get(path.stem, {})
    assert not {panel for panel, found in series.items() if not found} - set(rightly)


def test_the_page_tells_how_the_loop_is_and_shows_each_dashboard(loop: Loop) -> None:
    assert f"One lap of {MODEL}" in loop.get("page", "/").text
    for path in DASHBOARDS:
        assert loop.get("page", f"/d/{path.stem}").status_code == 200
        shown = loop.get("page", f"/api/dashboards/{path.stem}").json()
        assert shown["uid"] == path.stem


def test_a_server_that_dies_is_told_of_and_its_alert_leads_to_a_runbook(loop: Loop) -> None:
    loop.supervise("stop", "serving")
    try:
        told = wait_for(
            lambda: (
                "no serving process answers"
                in loop.get("page", "/alerts", name="ServingDown", status="firing").text
            ),
            "the alert in the trail",
            seconds=180,
        )
    finally:
        loop.supervise("start", "serving")
    assert told
    assert "Serving" in loop.get("page", "/runbooks/ServingDown").text
    wait_for(lambda: ask(loop, 'up{job="serving"} == 1'), "serving to be back")
