"""`/alerts`, the trail that people read, and `POST /v1/alerts`, which Alertmanager writes to."""

import logging

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.page.notifications import WrongPayloadError, read_notification
from services.page.pages import page
from services.page.parts import parts_of
from services.page.runbooks import list_runbooks
from services.page.trail import Filter

SHOWN = 200
FILTERS = ("name", "model", "severity", "status")
log = logging.getLogger(__name__)


def alerts(request: Request) -> Response:
    """Show the newest entries that fit the filters in the query."""
    parts = parts_of(request)
    wanted = Filter(**{name: request.query_params.get(name, "").strip() for name in FILTERS})
    found = parts.trail.newest(wanted, SHOWN)
    known = {listed.name for listed in list_runbooks(parts.settings.runbooks)}
    return page(request, "alerts.html", found=found, wanted=wanted, runbooks=known)


async def take_notification(request: Request) -> Response:
    """Answer 200 once the notification is on disk; 4xx names what is wrong with it, 503 retries.

    Only JSON is taken: another site's form, sent by a person's browser, cannot say that it is.
    """
    parts = parts_of(request)
    count = parts.metrics.notifications
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        count.labels("refused").inc()
        return _refusal(415, "content-type", f"got {kind!r}, want application/json")
    try:
        notification = read_notification(await request.body())
    except WrongPayloadError as error:
        count.labels("refused").inc()
        return _refusal(400, error.field, str(error))
    try:
        await run_in_threadpool(parts.trail.keep, notification)
    except OSError as error:
        count.labels("failed").inc()
        log.error("a notification could not be written: %s", error)
        return _refusal(503, "", f"the trail cannot be written, send it again: {error.strerror}")
    count.labels("kept").inc()
    return JSONResponse({"kept": len(notification.alerts)})


def _refusal(status: int, field: str, message: str) -> Response:
    return JSONResponse({"error": message, "field": field}, status)
