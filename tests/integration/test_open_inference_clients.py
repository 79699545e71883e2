"""Serving as the public clients of the Open Inference Protocol see it, over HTTP and gRPC."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from google.protobuf import json_format
from tritonclient.utils import InferenceServerException

from monitoring.prediction_log.reading import read_predictions
from tests import programs
from tests.open_inference_clients import (
    CASES,
    OUTPUTS,
    WAYS,
    Server,
    grpc_inputs,
    http_inputs,
    words,
)
from tests.programs import Program, free_port, wait_for
from tests.serving_client import BIASES, DATATYPES, right_for, serves
from tests.small_models import delete, register, set_alias, small_model
from tests.tensor_models import KINDS, SHAPES, register_echo, values


@pytest.fixture(scope="module")
def server(mlflow_server: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serving with a model that echoes each datatype, and with two versions of a table model."""
    url, home, port = mlflow_server.url, tmp_path_factory.mktemp("serving"), free_port()
    names = [f"echo-{datatype}" for datatype in KINDS]
    for name, datatype in zip(names, KINDS, strict=True):
        register_echo(url, name, datatype)
    for version in ("1", "2"):
        register(url, "flights", small_model(BIASES[version]))
    set_alias(url, "flights", "champion", "1")
    set_alias(url, "flights", "challenger", "2")
    with programs.serving(home, url, serving_grpc_port=str(port)) as program:
        for name in [*names, "flights"]:
            serves(program, "1", model=name)
        serves(program, "2", "challenger")
        yield Server(program, home, program.url.removeprefix("http://"), f"127.0.0.1:{port}")
    for name in [*names, "flights"]:
        delete(url, name)


@pytest.mark.parametrize("rows", [1, 3000], ids="{} rows".format)
@pytest.mark.parametrize(("datatype", "way"), CASES)
def test_every_datatype_comes_back_as_it_was_sent(
    server: Server, datatype: str, way: str, rows: int
) -> None:
    sent = values(datatype, rows)
    got = WAYS[way](server, datatype, sent)
    for name, array in sent.items():
        assert got[name].shape == array.shape
        assert got[name].dtype == array.dtype
        assert words(got[name]) == words(array)


