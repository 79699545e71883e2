"""One input of a model: values as a client gave them in, a checked column out, or a refusal.

A column of a table is a list with a value a row, None where it is missing. A tensor is an array of
shape (rows, *shape). Both come flat or nested, as lists from JSON or as arrays from binary.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.serving.errors import RequestError, shown
from services.serving.models.kinds import Dtype, Kind

Column = list[Any] | NDArray[Any]
_FEW = 8  # values that are sooner looked at one by one


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
        if not shape or shape[0] < 1 or tuple(shape[1:]) != self._trailing(shape):
            raise self.refusal(list(shape), f"shape {[-1, *self.shape]} with one row or more")
        flat = values.ravel() if isinstance(values, np.ndarray) else self._flat(values, shape)
        if len(flat) != math.prod(shape):
            wanted = f"as many as shape {shown(list(shape))} says"
            raise self.refusal(f"{len(flat)} values", wanted)
        if self.shape:
            return self._tensor(flat).reshape(shape)
        column = self._listed(flat) if isinstance(flat, np.ndarray) else flat
        self._check(column)
        return column

    @property
    def neutral(self) -> Any:
        """A value that this field takes and that says nothing."""
        return {str: "", bool: False}.get(next(iter(self.kind.values)), 0)

    def refusal(self, value: object, wanted: str, row: int | None = None) -> RequestError:
        """Say what is wrong with this field."""
        place = f"field {self.name!r}" if row is None else f"field {self.name!r}, row {row}"
        return RequestError(400, f"{place}: got {shown(value)}, want {wanted}", self.name)

    def missing(self) -> RequestError:
        """Say that the field is needed."""
        return self.refusal(None, f"a {self.kind.name}, this field is required")

    def _trailing(self, shape: Sequence[int]) -> tuple[int, ...]:
        column = len(shape) == 2 and not self.shape and shape[1] == 1
        return (1,) if column else self.shape  # a column may come as [N, 1]

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

    def _tensor(self, values: Column) -> NDArray[Any]:
        """Give the array; where not all values are surely good, look at each."""
        with np.errstate(over="ignore", invalid="ignore"):
            array = self._quickly(values)
        if array is None:
            self._check_each(values if isinstance(values, list) else values.tolist())
            array = np.array(values, dtype=self.dtype)
        return array

    def _quickly(self, values: Column) -> NDArray[Any] | None:
        if isinstance(values, list) and not self.kind.values.issuperset(map(type, values)):
            return None
        try:
            array = np.asarray(values, dtype=self.dtype)
        except OverflowError:
            return None
        if self.dtype.kind == "f":  # the sum of the squares shows NaN and infinity soonest
            return array if math.isfinite(array.dot(array)) else None
        same = not isinstance(values, np.ndarray) or np.array_equal(array, values)
        return array if same else None

    def _check(self, values: list[Any]) -> None:
        """Where many values are not all surely good, look at each."""
        if len(values) <= _FEW or not self._within(values):
            self._check_each(values)

    def _within(self, values: list[Any]) -> bool:
        if not self.kind.values.issuperset(map(type, values)):
            return False
        if self.dtype.kind not in "iuf":
            return True
        inside = self.low <= min(values) and max(values) <= self.high
        return inside and math.isfinite(sum(values))  # NaN hides from min and max, not from sum

    def _check_each(self, values: list[Any]) -> None:
        size = math.prod(self.shape)
        for number, value in enumerate(values):
            self._check_value(value, number // size)

    def _check_value(self, value: object, row: int) -> None:
        if value is None:
            if self.required:
                raise self.refusal(value, f"a {self.kind.name}, this field is required", row)
        elif type(value) not in self.kind.values:
            raise self.refusal(value, f"a {self.kind.name}", row)
        elif type(value) is not str and not self.low <= value <= self.high:  # type: ignore[operator]
            hint = "" if self.required else "; send null where it is missing"
            wanted = f"a finite {self.kind.name} from {self.low:g} to {self.high:g}{hint}"
            raise self.refusal(value, wanted, row)
