"""Labels over HTTP: known or not yet, once or twice, before their predictions or after."""

from pathlib import Path
from typing import Any

import httpx

from monitoring.prediction_log.reading import read_labels, read_predictions
from tests.programs import Program
from tests.serving_client import INFER, ROW, infer, infer_body, serves


def give(program: Program, *labels: dict[str, Any]) -> Any:
    response = httpx.post(program.url + "/v1/models/flights/labels", json={"labels": labels})
    assert response.status_code == 200, response.text
    return response.json()


def counted(program: Program) -> dict[str, float]:
    name = "relay_serving_labels_total"
    return {
        kind: program.metric(name, model="flights", prediction=kind)
        for kind in ("known", "unknown")
    }


def matched(home: Path) -> dict[str, float]:
    """The labels of the predictions that have one, as the monitor joins them."""
    log = home / "prediction-log"
    predictions, labels = read_predictions(log, "flights"), read_labels(log, "flights")
    both = predictions.merge(labels, on="id", validate="one_to_one")
    return dict(zip(both["id"], both["label"], strict=True))


def test_labels_are_known_by_row_and_counted(
    registry: str, serving: Program, tmp_path: Path
) -> None:
    serves(serving, "1")
    infer(serving, id="lone")
    httpx.post(serving.url + INFER, json=infer_body([ROW, ROW], id="two")).raise_for_status()
    labels = [{"id": name, "label": 1} for name in ("lone", "two/1", "two/2", "two", "never")]
    assert give(serving, *labels) == {
        "model": "flights",
        "accepted": 5,
        "unknown": ["two/2", "two", "never"],
    }
    assert counted(serving) == {"known": 2, "unknown": 3}
    assert matched(tmp_path) == {"lone": 1, "two/1": 1}


def test_a_label_that_comes_twice_is_one_and_the_last_counts(
    registry: str, serving: Program, tmp_path: Path
) -> None:
    serves(serving, "1")
    infer(serving, id="a")
    label = {"id": "a", "label": 1, "time": "2013-07-01T12:00:00Z"}
    first = give(serving, label)
    once = read_labels(tmp_path / "prediction-log", "flights")
    assert give(serving, label) == give(serving, label, label) | {"accepted": 1} == first
    again = read_labels(tmp_path / "prediction-log", "flights")
    assert again.equals(once)
    give(serving, label | {"label": 0})
    assert matched(tmp_path) == {"a": 0}


def test_a_label_may_come_before_its_prediction(
    registry: str, serving: Program, tmp_path: Path
) -> None:
    serves(serving, "1")
    assert give(serving, {"id": "early", "label": 1})["unknown"] == ["early"]
    assert matched(tmp_path) == {}
    infer(serving, id="early")
    assert matched(tmp_path) == {"early": 1}
    assert give(serving, {"id": "early", "label": 1})["unknown"] == []
    assert counted(serving) == {"known": 1, "unknown": 1}


def test_more_labels_than_others_can_wait_for_are_refused(registry: str, serving: Program) -> None:
    serves(serving, "1")
    labels = [{"id": "a", "label": 1}] * 100_001
    path = serving.url + "/v1/models/flights/labels"
    refused = httpx.post(path, json={"labels": labels}, timeout=30)
    assert refused.status_code == 400
    assert refused.json()["field"] == "labels"
    assert "100000" in refused.json()["error"]
