"""`/`: the state of the loop as one page."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from services.page.addresses import addresses
from services.page.loop import look
from services.page.newest_checks import read_newest
from services.page.pages import page
from services.page.parts import parts_of


async def home(request: Request) -> Response:
    """Say whether the loop is healthy, and if not, where."""
    parts = parts_of(request)
    loop = await look(parts.prometheus)
    checks = await run_in_threadpool(read_newest, parts.settings.checks)
    reports = {newest.reports for newest in checks if newest.reports}
    return page(
        request,
        "home.html",
        loop=loop,
        checks=checks,
        addresses=addresses(parts.settings, reports),
        evidently=parts.settings.evidently_link,
    )
