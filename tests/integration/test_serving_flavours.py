"""Models of other flavours beside ONNX: swapped in one server; no code without permission."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from monitoring.prediction_log.reading import read_predictions
from tests import programs
from tests.mlflow_models import ROWS, fit, log
from tests.programs import ROOT, Program, wait_for
from tests.small_models import delete, register, set_alias, small_model

Start = Callable[[AbstractContextManager[Program]], Program]
BODY = {
    "inputs": [
        {"name": "carrier", "datatype": "BYTES", "shape": [2], "data": ["UA", "AA"]},
        {"name": "hour", "datatype": "INT64", "shape": [2], "data": [6, 23]},
        {"name": "temp", "datatype": "FP64", "shape": [2], "data": [31.5, 90]},
    ]
}
RECORDS = [{"carrier": "UA", "hour": 6, "temp": 31.5}, {"carrier": "AA", "hour": 23, "temp": 90}]


def sklearn(url: str, name: str, model: Any, serialization_format: str) -> str:
    from mlflow.models import infer_signature

    signature = infer_signature(ROWS, model.predict(ROWS))
    return log(
        url,
        name,
        "sklearn",
        model,
        ROWS[:3],
        signature=signature,
        serialization_format=serialization_format,
    )


@pytest.fixture
def registry(mlflow_server: Program) -> Iterator[str]:
    """Version 1 is scikit-learn's in the skops format, 2 is ONNX, 3 a pickle."""
    url, model = mlflow_server.url, fit(words=True)
    assert sklearn(url, "late", model, "skops") == "1"
    assert register(url, "late", small_model()) == "2"
    assert sklearn(url, "late", model, "cloudpickle") == "3"
    yield url
    delete(url, "late")


def serves(program: Program, version: str) -> None:
    wait_for(
        lambda: program.metric("relay_serving_served_version", model="late") == float(version),
        f"version {version}",
    )


def answers(program: Program) -> tuple[Any, Any]:
    """What two rows get over the Open Inference Protocol and over MLflow's."""
    v2 = httpx.post(program.url + "/v2/models/late/infer", json=BODY, timeout=30)
    scored = httpx.post(
        program.url + "/invocations", json={"dataframe_records": RECORDS}, timeout=30
    )
    assert (v2.status_code, scored.status_code) == (200, 200), (v2.text, scored.text)
    (output,) = v2.json()["outputs"]
    return output, scored.json()["predictions"]


def test_flavours_are_swapped_without_a_restart(
    registry: str, tmp_path: Path, start: Start
) -> None:
    program = start(programs.serving(tmp_path, registry))
    words = fit(words=True).predict(ROWS[:0].from_records(RECORDS)).tolist()
    for version in ("1", "2", "1"):
        set_alias(registry, "late", "champion", version)
        serves(program, version)
        output, predictions = answers(program)
        if version == "1":
            assert output == {
                "name": "predictions",
                "shape": [2],
                "datatype": "BYTES",
                "data": words,
            }
            assert predictions == words
        else:
            assert (output["name"], output["datatype"]) == ("probability", "FP32")
            assert [[*row] for row in predictions] == [["probability"]] * 2
    described = program.get("/v2/models/late").json()
    assert described["platform"] == "mlflow_pyfunc"
    assert described["outputs"] == [{"name": "predictions", "datatype": "BYTES", "shape": [-1]}]
    logged = read_predictions(tmp_path / "prediction-log", "late")
    assert sorted(logged["version"]) == ["1"] * 8 + ["2"] * 4


def test_a_pickle_is_served_only_where_the_operator_named_its_model(
    registry: str, tmp_path: Path, start: Start
) -> None:
    set_alias(registry, "late", "champion", "2")
    program = start(programs.serving(tmp_path, registry, serving_unsafe_models="another"))
    serves(program, "2")
    set_alias(registry, "late", "champion", "3")
    failures = "relay_serving_load_failures_total"
    wait_for(lambda: program.metric(failures, model="late") >= 1, "a refusal")
    said = next(line for line in program.output.read_text().splitlines() if "permission" in line)
    for part in ('"late"', '"3"', "'sklearn'", "cloudpickle", "RELAY_SERVING_UNSAFE_MODELS"):
        assert part in said
    assert answers(program)[0]["name"] == "probability"
    program.stop()

    allowing = start(programs.serving(tmp_path, registry, serving_unsafe_models="another, late"))
    serves(allowing, "3")
    assert answers(allowing)[0]["name"] == "predictions"
    allowing.stop()

    again = start(programs.serving(tmp_path, registry))
    wait_for(lambda: again.metric(failures, model="late") >= 1, "a refusal of what is on the disk")
    assert again.get("/ready").status_code == 503


def test_a_model_may_open_its_files_at_every_answer(
    mlflow_server: Program, tmp_path: Path, start: Start
) -> None:
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema

    def register_lookup(bias: str) -> str:
        (tmp_path / "bias.txt").write_text(bias)
        signature = ModelSignature(Schema([ColSpec("long", "hour")]))
        model = str(ROOT / "tests/python_models/lookup.py")
        options = {"signature": signature, "artifacts": {"bias": str(tmp_path / "bias.txt")}}
        url, example = mlflow_server.url, ROWS[["hour"]]
        return log(url, "late", "pyfunc", None, example, python_model=model, **options)

    def answer(program: Program) -> Any:
        body = {"inputs": [BODY["inputs"][1]]}
        response = httpx.post(program.url + "/v2/models/late/infer", json=body, timeout=30)
        assert response.status_code == 200, response.text
        return response.json()["outputs"][0]["data"]

    for version, bias in (("1", "0.5"), ("2", "0.25"), ("3", "none")):
        assert register_lookup(bias) == version
    try:
        program = start(programs.serving(tmp_path, mlflow_server.url, serving_unsafe_models="late"))
        for version, right in (("1", [6.5, 23.5]), ("2", [6.25, 23.25])):
            set_alias(mlflow_server.url, "late", "champion", version)
            serves(program, version)
            assert answer(program) == right
        set_alias(mlflow_server.url, "late", "champion", "3")
        failures = "relay_serving_load_failures_total"
        wait_for(lambda: program.metric(failures, model="late") >= 1, "its example to fail")
        assert answer(program) == right
        program.stop()
        kept = {folder.name[:2] for folder in (tmp_path / "serving/models/late").iterdir()}
        assert "2-" in kept
        assert "3-" not in kept
        again = start(
            programs.serving(tmp_path, "http://127.0.0.1:9", serving_unsafe_models="late")
        )
        assert answer(again) == right
    finally:
        delete(mlflow_server.url, "late")


def test_who_serves_only_onnx_pays_for_nothing_else() -> None:
    code = "import sys, services.serving.server; print(*sys.modules)"
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    imported = {name.partition(".")[0] for name in run.stdout.split()}
    assert not imported & {"mlflow", "pandas", "sklearn", "scipy", "torch", "pyarrow", "skops"}
