"""A window's sketch in, bytes out, and back: versioned and checked, without pickle.

A header (what it is, the format's version, the CRC-32 of the rest), then MessagePack of the
structs, with the sketches of Apache DataSketches in their own format.
"""

import struct
from typing import Any, get_origin
from zlib import crc32

import msgspec
import numpy as np

from monitoring.sketches.apache import Frequencies, Quantiles
from monitoring.sketches.distinct import DistinctSketch
from monitoring.sketches.window import WindowSketch

VERSION = 2
_MAGIC = b"relay-sketch"
_HEADER = struct.Struct("<12sHI")
_DTYPES = ("<f8", "<u8")


class DamagedSketchError(ValueError):
    """Bytes are no sketch, or not the one that was written."""


def to_bytes(sketch: WindowSketch) -> bytes:
    """Give bytes that `from_bytes` reads."""
    content = msgspec.msgpack.encode(sketch, enc_hook=_write)
    return _HEADER.pack(_MAGIC, VERSION, crc32(content)) + content


def from_bytes(data: bytes) -> WindowSketch:
    """Read a sketch. Raises DamagedSketchError."""
    if len(data) < _HEADER.size or not data.startswith(_MAGIC):
        raise DamagedSketchError(f"these {len(data)} bytes are no sketch of a window")
    _, version, checksum = _HEADER.unpack_from(data)
    if version != VERSION:
        raise DamagedSketchError(f"the sketch has format {version}, this program reads {VERSION}")
    content = data[_HEADER.size :]
    if crc32(content) != checksum:
        raise DamagedSketchError("the sketch is not what was written: its checksum is another")
    try:
        return msgspec.msgpack.decode(content, type=WindowSketch, dec_hook=_read)
    except ValueError as error:  # msgspec's errors are such
        raise DamagedSketchError(f"the sketch holds something else: {error}") from error


def _write(value: Any) -> Any:
    if isinstance(value, Quantiles | Frequencies):
        return value.to_bytes()
    if isinstance(value, DistinctSketch):
        return _write(value.smallest)
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.tobytes()
    raise TypeError(f"a sketch cannot hold a {type(value).__name__}")


def _read(kind: Any, value: Any) -> Any:
    if kind is DistinctSketch:
        return DistinctSketch(_read(np.ndarray, value))
    if (get_origin(kind) or kind) is np.ndarray:
        dtype, content = value
        if dtype not in _DTYPES:
            raise ValueError(f"an array of {dtype}")
        return np.frombuffer(content, dtype).copy()
    return kind(value)
