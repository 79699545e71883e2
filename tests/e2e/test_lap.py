"""The lap's claims, asked from outside: Airflow's, MLflow's, Prometheus' APIs, the prediction log.

The platform that answers was started again on the home that `make demo ONCE=1` left.
"""

import json
import re
import shutil
import subprocess
from collections import Counter
from functools import partial
from typing import Any

import httpx
import pandas as pd
import pytest

from monitoring.prediction_log.reading import read_labels, scan_predictions
from monitoring.results import read_history
from pipelines import batches, models
from pipelines.training_record import TRACE
from services.embedded.lap import A_DAY
from services.embedded.settings import ROOT
from services.simulator.plan import Plan
from services.simulator.traffic import sampled
from tests.e2e.conftest import Demo, Loop
from tests.outside import MODEL
from tests.programs import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


# What the demo says ---------------------------------------------------------------------------


def test_every_stage_does_what_it_should_and_is_told(demo: Demo) -> None:
    assert demo.exit_code == 0, demo.told
    assert "Traceback" not in demo.told
    for stage in (
        r"deliver (2013-01)",
        r"ingest (2013-01)",
        r"train on new data",
        r"serve version",
    ):
        assert demo.stages(stage), f"{stage} is not in\n{demo.told}"
    assert demo.stages(r"retrain, as the monitor asked .* (version 2) is champion")
    assert [version for (version,) in demo.stages(r"serve version (\d+)")] == ["1", "2"]


def test_the_summary_says_what_a_person_wants_to_know(demo: Demo) -> None:
    summary = demo.told[demo.told.index("the loop of flights") :]
    for row in (r"flights/v1 .* [0-9a-f]{12}", r"1 +flights/v2 +data", r"2 @champion +.* retrain"):
        assert re.search(row, summary), f"{row} is not in\n{summary}"
    assert re.search(r"against its baselines.*logistic regression", summary)
    assert re.search(r"Champion now: version 2\. Why: live_score", summary)
    assert re.search(r"airflow +http://127\.0\.0\.1:\d+ +login admin, password \S{12,}", summary)


def test_the_live_log_loss_is_beyond_its_limit_before_the_retrain_and_not_after(demo: Demo) -> None:
    history = read_history(demo.settings.home / "checks", MODEL)  # also of scheduled runs
    (asking,) = (run for run in history if run.retrain and run.retrain.requested)
    for run, version, verdict in ((asking, "1", "alert"), (history[-1], "2", "ok")):
        (live,) = (result for result in run.results if result.check == "live_score")
        assert (run.version, live.verdict) == (version, verdict)
    assert f"live log loss {live.score:.3f} (limit {live.threshold:.3f})" in demo.told


# What Airflow says ----------------------------------------------------------------------------


def test_airflow_ran_each_dag_to_a_good_end(demo: Demo, loop: Loop) -> None:
    for dag, stage in (("ingest", r"ingest (\S+)"), ("monitor", r"monitor (\S+)")):
        clicked = [r for r in loop.airflow.runs(f"{MODEL}_{dag}") if r["run_type"] == "manual"]
        assert len(clicked) == len(demo.stages(stage))
        assert {run["state"] for run in clicked} == {"success"}
    trained = loop.airflow.runs(f"{MODEL}_train")
    assert {run["run_type"] for run in trained} == {"asset_triggered"}
    assert {run["state"] for run in trained} == {"success"}


def test_the_champion_was_trained_because_the_monitor_asked(loop: Loop) -> None:
    tags = loop.version(loop.aliases()["champion"])["tags"]
    dag, run = tags["relay.airflow_run"].split("/")
    assert loop.run(dag, run)["run_type"] == "asset_triggered"
    (event,) = [e for e in loop.airflow.events(dag, run) if e["name"] == f"{MODEL}_retrain"]
    assert event["extra"]["reason"] == tags["relay.reason"]
    assert "live_score" in tags["relay.reason"]
    assert event["source_dag_id"] == f"{MODEL}_monitor"
    asked = loop.airflow.tasks(event["source_dag_id"], event["source_run_id"])
    assert {name: task["state"] for name, task in asked.items()} == {
        "monitor": "success",
        "retrain": "success",
    }


def test_the_dags_have_forms(loop: Loop) -> None:
    assert loop.airflow.form(f"{MODEL}_ingest")["batch"]["title"] == "Batch"
    form = loop.airflow.form(f"{MODEL}_train")
    assert set(form) == {"months", "epochs", "learning_rate", "seed", "study"}
    assert (form["epochs"]["type"], form["epochs"]["minimum"]) == ("integer", 1)


