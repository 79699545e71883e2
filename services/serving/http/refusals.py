"""A request that is not answered in, the reply that says why out: the one home of error shapes.

All have the message; MLflow's clients read it beside a code from its own list
(https://github.com/mlflow/mlflow/blob/master/mlflow/protos/databricks.proto), the others under
`error`. `field` says which part of the request is meant, where it is one.
"""

import logging

import msgspec

from services.serving.errors import RequestError
from services.serving.http.exchange import JSON, Reply, Request, encode_json
from services.serving.metrics import Metrics
from services.serving.protocols import binary_tensors
from services.serving.queries import checked_id

_log = logging.getLogger(__name__)
_MLFLOW_CODES = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    413: "REQUEST_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "TEMPORARILY_UNAVAILABLE",
}


class Refusal(msgspec.Struct, omit_defaults=True):
    """A refusal's body in Open Inference and in what is ours."""

    error: str
    field: str | None = None


class MlflowRefusal(msgspec.Struct, omit_defaults=True):
    """A refusal's body in MLflow's scoring protocol."""

    error_code: str
    message: str
    field: str | None = None


def failure(cause: Exception) -> RequestError:
    """Make a refusal of what should not have happened: the log learns all, the client nothing."""
    error = RequestError(500, "internal error")
    error.__cause__ = cause
    return error


def record(request: Request, error: RequestError, metrics: Metrics) -> str:
    """Count and log a refusal; give the id that it goes by."""
    kind, name = _kind(error), _id_of(request)
    metrics.errors.labels(request.protocol, kind, request.model).inc()
    about = {"id": name, "path": request.path, "status": error.status, "error": error.message}
    if kind == "failed":
        _log.error("a request failed", exc_info=error.__cause__, extra=about)
        return name
    if error.status >= 500 and error.__cause__:  # ours, and not for the client
        about["cause"] = str(error.__cause__)
    _log.info("refused", extra=about)
    return name


def reply(request: Request, error: RequestError, id: str) -> Reply:  # noqa: A002
    """Build the reply, in the shape of the request's protocol."""
    headers = (*JSON, ("x-request-id", id), *error.headers.items())
    if error.retry_after is not None:
        headers += (("retry-after", str(error.retry_after)),)
    return Reply(encode_json(_body(request, error)), request.model, error.status, headers)


def _kind(error: RequestError) -> str:
    """Sort a refusal: the client's doing, or ours."""
    if error.status < 500:
        return "refused"
    return "unavailable" if error.status == 503 else "failed"


def _id_of(request: Request) -> str:
    """Find the client's id, if it is one; else make one."""
    for given in (request.message_id, _id_in(request), request.id):
        try:
            if given:
                return checked_id(given)
        except RequestError:
            continue  # it is no id; that may be just what is refused
    return checked_id(None)


class _Named(msgspec.Struct):
    id: str | None = None


def _id_in(request: Request) -> str | None:
    """Look into the body's JSON, behind which there may be binary tensors."""
    length = request.headers.get(binary_tensors.HEADER, "")
    end = int(length) if length.isdecimal() and len(length) < 20 else None
    try:
        return msgspec.json.decode(request.body[:end], type=_Named).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _body(request: Request, error: RequestError) -> Refusal | MlflowRefusal:
    if request.protocol == "mlflow":
        code = _MLFLOW_CODES.get(error.status, "BAD_REQUEST")
        return MlflowRefusal(code, error.message, error.field)
    return Refusal(error.message, error.field)
