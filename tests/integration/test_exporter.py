import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from monitoring.results import CheckResult, MonitorRun, RetrainDecision, write_run
from services.exporter.disk import DiskSource
from tests.exporter_program import HOST, dribbling, exporter, scrape, shown, silent, up
from tests.monitor_windows import END, START
from tests.programs import ROOT, Program, free_port, running, wait_for

Start = Callable[[AbstractContextManager[Program]], Program]


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
    rows=1000,
    label_lag_seconds=3600.0,
    retrain=RetrainDecision(
        requested=True, reason="worse", budget_left=2, cooldown_until=END + timedelta(days=7)
    ),
)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def program(start: Start, tmp_path: Path, port: int) -> Program:
    (tmp_path / "checks").mkdir()
    return start(exporter(tmp_path, exporter_port=str(port)))


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
    assert program.metric("relay_retrain_cooldown_left_seconds") == 7 * 86400
    assert program.metric("relay_monitor_rows") == 1000
    assert program.metric("relay_label_lag_seconds") == 3600


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


def test_results_that_cannot_be_listed_are_a_source_that_is_away(
    program: Program, tmp_path: Path
) -> None:
    assert up(program, "checks") == 1
    (tmp_path / "checks").rmdir()
    (tmp_path / "checks").touch()
    assert up(program, "checks") == 0
    assert f"Not a directory: '{tmp_path}/checks'" in program.output.read_text()


def test_a_file_whose_name_is_no_text_ends_no_scrape(program: Program, tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"checks/\xff.json")).write_text("{}")
    assert scrape(program)["relay_checks_up"] == {("?",): 0}


def test_servers_that_never_answer_or_never_end_hold_up_nobody(
    start: Start, tmp_path: Path
) -> None:
    write_run(tmp_path / "checks", RUN)
    password = tmp_path / "password"
    password.write_text("secret")
    with silent() as address, dribbling() as slow_address:
        program = start(
            exporter(
                tmp_path,
                airflow_url=f"http://{address}",
                airflow_password_file=str(password),
                mlflow_url=f"http://{slow_address}",
                data_registry=f"http://user:secret@{address}/registry.git",
                exporter_deadline_seconds="0.5",
            )
        )
        for _ in range(3):
            found = scrape(program)
            assert found["relay_exporter_source_up"] == {
                ("airflow",): 0,
                ("checks",): 1,
                ("data_registry",): 0,
                ("disk",): 1,
                ("mlflow",): 0,
            }
            assert found["relay_check_score"]
        assert not shown(program, "relay_airflow", "relay_dag", "relay_model", "relay_dataset")
        process = psutil.Process(program.process.pid)
        wait_for(lambda: process.num_threads() <= 5, "the threads that waited to end")
        assert program.stop() == 0
        wait_for(lambda: not _started_for(address), "git to end, and what helps it")
    said = program.output.read_text()
    assert "airflow is away" in said
    assert "secret" not in said


def _started_for(address: str) -> list[psutil.Process]:
    every = psutil.process_iter(["cmdline"])
    return [each for each in every if address in " ".join(each.info["cmdline"] or [])]


def test_scrapes_that_come_together_are_all_answered(program: Program, tmp_path: Path) -> None:
    write_run(tmp_path / "checks", RUN)
    with ThreadPoolExecutor(8) as several:
        answers = list(several.map(lambda _: program.metric("relay_monitor_rows"), range(64)))
    assert answers == [1000] * 64


def test_disks_and_addresses(start: Start, tmp_path: Path) -> None:
    urls = {"mlflow_url": "http://user:secret@127.0.0.1:9/", "page_link": "http://127.0.0.1:8002"}
    program = start(exporter(tmp_path, prediction_log="/dev/shm", **urls))  # noqa: S108
    found = scrape(program)
    assert found["relay_address_info"] == {
        ("mlflow", "http://127.0.0.1:9"): 1,
        ("page", "http://127.0.0.1:8002"): 1,
    }
    assert found["relay_disk_size_bytes"].keys() == {("home",), ("prediction_log",)}
    assert 0 < found["relay_disk_free_bytes"]["home",] < found["relay_disk_size_bytes"]["home",]
    assert "secret" not in program.get("/metrics").text


def test_a_disk_is_as_large_as_df_has_it_without_what_is_kept_for_root(tmp_path: Path) -> None:
    df = ["df", "--block-size=1", "--output=used,avail", str(tmp_path)]
    said = subprocess.run(df, capture_output=True, text=True, check=True).stdout.splitlines()[1]
    values = {each.gauge.name: each.value for each in DiskSource(tmp_path, tmp_path).read()}
    assert values["relay_disk_size_bytes"] == pytest.approx(sum(map(int, said.split())), rel=1e-3)


def test_a_disk_that_is_not_there_is_away(start: Start, tmp_path: Path) -> None:
    program = start(exporter(tmp_path, prediction_log="/nowhere/prediction-log"))
    assert up(program, "disk") == 0
    assert not shown(program, "relay_disk")


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
def test_prometheus_has_a_value_as_long_as_it_can_be_read(
    start: Start, program: Program, tmp_path: Path, port: int
) -> None:
    own = free_port()
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 200ms}\n"
        f"scrape_configs: [{{job_name: exporter, static_configs: [targets: ['{HOST}:{port}']]}}]\n"
    )
    url = f"http://{HOST}:{own}"
    command = ["prometheus", f"--config.file={tmp_path}/prometheus.yml"]
    command += [f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address={HOST}:{own}"]
    prometheus = start(running(command, {}, url, "/-/ready", tmp_path / "prometheus.log"))

    def known(query: str) -> list[str]:
        result = prometheus.get(f"/api/v1/query?query={query}").json()["data"]["result"]
        return [sample["value"][1] for sample in result]

    write_run(tmp_path / "checks", RUN)
    assert wait_for(lambda: known("relay_check_score"), "the score") == ["0.5"]
    (tmp_path / "checks" / "flights.json").write_text("")
    wait_for(lambda: known("relay_checks_up") == ["0"], "the run to be away")
    assert known("relay_check_score") == []
