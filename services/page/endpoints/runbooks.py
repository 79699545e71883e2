"""`/runbooks` and `/runbooks/<alert's name>`: what to do about an alert."""

from starlette.requests import Request
from starlette.responses import Response

from services.page.pages import page, trouble
from services.page.parts import parts_of
from services.page.runbooks import find_runbook, list_runbooks


def runbooks(request: Request) -> Response:
    """List the alerts that have one."""
    listed = list_runbooks(parts_of(request).settings.runbooks)
    return page(request, "runbooks.html", runbooks=listed)


def runbook(request: Request) -> Response:
    """Show one."""
    name = request.path_params["name"]
    found = find_runbook(parts_of(request).settings.runbooks, name)
    if found is None:
        message = f"There is no runbook for {name}. The alert's own description may help."
        return trouble(request, 404, "No such runbook", message)
    return page(request, "runbook.html", runbook=found)
