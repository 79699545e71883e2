"""Images on the way through the registry and serving into the prediction log, by every protocol."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
import torch

from monitoring.prediction_log.reading import read_predictions
from monitoring.read_window import newest_window, read_labels, sketch_window
from pipelines import asking, models
from pipelines.onnx_graph import build_graph
from pipelines.tracking import CHAMPION, Tracking
from tests import programs
from tests.integration.test_simulator import finished, simulator
from tests.programs import Program, wait_for
from tests.small_models import delete

DIGITS = models.load("digits")
Start = Callable[[AbstractContextManager[Program]], Program]


@pytest.fixture(scope="module")
def untrained(mlflow_server: Program) -> Iterator[bytes]:
    """The graph of a network that has learnt nothing, as the champion."""
    torch.manual_seed(0)
    network, features = DIGITS.network, DIGITS.policy.data.features
    images = DIGITS.feed.read_batch("2024-01").head(5)
    encoder = network.Encoder.fit(images, features)
    fresh = network.build(network.Hyperparameters(), encoder, encoder.encode(images))
    graph, tracking = build_graph(fresh, encoder, images), Tracking(mlflow_server.url)
    try:
        with tracking.run("digits", "untrained", {}) as run_id:
            tracking.log_model(graph, features, images[list(features)])
        tracking.set_alias(tracking.register("digits", run_id, {}), CHAMPION)
        yield graph.SerializeToString()
    finally:
        delete(mlflow_server.url, "digits")


def test_images_are_asked_answered_logged_and_sketched(
    untrained: bytes, mlflow_server: Program, start: Start, tmp_path: Path
) -> None:
    serving = start(programs.serving(tmp_path, mlflow_server.url))
    batch = DIGITS.feed.read_batch("2024-02")
    expected = asking.predict(untrained, batch.head(2))
    nested = [image.reshape(8, 8).tolist() for image in batch["pixels"].head(2)]

    tensor = {"name": "pixels", "shape": [2, 8, 8], "datatype": "FP32", "data": nested}
    url = f"{serving.url}/v2/models/digits"
    wait_for(lambda: serving.answers("/v2/models/digits/ready"), "the model")
    assert httpx.get(url).json()["inputs"][0]["shape"] == [-1, 8, 8]
    answer = httpx.post(f"{url}/infer", json={"inputs": [tensor]}).raise_for_status().json()
    outputs = {each["name"]: each for each in answer["outputs"]}
    assert outputs["probabilities"]["shape"] == [2, 10]
    assert {*outputs} == {"probabilities", *DIGITS.policy.outputs}
    for name, each in outputs.items():
        np.testing.assert_allclose(np.ravel(expected[name]), each["data"], atol=1e-5)

    scored = httpx.post(f"{serving.url}/invocations", json={"inputs": {"pixels": nested}})
    said = scored.raise_for_status().json()["predictions"]
    np.testing.assert_allclose(said["probabilities"], expected["probabilities"], atol=1e-5)

    small = {**tensor, "shape": [2, 4, 4], "data": [[[0.0] * 4] * 4] * 2}
    refused = httpx.post(f"{url}/infer", json={"inputs": [small]})
    assert refused.status_code == 400
    assert "field 'pixels'" in json.dumps(refused.json())


def test_the_simulator_asks_about_images_and_brings_a_drift(
    untrained: bytes, mlflow_server: Program, start: Start, tmp_path: Path
) -> None:
    serving = start(programs.serving(tmp_path, mlflow_server.url))
    options = ["--from", "2024-03", "--to", "2024-03", "--a-day", "12"]
    drift = ["--drift", "inversion", "--since", "2024-03-20"]
    with simulator(tmp_path, serving.url, *options, *drift, model="digits") as process:
        done = finished(process)
    assert (done["event"], done["refused"]) == ("done", 0)
    answered = read_predictions(tmp_path / "prediction-log", "digits")
    assert len(answered) == done["answered"]
    asked = answered.set_index("id").loc[lambda rows: rows.index.isin(batch_ids())]
    assert len(asked) == len(answered)
    dark = answered["intensity"] > 0.4
    assert (dark == (answered["event_time"] >= pd.Timestamp("2024-03-20", tz="UTC"))).mean() > 0.99

    root, policy = tmp_path / "prediction-log", DIGITS.policy
    window = newest_window(root, "digits", policy.monitor.window_days)
    labels = read_labels(root, "digits")
    sketch, sample = sketch_window(root, window, policy.watched, "classes", labels, 50)
    assert sketch.outcomes.fault is None
    assert sketch.outcomes.total == sketch.labelled == sketch.rows
    assert sketch.contents.count == sketch.rows, "images are told apart by their pixels"
    assert set(sketch.columns) == set(policy.outputs)
    assert len(sample) == 50


def batch_ids() -> set[str]:
    return set(DIGITS.feed.read_batch("2024-03")["image_id"])
