"""A running platform in, what its Prometheus cannot see, evaluate or draw out.

Shared by the platform as local processes and by the one in containers.
"""

import json
import time
from collections import Counter
from pathlib import Path

import yaml

from grafana.queries import queries
from tests.outside import MODEL, Outside
from tests.programs import ROOT

DASHBOARDS = sorted((ROOT / "grafana/dashboards").glob("*.json"))
JOBS = {"serving", "exporter", "page", "prometheus", "alertmanager"}
SOURCES = {"airflow", "mlflow", "data_registry", "checks", "disk"}
RIGHTLY_EMPTY = {"dag:relay_dag_last_run_state:failed"}  # records of what may not have happened


def targets_up(platform: Outside) -> set[str]:
    """Name the jobs all of whose targets answer."""
    targets = platform.prometheus("min by (job) (up) == 1")
    return {each["metric"]["job"] for each in targets}


def sources_read(platform: Outside) -> set[str]:
    """Name what the exporter can read."""
    sources = platform.prometheus("relay_exporter_source_up == 1")
    return {each["metric"]["source"] for each in sources}


def rule_errors(platform: Outside) -> dict[str, str]:
    """Give the rules that are not well, each with its last error."""
    groups = platform.get("prometheus", "/api/v1/rules").json()["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) > 20
    return {
        rule["name"]: rule.get("lastError") or rule["health"]
        for rule in rules
        if rule["health"] != "ok"
    }


def empty_records(platform: Outside) -> set[str]:
    """Name the recording rules that have given nothing for an hour, and should have."""
    groups = platform.get("prometheus", "/api/v1/rules", type="record").json()["data"]["groups"]
    records = {rule["name"] for group in groups for rule in group["rules"]}
    assert records
    empty = {name for name in records if not platform.prometheus(f"last_over_time({name}[1h])")}
    return empty - RIGHTLY_EMPTY


def panel_series(platform: Outside, dashboard: Path) -> Counter[str]:
    """Count the series that each panel of a dashboard would draw of the last hour."""
    now = time.time()
    span = {"start": str(now - 3600), "end": str(now), "step": "15"}
    series: Counter[str] = Counter()
    variables = {"model": MODEL, "version": ".*"}
    for panel, query in queries(json.loads(dashboard.read_text()), variables):
        answer = platform.get("prometheus", "/api/v1/query_range", query=query, **span).json()
        series[panel] += len(answer["data"]["result"])
    return series


def empty_panels(platform: Outside, dashboard: Path) -> set[str]:
    """Name the panels of a dashboard that have no data, and should have."""
    rightly = yaml.safe_load((ROOT / "grafana/rightly_empty.yml").read_text())
    series = panel_series(platform, dashboard)
    assert series
    empty = {panel for panel, found in series.items() if not found}
    return empty - set(rightly.get(dashboard.stem, {}))
