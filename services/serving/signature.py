"""An MLflow signature in, checked columns out: what a model may be asked with, and nothing else.

A request becomes columns, `{name: [value of row 0, ...]}`, whatever protocol it came by. Column
types and their safe conversions are MLflow's (https://mlflow.org/docs/latest/ml/model/signatures/);
the datatypes are those of the Open Inference Protocol V2.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.serving.errors import LoadError, RequestError, shown

Columns = dict[str, list[Any]]
MAX_ROWS = 100_000  # of a request: about a second, in which nobody else is answered


@dataclass(frozen=True)
class Kind:
    """A column type: its V2 datatype, the datatypes that convert to it safely, its JSON values.

    Numbers lie in [low, high].
    """

    name: str
    datatype: str
    accepts: frozenset[str]
    values: frozenset[type]
    low: float = 0
    high: float = 1


def _limits(kind: type[np.floating[Any]]) -> tuple[float, float]:
    return float(np.finfo(kind).min), float(np.finfo(kind).max)


_INTEGERS = frozenset({"INT8", "INT16", "INT32", "UINT8", "UINT16"})
_LONGS = _INTEGERS | {"UINT32", "INT64"}
_FLOATS = _INTEGERS | {"FP16", "FP32", "FP64"}
_NUMBERS = frozenset({float, int})
KINDS = {
    kind.name: kind
    for kind in (
        Kind("string", "BYTES", frozenset({"BYTES"}), frozenset({str})),
        Kind("boolean", "BOOL", frozenset({"BOOL"}), frozenset({bool})),
        Kind("integer", "INT32", _INTEGERS, frozenset({int}), -(2**31), 2**31 - 1),
        Kind("long", "INT64", _LONGS, frozenset({int}), -(2**63), 2**63 - 1),
        Kind("float", "FP32", _FLOATS, _NUMBERS, *_limits(np.float32)),
        Kind("double", "FP64", _FLOATS | {"UINT32"}, _NUMBERS, *_limits(np.float64)),
    )
}
_TENSOR_KINDS = {
    "float32": "float",
    "float64": "double",
    "int32": "integer",
    "int64": "long",
    "bool": "boolean",
    "str": "string",
    "object": "string",
}


@dataclass(frozen=True)
class Field:
    """One input. `shape` is what follows the batch dimension: () for a column of a table.

    Numbers lie in [low, high]: what the kind, and later the graph's own type, can hold.
    """

    name: str
    kind: Kind
    required: bool = True
    shape: tuple[int, ...] = ()
    low: float = 0
    high: float = 1

    @property
    def size(self) -> int:
        """How many values one row has."""
        return int(np.prod(self.shape, dtype=int))

    def check(self, value: object, row: int) -> None:
        """Refuse a value that is not of this field."""
        if value is None:
            if self.required:
                raise self.refusal(value, f"a {self.kind.name}, this field is required", row)
        elif type(value) not in self.kind.values:
            raise self.refusal(value, f"a {self.kind.name}", row)
        elif type(value) is not str and not self.low <= value <= self.high:  # type: ignore[operator]
            hint = "" if self.required else "; send null where it is missing"
            wanted = f"a finite {self.kind.name} from {self.low:g} to {self.high:g}{hint}"
            raise self.refusal(value, wanted, row)

    def rows(self, data: list[Any], shape: Sequence[int]) -> list[Any]:
        """Cut data, flat or nested as the shape says, into one value (or flat list) a row."""
        flat = self._flat(data, shape)
        if len(flat) != math.prod(shape):
            wanted = f"as many as shape {shown(list(shape))} says"
            raise self.refusal(f"{len(flat)} values", wanted)
        if not self.shape:
            return flat
        return [flat[start : start + self.size] for start in range(0, len(flat), self.size)]

    def _flat(self, data: list[Any], shape: Sequence[int]) -> list[Any]:
        if len(shape) < 2 or not data or not isinstance(data[0], list):
            return data
        for part in data:
            if not isinstance(part, list) or len(part) != shape[1]:
                wanted = f"data nested as shape {shown(list(shape))} says, or flat"
                raise self.refusal(part, wanted)
        return [value for part in data for value in self._flat(part, shape[1:])]

    def refusal(self, value: object, wanted: str, row: int | None = None) -> RequestError:
        """Say what is wrong with this field."""
        place = f"field {self.name!r}" if row is None else f"field {self.name!r}, row {row}"
        return RequestError(400, f"{place}: got {shown(value)}, want {wanted}", self.name)


@dataclass(frozen=True)
class Signature:
    """All inputs by name; `tabular` says whether they are columns of a table or tensors."""

    fields: Mapping[str, Field]
    tabular: bool

    def field(self, name: str) -> Field:
        """Give the field of this name, or refuse the name."""
        if name not in self.fields:
            wanted = ", ".join(self.fields)
            raise RequestError(400, f"field {name!r} is not asked for, want: {wanted}", name)
        return self.fields[name]

    def check(self, columns: Columns) -> int:
        """Check every value, fill optional fields that were left out with None, count the rows."""
        rows = self._count(columns)
        for name, field in self.fields.items():
            if name not in columns:
                if field.required:
                    raise field.refusal(None, f"a {field.kind.name}, this field is required")
                columns[name] = [None] * rows
            for row, value in enumerate(columns[name]):
                if field.shape:
                    _check_tensor(field, value, row)
                else:
                    field.check(value, row)
        return rows

    def _count(self, columns: Columns) -> int:
        first, rows = next(((n, len(v)) for n, v in columns.items()), ("", 0))
        for name, values in columns.items():
            self.field(name)
            if len(values) != rows:
                message = f"field {name!r} has {len(values)} rows, field {first!r} has {rows}"
                raise RequestError(400, message + ": want as many in each", name)
        if rows > MAX_ROWS:
            raise RequestError(413, f"there are {rows} rows, want at most {MAX_ROWS}: send fewer")
        if not rows:
            raise RequestError(400, f"there are no rows, want one or more of: {[*self.fields]}")
        return rows


def read_signature(inputs: str) -> Signature:
    """Read the inputs of an MLmodel's signature (a JSON text). Raises LoadError."""
    specs = json.loads(inputs)
    tabular = all("tensor-spec" not in spec for spec in specs)
    fields = (_column(spec) if tabular else _tensor(spec, len(specs)) for spec in specs)
    return Signature({field.name: field for field in fields}, tabular)


