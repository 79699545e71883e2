"""gRPC calls in, the service's answers out: every refusal is a status, never a stack trace."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from services.serving.auth import Access, Guard
from services.serving.errors import RequestError
from services.serving.grpc.service import INFERENCE, Service
from services.serving.http import refusals
from services.serving.http.exchange import Headers, Reply, Request
from services.serving.metrics import Metrics
from services.serving.stopping import Drain

_HEALTH = "grpc.health.v1.Health"  # what probes ask
_PUBLIC = frozenset({"ServerLive", "ServerReady", "Check"})  # no token is wanted
_NEVER_SECONDS = 1e6  # who drains says when it is enough
_MOST_CALLS = 1000  # at once, each of a message at most; beyond: RESOURCE_EXHAUSTED
_ID = "x-request-id"
_STATUS = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
_Context = grpc.aio.ServicerContext[bytes, bytes]
_Method = Callable[[Request], Awaitable[Reply]]


class _NoMessageError(Exception):
    """None will come: it was not sent, its client has gone, or gRPC has refused it as too large."""


class GrpcServer:
    """The boundary of gRPC, on a port of its own and the event loop of all."""

    def __init__(
        self,
        service: Service,
        guard: Guard,
        metrics: Metrics,
        max_message_bytes: int,
        message_seconds: float,
    ) -> None:
        self._guard = guard
        self._metrics = metrics
        self._message_seconds = message_seconds
        self._given_up = False
        options = [
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.so_reuseport", 0),  # else another server may take the same port unseen
        ]
        self._server = grpc.aio.server(options=options, maximum_concurrent_rpcs=_MOST_CALLS)
        self._offer(
            INFERENCE,
            {
                "ServerLive": service.server_live,
                "ServerReady": service.server_ready,
                "ModelReady": service.model_ready,
                "ServerMetadata": service.server_metadata,
                "ModelMetadata": service.model_metadata,
                "ModelInfer": service.model_infer,
            },
        )
        self._offer(_HEALTH, {"Check": service.check})

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[Drain]:
        """Answer meanwhile; at the end give up the calls that are there, unless it was drained.

        Raises OSError.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"gRPC cannot listen at {address}: is its port taken?") from error
        await self._server.start()
        try:
            yield self._drain
        finally:
            self._given_up = True
            await self._server.stop(None)

    async def _drain(self) -> None:
        """Take no more calls, and let those end that are there."""
        await self._server.stop(_NEVER_SECONDS)

    def _offer(self, service: str, methods: Mapping[str, _Method]) -> None:
        """Offer methods of one message each, as streams: those let a call be refused before it."""
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            name: grpc.stream_unary_rpc_method_handler(
                self._call(f"/{service}/{name}", method, "anyone" if name in _PUBLIC else "ask")
            )
            for name, method in methods.items()
        }
        handler = grpc.method_handlers_generic_handler(service, handlers)
        self._server.add_generic_rpc_handlers([handler])

    def _call(self, path: str, method: _Method, access: Access) -> Any:
        """Stand between a method and its clients."""

        async def call(_: object, context: _Context) -> bytes:
            started = time.perf_counter()
            request = Request("POST", path, "", _headers(context), "grpc")
            self._metrics.open_requests += 1
            try:
                self._guard.check(access, request.headers)
                request.body = await self._message(context)
                reply = await method(request)
            except RequestError as error:
                return await self._refuse(request, error, context)
            except _NoMessageError:
                status = grpc.StatusCode.INVALID_ARGUMENT
                return await context.abort(status, "the call has no message, want one")
            except asyncio.CancelledError:
                kind = "failed" if self._given_up else "client_gone"
                self._metrics.errors.labels("grpc", kind, request.model).inc()
                raise
            except Exception as error:  # noqa: BLE001  the boundary: the log learns all, the client nothing
                return await self._refuse(request, refusals.failure(error), context)
            finally:
                self._metrics.open_requests -= 1
            self._metrics.count("grpc", reply.model, 200).inc()
            context.set_trailing_metadata(_id_of(reply))
            if reply.timer:
                reply.timer.observe(time.perf_counter() - started)
            if reply.afterwards:
                asyncio.get_running_loop().call_soon(reply.afterwards)
            return reply.body

        return call

    async def _message(self, context: _Context) -> bytes:
        """Wait for a call's message. Raises RequestError, _NoMessageError."""
        try:
            async with asyncio.timeout(self._message_seconds):
                message: object = await context.read()
        except TimeoutError:
            text = f"the message has not come within {self._message_seconds:g} s"
            raise RequestError(408, text) from None
        if not isinstance(message, bytes):
            raise _NoMessageError
        return message

    async def _refuse(self, request: Request, error: RequestError, context: _Context) -> bytes:
        self._metrics.count("grpc", request.model, error.status).inc()
        name = refusals.record(request, error, self._metrics)
        trailing: Headers = ((_ID, name),)
        if error.retry_after is not None:  # what clients with a retry policy read
            trailing += (("grpc-retry-pushback-ms", str(error.retry_after * 1000)),)
        status = _STATUS.get(error.status, grpc.StatusCode.INTERNAL)
        return await context.abort(status, error.message, trailing)


def _id_of(reply: Reply) -> Headers:
    return tuple(header for header in reply.headers if header[0] == _ID)


def _headers(context: _Context) -> Any:
    return dict(context.invocation_metadata() or ())
