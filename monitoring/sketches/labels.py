"""Labels in, which rows have one out: 13 bytes a label, however long their ids are."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from monitoring.sketches.apache import Floats
from monitoring.sketches.arrow import Hashes, hash_ids


class Labels:
    """What came true, by the hash of the row's id; of several labels for one id the last counts.

    64 bits: among ten million ids two share a hash once in 400,000 windows.
    """

    def __init__(self, batches: Iterable[tuple[list[str], list[float]]]) -> None:
        """Take ids and their labels in the order in which they came; NaN is no label."""
        hashes, labels = [np.empty(0, np.uint64)], [np.empty(0, np.float32)]
        for ids, values in batches:
            hashes.append(hash_ids(ids))
            labels.append(np.asarray(values, np.float32))
        given, truth = np.concatenate(hashes), np.concatenate(labels)
        hashes.clear()
        labels.clear()
        given, truth = given[~np.isnan(truth)], truth[~np.isnan(truth)]
        order = np.argsort(given, kind="stable")
        given = given[order]
        last = np.append(given[1:] != given[:-1], True)[: len(given)]
        self._hashes, self._labels = given[last], truth[order[last]]
        self._counted = np.zeros(len(self._hashes), bool)

    def __len__(self) -> int:
        """Ids that have a label."""
        return len(self._hashes)

    def find(self, ids: Hashes) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Return each row's label (n,), NaN without one, and whether its id is met first (n,)."""
        order = np.argsort(ids)  # one way through the labels instead of one jump a row
        at = np.searchsorted(self._hashes, ids[order])
        at[at == len(self._hashes)] = 0
        known = self._hashes[at] == ids[order] if len(self) else np.zeros(len(ids), bool)
        truth, first = np.full(len(ids), np.nan), np.zeros(len(ids), bool)
        if not known.any():
            return truth, first
        rows, at = order[known], at[known]
        truth[rows] = self._labels[at]
        new = ~self._counted[at] & np.append(True, at[1:] != at[:-1])
        first[rows[new]] = True
        self._counted[at] = True
        return truth, first
