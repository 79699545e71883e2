"""HTTP in, answers out: reads the body within its limit, routes, and gives every refusal a face.

An RSGI application (https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md).
"""

import logging
import time
from typing import Any

import msgspec
from granian.rsgi import HTTPProtocol, ProtocolClosed, Scope

from services.serving.errors import RequestError
from services.serving.metrics import Metrics
from services.serving.routes import Reply, Request, Routes, protocol_of

_log = logging.getLogger(__name__)


class App:
    """The boundary: what happens inside comes out as an answer, never as a stack trace."""

    def __init__(self, routes: Routes, metrics: Metrics, max_body_bytes: int) -> None:
        self._routes = routes
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes

    async def __rsgi__(self, scope: Scope, proto: HTTPProtocol) -> None:
        """Answer one request."""
        started = time.perf_counter()
        protocol = protocol_of(scope.path)
        self._metrics.in_flight.inc()
        try:
            reply = await self._answer(scope, proto, protocol)
            proto.response_bytes(reply.status, reply.headers, reply.body)
        except ProtocolClosed:  # the client has gone away
            self._metrics.errors.labels(protocol, "client_gone").inc()
            return
        finally:
            self._metrics.in_flight.dec()
        self._metrics.requests.labels(protocol, reply.model, str(reply.status)).inc()
        if reply.model:
            seconds = time.perf_counter() - started
            self._metrics.latency.labels(protocol, reply.model).observe(seconds)
        if reply.afterwards:
            reply.afterwards()

    async def _answer(self, scope: Scope, proto: HTTPProtocol, protocol: str) -> Reply:
        try:
            _refuse_foreign_page(scope)
            body = await self._body(scope, proto) if scope.method == "POST" else b""
            request = Request(scope.method, scope.path, scope.query_string, scope.headers, body)
            return await self._routes.answer(request)
        except RequestError as error:
            kind = "refused" if error.status < 500 else "unavailable"
            return self._refuse(scope, protocol, error, kind)
        except ProtocolClosed:
            raise
        except Exception:  # noqa: BLE001  the boundary: the log learns all, the client nothing
            _log.exception("a request failed", extra={"path": scope.path})
            return self._refuse(scope, protocol, RequestError(500, "internal error"), "failed")

    def _refuse(self, scope: Scope, protocol: str, error: RequestError, kind: str) -> Reply:
        self._metrics.errors.labels(protocol, kind).inc()
        fields = {"path": scope.path, "status": error.status, "error": error.message}
        if error.status >= 500 and error.__cause__:  # ours, and not for the client
            fields["cause"] = str(error.__cause__)
        _log.info("refused", extra=fields)
        if protocol == "mlflow":
            code = "BAD_REQUEST" if error.status < 500 else "TEMPORARILY_UNAVAILABLE"
            content: dict[str, Any] = {"error_code": code, "message": error.message}
        else:
            content = {"error": error.message}
        if error.field is not None:
            content["field"] = error.field
        return Reply(msgspec.json.encode(content), status=error.status)

    async def _body(self, scope: Scope, proto: HTTPProtocol) -> bytes:
        """Read a body; one that is too large is refused before it is read, or on the way."""
        limit = self._max_body_bytes
        length = scope.headers.get("content-length")
        if length is not None:
            if int(length) > limit:
                raise _too_large(f"{length} bytes", limit)
            whole: bytes = await proto()
            return whole
        body = bytearray()
        async for chunk in proto:
            body += chunk
            if len(body) > limit:
                raise _too_large("more", limit)
        return bytes(body)


def _too_large(size: str, limit: int) -> RequestError:
    return RequestError(413, f"the body has {size}, want at most {limit} bytes: send fewer rows")


def _refuse_foreign_page(scope: Scope) -> None:
    """A page that a person has open elsewhere may not post here through their browser.

    Browsers say where a page is from; programs do not. (https://fetch.spec.whatwg.org/#origin-header)
    """
    origin = scope.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != scope.headers.get("host"):
        raise RequestError(
            403, f"a page of {origin!r} may not ask: only programs, and our own pages"
        )
