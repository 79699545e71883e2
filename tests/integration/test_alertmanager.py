"""The real Alertmanager, and the real Prometheus before it, on the configuration that we ship."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import yaml

from tests.programs import ROOT, Program, free_port, running, wait_for

HOST = "127.0.0.1"
CONFIG = ROOT / "monitoring/alertmanager/alertmanager.yml"
ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
PROMETHEUS = shutil.which("prometheus")
INSTALL = "sudo apt install --no-install-recommends prometheus prometheus-alertmanager"

needs_alertmanager = pytest.mark.skipif(not ALERTMANAGER, reason=f"no Alertmanager: {INSTALL}")
needs_both = pytest.mark.skipif(not (ALERTMANAGER and PROMETHEUS), reason=f"lacks one: {INSTALL}")

Labels = dict[str, str]


class Page:
    """A server of a test's own: gives what `text` gives, keeps what is posted."""

    def __init__(self, text: Callable[[], str] = str) -> None:
        self.received: list[dict[str, Any]] = []
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(text().encode())

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                page.received.append(json.loads(body))
                self._answer(b"{}")

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._handler = Handler
        self.port = free_port()
        self.begin()

    def begin(self) -> None:
        self._server = ThreadingHTTPServer((HOST, self.port), self._handler)
        Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def heard(self, alert: str, status: str = "firing") -> list[dict[str, Any]]:
        """The notifications about an alert."""
        return [
            notification
            for notification in self.received
            if notification["groupLabels"]["alertname"] == alert
            and notification["status"] == status
        ]


def quick(text: str) -> str:
    """The same configuration or rules with seconds where there are minutes."""
    text = re.sub(r"\b(for|group_interval): \d+[sm]\b", r"\1: 1s", text)
    text = re.sub(r"\brepeat_interval: 1m\b", "repeat_interval: 1s", text)
    text = re.sub(r"\b(group_wait): \d+s", r"\1: 3s", text)
    return re.sub(r"\b(scrape_interval|evaluation_interval): 5s", r"\1: 500ms", text)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as programs:
        yield programs


@pytest.fixture
def receiver(stack: ExitStack) -> Page:
    page = Page()
    stack.callback(page.end)
    return page


@pytest.fixture
def alertmanager(stack: ExitStack, receiver: Page, tmp_path: Path) -> Program:
    text = CONFIG.read_text().replace(f"{HOST}:8002", f"{HOST}:{receiver.port}")
    return stack.enter_context(starting(text, tmp_path))


def starting(text: str, tmp_path: Path) -> AbstractContextManager[Program]:
    config, port = tmp_path / "alertmanager.yml", free_port()
    config.write_text(quick(text))
    command = [str(ALERTMANAGER), f"--config.file={config}", f"--storage.path={tmp_path}/data"]
    command += [f"--web.listen-address={HOST}:{port}", "--cluster.listen-address="]
    url = f"http://{HOST}:{port}"
    return running(command, {}, url, "/-/ready", tmp_path / "alertmanager.log")


def with_all(*marks: str) -> str:
    """The configuration, the lines with these marks taken in."""
    marked = re.compile(rf"^(\s*)# (.*# (?:{'|'.join(marks)}):.*)$", re.MULTILINE)
    return marked.sub(r"\1\2", CONFIG.read_text())


def state_of(alertmanager: Program, labels: Labels) -> str:
    """`active`, `suppressed`, or nothing where there is no such alert."""
    for alert in alertmanager.get("/api/v2/alerts").json():
        if labels.items() <= alert["labels"].items():
            return str(alert["status"]["state"])
    return ""


def tell(alertmanager: Program, *alerts: Labels) -> None:
    body = [{"labels": labels} for labels in alerts]
    httpx.post(f"{alertmanager.url}/api/v2/alerts", json=body).raise_for_status()


