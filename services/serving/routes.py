"""Which path is answered by what: Open Inference V2, MLflow's scoring protocol, labels, health."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs

import msgspec
from granian.rsgi import Headers

from monitoring.prediction_log import PredictionLog
from services.serving import answering, labels, open_inference, scoring
from services.serving.answering import Answer
from services.serving.catalog import Catalog, Target
from services.serving.errors import RequestError
from services.serving.metrics import Metrics
from services.serving.model import Model
from services.serving.queries import Query
from services.serving.shadow import Shadow
from services.serving.webhook import Webhook

Protocol = Literal["v2", "mlflow", "labels", "health"]
_JSON = [("content-type", "application/json")]
_TEXT = [("content-type", "text/plain; version=0.0.4; charset=utf-8")]
_ENCODER = msgspec.json.Encoder()


@dataclass(slots=True)
class Request:
    """A request whose body has been read."""

    method: str
    path: str
    query: str
    headers: Headers
    body: bytes


@dataclass(slots=True)
class Reply:
    """What goes to the client, and what is done once it has gone."""

    body: bytes
    model: str = ""
    status: int = 200
    headers: list[tuple[str, str]] | Any = None
    afterwards: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        self.headers = self.headers or _JSON


def protocol_of(path: str) -> Protocol:
    """Sort a path, for metrics and for how an error looks."""
    if path.startswith("/v2/models/"):
        return "v2"
    if path in ("/invocations", "/ping", "/health", "/version"):
        return "mlflow"
    return "labels" if path.startswith("/v1/") else "health"


class Routes:
    """Answers requests from the catalog."""

    def __init__(
        self,
        catalog: Catalog,
        log: PredictionLog,
        shadow: Shadow,
        metrics: Metrics,
        webhook: Webhook | None = None,
    ) -> None:
        self._catalog = catalog
        self._log = log
        self._shadow = shadow
        self._metrics = metrics
        self._webhook = webhook

    async def answer(self, request: Request) -> Reply:
        """Answer, or raise RequestError."""
        method = request.method
        match request.path.strip("/").split("/"):
            case ["v2", "models", model, *rest] if len(rest) in (1, 3) and rest[-1] == "infer":
                _want("POST", method)
                return await self._infer(request, model, _version(rest[:-1]))
            case ["invocations"]:
                _want("POST", method)
                return await self._invoke(request)
            case ["v1", "models", model, "labels"]:
                _want("POST", method)
                return self._take_labels(request, model)
            case ["v1", "registry-events"] if self._webhook:
                _want("POST", method)
                self._webhook.receive(request.headers, request.body)
                return Reply(b'{"accepted":true}', status=202)
            case parts:
                reply = self._tell(parts)
                _want("GET", method)
                return reply

    async def _infer(self, request: Request, model: str, version: str | None) -> Reply:
        target = self._catalog.find(model, version)
        if "inference-header-content-length" in request.headers:
            message = "binary tensors are not taken, want JSON: set binary_data=False in the client"
            raise RequestError(400, message)
        query = open_inference.read_query(request.body, target.predictor.model.signature)
        outputs, by = await self._ask(request, target, query)
        content = open_inference.answer(query, outputs, model, by.predictor.ref.version)
        return self._reply(content, by, query)

    async def _invoke(self, request: Request) -> Reply:
        kind = request.headers.get("content-type", "application/json")
        kind = kind.partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RequestError(415, f"content-type: got {kind!r}, want application/json")
        chosen = parse_qs(request.query).get("model", [""])[0] or self._catalog.only()
        target = self._catalog.find(chosen)
        signature = target.predictor.model.signature
        query = scoring.read_query(request.body, signature, request.headers.get("x-request-id"))
        outputs, by = await self._ask(request, target, query)
        return self._reply(scoring.answer(outputs, signature), by, query)

    async def _ask(self, request: Request, target: Target, query: Query) -> Answer:
        _check_outputs(query.wanted_outputs, target.predictor.model)
        query.key = query.key or request.headers.get("x-relay-key", "")
        return await answering.answer(target, query, self._metrics)

    def _reply(self, content: dict[str, Any], target: Target, query: Query) -> Reply:
        shadow = target.shadow
        return Reply(
            _ENCODER.encode(content),
            target.predictor.ref.model,
            headers=[*_JSON, ("x-request-id", query.id)],
            afterwards=(lambda: self._shadow.offer(shadow, query)) if shadow else None,
        )

    def _take_labels(self, request: Request, model: str) -> Reply:
        self._catalog.served(model)
        taken = labels.take(request.body, model, self._log, self._metrics)
        return Reply(_ENCODER.encode(taken), model)

    def _tell(self, parts: list[str]) -> Reply:
        match parts:
            case ["live"] | ["v2", "health", "live"]:
                return Reply(b'{"live":true}')
            case ["ready"] | ["v2", "health", "ready"]:
                self._catalog.want_ready()
                return Reply(b'{"ready":true}')
            case ["ping"] | ["health"]:
                self._catalog.want_ready()
                return Reply(b"\n")
            case ["version"]:
                target = self._catalog.find(self._catalog.only())
                return Reply(target.predictor.model.origin.mlflow_version.encode())
            case ["metrics"]:
                return Reply(self._metrics.render(), headers=_TEXT)
            case ["v2"]:
                return Reply(b'{"name":"relay","version":"0.1.0","extensions":[]}')
            case ["v2", "models", model, *rest]:
                return self._tell_of(model, rest)
        raise RequestError(404, f"there is nothing at /{'/'.join(parts)}")

    def _tell_of(self, model: str, rest: list[str]) -> Reply:
        ready = rest[-1:] == ["ready"]
        target = self._catalog.find(model, _version(rest[:-1] if ready else rest))
        if ready:
            return Reply(_ENCODER.encode({"name": model, "ready": True}))
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
        return Reply(_ENCODER.encode(content))


def _check_outputs(wanted: tuple[str, ...], model: Model) -> None:
    names = [output.name for output in model.outputs]
    for name in wanted:
        if name not in names:
            raise RequestError(400, f"output {name!r} is not given, want some of {names}", name)


def _version(rest: list[str]) -> str | None:
    match rest:
        case []:
            return None
        case ["versions", version]:
            return version
    raise RequestError(404, f"there is nothing at .../{'/'.join(rest)}")


def _want(method: str, got: str) -> None:
    if got != method:
        raise RequestError(405, f"method: got {got}, want {method}")
