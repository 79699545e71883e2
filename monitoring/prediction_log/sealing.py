"""Closed segments in, Parquet files out; and what is too old goes.

The order makes it safe to be killed anywhere: index and Parquet file are kept before the segment is
deleted, and a segment that has its Parquet file is read by nobody. What is let go loses its index
first, which says to readers that nothing is missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from monitoring.prediction_log.frames import read_items
from monitoring.prediction_log.ids import IdTable, NewIds, key_of, list_tables
from monitoring.prediction_log.records import PredictionRecord
from monitoring.prediction_log.sealed import SealedFolder, sealed_folder
from monitoring.prediction_log.segments import list_segments, locked, opened_at
from monitoring.prediction_log.tables import join, to_tables
from monitoring.prediction_log.writer import LABELS, PREDICTIONS


def seal(root: Path, model: str, store: str = "") -> int:
    """Turn the segments that have no living writer into Parquet; gives how many it did.

    What was sealed beside the segments before there was a store is brought there. Takes as much
    memory as the largest segment. Several may seal at once. Raises DamagedLogError, OSError where
    the store is away, and ValueError where a feature or an output has the name of another column.
    """
    sealed, count = sealed_folder(root, model, store), 0
    if sealed != (beside := sealed_folder(root, model)):
        for file in beside.list().values():
            sealed.take(file)
    for path in list_segments(root / model / PREDICTIONS):
        with locked(path) as ended:
            if ended:
                _convert(path, sealed)  # who was killed before the next line: again, the same file
                path.unlink()
                count += 1
    return count


def list_models(root: Path) -> list[str]:
    """Name the models that have a log; none where there is no log yet."""
    return sorted(folder.parent.name for folder in root.glob(f"*/{PREDICTIONS}"))


def forget(root: Path, model: str, older_than: datetime, store: str = "") -> int:
    """Delete sealed files, and closed segments of labels, with nothing younger; gives how many.

    A prediction is as old as its answer, a label as the last write to its segment.
    """
    folder, sealed = root / model / PREDICTIONS, sealed_folder(root, model, store)
    _forget_ids(folder, sealed, older_than)
    count = 0
    for file in sealed.list().values():  # oldest first
        if file.last_answer() >= older_than:
            break  # those behind it are looked at when its own time is over
        (folder / f"{file.segment}.ids").unlink(missing_ok=True)
        file.delete()
        count += 1
    return count + sum(
        _forget_labels(path, older_than) for path in list_segments(root / model / LABELS)
    )


def _convert(path: Path, sealed: SealedFolder) -> None:
    ids = NewIds()

    def records() -> Iterator[PredictionRecord]:
        for record in read_items(path, PredictionRecord):
            ids.add([(key_of(record.id, record.rows), record.rows)])
            yield record

    tables = [table for table in to_tables(records()) if len(table)]
    if tables:  # else its writer was killed before the first frame was whole
        IdTable.merge(ids.tables()).write(path, durable=True)
        sealed.write(join(tables), path.stem)


def _forget_labels(path: Path, older_than: datetime) -> bool:
    with locked(path) as ended:
        old = ended and path.stat().st_mtime < older_than.timestamp()
        if old:
            path.unlink()
    return old


def _forget_ids(folder: Path, sealed: SealedFolder, older_than: datetime) -> None:
    """Delete the tables of what is gone and would be let go now, as after an old backup."""
    tables = list_tables(folder)  # in this order nothing that is being sealed is missed
    kept = {path.stem for path in list_segments(folder)} | sealed.list().keys()
    for path in tables:
        if path.stem not in kept and opened_at(path) < older_than:
            path.unlink(missing_ok=True)
