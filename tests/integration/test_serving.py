"""Serving beside a real MLflow: what it answers, refuses, logs, and survives."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import psutil
import pytest

from monitoring.prediction_log.reading import find_prediction, read_labels, read_predictions
from tests import programs
from tests.programs import ROOT, Program, wait_for
from tests.serving_client import (
    BIASES,
    DATATYPES,
    INFER,
    ROW,
    infer,
    infer_body,
    probability,
    right_for,
    serves,
)
from tests.small_models import EXAMPLE, expected

Start = Callable[[AbstractContextManager[Program]], Program]


def log_of(home: Path) -> pd.DataFrame:
    return read_predictions(home / "prediction-log", "flights")


def test_answers_open_inference(registry: str, serving: Program) -> None:
    serves(serving, "1")
    rows = json.loads(EXAMPLE.to_json(orient="records"))
    response = httpx.post(serving.url + INFER, json=infer_body(rows))
    assert response.json()["model_version"] == "1"
    assert response.json()["id"]
    output = response.json()["outputs"][0]
    assert (output["name"], output["datatype"], output["shape"]) == ("probability", "FP32", [3])
    np.testing.assert_allclose(output["data"], expected(EXAMPLE, BIASES["1"]), atol=1e-6)

    for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/flights/ready"):
        assert serving.answers(path), path
    for path in ("/v2/models/flights", "/v2/models/flights/versions/1"):
        metadata = serving.get(path).json()
        assert {i["name"]: i["datatype"] for i in metadata["inputs"]} == DATATYPES
        assert metadata["versions"] == ["1"]
    by_version = httpx.post(
        serving.url + "/v2/models/flights/versions/1/infer", json=infer_body([ROW])
    )
    assert probability(by_version.json()) == right_for("1")


@pytest.mark.parametrize(
    "path",
    ["/v2/models/trains/infer", "/v2/models/flights/versions/9/infer", "/v1/models/trains/labels"],
)
def test_an_unknown_model_or_version_is_not_found(
    registry: str, serving: Program, path: str
) -> None:
    serves(serving, "1")
    response = httpx.post(serving.url + path, json=infer_body([ROW]))
    assert response.status_code == 404
    assert "is not served" in response.text or "no version '9'" in response.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v2/models/flights/inferr", 404),
        ("POST", "/v2/repository/index", 404),
        ("POST", "/v2/models/flights", 405),
        ("GET", INFER, 405),
    ],
)
def test_a_wrong_path_is_not_found_and_a_wrong_method_is_named(
    registry: str, serving: Program, method: str, path: str, status: int
) -> None:
    serves(serving, "1")
    response = httpx.request(method, serving.url + path)
    assert response.status_code == status
    assert ("there is nothing at" if status == 404 else "method: got") in response.json()["error"]


def test_invocations_answer_what_mlflow_answers(registry: str, serving: Program) -> None:
    import mlflow

    serves(serving, "1")
    mlflow.set_tracking_uri(registry)
    model = mlflow.pyfunc.load_model("models:/flights/1")
    wanted = model.predict(EXAMPLE).to_dict("records")
    split = json.loads(EXAMPLE.to_json(orient="split", index=False))
    records = json.loads(EXAMPLE.to_json(orient="records"))
    columns = {name: [record[name] for record in records] for name in EXAMPLE}
    bodies: list[dict[str, Any]] = [
        {"dataframe_split": split},
        {"dataframe_records": records},
        {"inputs": columns},
        {"instances": records},
    ]
    for body in bodies:
        response = httpx.post(serving.url + "/invocations", json=body)
        assert response.status_code == 200, response.text
        got = response.json()["predictions"]
        assert [list(row) for row in got] == [list(row) for row in wanted]
        for mine, theirs in zip(got, wanted, strict=True):
            assert mine["probability"] == pytest.approx(theirs["probability"], abs=1e-7)
    header = {"content-type": "Application/JSON; charset=utf-8"}
    content = json.dumps(bodies[0]).encode()
    assert httpx.post(serving.url + "/invocations", content=content, headers=header).is_success
    assert serving.answers("/ping")
    assert serving.answers("/health")
    assert serving.get("/version").text == mlflow.__version__


def changed(name: str, **change: Any) -> dict[str, Any]:
    body = infer_body([ROW])
    tensor = next(t for t in body["inputs"] if t["name"] == name)
    tensor.update(change)
    return body


def without(name: str) -> dict[str, Any]:
    body = infer_body([ROW])
    return {"inputs": [t for t in body["inputs"] if t["name"] != name]}


EXTRA = {"name": "wind", "shape": [1], "datatype": "FP64", "data": [1.0]}
BAD_BODIES: dict[str, tuple[bytes, str]] = {
    name: (body if isinstance(body, bytes) else json.dumps(body).encode(), words)
    for name, (body, words) in {
        "missing": (without("hour"), "field 'hour': got null, want a long"),
        "extra": ({"inputs": [*infer_body([ROW])["inputs"], EXTRA]}, "'wind' is not asked for"),
        "null": (changed("hour", data=[None]), "field 'hour', row 0: got null, want a long"),
        "wrong type": (changed("hour", data=["six"]), "field 'hour', row 0: got 'six', want a"),
        "wrong datatype": (changed("carrier", datatype="INT64"), "field 'carrier': got 'INT64'"),
        "NaN": (changed("temp", data=[float("nan")]), "field 'temp', row 0: got nan, want a"),
        "infinity": (changed("temp", data=[float("inf")]), "field 'temp', row 0: got inf, want a"),
        "overflow": (changed("temp", data=[1e39]), "field 'temp', row 0: got 1e+39, want a"),
        "wrong shape": (changed("temp", shape=[1, 2]), "field 'temp': got [1, 2], want shape"),
        "row count": (changed("hour", shape=[2], data=[6, 7]), "field 'hour' has 2 rows"),
        "an output that is not": (infer_body([ROW], outputs=[{"name": "x"}]), "output 'x'"),
        "empty": (b"", "the body is empty"),
        "bad JSON": (b'{"inputs": [', "the body is not JSON"),
        "no UTF-8": (b'{"id": "\xff"}', "the body is not JSON"),
        "deep": (b"[" * 10_000, "the body is not JSON"),
    }.items()
}


def test_bad_requests_are_refused_and_hurt_nobody(registry: str, serving: Program) -> None:
    serves(serving, "1")
    for name, (body, words) in BAD_BODIES.items():
        response = httpx.post(serving.url + INFER, content=body)
        assert response.status_code == 400, name
        assert words in response.json()["error"], name
        assert "Traceback" not in response.text
    assert probability(infer(serving)) == right_for("1")
    refused = serving.metric("relay_serving_request_errors_total", kind="refused", protocol="v2")
    assert refused == len(BAD_BODIES)


def test_a_body_of_50_megabytes_is_refused_without_keeping_it(
    registry: str, serving: Program
) -> None:
    serves(serving, "1")
    infer(serving)
    memory = psutil.Process(serving.process.pid).memory_info().rss
    chunks = (b" " * 2**16 for _ in range(800))
    for content in (b" " * 50_000_000, chunks):
        response = httpx.post(serving.url + INFER, content=content)
        assert response.status_code == 413
        assert "want at most 16777216 bytes" in response.json()["error"]
    grown = psutil.Process(serving.process.pid).memory_info().rss - memory
    assert grown < 45_000_000
    assert probability(infer(serving)) == right_for("1")


def test_predictions_and_labels_are_in_the_log(
    registry: str, serving: Program, tmp_path: Path
) -> None:
    serves(serving, "1")
    when = "2013-07-01T12:00:00Z"
    infer(serving, ROW | {"temp": None}, id="a", parameters={"event_time": when})
    httpx.post(serving.url + INFER, json=infer_body([ROW, ROW], id="b"))
    records = log_of(tmp_path).to_dict("records")
    assert [record["id"] for record in records] == ["a", "b/0", "b/1"]
    assert records[0]["event_time"] == pd.Timestamp(when)
    assert [records[0][name] for name in ("version", "role", "carrier")] == ["1", "champion", "UA"]
    assert np.isnan(records[0]["temp"])
    assert records[2]["probability"] == right_for("1")

    labels = [{"id": "a", "label": 1.0, "time": when}, {"id": "b/0", "label": 0}]
    path = serving.url + "/v1/models/flights/labels"
    assert httpx.post(path, json={"labels": labels}).json()["accepted"] == 2
    kept = read_labels(tmp_path / "prediction-log", "flights").set_index("id")
    assert kept["label"].to_dict() == {"a": 1.0, "b/0": 0.0}
    refused = httpx.post(path, json={"labels": [*labels, {"id": "c", "label": "late"}]})
    assert refused.status_code == 400
    assert "labels[2].label" in refused.json()["error"]
    assert len(read_labels(tmp_path / "prediction-log", "flights")) == 2


def test_a_page_of_another_site_may_not_post(registry: str, serving: Program) -> None:
    serves(serving, "1")
    ours = serving.url.partition("://")[2]
    for path, body in {
        INFER: infer_body([ROW]),
        "/v1/models/flights/labels": {"labels": []},
    }.items():
        foreign = {"Origin": "http://evil.example", "Content-Type": "text/plain"}
        assert httpx.post(serving.url + path, json=body, headers=foreign).status_code == 403
        own = {"Origin": f"http://{ours}"}
        assert httpx.post(serving.url + path, json=body, headers=own).status_code == 200


def test_every_answer_is_in_the_log_after_kill_9(
    registry: str, start: Start, tmp_path: Path
) -> None:
    for life in range(3):
        program = start(programs.serving(tmp_path, registry))
        serves(program, "1")
        numbers, enough = count(), threading.Event()

        def ask(
            name: str, program: Program = program, enough: threading.Event = enough
        ) -> list[str]:
            answered: list[str] = []
            with httpx.Client() as client:
                for number in numbers:  # noqa: B023  each life counts anew
                    body = infer_body([ROW], id=f"{name}-{number}")
                    try:
                        answer = client.post(program.url + INFER, json=body).json()
                    except httpx.TransportError:
                        return answered
                    answered.append(answer["id"])
                    if number >= 210:  # of the others' last ones some may get no answer
                        enough.set()
            return answered

        with ThreadPoolExecutor(3) as clients:
            asking = [clients.submit(ask, f"{life}-{client}") for client in range(3)]
            assert enough.wait(60)
            program.kill()
            answered = {name for answers in asking for name in answers.result()}
        assert len(answered) >= 200
        assert answered <= set(log_of(tmp_path)["id"])
    infer_one = start(programs.serving(tmp_path, registry))
    serves(infer_one, "1")
    infer(infer_one, id="the last")
    infer_one.kill()
    assert find_prediction(tmp_path / "prediction-log", "the last") is not None


def test_what_the_log_does_not_take_is_not_answered(
    registry: str, start: Start, tmp_path: Path
) -> None:
    program = start(programs.serving(tmp_path, registry, file_limit_kib=64))
    serves(program, "1")
    answered: set[str] = set()
    with httpx.Client() as client:
        for number in range(1000):
            body = infer_body([ROW], id=str(number))
            response = client.post(program.url + INFER, json=body)
            if response.status_code != 200:
                break
            answered.add(response.json()["id"])
    assert response.status_code == 503
    assert "cannot be written" in response.json()["error"]
    assert program.metric("relay_serving_prediction_log_failures_total") == 1
    assert "took only a part" in program.output.read_text()
    labels = [{"id": str(number), "label": 1.0} for number in range(2000)]
    response = httpx.post(program.url + "/v1/models/flights/labels", json={"labels": labels})
    assert response.status_code == 503
    assert program.metric("relay_serving_prediction_log_failures_total") == 2
    assert set(log_of(tmp_path)["id"]) == answered
    assert program.answers("/live")


def test_a_port_that_is_taken_is_said(serving: Program, tmp_path: Path) -> None:
    port = serving.url.rpartition(":")[2]
    env = {**os.environ, "RELAY_HOME": str(tmp_path / "other"), "RELAY_SERVING_PORT": port}
    command = [sys.executable, "-m", "services.serving"]
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    line = json.loads(ended.stdout)
    assert line["port"] == int(port)
    assert "already in use" in line["error"]


def test_a_stop_answers_what_has_come_in(registry: str, serving: Program) -> None:
    serves(serving, "1")
    rows = [ROW] * 20_000
    with ThreadPoolExecutor(1) as client:
        asked = client.submit(httpx.post, serving.url + INFER, json=infer_body(rows), timeout=30)
        wait_for(lambda: serving.metric("relay_serving_in_flight") > 1 or asked.done(), "it")
        status = serving.stop()
        assert asked.result().status_code == 200
    assert status == 0
    assert json.loads(serving.output.read_text().splitlines()[-1])["message"] == "stopped"