# What MLflow says -----------------------------------------------------------------------------


def test_each_version_tells_where_it_is_from_and_why_it_is_where_it_is(loop: Loop) -> None:
    versions = loop.versions()
    assert set(versions) == {"1", "2"}
    assert loop.aliases() == {"champion": "2"}
    datasets = {each["tag"]: each for each in status(loop)["datasets"]}
    for number, version in versions.items():
        tags = version["tags"]
        dataset = datasets[tags["relay.dataset"]]
        assert tags["relay.dataset_md5"] == dataset["md5"]
        assert tags["relay.dataset_revision"] == dataset["revision"]
        commit = tags["relay.code_commit"].removesuffix("+dirty")
        subprocess.run(["git", "-C", str(ROOT), "cat-file", "-e", commit], check=True)
        assert tags["relay.gate"] == "yes"
        assert "log loss" in tags["relay.gate.reasons"]
        assert "NO:" not in tags["relay.gate.reasons"]
        assert tags["relay.predecessor"] == {"1": "", "2": "1"}[number]
    assert versions["1"]["tags"]["relay.trigger"] == "data"
    assert versions["2"]["tags"]["relay.trigger"] == "retrain"


@pytest.mark.parametrize("number", ["1", "2"])
def test_a_run_keeps_everything_that_made_it(loop: Loop, number: str) -> None:
    version = loop.version(number)
    run = loop.mlflow("runs/get", run_id=version["run_id"])["run"]
    assert run["info"]["status"] == "FINISHED"
    params = {each["key"]: each["value"] for each in run["data"]["params"]}
    assert {"seed", "epochs", "learning_rate", "history_days", "environment.torch"} <= set(params)
    for curve in ("train_log_loss", "validation_log_loss"):
        query = {"run_id": version["run_id"], "metric_key": curve}
        points = loop.mlflow("metrics/get-history", **query)["metrics"]
        assert [point["step"] for point in points] == list(range(1, len(points) + 1))
        assert len(points) > 1
    (given,) = run["inputs"]["dataset_inputs"]
    md5 = version["tags"]["relay.dataset_md5"]
    assert given["dataset"]["digest"] == md5.removesuffix(".dir")
    kept = {file["path"] for file in artifacts(loop, version["run_id"])}
    assert kept >= {
        "calibration.png",
        "policy.json",
        "reference.parquet",
        "requirements.txt",
        TRACE,
    }


@pytest.mark.parametrize("number", ["1", "2"])
def test_the_network_beats_the_logistic_regression(loop: Loop, number: str) -> None:
    run_id = loop.version(number)["run_id"]
    table = fetch(loop, run_id, "scores.json")
    column = table["columns"].index("log_loss")
    losses = {row[table["columns"].index("model")]: row[column] for row in table["data"]}
    assert set(losses) == {"network", "base_rate", "logistic_regression", "gradient_boosting"}
    assert losses["network"] < losses["logistic_regression"]
    assert losses["network"] < losses["base_rate"]
    slices = fetch(loop, run_id, "slices.json")
    by = {row[slices["columns"].index("column")] for row in slices["data"]}
    assert by == {"carrier", "origin", "month"}


# What the prediction log, serving and the monitor say -----------------------------------------


@pytest.fixture(scope="module")
def asked(demo: Demo) -> pd.DataFrame:
    """What the simulator must have asked, drawn from the feed anew; the truth is its `label`."""
    months = [month for (month,) in demo.stages(r"traffic of (\S+)")]
    model, plan = models.load(MODEL), Plan(MODEL, a_day=float(A_DAY))
    return pd.concat([sampled(model, plan, model.feed.read_batch(month)) for month in months])


def test_every_answered_prediction_is_in_the_log_once(
    demo: Demo, loop: Loop, asked: pd.DataFrame
) -> None:
    answered = demo.stages(r"traffic of \S+ .* ([\d,]+) answers")
    assert sum(int(count.replace(",", "")) for (count,) in answered) == len(asked)
    log = loop.settings.home / "prediction-log"
    rows = [
        row
        for batch in scan_predictions(log, MODEL, columns=["id", "role"])
        for row in batch.to_pylist()
    ]
    times = Counter(row["id"] for row in rows if row["role"] == "champion")
    assert {times[name] for name in asked["flight_id"]} == {1}


