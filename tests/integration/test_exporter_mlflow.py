"""The exporter on a real MLflow, also through a network that spoils what it answers."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import mlflow
import pytest

from services.exporter.mlflow import VERSIONS, MlflowSource
from services.exporter.rest import RestApi
from tests.bad_network import Spoil, bad_network
from tests.exporter_program import exporter, scrape, shown, up
from tests.programs import Program, free_port, wait_for

Start = Callable[[AbstractContextManager[Program]], Program]
MODEL = "exported"


@pytest.fixture
def client(mlflow_server: Program) -> Iterator[mlflow.MlflowClient]:
    """A client of the shared MLflow; leaves nothing of ours behind."""
    client = mlflow.MlflowClient(mlflow_server.url)
    yield client
    for model in client.search_registered_models(f"name LIKE '{MODEL}%'", max_results=1000):
        client.delete_registered_model(model.name)
    for experiment in client.search_experiments():
        if experiment.name.startswith(MODEL):
            client.rename_experiment(experiment.experiment_id, f"old {experiment.experiment_id}")
            client.delete_experiment(experiment.experiment_id)


def train(client: mlflow.MlflowClient, **metrics: float) -> str:
    """A finished run of the model's experiment; gives its id."""
    found = client.get_experiment_by_name(MODEL)
    experiment = found.experiment_id if found else client.create_experiment(MODEL)
    run = client.create_run(experiment).info.run_id
    for name, value in metrics.items():
        client.log_metric(run, name.replace("__", "/"), value)
    client.set_terminated(run)
    return str(run)


def register(client: mlflow.MlflowClient, run_id: str | None = None) -> str:
    if not client.search_registered_models(f"name = '{MODEL}'"):
        client.create_registered_model(MODEL)
    version = client.create_model_version(MODEL, "s3://nowhere/model", run_id=run_id)
    return str(version.version)


def of_model(program: Program) -> dict[str, dict[tuple[str, ...], float]]:
    """What a scrape says of our model, as others may lie in the same MLflow."""
    found = {
        name: {labels: value for labels, value in series.items() if MODEL in labels}
        for name, series in scrape(program).items()
    }
    return {name: series for name, series in found.items() if series}


def version(program: Program) -> float:
    return program.metric("relay_model_version", model=MODEL, alias="champion")


def test_champion_and_challenger_with_age_scores_and_the_gate(
    start: Start, client: mlflow.MlflowClient, mlflow_server: Program, tmp_path: Path
) -> None:
    runs = [
        train(
            client,
            holdout__log_loss=0.5,
            holdout__auc=float("nan"),
            baselines__base_rate__log_loss=0.6,
            rows__train=1000,
        ),
        train(client, holdout__log_loss=0.4),
    ]
    first, second = (register(client, run) for run in runs)
    client.set_registered_model_alias(MODEL, "champion", first)
    client.set_registered_model_alias(MODEL, "challenger", second)
    client.set_registered_model_alias(MODEL, "somebody-elses", second)
    client.set_model_version_tag(MODEL, first, "relay.gate", "yes")
    program = start(exporter(tmp_path, mlflow_url=mlflow_server.url + "/"))
    assert up(program, "mlflow") == 1
    found = of_model(program)
    assert found["relay_model_versions"] == {(MODEL,): 2}
    assert found["relay_model_version"] == {
        ("challenger", MODEL): 2,
        ("champion", MODEL): 1,
    }
    assert found["relay_model_score"] == {
        ("champion", "log_loss", MODEL, "1"): 0.5,
        ("champion", "baselines/base_rate/log_loss", MODEL, "1"): 0.6,
        ("challenger", "log_loss", MODEL, "2"): 0.4,
    }
    assert found["relay_model_gate_passed"] == {("champion", MODEL, "1"): 1}
    created = client.get_model_version(MODEL, first).creation_timestamp / 1e3
    shown_created = found["relay_model_version_created_timestamp_seconds"]
    assert shown_created["champion", MODEL, "1"] == created
    info = client.get_run(runs[1]).info
    assert found["relay_training_last_run_timestamp_seconds"] == {(MODEL,): info.start_time / 1e3}
    took = (info.end_time - info.start_time) / 1e3
    assert found["relay_training_last_run_duration_seconds"][MODEL,] == pytest.approx(took)

    client.delete_registered_model_alias(MODEL, "challenger")
    client.set_registered_model_alias(MODEL, "champion", second)
    client.set_model_version_tag(MODEL, second, "relay.gate", "no")
    wait_for(lambda: version(program) == 2, "the new champion")
    found = of_model(program)
    assert found["relay_model_version"] == {("champion", MODEL): 2}
    assert found["relay_model_score"] == {("champion", "log_loss", MODEL, "2"): 0.4}
    assert found["relay_model_gate_passed"] == {("champion", MODEL, "2"): 0}