def check(path: Path) -> str:
    command = ["amtool", "check-config", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_alertmanager
def test_the_configuration_is_valid_as_it_is() -> None:
    assert "3 receivers" in check(CONFIG)


@needs_alertmanager
def test_it_is_valid_with_slack_and_e_mail_and_a_heartbeat(tmp_path: Path) -> None:
    path = tmp_path / "alertmanager.yml"
    path.write_text(with_all("Slack", "e-mail", "heartbeat"))
    check(path)
    receivers = {each["name"]: set(each) for each in yaml.safe_load(path.read_text())["receivers"]}
    assert receivers["page"] == {"name", "webhook_configs", "slack_configs", "email_configs"}
    assert receivers["ticket"] == {"name", "webhook_configs", "email_configs"}
    assert receivers["heartbeat"] == {"name", "webhook_configs"}


def test_no_secret_stands_in_the_configuration() -> None:
    words = re.findall(r"\b(\w*(?:password|api_url|secret|token)\w*):", CONFIG.read_text())
    assert words
    assert all(word.endswith("_file") for word in words)


def test_inhibitions_name_alerts_that_there_are() -> None:
    rules = ROOT.glob("monitoring/prometheus/rules/*.yml")
    known = re.findall(r"- alert: (\w+)", "".join(path.read_text() for path in rules))
    for rule in yaml.safe_load(CONFIG.read_text())["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            for pattern in re.findall(r'alertname=~?"([^"]*)"', matcher):
                assert set(pattern.split("|")) <= set(known)


HEARTBEAT = {"alertname": "Watchdog", "severity": "none"}
SERVING_DOWN = {"alertname": "ServingDown", "job": "serving", "severity": "page"}
INHIBITED = [  # what there is, what nobody is told of then, what people are told of all the same
    (
        SERVING_DOWN,
        {"alertname": "TargetDown", "job": "serving", "instance": "a:1"},
        {"alertname": "TargetDown", "job": "exporter", "instance": "a:1"},
    ),
    (
        SERVING_DOWN,
        {"alertname": "ErrorBudgetBurnFast", "model": "flights"},
        {"alertname": "InputDrift", "model": "flights"},
    ),
    (
        {"alertname": "TargetDown", "job": "exporter"},
        {"alertname": "MonitorNotRun", "model": "flights"},
        {"alertname": "NoTraffic", "model": "flights"},
    ),
    (
        {"alertname": "AirflowUnhealthy", "component": "scheduler"},
        {"alertname": "DagLate", "model": "flights", "dag": "flights_ingest"},
        {"alertname": "DagPaused", "model": "flights", "dag": "flights_ingest"},
    ),
    (
        {"alertname": "SourceAway", "source": "airflow"},
        {"alertname": "MonitorNotRun", "model": "flights"},
        {"alertname": "RegistryAway", "instance": "a:1"},
    ),
    (
        {"alertname": "SourceAway", "source": "airflow"},
        {"alertname": "AirflowUnhealthy", "component": "scheduler"},
        {"alertname": "SourceAway", "source": "disk"},
    ),
    (
        {"alertname": "SourceAway", "source": "mlflow"},
        {"alertname": "RegistryAway", "instance": "a:1", "job": "serving"},
        {"alertname": "DagLate", "model": "flights", "dag": "flights_ingest"},
    ),
    (
        {"alertname": "ErrorBudgetBurnFast", "model": "flights"},
        {"alertname": "ErrorBudgetBurnSlow", "model": "flights"},
        {"alertname": "ErrorBudgetBurnSlow", "model": "ships"},
    ),
    (
        {"alertname": "LatencyBudgetBurnFast", "model": "flights"},
        {"alertname": "QueueTooLong", "model": "flights"},
        {"alertname": "QueueTooLong", "model": "ships"},
    ),
    (
        {"alertname": "PredictionLogFailing", "instance": "a:1"},
        {"alertname": "RequestsTurnedAway", "model": "flights"},
        {"alertname": "DiskFilling", "volume": "home"},
    ),
    (
        {"alertname": "NoChampionServed", "model": "flights"},
        {"alertname": "ChampionLoadFailing", "model": "flights", "job": "serving"},
        {"alertname": "ChampionLoadFailing", "model": "ships", "job": "serving"},
    ),
    (
        {"alertname": "RetrainBudgetSpent", "model": "flights"},
        {"alertname": "LiveScoreWorse", "model": "flights"},
        {"alertname": "LiveScoreWorse", "model": "ships"},
    ),
    (
        {"alertname": "DiskAlmostFull", "volume": "home"},
        {"alertname": "DiskFilling", "volume": "home"},
        {"alertname": "DiskFilling", "volume": "prediction_log"},
    ),
    (
        {"alertname": "BatchQuarantined", "model": "flights"},
        {"alertname": "DagFailed", "model": "flights", "dag": "flights_ingest"},
        {"alertname": "DagFailed", "model": "flights", "dag": "flights_train"},
    ),
    (
        {"alertname": "DagPaused", "model": "flights", "dag": "flights_monitor"},
        {"alertname": "MonitorNotRun", "model": "flights"},
        {"alertname": "MonitorNotRun", "model": "ships"},
    ),
]


@needs_alertmanager
@pytest.mark.parametrize(("greater", "hidden", "shown"), INHIBITED, ids=lambda a: a["alertname"])
def test_of_what_a_greater_alert_explains_nobody_is_told(
    alertmanager: Program, greater: Labels, hidden: Labels, shown: Labels
) -> None:
    tell(alertmanager, greater, hidden, shown)
    wait_for(lambda: state_of(alertmanager, hidden) == "suppressed", f"{hidden} is suppressed")
    assert state_of(alertmanager, shown) == "active"
    assert state_of(alertmanager, greater) == "active"


@needs_alertmanager
def test_another_dag_that_is_paused_does_not_explain_that_the_monitor_is_late(
    alertmanager: Program,
) -> None:
    paused = {"alertname": "DagPaused", "model": "flights", "dag": "flights_ingest"}
    late = {"alertname": "MonitorNotRun", "model": "flights"}
    tell(alertmanager, paused, late)
    wait_for(lambda: state_of(alertmanager, late) in ("active", "suppressed"), "it is looked at")
    assert state_of(alertmanager, late) == "active"


@needs_alertmanager
def test_pages_and_tickets_go_their_ways_and_a_model_comes_as_one(
    alertmanager: Program, receiver: Page
) -> None:
    drift = {"alertname": "InputDrift", "severity": "ticket"}
    tell(
        alertmanager,
        *({**drift, "model": "flights", "column": column} for column in ("temp", "dewp", "dest")),
        {**drift, "model": "ships", "column": "temp"},
        {"alertname": "NoTraffic", "severity": "page", "model": "flights"},
        HEARTBEAT,  # by default to nobody
    )
    wait_for(lambda: len(receiver.received) >= 3, "three notifications")
    told = {
        (each["receiver"], each["groupLabels"]["alertname"], each["groupLabels"]["model"]): len(
            each["alerts"]
        )
        for each in receiver.received
    }
    assert told == {
        ("ticket", "InputDrift", "flights"): 3,
        ("ticket", "InputDrift", "ships"): 1,
        ("page", "NoTraffic", "flights"): 1,
    }


@needs_alertmanager
def test_the_heartbeat_goes_on_to_whoever_waits_for_it(
    stack: ExitStack, receiver: Page, tmp_path: Path
) -> None:
    address = f"http://{HOST}:{receiver.port}/ping"
    text = re.sub(r"url: https://\S*your-check", f"url: {address}", with_all("heartbeat"))
    tell(stack.enter_context(starting(text, tmp_path)), HEARTBEAT)
    wait_for(lambda: len(receiver.heard("Watchdog")) >= 3, "three beats")
    assert {each["receiver"] for each in receiver.received} == {"heartbeat"}


def exposition(metric: str, value: Callable[[], float], **labels: str) -> Callable[[], str]:
    """A metrics page with one series for each of two models."""
    said = "".join(f', {name}="{text}"' for name, text in labels.items())
    return lambda: "".join(
        f'{metric}{{model="{model}"{said}}} {value()}\n' for model in ("flights", "ships")
    )


@pytest.fixture
def targets(stack: ExitStack) -> dict[str, Page]:
    serving = exposition("relay_serving_served_version", lambda: 3, role="champion")
    exporter = exposition("relay_monitor_last_run_timestamp_seconds", time.time, version="3")
    pages = {"serving": Page(serving), "exporter": Page(exporter), "page": Page()}
    for page in pages.values():
        stack.callback(page.end)
    return pages


@pytest.fixture
def prometheus(
    stack: ExitStack, alertmanager: Program, targets: dict[str, Page], tmp_path: Path
) -> Program:
    config, port = tmp_path / "prometheus", free_port()
    shutil.copytree(ROOT / "monitoring/prometheus", config)
    for path in (config / "prometheus.yml", *config.glob("rules/*.yml")):
        path.write_text(quick(path.read_text()))
    limits = [
        {"record": "relay:monitor_period_seconds", "expr": "vector(3)", "labels": {"model": model}}
        for model in ("flights", "ships")
    ]
    groups = {"groups": [{"name": "limits", "rules": limits}]}
    (config / "rules/limits.yml").write_text(yaml.safe_dump(groups))
    addresses = {job: page.port for job, page in targets.items()}
    addresses |= {"prometheus": port, "alertmanager": httpx.URL(alertmanager.url).port or 0}
    for job, target in addresses.items():
        (config / f"targets/{job}.yml").write_text(f'- targets: ["{HOST}:{target}"]\n')
    command = [str(PROMETHEUS), f"--config.file={config}/prometheus.yml"]
    command += [f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address={HOST}:{port}"]
    command += ["--enable-feature=expand-external-labels"]
    url, env = f"http://{HOST}:{port}", {"RELAY_PAGE_LINK": f"http://{HOST}:8002"}
    return stack.enter_context(running(command, env, url, "/-/ready", tmp_path / "prometheus.log"))


def up(prometheus: Program) -> set[str]:
    """The jobs whose target is scraped."""
    answer = httpx.get(f"{prometheus.url}/api/v1/query", params={"query": "up == 1"}).json()
    return {sample["metric"]["job"] for sample in answer["data"]["result"]}


def both(notifications: list[dict[str, Any]]) -> dict[str, Any]:
    """The notification that is about the exporter and the page at once; empty: none yet."""
    for each in notifications:
        if {alert["labels"]["job"] for alert in each["alerts"]} == {"exporter", "page"}:
            return each
    return {}


@needs_both
def test_a_target_that_dies_is_told_once_and_told_again_when_it_is_back(
    prometheus: Program, alertmanager: Program, receiver: Page, targets: dict[str, Page]
) -> None:
    everything = {"serving", "exporter", "page", "prometheus", "alertmanager"}
    wait_for(lambda: up(prometheus) == everything, "all targets are scraped")
    query = {"query": "count(model:relay_monitor_last_run:timestamp_seconds) == 2"}
    url = f"{prometheus.url}/api/v1/query"
    wait_for(lambda: httpx.get(url, params=query).json()["data"]["result"], "both were checked")

    groups = prometheus.get("/api/v1/rules").json()["data"]["groups"]
    assert not [rule for group in groups for rule in group["rules"] if rule["health"] == "err"]

    targets["exporter"].end()
    targets["page"].end()
    try:
        for model in ("flights", "ships"):
            late = {"alertname": "MonitorNotRun", "model": model}
            hidden = partial(lambda late: state_of(alertmanager, late) == "suppressed", late)
            wait_for(hidden, f"{late} is hidden")
        told = wait_for(lambda: both(receiver.heard("TargetDown")), "somebody is told of both")
        assert told["receiver"] == "ticket"
        link = told["alerts"][0]["annotations"]["runbook_url"]
        assert link == f"http://{HOST}:8002/runbooks/TargetDown"
        assert "page_url" not in told["commonLabels"]
    finally:
        targets["exporter"].begin()
        targets["page"].begin()
    wait_for(lambda: receiver.heard("TargetDown", "resolved"), "somebody is told again")
    assert not receiver.heard("MonitorNotRun")


@needs_both
def test_when_serving_dies_there_is_one_page_and_no_ticket(
    prometheus: Program, alertmanager: Program, receiver: Page, targets: dict[str, Page]
) -> None:
    wait_for(lambda: "serving" in up(prometheus), "serving is scraped")
    targets["serving"].end()
    try:
        ticket = {"alertname": "TargetDown", "job": "serving"}
        wait_for(lambda: state_of(alertmanager, ticket) == "suppressed", "the ticket is hidden")
        told = wait_for(lambda: receiver.heard("ServingDown"), "somebody is paged")
        assert told[0]["receiver"] == "page"
    finally:
        targets["serving"].begin()
    wait_for(lambda: receiver.heard("ServingDown", "resolved"), "it is over")
    told_of = [a["labels"] for each in receiver.received for a in each["alerts"]]
    assert not [labels for labels in told_of if ticket.items() <= labels.items()]
