"""Records in, checked frames of bytes out, and back.

A frame is a header (the payload's length, the length's CRC-32, the payload's CRC-32, each of four
bytes, little-endian) and a payload in MessagePack. The length has a checksum of its own, so that a
frame cut off by a crash (passed over) and a damaged one (an error) cannot be taken for each other.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from zlib import crc32

import msgspec
import numpy as np

_HEADER = struct.Struct("<III")
_LENGTH = struct.Struct("<I")
_LONGEST = 2**31  # bytes; four bytes of ones are their own CRC-32
_ARRAY = 1  # MessagePack extension: a length, (dtype, shape) in MessagePack, then the raw bytes
_RAW_KINDS = frozenset("biufM")  # numpy's letters: bool, integers, floats, datetimes


class DamagedLogError(ValueError):
    """A frame of the log is not what was written: the disk or a person changed it."""


def encode(item: object) -> bytes:
    """Make one frame of a struct or a list of them.

    Raises TypeError or OverflowError for a value that MessagePack does not have.
    """
    payload = _ENCODER.encode(item)
    length = len(payload)
    return _HEADER.pack(length, crc32(_LENGTH.pack(length)), crc32(payload)) + payload


class Reader:
    """Reads the items of one type, arrays included, from a segment."""

    def __init__(self, kind: Any) -> None:
        self._decode = msgspec.msgpack.Decoder(kind, ext_hook=_read_array).decode

    def read(self, file: BinaryIO, path: Path) -> Iterator[Any]:
        """Read whole frames from where the file stands; it ends up behind the last of them.

        A frame without its end, or only zeros (after a power failure), is torn and passed over.
        Raises DamagedLogError.
        """
        start = file.tell()
        while len(header := file.read(_HEADER.size)) == _HEADER.size:
            length, length_crc, payload_crc = _HEADER.unpack(header)
            if length > _LONGEST or crc32(_LENGTH.pack(length)) != length_crc:
                if _only_zeros(header, file):
                    break
                raise _damaged(path, start, "the header is not one that was written")
            payload = file.read(length)
            if len(payload) < length:
                break
            if crc32(payload) != payload_crc:
                raise _damaged(path, start, "the content is not what was written")
            try:
                yield self._decode(payload)
            except ValueError as error:
                raise _damaged(path, start, f"the content is of another kind: {error}") from error
            start += _HEADER.size + length
        file.seek(start)


def read_items(path: Path, kind: Any) -> Iterator[Any]:
    """Read a whole segment. Raises DamagedLogError, or FileNotFoundError at the first step."""
    with path.open("rb") as file:
        yield from Reader(kind).read(file, path)


def _damaged(path: Path, offset: int, what: str) -> DamagedLogError:
    message = f"{path}: damaged at byte {offset}: {what}; the frames before it are whole"
    return DamagedLogError(message)


def _only_zeros(header: bytes, file: BinaryIO) -> bool:
    rest = iter(lambda: file.read(2**20), b"")
    return not any(header) and not any(chunk.strip(b"\0") for chunk in rest)


def _plain(value: Any) -> Any:
    """Say in MessagePack what msgspec does not know: numpy's arrays and scalars."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind in _RAW_KINDS:
            head = _array_head(value.dtype, value.shape)
            return msgspec.msgpack.Ext(_ARRAY, head + value.tobytes())
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"the prediction log cannot keep a {type(value).__name__}: {value!r:.80}")


@functools.lru_cache(maxsize=4096)
def _array_head(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    head = msgspec.msgpack.encode((dtype.str, shape))
    return bytes([len(head)]) + head


def _read_array(code: int, data: memoryview) -> np.ndarray[Any, Any]:
    if code != _ARRAY:
        raise ValueError(f"extension {code} is none of the prediction log's")
    start = 1 + data[0]
    dtype, shape = _read_array_head(bytes(data[1:start]))
    return np.frombuffer(data, dtype, offset=start).reshape(shape)


@functools.lru_cache(maxsize=4096)
def _read_array_head(head: bytes) -> tuple[np.dtype[Any], tuple[int, ...]]:
    dtype, shape = msgspec.msgpack.decode(head)
    return np.dtype(dtype), tuple(shape)


_ENCODER = msgspec.msgpack.Encoder(enc_hook=_plain)
