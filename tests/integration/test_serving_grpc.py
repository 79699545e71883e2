"""The gRPC server beside the HTTP one: its port, its health, its tokens, its end."""

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import grpc
import pytest
import tritonclient.grpc as grpc_client
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc import service_pb2_grpc
from tritonclient.utils import InferenceServerException

from monitoring.prediction_log.reading import read_predictions
from tests import programs
from tests.open_inference_clients import grpc_inputs
from tests.programs import Program, free_port, wait_for
from tests.serving_client import DATATYPES, serves
from tests.small_models import delete, register, set_alias, small_model
from tests.tensor_models import register_echo, values


@pytest.fixture
def registry(mlflow_server: Program) -> Iterator[str]:
    """MLflow with the champion of the model leaving; gives its address."""
    register_echo(mlflow_server.url, "leaving", "FP32")
    yield mlflow_server.url
    delete(mlflow_server.url, "leaving")


def check(port: int, service: str) -> Any:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        return health_pb2_grpc.HealthStub(channel).Check(request).status


def test_probes_ask_the_standard_health_service(registry: str, tmp_path: Path) -> None:
    port = free_port()
    with programs.serving(tmp_path, registry, serving_grpc_port=str(port)) as program:
        serves(program, "1", model="leaving")
        for service in ("", "inference.GRPCInferenceService"):
            assert check(port, service) == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as refusal:
            check(port, "trains")
        assert refusal.value.code() == grpc.StatusCode.NOT_FOUND


def test_nothing_is_ready_without_a_model(mlflow_server: Program, tmp_path: Path) -> None:
    port = free_port()
    with programs.serving(tmp_path, mlflow_server.url, serving_grpc_port=str(port)):
        assert check(port, "") == health_pb2.HealthCheckResponse.NOT_SERVING
        with grpc_client.InferenceServerClient(f"127.0.0.1:{port}") as client:
            assert client.is_server_live()
            assert not client.is_server_ready()


def test_tokens_are_wanted_of_calls_and_not_of_probes(registry: str, tmp_path: Path) -> None:
    token, file, port = secrets.token_urlsafe(32), tmp_path / "tokens", free_port()
    file.write_text(token + "\n")
    file.chmod(0o600)
    with programs.serving(
        tmp_path, registry, serving_grpc_port=str(port), serving_tokens_file=str(file)
    ) as program:
        inputs = grpc_inputs("FP32", values("FP32", 1))
        with grpc_client.InferenceServerClient(f"127.0.0.1:{port}") as client:
            wait_for(client.is_server_ready, "the model")
            for headers in ({}, {"authorization": "Bearer " + "x" * 32}):
                with pytest.raises(InferenceServerException) as refusal:
                    client.infer("leaving", inputs, headers=headers)
                assert refusal.value.status() == "StatusCode.UNAUTHENTICATED"
            let_in = {"authorization": f"Bearer {token}"}
            assert client.infer("leaving", inputs, headers=let_in).as_numpy("flat_again").size == 1
    assert token not in program.output.read_text()


def test_a_call_that_runs_is_answered_when_serving_stops(registry: str, tmp_path: Path) -> None:
    port = free_port()
    with programs.serving(tmp_path, registry, serving_grpc_port=str(port)) as program:
        serves(program, "1", model="leaving")
        with grpc_client.InferenceServerClient(f"127.0.0.1:{port}") as client:
            answered = stop_under_load(client, program)
    log = read_predictions(tmp_path / "prediction-log", "leaving")
    assert answered == set(log["id"])


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


def test_calls_that_are_given_up_are_no_clean_end(registry: str, tmp_path: Path) -> None:
    """A call whose message does not come is waited for until the deadline."""
    port = free_port()
    with (
        programs.serving(
            tmp_path,
            registry,
            serving_grpc_port=str(port),
            serving_leave_seconds="0",
            serving_stop_seconds="1",
        ) as program,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
        ExitStack() as whatever_happens,
    ):
        serves(program, "1", model="leaving")
        never = threading.Event()
        whatever_happens.callback(never.set)
        call: Any = channel.stream_unary("/inference.GRPCInferenceService/ModelInfer")
        given_up = call.future(iter(lambda: never.wait() and None, None))
        assert check(port, "") == health_pb2.HealthCheckResponse.SERVING  # so it has come in
        assert program.stop() == 1
        assert given_up.exception(10).code() == grpc.StatusCode.UNAVAILABLE
    assert "given up" in program.output.read_text()