@pytest.fixture(params=["http", "grpc"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Any]:
    """Either client; their methods have the same names."""
    module = {"http": http_client, "grpc": grpc_client}[request.param]
    with module.InferenceServerClient(getattr(server, request.param)) as client:
        yield client


def as_dict(answer: Any) -> dict[str, Any]:
    """Give a message of gRPC as the JSON of HTTP."""
    if isinstance(answer, dict):
        return answer
    return json_format.MessageToDict(answer, preserving_proto_field_name=True)


def flight_inputs(client: Any, rows: int = 1) -> list[Any]:
    module = grpc_client if isinstance(client, grpc_client.InferenceServerClient) else http_client
    row = {
        "carrier": np.array(["UA"], dtype=object),
        "hour": np.array([6]),
        "temp": np.array([31.5]),
    }
    inputs = []
    for name, array in row.items():
        inputs.append(module.InferInput(name, [rows], DATATYPES[name]))
        inputs[-1].set_data_from_numpy(np.repeat(array, rows))
    return inputs


def test_live_and_ready(client: Any) -> None:
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("flights")
    assert client.is_model_ready("flights", "2")
    assert not client.is_model_ready("flights", "9")
    assert not client.is_model_ready("trains")


def test_the_server_says_what_it_is(client: Any) -> None:
    server = as_dict(client.get_server_metadata())
    assert (server["name"], server["extensions"]) == ("relay", ["binary_tensor_data"])


@pytest.mark.parametrize("datatype", KINDS)
def test_a_model_says_its_datatypes_and_shapes(client: Any, datatype: str) -> None:
    model = as_dict(client.get_model_metadata(f"echo-{datatype}"))
    assert (model["name"], model["versions"]) == (f"echo-{datatype}", ["1"])
    assert model["platform"] == "onnxruntime_onnx"
    for side, names in (("inputs", SHAPES), ("outputs", OUTPUTS.values())):
        assert [tensor["name"] for tensor in model[side]] == list(names)
        assert {tensor["datatype"] for tensor in model[side]} == {datatype}
        shapes = [[int(size) for size in tensor["shape"]] for tensor in model[side]]
        assert shapes == [[-1, *shape] for shape in SHAPES.values()]


@pytest.mark.parametrize("version", ["", "1", "2"])
def test_each_version_describes_itself_and_answers(client: Any, version: str) -> None:
    model = as_dict(client.get_model_metadata("flights", version))
    assert model["versions"] == ["1", "2"]
    result = client.infer("flights", flight_inputs(client), version, request_id=f"i-{version}")
    answer = as_dict(result.get_response())
    assert (answer["model_name"], answer["model_version"]) == ("flights", version or "1")
    assert answer["id"] == f"i-{version}"
    assert result.as_numpy("probability")[0] == right_for(version or "1")


def test_wanted_outputs_come_alone(client: Any) -> None:
    grpc_too = isinstance(client, grpc_client.InferenceServerClient)
    arrays = values("INT32", 2)
    if grpc_too:
        inputs: list[Any] = grpc_inputs("INT32", arrays)
        wanted: list[Any] = [grpc_client.InferRequestedOutput("table_again")]
    else:
        inputs = http_inputs("INT32", arrays, True)
        wanted = [http_client.InferRequestedOutput("table_again")]
    result = client.infer("echo-INT32", inputs, outputs=wanted)
    assert [output["name"] for output in as_dict(result.get_response())["outputs"]] == [
        "table_again"
    ]
    np.testing.assert_array_equal(result.as_numpy("table_again"), arrays["table"])


def test_event_time_and_metrics_are_as_over_json(client: Any, server: Server) -> None:
    protocol = "grpc" if isinstance(client, grpc_client.InferenceServerClient) else "v2"
    labels = {"protocol": protocol, "model": "flights", "code": "200"}
    before = server.program.metric("relay_serving_requests_total", **labels)
    when, name = "2013-07-01T14:00:00+02:00", f"timed-{protocol}"
    client.infer(
        "flights", flight_inputs(client, 2), request_id=name, parameters={"event_time": when}
    )
    assert server.program.metric("relay_serving_requests_total", **labels) == before + 1

    found = wait_for(lambda: logged(server, name), "both roles in the prediction log")
    assert found == {("champion", "1"), ("shadow", "2")}


def logged(server: Server, name: str) -> set[tuple[str, str]] | None:
    """The roles and versions that have answered a request's two rows, once both have."""
    log = read_predictions(server.home / "prediction-log", "flights")
    rows = log[log["id"].str.startswith(name + "/")]
    if len(rows) != 4:
        return None
    assert set(rows["event_time"]) == {pd.Timestamp("2013-07-01T12:00:00Z")}
    return set(zip(rows["role"], rows["version"], strict=True))


def lone(client: Any, name: str, datatype: str, array: np.ndarray[Any, Any]) -> list[Any]:
    """The inputs of a flight, of which one comes otherwise."""
    module = grpc_client if isinstance(client, grpc_client.InferenceServerClient) else http_client
    inputs = [tensor for tensor in flight_inputs(client) if tensor.name() != name]
    inputs.append(module.InferInput(name, list(array.shape), datatype))
    inputs[-1].set_data_from_numpy(array)
    return inputs


REFUSED: dict[str, tuple[str, str, np.ndarray[Any, Any], str]] = {
    "unknown": ("wind", "FP64", np.array([1.0]), "field 'wind' is not asked for"),
    "datatype": ("hour", "FP64", np.array([6.0]), "field 'hour': got 'FP64', want datatype INT64"),
    "shape": ("hour", "INT64", np.array([[6, 7]]), "field 'hour': got [1, 2], want shape [-1]"),
    "rows": ("hour", "INT64", np.array([6, 7]), "field 'hour' has 2 rows"),
    "infinity": ("temp", "FP64", np.array([np.inf]), "field 'temp', row 0: got inf"),
    "bytes": (
        "carrier",
        "BYTES",
        np.array([b"\xff"], object),
        "field 'carrier', row 0: got b'\\xff'",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_request_is_refused_by_its_field(client: Any, name: str) -> None:
    field, datatype, array, message = REFUSED[name]
    with pytest.raises(InferenceServerException) as refusal:
        client.infer("flights", lone(client, field, datatype, array))
    assert message in refusal.value.message()
    assert refusal.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")
    assert client.infer("flights", flight_inputs(client)).as_numpy("probability")[0] == right_for(
        "1"
    )


@pytest.mark.parametrize(("model", "version"), [("trains", ""), ("flights", "9")])
def test_what_is_not_served_is_not_found(client: Any, model: str, version: str) -> None:
    with pytest.raises(InferenceServerException) as refusal:
        client.infer(model, flight_inputs(client), version)
    assert refusal.value.status() in ("404", "StatusCode.NOT_FOUND")
