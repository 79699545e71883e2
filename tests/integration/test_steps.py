"""The steps on a real MLflow, git and DVC: one lap on few flights, and all that may go wrong.

The lap: winter's data, a first champion, a challenger that learnt nothing, summer's data, a better
one. The tests look at what it left, and each puts back what it changes.
"""

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from mlflow.entities import LoggedModelOutput, LoggedModelStatus

from monitoring.prediction_log import Label, PredictionLog, PredictionRecord
from monitoring.results import MonitorRun, read_run, write_run
from monitoring.sketches import DamagedSketchError
from pipelines import asking, batches, models
from pipelines.exits import NothingToDo, Refused
from pipelines.lineage import explain, reproduce, rollback
from pipelines.models import Model
from pipelines.policy import Column, Optimize
from pipelines.profiling import TRACED
from pipelines.settings import Settings
from pipelines.status import read as read_status
from pipelines.status import render
from pipelines.steps.evaluate import evaluate
from pipelines.steps.ingest import ingest
from pipelines.steps.monitor import experiment, monitor, reference_sketch
from pipelines.steps.promote import promote
from pipelines.steps.register import register
from pipelines.steps.retrain import retrain
from pipelines.steps.train import run_train
from pipelines.torchrun import launch
from pipelines.tracking import CHALLENGER, CHAMPION, MODEL, Tracking, TrackingError
from pipelines.training_record import REFERENCE, REFERENCE_SKETCH, TRACE
from services.embedded.programs import tensorboard
from services.embedded.settings import Embedded
from tests.bad_network import bad_network
from tests.programs import ROOT, Program, free_port, running, wait_for
from tests.small_models import delete

WINTER, SUMMER = ("2013-01", "2013-02"), ("2013-06", "2013-07")
POLICY: dict[str, dict[str, Any]] = {  # what training in seconds on so few rows needs
    "train": {"history_days": 60, "min_rows": 1000, "epochs": 4, "batch_size": 64},
    "register_": {"reference_rows": 1000},
    "evaluate": {"bootstrap_samples": 200, "confidence": 0.5, "min_slice_rows": 50},
    "promote": {
        "must_beat": ["base_rate"],
        "max_calibration_error": 0.2,
        "max_slice_regression": 0.5,
        "max_latency_seconds": 1.0,
    },
    "monitor": {"min_rows": 200, "sample_rows": 500},
    "retrain": {"checks": ["drift"]},
}

LONG: dict[str, Any] = {"epochs": 60, "patience": 60}
TRAINER = """
import sys
from pipelines.settings import Settings
from pipelines.steps.train import run_train
from pipelines.tracking import Tracking
from tests.integration.test_steps import LONG, small_model

settings = Settings()
run_train(small_model(), settings, Tracking(settings.mlflow_url), LONG)
"""


def small_model(**changes: dict[str, Any]) -> Model:
    model = models.load("flights")
    sections = {
        name: getattr(model.policy, name).model_copy(update=values | changes.get(name, {}))
        for name, values in POLICY.items()
    }
    return replace(model, policy=model.policy.model_copy(update=sections))


@dataclass
class Lap:
    """The installation that the lap left, and what its steps said."""

    model: Model
    settings: Settings
    tracking: Tracking
    runs: dict[int, str] = field(default_factory=dict)  # version -> run
    said: dict[str, dict[str, Any]] = field(default_factory=dict)
    refusal: str = ""

    def alias(self, alias: str) -> int | None:
        version = self.tracking.aliased("flights", alias)
        return version.version if version else None

    def tags(self, version: int) -> dict[str, str]:
        return dict(self.tracking.version("flights", version).tags)

    def train(self, airflow_run: str, trigger: str = "manual", **overrides: Any) -> str:
        settings = self.settings.model_copy(update={"airflow_run": airflow_run})
        done = run_train(self.model, settings, self.tracking, overrides, trigger)
        run_id: str = done["run_id"]
        return run_id

    def up_to_the_gate(self, airflow_run: str, trigger: str, **overrides: Any) -> int:
        run_id = self.train(airflow_run, trigger, **overrides)
        registered = register(self.model, self.tracking, run_id)
        version: int = registered["version"]
        self.runs[version] = run_id
        self.said[f"register {version}"] = registered
        assert self.alias(CHALLENGER) == version
        self.said[f"evaluate {version}"] = evaluate(
            self.model, self.settings, self.tracking, version
        )
        return version


