"""Closed segments in, Parquet files out; and what is too old goes.

The order makes it safe to be killed anywhere: index and Parquet file are on the disk before the
segment is deleted, and a segment that has its Parquet file is read by nobody.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from monitoring.prediction_log.frames import read_items
from monitoring.prediction_log.ids import IdTable, NewIds, key_of
from monitoring.prediction_log.records import PredictionRecord
from monitoring.prediction_log.sealed import list_sealed, write_sealed
from monitoring.prediction_log.segments import list_segments, locked
from monitoring.prediction_log.tables import join, to_tables
from monitoring.prediction_log.writer import LABELS, PREDICTIONS


def seal(root: Path, model: str) -> int:
    """Turn the segments that have no living writer into Parquet; gives how many it did.

    Takes as much memory as the largest segment. Several may seal at once. Raises DamagedLogError,
    and ValueError where a feature or an output has the name of another column.
    """
    count = 0
    for path in list_segments(root / model / PREDICTIONS):
        with locked(path) as ended:
            if ended:
                _convert(path)  # who was killed before the next line: again, to the same file
                path.unlink()
                count += 1
    return count


def list_models(root: Path) -> list[str]:
    """Name the models that have a log; none where there is no log yet."""
    return sorted(folder.parent.name for folder in root.glob(f"*/{PREDICTIONS}"))


def forget(root: Path, model: str, older_than: datetime) -> int:
    """Delete sealed files, and closed segments of labels, with nothing younger; gives how many.

    A prediction is as old as its answer, a label as the last write to its segment.
    """
    count = 0
    for file in list_sealed(root / model / PREDICTIONS).values():  # oldest first
        if file.last_answer() >= older_than:
            break  # those behind it are looked at when its own time is over
        file.path.unlink(missing_ok=True)
        count += 1
    labels = sum(_forget_labels(path, older_than) for path in list_segments(root / model / LABELS))
    _forget_ids(root / model / PREDICTIONS)
    return count + labels


def _convert(path: Path) -> None:
    ids = NewIds()

    def records() -> Iterator[PredictionRecord]:
        for record in read_items(path, PredictionRecord):
            ids.add([(key_of(record.id, record.rows), record.rows)])
            yield record

    tables = [table for table in to_tables(records()) if len(table)]
    if tables:  # else its writer was killed before the first frame was whole
        IdTable.merge(ids.tables()).write(path, durable=True)
        write_sealed(join(tables), path)


def _forget_labels(path: Path, older_than: datetime) -> bool:
    with locked(path) as ended:
        old = ended and path.stat().st_mtime < older_than.timestamp()
        if old:
            path.unlink()
    return old


def _forget_ids(folder: Path) -> None:
    """Delete the tables of segments that are gone."""
    tables = list(folder.glob("*.ids"))  # in this order nothing that is being sealed is missed
    segments = {path.stem for path in list_segments(folder)}
    sealed = list_sealed(folder)
    for path in tables:
        if path.stem not in segments and path.stem not in sealed:
            path.unlink(missing_ok=True)
