"""The routes and what is served in, their description as OpenAPI 3.1 out.

https://spec.openapis.org/oas/v3.1.0. Summaries are the handlers' own first lines, schemas are made
of the structs that are decoded, examples are rows that the served models answer.
"""

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import msgspec

from services.serving.http.endpoints import answers
from services.serving.http.endpoints.labels import GivenLabels, TakenLabels
from services.serving.http.refusals import MlflowRefusal, Refusal
from services.serving.http.routes import Route
from services.serving.models.fields import Field
from services.serving.models.signature import Signature
from services.serving.protocols.infer_request import InferRequest
from services.serving.versions.catalog import Catalog

_Struct = type[msgspec.Struct]
_JSON = "application/json"
_METRICS = "text/plain; version=0.0.4; charset=utf-8"
_READ = (401, 403)
_ASKED = (400, 401, 403, 404, 408, 413, 415, 503)
_WORDS = {
    200: "As asked",
    202: "Taken",
    400: "Something in the request is not as wanted; the message names it",
    401: "A token is wanted",
    403: "A page of another site may not ask",
    404: "No such model or version is served",
    408: "The body has not come in time",
    413: "Too large",
    415: "A content type or encoding that is not taken",
    503: "Not now: see Retry-After",
}


class _Operation(NamedTuple):
    """What a route takes and gives: structs, or None for a body that has no schema."""

    gives: _Struct | None = None
    refuses: tuple[int, ...] = _READ
    takes: _Struct | None = None
    kinds: tuple[str, ...] = (_JSON,)
    media: str = _JSON
    status: int = 200
    headers: tuple[str, ...] = ()


_SIGNED = ("x-mlflow-signature", "x-mlflow-delivery-id", "x-mlflow-timestamp")
_INFER = _Operation(answers.Inferred, _ASKED, InferRequest)
_OPERATIONS = {
    "V2.server": _Operation(answers.Server),
    "V2.model": _Operation(answers.Model, (*_READ, 404)),
    "V2.ready": _Operation(answers.ModelReady, (*_READ, 404)),
    "V2.infer": _INFER,
    "Scoring.invocations": _Operation(
        answers.Predictions, _ASKED, answers.Invocation, (_JSON, "text/csv")
    ),
    "Scoring.version": _Operation(refuses=(400, *_READ, 404, 503)),
    "Labels.take": _Operation(TakenLabels, _ASKED, GivenLabels),
    "Health.live": _Operation(answers.Live, (403,)),
    "Health.ready": _Operation(answers.Ready, (403, 503)),
    "Health.ping": _Operation(refuses=(403, 503)),
    "About.index": _Operation(),
    "About.metrics": _Operation(media=_METRICS),
    "About.openapi": _Operation(),
    "Events.take": _Operation(answers.Accepted, _ASKED, answers.Event, status=202, headers=_SIGNED),
}


def describe(routes: Iterable[Route], catalog: Catalog) -> dict[str, Any]:
    """Build the document."""
    structs: set[_Struct] = {Refusal, MlflowRefusal}
    structs.update(t for o in _OPERATIONS.values() for t in (o.gives, o.takes) if t)
    _, schemas = msgspec.json.schema_components(
        sorted(structs, key=lambda struct: struct.__name__),
        ref_template="#/components/schemas/{name}",
    )
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        place = paths.setdefault(route.path, {})
        place[route.method.lower()] = _operation(route, _OPERATIONS[_name(route)], catalog)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Relay serving", "version": "0.1.0"},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _name(route: Route) -> str:
    name: str = route.handler.__qualname__
    return name


def _operation(route: Route, does: _Operation, catalog: Catalog) -> dict[str, Any]:
    refusal = MlflowRefusal if route.protocol == "mlflow" else Refusal
    described: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{route.method.lower()}{route.path}"),
        "summary": (route.handler.__doc__ or "").partition("\n")[0].partition(" Raises")[0],
        "tags": [route.protocol],
        "parameters": [
            *(_parameter(name, catalog) for name in re.findall(r"{(\w+)}", route.path)),
            *(_header(name) for name in does.headers),
        ],
        "responses": {
            str(does.status): _response(does.status, does.media, does.gives),
            **{str(status): _response(status, _JSON, refusal) for status in does.refuses},
        },
        "security": [{}] if route.access == "anyone" else [{}, {"token": []}],
    }
    if route.method == "POST":
        described["requestBody"] = _body(route, does, catalog)
    return described


def _parameter(name: str, catalog: Catalog) -> dict[str, Any]:
    """Describe a part of a path; its examples are the models and versions that are served."""
    served = catalog.refs()
    versions = {ref.version for refs in served.values() for ref in refs.values()}
    known = sorted(served if name == "model" else versions)
    examples = {"examples": {each: {"value": each} for each in known}} if known else {}
    schema = {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "schema": schema, **examples}


def _header(name: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": True, "schema": {"type": "string"}}


def _response(status: int, media: str, struct: _Struct | None) -> dict[str, Any]:
    return {"description": _WORDS[status], "content": {media: _schema(struct)}}


def _schema(struct: _Struct | None) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{struct.__name__}"}} if struct else {}


def _body(route: Route, does: _Operation, catalog: Catalog) -> dict[str, Any]:
    content: dict[str, Any] = {kind: {} for kind in does.kinds}
    content[_JSON] = _schema(does.takes)
    if example := _EXAMPLES.get(_name(route)):
        content[_JSON]["examples"] = {
            name: {"value": example(served["champion"].model.signature)}
            for name, served in catalog.models.items()
            if "champion" in served
        }
    return {"required": True, "content": content}


def _row(signature: Signature) -> dict[str, Any]:
    return {"inputs": [_tensor(field) for field in signature.fields.values()]}


def _instance(signature: Signature) -> dict[str, Any]:
    return {"instances": [{field.name: _value(field) for field in signature.fields.values()}]}


def _label(signature: Signature) -> dict[str, Any]:
    return {"labels": [{"id": "an-id", "label": 1, "time": "2013-07-01T12:00:00Z"}]}


def _tensor(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "shape": [1, *field.smallest],
        "datatype": field.kind.datatype,
        "data": [field.neutral] * math.prod(field.smallest),
    }


def _value(field: Field) -> Any:
    value: Any = field.neutral
    for size in reversed(field.smallest):
        value = [value] * size
    return value


_EXAMPLES: dict[str, Callable[[Signature], dict[str, Any]]] = {
    "V2.infer": _row,
    "Scoring.invocations": _instance,
    "Labels.take": _label,
}
