"""Faults in the running platform: what was cut short goes on, once, and nothing is half."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from pipelines import batches, models
from services.embedded import strays
from tests.e2e.conftest import Loop
from tests.outside import MODEL
from tests.programs import wait_for

RETRY = "up_for_retry"
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


def test_mlflow_down_while_a_dag_runs_is_ridden_out(loop: Loop) -> None:
    dag = f"{MODEL}_monitor"
    with stopped(loop, "mlflow"):
        ours = loop.airflow.trigger(dag)  # it waits if a scheduled one runs: then that one retries
        run = wait_for(lambda: retrying(loop, dag, "monitor"), "Airflow to retry")
        told = loop.airflow.log(dag, run, "monitor")
        assert f"MLflow at {loop.settings.url('mlflow')} does not answer" in told
        assert loop.get("serving", f"/v2/models/{MODEL}/ready").status_code == 200
    tasks = loop.airflow.await_run(dag, run)
    assert tasks["monitor"]["try_number"] > 1
    loop.airflow.await_run(dag, ours)
    assert {loop.run(dag, each)["state"] for each in (run, ours)} == {"success"}
    assert tasks["monitor"]["state"] == "success"


def test_a_training_that_is_killed_half_way_goes_on_in_its_run_and_is_registered_once(
    loop: Loop,
) -> None:
    before, dag = set(loop.versions()), f"{MODEL}_train"
    run = loop.airflow.trigger(dag, {"epochs": 4})
    killed = wait_for(lambda: training(loop, f"{dag}/{run}"), "an epoch to be logged", 120)
    step(loop, "train").kill()
    tasks = loop.airflow.await_run(dag, run)
    assert loop.run(dag, run)["state"] == "success"
    assert tasks["train"]["try_number"] == 2
    finished = loop.airflow.result(dag, run, "train")["run_id"]
    ended = {each["info"]["run_id"]: each["info"]["status"] for each in runs(loop, f"{dag}/{run}")}
    assert ended == {killed: "FINISHED"}
    assert finished == killed
    curve = loop.mlflow("metrics/get-history", run_id=killed, metric_key="train_log_loss")
    assert [point["step"] for point in curve["metrics"]] == [1, 2, 3, 4]
    versions = loop.versions()
    (new,) = set(versions) - before
    assert versions[new]["run_id"] == finished
    assert versions[new]["status"] == "READY"
    assert versions[new]["tags"]["relay.airflow_run"] == f"{dag}/{run}"
    assert versions[new]["tags"]["relay.gate"] in {"yes", "no"}
    role = "champion" if versions[new]["tags"]["relay.gate"] == "yes" else "challenger"
    assert loop.aliases()[role] == new
    assert len(outputs(loop, killed)) == 1


def test_two_ingests_at_once_both_end_well_in_one_line_of_versions(loop: Loop) -> None:
    feed, dag = models.load(MODEL).feed, f"{MODEL}_ingest"
    held = dataset_versions(loop)
    names = [name for name in feed.batch_names() if name > held[-1]["batches"][-1]][1:3]
    for name in names:
        landing = loop.settings.home / "landing" / MODEL / f"{name}{batches.SUFFIX}"
        batches.write(feed.read_batch(name), landing)
    spans = []
    with paused(loop, f"{MODEL}_monitor"):  # two tasks run at once here: both shall be ours
        started = [loop.airflow.trigger(dag, {"batch": name}) for name in names]
        for run in started:
            (task,) = loop.airflow.await_run(dag, run).values()
            assert task["state"] == "success"
            spans.append((task["start_date"], task["end_date"]))
    assert max(start for start, _ in spans) < min(end for _, end in spans), "one after the other"
    new = dataset_versions(loop)[len(held) :]
    assert len(new) == 2
    assert sorted(new[1]["batches"]) == sorted([*held[-1]["batches"], *names])
    assert set(new[0]["batches"]) < set(new[1]["batches"])
    assert git(loop, "rev-list", "--merges", "main") == ""
    line = git(loop, "log", "--format=%H", "main").split()
    assert [version["revision"] for version in reversed(dataset_versions(loop))] == line


@contextmanager
def stopped(loop: Loop, program: str) -> Iterator[None]:
    loop.supervise("stop", program)
    try:
        yield
    finally:
        loop.supervise("start", program)


@contextmanager
def paused(loop: Loop, dag: str) -> Iterator[None]:
    """Keep a DAG from running; one that runs already is waited for."""
    client = loop.airflow.client
    client.patch(f"/api/v2/dags/{dag}", json={"is_paused": True}).raise_for_status()
    try:
        for run in loop.airflow.runs(dag):
            if run["state"] == "running":
                loop.airflow.await_run(dag, run["dag_run_id"])
        yield
    finally:
        client.patch(f"/api/v2/dags/{dag}", json={"is_paused": False}).raise_for_status()


def retrying(loop: Loop, dag: str, task: str) -> str:
    """The run of a DAG whose task waits for its next try; empty if there is none."""
    running = [run["dag_run_id"] for run in loop.airflow.runs(dag) if run["state"] == "running"]
    tries = (run for run in running if loop.airflow.tasks(dag, run)[task]["state"] == RETRY)
    return next(tries, "")


def runs(loop: Loop, airflow_run: str) -> list[dict[str, Any]]:
    """The MLflow runs of an Airflow run."""
    experiment = loop.mlflow("experiments/get-by-name", experiment_name=MODEL)["experiment"]
    found: list[dict[str, Any]] = loop.post_mlflow(
        "runs/search",
        {
            "experiment_ids": [experiment["experiment_id"]],
            "filter": f"tags.`relay.airflow_run` = '{airflow_run}'",
        },
    ).get("runs", [])
    return found


def training(loop: Loop, airflow_run: str) -> str:
    """The MLflow run of a training that has logged an epoch and goes on; empty before."""
    for run in runs(loop, airflow_run):
        if run["info"]["status"] == "RUNNING" and run["data"].get("metrics"):
            return str(run["info"]["run_id"])
    return ""


def outputs(loop: Loop, run_id: str) -> list[Any]:
    """The models that a run has logged."""
    run = loop.mlflow("runs/get", run_id=run_id)["run"]
    return list(run.get("outputs", {}).get("model_outputs", []))


def step(loop: Loop, name: str) -> psutil.Process:
    """The process of a step that runs under Airflow."""
    (found,) = (
        process
        for process in strays.processes_of(loop.settings.home)
        if f"relay {name} --model" in " ".join(process.cmdline())
    )
    return found


def dataset_versions(loop: Loop) -> list[dict[str, Any]]:
    told = json.loads(loop.relay("status", "--json").stdout)["models"][MODEL]
    return list(told["datasets"])


def git(loop: Loop, *arguments: str) -> str:
    """Ask the data registry."""
    command = ["git", "-C", str(loop.settings.home / "data-registry.git"), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
