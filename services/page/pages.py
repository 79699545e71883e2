"""A template's name and what it says in, an HTML answer out."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from services.page.dashboards import list_dashboards
from services.page.parts import parts_of


def page(request: Request, template: str, status: int = 200, **said: Any) -> Response:
    """Render a page with the menu that all pages have."""
    parts = parts_of(request)
    said["dashboards"] = list_dashboards(parts.settings.dashboards)
    said["path"] = request.url.path
    return parts.templates.TemplateResponse(request, template, said, status_code=status)


def trouble(request: Request, status: int, title: str, message: str) -> Response:
    """Say in a page of its own why there is nothing to see, and what to do."""
    return page(request, "trouble.html", status, title=title, message=message)
