"""An MLflow signature in, the fields that a model may be asked with out, and nothing else.

A request becomes columns by name, whatever protocol it came by
(https://mlflow.org/docs/latest/ml/model/signatures/).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from services.serving.errors import LoadError, RequestError, shown
from services.serving.models.fields import FREE, Column, Field
from services.serving.models.kinds import COLUMN_KINDS, TENSOR_KINDS, Kind

Columns = dict[str, Column]
MAX_ROWS = 100_000  # of a request: about a second, in which nobody else is answered


@dataclass(frozen=True, eq=False)
class Signature:
    """All inputs by name; `tabular` says whether they are columns of a table or tensors."""

    fields: Mapping[str, Field]
    tabular: bool

    def field(self, name: str) -> Field:
        """Give the field of this name, or refuse the name."""
        if name not in self.fields:
            wanted = ", ".join(self.fields)
            raise RequestError(400, f"field {shown(name)} is not asked for, want: {wanted}", name)
        return self.fields[name]

    def complete(self, columns: Columns) -> int:
        """Count the rows, the same in each column; fill optional fields that were left out."""
        rows = _count(columns)
        if not rows:
            raise RequestError(400, f"there are no rows, want one or more of: {[*self.fields]}")
        for name, field in self.fields.items():
            if name not in columns:
                if field.required:
                    raise field.missing()
                columns[name] = [None] * rows
        return rows

    @cached_property
    def free(self) -> list[str]:
        """The fields with sizes that each request chooses."""
        return [name for name, field in self.fields.items() if FREE in field.shape]

    def joinable(self, some: Columns, others: Columns) -> bool:
        """Say whether rows can be computed together: the sizes chosen for them are the same."""
        return all(np.shape(some[n])[1:] == np.shape(others[n])[1:] for n in self.free)

    def adopt(self, columns: Columns) -> Columns:
        """Hold another model's checked columns to this signature. Raises RequestError."""
        own = {}
        for name, column in columns.items():
            if field := self.fields.get(name):
                own[name] = field.read(column, np.shape(column) if field.shape else (len(column),))
        self.complete(own)
        return own


def want_few(rows: int) -> None:
    """Raise RequestError (413) where a request has too many rows."""
    if rows > MAX_ROWS:
        raise RequestError(413, f"there are {rows} rows, want at most {MAX_ROWS}: send fewer")


def read_signature(inputs: str) -> Signature:
    """Read the inputs of an MLmodel's signature (a JSON text). Raises LoadError."""
    specs = json.loads(inputs)
    tabular = all("tensor-spec" not in spec for spec in specs)
    fields = (_column(spec) if tabular else _tensor(spec, len(specs)) for spec in specs)
    return Signature({field.name: field for field in fields}, tabular)


def _count(columns: Columns) -> int:
    first, rows = next(((n, len(v)) for n, v in columns.items()), ("", 0))
    for name, values in columns.items():
        if len(values) != rows:
            message = f"field {name!r} has {len(values)} rows, field {first!r} has {rows}"
            raise RequestError(400, message + ": want as many in each", name)
    want_few(rows)
    return rows


def _column(spec: dict[str, Any]) -> Field:
    if spec["type"] not in COLUMN_KINDS or "name" not in spec:
        wanted = ", ".join(COLUMN_KINDS)
        raise LoadError(f"signature: {spec} is not a named column of type {wanted}")
    return _field(spec["name"], COLUMN_KINDS[spec["type"]], spec.get("required", True))


def _tensor(spec: dict[str, Any], specs: int) -> Field:
    tensor = spec.get("tensor-spec", {"dtype": "?", "shape": []})
    kind = TENSOR_KINDS.get(tensor["dtype"])
    batch, *shape = tensor["shape"] or [0]
    if kind is None or batch != FREE or any(size < 1 and size != FREE for size in shape):
        raise LoadError(f"signature: {spec} is not a tensor of shape [-1, sizes...]")
    if "name" not in spec and specs > 1:
        raise LoadError(f"signature: {spec} needs a name, there are several inputs")
    return _field(spec.get("name", ""), kind, shape=tuple(shape))


def _field(name: str, kind: Kind, required: bool = True, shape: tuple[int, ...] = ()) -> Field:
    return Field(name, kind, kind.dtype, kind.low, kind.high, required, shape)
