"""What the server says of itself: where things are, its metrics and its description."""

from collections.abc import Callable
from typing import Any

from services.serving.http.exchange import Reply, Request, encode_json
from services.serving.metrics import Metrics

_TEXT = (("content-type", "text/plain; version=0.0.4; charset=utf-8"),)
_LINKS = {
    "name": "relay",
    "health": ["/live", "/ready"],
    "open inference protocol": "/v2",
    "mlflow scoring": "/invocations",
    "labels": "/v1/models/{model}/labels",
    "metrics": "/metrics",
    "openapi": "/openapi.json",
}


class About:
    """For people who look around, and for Prometheus."""

    def __init__(self, metrics: Metrics, describe: Callable[[], dict[str, Any]]) -> None:
        self._metrics = metrics
        self._describe = describe

    async def index(self, request: Request) -> Reply:
        """Say where things are."""
        return Reply(encode_json(_LINKS))

    async def openapi(self, request: Request) -> Reply:
        """Describe all that can be asked, as OpenAPI does."""
        return Reply(encode_json(self._describe()))

    async def metrics(self, request: Request) -> Reply:
        """Give all metrics in Prometheus' text format."""
        return Reply(self._metrics.render(), headers=_TEXT)
