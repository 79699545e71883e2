"""One input of a model: values as a client gave them in, a checked column out, or a refusal.

A column of a table is a list with a value a row, None where it is missing. A tensor is an array of
shape (rows, *shape). Both come flat or nested, as lists from JSON or as arrays from binary.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from services.serving.errors import RequestError, shown
from services.serving.models.kinds import Dtype, Kind

Column = list[Any] | NDArray[Any]
FREE = -1  # a size that each request chooses
_MOST_COMPARED = 2**63 - 1  # by msgspec


@dataclass(frozen=True)
class Field:
    """`shape` is what follows the batch dimension: () for one value a row.

    The model takes numbers of `dtype`, in [low, high]; `required` means that none may be missing.
    """

    name: str
    kind: Kind
    dtype: Dtype
    low: float
    high: float
    required: bool = True
    shape: tuple[int, ...] = ()

    def read(self, values: Column, shape: Sequence[int]) -> Column:
        """Check values of this shape, the rows first. Raises RequestError."""
        if not self._fits(shape):
            wanted = f"shape {[FREE, *self.shape]} with one row or more"
            raise self.refusal(list(shape), wanted)
        flat = values.ravel() if isinstance(values, np.ndarray) else self._flat(values, shape)
        if len(flat) != math.prod(shape):
            wanted = f"as many as shape {shown(list(shape))} says"
            raise self.refusal(f"{len(flat)} values", wanted)
        if self.shape:
            return self._tensor(flat, shape).reshape(shape)
        return self._checked(self._listed(flat) if isinstance(flat, np.ndarray) else flat)

    @cached_property
    def list_type(self) -> Any:
        """A list whose values are all good, as msgspec checks it: in one pass, outside Python.

        Whole numbers that it cannot compare are left out.
        """
        kind = float if float in self.kind.values else next(iter(self.kind.values))
        value: Any = kind
        if kind in (int, float):
            high = min(self.high, _MOST_COMPARED) if kind is int else self.high
            value = Annotated[kind, msgspec.Meta(ge=kind(self.low), le=kind(high))]
        return list[value] if self.required else list[value | None]

    @cached_property
    def _wrapped(self) -> Any:
        """`list_type` in a struct: msgspec gets ready for any other type anew at each use."""
        return msgspec.defstruct("Wrapped", [("values", self.list_type)], array_like=True)

    @property
    def neutral(self) -> Any:
        """A value that this field takes and that says nothing."""
        return {str: "", bool: False}.get(next(iter(self.kind.values)), 0)

    @property
    def smallest(self) -> tuple[int, ...]:
        """The least shape that this field takes, after the batch dimension."""
        return tuple(1 if size == FREE else size for size in self.shape)

    def row_of(self, number: int) -> int | None:
        """Say which row a value is in; None where that depends on a request's own shape."""
        return None if FREE in self.shape else number // math.prod(self.shape)

    def refusal(self, value: object, wanted: str, row: int | None = None) -> RequestError:
        """Say what is wrong with this field."""
        place = f"field {self.name!r}" if row is None else f"field {self.name!r}, row {row}"
        return RequestError(400, f"{place}: got {shown(value)}, want {wanted}", self.name)

    def missing(self, row: int | None = None) -> RequestError:
        """Say that the field is needed."""
        return self.refusal(None, f"a {self.kind.name}, this field is required", row)

    def _fits(self, shape: Sequence[int]) -> bool:
        if not shape or shape[0] < 1:
            return False
        inner = tuple(shape[1:])
        if inner == self.shape:
            return True
        if not self.shape:
            return inner == (1,)  # a column may come as [N, 1]
        sizes = zip(self.shape, inner, strict=False)
        fit = all(want == size or want == FREE < 0 < size for want, size in sizes)
        return fit and len(inner) == len(self.shape)

    def _flat(self, data: list[Any], shape: Sequence[int]) -> list[Any]:
        if len(shape) < 2 or not data or not isinstance(data[0], list):
            return data
        for part in data:
            if not isinstance(part, list) or len(part) != shape[1]:
                wanted = f"data nested as shape {shown(list(shape))} says, or flat"
                raise self.refusal(part, wanted)
        return [value for part in data for value in self._flat(part, shape[1:])]

    def _listed(self, values: NDArray[Any]) -> list[Any]:
        """Binary has no null: there NaN is a missing value."""
        listed: list[Any] = values.tolist()
        if self.required or values.dtype.kind != "f":
            return listed
        return [None if value != value else value for value in listed]

    def _tensor(self, values: Column, shape: Sequence[int]) -> NDArray[Any]:
        """Give the array; where not all values are surely good, look at each."""
        row = math.prod(shape[1:])
        if isinstance(values, list):
            return np.array(self._checked(values, row), dtype=self.dtype)
        with np.errstate(over="ignore", invalid="ignore"):
            array = values.astype(self.dtype, copy=False)
            if self.dtype.kind == "f":  # the sum of the squares shows NaN and infinity soonest
                sure = math.isfinite(array.dot(array))
            else:
                sure = values.dtype == self.dtype or np.array_equal(array, values)
        if not sure:
            self._check_each(values.tolist(), row)
        return array

    def _checked(self, values: list[Any], row: int = 1) -> list[Any]:
        """Check a flat list; `row` is how many values a row has."""
        try:
            checked: list[Any] = msgspec.convert((values,), self._wrapped).values
        except msgspec.ValidationError:
            self._check_each(values, row)  # which says what is wrong, and where
            return values
        return checked

    def _check_each(self, values: list[Any], row: int) -> None:
        for number, value in enumerate(values):
            self._check_value(value, number // row)

    def _check_value(self, value: object, row: int) -> None:
        if value is None:
            if self.required:
                raise self.missing(row)
        elif type(value) not in self.kind.values:
            raise self.refusal(value, f"a {self.kind.name}", row)
        elif type(value) is not str and not self.low <= value <= self.high:  # type: ignore[operator]
            hint = "" if self.required else "; send null where it is missing"
            wanted = f"a finite {self.kind.name} from {self.low:g} to {self.high:g}{hint}"
            raise self.refusal(value, wanted, row)
