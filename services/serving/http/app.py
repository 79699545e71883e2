"""HTTP in, answers out: the boundary. Finds the route, reads the body, gives every refusal a face.

An RSGI application (https://github.com/emmett-framework/granian/blob/master/docs/spec/RSGI.md).
"""

import time

from granian.rsgi import HTTPProtocol, ProtocolClosed, Scope

from services.serving.auth import Guard
from services.serving.errors import RequestError
from services.serving.http import refusals
from services.serving.http.bodies import Bodies
from services.serving.http.compression import WORTH_BYTES, compress
from services.serving.http.endpoints.health import Health
from services.serving.http.exchange import Reply, Request
from services.serving.http.origins import Origins
from services.serving.http.routes import Routes
from services.serving.metrics import Metrics


class App:
    """What happens inside comes out as an answer, never as a stack trace."""

    def __init__(
        self,
        routes: Routes,
        bodies: Bodies,
        guard: Guard,
        origins: Origins,
        health: Health,
        metrics: Metrics,
    ) -> None:
        self._routes = routes
        self._bodies = bodies
        self._guard = guard
        self._origins = origins
        self._health = health
        self._metrics = metrics

    async def __rsgi__(self, scope: Scope, proto: HTTPProtocol) -> None:
        """Answer one request."""
        started = time.perf_counter()
        metrics = self._metrics
        metrics.open_requests += 1
        request = Request(scope.method, scope.path, scope.query_string, scope.headers)
        try:
            reply = await self._reply(request, proto)
            if self._health.leaving:
                reply.headers = (*reply.headers, ("connection", "close"))
            if len(reply.body) >= WORTH_BYTES:
                _compress(reply, request)
            proto.response_bytes(reply.status, reply.headers, reply.body)
        except ProtocolClosed:  # the client has gone away
            metrics.errors.labels(request.protocol, "client_gone", request.model).inc()
            return
        finally:
            metrics.open_requests -= 1
            self._bodies.release(request)
        metrics.count(request.protocol, reply.model, reply.status).inc()
        if reply.timer:
            reply.timer.observe(time.perf_counter() - started)
        if reply.afterwards:
            reply.afterwards()

    async def _reply(self, request: Request, proto: HTTPProtocol) -> Reply:
        try:
            route, given = self._routes.find(request)
            self._origins.check(request.headers)
            self._guard.check(route.access, request.headers)
            if request.method == "POST":
                public = route.access == "anyone"
                request.body = await self._bodies.read(request, proto, public=public)
            return await route.handler(request, *given)
        except RequestError as error:
            return self._refuse(request, error)
        except ProtocolClosed:
            raise
        except Exception as error:  # noqa: BLE001  the boundary: the log learns all, the client nothing
            return self._refuse(request, refusals.failure(error))

    def _refuse(self, request: Request, error: RequestError) -> Reply:
        return refusals.reply(request, error, refusals.record(request, error, self._metrics))


def _compress(reply: Reply, request: Request) -> None:
    body, encoding = compress(reply.body, request.headers.get("accept-encoding") or "")
    if encoding:
        reply.body = body
        reply.headers = (*reply.headers, ("content-encoding", encoding))
