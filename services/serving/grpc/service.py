"""Open Inference over gRPC: a call's message in, the reply's message out, as V2 over REST answers.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_grpc.md
"""

from collections.abc import Callable
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health_pb2

from services.serving.errors import RequestError, shown
from services.serving.grpc import messages
from services.serving.grpc import open_inference_pb2 as pb
from services.serving.http.endpoints.asking import Asking
from services.serving.http.endpoints.health import Health
from services.serving.http.exchange import Reply, Request
from services.serving.protocols import open_inference

INFERENCE = "inference.GRPCInferenceService"
_Status = health_pb2.HealthCheckResponse.ServingStatus
_M = TypeVar("_M", bound=Message)


class Service:
    """Every method of the protocol; an empty version means the champion."""

    def __init__(self, asking: Asking, health: Health) -> None:
        self._asking = asking
        self._catalog = asking.catalog
        self._health = health

    async def server_live(self, request: Request) -> Reply:
        """Say that the process runs."""
        return _reply(pb.ServerLiveResponse(live=True))

    async def server_ready(self, request: Request) -> Reply:
        """Say whether a model is served."""
        return _reply(pb.ServerReadyResponse(ready=_holds(self._health.want_ready)))

    async def model_ready(self, request: Request) -> Reply:
        """Say whether a model is served."""
        asked = _read(pb.ModelReadyRequest, request)
        ready = _holds(self._catalog.find, asked.name, asked.version or None)
        return _reply(pb.ModelReadyResponse(ready=ready))

    async def server_metadata(self, request: Request) -> Reply:
        """Describe the server."""
        return _reply(pb.ServerMetadataResponse(**open_inference.SERVER))

    async def model_metadata(self, request: Request) -> Reply:
        """Describe a model: its versions here, inputs and outputs. Raises RequestError (404)."""
        asked = _read(pb.ModelMetadataRequest, request)
        described = self._asking.describe(asked.name, asked.version or None)
        return _reply(messages.metadata(described))

    async def model_infer(self, request: Request) -> Reply:
        """Answer rows. Raises RequestError."""
        message = _read(pb.ModelInferRequest, request)
        request.message_id = message.id
        target = self._asking.find(request, message.model_name, message.model_version or None)
        signature = target.predictor.model.signature
        query = open_inference.build_query(messages.read_request(message), signature, request.id)
        outputs, by = await self._asking.ask(request, target, query)
        raw = bool(message.raw_input_contents)
        version = by.predictor.ref.version
        answer = messages.answer(query, outputs, message.model_name, version, raw)
        return self._asking.reply(answer.SerializeToString(), by, query, "grpc")

    async def check(self, request: Request) -> Reply:
        """Say whether a model is served, as gRPC's own health protocol does.

        https://github.com/grpc/grpc/blob/master/doc/health-checking.md
        """
        asked = _read(health_pb2.HealthCheckRequest, request)
        if asked.service not in ("", INFERENCE):
            raise RequestError(404, f"service {shown(asked.service)} is not here, {INFERENCE} is")
        ready = _holds(self._health.want_ready)
        status = _Status.SERVING if ready else _Status.NOT_SERVING
        return _reply(health_pb2.HealthCheckResponse(status=status))


def _reply(message: Message) -> Reply:
    return Reply(message.SerializeToString())


def _read(kind: type[_M], request: Request) -> _M:
    try:
        return kind.FromString(request.body)
    except DecodeError as error:
        message = f"the message is not a {kind.DESCRIPTOR.name}: {error}"
        raise RequestError(400, message) from error


def _holds(check: Callable[..., object], *given: Any) -> bool:
    try:
        check(*given)
    except RequestError:
        return False
    return True
