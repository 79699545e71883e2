"""Which path is answered by what: the table of all endpoints, and the way through it."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from services.serving.auth import Access
from services.serving.errors import RequestError, shown
from services.serving.http.endpoints.about import About
from services.serving.http.endpoints.events import Events
from services.serving.http.endpoints.health import Health
from services.serving.http.endpoints.labels import Labels
from services.serving.http.endpoints.mlflow import Scoring
from services.serving.http.endpoints.v2 import V2
from services.serving.http.exchange import Protocol, Reply, Request


class Route(NamedTuple):
    """`{parts}` of the path are the handler's arguments; `access` says who may come."""

    method: str
    path: str
    protocol: Protocol
    handler: Callable[..., Awaitable[Reply]]
    access: Access = "ask"


def table(
    v2: V2, scoring: Scoring, labels: Labels, health: Health, about: About, events: Events | None
) -> list[Route]:
    """List every route there is."""
    model = "/v2/models/{model}"
    version = model + "/versions/{version}"
    routes = [
        Route("GET", "/v2", "v2", v2.server),
        Route("GET", "/v2/health/live", "v2", health.live, access="anyone"),
        Route("GET", "/v2/health/ready", "v2", health.ready, access="anyone"),
        Route("GET", model, "v2", v2.model),
        Route("GET", version, "v2", v2.model),
        Route("GET", model + "/ready", "v2", v2.ready),
        Route("GET", version + "/ready", "v2", v2.ready),
        Route("POST", model + "/infer", "v2", v2.infer),
        Route("POST", version + "/infer", "v2", v2.infer),
        Route("POST", "/invocations", "mlflow", scoring.invocations),
        Route("GET", "/version", "mlflow", scoring.version),
        Route("GET", "/ping", "mlflow", health.ping, access="anyone"),
        Route("GET", "/health", "mlflow", health.ping, access="anyone"),
        Route("POST", "/v1/models/{model}/labels", "relay", labels.take, access="label"),
        Route("GET", "/", "relay", about.index),
        Route("GET", "/live", "relay", health.live, access="anyone"),
        Route("GET", "/ready", "relay", health.ready, access="anyone"),
        Route("GET", "/metrics", "relay", about.metrics),
        Route("GET", "/openapi.json", "relay", about.openapi),
    ]
    if events:  # which are signed
        routes.append(Route("POST", "/v1/registry-events", "relay", events.take, access="anyone"))
    return routes


class _Place:
    """A part of a path: what can follow it, and what is here, by method."""

    def __init__(self) -> None:
        self.below: dict[str, _Place] = {}
        self.any: _Place | None = None
        self.routes: dict[str, Route] = {}
        self.protocol: Protocol = "none"


class Routes:
    """Finds the route of a request in as many steps as its path has parts."""

    def __init__(self, routes: list[Route]) -> None:
        self._root = _Place()
        for route in routes:
            place = self._root
            for part in _parts(route.path):
                if part.startswith("{"):
                    place.any = place = place.any or _Place()
                else:
                    place = place.below.setdefault(part, _Place())
            place.routes[route.method] = route
            place.protocol = route.protocol
            if route.method == "GET":
                place.routes["HEAD"] = route

    def find(self, request: Request) -> tuple[Route, list[str]]:
        """Give the route and its arguments, the protocol to the request.

        Raises RequestError (404, 405).
        """
        place = self._root
        given = []
        for part in _parts(request.path):
            if below := place.below.get(part):
                place = below
                continue
            if place.any is None:
                raise _nothing_at(request.path)
            place = place.any
            given.append(part)
        if not place.routes:
            raise _nothing_at(request.path)
        request.protocol = place.protocol
        if route := place.routes.get(request.method):
            return route, given
        raise _wrong_method(request.method, place.routes)


def _parts(path: str) -> list[str]:
    return path.strip("/").split("/")


def _nothing_at(path: str) -> RequestError:
    return RequestError(404, f"there is nothing at {shown(path)}, see /openapi.json")


def _wrong_method(method: str, routes: dict[str, Route]) -> RequestError:
    allowed = ", ".join(routes)
    message = f"method: got {shown(method)}, want {allowed}"
    return RequestError(405, message, headers={"allow": allowed})