def _column(spec: dict[str, Any]) -> Field:
    if spec["type"] not in KINDS or "name" not in spec:
        raise LoadError(f"signature: {spec} is not a named column of type {', '.join(KINDS)}")
    return _field(spec["name"], KINDS[spec["type"]], spec.get("required", True))


def _tensor(spec: dict[str, Any], specs: int) -> Field:
    tensor = spec.get("tensor-spec", {"dtype": "?", "shape": []})
    kind = _TENSOR_KINDS.get(tensor["dtype"])
    batch, *shape = tensor["shape"] or [0]
    if kind is None or batch != -1 or any(size < 1 for size in shape):
        raise LoadError(f"signature: {spec} is not a tensor of shape [-1, fixed sizes...]")
    if "name" not in spec and specs > 1:
        raise LoadError(f"signature: {spec} needs a name, there are several inputs")
    return _field(spec.get("name", ""), KINDS[kind], required=True, shape=tuple(shape))


def _field(name: str, kind: Kind, required: bool, shape: tuple[int, ...] = ()) -> Field:
    return Field(name, kind, required, shape, kind.low, kind.high)


def _check_tensor(field: Field, values: object, row: int) -> None:
    if not isinstance(values, list) or len(values) != field.size:
        raise field.refusal(values, f"{field.size} values a row, shape {[-1, *field.shape]}", row)
    for value in values:
        field.check(value, row)
