"""What every answer goes through: headers that keep a browser strict, and a count of it."""

from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.page.metrics import Metrics

HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}
_RAW = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


class StrictHeaders:
    """Puts `HEADERS` on every answer; nothing is kept by caches without asking again."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does, with the headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_RAW, (b"cache-control", b"no-cache")]
            await send(message)

        await self._app(scope, receive, send_with_headers)


class CountRequests:
    """Counts answers by route, never by address: anyone may invent addresses."""

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: list[Route]) -> None:
        self._app, self._metrics, self._routes = app, metrics, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the app does, and count it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._metrics.requests.labels(self._route(scope), message["status"]).inc()
            await send(message)

        await self._app(scope, receive, send_counted)

    def _route(self, scope: Scope) -> str:
        fitting = (route for route in self._routes if route.matches(scope)[0] is Match.FULL)
        return next((route.path for route in fitting), "other")
