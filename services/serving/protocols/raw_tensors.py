"""A tensor's raw bytes in, its values out, and back, as binary HTTP and raw gRPC contents share it.

Little-endian and row-major without padding; a BOOL is a byte of 0 or 1, each of BYTES follows its
length in four bytes, and a model's words are UTF-8
(https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md).
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.serving.models.fields import Column, Field
from services.serving.models.kinds import DTYPES

_LENGTH = 4  # bytes in front of each of BYTES


def read_raw(raw: memoryview, datatype: str, field: Field) -> Column:
    """Read a tensor of one of the protocol's datatypes, flat. Raises RequestError."""
    if datatype == "BYTES":
        return _words(raw, field)
    dtype = DTYPES[datatype].newbyteorder("<")
    if len(raw) % dtype.itemsize:
        wanted = f"a multiple of {dtype.itemsize}, the size of one {datatype}"
        raise field.refusal(f"{len(raw)} bytes", wanted)
    if datatype == "BOOL":
        return _truths(np.frombuffer(raw, np.uint8), field)
    # A request's tensors begin at any byte, which a model's runtime may not expect.
    return np.require(np.frombuffer(raw, dtype), requirements="A")


def write_raw(array: NDArray[Any]) -> bytes:
    """Write a tensor."""
    if array.dtype.kind != "O":
        return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return pack_words(str(word).encode() for word in array.ravel())


def pack_words(words: Iterable[bytes]) -> bytes:
    """Write a tensor of BYTES."""
    return b"".join(len(word).to_bytes(_LENGTH, "little") + word for word in words)


def _truths(values: NDArray[np.uint8], field: Field) -> NDArray[Any]:
    if values.size and values.max() > 1:
        at = int(values.argmax())
        raise field.refusal(int(values[at]), "bytes of 0 or 1", field.row_of(at))
    return values.view(np.bool_)


def _words(raw: memoryview, field: Field) -> list[str]:
    words: list[str] = []
    end = 0
    while end < len(raw):
        start = end + _LENGTH
        end = start + int.from_bytes(raw[end:start], "little")
        if end > len(raw):
            message = f"BYTES that end with element {len(words)}, at byte {len(raw)}"
            raise field.refusal(f"{max(start, end)} bytes", message)
        words.append(_text(raw[start:end], field, len(words)))
    return words


def _text(raw: memoryview, field: Field, number: int) -> str:
    try:
        return str(raw, "utf-8")
    except UnicodeDecodeError as error:
        wanted = f"UTF-8 ({error.reason})"
        raise field.refusal(bytes(raw[:80]), wanted, field.row_of(number)) from error
