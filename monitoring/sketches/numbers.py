"""Numbers in, what the checks ask of them out: counts, bounds, mean, spread and quantiles."""

from math import inf, sqrt

import msgspec
import numpy as np

from monitoring.measures import CannotTellError
from monitoring.sketches.apache import Floats, Quantiles
from monitoring.sketches.hours import HourlySums, RowHours


class NumberSketch(msgspec.Struct, tag="number"):
    """What a column of numbers held.

    `low` and `high` are the schema's bounds (included; infinite: none) that `outside` counts by.
    `mean`, `squares` (sum of squared distances from it) and `quantiles` are of the `finite` values.
    `by_hour` has those whose event time was given: a window's, not a reference's.
    `fault` says why a part of the column could not be read: nothing is to be told of it then.
    """

    low: float = -inf
    high: float = inf
    rows: int = 0
    missing: int = 0
    finite: int = 0
    outside: int = 0
    smallest: float = inf
    largest: float = -inf
    mean: float = 0.0
    squares: float = 0.0
    quantiles: Quantiles = msgspec.field(default_factory=Quantiles)
    by_hour: HourlySums = msgspec.field(default_factory=HourlySums)
    fault: str | None = None

    @property
    def present(self) -> int:
        """Rows that have a value."""
        return self.rows - self.missing

    @property
    def deviation(self) -> float:
        """Standard deviation of the finite values (of all of them: divided by n)."""
        return sqrt(self.squares / self.finite)

    def weighted(self) -> tuple[Floats, Floats]:
        """Give finite values, ascending, and how many rows each stands for; both (m,)."""
        if not self.finite:
            raise CannotTellError(f"no finite value in {self.rows} rows")
        return self.quantiles.weighted()

    def commonest(self) -> tuple[float, float]:
        """Give the most common finite value and its share of them, within `SHARE_ERROR`."""
        values, weights = self.weighted()
        at = int(weights.argmax())
        return float(values[at]), float(weights[at] / weights.sum())

    def add(self, values: Floats, times: RowHours | None = None) -> None:
        """Take values (n,), NaN where missing, and the hours that they are of."""
        if times is not None:
            self.by_hour.add(times, values)
        there = values[~np.isnan(values)]
        self.rows += len(values)
        self.missing += len(values) - len(there)
        if not len(there):
            return
        smallest, largest = float(there.min()), float(there.max())
        self.smallest, self.largest = min(self.smallest, smallest), max(self.largest, largest)
        if smallest < self.low or largest > self.high:
            self.outside += int(((there < self.low) | (there > self.high)).sum())
        if np.isinf((smallest, largest)).any():
            there = there[np.isfinite(there)]
        if len(there):
            with np.errstate(over="ignore", invalid="ignore"):  # then nobody can tell the spread
                mean = float(there.mean())
                squares = float(np.square(there - mean).sum())
            self._add_moments(len(there), mean, squares)
            self.quantiles.add(there)

    def merge(self, other: "NumberSketch") -> None:
        """Take what another one has seen; ValueError if it counted by other bounds."""
        if (self.low, self.high) != (other.low, other.high):
            raise ValueError(
                f"what is outside of {self.low:g} to {self.high:g} and of "
                f"{other.low:g} to {other.high:g} cannot be added up"
            )
        self.rows += other.rows
        self.missing += other.missing
        self.outside += other.outside
        self.smallest = min(self.smallest, other.smallest)
        self.largest = max(self.largest, other.largest)
        self._add_moments(other.finite, other.mean, other.squares)
        self.quantiles.merge(other.quantiles)
        self.by_hour.merge(other.by_hour)
        self.fault = self.fault or other.fault

    def _add_moments(self, count: int, mean: float, squares: float) -> None:
        """Join mean and squares of two sets of values (Chan, Golub and LeVeque 1983)."""
        both = self.finite + count
        if not count:
            return
        apart = mean - self.mean
        between = apart * (self.finite * count / both) * apart  # huge: infinite; ** would raise
        self.squares += squares + between
        self.mean += apart * count / both
        self.finite = both
