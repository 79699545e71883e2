"""A request's body in, a typed value out, or a refusal that says where the body is wrong."""

import json
import re
from typing import Any, TypeVar

import msgspec

from services.serving.errors import RequestError

_T = TypeVar("_T")
_PATH = re.compile(r" - at `(?:key in )?\$\.?(.*)`$")
_MISSING = re.compile(r"(?:missing required|contains unknown) field `(.*?)`")


def decode(body: bytes, decoder: "msgspec.json.Decoder[_T]") -> _T:
    """Decode strictly; a body that only lacks strictness is decoded again to find the field.

    NaN and Infinity are no JSON, yet common clients send them: they come out as floats, so that the
    check of the field refuses them by the field's name.
    """
    if not body:
        raise RequestError(400, "the body is empty, want a JSON object")
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        value: _T = _convert(_lenient(body, error), decoder.type)
        return value


def _lenient(body: bytes, error: Exception) -> Any:
    try:
        value = json.loads(body)
        json.dumps(value, ensure_ascii=False).encode()  # half a surrogate pair fits in no log
    except (ValueError, RecursionError):
        raise RequestError(400, f"the body is not JSON: {error}") from error
    return value


def _convert(value: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        message = f"the body is not as wanted: {error!s:.200}"
        raise RequestError(400, message, _field(error)) from error


def _field(error: msgspec.ValidationError) -> str | None:
    """Find the path that msgspec ends its message with: of `$.inputs[0].shape` what follows `$`.

    Where something is missing, it says the name before: "missing required field `shape`".
    """
    message = str(error)
    path = _PATH.search(message)
    missing = _MISSING.search(message)
    parts = [path[1] if path else "", missing[1] if missing else ""]
    return ".".join(filter(None, parts)) or None
