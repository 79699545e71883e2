"""The page as a process, with a real Prometheus: what it answers, keeps and refuses."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitoring.results import CheckResult, MonitorRun, write_run
from tests.programs import Program, free_port, running, wait_for

Start = Callable[[AbstractContextManager[Program]], Program]
HOST = "127.0.0.1"
NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
RULES = """
groups:
  - name: test
    interval: 1s
    rules:
      - {record: relay:monitor_period_seconds, expr: vector(300), labels: {model: flights}}
      - {record: relay_served, expr: vector(4), labels: {model: "<b>bold</b>"}}
      - alert: AlwaysFiring
        expr: vector(1)
        labels: {severity: page, model: "<i>odd</i>"}
        annotations: {summary: "it <em>fires</em>"}
      - {alert: Heartbeat, expr: vector(1), labels: {severity: none}}
"""
WELL = [  # what a platform tells whose loop is healthy, and of what
    ("relay:monitor_period_seconds", "model: flights", "300"),
    ("relay_dataset_version", "dataset: flights", "3"),
    ("relay_dataset_created_timestamp_seconds", "dataset: flights", "time() - 60"),
    ("relay_training_last_run_timestamp_seconds", "model: flights", "time() - 60"),
    *(
        (name, f"model: {model}, {label}: champion", "4")
        for model in ("flights", "flights-sampler", "gone")  # a companion, one that was let go of
        for name, label in (
            ("relay_model_version", "alias"),
            ("relay_serving_served_version", "role"),
        )
    ),
    ("relay_serving_wanted_version", "model: flights, role: champion", "4"),
    ("relay_monitor_last_run_timestamp_seconds", "model: flights", "time() - 60"),
    ("relay_check_verdict", "model: flights, verdict: ok", "1"),
    ("relay_retrain_requested", "model: flights", "0"),
    ("relay_retrain_budget_left", "model: flights", "2"),
    *(
        ("relay_dag_last_run_state", f"dag: flights_{step}, state: success", "1")
        for step in ("ingest", "train", "monitor")
    ),
]
NOT_BEGUN_WITH = [  # a policy of digits; whoever could know it says that there is nothing more
    ("relay:monitor_period_seconds", "model: digits", "300"),
    ("relay_dag_last_run_state", "dag: digits_monitor, state: running", "1"),
    *(
        ("relay_exporter_source_up", f"source: {source}", "1")
        for source in ("checks", "data_registry", "mlflow")
    ),
]
QUIET = "{alert: Quiet, expr: vector(1) > 2}"
needs_prometheus = pytest.mark.skipif(
    not shutil.which("prometheus"), reason="no prometheus on this machine"
)


def page(home: Path, **settings: str) -> AbstractContextManager[Program]:
    port = settings.pop("page_port", str(free_port()))
    env = {
        "RELAY_HOME": str(home),
        "RELAY_PAGE_PORT": port,
        "RELAY_PROMETHEUS_URL": f"http://{HOST}:9",  # nobody listens there
        "RELAY_MLFLOW_URL": f"http://{HOST}:9",
        **{f"RELAY_{name.upper()}": value for name, value in settings.items()},
    }
    command = [sys.executable, "-m", "services.page"]
    return running(command, env, f"http://{HOST}:{port}", "/live", home / "page.log")


def prometheus(home: Path, rules: str, targets: tuple[str, ...] = ()) -> Any:
    port = free_port()
    (home / "rules.yml").write_text(rules)
    config: dict[str, Any] = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [
            {
                "job_name": "test",
                "static_configs": [{"targets": [f"{HOST}:{port}", *targets]}],
            }
        ],
    }
    (home / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    command = ["prometheus", f"--config.file={home}/prometheus.yml"]
    command += [f"--storage.tsdb.path={home}/tsdb", f"--web.listen-address={HOST}:{port}"]
    return running(command, {}, f"http://{HOST}:{port}", "/-/ready", home / "prometheus.log")


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A Prometheus that scrapes itself and in which one alert fires."""
    with prometheus(tmp_path_factory.mktemp("prometheus"), RULES) as program:
        wait_for(lambda: "AlwaysFiring" in ask(program, "ALERTS").text, "an alert")
        wait_for(lambda: "test" in ask(program, "up").text, "a scrape")
        yield program


def ask(program: Program, query: str, prefix: str = "/api/v1/query") -> httpx.Response:
    return httpx.get(program.url + prefix, params={"query": query}, timeout=10)


