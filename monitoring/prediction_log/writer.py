"""Records and labels in, segments on disk out: what serving holds. Needs no pandas, no pyarrow."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from monitoring.prediction_log.frames import encode
from monitoring.prediction_log.ids import IdTable, NewIds, key_of
from monitoring.prediction_log.known import KnownIds
from monitoring.prediction_log.records import Label, PredictionRecord
from monitoring.prediction_log.segments import Segment, open_segment

PREDICTIONS, LABELS = "predictions", "labels"
_log = logging.getLogger(__name__)


@dataclass
class _Open:
    segment: Segment
    ids: NewIds = field(default_factory=NewIds)


class PredictionLog:
    """Appends whole records, or raises OSError and leaves nothing of them behind.

    Every writer opens segments of its own, so any number of processes may share a root. Safe to use
    from several threads. A segment is closed, and then becomes Parquet, when it is this large or
    old; each is a file for as long as the log is kept, so an age of minutes makes many small ones.
    """

    def __init__(
        self,
        root: Path,
        max_segment_bytes: int = 64 * 2**20,
        max_segment_seconds: float = 3600.0,
    ) -> None:
        self._root = root
        self._max_bytes = max_segment_bytes
        self._max_seconds = max_segment_seconds
        self._open: dict[tuple[str, str], _Open] = {}
        self._known: dict[str, KnownIds] = {}
        self._lock = threading.Lock()

    def append(self, records: Iterable[PredictionRecord]) -> None:
        """Write answered requests; they are in the kernel's hands when this returns.

        Raises OSError, and ValueError for a record that no reader could make rows of.
        """
        by_model: dict[str, list[PredictionRecord]] = {}
        for record in records:
            _check(record)
            by_model.setdefault(record.model, []).append(record)
        for model, group in by_model.items():
            frames = b"".join(map(encode, group))
            keys = [(key_of(record.id, record.rows), record.rows) for record in group]
            self._write(model, PREDICTIONS, frames, keys)

    def append_labels(self, model: str, labels: Iterable[Label]) -> None:
        """Write labels; one that comes again replaces the earlier one when read."""
        if group := list(labels):
            self._write(model, LABELS, encode(group), [])

    def known(self, model: str, ids: Iterable[str]) -> set[str]:
        """Which of these rows were answered, as far as closed segments and this writer know.

        Those that other writers have open are read too. Reads the disk: not for an event loop when
        there are many segments.
        """
        with self._lock:
            known = self._known.setdefault(model, KnownIds(self._root / model / PREDICTIONS))
            opened = self._open.get((model, PREDICTIONS))
            own, path = (opened.ids.tables(), opened.segment.path) if opened else ([], None)
        return known.find(ids, own, path)

    def rotate(self) -> None:
        """Close what is old enough; called now and then, it lets readers have quiet models too."""
        with self._lock:
            for key, opened in list(self._open.items()):
                if opened.segment.age >= self._max_seconds:
                    self._close(key)

    def close(self) -> None:
        """Close all segments; a later append opens new ones."""
        with self._lock:
            for key in list(self._open):
                self._close(key)

    def _write(self, model: str, kind: str, frames: bytes, keys: list[tuple[int, int]]) -> None:
        key = (model, kind)
        with self._lock:
            opened = self._open.get(key)
            if opened is None or opened.segment.is_gone():
                opened = self._reopen(key)
            try:
                opened.segment.append(frames)
            except OSError:
                self._close(key)  # a reader may hold a part of what was truncated
                raise
            opened.ids.add(keys)
            segment = opened.segment
            if segment.size >= self._max_bytes or segment.age >= self._max_seconds:
                self._close(key)

    def _reopen(self, key: tuple[str, str]) -> _Open:
        if gone := self._open.pop(key, None):
            gone.segment.close()
        self._open[key] = _Open(open_segment(self._root / key[0] / key[1]))
        return self._open[key]

    def _close(self, key: tuple[str, str]) -> None:
        opened = self._open.pop(key)
        try:
            if not opened.segment.is_gone() and (tables := opened.ids.tables()):
                IdTable.merge(tables).write(opened.segment.path)
        except OSError as error:  # derived: whoever needs it makes it from the segment
            _log.warning("no index of %s: %s", opened.segment.path, error)
        finally:
            opened.segment.close()


def _check(record: PredictionRecord) -> None:
    fit = {record.rows}.issuperset
    if not (fit(map(len, record.features.values())) and fit(map(len, record.output.values()))):
        columns = (record.features, record.output)
        lengths = {name: len(column) for each in columns for name, column in each.items()}
        raise ValueError(f"record {record.id!r} has {record.rows} rows, its columns {lengths}")
