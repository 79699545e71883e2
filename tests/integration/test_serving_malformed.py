"""What is no request at all, on the wire: refused by what is wrong, and nobody else is hurt."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from monitoring.prediction_log.reading import read_predictions
from tests import programs
from tests.open_inference_clients import Server
from tests.programs import Program, free_port
from tests.serving_client import (
    BIASES,
    INFER,
    ROW,
    infer_body,
    probability,
    right_for,
    serves,
)
from tests.small_models import delete, register, set_alias, small_model


@pytest.fixture(scope="module")
def server(mlflow_server: Program, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serving with the table model flights."""
    url, home, port = mlflow_server.url, tmp_path_factory.mktemp("serving"), free_port()
    register(url, "flights", small_model(BIASES["1"]))
    set_alias(url, "flights", "champion", "1")
    with programs.serving(home, url, serving_grpc_port=str(port)) as program:
        serves(program, "1")
        yield Server(program, home, program.url, f"127.0.0.1:{port}")
    delete(url, "flights")


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
LENGTH = "inference-header-content-length"
MALFORMED: dict[str, tuple[Wire, int, str | None, str]] = {
    "cut off": (binary(body=HOUR[:-1]), 400, "hour", "binary_data_size 8, but the body has 7"),
    "more behind": (
        binary(body=HOUR + b"more"),
        400,
        "binary_data_size",
        "4 bytes follow the last tensor",
    ),
    "header beyond": (binary(header=10**9), 400, LENGTH, f"{LENGTH}: got '1000000000'"),
    "header negative": (binary(header=-5), 400, LENGTH, f"{LENGTH}: got '-5'"),
    "header a word": (binary(header="all"), 400, LENGTH, f"{LENGTH}: got 'all'"),
    "negative shape": (binary(shape=[-1]), 400, "hour", "field 'hour': got [-1], want shape"),
    "huge shape": (binary(shape=[2**62]), 400, "hour", "got '1 values', want as many"),
    "thousands of dimensions": (binary(shape=[1] * 10_000), 400, "hour", "got [1, 1"),
    "no number": (binary(shape=["1"]), 400, "inputs[1].shape[0]", "the body is not as wanted"),
    "no shape": (
        (b'{"inputs": [{"name": "hour", "datatype": "INT64"}]}', {}),
        400,
        "inputs[0].shape",
        "missing required field",
    ),
    "an id that is none": ((b'{"inputs": [], "id": 1}', {}), 400, "id", "got `int`"),
    "BF16": (binary(datatype="BF16"), 400, "hour", "got 'BF16', want datatype INT64"),
    "nested": ((NESTED, {}), 400, None, "the body is not"),
    "no UTF-8": ((b'{"inputs":[{"name":"\xff"', {}), 400, None, "the body is not JSON"),
    "not packed": ((b"{}", GZIP), 400, None, "the body is not gzip"),
    "a bomb": (
        (gzip.compress(bytes(MOST + 1)), GZIP),
        413,
        None,
        "unpacks to more than 16777216 bytes",
    ),
    "an unknown encoding": (
        (b"{}", {"content-encoding": "br"}),
        415,
        "content-encoding",
        "want gzip or deflate",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_body_is_refused_and_hurts_nobody(server: Server, name: str) -> None:
    (body, headers), status, field, words = MALFORMED[name]
    response = httpx.post(server.program.url + INFER, content=body, headers=headers)
    assert response.status_code == status
    assert words in response.json()["error"]
    assert response.json().get("field") == field
    body, headers = binary()
    answer = httpx.post(server.program.url + INFER, content=body, headers=headers)
    assert probability(answer.json()) == right_for("1")


def test_what_is_refused_is_not_in_the_prediction_log(server: Server) -> None:
    body = infer_body([ROW], id="refused", parameters={"binary_data_output": "yes"})
    refused = httpx.post(server.program.url + INFER, json=body)
    assert (refused.status_code, refused.json()["field"]) == (400, "binary_data_output")
    httpx.post(server.program.url + INFER, json=infer_body([ROW], id="good")).raise_for_status()
    logged = set(read_predictions(server.home / "prediction-log", "flights")["id"])
    assert "good" in logged
    assert "refused" not in logged


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
