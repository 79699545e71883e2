"""A folder in, what can be read of it out: sealed files and, frame by frame, the other segments.

Readers take no lock. Segments are listed before Parquet files, so one that is sealed meanwhile is
seen as one of the two, and as a segment only where it has no Parquet file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from monitoring.prediction_log.frames import read_items
from monitoring.prediction_log.records import PredictionRecord
from monitoring.prediction_log.sealed import SealedFile, list_sealed
from monitoring.prediction_log.segments import list_segments
from monitoring.prediction_log.tables import to_tables


@dataclass(frozen=True)
class Unsealed:
    """A segment that is still written, or has not been sealed yet."""

    path: Path

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
            for file in list_sealed(self.path.parent).values():
                if file.segment == self.segment:
                    yield from file.read(where, columns)


Part = SealedFile | Unsealed


def list_parts(folder: Path) -> list[Part]:
    """List all that holds rows, each once, oldest first; nothing where there is no folder."""
    segments = list_segments(folder)
    sealed = list_sealed(folder)
    unsealed = [Unsealed(path) for path in segments if path.stem not in sealed]
    return sorted([*sealed.values(), *unsealed], key=lambda part: part.segment)
