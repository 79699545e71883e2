"""Answers and what came true in; sums by day, and by probability, that scores add up from."""

import msgspec
import numpy as np
import numpy.typing as npt

from monitoring.sketches.apache import Floats
from monitoring.sketches.probabilities import ProbabilityBins, log_loss

_DAY = 86_400_000_000  # microseconds


class Day(msgspec.Struct):
    """Labelled rows of one day: how many, how many ones, and their summed log loss in nats."""

    rows: int = 0
    ones: int = 0
    loss: float = 0.0


class Outcomes(msgspec.Struct):
    """The labelled rows of a window.

    `days` is by whole days since 1970 of the event time, UTC; `newest` the newest event time among
    them, in microseconds since 1970; `odd` a label that is neither 0 nor 1, if one came.
    """

    days: dict[int, Day] = {}
    bins: ProbabilityBins = msgspec.field(default_factory=ProbabilityBins)
    newest: int | None = None
    odd: float | None = None

    def add(self, micros: npt.NDArray[np.int64], probability: Floats, truth: Floats) -> None:
        """Take event times, probabilities and labels: each (n,), each row once."""
        if not len(truth):
            return
        newest = int(micros.max())
        self.newest = newest if self.newest is None else max(self.newest, newest)
        fine = (truth == 0.0) | (truth == 1.0)
        if not fine.all():
            self.odd = float(truth[~fine][0])
            micros, probability, truth = micros[fine], probability[fine], truth[fine]
        self.bins.add(probability, truth)
        valid = (probability >= 0) & (probability <= 1)
        micros, probability, truth = micros[valid], probability[valid], truth[valid]
        losses = log_loss(np.where(truth == 1.0, probability, 1 - probability))
        days, at = np.unique(micros // _DAY, return_inverse=True)
        sums = (np.bincount(at), np.bincount(at, truth), np.bincount(at, losses))
        for day, rows, ones, loss in zip(days.tolist(), *(s.tolist() for s in sums), strict=True):
            self._add_day(day, Day(rows, int(ones), loss))

    def merge(self, other: "Outcomes") -> None:
        """Take what another one has seen, of other rows."""
        for day, found in other.days.items():
            self._add_day(day, found)
        self.bins.merge(other.bins)
        self.newest = max((t for t in (self.newest, other.newest) if t is not None), default=None)
        self.odd = other.odd if self.odd is None else self.odd

    def _add_day(self, day: int, found: Day) -> None:
        known = self.days.setdefault(day, Day())
        known.rows += found.rows
        known.ones += found.ones
        known.loss += found.loss
