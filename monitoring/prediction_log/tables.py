"""Records in, Arrow tables of one row a prediction out, and their rows as plain values.

Columns: LOG_COLUMNS, then each feature, then each output, by name. A tensor is a column of (nested)
lists. A column that has no Arrow type (texts and numbers mixed, objects) is kept as JSON.
The schema's metadata says which are the features and outputs of each model version.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitoring.prediction_log.records import LOG_COLUMNS, Prediction, PredictionRecord

TIME = pa.timestamp("us", "UTC")
BATCH_ROWS = 2**11  # larger batches keep the garbage collector busy
_VERSIONS = b"relay.versions"  # metadata: {version: {"features": [...], "output": [...]}}
_NO_ARROW_TYPE = (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError)


def to_tables(records: Iterable[PredictionRecord]) -> Iterator[pa.Table]:
    """Make tables of about BATCH_ROWS rows, in the records' order but for versions that alternate.

    Raises ValueError where a feature or an output has the name of another column.
    """
    for batch in _batches(records):
        alike: dict[tuple[Any, ...], list[PredictionRecord]] = {}
        for record in batch:
            key = (record.version, tuple(record.features), tuple(record.output))
            alike.setdefault(key, []).append(record)
        yield from map(_table, alike.values())


def join(tables: Sequence[pa.Table]) -> pa.Table:
    """Make one table; a column that some do not have is null there."""
    for name in dict.fromkeys(chain(*(table.column_names for table in tables))):
        parts = [table.select([name]) for table in tables if name in table.column_names]
        try:
            pa.concat_tables(parts, promote_options="permissive")
        except _NO_ARROW_TYPE:
            tables = [_with_json(table, name) for table in tables]
    versions: dict[str, dict[str, list[str]]] = {}
    for table in tables:
        for version, names in _versions(table).items():
            known = versions.setdefault(version, {"features": [], "output": []})
            for kind, listed in known.items():
                listed += [name for name in names[kind] if name not in listed]
    joined = pa.concat_tables(tables, promote_options="permissive")
    return joined.replace_schema_metadata({_VERSIONS: json.dumps(versions)})


def to_predictions(table: pa.Table, model: str) -> list[Prediction]:
    """Give the rows of a whole table as plain values; each with its own version's columns."""
    versions, read = _versions(table), json_columns(table)
    found = []
    for row in table.to_pylist():
        row |= {name: decode(row[name]) for name, decode in read.items()}
        names = versions[row["version"]]
        features, output = ({n: row[n] for n in names[kind]} for kind in ("features", "output"))
        own: dict[str, Any] = {name: row[name] for name in LOG_COLUMNS}
        found.append(Prediction(model=model, features=features, output=output, **own))
    return found


def json_columns(table: pa.Table) -> dict[str, Callable[[str | None], Any]]:
    """Name the columns that are kept as JSON, and what reads a value of theirs."""
    return {
        field.name: lambda text: None if text is None else json.loads(text)
        for field in table.schema
        if isinstance(field.type, pa.JsonType)
    }


def _batches(records: Iterable[PredictionRecord]) -> Iterator[list[PredictionRecord]]:
    batch: list[PredictionRecord] = []
    rows = 0
    for record in records:
        batch.append(record)
        rows += record.rows
        if rows >= BATCH_ROWS:
            yield batch
            batch, rows = [], 0
    if batch:
        yield batch


def _table(records: list[PredictionRecord]) -> pa.Table:
    """Make one table of records that have the same version and the same columns."""
    first = records[0]
    names = [*LOG_COLUMNS, *first.features, *first.output]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(
            f"model {first.model!r} has a feature or output named {min(twice)!r}, which is another "
            "column of the prediction log: give it another name"
        )
    row = np.repeat(np.arange(len(records)), [record.rows for record in records])
    columns = [
        pa.array(list(chain(*(record.row_ids() for record in records)))),
        pa.array([record.time for record in records], TIME).take(pa.array(row)),
        pa.array([record.event_time for record in records], TIME).take(pa.array(row)),
        pa.array([record.version for record in records]).take(pa.array(row)),
        pa.array([record.role for record in records]).take(pa.array(row)),
        pa.array([record.latency_seconds for record in records]).take(pa.array(row)),
        *(_column([record.features[name] for record in records]) for name in first.features),
        *(_column([record.output[name] for record in records]) for name in first.output),
    ]
    versions = {first.version: {"features": list(first.features), "output": list(first.output)}}
    table = pa.table(columns, names)
    return table.replace_schema_metadata({_VERSIONS: json.dumps(versions)})


def _column(parts: list[list[Any] | NDArray[Any]]) -> pa.Array:
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    kinds = {(part.dtype, part.shape[1:]) for part in arrays}
    if len(arrays) == len(parts) and len(kinds) == 1:
        return _tensor(np.concatenate(arrays))
    lists = (part.tolist() if isinstance(part, np.ndarray) else part for part in parts)
    return _values(list(chain(*lists)))


def _tensor(array: NDArray[Any]) -> pa.Array:
    """Make a column of an array of shape (rows, ...), its later axes as nested lists."""
    native = array.astype(array.dtype.newbyteorder("="), copy=False)
    column = pa.array(native.reshape(-1))
    for axis in range(array.ndim - 1, 0, -1):
        offsets = np.arange(prod(array.shape[:axis]) + 1, dtype=np.int32) * array.shape[axis]
        column = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), column)
    return column


def _values(values: list[Any]) -> pa.Array:
    try:
        column = pa.array(values)
    except _NO_ARROW_TYPE:
        return _json(values)
    # Arrow would give every object the keys of all
    return _json(values) if "struct<" in str(column.type) else column


def _json(values: list[Any]) -> pa.Array:
    texts = [None if value is None else json.dumps(value) for value in values]
    return pa.array(texts, pa.json_())


def _with_json(table: pa.Table, name: str) -> pa.Table:
    if name not in table.column_names or name in json_columns(table):
        return table
    values = _json(table[name].to_pylist())
    return table.set_column(table.column_names.index(name), name, values)


def _versions(table: pa.Table) -> dict[str, dict[str, list[str]]]:
    versions: dict[str, dict[str, list[str]]] = json.loads(table.schema.metadata[_VERSIONS])
    return versions
