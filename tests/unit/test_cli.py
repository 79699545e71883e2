"""The command `relay` as a person or Airflow meets it: exit codes, one clear line at the end."""

import json
import os
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from monitoring.prediction_log import PredictionLog
from pipelines import batches, models
from tests.prediction_records import record
from tests.programs import ROOT, free_port

RELAY = "from pipelines.cli import app; app()"


def relay(
    home: Path, *arguments: str, code: Path = ROOT, **settings: str
) -> "subprocess.CompletedProcess[str]":
    """Run the command in an installation where no service runs."""
    away = f"http://127.0.0.1:{free_port()}"
    urls = {
        f"RELAY_{s}_URL": away for s in ("MLFLOW", "SERVING", "AIRFLOW", "EVIDENTLY", "TENSORBOARD")
    }
    given = {f"RELAY_{name.upper()}": value for name, value in settings.items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
    return subprocess.run(
        [sys.executable, "-c", RELAY, *arguments],
        cwd=code,
        env=kept | {"RELAY_HOME": str(home), "RELAY_PROMETHEUS_URL": away} | urls | given,
        capture_output=True,
        text=True,
        check=False,
    )


def clear(done: "subprocess.CompletedProcess[str]") -> str:
    """The one line that it ended with; a stack trace would be no such line."""
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    return line


def land(home: Path, name: str, rows: int) -> Path:
    path = home / "landing/flights" / f"{name}.csv.gz"
    batches.write(models.load("flights").feed.read_batch(name).head(rows), path)
    return path


def test_a_step_ends_with_one_line_of_json_and_says_when_nothing_is_left(tmp_path: Path) -> None:
    land(tmp_path, "2013-01", 1500)
    done = relay(tmp_path, "ingest", "--model", "flights", airflow_run="flights_ingest/one")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["step"], result["tag"], result["rows"]) == ("ingest", "flights/v1", 1500)
    again = relay(tmp_path, "ingest", "--model", "flights")
    assert again.returncode == 99
    assert "no new batch" in clear(again)


def test_a_refused_batch_says_why(tmp_path: Path) -> None:
    path = land(tmp_path, "2013-01", 10)
    done = relay(tmp_path, "ingest", "--model", "flights")
    assert done.returncode == 65
    assert "the batch holds 10 rows, at least 1000 are expected" in clear(done)
    assert not path.exists()
    assert len(list((tmp_path / "quarantine/flights").iterdir())) == 2


@pytest.mark.parametrize("batch", ["2013-02", "../2013-02"])
def test_a_batch_that_has_not_arrived(tmp_path: Path, batch: str) -> None:
    done = relay(tmp_path, "ingest", "--model", "flights", "--batch", batch)
    assert done.returncode == 65
    assert f"batch '{batch}' has not arrived" in clear(done)


@pytest.mark.parametrize(
    "command",
    [
        ["promote", "--model", "flights", "--version", "1"],
        ["explain", "some-prediction"],
        ["rollback", "flights"],
        ["canary", "flights", "--share", "0.1"],
    ],
)
def test_mlflow_is_away(tmp_path: Path, command: list[str]) -> None:
    done = relay(tmp_path, *command)
    assert done.returncode == 1
    line = clear(done)
    assert "MLflow at http://127.0.0.1:" in line
    assert "RELAY_MLFLOW_URL" in line


def test_everything_is_away_and_nothing_is_made_by_asking(tmp_path: Path) -> None:
    done = relay(tmp_path / "home", "status", data_registry="file:///there/is/none.git")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    services = ("airflow", "mlflow", "serving", "evidently", "tensorboard", "prometheus")
    for service in services:
        assert any(line.split()[:2] == [service, "AWAY"] for line in lines), service
    for shown in ("dataset", "champion", "challenger"):
        assert any(line.split()[:2] == [shown, "AWAY:"] for line in lines), shown
    assert "the monitor has not run yet" in done.stdout
    status = json.loads(relay(tmp_path / "home", "status", "--json").stdout)
    assert {name for name, each in status["services"].items() if not each["up"]} == set(services)
    assert not (tmp_path / "home").exists()


def test_serving_without_a_model_is_up(tmp_path: Path) -> None:
    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/live" else 503)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}"
        try:
            done = relay(tmp_path, "status", serving_url=url)
        finally:
            server.shutdown()
    assert f"  serving     up, no model yet   {url}" in done.stdout.splitlines()


def test_predictions_are_lines_of_json(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "prediction-log")
    log.append([record(f"é{number}", features={"temp": [None]}) for number in range(5)])
    log.append([record("unseen", role="shadow")])
    done = relay(tmp_path, "predictions", "flights", "--last", "2")
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["id"], each["features"]) for each in said] == [
        ("é3", {"temp": None}),
        ("é4", {"temp": None}),
    ]
    assert relay(tmp_path, "predictions", "birds").returncode == 99


def test_what_has_no_monitor_is_sealed_by_hand_and_a_damaged_log_stops_no_other(
    tmp_path: Path,
) -> None:
    for model in ("a", "b"):
        log = PredictionLog(tmp_path / "prediction-log")
        log.append([record("one", model=model)])
        log.close()
    (segment,) = (tmp_path / "prediction-log/a/predictions").glob("*.log")
    segment.write_bytes(b"\xff" * 64 + segment.read_bytes())
    done = relay(tmp_path, "seal", prediction_log_days="36500")
    assert done.returncode == 1
    assert str(segment) in done.stderr
    assert json.loads(done.stdout) == {"model": "b", "sealed": 1, "forgotten": 0}
    assert segment.exists()
    assert len(list((tmp_path / "prediction-log/b/predictions").glob("*.parquet"))) == 1
    assert relay(tmp_path, "seal", "b").returncode == 0


def test_check_results_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    (tmp_path / "checks").mkdir()
    (tmp_path / "checks/flights.json").write_text('{"model": "flights"')
    done = relay(tmp_path, "status")
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "checks/flights.json") in done.stdout


def test_a_misspelt_key_in_the_policy(tmp_path: Path) -> None:
    for room in ("pipelines", "monitoring"):
        shutil.copytree(ROOT / room, tmp_path / room)
    policy = tmp_path / "pipelines/flights/params.yaml"
    policy.write_text(policy.read_text().replace("holdout_days:", "holdout_day:"))
    done = relay(tmp_path / "home", "ingest", "--model", "flights", code=tmp_path)
    assert done.returncode == 65
    line = clear(done)
    assert str(policy) in line
    assert "train.holdout_day: Extra inputs" in line
    assert "train.holdout_days: Field required" in line


@pytest.mark.parametrize(
    "command", [["ingest", "--model", "birds"], ["rollback", "birds"], ["canary", "birds"]]
)
def test_a_model_that_is_not_there(tmp_path: Path, command: list[str]) -> None:
    done = relay(tmp_path, *command)
    assert done.returncode == 65
    there = ", ".join(models.names())
    assert clear(done) == f"there is no model 'birds'; there are: {there}"


def test_a_retired_model_is_waited_for_no_more(tmp_path: Path) -> None:
    newest = tmp_path / "checks" / "gone.json"
    newest.parent.mkdir()
    newest.write_text("{}")
    done = relay(tmp_path, "retire", "gone")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"step": "retire", "model": "gone"})
    assert not newest.exists()
    assert "no monitor run of 'gone'" in clear(relay(tmp_path, "retire", "gone"))
