"""MLflow's scoring protocol: `/invocations` and `/version`, for the one model or `?model=`.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/#inference-server-specification
"""

from urllib.parse import parse_qs

from services.serving.http.endpoints.asking import Asking
from services.serving.http.exchange import Reply, Request, encode_json
from services.serving.protocols import scoring


class Scoring:
    """What clients of `mlflow models serve` ask."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._catalog = asking.catalog

    async def invocations(self, request: Request) -> Reply:
        """Answer rows. Raises RequestError."""
        target = self._asking.find(request, self._chosen(request))
        signature = target.predictor.model.signature
        kind = request.headers.get("content-type", scoring.JSON)
        query = scoring.read_query(request.body, signature, request.id, kind)
        outputs, by = await self._asking.ask(request, target, query)
        content = scoring.answer(outputs, by.predictor.model.form)
        return self._asking.reply(encode_json(content), by, query, "mlflow")

    async def version(self, request: Request) -> Reply:
        """Say which MLflow wrote the model, as bare text."""
        target = self._catalog.find(self._chosen(request))
        return Reply(target.predictor.model.origin.mlflow_version.encode())

    def _chosen(self, request: Request) -> str:
        if not request.query:
            return self._catalog.only()
        return parse_qs(request.query).get("model", [""])[0] or self._catalog.only()