def test_every_flight_that_landed_has_its_label(loop: Loop, asked: pd.DataFrame) -> None:
    labels = read_labels(loop.settings.home / "prediction-log", MODEL).set_index("id")["label"]
    landed = asked.dropna(subset=["label"]).set_index("flight_id")["label"]
    assert labels.reindex(landed.index).tolist() == landed.tolist()
    cancelled = set(asked["flight_id"]) - set(landed.index)
    assert cancelled
    assert not cancelled & set(labels.index)


@pytest.mark.skipif(not shutil.which("prometheus"), reason="Prometheus is not installed")
def test_prometheus_keeps_what_the_monitor_and_serving_say(loop: Loop) -> None:
    verdicts = wait_for(lambda: loop.prometheus("relay_check_verdict == 1"), "the verdicts")
    named = {(each["metric"]["check"], each["metric"]["verdict"]) for each in verdicts}
    assert ("live_score", "ok") in named
    assert {check for check, _ in named} >= {"drift", "prediction_drift", "live_score"}
    # a scheduled run that is deciding has no decision to show: the series comes back with it
    for metric in ("relay_check_score", "relay_check_threshold", "relay_retrain_budget_left"):
        wait_for(partial(loop.prometheus, f'{metric}{{model="{MODEL}"}}'), metric)
    served = loop.prometheus('relay_serving_served_version{role="champion"}')
    assert [each["value"][1] for each in served] == [loop.aliases()["champion"]]
    counted = f'relay_serving_predictions_total{{model="{MODEL}",role="champion"}} > 0'
    wait_for(lambda: loop.prometheus(counted), "Prometheus to hear of an answer")


def test_evidently_shows_every_report(demo: Demo, loop: Loop) -> None:
    """One that was saved while the UI started, too: the first question makes it read them."""
    (project,) = loop.get("evidently", "/api/projects").json()
    assert project["name"] == MODEL
    runs = read_history(loop.settings.home / "checks", MODEL)
    assert len(runs) >= len(demo.stages(r"monitor (\S+)"))
    saved = {run.report_url.rpartition("/")[2] for run in runs if run.report_url}
    assert len(saved) >= len(runs) - 1  # a scheduled run may be drawing its own just now

    def shown() -> set[str]:
        reports = loop.get("evidently", f"/api/projects/{project['id']}/reports").json()
        return {report["id"] for report in reports}

    wait_for(lambda: saved <= shown(), "all reports to be listed", seconds=30)


# What `relay` says ----------------------------------------------------------------------------


def test_relay_status_shows_the_loop(loop: Loop) -> None:
    told = wait_for(lambda: decided(loop), "the monitor's decision")
    assert all(service["up"] for service in told["services"].values()), told["services"]
    assert told["services"]["mlflow"]["url"] == loop.settings.url("mlflow")
    model = told["models"][MODEL]
    assert str(model["champion"]["version"]) == loop.aliases()["champion"]
    assert model["challenger"] is None
    assert model["dataset"] == model["datasets"][-1]
    assert {result["verdict"] for result in model["checks"]["results"]} <= {"ok", "alert"}
    assert model["checks"]["retrain"]["requested"] is False
    screen = loop.relay("status")
    assert screen.returncode == 0
    assert model["dataset"]["tag"] in screen.stdout


def test_relay_explain_walks_all_the_way_back(loop: Loop, asked: pd.DataFrame) -> None:
    prediction = asked.iloc[-1]["flight_id"]
    walk = json.loads(loop.relay("explain", prediction, "--json").stdout)
    version = loop.version(walk["model_version"]["version"].rpartition("@")[2])
    tags = version["tags"]
    assert walk["prediction"]["id"] == prediction
    assert 0 < walk["prediction"]["output"]["probability"] < 1
    assert walk["run"]["run_id"] == version["run_id"]
    assert walk["run"]["reason"] == tags["relay.reason"]
    assert walk["dataset"]["tag"] == tags["relay.dataset"]
    assert walk["dataset"]["md5"] == tags["relay.dataset_md5"]
    landed = loop.settings.home / "landing" / MODEL
    for batch, told in zip(
        sorted(landed.glob("*.csv.gz")), walk["dataset"]["batches"], strict=False
    ):
        assert told.startswith(f"{batch.name.removesuffix(batches.SUFFIX)} sha256:")
        assert batches.sha256(batch)[:12] in told
    assert walk["code_commit"] == tags["relay.code_commit"]
    dag, run = walk["airflow_run"].split("/")
    assert loop.run(dag, run)["state"] == "success"
    unknown = loop.relay("explain", "nobody")
    assert unknown.returncode == 65
    assert "nobody" in unknown.stderr


