"""Numbers and their event times in; sums by the hour, which means of any days add up from, out."""

from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt
import pandas as pd

from monitoring.sketches.apache import Floats

Integers = npt.NDArray[np.int64]
HOUR = 3_600_000_000  # microseconds


@dataclass(frozen=True)
class RowHours:
    """The different hours of some rows, since 1970, (h,), and which of them each row has, (n,)."""

    hours: Integers
    at: Integers

    @classmethod
    def of(cls, micros: Integers) -> "RowHours":
        """Take event times (n,) in microseconds since 1970."""
        at, hours = pd.factorize(micros // HOUR)
        return cls(hours, at)


class Hour(msgspec.Struct):
    """Finite values of one hour: how many, and their sum."""

    rows: int = 0
    total: float = 0.0


class HourlySums(msgspec.Struct):
    """The finite values of a column, by whole hours since 1970 of their event time."""

    hours: dict[int, Hour] = {}

    def add(self, times: RowHours, values: Floats) -> None:
        """Take values (n,), of which those that are missing or infinite do not count."""
        finite = np.isfinite(values)
        at, many = times.at[finite], len(times.hours)
        sums = np.bincount(at, minlength=many), np.bincount(at, values[finite], minlength=many)
        hours = times.hours.tolist()
        for hour, rows, total in zip(hours, *(each.tolist() for each in sums), strict=True):
            if rows:
                self._add_hour(hour, Hour(rows, total))

    def merge(self, other: "HourlySums") -> None:
        """Take what another one has seen, of other rows."""
        for hour, found in other.hours.items():
            self._add_hour(hour, found)

    def split(self, hour: int) -> tuple[Hour, Hour]:
        """Add up the hours before one, and those from it on."""
        before, after = Hour(), Hour()
        for each, found in self.hours.items():
            side = before if each < hour else after
            side.rows += found.rows
            side.total += found.total
        return before, after

    def _add_hour(self, hour: int, found: Hour) -> None:
        known = self.hours.setdefault(hour, Hour())
        known.rows += found.rows
        known.total += found.total