def test_a_training_that_runs_lasts_until_now(
    start: Start, client: mlflow.MlflowClient, mlflow_server: Program, tmp_path: Path
) -> None:
    register(client, train(client))
    experiment = client.get_experiment_by_name(MODEL).experiment_id
    begun = int(time.time() * 1e3) + 1
    client.create_run(experiment, start_time=begun)
    program = start(exporter(tmp_path, mlflow_url=mlflow_server.url))
    found = of_model(program)
    assert found["relay_training_last_run_timestamp_seconds"] == {(MODEL,): begun / 1e3}
    before = found["relay_training_last_run_duration_seconds"][MODEL,]
    wait_for(
        lambda: program.metric("relay_training_last_run_duration_seconds", model=MODEL) > before,
        "it to last longer",
    )


def test_a_model_without_champion_run_or_training_is_no_fault(
    start: Start, client: mlflow.MlflowClient, mlflow_server: Program, tmp_path: Path
) -> None:
    program = start(exporter(tmp_path, mlflow_url=mlflow_server.url))
    assert up(program, "mlflow") == 1
    client.create_registered_model(MODEL)
    wait_for(lambda: of_model(program), "the model")
    assert of_model(program) == {"relay_model_versions": {(MODEL,): 0}}
    client.set_registered_model_alias(MODEL, "champion", register(client))
    wait_for(lambda: version(program) == 1, "its version")
    assert up(program, "mlflow") == 1
    assert of_model(program).keys() == {
        "relay_model_versions",
        "relay_model_version",
        "relay_model_version_created_timestamp_seconds",
    }


def test_what_somebody_deleted_is_no_fault(
    start: Start, client: mlflow.MlflowClient, mlflow_server: Program, tmp_path: Path
) -> None:
    run = train(client, holdout__log_loss=0.5)
    client.set_registered_model_alias(MODEL, "champion", register(client, run))
    client.delete_run(run)
    client.delete_experiment(client.get_experiment_by_name(MODEL).experiment_id)
    program = start(exporter(tmp_path, mlflow_url=mlflow_server.url))
    assert up(program, "mlflow") == 1
    assert version(program) == 1
    experiment = client.get_experiment_by_name(MODEL)
    client.restore_experiment(experiment.experiment_id)


def test_models_beyond_the_first_page_are_there(
    client: mlflow.MlflowClient, mlflow_server: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.exporter.mlflow.PAGE", 2)
    names = {f"{MODEL}-{number}" for number in range(5)}
    for name in names:
        client.create_registered_model(name)
    samples = MlflowSource(RestApi(mlflow_server.url, 10)).read()
    found = [sample.labels[0] for sample in samples if sample.gauge is VERSIONS]
    assert names <= set(found)
    assert len(found) == len(set(found))


NO_ANSWERS = [
    ("registered-models/search", 500, b"{}"),
    ("registered-models/search", 200, b"<html>a proxy's page</html>"),
    ("registered-models/search", 200, b'{"registered_models": 5}'),
    ("model-versions/get", 404, b"{}"),
    ("runs/get", 200, b'{"run": {"info": {"start_time": 1}, "data": {"metrics": [{}]}}}'),
]


def test_answers_that_are_none_are_away_with_the_reason_and_back_when_they_are_well(
    start: Start, client: mlflow.MlflowClient, mlflow_server: Program, tmp_path: Path
) -> None:
    run = train(client, holdout__log_loss=0.5)
    client.set_registered_model_alias(MODEL, "champion", register(client, run))
    with bad_network(mlflow_server.url) as network:
        program = start(exporter(tmp_path, mlflow_url=network.url))
        for path, status, body in NO_ANSWERS:
            wait_for(lambda: up(program, "mlflow") == 1, "MLflow to be well")
            assert version(program) == 1
            network.spoil = spoiling(path, status, body)
            wait_for(lambda: up(program, "mlflow") == 0, f"MLflow to be away: {path} {status}")
            assert not shown(program, "relay_model", "relay_training")
            network.spoil = None
    said = program.output.read_text()
    for path, _, _ in NO_ANSWERS:
        assert f"mlflow is away: /api/2.0/mlflow/{path}" in said
    assert "mlflow is back" in said
    assert "Traceback" not in said


def spoiling(path: str, status: int, body: bytes) -> Spoil:
    return lambda asked, was, content: (status, body) if path in asked else (was, content)


def test_scrapes_that_come_together_ask_once(
    start: Start, mlflow_server: Program, tmp_path: Path
) -> None:
    asked: list[str] = []

    def count(path: str, status: int, body: bytes) -> tuple[int, bytes]:
        asked.append(path)
        return status, body

    with bad_network(mlflow_server.url) as network:
        network.spoil = count
        settings = {"mlflow_url": network.url, "exporter_fresh_seconds": "100"}
        program = start(exporter(tmp_path, **settings))
        with ThreadPoolExecutor(8) as several:
            assert list(several.map(lambda _: up(program, "mlflow"), range(16))) == [1] * 16
    assert len([path for path in asked if "registered-models/search" in path]) == 1


def test_nobody_at_the_address_is_away(start: Start, tmp_path: Path) -> None:
    address = f"http://user:secret@127.0.0.1:{free_port()}"
    program = start(exporter(tmp_path, mlflow_url=address))
    assert up(program, "mlflow") == 0
    said = program.output.read_text()
    assert "does not answer" in said
    assert "secret" not in said