def test_relay_reproduces_a_version_bit_for_bit(loop: Loop) -> None:
    done = loop.relay("reproduce", f"{MODEL}@1", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["data_md5_matches"]
    assert told["metrics_identical"]
    assert told["outputs_identical"]
    assert told["outputs_compared"] > 1000


def test_serving_answers_with_the_champion_by_both_protocols(
    loop: Loop, asked: pd.DataFrame
) -> None:
    answer = infer(loop, asked)
    assert answer["model_version"] == loop.aliases()["champion"]
    (probability,) = answer["outputs"][0]["data"]
    assert 0 < probability < 1
    told = loop.get("serving", f"/v2/models/{MODEL}").json()["inputs"]
    records = asked[[field["name"] for field in told]].dropna().tail(1).to_dict("records")
    url = loop.settings.url("serving") + "/invocations"
    said = httpx.post(url, json={"dataframe_records": records}).raise_for_status().json()
    assert said["predictions"] == [{"probability": pytest.approx(probability, abs=1e-6)}]


def test_a_rollback_is_followed_by_serving_and_can_be_taken_back(
    loop: Loop, asked: pd.DataFrame
) -> None:
    def serves(version: str) -> bool:
        return bool(infer(loop, asked)["model_version"] == version)

    assert serves("2")
    done = loop.relay("rollback", MODEL)
    assert done.returncode == 0, done.stderr
    assert loop.aliases()["champion"] == "1"
    wait_for(lambda: serves("1"), "serving to follow")
    again = loop.relay("rollback", MODEL)
    assert again.returncode == 65
    assert "first champion" in again.stderr
    done = loop.relay("promote", "--model", MODEL, "--version", "2")
    assert done.returncode == 0, done.stderr
    wait_for(lambda: serves("2"), "serving to follow")


# A bad batch ----------------------------------------------------------------------------------


def test_a_batch_that_lacks_a_column_is_refused_once_and_kept_with_its_report(loop: Loop) -> None:
    home, before = loop.settings.home, status(loop)["dataset"]
    model = models.load(MODEL)
    rows = model.feed.read_batch("2013-12").drop(columns=["origin"])
    batches.write(rows, home / "landing" / MODEL / "2013-12.csv.gz")
    dag = f"{MODEL}_ingest"
    run = loop.airflow.trigger(dag, {"batch": "2013-12"})
    tasks = loop.airflow.await_run(dag, run)
    assert loop.run(dag, run)["state"] == "failed"
    assert tasks["ingest"]["state"] == "failed"
    assert tasks["ingest"]["try_number"] == 1
    assert "origin" in loop.airflow.log(dag, run, "ingest")
    assert not (home / "landing" / MODEL / "2013-12.csv.gz").exists()
    (report,) = (home / "quarantine" / MODEL).glob("2013-12-*.json")
    assert "origin" in "".join(json.loads(report.read_text())["faults"])
    assert batches.sha256(report.with_suffix(".csv.gz")) == json.loads(report.read_text())["sha256"]
    assert status(loop)["dataset"] == before


def status(loop: Loop) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(loop.relay("status", "--json").stdout)["models"][MODEL]
    return told


def decided(loop: Loop) -> dict[str, Any]:
    """What `relay status` tells; nothing while a run, perhaps a scheduled one, decides."""
    told: dict[str, Any] = json.loads(loop.relay("status", "--json").stdout)
    return told if told["models"][MODEL]["checks"]["retrain"] else {}


def artifacts(loop: Loop, run_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = loop.mlflow("artifacts/list", run_id=run_id)["files"]
    return found


def fetch(loop: Loop, run_id: str, name: str) -> dict[str, Any]:
    query = {"run_uuid": run_id, "path": name}
    table: dict[str, Any] = loop.get("mlflow", "/get-artifact", **query).json()
    return table


def infer(loop: Loop, asked: pd.DataFrame) -> dict[str, Any]:
    """Ask once more about the newest flight of which all is known."""
    told = loop.get("serving", f"/v2/models/{MODEL}").json()["inputs"]
    known = asked.dropna(subset=[field["name"] for field in told])
    return loop.infer(known.iloc[-1].to_dict())
