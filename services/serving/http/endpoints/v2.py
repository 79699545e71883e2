"""Open Inference Protocol V2 over REST: infer, metadata and readiness of models and versions.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
"""

from services.serving.http.endpoints.asking import Asking
from services.serving.http.exchange import Reply, Request, encode_json
from services.serving.models.signature import Signature
from services.serving.protocols import binary_tensors, open_inference
from services.serving.protocols.infer_request import Asked
from services.serving.queries import Query

_BINARY = (("content-type", "application/octet-stream"),)


class V2:
    """Models by name, and by version where the address says one."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._catalog = asking.catalog

    async def server(self, request: Request) -> Reply:
        """Describe the server."""
        return Reply(encode_json(open_inference.SERVER))

    async def infer(self, request: Request, model: str, version: str | None = None) -> Reply:
        """Answer rows. Raises RequestError."""
        target = self._asking.find(request, model, version)
        asked, query = _read(request, target.predictor.model.signature)
        wish = binary_tensors.read_wish(asked)
        outputs, by = await self._asking.ask(request, target, query)
        version = by.predictor.ref.version
        binary = wish.among(outputs) if wish else frozenset()
        if not binary:
            content = open_inference.answer(query, outputs, model, version)
            return self._asking.reply(encode_json(content), by, query, "v2")
        body, json_bytes = binary_tensors.answer(query, outputs, model, version, binary)
        headers = (*_BINARY, (binary_tensors.HEADER, str(json_bytes)))
        return self._asking.reply(body, by, query, "v2", headers)

    async def ready(self, request: Request, model: str, version: str | None = None) -> Reply:
        """Say that a model is served. Raises RequestError (404)."""
        self._catalog.find(model, version)
        return Reply(encode_json({"name": model, "ready": True}))

    async def model(self, request: Request, model: str, version: str | None = None) -> Reply:
        """Describe a model: its versions here, inputs and outputs. Raises RequestError (404)."""
        return Reply(encode_json(self._asking.describe(model, version)))


def _read(request: Request, signature: Signature) -> tuple[Asked, Query]:
    json_bytes = request.headers.get(binary_tensors.HEADER)
    if json_bytes is None:
        return open_inference.read_query(request.body, signature, request.id)
    asked = binary_tensors.read_request(request.body, json_bytes)
    return asked, open_inference.build_query(asked, signature, request.id)