def arrive(lap: Lap, names: tuple[str, ...]) -> None:
    for name in names:
        tenth = lap.model.feed.read_batch(name).iloc[::10]
        batches.write(tenth, lap.settings.landing / "flights" / f"{name}.csv.gz")
        ingest(lap.model, lap.settings)


@pytest.fixture(scope="module")
def lap(tmp_path_factory: pytest.TempPathFactory, mlflow_server: Program) -> Iterator[Lap]:
    settings = Settings(home=tmp_path_factory.mktemp("home"), mlflow_url=mlflow_server.url)
    lap = Lap(small_model(), settings, Tracking(mlflow_server.url))
    try:
        arrive(lap, WINTER)
        first = lap.up_to_the_gate("flights_train/first", "data")
        lap.said["promote 1"] = promote(lap.model, lap.tracking, first)
        idle = lap.up_to_the_gate("flights_train/idle", "manual", learning_rate=1e-5, epochs=1)
        with pytest.raises(NothingToDo) as no:
            promote(lap.model, lap.tracking, idle)
        lap.refusal = str(no.value)
        assert lap.alias(CHALLENGER) == 2
        arrive(lap, SUMMER)
        better = lap.up_to_the_gate("flights_train/better", "retrain")
        lap.said["promote 3"] = promote(lap.model, lap.tracking, better)
        yield lap
    finally:
        delete(mlflow_server.url, "flights")


def test_the_first_version_is_promoted_on_beating_the_base_rate(lap: Lap) -> None:
    assert lap.said["promote 1"]["champion"] == 1
    tags = lap.tags(1)
    assert tags["relay.rival"] == "base rate"
    assert tags["relay.gate"] == "yes"
    assert tags["relay.predecessor"] == ""
    assert "base rate" in tags["relay.gate.reasons"]


def test_one_that_is_no_better_stays_challenger_and_says_why(lap: Lap) -> None:
    assert lap.refusal.startswith("flights@2 stays @challenger")
    tags = lap.tags(2)
    assert tags["relay.gate"] == "no"
    assert tags["relay.rival"] == "flights@1"
    assert "NO: log loss" in tags["relay.gate.reasons"]
    assert "relay.promoted_at" not in tags
    described = lap.tracking.client.get_model_version("flights", "2").description
    assert "NO: log loss" in described


def test_a_better_one_takes_over(lap: Lap) -> None:
    assert (lap.alias(CHAMPION), lap.alias(CHALLENGER)) == (3, None)
    tags = lap.tags(3)
    assert (tags["relay.predecessor"], tags["relay.rival"]) == ("1", "flights@1")
    assert "worst slice" in tags["relay.gate.reasons"]
    assert tags["relay.trigger"] == "retrain"
    assert tags["relay.airflow_run"] == "flights_train/better"


def test_a_version_says_where_it_comes_from(lap: Lap) -> None:
    first, last = lap.tags(1), lap.tags(3)
    assert (first["relay.dataset"], last["relay.dataset"]) == ("flights/v2", "flights/v4")
    run = lap.tracking.get_run(lap.runs[3])
    (given,) = run.inputs.dataset_inputs
    assert given.dataset.digest == last["relay.dataset_md5"].removesuffix(".dir")
    said = {tag.key: tag.value for tag in given.tags}
    assert said["relay.dataset_revision"] == last["relay.dataset_revision"]


def test_tensorboard_shows_a_runs_curves_as_mlflow_has_them(lap: Lap, tmp_path: Path) -> None:
    port = free_port()
    program = tensorboard(Embedded(home=lap.settings.home, tensorboard_port=port))
    url, name = f"http://127.0.0.1:{port}", f"flights/{lap.runs[3]}"
    with running([*program.command], {}, url, program.health, tmp_path / "log") as server:

        def tags() -> list[str]:
            return list(server.get("/data/plugin/scalars/tags").json().get(name, ()))

        wait_for(lambda: "holdout/log_loss" in tags(), "the run's last numbers")
        for curve in ("train_log_loss", "validation_log_loss", "learning_rate", "gradient_norm"):
            said = server.get(f"/data/plugin/scalars/scalars?run={name}&tag={curve}").json()
            points = {step: value for _, step, value in said}
            kept = lap.tracking.client.get_metric_history(lap.runs[3], curve)
            assert points == pytest.approx({each.step: each.value for each in kept}, rel=1e-6)
            assert len(points) > 1


