"""A flat JSON list of good values in, what a field reads of it out, without a look in Python.

Numbers of tensors are read into an array by SIMD, https://arxiv.org/abs/1902.08318, all else into a
list whose types and bounds msgspec checks as it decodes.
"""

from typing import Any

import msgspec
import numpy as np
import simdjson
from numpy.typing import NDArray

from services.serving.models.fields import Column, Field

_PARSER = simdjson.Parser()  # keeps its memory; requests are read on one thread
_READ_AS = {"f": ("d", np.dtype("float64")), "i": ("i", np.dtype("int64"))}


def read_list(json: msgspec.Raw, field: Field) -> Column | None:
    """Read numbers of a tensor as 64 bits each, (n,), or a list of the field's `list_type`.

    None if it is anything else: nested, with other values, values out of bounds, no list.
    """
    try:
        if field.shape and field.dtype.kind in _READ_AS:
            return _numbers(bytes(json), field.dtype.kind)
        return field.decoder.decode(json)
    except (TypeError, ValueError, RuntimeError, RecursionError):  # the slow way says what is wrong
        return None


def _numbers(text: bytes, kind: str) -> NDArray[Any] | None:
    if text[:1] != b"[" or b"[" in text[1:]:
        return None
    of_type, dtype = _READ_AS[kind]
    numbers: Any = _PARSER.parse(text)
    return np.frombuffer(numbers.as_buffer(of_type=of_type), dtype)
