"""An Arrow column in, numbers or texts as the sketches take them, and 64-bit hashes, out."""

import json
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Floats = npt.NDArray[np.float64]
Hashes = npt.NDArray[np.uint64]
Readable: TypeAlias = Floats | pa.DictionaryArray
_TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)


class UnreadableColumnError(ValueError):
    """A column holds something else than its schema says; the text names the value."""


def read_numbers(column: pa.Array) -> Floats:
    """Give (n,) float64, NaN where missing."""
    try:
        numbers = pc.cast(undo_json(column), pa.float64(), safe=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UnreadableColumnError(f"not every value is a number: {error}") from error
    found: Floats = numbers.to_numpy(zero_copy_only=False)
    return found


def read_texts(column: pa.Array) -> pa.DictionaryArray:
    """Give the column as indices into its distinct texts, null where missing."""
    plain = undo_json(column)
    if not any(is_text(plain.type) for is_text in _TEXTS):
        try:
            plain = pc.cast(plain, pa.string())
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise UnreadableColumnError(f"not every value is a text: {error}") from error
    return plain if pa.types.is_dictionary(plain.type) else plain.dictionary_encode()


def is_tensor(kind: pa.DataType) -> bool:
    """Say whether a column holds a list a row."""
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def read_tensor(column: pa.Array) -> Floats:
    """Give a column of (nested) lists as (n, m) float64, each row's values flat."""
    flat = column
    while is_tensor(flat.type):
        if flat.null_count:
            raise UnreadableColumnError("a row has no value where a tensor is expected")
        flat = flat.flatten()
    values = read_numbers(flat)
    if len(values) % len(column):
        raise UnreadableColumnError("not every row's tensor has the same size")
    return values.reshape(len(column), -1)


def read_micros(column: pa.Array) -> npt.NDArray[np.int64]:
    """Give times (n,) as microseconds since 1970 UTC; none may be missing."""
    micros = pc.cast(pc.cast(column, pa.timestamp("us", "UTC"), safe=False), pa.int64())
    found: npt.NDArray[np.int64] = micros.to_numpy()
    return found


def hash_ids(ids: pa.Array | list[str]) -> Hashes:
    """Hash texts that are mostly different, (n,): the same text, the same hash, in any process."""
    texts = ids.to_numpy(zero_copy_only=False) if isinstance(ids, pa.Array) else ids
    return _hash(np.asarray(texts, dtype=object))


def hash_rows(columns: list[Readable | npt.NDArray[np.int64]]) -> Hashes:
    """Hash rows by all their columns, (n,): rows that agree in each have the same hash."""
    rows = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        rows = _hash(rows * np.uint64(0x9E3779B97F4A7C15) + _hash_column(column))
    return rows


def _hash_column(column: Any) -> Hashes:
    if isinstance(column, pa.DictionaryArray):
        texts = np.append(_hash(column.dictionary.to_numpy(zero_copy_only=False)), np.uint64(0))
        at = pc.fill_null(column.indices, len(texts) - 1).to_numpy(zero_copy_only=False)
        found: Hashes = texts[at]
        return found
    return _hash(column)


def _hash(values: npt.NDArray[Any]) -> Hashes:
    return pd.util.hash_array(values, categorize=False)


def undo_json(column: pa.Array) -> pa.Array:
    """Undo what the log keeps as JSON (numbers and texts mixed): as texts, which may be numbers."""
    if not isinstance(column, pa.ExtensionArray):
        return column
    values = [None if text is None else json.loads(text) for text in column.storage.to_pylist()]
    return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in values])
