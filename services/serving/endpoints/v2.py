"""Open Inference Protocol V2 over REST: infer, metadata and readiness of models and versions.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
"""

from services.serving import open_inference
from services.serving.endpoints.asking import Asking
from services.serving.errors import RequestError
from services.serving.exchange import Reply, Request, encode_json


class V2:
    """Models by name, and by version where the address says one."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._catalog = asking.catalog

    async def server(self, request: Request) -> Reply:
        """Describe the server."""
        return Reply(b'{"name":"relay","version":"0.1.0","extensions":[]}')

    async def infer(self, request: Request, model: str, version: str | None = None) -> Reply:
        """Answer rows. Raises RequestError."""
        target = self._catalog.find(model, version)
        if "inference-header-content-length" in request.headers:
            message = "binary tensors are not taken, want JSON: set binary_data=False in the client"
            raise RequestError(400, message)
        signature = target.predictor.model.signature
        query = open_inference.read_query(request.body, signature, request.id)
        outputs, by = await self._asking.ask(request, target, query)
        content = open_inference.answer(query, outputs, model, by.predictor.ref.version)
        return self._asking.reply(encode_json(content), by, query, "v2")

    async def ready(self, request: Request, model: str, version: str | None = None) -> Reply:
        """Say that a model is served. Raises RequestError (404)."""
        self._catalog.find(model, version)
        return Reply(encode_json({"name": model, "ready": True}))

    async def model(self, request: Request, model: str, version: str | None = None) -> Reply:
        """Describe a model: its versions here, inputs and outputs. Raises RequestError (404)."""
        target = self._catalog.find(model, version)
        loaded = target.predictor.model
        served = self._catalog.served(model).values()
        content = {
            "name": model,
            "versions": sorted({predictor.ref.version for predictor in served}),
            "platform": loaded.platform,
            "inputs": [open_inference.describe(f) for f in loaded.signature.fields.values()],
            "outputs": [output.describe() for output in loaded.outputs],
            "parameters": {"version": target.predictor.ref.version, "run_id": loaded.origin.run_id},
        }
        return Reply(encode_json(content))
