"""Hashes in, how many different ones there were out: exact up to `KEPT`, then an estimate.

It keeps the smallest hashes: how densely they lie tells how many there are ("k minimum values",
Bar-Yossef et al. 2002, "Counting Distinct Elements in a Data Stream").
"""

from math import sqrt

import numpy as np

from monitoring.sketches.arrow import Hashes

KEPT = 2**20  # hashes: 8 MB, and an error of 0.1 %
_ALL = 2.0**64


class DistinctSketch:
    """A count of the different hashes among all that were added."""

    def __init__(self, smallest: Hashes | None = None) -> None:
        """Begin empty, or with what `smallest` gave."""
        self._known: Hashes = np.empty(0, np.uint64) if smallest is None else smallest
        self._new: list[Hashes] = []
        self._waiting = 0

    def add(self, hashes: Hashes) -> None:
        """Take hashes (n,), each as often as it comes."""
        if len(self._known) == KEPT:
            hashes = hashes[hashes < self._known[-1]]
        self._new.append(hashes)
        self._waiting += len(hashes)
        if self._waiting > KEPT:
            self._sort()

    def merge(self, other: "DistinctSketch") -> None:
        """Take what another one has seen."""
        self.add(other.smallest)

    @property
    def smallest(self) -> Hashes:
        """The smallest different hashes, ascending: all of them where there are fewer than KEPT."""
        self._sort()
        return self._known

    @property
    def count(self) -> float:
        """How many different ones there were."""
        known = self.smallest
        return float(len(known)) if len(known) < KEPT else (KEPT - 1) * _ALL / float(known[-1])

    @property
    def error(self) -> float:
        """Standard error of the count, as a fraction of it; 0 where it is exact."""
        return 0.0 if len(self.smallest) < KEPT else 1 / sqrt(KEPT - 2)

    def _sort(self) -> None:
        if self._new:
            known = np.sort(np.concatenate([self._known, *self._new]))
            first = np.append(True, known[1:] != known[:-1])[: len(known)]  # faster than np.unique
            self._known = known[first][:KEPT]
            self._new, self._waiting = [], 0