def test_a_run_keeps_a_trace_of_a_few_steps(lap: Lap, tmp_path: Path) -> None:
    trace = lap.tracking.fetch(lap.runs[3], TRACE, tmp_path)
    events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
    names = [event.get("name", "") for event in events]
    assert sum(name.startswith("Optimizer.step") for name in names) == TRACED
    assert trace.stat().st_size < 500_000


def test_every_step_twice_is_the_same(lap: Lap) -> None:
    assert lap.train("flights_train/better", "retrain") == lap.runs[3]
    assert register(lap.model, lap.tracking, lap.runs[3]) == lap.said["register 3"]
    assert evaluate(lap.model, lap.settings, lap.tracking, 3) == lap.said["evaluate 3"]
    assert promote(lap.model, lap.tracking, 3) == lap.said["promote 3"]
    assert (lap.alias(CHAMPION), lap.alias(CHALLENGER)) == (3, None)
    assert len(lap.tracking.versions("flights")) == 3


def test_a_promotion_cut_short_before_the_challenger_is_dropped(lap: Lap) -> None:
    lap.tracking.set_alias(lap.tracking.version("flights", 3), CHALLENGER)
    promote(lap.model, lap.tracking, 3)
    assert lap.alias(CHALLENGER) is None


def test_a_promotion_repeated_leaves_a_newer_challenger_alone(lap: Lap) -> None:
    lap.tracking.set_alias(lap.tracking.version("flights", 2), CHALLENGER)
    promote(lap.model, lap.tracking, 3)
    assert lap.alias(CHALLENGER) == 2
    lap.tracking.drop_alias(lap.tracking.version("flights", 2), CHALLENGER)


def test_an_evaluation_against_another_champion_promotes_nobody(lap: Lap) -> None:
    with pytest.raises(Refused, match="compared with another champion"):
        promote(lap.model, lap.tracking, 2)
    assert lap.alias(CHAMPION) == 3


def kill_half_way(lap: Lap, name: str, log: Path) -> str:
    """Start a long training as this Airflow run, kill it; gives the condition that finds it."""
    env = {
        "RELAY_HOME": str(lap.settings.home),
        "RELAY_MLFLOW_URL": lap.settings.mlflow_url,
        "RELAY_AIRFLOW_RUN": name,
        "RELAY_CODE_COMMIT": "as it is",
    }
    mine = f"tags.`relay.airflow_run` = '{name}'"
    with (
        log.open("w") as output,
        subprocess.Popen(
            [sys.executable, "-c", TRAINER], cwd=ROOT, env=os.environ | env, stderr=output
        ) as process,
    ):
        try:
            wait_for(lambda: learning(lap, mine), "a run whose curve has begun")
        finally:
            process.kill()
    return mine


def test_a_killed_training_goes_on_in_its_run_and_its_curve_is_unbroken(
    lap: Lap, tmp_path: Path
) -> None:
    lap = replace(lap, settings=lap.settings.model_copy(update={"code_commit": "as it is"}))
    mine = kill_half_way(lap, "flights_train/killed", tmp_path / "log")
    (killed,) = lap.tracking.find_runs("flights", mine)
    again = lap.train("flights_train/killed", **LONG)
    (run,) = lap.tracking.find_runs("flights", mine)
    assert (again, run.info.status) == (killed.info.run_id, "FINISHED")
    whole = lap.train("flights_train/never killed", **LONG)
    assert whole != again, "what has ended is not gone on with"
    for curve in ("train_log_loss", "validation_log_loss", "learning_rate", "gradient_norm"):
        went_on, at_once = (
            [(point.step, point.value) for point in history]
            for history in (
                lap.tracking.client.get_metric_history(each, curve) for each in (again, whole)
            )
        )
        assert went_on == at_once
        assert [step for step, _ in went_on] == list(range(1, LONG["epochs"] + 1))
    scores = ("holdout/log_loss", "holdout/auc", "best_epoch")
    ours, theirs = (lap.tracking.get_run(each).data.metrics for each in (again, whole))
    assert [ours[score] for score in scores] == [theirs[score] for score in scores]
    assert not list(lap.settings.checkpoints.glob("*/*.pt"))


