import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from monitoring.results import CheckResult, MonitorRun, RetrainDecision, write_run
from tests.monitor_windows import END, START
from tests.programs import ROOT, Program, free_port, running, wait_for

Start = Callable[[AbstractContextManager[Program]], Program]
HOST = "127.0.0.1"


def result(check: str, column: str | None, score: float | None, verdict: str) -> CheckResult:
    return CheckResult.model_validate(
        {
            "model": "flights",
            "version": "3",
            "window_start": START,
            "window_end": END,
            "check": check,
            "column": column,
            "score": score,
            "threshold": None if score is None else 0.2,
            "verdict": verdict,
            "reason": "",
        }
    )


RUN = MonitorRun(
    model="flights",
    version="3",
    window_start=START,
    window_end=END,
    run_time=END,
    results=(result("drift", "temp", 0.5, "alert"), result("live_score", None, None, "unknown")),
    retrain=RetrainDecision(requested=True, reason="worse", budget_left=2, cooldown_until=END),
)


def exporter(home: Path, port: int) -> AbstractContextManager[Program]:
    env = {"RELAY_HOME": str(home), "RELAY_EXPORTER_PORT": str(port)}
    command = [sys.executable, "-m", "services.exporter"]
    return running(command, env, f"http://{HOST}:{port}", "/metrics", home / "exporter.log")


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def program(start: Start, tmp_path: Path, port: int) -> Program:
    return start(exporter(tmp_path, port))


def test_the_newest_run_is_what_a_scrape_sees(program: Program, tmp_path: Path) -> None:
    assert "relay_check_score{" not in program.get("/metrics").text
    write_run(tmp_path / "checks", RUN)
    drift = {"model": "flights", "version": "3", "check": "drift", "column": "temp"}
    score = {"model": "flights", "version": "3", "check": "live_score", "column": ""}
    verdicts = ("ok", "alert", "unknown")
    assert program.metric("relay_checks_up", model="flights") == 1
    assert program.metric("relay_check_score", **drift) == 0.5
    assert program.metric("relay_check_threshold", **drift) == 0.2
    for labels, expected in ((drift, [0, 1, 0]), (score, [0, 0, 1])):
        seen = [program.metric("relay_check_verdict", **labels, verdict=v) for v in verdicts]
        assert seen == expected
    assert program.get("/metrics").text.count("relay_check_score{") == 1  # unknown has no score
    assert program.metric("relay_monitor_last_run_timestamp_seconds") == END.timestamp()
    assert program.metric("relay_monitor_window_end_timestamp_seconds") == END.timestamp()
    assert program.metric("relay_retrain_requested") == 1
    assert program.metric("relay_retrain_budget_left") == 2


def test_a_copy_under_another_name_is_not_counted_twice(program: Program, tmp_path: Path) -> None:
    write_run(tmp_path / "checks", RUN)
    shutil.copy(tmp_path / "checks" / "flights.json", tmp_path / "checks" / "flights.old.json")
    assert program.metric("relay_checks_up", model="flights.old") == 0
    assert program.metric("relay_checks_up", model="flights") == 1
    assert program.get("/metrics").text.count("relay_check_score{") == 1


@pytest.mark.parametrize("content", ["", "{", "{}", json.dumps({"model": "flights"})])
def test_what_cannot_be_read_is_down_and_nothing_stale(
    program: Program, tmp_path: Path, content: str
) -> None:
    write_run(tmp_path / "checks", RUN)
    write_run(tmp_path / "checks", RUN.model_copy(update={"model": "surnames"}))
    (tmp_path / "checks" / "flights.json").write_text(content)
    text = program.get("/metrics").text
    assert 'relay_checks_up{model="flights"} 0.0' in text
    assert 'relay_checks_up{model="surnames"} 1.0' in text
    others = [line for line in text.splitlines() if line.startswith("relay_monitor")]
    assert others
    assert all('model="surnames"' in line for line in others)


def test_it_stops_when_told_and_gives_its_port_back(program: Program) -> None:
    assert program.stop() == 0


def test_a_port_that_is_taken_is_a_sentence(program: Program, port: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "services.exporter"],
        cwd=ROOT,
        env={**os.environ, "RELAY_EXPORTER_PORT": str(port)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"cannot listen on {HOST}:{port}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not shutil.which("prometheus"), reason="no prometheus on this machine")
def test_prometheus_scrapes_it_and_the_alert_fires(
    start: Start, program: Program, tmp_path: Path, port: int
) -> None:
    write_run(tmp_path / "checks", RUN)
    config = tmp_path / "prometheus"
    shutil.copytree(ROOT / "monitoring" / "prometheus", config)
    own = free_port()
    for job, target in {"exporter": port, "prometheus": own, "serving": free_port()}.items():
        (config / "targets" / f"{job}.yml").write_text(f'- targets: ["{HOST}:{target}"]\n')
    url = f"http://{HOST}:{own}"
    command = ["prometheus", f"--config.file={config}/prometheus.yml"]
    command += [f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address={HOST}:{own}"]
    start(running(command, {}, url, "/-/ready", tmp_path / "prometheus.log"))

    def firing() -> set[str]:
        alerts = httpx.get(f"{url}/api/v1/alerts").json()["data"]["alerts"]
        return {a["labels"]["alertname"] for a in alerts if a["state"] == "firing"}

    assert wait_for(firing, "an alert") == {"CheckAlert", "MonitorNotRun"}  # END is long ago
    answer = httpx.get(f"{url}/api/v1/query", params={"query": "relay_check_score"}).json()
    assert [sample["value"][1] for sample in answer["data"]["result"]] == ["0.5"]
