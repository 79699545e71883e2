"""What the dashboards' states say of given series, computed by Prometheus itself."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from grafana import lap, states
from grafana.queries import fill, queries
from grafana.states import BAD, LATE, NONE, OK, PAUSED, RUNNING, UNKNOWN, WAITING
from tests.programs import ROOT

pytestmark = pytest.mark.skipif(
    not shutil.which("promtool"), reason="no promtool: sudo apt install prometheus"
)
MODEL = {"model": "flights", "version": ".*"}
RUN = 'relay_dag_last_run_state{dag="d",model="flights",state="%s"}'
SUCCESS = 'relay_dag_last_success_timestamp_seconds{dag="d",model="flights"}'
PERIOD = 'relay:dag_period_seconds{dag="d",model="flights"}'
WANTED = 'relay_serving_wanted_version{instance="i",model="flights",role="champion"}'
SERVED = 'relay_serving_served_version{instance="i",model="flights",role="champion"}'
BUDGET = 'relay_retrain_budget_left{model="flights",version="1"}'
ASKED = 'relay_retrain_requested{model="flights",version="1"}'
JUDGED = 'relay_monitor_last_run_timestamp_seconds{model="flights",version="1"}'
EVERY = 'relay:monitor_period_seconds{model="flights"}'
COOLING = 'relay_retrain_cooldown_left_seconds{model="flights",version="1"}'
VERDICT = 'relay_check_verdict{model="flights",check="drift",column="%s",verdict="%s"}'
CHAMPION = 'model:relay_champion:exists{model="flights"}'
REGISTRY = 'relay_exporter_source_up{source="mlflow"}'
ALERT = 'ALERTS{alertname="%s",alertstate="firing",severity="%s"%s}'


def turning() -> str:
    board = json.loads((ROOT / "grafana/dashboards/relay-lap.json").read_text())
    return dict(queries(board, MODEL))["Is the loop turning?"]


CASES: dict[str, tuple[str, dict[str, float | str], int | None]] = {
    "a run that went well": (states.run_state("d"), {RUN % "success": 1, RUN % "failed": 0}, OK),
    "a run that goes on": (
        states.run_state("d"),
        {RUN % "success": 0, RUN % "running": 1},
        RUNNING,
    ),
    "a run that failed": (states.run_state("d"), {RUN % "success": 0, RUN % "failed": 1}, BAD),
    "a paused DAG": (
        states.run_state("d"),
        {RUN % "success": 1, 'relay_dag_paused{dag="d",model="flights"}': 1},
        PAUSED,
    ),
    "a DAG that is late": (
        states.run_state("d"),
        {RUN % "success": 1, SUCCESS: 0, PERIOD: 250},
        LATE,
    ),
    "a DAG that is in time": (
        states.run_state("d"),
        {RUN % "success": 1, SUCCESS: 0, PERIOD: 350},
        OK,
    ),
    "Airflow away": (states.run_state("d"), {PERIOD: 350}, None),
    "the wanted version served": (states.SERVING, {WANTED: 2, SERVED: 2}, OK),
    "an older version served": (states.SERVING, {WANTED: 2, SERVED: 1}, LATE),
    "nothing served": (states.SERVING, {WANTED: 2, SERVED: 0}, BAD),
    "serving away": (states.SERVING, {}, None),
    "a budget that is spent": (lap.RETRAIN, {BUDGET: 0, ASKED: 1, COOLING: 9}, BAD),
    "a training asked for": (lap.RETRAIN, {BUDGET: 3, ASKED: 1, COOLING: 9}, PAUSED),
    "cooling down": (lap.RETRAIN, {BUDGET: 3, ASKED: 0, COOLING: 9}, WAITING),
    "ready to ask": (lap.RETRAIN, {BUDGET: 3, ASKED: 0, COOLING: 0, JUDGED: 0, EVERY: 301}, OK),
    "young results, not decided": (lap.RETRAIN, {JUDGED: 0, EVERY: 301}, RUNNING),
    "old results, not decided": (lap.RETRAIN, {JUDGED: 0, EVERY: 299}, None),
    "what is left": (lap.LEFT, {BUDGET: 3, JUDGED: 0, EVERY: 301}, 3),
    "what is left, not decided": (lap.LEFT, {JUDGED: 0, EVERY: 301}, -1),
    "what is left, never decided": (lap.LEFT, {JUDGED: 0, EVERY: 299}, None),
    "the last request, four runs ago": (
        lap.ASKED,
        {JUDGED: "0+60", ASKED: "0 0 0 0 0 1 1 0 0 0 0"},
        4 * 60,
    ),
    "no request": (lap.ASKED, {JUDGED: "0+60", ASKED: 0}, None),
    "one column of two alerts": (
        states.worst_verdict('model="$model"'),
        {VERDICT % ("a", "ok"): 1, VERDICT % ("b", "ok"): 0, VERDICT % ("b", "alert"): 1},
        BAD,
    ),
    "one column of two unknown": (
        states.worst_verdict('model="$model"'),
        {VERDICT % ("a", "ok"): 1, VERDICT % ("b", "unknown"): 1},
        UNKNOWN,
    ),
    "no alert": (turning(), {CHAMPION: 1}, OK),
    "no champion": (turning(), {REGISTRY: 1}, NONE),
    "no champion, and an alert": (turning(), {REGISTRY: 1, ALERT % ("A", "ticket", ""): 1}, LATE),
    "nobody knows of a champion": (turning(), {REGISTRY: 0}, None),
    "a ticket of this model": (turning(), {ALERT % ("A", "ticket", ',model="flights"'): 1}, LATE),
    "a page of the platform, and a ticket": (
        turning(),
        {ALERT % ("A", "ticket", ""): 1, ALERT % ("B", "page", ""): 1},
        BAD,
    ),
    "a page of another model": (
        turning(),
        {CHAMPION: 1, ALERT % ("A", "page", ',model="other"'): 1},
        OK,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_state_is_what_its_series_say(case: str, tmp_path: Path) -> None:
    expression, series, expected = CASES[case]
    given = [
        {"series": name, "values": value if " " in str(value) else f"{value}x20"}
        for name, value in series.items()
    ]
    samples = [] if expected is None else [{"labels": "{}", "value": expected}]
    asked = {"expr": fill(expression, MODEL), "eval_time": "10m", "exp_samples": samples}
    test = {"interval": "1m", "input_series": given, "promql_expr_test": [asked]}
    file = tmp_path / "states.yml"
    file.write_text(json.dumps({"rule_files": [], "tests": [test]}))  # JSON is YAML
    done = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
