"""A JSON body whose values are all good in, columns out, without a look in Python.

msgspec makes a decoder of a signature: names, datatypes, values and their bounds are checked as the
body is decoded, once. Numbers of tensors are read into an array by SIMD,
https://arxiv.org/abs/1902.08318.
"""

from functools import lru_cache
from typing import Any, Literal, NamedTuple, Union

import msgspec
import numpy as np
import simdjson
from numpy.typing import NDArray

from services.serving.models.fields import Column, Field
from services.serving.models.signature import Columns, Signature
from services.serving.protocols.infer_request import Asked

_PARSER = simdjson.Parser()  # keeps its memory; requests are read on one thread
_READ_AS = {"f": ("d", np.dtype("float64")), "i": ("i", np.dtype("int64"))}


class _Reader(NamedTuple):
    decoder: "msgspec.json.Decoder[Any]"
    fields: dict[type, Field]  # by the type of their tensors


def read(body: bytes, signature: Signature) -> tuple[Asked, Columns] | None:
    """Read a request. Raises RequestError where a tensor's values or shape are not as wanted.

    None if anything else is: something missing, unknown, twice, nested, out of bounds, or not JSON.
    """
    reader = _reader(signature)
    try:
        request = reader.decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    columns: Columns = {}
    for tensor in request.inputs:
        field = reader.fields[type(tensor)]
        if field.name in columns:
            return None
        column = _tensor(tensor, field) if field.shape else _column(tensor)
        if column is None:
            return None
        columns[field.name] = column
    return request, columns


@lru_cache(maxsize=256)  # more than are served
def _reader(signature: Signature) -> _Reader:
    fields = {_struct(number, f): f for number, f in enumerate(signature.fields.values())}
    one: Any = Union[tuple(fields)] if fields else None  # noqa: UP007  of a tuple
    inputs: Any = list[one]
    request = msgspec.defstruct("Request", [("inputs", inputs)], bases=(Asked,), kw_only=True)
    return _Reader(msgspec.json.Decoder(request), fields)


def _struct(number: int, field: Field) -> type:
    """Make the type of a field's tensors, which msgspec finds by their name."""
    datatypes: Any = Literal[tuple(sorted(field.kind.accepts))]
    data = msgspec.Raw if _is_numeric(field) else field.list_type
    members: list[Any] = [
        ("shape", list[int]),
        ("datatype", datatypes),
        ("data", data),
        ("parameters", dict[str, Any] | None, None),
    ]
    return msgspec.defstruct(f"Input{number}", members, tag_field="name", tag=field.name)


def _is_numeric(field: Field) -> bool:
    return bool(field.shape) and field.dtype.kind in _READ_AS


def _column(tensor: Any) -> list[Any] | None:
    values: list[Any] = tensor.data
    rows = len(values)
    return values if rows and tensor.shape in ([rows], [rows, 1]) else None


def _tensor(tensor: Any, field: Field) -> Column | None:
    values = _numbers(bytes(tensor.data), field) if _is_numeric(field) else tensor.data
    return None if values is None else field.read(values, tensor.shape)


def _numbers(text: bytes, field: Field) -> NDArray[Any] | None:
    """Read a flat list of numbers, 64 bits each, (n,)."""
    if text[:1] != b"[" or b"[" in text[1:]:
        return None
    of_type, dtype = _READ_AS[field.dtype.kind]
    try:
        numbers: Any = _PARSER.parse(text)
        return np.frombuffer(numbers.as_buffer(of_type=of_type), dtype)
    except (TypeError, ValueError, RuntimeError):  # the slow way says what is wrong
        return None
