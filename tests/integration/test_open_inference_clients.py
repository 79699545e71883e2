"""Serving as the public clients of the Open Inference Protocol see it: NVIDIA's tritonclient."""

import asyncio
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import grpc
import httpx
import numpy as np
import pandas as pd
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.grpc.aio as grpc_aio
import tritonclient.http as http_client
import tritonclient.http.aio as http_aio
from google.protobuf import json_format
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

from monitoring.prediction_log.reading import read_predictions
from tests import programs
from tests.programs import Program, free_port, wait_for
from tests.serving_client import (
    BIASES,
    DATATYPES,
    INFER,
    ROW,
    infer_body,
    probability,
    right_for,
    serves,
)
from tests.small_models import delete, register, set_alias, small_model
from tests.tensor_models import KINDS, SHAPES, register_echo, values

Arrays = dict[str, np.ndarray[Any, Any]]
OUTPUTS = {name: f"{name}_again" for name in SHAPES}
TYPED = {  # gRPC's contents by datatype; FP16 has none
    "BOOL": "bool_contents",
    **dict.fromkeys(["INT8", "INT16", "INT32"], "int_contents"),
    **dict.fromkeys(["UINT8", "UINT16", "UINT32"], "uint_contents"),
    "INT64": "int64_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


class Server(NamedTuple):
    """Where serving answers HTTP and gRPC, as the clients want it said."""

    program: Program
    home: Path
    http: str
    grpc: str


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


def http_inputs(datatype: str, arrays: Arrays, binary: bool) -> list[http_client.InferInput]:
    inputs = []
    for name, array in arrays.items():
        inputs.append(http_client.InferInput(name, list(array.shape), datatype))
        inputs[-1].set_data_from_numpy(array, binary_data=binary)
    return inputs


def grpc_inputs(datatype: str, arrays: Arrays) -> list[grpc_client.InferInput]:
    inputs = []
    for name, array in arrays.items():
        inputs.append(grpc_client.InferInput(name, list(array.shape), datatype))
        inputs[-1].set_data_from_numpy(array)
    return inputs


def received(result: Any) -> Arrays:
    return {name: result.as_numpy(output) for name, output in OUTPUTS.items()}


def over_http(server: Server, datatype: str, arrays: Arrays, **how: Any) -> Arrays:
    inputs = http_inputs(datatype, arrays, how.pop("binary_in"))
    if (binary := how.pop("binary_out", None)) is not None:
        how["outputs"] = [http_client.InferRequestedOutput(o, binary) for o in OUTPUTS.values()]
    with http_client.InferenceServerClient(server.http) as client:
        return received(client.infer(f"echo-{datatype}", inputs, **how))


def over_http_mixed(server: Server, datatype: str, arrays: Arrays) -> Arrays:
    """The first input in JSON, the others binary; the first output binary, the others in JSON."""
    inputs = http_inputs(datatype, arrays, True)
    inputs[0].set_data_from_numpy(arrays["flat"], binary_data=False)
    wanted = [http_client.InferRequestedOutput(o, o == "flat_again") for o in OUTPUTS.values()]
    with http_client.InferenceServerClient(server.http) as client:
        return received(client.infer(f"echo-{datatype}", inputs, outputs=wanted))


def over_http_aio(server: Server, datatype: str, arrays: Arrays) -> Arrays:
    async def ask() -> Arrays:
        async with http_aio.InferenceServerClient(server.http) as client:
            inputs = http_inputs(datatype, arrays, True)
            return received(await client.infer(f"echo-{datatype}", inputs))

    return asyncio.run(ask())


def over_http_async(server: Server, datatype: str, arrays: Arrays) -> Arrays:
    with http_client.InferenceServerClient(server.http) as client:
        inputs = http_inputs(datatype, arrays, True)
        return received(client.async_infer(f"echo-{datatype}", inputs).get_result())


def over_grpc(server: Server, datatype: str, arrays: Arrays, **how: Any) -> Arrays:
    with grpc_client.InferenceServerClient(server.grpc) as client:
        return received(client.infer(f"echo-{datatype}", grpc_inputs(datatype, arrays), **how))


def over_grpc_aio(server: Server, datatype: str, arrays: Arrays) -> Arrays:
    async def ask() -> Arrays:
        async with grpc_aio.InferenceServerClient(server.grpc) as client:
            inputs = grpc_inputs(datatype, arrays)
            return received(await client.infer(f"echo-{datatype}", inputs))

    return asyncio.run(ask())


def over_grpc_async(server: Server, datatype: str, arrays: Arrays) -> Arrays:
    answers: SimpleQueue[Any] = SimpleQueue()
    with grpc_client.InferenceServerClient(server.grpc) as client:
        client.async_infer(
            f"echo-{datatype}",
            grpc_inputs(datatype, arrays),
            lambda result, error: answers.put(error or result),
        )
        answer = answers.get(timeout=30)
    assert isinstance(answer, grpc_client.InferResult), answer
    return received(answer)


def over_grpc_typed(server: Server, datatype: str, arrays: Arrays) -> Arrays:
    """With the contents that have a type, which tritonclient itself never sends."""
    request = service_pb2.ModelInferRequest(model_name=f"echo-{datatype}")
    for name, array in arrays.items():
        tensor = request.inputs.add(name=name, datatype=datatype, shape=array.shape)
        flat = [v.encode() if isinstance(v, str) else v for v in array.ravel().tolist()]
        getattr(tensor.contents, TYPED[datatype]).extend(flat)
    with grpc.insecure_channel(server.grpc) as channel:
        answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    assert not answer.raw_output_contents
    dtype = arrays["flat"].dtype
    got = {o.name: (list(getattr(o.contents, TYPED[datatype])), o.shape) for o in answer.outputs}
    return {
        name: np.array(got[output][0], dtype).reshape(got[output][1])
        for name, output in OUTPUTS.items()
    }


Ask = Callable[[Server, str, Arrays], Arrays]
WAYS: dict[str, Ask] = {
    "http JSON": partial(over_http, binary_in=False, binary_out=False),
    "http binary": partial(over_http, binary_in=True, binary_out=True),
    "http JSON, answered binary": partial(over_http, binary_in=False, binary_out=True),
    "http binary, answered JSON": partial(over_http, binary_in=True, binary_out=False),
    "http as the client likes": partial(over_http, binary_in=True),
    "http mixed": over_http_mixed,
    "http gzip": partial(
        over_http,
        binary_in=True,
        request_compression_algorithm="gzip",
        response_compression_algorithm="gzip",
    ),
    "http deflate": partial(
        over_http,
        binary_in=True,
        request_compression_algorithm="deflate",
        response_compression_algorithm="deflate",
    ),
    "http async": over_http_async,
    "http aio": over_http_aio,
    "grpc": over_grpc,
    "grpc gzip": partial(over_grpc, compression_algorithm="gzip"),
    "grpc async": over_grpc_async,
    "grpc aio": over_grpc_aio,
    "grpc typed": over_grpc_typed,
}
CASES = [  # FP16 has no typed contents
    (datatype, way)
    for datatype in KINDS
    for way in WAYS
    if (datatype, way) != ("FP16", "grpc typed")
]


def words(array: np.ndarray[Any, Any]) -> list[Any]:
    flat = array.ravel().tolist()
    return [value.decode() if isinstance(value, bytes) else value for value in flat]


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


Wire = tuple[bytes, dict[str, str]]
HOUR = (6).to_bytes(8, "little")


def binary(*, header: int | str | None = None, body: bytes = b"", **change: Any) -> Wire:
    """A request for one flight whose hour is binary: its body and headers."""
    inputs = infer_body([ROW])["inputs"]
    hour = next(tensor for tensor in inputs if tensor["name"] == "hour")
    del hour["data"]
    hour.update({"parameters": {"binary_data_size": 8}, **change})
    head = json.dumps({"inputs": inputs}).encode()
    length = str(len(head) if header is None else header)
    return head + (body or HOUR), {"inference-header-content-length": length}


MOST = 16 * 2**20
NESTED = b'{"inputs":' + b"[" * 10_000 + b"]" * 10_000 + b"}"
GZIP = {"content-encoding": "gzip"}
MALFORMED: dict[str, tuple[Wire, int, str]] = {
    "cut off": (
        binary(body=HOUR[:-1]),
        400,
        "field 'hour': binary_data_size 8, but the body has 7",
    ),
    "more behind": (binary(body=HOUR + b"more"), 400, "4 bytes follow the last tensor"),
    "header beyond": (
        binary(header=10**9),
        400,
        "inference-header-content-length: got '1000000000'",
    ),
    "header negative": (binary(header=-5), 400, "inference-header-content-length: got '-5'"),
    "header a word": (binary(header="all"), 400, "inference-header-content-length: got 'all'"),
    "negative shape": (binary(shape=[-1]), 400, "field 'hour': got [-1], want shape"),
    "huge shape": (binary(shape=[2**62]), 400, "field 'hour': got '1 values', want as many"),
    "thousands of dimensions": (binary(shape=[1] * 10_000), 400, "field 'hour': got [1, 1"),
    "no number": (binary(shape=["1"]), 400, "the body is not as wanted"),
    "BF16": (binary(datatype="BF16"), 400, "field 'hour': got 'BF16', want datatype INT64"),
    "nested": ((NESTED, {}), 400, "the body is not"),
    "no UTF-8": ((b'{"inputs":[{"name":"\xff"', {}), 400, "the body is not JSON"),
    "not packed": ((b"{}", GZIP), 400, "the body is not gzip"),
    "a bomb": ((gzip.compress(bytes(MOST + 1)), GZIP), 413, "unpacks to more than 16777216 bytes"),
    "an unknown encoding": ((b"{}", {"content-encoding": "br"}), 415, "want gzip or deflate"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_body_is_refused_and_hurts_nobody(server: Server, name: str) -> None:
    (body, headers), status, words = MALFORMED[name]
    response = httpx.post(server.program.url + INFER, content=body, headers=headers)
    assert response.status_code == status
    assert words in response.json()["error"]
    body, headers = binary()
    answer = httpx.post(server.program.url + INFER, content=body, headers=headers)
    assert probability(answer.json()) == right_for("1")


Status = grpc.StatusCode
MESSAGES: dict[str, tuple[bytes, grpc.StatusCode, str]] = {
    "nothing": (b"", Status.NOT_FOUND, "model '' is not served"),
    "no message": (
        b"\xff\xff\xff",
        Status.INVALID_ARGUMENT,
        "the message is not a ModelInferRequest",
    ),
    "no UTF-8": (b"\x0a\x02\xff\xff", Status.INVALID_ARGUMENT, "the message is not a"),
    "no inputs": (b"\x0a\x07flights", Status.INVALID_ARGUMENT, "there are no rows"),
    "too large": (bytes(MOST + 1), Status.RESOURCE_EXHAUSTED, "larger than max"),
}


@pytest.mark.parametrize("packed", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
@pytest.mark.parametrize("name", MESSAGES)
def test_a_malformed_message_is_refused_and_hurts_nobody(
    server: Server, name: str, packed: grpc.Compression
) -> None:
    message, status, words = MESSAGES[name]
    with grpc.insecure_channel(server.grpc, compression=packed) as channel:
        call: Any = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.RpcError) as refusal:
            call(message)
        assert refusal.value.code() == status
        assert words in str(refusal.value.details())
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        assert stub.ServerReady(service_pb2.ServerReadyRequest()).ready


def test_a_call_that_runs_is_answered_when_serving_stops(
    mlflow_server: Program, tmp_path: Path
) -> None:
    url, port = mlflow_server.url, free_port()
    register_echo(url, "leaving", "FP32")
    try:
        with programs.serving(tmp_path, url, serving_grpc_port=str(port)) as program:
            serves(program, "1", model="leaving")
            with grpc_client.InferenceServerClient(f"127.0.0.1:{port}") as client:
                answered = stop_under_load(client, program)
    finally:
        delete(url, "leaving")
    assert answered
    log = read_predictions(tmp_path / "prediction-log", "leaving")
    assert answered <= set(log["id"])


def stop_under_load(client: grpc_client.InferenceServerClient, program: Program) -> set[str]:
    """Stop while 200 calls are under way; no answer may be lost or torn. Gives their ids."""
    answers: SimpleQueue[tuple[Any, Any]] = SimpleQueue()
    inputs = grpc_inputs("FP32", values("FP32", 1))
    for number in range(200):
        client.async_infer(
            "leaving",
            inputs,
            lambda result, error: answers.put((result, error)),
            request_id=f"call-{number}",
        )
    answered, error = answers.get(timeout=30)
    assert program.stop() == 0
    assert error is None
    ids = {answered.get_response().id}
    for _ in range(199):
        result, error = answers.get(timeout=30)
        if error is None:
            ids.add(result.get_response().id)
        else:
            assert error.status() == "StatusCode.UNAVAILABLE", error
    return ids


def test_a_taken_port_is_said(server: Server, tmp_path: Path, mlflow_server: Program) -> None:
    env = {"RELAY_SERVING_GRPC_PORT": server.grpc.rpartition(":")[2]}
    env |= {"RELAY_HOME": str(tmp_path), "RELAY_MLFLOW_URL": mlflow_server.url}
    done = subprocess.run(
        [sys.executable, "-m", "services.serving"],
        cwd=programs.ROOT,
        env={**os.environ, **env, "RELAY_SERVING_PORT": str(free_port())},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert f"gRPC cannot listen at {server.grpc}" in done.stdout + done.stderr
