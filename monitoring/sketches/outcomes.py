"""Answers and what came true in; sums by day, and by probability, that scores add up from."""

import msgspec
import numpy as np
import numpy.typing as npt

from monitoring.problems import Problem
from monitoring.sketches.apache import Floats
from monitoring.sketches.probabilities import ProbabilityBins

_DAY = 86_400_000_000  # microseconds


def _nothing() -> Floats:
    return np.empty(0)


class Day(msgspec.Struct):
    """What came true of one day's rows, and what the answers were worth, in nats of log loss.

    `counts` (m,) has the rows of each class; where there are none, as in a density, `baseline` has
    the loss of the graph's own yardstick instead.
    """

    rows: int = 0
    loss: float = 0.0
    baseline: float = 0.0
    counts: Floats = msgspec.field(default_factory=_nothing)

    def add(self, other: "Day") -> None:
        """Take another one's rows."""
        self.counts = self.counts + other.counts if self.rows else other.counts
        self.rows += other.rows
        self.loss += other.loss
        self.baseline += other.baseline


class Outcomes(msgspec.Struct):
    """The rows of a window of which it is known what came true.

    `days` is by whole days since 1970 of the event time, UTC; `newest` the newest event time among
    them, in microseconds since 1970; `invalid` counts the rows whose answer is none, `odd` is a
    label of no class, if one came. `bins` are filled where there are two classes. `fault` says why
    a part of the answers could not be read: nothing is to be told of them then.
    """

    days: dict[int, Day] = {}
    bins: ProbabilityBins = msgspec.field(default_factory=ProbabilityBins)
    newest: int | None = None
    invalid: int = 0
    odd: float | None = None
    fault: str | None = None

    @property
    def total(self) -> int:
        """Rows that have a score."""
        return sum(day.rows for day in self.days.values())

    def add(
        self, problem: Problem, micros: npt.NDArray[np.int64], said: Floats, truth: Floats
    ) -> None:
        """Take event times (n,), answers (n, m) and labels (n,), each row once."""
        if not len(truth):
            return
        newest = int(micros.max())
        self.newest = newest if self.newest is None else max(self.newest, newest)
        classes = said.shape[1]
        fine = (truth >= 0) & (truth < classes) & (truth == np.floor(truth))
        if not fine.all():
            self.odd = float(truth[~fine][0])
        valid = problem.valid(said)
        self.invalid += int((fine & ~valid).sum())
        micros, said, truth = (each[fine & valid] for each in (micros, said, truth))
        if problem.estimable:
            self.bins.add(said[:, 1], truth)
        days, at = np.unique(micros // _DAY, return_inverse=True)
        losses = problem.losses(said, truth)
        baseline, counts = problem.known(said, truth)
        by_class = np.zeros((len(days), counts.shape[1]))
        np.add.at(by_class, at, counts)
        sums = np.bincount(at), np.bincount(at, losses), np.bincount(at, baseline)
        for day, rows, loss, usual, of in zip(
            days.tolist(), *(each.tolist() for each in sums), by_class, strict=True
        ):
            self._add_day(day, Day(rows, loss, usual, of))

    def merge(self, other: "Outcomes") -> None:
        """Take what another one has seen, of other rows."""
        for day, found in other.days.items():
            self._add_day(day, found)
        self.bins.merge(other.bins)
        self.newest = max((t for t in (self.newest, other.newest) if t is not None), default=None)
        self.invalid += other.invalid
        self.odd = other.odd if self.odd is None else self.odd
        self.fault = self.fault or other.fault

    def _add_day(self, day: int, found: Day) -> None:
        self.days.setdefault(day, Day()).add(found)
