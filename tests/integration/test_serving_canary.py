"""A challenger that answers a share of the keys: whose, what one feels of it, when it must go."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitoring.prediction_log.reading import read_predictions
from pipelines import canary, models
from pipelines.exits import Refused
from pipelines.policy import Canary
from pipelines.steps.evaluate import EVALUATION
from pipelines.steps.promote import promote
from pipelines.tracking import ModelVersion, Tracking
from tests import programs
from tests.programs import Program, free_port, wait_for
from tests.serving_client import (
    BIASES,
    INFER,
    ROW,
    infer,
    infer_body,
    probability,
    right_for,
    serves,
)
from tests.small_models import delete, register, set_alias, small_model

Start = Callable[[AbstractContextManager[Program]], Program]
LIMITS = Canary(share=0.3, min_requests=100, max_error_increase=0.01, max_latency_ratio=3.0)
HALF = LIMITS.model_copy(update={"share": 0.5})
KEYS = [f"user-{number}" for number in range(40)]
FRAGILE_HOUR = 30  # what a fragile graph fails on


@dataclass
class Stage:
    """An MLflow with version 1 as the champion, and whatever challengers a test registers."""

    url: str

    @property
    def tracking(self) -> Tracking:
        return Tracking(self.url)

    def challenger(self, fault: str = "") -> ModelVersion:
        number = register(self.url, "flights", small_model(BIASES["2"], fault))
        set_alias(self.url, "flights", "challenger", number)
        return self.version(int(number))

    def version(self, number: int) -> ModelVersion:
        return self.tracking.version("flights", number)


@pytest.fixture
def stage(mlflow_server: Program) -> Iterator[Stage]:
    register(mlflow_server.url, "flights", small_model(BIASES["1"]))
    set_alias(mlflow_server.url, "flights", "champion", "1")
    yield Stage(mlflow_server.url)
    delete(mlflow_server.url, "flights")


def share_of(serving: Program, version: str = "2") -> float:
    return serving.metric("relay_serving_canary_share", version=version)


def flies(serving: Program, share: float, version: str = "2") -> None:
    wait_for(lambda: share_of(serving, version) == share, f"the share {share}")


def by_version(serving: Program, keys: list[str] = KEYS) -> dict[str, str]:
    """Ask with each key. Gives the version that answered, and rightly, by key."""
    answers = {key: infer(serving, parameters={"key": key}) for key in keys}
    for answer in answers.values():
        assert probability(answer) == right_for(answer["model_version"])
    return {key: answer["model_version"] for key, answer in answers.items()}


def ask(serving: Program, times: int, hour: int = 6) -> list[dict[str, Any]]:
    """Ask with one key a request; all must be answered."""
    with httpx.Client(timeout=30) as client:
        answers = []
        for number in range(times):
            body = infer_body([ROW | {"hour": hour}], parameters={"key": str(number)})
            response = client.post(serving.url + INFER, json=body)
            assert response.status_code == 200, response.text
            answers.append(response.json())
    return answers


def withdrawn(stage: Stage, number: int = 2) -> str:
    """The reason that the registry holds."""
    trial = canary.read(stage.version(number))
    return trial.reason if trial and trial.state == "withdrawn" else ""


def test_keys_are_split_and_stay_where_they_are(
    stage: Stage, serving: Program, start: Start, tmp_path: Path
) -> None:
    version = stage.challenger()
    serves(serving, "2", "challenger")
    assert set(by_version(serving).values()) == {"1"}
    canary.start(version, LIMITS, 0.3, stage.tracking)
    flies(serving, 0.3)
    split = by_version(serving)
    assert set(split.values()) == {"1", "2"}
    assert by_version(serving) == split
    by_header = {
        key: httpx.post(
            serving.url + INFER, json=infer_body([ROW]), headers={"x-relay-key": key}
        ).json()["model_version"]
        for key in KEYS
    }
    assert by_header == split
    assert {key: infer(serving, id=key)["model_version"] for key in KEYS} == split
    answered = serving.metric("relay_serving_predictions_total", role="challenger")
    assert answered == 4 * list(split.values()).count("2")
    frame = read_predictions(tmp_path / "prediction-log", "flights").set_index("id")
    roles = {"1": "champion", "2": "challenger"}
    logged = frame[frame["role"] != "shadow"].loc[KEYS]
    assert logged["version"].to_dict() == split
    assert logged["role"].to_dict() == {key: roles[version] for key, version in split.items()}

    canary.start(stage.version(2), LIMITS, 0.5, stage.tracking)
    flies(serving, 0.5)
    raised = by_version(serving)
    assert {key for key in KEYS if split[key] == "2"} < {k for k in KEYS if raised[k] == "2"}
    serving.stop()
    again = start(programs.serving(tmp_path, stage.url))
    flies(again, 0.5)
    assert by_version(again) == raised
    canary.withdraw(stage.version(2), stage.tracking)
    flies(again, 0.0)
    assert set(by_version(again).values()) == {"1"}


def test_one_that_fails_is_answered_for_and_withdrawn_everywhere(
    stage: Stage, serving: Program, start: Start, tmp_path: Path
) -> None:
    version = stage.challenger("fragile")
    (tmp_path / "replica").mkdir()
    replica = start(programs.serving(tmp_path / "replica", stage.url))
    canary.start(version, HALF, 0.5, stage.tracking)
    flies(serving, 0.5)
    flies(replica, 0.5)
    assert {answer["model_version"] for answer in ask(serving, 300, FRAGILE_HOUR)} == {"1"}
    assert share_of(serving) == 0
    assert serving.metric("relay_serving_canary_failures_total") == 100
    assert serving.metric("relay_serving_canary_withdrawn_total", reason="errors") == 1
    assert serving.metric("relay_serving_predictions_total", role="champion") == 300
    infer(serving)
    shadowed = "relay_serving_predictions_total"
    wait_for(lambda: serving.metric(shadowed, role="shadow") == 1, "the newest one's shadow")
    assert serving.metric("relay_serving_shadow_failures_total") == 200  # the others had been asked
    wait_for(lambda: withdrawn(stage), "the registry's tag")
    assert "100 of 100 requests failed" in withdrawn(stage)
    flies(replica, 0.0)
    assert replica.metric("relay_serving_canary_withdrawn_total") == 0
    serving.stop()
    again = start(programs.serving(tmp_path, stage.url))
    serves(again, "2", "challenger")
    assert set(by_version(again).values()) == {"1"}

    canary.start(stage.version(2), HALF, 0.5, stage.tracking)
    flies(again, 0.5)
    assert set(by_version(again).values()) == {"1", "2"}


def test_one_that_is_slow_is_withdrawn(stage: Stage, serving: Program) -> None:
    version = stage.challenger("slow")
    serves(serving, "2", "challenger")
    canary.start(version, HALF, 0.5, stage.tracking)
    flies(serving, 0.5)
    ask(serving, 300)
    assert share_of(serving) == 0
    assert serving.metric("relay_serving_canary_withdrawn_total", reason="latency") == 1
    wait_for(lambda: "quantile of the seconds" in withdrawn(stage), "the registry's tag")


def test_a_withdrawal_without_a_registry_holds_and_is_told_later(
    start: Start, tmp_path: Path
) -> None:
    home, port = tmp_path / "mlflow", free_port()
    home.mkdir()
    server = start(programs.mlflow_server(home, port))
    register(server.url, "flights", small_model(BIASES["1"]))
    set_alias(server.url, "flights", "champion", "1")
    stage = Stage(server.url)
    version = stage.challenger("fragile")
    first = start(programs.serving(tmp_path, server.url))
    serves(first, "2", "challenger")
    canary.start(version, HALF, 0.5, stage.tracking)
    flies(first, 0.5)
    server.kill()
    ask(first, 300, FRAGILE_HOUR)
    assert share_of(first) == 0
    wait_for(lambda: first.metric("relay_serving_registry_up") == 0, "the loss to be seen")
    kept = tmp_path / "serving/canaries.json"
    wait_for(lambda: "requests failed" in kept.read_text(), "the cache to know")
    first.kill()
    second = start(programs.serving(tmp_path, server.url))
    assert share_of(second) == 0
    assert set(by_version(second).values()) == {"1"}
    start(programs.mlflow_server(home, port))
    wait_for(lambda: withdrawn(stage), "the registry's tag")
    assert "100 of 100 requests failed" in withdrawn(stage)


def test_an_order_that_cannot_be_read_gives_nobody_traffic(stage: Stage, serving: Program) -> None:
    version = stage.challenger()
    serves(serving, "2", "challenger")
    stage.tracking.tag(version, {canary.ORDER: '{"share": "everything"}'})
    said = "a canary's tags cannot be read"
    wait_for(lambda: said in serving.output.read_text(), "a word of it")
    set_alias(stage.url, "flights", "champion", "2")
    set_alias(stage.url, "flights", "challenger", "1")
    serves(serving, "2")
    assert set(by_version(serving).values()) == {"2"}
    assert serving.output.read_text().count(said) == 1


def passing(champion: int | None) -> dict[str, Any]:
    """An evaluation with which the gate is content."""
    scores = {"log_loss": 0.4, "calibration_error": 0.01}
    return {
        "champion_version": champion,
        "challenger": scores,
        "rival": {"log_loss": 0.5},
        "difference": {"low": -0.12, "high": -0.08},
        "latency_seconds": 0.001,
        "own_split": {"network": 0.4, "base_rate": 0.6, "logistic_regression": 0.5},
        "worst_slice": {"slice": "carrier", "value": "UA", "rows": 500, "difference": -0.01},
    }


def test_from_the_gate_by_a_share_to_champion(stage: Stage, serving: Program) -> None:
    flights = models.load("flights")
    model = replace(flights, policy=flights.policy.model_copy(update={"canary": HALF}))
    version = stage.challenger()
    stage.tracking.log_json_to(version.run_id, passing(1), EVALUATION.format(version=2))
    with pytest.raises(Refused, match="the gate has not seen flights@2"):
        canary.canary(model, stage.tracking, None, end=False, force=False)

    begun = promote(model, stage.tracking, 2)
    assert (begun["champion"], begun["canary"]) == (1, 0.5)
    serves(serving, "2", "challenger")
    flies(serving, 0.5)
    assert promote(model, stage.tracking, 2) == begun
    trial = canary.read(stage.version(2))
    assert trial is not None
    assert trial.state == "running"

    ask(serving, 300)
    wait_for(lambda: canary.read(stage.version(2)).state == "passed", "the registry's tag")  # type: ignore[union-attr]
    assert promote(model, stage.tracking, 2)["champion"] == 2
    serves(serving, "2")
    assert canary.read(stage.version(2)) is None
    assert serving.metric("relay_serving_canary_withdrawn_total") == 0
    with pytest.raises(Refused, match="no @challenger beside a @champion"):
        canary.canary(model, stage.tracking, None, end=False, force=False)


def test_a_canary_that_was_withdrawn_is_not_promoted(stage: Stage) -> None:
    flights = models.load("flights")
    model = replace(flights, policy=flights.policy.model_copy(update={"canary": HALF}))
    version = stage.challenger()
    stage.tracking.log_json_to(version.run_id, passing(1), EVALUATION.format(version=2))
    promote(model, stage.tracking, 2)
    canary.canary(model, stage.tracking, None, end=True, force=False)
    with pytest.raises(Refused, match="withdrawn by hand"):
        promote(model, stage.tracking, 2)
    again = canary.canary(model, stage.tracking, 0.1, end=False, force=False)
    assert again["share"] == 0.1
    assert promote(model, stage.tracking, 2)["canary"] == 0.1


def test_the_default_policy_promotes_at_once(stage: Stage) -> None:
    version = stage.challenger()
    stage.tracking.log_json_to(version.run_id, passing(1), EVALUATION.format(version=2))
    flights = models.load("flights")
    with pytest.raises(Refused, match="a share of 0 is the shadow"):
        canary.canary(flights, stage.tracking, None, end=False, force=True)
    assert promote(flights, stage.tracking, 2)["champion"] == 2
    assert json.loads(stage.version(2).tags.get(canary.ORDER) or "null") is None
