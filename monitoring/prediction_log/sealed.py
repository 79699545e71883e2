"""A sealed segment: a table in, a Parquet file out, and rows of it by event time and column.

It is named `<segment>~<first event time>~<last event time>.parquet`, so that a reader of a window
opens only the files that reach into it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

SUFFIX = ".parquet"
_ROW_GROUP = 2**16  # rows
_STAMP = "%Y%m%dT%H%M%S.%f"


@dataclass(frozen=True)
class SealedFile:
    """A Parquet file whose rows are about `first` to `last`, both included."""

    path: Path
    segment: str
    first: datetime
    last: datetime

    def meets(self, start: datetime | None, end: datetime | None) -> bool:
        """Whether a row's event time may be in [start, end)."""
        return (start is None or self.last >= start) and (end is None or self.first < end)

    def read(self, where: Any = None, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Give the rows that meet a condition, and those of the columns that it has.

        Row groups that cannot meet it are not read. Nothing, where the file's time was over.
        """
        with suppress(FileNotFoundError):
            if columns is not None:
                mine = set(pq.read_schema(self.path).names)
                columns = [name for name in columns if name in mine]
            yield pq.read_table(self.path, columns=columns, filters=where, partitioning=None)

    def last_answer(self) -> datetime:
        """When the youngest of its rows was answered."""
        times = pq.read_table(self.path, columns=["time"], partitioning=None)["time"]
        last: datetime = pc.max(times).as_py()
        return last


def list_sealed(folder: Path) -> dict[str, SealedFile]:
    """Find the Parquet files of a folder, by their segment, oldest first."""
    found = {}
    for path in sorted(folder.glob(f"*~*~*{SUFFIX}")):
        segment, first, last = path.name.removesuffix(SUFFIX).split("~")
        found[segment] = SealedFile(path, segment, _parse(first), _parse(last))
    return found


def write_sealed(table: pa.Table, segment: Path) -> None:
    """Write the rows beside their segment: on disk whole when this returns, or not there at all."""
    times = pc.min_max(table["event_time"]).as_py()
    span = "~".join(times[each].astimezone(UTC).strftime(_STAMP) for each in ("min", "max"))
    partial = segment.with_suffix(".parquet-partial")
    with partial.open("wb") as file:
        pq.write_table(table, file, compression="zstd", row_group_size=_ROW_GROUP)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(segment.with_name(f"{segment.stem}~{span}{SUFFIX}"))
    sync_folder(segment.parent)


def sync_folder(folder: Path) -> None:
    """Bring a folder's names to the disk."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _parse(stamp: str) -> datetime:
    return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