def test_no_call_waits_for_ever_for_its_message(registry: str, tmp_path: Path) -> None:
    """Without a token not at all, with one for as long as a body over HTTP."""
    token, file, port = secrets.token_urlsafe(32), tmp_path / "tokens", free_port()
    file.write_text(token + "\n")
    file.chmod(0o600)
    with (
        programs.serving(
            tmp_path,
            registry,
            serving_grpc_port=str(port),
            serving_tokens_file=str(file),
            serving_body_seconds="1",
        ),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
        ExitStack() as whatever_happens,
    ):
        never = threading.Event()
        whatever_happens.callback(never.set)
        call: Any = channel.stream_unary("/inference.GRPCInferenceService/ModelInfer")
        let_in = [("authorization", f"Bearer {token}")]
        for metadata, code in (
            ([], grpc.StatusCode.UNAUTHENTICATED),
            (let_in, grpc.StatusCode.DEADLINE_EXCEEDED),
        ):
            given_up = call.future(iter(lambda: never.wait() and None, None), metadata=metadata)
            assert given_up.exception(30).code() == code
        with pytest.raises(grpc.RpcError, match="the call has no message") as refusal:
            call(iter([]), metadata=let_in)
        assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_clients_that_cancel_are_counted_as_gone(mlflow_server: Program, tmp_path: Path) -> None:
    port = free_port()
    register(mlflow_server.url, "slow", small_model(fault="slow"))
    set_alias(mlflow_server.url, "slow", "champion", "1")
    message = pb.ModelInferRequest(model_name="slow")
    for name, kind in DATATYPES.items():
        message.inputs.add(name=name, shape=[1], datatype=kind)
    message.inputs[0].contents.bytes_contents.append(b"UA")
    message.inputs[1].contents.int64_contents.append(6)
    message.inputs[2].contents.fp64_contents.append(31.5)
    try:
        with (
            programs.serving(
                tmp_path,
                mlflow_server.url,
                serving_grpc_port=str(port),
                serving_max_batch_rows="1",
            ) as program,
            grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            serves(program, "1", model="slow")
            stub: Any = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            calls = [stub.ModelInfer.future(message) for _ in range(300)]
            calls[0].result(30)
            for call in calls:
                call.cancel()
            gone = {"protocol": "grpc", "kind": "client_gone", "model": "slow"}
            errors = "relay_serving_request_errors_total"
            wait_for(lambda: program.metric(errors, **gone) > 0, "the gone to be noticed", 15)
            wait_for(
                lambda: program.metric("relay_serving_in_flight") == 1, "nobody to be left", 15
            )
    finally:
        delete(mlflow_server.url, "slow")


def infer_call(channel: grpc.Channel, message: pb.ModelInferRequest, **rest: Any) -> Any:
    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
    return stub.ModelInfer.with_call(message, **rest)


def sent_id(call: Any) -> Any:
    return dict(call.trailing_metadata())["x-request-id"]


def test_every_answer_and_refusal_goes_by_an_id(registry: str, tmp_path: Path) -> None:
    port = free_port()
    header = (("x-request-id", "of-the-call"),)
    inputs = grpc_inputs("FP32", values("FP32", 1))
    good = pb.ModelInferRequest(
        model_name="leaving", inputs=[each._get_tensor() for each in inputs]
    )
    good.raw_input_contents.extend(each._get_content() for each in inputs)
    bad = pb.ModelInferRequest(model_name="leaving")
    with (
        programs.serving(tmp_path, registry, serving_grpc_port=str(port)) as program,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        serves(program, "1", model="leaving")
        for name, wanted in (("", "of-the-call"), ("of-the-message", "of-the-message")):
            good.id = bad.id = name
            answer, call = infer_call(channel, good, metadata=header)
            assert (answer.id, sent_id(call)) == (wanted, wanted)
            with pytest.raises(grpc.RpcError) as refusal:
                infer_call(channel, bad, metadata=header)
            assert sent_id(refusal.value) == wanted
        lines = map(json.loads, program.output.read_text().splitlines())
        refused = [line["id"] for line in lines if line["message"] == "refused"]
        assert refused == ["of-the-call", "of-the-message"]
        errors = "relay_serving_request_errors_total"
        assert program.metric(errors, protocol="grpc", kind="refused", model="leaving") == 2


def test_a_taken_port_is_said(mlflow_server: Program, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        env = {"RELAY_HOME": str(tmp_path), "RELAY_MLFLOW_URL": mlflow_server.url}
        env |= {"RELAY_SERVING_PORT": str(free_port()), "RELAY_SERVING_GRPC_PORT": port}
        done = subprocess.run(
            [sys.executable, "-m", "services.serving"],
            cwd=programs.ROOT,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert f"gRPC cannot listen at 127.0.0.1:{port}" in done.stdout + done.stderr
