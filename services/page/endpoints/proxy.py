"""`/api/prometheus/api/v1/...`: the part of Prometheus' API that only reads, by GET alone.

https://prometheus.io/docs/prometheus/latest/querying/api/
"""

import re

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.page.parts import parts_of
from services.page.prometheus import PrometheusError

_READ_ONLY = re.compile(r"query|query_range|labels|series|label/[a-zA-Z_][a-zA-Z0-9_]*/values")


async def ask_prometheus(request: Request) -> Response:
    """Hand a question on, and the answer back."""
    path = request.path_params["path"]
    if not _READ_ONLY.fullmatch(path):
        return _error(404, "not_found", f"/api/v1/{path} is not offered here, ask Prometheus")
    try:
        status, body = await parts_of(request).prometheus.get(path, request.url.query)
    except PrometheusError as error:
        return _error(error.status, "unavailable", str(error))
    return Response(body, status, media_type="application/json")


def _error(status: int, kind: str, message: str) -> Response:
    """Answer as Prometheus itself answers what it refuses."""
    return JSONResponse({"status": "error", "errorType": kind, "error": message}, status)
