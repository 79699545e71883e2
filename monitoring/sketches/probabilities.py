"""Predicted probabilities, and what came true, in; a histogram of them that scores add up from."""

import msgspec
import numpy as np
import numpy.typing as npt

from monitoring.problems import nats
from monitoring.sketches.apache import Floats

BINS = 1000  # of equal width, from 0 to 1; the last one has the 1


def _zeros() -> Floats:
    return np.zeros(BINS)


class ProbabilityBins(msgspec.Struct):
    """For each bin of the probability, (BINS,): sums over the rows that fell into it.

    `loss_if_one` and `loss_if_zero` are the log loss in nats of those rows, had all of them the
    label 1, or 0: with the share of ones in each bin, known or believed, they give the loss.
    `ones` counts the label 1; it stays 0 where no labels are given. `invalid` counts the rows left
    out because their probability is missing or outside 0 to 1.
    """

    rows: Floats = msgspec.field(default_factory=_zeros)
    probability: Floats = msgspec.field(default_factory=_zeros)
    loss_if_one: Floats = msgspec.field(default_factory=_zeros)
    loss_if_zero: Floats = msgspec.field(default_factory=_zeros)
    ones: Floats = msgspec.field(default_factory=_zeros)
    invalid: int = 0

    @property
    def total(self) -> int:
        """Rows in all bins."""
        return int(self.rows.sum())

    def add(self, probability: Floats, truth: Floats | None = None) -> None:
        """Take probabilities (n,) and, where all of them are known, labels (n,) of 0 and 1."""
        valid = (probability >= 0) & (probability <= 1)
        self.invalid += int((~valid).sum())
        if not valid.all():
            probability = probability[valid]
            truth = truth if truth is None else truth[valid]
        at = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
        self.rows += np.bincount(at, minlength=BINS)
        self.probability += _sum(at, probability)
        self.loss_if_one += _sum(at, nats(probability))
        self.loss_if_zero += _sum(at, nats(1 - probability))
        if truth is not None:
            self.ones += _sum(at, truth)

    def merge(self, other: "ProbabilityBins") -> None:
        """Take what another one has seen."""
        for name in ("rows", "probability", "loss_if_one", "loss_if_zero", "ones"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.invalid += other.invalid


def _sum(at: npt.NDArray[np.int64], values: Floats) -> Floats:
    return np.bincount(at, weights=values, minlength=BINS).astype(np.float64)
