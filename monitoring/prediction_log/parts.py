"""A folder in, what can be read of it out: sealed files and, frame by frame, the other segments.

Readers take no lock. Segments are listed before Parquet files, so one that is sealed meanwhile is
seen as one of the two, and as a segment only where it has no Parquet file. Tables of ids, which
stay for as long as their rows are kept, are listed before both: they tell if something is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from monitoring.prediction_log.frames import DamagedLogError, read_items
from monitoring.prediction_log.ids import list_tables
from monitoring.prediction_log.records import PredictionRecord
from monitoring.prediction_log.sealed import SealedFile, SealedFolder, sealed_folder
from monitoring.prediction_log.segments import list_segments
from monitoring.prediction_log.tables import to_tables
from monitoring.prediction_log.writer import PREDICTIONS


@dataclass(frozen=True)
class Unsealed:
    """A segment that is still written, or has not been sealed yet into its folder."""

    path: Path
    sealed: SealedFolder

    @property
    def segment(self) -> str:
        """Its name, which sorts by the time it was opened."""
        return self.path.stem

    def read(self, where: Any = None, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Give the rows that meet a condition, and those of the columns that it has."""
        try:
            for table in to_tables(read_items(self.path, PredictionRecord)):
                found = table if where is None else table.filter(where)
                if columns is not None:
                    found = found.select([name for name in columns if name in table.column_names])
                yield found
        except FileNotFoundError:  # sealed since it was listed, and nothing of it was read yet
            if file := self.sealed.list().get(self.segment):
                yield from file.read(where, columns)


Part = SealedFile | Unsealed


def list_parts(root: Path, model: str, store: str = "") -> list[Part]:
    """List all that holds rows of a model, each once, oldest first; nothing where there is no log.

    Raises DamagedLogError where something is missing, and OSError where the store is away.
    """
    folder, sealed_in = root / model / PREDICTIONS, sealed_folder(root, model, store)
    tables = list_tables(folder)
    segments = list_segments(folder)
    sealed = sealed_in.list()
    unsealed = [Unsealed(path, sealed_in) for path in segments if path.stem not in sealed]
    _expect(tables, sealed.keys() | {path.stem for path in segments}, sealed_in)
    return sorted([*sealed.values(), *unsealed], key=lambda part: part.segment)


def _expect(tables: list[Path], found: set[str], sealed_in: SealedFolder) -> None:
    missing = [path for path in tables if path.stem not in found]
    missing = [path for path in missing if path.exists()]  # else its rows' time was over
    if missing:
        raise DamagedLogError(
            f"{sealed_in.path} lacks what was sealed of {len(missing)} segments, {missing[0].stem} "
            "among them. Is RELAY_PREDICTION_LOG_STORE what it was then? `relay seal` brings there "
            f"what lies beside the segments; for what is lost, delete such as {missing[0]}"
        )
