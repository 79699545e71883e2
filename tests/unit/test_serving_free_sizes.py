"""A tensor whose inner sizes each request chooses: checked, and joined with its likes alone."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from monitoring.prediction_log import PredictionLog
from monitoring.prediction_log.reading import read_predictions
from services.serving.errors import RequestError
from services.serving.metrics import Metrics
from services.serving.models.loading import load
from services.serving.models.signature import Signature, read_signature
from services.serving.predictor import Limits, Predictor, VersionRef
from services.serving.protocols import open_inference, scoring
from services.serving.queries import Query


def signature(*shape: int, dtype: str = "float32") -> Signature:
    spec = {"dtype": dtype, "shape": [*shape]}
    return read_signature(json.dumps([{"name": "x", "type": "tensor", "tensor-spec": spec}]))


FREE = signature(-1, -1)


def asked(data: Any, shape: list[int], of: Signature = FREE, datatype: str = "FP32") -> Query:
    tensor = {"name": "x", "shape": shape, "datatype": datatype, "data": data}
    return open_inference.read_query(json.dumps({"inputs": [tensor]}).encode(), of)[1]


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def predictor(tmp_path: Path, metrics: Metrics) -> Iterator[Predictor]:
    """Serve the sums of rows of any width."""
    graph = helper.make_graph(
        [helper.make_node("ReduceSum", ["x", "axis"], ["y"], keepdims=1)],
        "sums",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", "width"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 1])],
        [helper.make_tensor("axis", TensorProto.INT64, [1], [1])],
    )
    folder = tmp_path / "model"
    folder.mkdir()
    opsets = [helper.make_opsetid("", 20)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), folder / "model.onnx")
    spec = {"dtype": "float32", "shape": [-1, -1]}
    inputs = [{"name": "x", "type": "tensor", "tensor-spec": spec}]
    described = {
        "flavors": {"onnx": {"data": "model.onnx"}},
        "signature": {"inputs": json.dumps(inputs)},
    }
    (folder / "MLmodel").write_text(json.dumps(described))  # which is YAML, too
    log = PredictionLog(tmp_path / "log")
    yield Predictor(VersionRef("sums", "1", 0), load(folder), log, metrics, Limits())
    log.close()


def test_requests_of_different_sizes_come_at_once_and_each_gets_its_own(
    predictor: Predictor, metrics: Metrics, tmp_path: Path
) -> None:
    queries = [asked([1.0] * width * 2, [2, width]) for width in (3, 3, 5, 1, 1)]

    async def ask() -> list[Any]:
        return await asyncio.gather(*(predictor.ask(query, "champion") for query in queries))

    sums = [outputs["y"].ravel().tolist() for outputs in asyncio.run(ask())]
    assert sums == [[3, 3], [3, 3], [5, 5], [1, 1], [1, 1]]
    batches = metrics.registry.get_sample_value("relay_serving_batch_rows_count", {"model": "sums"})
    assert batches == 3  # of widths 3, 5 and 1
    kept = read_predictions(tmp_path / "log", "sums")["x"]
    assert sorted(map(len, kept)) == [1, 1, 1, 1, 3, 3, 3, 3, 5, 5]


@pytest.mark.parametrize(
    ("data", "shape"),
    [([1.0, 2.0], [1, 2]), ([[1, 2], [3, 4]], [2, 2]), ([1], [1, 1])],
)
def test_any_size_from_one_on_is_taken(data: Any, shape: list[int]) -> None:
    (column,) = asked(data, shape).columns.values()
    assert np.shape(column) == tuple(shape)


@pytest.mark.parametrize(
    ("data", "shape"),
    [
        ([], [1, 0]),
        ([1, 2], [1, -2]),
        ([1, 2], [2]),
        ([1, 2], [1, 2, 1]),
        ([1, 2, 3], [1, 2]),
        ([[1, 2], [3]], [2, 2]),
        ([[1, 2], [3]], [2, -1]),
        ([1, "a"], [1, 2]),
    ],
)
def test_a_shape_that_does_not_fit_is_refused_by_the_fields_name(
    data: Any, shape: list[int]
) -> None:
    with pytest.raises(RequestError, match="field 'x'") as error:
        asked(data, shape)
    assert (error.value.status, error.value.field) == (400, "x")


def test_a_wrong_value_is_found_in_its_row() -> None:
    with pytest.raises(RequestError, match="field 'x', row 1: got 'a'"):
        asked([1, 2, 3, 4, 5, "a"], [2, 3])


def test_mlflows_inputs_say_the_sizes_by_their_nesting() -> None:
    body = json.dumps({"inputs": {"x": [[1, 2, 3], [4, 5, 6]]}}).encode()
    (column,) = scoring.read_query(body, FREE, None).columns.values()
    assert np.shape(column) == (2, 3)
    refused: list[Any] = [[[1, 2], [3]], [1, 2], [[]], [[[1]]]]
    for wrong in refused:
        with pytest.raises(RequestError, match="field 'x'"):
            scoring.read_query(json.dumps({"inputs": {"x": wrong}}).encode(), FREE, None)


def test_a_frame_cannot_say_several_free_sizes() -> None:
    body = json.dumps({"dataframe_records": [{"x": [1, 2, 3, 4]}]}).encode()
    with pytest.raises(RequestError, match="no frame can say"):
        scoring.read_query(body, signature(-1, -1, 2), None)


def test_metadata_says_that_sizes_are_free() -> None:
    (field,) = FREE.fields.values()
    assert open_inference.describe(field)["shape"] == [-1, -1]
    assert field.smallest == (1,)
