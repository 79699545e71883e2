"""Batches in, a bounded sample of their rows out: always the same rows, whatever the batches."""

import numpy as np
import pandas as pd
import pyarrow as pa

from monitoring.sketches.arrow import Hashes, undo_json


class RowSample:
    """The rows whose ids have the smallest hashes: a draw by chance that a second run repeats."""

    def __init__(self, rows: int) -> None:
        """Keep at most this many rows."""
        self._rows = rows
        self._hashes: Hashes = np.empty(0, np.uint64)
        self._kept: list[pa.RecordBatch] = []
        self._limit = np.uint64(2**64 - 1)

    def add(self, batch: pa.RecordBatch, ids: Hashes) -> None:
        """Take n rows and the hashes of their ids, (n,); of an id that comes again the last row."""
        low = np.flatnonzero(ids <= self._limit)
        if not len(low):
            return
        self._kept.append(batch.take(pa.array(low)))
        self._hashes = np.append(self._hashes, ids[low])
        if len(self._hashes) > 4 * self._rows:
            self._cut()

    def frame(self) -> pd.DataFrame:
        """Return the sample, in event-time order."""
        self._cut()
        frames = [_to_pandas(batch) for batch in self._kept]
        filled = [each.dropna(axis="columns", how="all") for each in frames if len(each)]
        if not filled:
            return pd.DataFrame()
        frame = pd.concat(filled).reindex(columns=self._kept[0].schema.names)
        return frame.sort_values("event_time", kind="stable", ignore_index=True)

    def _cut(self) -> None:
        _, last = np.unique(self._hashes[::-1], return_index=True)  # ascending by hash
        chosen = np.sort(len(self._hashes) - 1 - last[: self._rows])
        begin, kept = 0, []
        for batch in self._kept:
            mine = chosen[(chosen >= begin) & (chosen < begin + len(batch))] - begin
            kept.append(batch.take(pa.array(mine)))
            begin += len(batch)
        self._kept = [batch for batch in kept if len(batch)]
        self._hashes = self._hashes[chosen]
        if len(chosen) == self._rows:
            self._limit = self._hashes.max()


def _to_pandas(batch: pa.RecordBatch) -> pd.DataFrame:
    columns = {name: undo_json(batch[name]) for name in batch.schema.names}
    frame: pd.DataFrame = pa.table(columns).to_pandas()
    return frame
