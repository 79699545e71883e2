"""gRPC calls in, the service's answers out: every refusal is a status, never a stack trace."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from services.serving.errors import RequestError
from services.serving.exchange import Reply, Request
from services.serving.grpc.service import Service
from services.serving.metrics import Metrics

_SERVICE = "inference.GRPCInferenceService"
_STATUS = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}
_Context = grpc.aio.ServicerContext[bytes, bytes]
_Method = Callable[[Request], Awaitable[Reply]]
_log = logging.getLogger(__name__)


class GrpcServer:
    """The boundary of gRPC, on a port of its own and the event loop of all."""

    def __init__(self, service: Service, metrics: Metrics, max_message_bytes: int) -> None:
        self._metrics = metrics
        options = [
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.so_reuseport", 0),  # else another server may take the same port unseen
        ]
        self._server = grpc.aio.server(options=options)
        methods: dict[str, _Method] = {
            "ServerLive": service.server_live,
            "ServerReady": service.server_ready,
            "ModelReady": service.model_ready,
            "ServerMetadata": service.server_metadata,
            "ModelMetadata": service.model_metadata,
            "ModelInfer": service.model_infer,
        }
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(self._call(f"/{_SERVICE}/{name}", method))
            for name, method in methods.items()
        }
        self._server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(_SERVICE, handlers)]
        )

    async def start(self, host: str, port: int) -> None:
        """Listen. Raises OSError."""
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"gRPC cannot listen at {address}: is its port taken?") from error
        await self._server.start()

    async def stop(self, seconds: float) -> None:
        """Take no more calls, and give those that are there this long to end."""
        await self._server.stop(seconds)

    def _call(self, path: str, method: _Method) -> Any:
        async def call(body: bytes, context: _Context) -> bytes:
            started = time.perf_counter()
            headers: Any = dict(context.invocation_metadata() or ())
            self._metrics.in_flight.inc()
            try:
                reply = await method(Request("POST", path, "", headers, "grpc", body))
            except RequestError as error:
                return await self._refuse(path, error, context)
            except Exception:  # noqa: BLE001  the boundary: the log learns all, the client nothing
                _log.exception("a request failed", extra={"path": path})
                return await self._refuse(path, RequestError(500, "internal error"), context)
            finally:
                self._metrics.in_flight.dec()
            self._metrics.requests.labels("grpc", reply.model, "200").inc()
            if reply.timer:
                reply.timer.observe(time.perf_counter() - started)
            if afterwards := reply.afterwards:
                context.add_done_callback(lambda _: afterwards())
            return reply.body

        return call

    async def _refuse(self, path: str, error: RequestError, context: _Context) -> bytes:
        kind = "refused" if error.status < 500 else "unavailable"
        self._metrics.requests.labels("grpc", "", str(error.status)).inc()
        self._metrics.errors.labels("grpc", "failed" if error.status == 500 else kind).inc()
        fields = {"path": path, "status": error.status, "error": error.message}
        _log.info("refused", extra=fields)
        trailing: tuple[tuple[str, str], ...] = ()
        if error.retry_after is not None:  # what clients with a retry policy read
            trailing = (("grpc-retry-pushback-ms", str(error.retry_after * 1000)),)
        status = _STATUS.get(error.status, grpc.StatusCode.INTERNAL)
        return await context.abort(status, error.message, trailing)
