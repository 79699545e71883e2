"""Settings in, the page as an ASGI application out."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from services.page.endpoints.alerts import alerts, take_notification
from services.page.endpoints.dashboards import dashboard, dashboard_json
from services.page.endpoints.health import live, metrics, ready
from services.page.endpoints.home import home
from services.page.endpoints.leading import report, run
from services.page.endpoints.proxy import ask_prometheus
from services.page.endpoints.runbooks import runbook, runbooks
from services.page.guards import CountRequests, StrictHeaders
from services.page.pages import trouble
from services.page.parts import HERE, put_together
from services.page.settings import PageSettings


def create_app(settings: PageSettings) -> Starlette:
    """Put the page together."""
    parts = put_together(settings)
    routes = _routes(settings)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with parts.client:
            yield

    app = Starlette(
        routes=[*routes, Mount("/static", StaticFiles(directory=HERE / "static"))],
        middleware=[
            Middleware(StrictHeaders),
            Middleware(CountRequests, metrics=parts.metrics, routes=routes),
            Middleware(TrustedHostMiddleware, allowed_hosts=settings.page_allowed_hosts),
        ],
        exception_handlers={404: _not_found},
        lifespan=lifespan,
    )
    app.state.parts = parts
    return app


def _routes(settings: PageSettings) -> list[Route]:
    limit = settings.page_max_notification_bytes
    return [
        Route("/", home),
        Route("/d/{uid}", dashboard),
        Route("/api/dashboards/{uid}", dashboard_json),
        Route("/api/prometheus/api/v1/{path:path}", ask_prometheus),
        Route("/runbooks", runbooks),
        Route("/runbooks/{name}", runbook),
        Route("/alerts", alerts),
        Route("/v1/alerts", take_notification, methods=["POST"], max_body_size=limit),
        Route("/go/report/{model}", report),
        Route("/go/run/{model}/{version}", run),
        Route("/live", live),
        Route("/ready", ready),
        Route("/metrics", metrics),
    ]


async def _not_found(request: Request, _: Exception) -> Response:
    return trouble(request, 404, "Nothing here", f"There is no page {request.url.path}.")
