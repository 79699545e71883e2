"""`/d/<uid>` and the JSON behind it: Grafana's dashboards, drawn by the browser."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.page.dashboards import find_dashboard
from services.page.pages import page, trouble
from services.page.parts import parts_of


def dashboard(request: Request) -> Response:
    """Answer with the page that draws a dashboard."""
    settings, uid = parts_of(request).settings, request.path_params["uid"]
    found = find_dashboard(settings.dashboards, uid)
    if found is None:
        return trouble(request, 404, "No such dashboard", f"There is no dashboard {uid}.")
    title, scrape = found.get("title", uid), settings.page_scrape_seconds
    return page(request, "dashboard.html", title=title, uid=uid, scrape=scrape)


def dashboard_json(request: Request) -> Response:
    """Answer with a dashboard's JSON, text panels rendered."""
    uid = request.path_params["uid"]
    found = find_dashboard(parts_of(request).settings.dashboards, uid)
    if found is None:
        return JSONResponse({"error": f"there is no dashboard {uid}"}, 404)
    return JSONResponse(found)