def test_two_processes_are_one_run(lap: Lap, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "flights_train/shared"
    monkeypatch.setenv("RELAY_HOME", str(lap.settings.home))
    monkeypatch.setenv("RELAY_MLFLOW_URL", lap.settings.mlflow_url)
    monkeypatch.setenv("RELAY_AIRFLOW_RUN", name)
    assert launch(2, [sys.executable, "-c", TRAINER.replace(", LONG)", ', {"epochs": 2})')]) == 0
    (run,) = lap.tracking.find_runs("flights", f"tags.`relay.airflow_run` = '{name}'")
    assert run.info.status == "FINISHED"
    assert run.data.params["scale.processes"] == "2"
    curve = lap.tracking.client.get_metric_history(run.info.run_id, "train_log_loss")
    assert [point.step for point in curve] == [1, 2]


def test_a_killed_training_is_closed_where_another_is_asked_for(lap: Lap, tmp_path: Path) -> None:
    name = "flights_train/changed"
    mine = kill_half_way(lap, name, tmp_path / "log")
    before = len(lap.tracking.versions("flights"))
    again = lap.train(name)
    finished, killed = lap.tracking.find_runs("flights", mine)
    assert (finished.info.run_id, finished.info.status) == (again, "FINISHED")
    assert killed.info.status == "KILLED"
    assert len(lap.tracking.versions("flights")) == before
    with pytest.raises(Refused, match="is KILLED"):
        register(lap.model, lap.tracking, killed.info.run_id)


def learning(lap: Lap, condition: str) -> bool:
    runs = lap.tracking.find_runs("flights", condition)
    return bool(runs) and "validation_log_loss" in runs[0].data.metrics


@pytest.mark.parametrize(
    ("status", "difference", "why"),
    [
        ("FINISHED", None, "nobody compared"),
        ("FINISHED", 1e-3, r"differ by 1\.00e-03"),
        ("FAILED", 1e-9, "is FAILED"),
        (None, 1e-9, "is RUNNING"),
    ],
)
def test_a_run_that_may_be_wrong_is_not_registered(
    lap: Lap, status: str | None, difference: float | None, why: str
) -> None:
    client = lap.tracking.client
    run_id = client.create_run(client.get_experiment_by_name("flights").experiment_id).info.run_id
    if difference is not None:
        client.log_metric(run_id, "onnx_max_difference", difference)
    if status:
        client.set_terminated(run_id, status)
    with pytest.raises(Refused, match=why):
        register(lap.model, lap.tracking, run_id)
    assert len(lap.tracking.versions("flights")) == 3
    assert lap.alias(CHALLENGER) is None


def test_a_run_without_a_model_or_that_is_not_there(lap: Lap) -> None:
    client = lap.tracking.client
    run_id = client.create_run(client.get_experiment_by_name("flights").experiment_id).info.run_id
    client.log_metric(run_id, "onnx_max_difference", 0.0)
    client.set_terminated(run_id, "FINISHED")
    with pytest.raises(TrackingError, match="has logged no whole model"):
        register(lap.model, lap.tracking, run_id)
    with pytest.raises(TrackingError, match="is not in MLflow"):
        register(lap.model, lap.tracking, "0" * 32)


def test_a_graph_whose_upload_was_cut_short_is_not_registered(lap: Lap) -> None:
    client = lap.tracking.client
    experiment = client.get_experiment_by_name("flights").experiment_id
    run_id = client.create_run(experiment).info.run_id

    def logged() -> str:
        graph = client.create_logged_model(experiment, name=MODEL, source_run_id=run_id)
        client.log_outputs(run_id, [LoggedModelOutput(graph.model_id, step=0)])
        return str(graph.model_id)

    logged()
    with pytest.raises(TrackingError, match="has logged no whole model"):
        lap.tracking.register("cut", run_id, {})
    wholes = [logged() for _ in range(8)]  # MLflow lists them by their ids, which are random
    for whole in wholes:
        client.finalize_logged_model(whole, LoggedModelStatus.READY)
    logged()
    try:
        version = lap.tracking.register("cut", run_id, {}).version
        assert client.get_model_version("cut", str(version)).source == f"models:/{wholes[-1]}"
    finally:
        client.delete_registered_model("cut")


def test_a_table_that_is_logged_again_takes_the_place_of_the_first(lap: Lap) -> None:
    with lap.tracking.run("flights", "tables", {}) as run_id:
        for score in (0.5, 0.25):
            lap.tracking.log_table(pd.DataFrame({"model": ["a"], "log_loss": [score]}), "t.json")
    told = lap.tracking.fetch_json(run_id, "t.json")
    assert told == {"columns": ["model", "log_loss"], "data": [["a", 0.25]]}


def test_training_that_is_not_wanted(lap: Lap) -> None:
    with pytest.raises(NothingToDo, match="flights@3 stays until the monitor asks"):
        lap.train("flights_train/new data", "data")
    eager = replace(lap, model=small_model(train={"min_rows": 20_000}))
    with pytest.raises(NothingToDo, match="rows; the policy wants 20000"):
        eager.train("flights_train/few rows")
    nowhere = lap.settings.model_copy(
        update={"data_registry": str(lap.settings.home / "none.git"), "airflow_run": ""}
    )
    with pytest.raises(NothingToDo, match="ingest a batch first"):
        run_train(lap.model, nowhere, lap.tracking, {})


def test_new_data_trains_where_the_policy_says_so(lap: Lap) -> None:
    eager = replace(lap, model=small_model(train={"on_new_data": True, "epochs": 1}))
    run = lap.tracking.get_run(eager.train("flights_train/eager", "data"))
    assert run.data.tags["relay.reason"] == "new data: flights/v4"


def test_overrides_that_no_policy_may_hold_are_refused(lap: Lap) -> None:
    with pytest.raises(Refused, match=r"learning_rate: .* greater than 0"):
        lap.train("", learning_rate=0.0)
    with pytest.raises(Refused, match="history_days"):
        lap.train("", history_days=21)


def test_a_column_that_the_policy_has_gained_is_missed_in_older_batches(lap: Lap) -> None:
    policy = lap.model.policy
    columns = policy.data.columns | {"altitude": Column(type="double", feature=True)}
    data = policy.data.model_copy(update={"columns": columns})
    model = replace(lap.model, policy=policy.model_copy(update={"data": data}))
    with pytest.raises(Refused, match=r"flights/v4: column 'altitude' is missing in 100\.00% of"):
        replace(lap, model=model).train("")


def test_rollback_and_no_further(lap: Lap) -> None:
    assert rollback(lap.model, lap.tracking) == {
        "model": "flights",
        "champion": 1,
        "rolled_back": 3,
        "undo": "relay promote --model flights --version 3",
    }
    try:
        assert lap.alias(CHAMPION) == 1
        assert "relay.rolled_back_at" in lap.tags(3)
        with pytest.raises(Refused, match="flights@1 is the first champion"):
            rollback(lap.model, lap.tracking)
        assert lap.alias(CHAMPION) == 1
        assert promote(lap.model, lap.tracking, 3)["champion"] == 3
    finally:
        lap.tracking.set_alias(lap.tracking.version("flights", 3), CHAMPION)


def test_reproduce_is_identical(lap: Lap) -> None:
    answer = reproduce("flights@1", lap.settings, lap.tracking)
    assert answer["identical"]
    assert answer["outputs_compared"] > 1000
    assert answer["data_md5_matches"]
    assert answer["code_sha256_matches"]
    assert answer["dataset"]["tag"] == "flights/v2"


def test_reproduce_sees_a_difference(lap: Lap) -> None:
    recorded = lap.tracking.fetch_json(lap.runs[2], "policy.json")
    other = recorded | {"train": recorded["train"] | {"seed": 1}}
    lap.tracking.log_json_to(lap.runs[2], other, "policy.json")
    try:
        answer = reproduce("flights@2", lap.settings, lap.tracking)
    finally:
        lap.tracking.log_json_to(lap.runs[2], recorded, "policy.json")
    assert not answer["identical"]
    assert not answer["metrics_identical"]
    assert answer["outputs_max_difference"] > 0


@pytest.mark.parametrize(
    ("reference", "why"),
    [("flights", "is no model version"), ("flights@challenger", "no version of flights is @")],
)
def test_reproduce_of_what_is_not_there(lap: Lap, reference: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        reproduce(reference, lap.settings, lap.tracking)


# What was answered, and the monitor ---------------------------------------------------------

Change = Callable[[pd.DataFrame], pd.DataFrame]


def answer(lap: Lap, root: Path, change: Change, end: str = "2013-07-31") -> Settings:
    """Write a fortnight of July's answers by the champion, and their labels, as serving would."""
    batch = lap.model.feed.read_batch("2013-07").iloc[::25]
    version = lap.tracking.aliased("flights", CHAMPION)
    assert version is not None
    asked = change(batch[list(lap.model.policy.data.features)])
    said = asking.predict(lap.tracking.graph(version), asked)["probability"]
    shift = pd.Timestamp(end, tz="UTC") - batch["scheduled_time"].max()
    log = PredictionLog(root)
    log.append(
        PredictionRecord(
            id=row_id,
            rows=1,
            time=datetime.now(UTC),
            event_time=(time + shift).to_pydatetime(),
            model="flights",
            version=str(version.version),
            role="champion",
            features=features,
            output={"probability": np.array([probability])},
            latency_seconds=0.001,
        )
        for row_id, time, features, probability in zip(
            batch["flight_id"],
            batch["scheduled_time"],
            gaps_as_null(asked),
            said,
            strict=True,
        )
    )
    labels = lap.model.rows.label(batch)
    known = zip(batch["flight_id"], labels, strict=True)
    log.append_labels("flights", [Label(i, y, datetime.now(UTC)) for i, y in known if y == y])
    log.close()
    return lap.settings.model_copy(
        update={
            "prediction_log": root,
            "checks": root / "checks",
            "evidently_workspace": root / "evidently",
        }
    )


def gaps_as_null(asked: pd.DataFrame) -> list[dict[str, list[Any]]]:
    return [
        {str(name): [None if value != value else value] for name, value in row.items()}
        for row in asked.to_dict("records")
    ]


def hotter(asked: pd.DataFrame) -> pd.DataFrame:
    return asked.assign(temp=asked["temp"] + 100.0)


def verdicts(run: MonitorRun, check: str) -> dict[str | None, str]:
    return {result.column: result.verdict for result in run.results if result.check == check}


@pytest.fixture(scope="module")
def watched(lap: Lap, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, dict[str, Any]]:
    settings = answer(lap, tmp_path_factory.mktemp("log"), hotter)
    return settings, monitor(lap.model, settings, lap.tracking)


def test_the_monitor_finds_planted_drift_and_keeps_the_evidence(
    lap: Lap, watched: tuple[Settings, dict[str, Any]]
) -> None:
    settings, said = watched
    run = read_run(settings.checks / "flights.json")
    assert verdicts(run, "drift")["temp"] == "alert"
    assert verdicts(run, "drift")["carrier"] == "ok"
    assert verdicts(run, "live_score")[None] in {"ok", "alert"}  # it had its labels
    assert said["version"] == "3" == run.version
    assert said["verdicts"]["alert"] >= 1
    found = lap.tracking.find_runs(experiment("flights"), "tags.`relay.version` = '3'")
    assert found[0].data.tags["mlflow.note.content"].endswith(f"]({run.report_url})")
    files = {file.path for file in lap.tracking.client.list_artifacts(found[0].info.run_id)}
    assert files == {"checks.json"}  # each run's stay for ever
    assert run.report_url == said["report_url"]
    kept = {path.suffix for path in (settings.prediction_log / "flights/predictions").iterdir()}
    assert kept == {".parquet", ".ids"}, "what serving had closed is sealed"
    report = str(run.report_url).rpartition("/")[2]
    assert list(settings.evidently_workspace.glob(f"*/snapshots/{report}.json"))


def test_the_decision_is_written_once_and_the_next_one_knows_of_it(
    lap: Lap, watched: tuple[Settings, dict[str, Any]]
) -> None:
    settings, _ = watched
    asked = retrain(lap.model, settings)
    assert re.match(r"drift of temp [0-9.]+, limit [0-9.]+: Wasserstein", asked["reason"])
    run = read_run(settings.checks / "flights.json")
    assert run.retrain is not None
    assert run.retrain.requested
    assert retrain(lap.model, settings) == asked
    assert read_run(settings.checks / "flights.json") == run
    for days, why in [(13, "in cool-down until 2013-08-14, although drift of temp"), (14, None)]:
        write_run(settings.checks, later(run, timedelta(days=days)))
        if why:
            with pytest.raises(NothingToDo, match=why):
                retrain(lap.model, settings)
        else:
            assert retrain(lap.model, settings)["reason"] == asked["reason"]


def later(run: MonitorRun, by: timedelta) -> MonitorRun:
    moved = {"window_start": run.window_start + by, "window_end": run.window_end + by}
    results = tuple(result.model_copy(update=moved) for result in run.results)
    fresh = {"run_time": run.run_time + by, "results": results, "retrain": None}
    return run.model_copy(update=moved | fresh)


def test_no_verdict_no_decision(lap: Lap, tmp_path: Path) -> None:
    with pytest.raises(NothingToDo, match="the monitor has not written"):
        retrain(lap.model, lap.settings.model_copy(update={"checks": tmp_path}))


def test_nobody_has_asked_anything(lap: Lap, tmp_path: Path) -> None:
    quiet = lap.settings.model_copy(update={"prediction_log": tmp_path, "checks": tmp_path})
    with pytest.raises(NothingToDo, match="nobody has asked flights anything yet"):
        monitor(lap.model, quiet, lap.tracking)
    assert not list(tmp_path.iterdir())


def test_without_evidently_the_verdicts_stand_and_the_step_fails(
    lap: Lap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = answer(lap, tmp_path, lambda asked: asked)
    monkeypatch.setitem(sys.modules, "evidently", None)
    with pytest.raises(ImportError):
        monitor(lap.model, settings, lap.tracking)
    run = read_run(settings.checks / "flights.json")
    assert "unknown" not in verdicts(run, "drift").values()
    assert run.report_url is None


def test_the_reference_is_all_training_rows_or_the_sample_of_an_older_run(lap: Lap) -> None:
    run_id = lap.runs[3]
    sample = lap.tracking.fetch_frame(run_id, REFERENCE)
    trained = int(lap.tracking.get_run(run_id).data.metrics["rows/train"])
    assert len(sample) == 1000 < trained
    assert reference_sketch(lap.model, lap.tracking, run_id, sample).rows == trained
    with lap.tracking.run("older", "keeps a sample only", {}) as older:
        lap.tracking.log_frame(sample, REFERENCE)
    assert reference_sketch(lap.model, lap.tracking, older, sample).rows == 1000
    with lap.tracking.run("older", "keeps a damaged sketch", {}) as damaged:
        lap.tracking.log_bytes(b"relay-sketch" + bytes(100), REFERENCE_SKETCH)
    with pytest.raises(DamagedSketchError):
        reference_sketch(lap.model, lap.tracking, damaged, sample)


def test_too_few_answers_are_unknown_not_ok(lap: Lap, tmp_path: Path) -> None:
    demanding = small_model(monitor={"min_rows": 100_000})
    settings = answer(lap, tmp_path, hotter)
    monitor(demanding, settings, lap.tracking)
    run = read_run(settings.checks / "flights.json")
    assert {result.verdict for result in run.results} == {"unknown"}
    with pytest.raises(NothingToDo, match="no alert"):
        retrain(demanding, settings)


def test_a_prediction_explains_itself(lap: Lap, tmp_path: Path) -> None:
    settings = answer(lap, tmp_path, lambda asked: asked)
    flight = lap.model.feed.read_batch("2013-07").iloc[0]
    told = explain(flight["flight_id"], settings, lap.tracking)
    assert told["prediction"]["features"]["carrier"] == flight["carrier"]
    assert told["model_version"]["version"] == "flights@3"
    assert told["run"]["run_id"] == lap.runs[3]
    assert told["run"]["url"].endswith(f"/runs/{lap.runs[3]}?workflowType=machine_learning")
    assert told["dataset"]["tag"] == "flights/v4"
    assert [line[:7] for line in told["dataset"]["batches"]] == [*WINTER, *SUMMER]
    assert told["airflow_run"] == "flights_train/better"
    assert len(told["code_commit"]) >= 7
    with pytest.raises(Refused, match="no answer 'nobody'"):
        explain("nobody", settings, lap.tracking)


def test_the_status_shows_the_champion_and_its_scores(lap: Lap) -> None:
    status = read_status(lap.settings)
    assert status["services"]["mlflow"]["up"]
    assert "/#/experiments?workflowType=machine_learning" in render(status)
    flights = status["models"]["flights"]
    assert flights["champion"]["version"] == 3
    assert flights["dataset"]["tag"] == "flights/v4"
    assert [version["version"] for version in flights["versions"]] == [1, 2, 3]
    assert "@3: log loss " in render(status)
    assert "; trained on flights/v4; why: " in render(status)


def test_the_status_shows_what_a_check_found_beside_its_limit(
    lap: Lap, watched: tuple[Settings, dict[str, Any]]
) -> None:
    screen = render(read_status(watched[0]))
    assert re.search(r"alert    drift temp [0-9.]+, limit [0-9.]+: Wasserstein", screen)


def test_the_status_tells_of_an_mlflow_that_has_lost_its_database(
    lap: Lap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with bad_network(lap.settings.mlflow_url) as network:
        network.spoil = lambda path, *well: well if path == "/health" else (503, b"{}")
        try:
            status = read_status(lap.settings.model_copy(update={"mlflow_url": network.url}))
        finally:
            Tracking(lap.settings.mlflow_url)
    assert status["services"]["mlflow"]["up"]
    assert status["models"]["flights"]["versions"] is None
    assert status["models"]["flights"]["dataset"]["tag"] == "flights/v4"
    assert "champion    AWAY: MLflow does not answer" in render(status)


def test_an_artifact_that_is_not_there(lap: Lap) -> None:
    with pytest.raises(TrackingError, match=r"has no artifact 'nothing\.json'"):
        lap.tracking.fetch_json(lap.runs[1], "nothing.json")


# Smaller at serving -------------------------------------------------------------------------


@pytest.fixture
def quantized(lap: Lap) -> Callable[[float], str]:
    """Trains with an `optimize` that asks for so many times the speed; gives the run."""

    def train(min_speedup: float) -> str:
        limits = Optimize(method="int8", max_score_loss=0.1, min_speedup=min_speedup)
        policy = lap.model.policy.model_copy(update={"optimize": limits})
        return replace(lap, model=replace(lap.model, policy=policy)).train("", epochs=1)

    return train


def test_a_smaller_graph_that_is_kept_is_the_version_and_says_what_it_gained(
    lap: Lap, quantized: Callable[[float], str]
) -> None:
    run_id = quantized(0.0)
    version: int = register(lap.model, lap.tracking, run_id)["version"]
    tags = lap.tags(version)
    assert tags["relay.optimize"] == "int8"
    assert re.fullmatch(r"\d+ -> \d+ \(-\d+%\)", tags["relay.optimize.bytes"])
    assert "us (" in tags["relay.optimize.latency"]
    graph = lap.tracking.graph(lap.tracking.version("flights", version))
    assert b"MatMulInteger" in graph
    assert len(graph) < 0.5 * len(lap.tracking.graph(lap.tracking.version("flights", 3)))
    said = lap.tracking.get_run(run_id).data.metrics["holdout/log_loss"]
    assert f"-> {said:.4f}" in tags["relay.optimize.log_loss"]
    assert reproduce(f"flights@{version}", lap.settings, lap.tracking)["identical"]


def test_a_smaller_graph_that_is_not_worth_it_is_not_kept(
    lap: Lap, quantized: Callable[[float], str]
) -> None:
    run_id = quantized(1e6)
    version: int = register(lap.model, lap.tracking, run_id)["version"]
    tags = lap.tags(version)
    assert re.fullmatch(r"none: [\d.]+ times as fast, wanted 1000000.0", tags["relay.optimize"])
    graph = lap.tracking.graph(lap.tracking.version("flights", version))
    assert b"MatMulInteger" not in graph
