"""`/live`, `/ready` and `/metrics`."""

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from services.page.parts import parts_of


def live(_: Request) -> Response:
    """The process runs."""
    return PlainTextResponse("live\n")


def ready(request: Request) -> Response:
    """An alert that is told now would be kept. Prometheus may be away: the page says so."""
    try:
        parts_of(request).trail.prepare()
    except OSError as error:
        return JSONResponse({"ready": False, "reason": f"{error.filename}: {error.strerror}"}, 503)
    return JSONResponse({"ready": True})


def metrics(request: Request) -> Response:
    """What the page counts, for Prometheus."""
    return Response(parts_of(request).metrics.render(), media_type=CONTENT_TYPE_LATEST)