@pytest.fixture
def alone(start: Start, tmp_path: Path) -> Program:
    """A page whose Prometheus is away."""
    return start(page(tmp_path))


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The same for all tests that leave nothing behind."""
    with page(tmp_path_factory.mktemp("page")) as program:
        yield program


def payload(name: str = "TargetDown", **changed: Any) -> dict[str, Any]:
    alert = {
        "status": "firing",
        "labels": {"alertname": name, "severity": "page", "model": "flights"},
        "annotations": {"summary": "<script>alert(1)</script>"},
        "startsAt": "2026-03-01T10:00:00.123456789Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "a1",
    }
    return {
        "version": "4",
        "groupKey": "{}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "page",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": [alert],
    } | changed


def tell(program: Program, body: object, **options: Any) -> httpx.Response:
    return httpx.post(program.url + "/v1/alerts", json=body, timeout=10, **options)


def test_nobody_knows_while_prometheus_is_away(shared: Program) -> None:
    answer = shared.get("/")
    assert answer.status_code == 200
    assert "Nobody knows whether the loop is healthy" in answer.text
    assert "does not answer" in answer.text
    assert "The loop is healthy" not in answer.text
    assert shared.get("/ready").status_code == 200


@needs_prometheus
def test_what_fires_stands_on_the_first_page(start: Start, tmp_path: Path, judge: Program) -> None:
    program = start(page(tmp_path, prometheus_url=judge.url))
    text = program.get("/").text
    assert "The loop needs attention" in text
    assert "AlwaysFiring" in text
    assert "Heartbeat" not in text
    assert "it &lt;em&gt;fires&lt;/em&gt;" in text
    assert "<em>" not in text
    assert "One lap of flights" in text


@needs_prometheus
def test_a_loop_that_is_healthy_is_called_so(start: Start, tmp_path: Path) -> None:
    records = [
        f"{{record: '{name}', expr: vector({value}), labels: {{{labels}}}}}"
        for name, labels, value in (*WELL, *NOT_BEGUN_WITH)
    ]
    rules = "".join(f"\n      - {rule}" for rule in [*records, QUIET])
    judge = start(prometheus(tmp_path, f"groups:\n  - name: well\n    rules:{rules}"))
    program = start(page(tmp_path, prometheus_url=judge.url))
    wait_for(lambda: "The loop is healthy" in program.get("/").text, "a healthy loop")
    text = program.get("/").text
    assert "look here" not in text
    assert ">unknown<" not in text
    assert text.count("One lap of") == 1
    assert text.index("digits is not started") > text.index("One lap of flights")


@needs_prometheus
def test_a_loop_of_which_no_model_is_started_is_not_known_to_be_healthy(
    start: Start, tmp_path: Path
) -> None:
    records = [
        f"{{record: '{name}', expr: vector({value}), labels: {{{labels}}}}}"
        for name, labels, value in NOT_BEGUN_WITH
    ]
    rules = "".join(f"\n      - {rule}" for rule in [*records, QUIET])
    judge = start(prometheus(tmp_path, f"groups:\n  - name: new\n    rules:{rules}"))
    program = start(page(tmp_path, prometheus_url=judge.url))
    wait_for(lambda: "No model has been started yet" in program.get("/").text, "the rules")
    assert "Nobody knows whether the loop is healthy" in program.get("/").text


@needs_prometheus
@pytest.mark.parametrize("name", ["relay:monitor_period_seconds", "relay_checks_up"])
def test_a_model_of_a_policy_or_with_checks_has_a_lap(
    start: Start, tmp_path: Path, name: str
) -> None:
    record = f"{{record: '{name}', expr: vector(1), labels: {{model: young}}}}"
    rules = f"groups: [{{name: a, rules: [{record}]}}]"
    judge = start(prometheus(tmp_path, rules))
    program = start(page(tmp_path, prometheus_url=judge.url))
    wait_for(lambda: "One lap of young" in program.get("/").text, "a lap")
    assert "young: not known: Data" in program.get("/").text


@needs_prometheus
def test_a_prometheus_without_rules_is_no_sign_of_health(start: Start, tmp_path: Path) -> None:
    empty = start(prometheus(tmp_path, "groups: []"))
    text = start(page(tmp_path, prometheus_url=empty.url)).get("/").text
    assert "Nobody knows whether the loop is healthy" in text
    assert "no alert rules" in text
    assert "No model is known" in text


def test_newest_checks_are_told_without_prometheus(alone: Program, tmp_path: Path) -> None:
    write_monitor_run(tmp_path)
    (tmp_path / "checks" / "broken.json").write_text("{")
    text = alone.get("/").text
    assert "much warmer than before" in text
    assert "0 of 1 checks are ok" in text
    assert "broken.json" in text


def write_monitor_run(home: Path, report: str | None = None) -> None:
    drift = CheckResult(
        model="flights",
        version="4",
        window_start=NOW,
        window_end=NOW,
        check="drift",
        column="temp",
        score=0.5,
        threshold=0.2,
        verdict="alert",
        reason="much warmer than before",
    )
    run = MonitorRun(
        model="flights",
        version="4",
        window_start=NOW,
        window_end=NOW,
        run_time=NOW,
        results=(drift,),
        report_url=report,
    )
    write_run(home / "checks", run)


def test_every_answer_keeps_the_browser_strict(shared: Program) -> None:
    for path in ("/", "/alerts", "/runbooks", "/nowhere", "/static/page.css", "/metrics", "/live"):
        headers = shared.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self';"), path
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_another_sites_name_led_here_is_refused(shared: Program) -> None:
    assert httpx.get(shared.url, headers={"host": "evil.example"}).status_code == 400
    port = shared.url.rpartition(":")[2]
    assert httpx.get(shared.url, headers={"host": f"localhost:{port}"}).status_code == 200


def test_no_path_leads_out(shared: Program) -> None:
    paths = (
        "/static/../settings.py",
        "/static/%2e%2e/settings.py",
        "/static/..%2fsettings.py",
        "/runbooks/..%2f..%2fREADME",
        "/d/..%2f..%2fetc",
        "/api/dashboards/..%2fx",
        "/go/report/..%2fsecret",
        "/go/report/%2e%2e",
        "/nowhere",
    )
    request = httpx.Request("GET", shared.url)
    with httpx.Client() as client:
        for path in paths:
            request.url = httpx.URL(shared.url).copy_with(raw_path=path.encode())
            assert client.send(request).status_code == 404, path


def test_every_dashboard_of_the_folder_has_a_page(start: Start, tmp_path: Path) -> None:
    content = {"uid": "mine", "title": "<Mine>", "panels": [text_panel("**bold** <b>not</b>")]}
    (tmp_path / "mine.json").write_text(json.dumps(content))
    program = start(page(tmp_path, dashboards=str(tmp_path)))
    assert "&lt;Mine&gt;" in program.get("/d/mine").text
    (panel,) = program.get("/api/dashboards/mine").json()["panels"]
    html = "<p><strong>bold</strong> &lt;b&gt;not&lt;/b&gt;</p>\n"
    assert panel["options"]["html"] == html
    assert program.get("/d/other").status_code == 404


def text_panel(content: str) -> dict[str, Any]:
    return {"type": "text", "options": {"mode": "markdown", "content": content}}


@needs_prometheus
def test_prometheus_is_asked_through_the_page(start: Start, tmp_path: Path, judge: Program) -> None:
    program = start(page(tmp_path, prometheus_url=judge.url))
    api = "/api/prometheus/api/v1"
    now = datetime.now(UTC).timestamp()
    span = f"query=up&start={now - 60}&end={now}&step=5"
    assert ask(program, "up", f"{api}/query").json()["data"]["result"]
    assert program.get(f"{api}/query_range?{span}").json()["data"]["resultType"] == "matrix"
    assert "job" in program.get(f"{api}/labels").json()["data"]
    assert program.get(f"{api}/label/job/values").json()["data"] == ["test"]
    assert program.get(f"{api}/series?match[]=up").json()["data"]
    wrong = ask(program, "sum((", f"{api}/query")
    assert wrong.status_code == 400
    assert "parse error" in wrong.json()["error"]


@needs_prometheus
def test_only_reading_goes_through(start: Start, tmp_path: Path, judge: Program) -> None:
    program = start(page(tmp_path, prometheus_url=judge.url))
    api = f"{program.url}/api/prometheus/api/v1"
    for path in ("admin/tsdb/snapshot", "status/config", "targets", "label/a%2Fb/values", "../-/x"):
        assert httpx.get(f"{api}/{path}").status_code == 404, path
    for method in ("POST", "PUT", "DELETE"):
        assert httpx.request(method, f"{api}/query?query=up").status_code == 405


@needs_prometheus
def test_an_answer_that_is_too_large_is_refused(
    start: Start, tmp_path: Path, judge: Program
) -> None:
    program = start(page(tmp_path, prometheus_url=judge.url, page_max_answer_bytes="2000"))
    answer = ask(program, '{__name__=~".+"}', "/api/prometheus/api/v1/query")
    assert answer.status_code == 502
    assert "larger than 2000 bytes" in answer.json()["error"]


def test_a_prometheus_that_is_away_is_said(shared: Program) -> None:
    answer = ask(shared, "up", "/api/prometheus/api/v1/query")
    assert answer.status_code == 502
    assert answer.json()["status"] == "error"


def test_a_told_alert_is_in_the_trail_and_survives_kill_9(
    start: Start, tmp_path: Path, alone: Program
) -> None:
    assert "Nobody has told anything yet" in alone.get("/alerts").text
    answer = tell(alone, payload())
    assert (answer.status_code, answer.json()) == (200, {"kept": 1})
    alone.kill()
    text = start(page(tmp_path)).get("/alerts").text
    assert '<a href="/runbooks/TargetDown">TargetDown</a>' in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script>alert" not in text


def test_every_200_survives_kill_9_in_the_midst_of_many(start: Start, tmp_path: Path) -> None:
    program = start(page(tmp_path))
    told = []
    with httpx.Client() as client:
        for number in range(200):
            if number == 150:
                program.process.kill()
            try:
                answer = client.post(program.url + "/v1/alerts", json=payload(f"N{number}"))
            except httpx.TransportError:
                break
            assert answer.status_code == 200
            told.append(f"N{number}")
    assert len(told) >= 150
    lines = (tmp_path / "alerts" / "alerts.jsonl").read_text()
    assert not [name for name in told if f'"{name}"' not in lines]


def test_the_trail_can_be_filtered(alone: Program) -> None:
    tell(alone, payload("One"))
    tell(alone, payload("Two"))
    assert 'href="/runbooks/One"' not in alone.get("/alerts").text  # there is none
    assert "Two" not in alone.get("/alerts?name=One").text
    assert "One" not in alone.get("/alerts?name=Two").text
    assert "One" in alone.get("/alerts?severity=page").text
    assert "Nothing fits" in alone.get("/alerts?model=%3Cb%3E").text
    assert "<b>" not in alone.get("/alerts?model=%3Cb%3E").text


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"version": "3"}, "version"),
        ({"alerts": []}, "alerts"),
        ({"alerts": [{"status": "firing", "labels": {}}]}, "alerts.0.labels"),
        ({"alerts": [payload()["alerts"][0] | {"status": "odd"}]}, "alerts.0.status"),
        ({"alerts": [payload()["alerts"][0] | {"startsAt": "today"}]}, "alerts.0.startsAt"),
        ({"receiver": None}, "receiver"),
    ],
)
def test_a_wrong_payload_is_refused_by_its_field(
    shared: Program, changed: dict[str, Any], field: str
) -> None:
    before = shared.metric("relay_page_notifications_total", outcome="refused")
    answer = tell(shared, payload(**changed))
    assert answer.status_code == 400
    assert answer.json()["field"] == field
    assert shared.metric("relay_page_notifications_total", outcome="refused") == before + 1
    assert "Nobody has told anything yet" in shared.get("/alerts").text


def test_what_is_no_json_or_too_large_is_refused(start: Start, tmp_path: Path) -> None:
    program = start(page(tmp_path, page_max_notification_bytes="5000"))
    json_type = {"content-type": "application/json"}
    url = program.url + "/v1/alerts"
    assert httpx.post(url, content=b"{", headers=json_type).status_code == 400
    assert httpx.post(url, content=b"[]", headers=json_type).status_code == 400
    assert httpx.post(url, content=b"x" * 5001, headers=json_type).status_code == 413
    chunks = (b"x" * 100 for _ in range(60))
    assert httpx.post(url, content=chunks, headers=json_type).status_code == 413
    form = httpx.post(url, data={"version": "4"})  # as another site's page could send it
    assert form.status_code == 415
    assert tell(program, payload()).status_code == 200


def test_a_trail_that_cannot_be_written_asks_to_send_again(start: Start, tmp_path: Path) -> None:
    program = start(page(tmp_path))
    (tmp_path / "alerts").write_text("a file where the folder should be")
    assert tell(program, payload()).status_code == 503
    assert program.get("/ready").status_code == 503
    (tmp_path / "alerts").unlink()
    assert tell(program, payload()).status_code == 200
    assert program.metric("relay_page_notifications_total", outcome="failed") == 1
    assert program.metric("relay_page_notifications_total", outcome="kept") == 1


@pytest.mark.parametrize(
    "report",
    [
        "http://127.0.0.1:8001/projects/p/reports/r",
        "http://elsewhere.example/projects/p/reports/r",
        "//elsewhere.example//projects/p/reports/r",
    ],
)
def test_a_report_is_always_at_our_evidently(start: Start, tmp_path: Path, report: str) -> None:
    write_monitor_run(tmp_path, report)
    program = start(page(tmp_path, evidently_url="http://evidently.test"))
    answer = program.get("/go/report/flights")
    assert answer.status_code == 307
    assert answer.headers["location"] == "http://evidently.test/projects/p/reports/r"


def test_the_first_page_leads_to_the_list_of_reports(start: Start, tmp_path: Path) -> None:
    program = start(page(tmp_path, evidently_url="http://evidently.test"))
    listed = 'href="http://evidently.test/projects/p1/reports"'
    assert 'href="http://evidently.test"' in program.get("/").text
    write_monitor_run(tmp_path, "http://127.0.0.1:8001/projects/p1/reports/r")
    text = program.get("/").text
    assert text.count(listed) == 2  # beside the model's checks, and where all tools stand
    flights = (tmp_path / "checks" / "flights.json").read_text()
    other = flights.replace("flights", "other").replace("p1", "p2")
    (tmp_path / "checks" / "other.json").write_text(other)
    text = program.get("/").text
    assert text.count(listed) == 1
    assert text.count(listed.replace("p1", "p2")) == 1
    assert 'href="http://evidently.test"' in text


def test_a_report_that_is_not_there_is_said(alone: Program, tmp_path: Path) -> None:
    assert "has not run yet" in alone.get("/go/report/flights").text
    write_monitor_run(tmp_path)
    assert "no report" in alone.get("/go/report/flights").text
    (tmp_path / "checks" / "flights.json").write_text("{")
    assert alone.get("/go/report/flights").status_code == 503


def test_a_version_leads_to_its_run(start: Start, tmp_path: Path, registry: str) -> None:
    program = start(page(tmp_path, mlflow_url=registry))
    answer = program.get("/go/run/flights/1")
    assert answer.status_code == 307
    assert answer.headers["location"].startswith(f"{registry}/#/experiments/")
    assert "/runs/" in answer.headers["location"]
    assert program.get("/go/run/flights/99").status_code == 404
    assert program.get("/go/run/nobody/1").status_code == 404
    assert program.get("/go/run/flights/x").status_code == 404


def test_a_registry_that_is_away_is_said(shared: Program) -> None:
    assert shared.get("/go/run/flights/1").status_code == 502


def test_it_counts_by_route_and_stays_small(alone: Program) -> None:
    for path in ("/d/a", "/d/b", "/made/up", "/alerts"):
        alone.get(path)
    assert alone.metric("relay_page_requests_total", route="/d/{uid}", code="404") == 2
    assert alone.metric("relay_page_requests_total", route="other", code="404") == 1
    assert "made" not in alone.get("/metrics").text
    assert alone.metric("process_resident_memory_bytes") < 100e6


def test_it_stops_when_told_and_says_what_setting_is_wrong(alone: Program) -> None:
    assert alone.stop() == 0
    env = {**os.environ, "RELAY_MLFLOW_URL": "http://me:secret@mlflow"}
    command = [sys.executable, "-m", "services.page"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("RELAY_MLFLOW_URL: ")
    assert "secret" not in done.stderr


@pytest.mark.skipif(
    not shutil.which("prometheus-alertmanager"), reason="no alertmanager on this machine"
)
def test_what_alertmanager_sends_is_kept(start: Start, tmp_path: Path) -> None:
    program = start(page(tmp_path))
    teller = start(alertmanager(tmp_path, program.url + "/v1/alerts"))
    alert = {"labels": {"alertname": "Planted", "severity": "ticket"}, "annotations": {}}
    httpx.post(teller.url + "/api/v2/alerts", json=[alert], timeout=10).raise_for_status()
    wait_for(lambda: "Planted" in program.get("/alerts?status=firing").text, "the alert")
    ended = alert | {"endsAt": datetime.now(UTC).isoformat()}
    httpx.post(teller.url + "/api/v2/alerts", json=[ended], timeout=10).raise_for_status()
    wait_for(lambda: "Planted" in program.get("/alerts?status=resolved").text, "its end")
    assert program.metric("relay_page_notifications_total", outcome="refused") == 0


def alertmanager(home: Path, url: str) -> AbstractContextManager[Program]:
    port = free_port()
    config = {
        "route": {"receiver": "page", "group_wait": "1ms", "group_interval": "500ms"},
        "receivers": [{"name": "page", "webhook_configs": [{"url": url}]}],
    }
    (home / "alertmanager.yml").write_text(json.dumps(config))  # JSON is YAML
    command = ["prometheus-alertmanager", f"--config.file={home}/alertmanager.yml"]
    command += [f"--storage.path={home}/am", "--cluster.listen-address="]
    command += [f"--web.listen-address={HOST}:{port}"]
    return running(command, {}, f"http://{HOST}:{port}", "/-/ready", home / "am.log")
