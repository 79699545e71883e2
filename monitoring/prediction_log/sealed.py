"""Sealed segments: a table in, a Parquet file out, and rows of it by event time and column.

A file is named `<segment>~<first event time>~<last event time>.parquet`, so that a reader of a
window opens only those that reach into it. All files of a model lie in one folder: beside its
segments, or in an object store (https://arrow.apache.org/docs/python/filesystems.html).
"""

from __future__ import annotations

import functools
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
from pyarrow.fs import FileSelector, FileSystem, FileType, LocalFileSystem

from monitoring.prediction_log.writer import PREDICTIONS

SUFFIX = ".parquet"
_ROW_GROUP = 2**16  # rows
_STAMP = "%Y%m%dT%H%M%S.%f"


@dataclass(frozen=True)
class SealedFile:
    """A Parquet file whose rows are about `first` to `last`, both included."""

    filesystem: FileSystem
    path: str
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
                mine = set(pq.read_schema(self.path, filesystem=self.filesystem).names)
                columns = [name for name in columns if name in mine]
            yield self._table(columns, where)

    def last_answer(self) -> datetime:
        """When the youngest of its rows was answered."""
        last: datetime = pc.max(self._table(["time"])["time"]).as_py()
        return last

    def content(self) -> pa.Buffer:
        """Give it byte for byte."""
        with self.filesystem.open_input_file(self.path) as file:
            return file.read_buffer()

    def delete(self) -> None:
        """Delete it, if nobody else has."""
        with suppress(FileNotFoundError):
            self.filesystem.delete_file(self.path)

    def _table(self, columns: Sequence[str] | None, where: Any = None) -> pa.Table:
        return pq.read_table(
            self.path, columns=columns, filters=where, partitioning=None, filesystem=self.filesystem
        )


@dataclass(frozen=True)
class SealedFolder:
    """Where a model's sealed files lie. All raise OSError where that cannot be reached."""

    filesystem: FileSystem
    path: str

    def list(self) -> dict[str, SealedFile]:
        """Find the sealed files by their segment, oldest first."""
        listed = self.filesystem.get_file_info(FileSelector(self.path, allow_not_found=True))
        names = (info.base_name for info in listed if info.type == FileType.File)
        found = {}
        for name in sorted(name for name in names if name.endswith(SUFFIX)):
            segment, first, last = name.removesuffix(SUFFIX).split("~")
            path = f"{self.path}/{name}"
            found[segment] = SealedFile(self.filesystem, path, segment, _parse(first), _parse(last))
        return found

    def write(self, table: pa.Table, segment: str) -> None:
        """Write a segment's rows: kept whole when this returns, or not there at all."""
        times = pc.min_max(table["event_time"]).as_py()
        span = "~".join(times[each].astimezone(UTC).strftime(_STAMP) for each in ("min", "max"))
        content = pa.BufferOutputStream()
        pq.write_table(table, content, compression="zstd", row_group_size=_ROW_GROUP)
        self._put(f"{segment}~{span}{SUFFIX}", content.getvalue())

    def take(self, file: SealedFile) -> None:
        """Have a file that lies elsewhere here, and there no more."""
        self._put(file.path.rpartition("/")[2], file.content())
        file.delete()

    def _put(self, name: str, content: pa.Buffer) -> None:
        if isinstance(self.filesystem, LocalFileSystem):
            _put_on_disk(Path(self.path), name, content)
        else:  # an object appears when its stream is closed; all of it was given before
            with self.filesystem.open_output_stream(f"{self.path}/{name}") as stream:
                stream.write(content)


def sealed_folder(root: Path, model: str, store: str = "") -> SealedFolder:
    """Give the place of a model's sealed files: under a store's URI; beside the segments if none.

    Who may enter an object store, and where it is if not at Amazon, is looked up where all its
    clients look: AWS_SHARED_CREDENTIALS_FILE, AWS_ENDPOINT_URL, AWS_DEFAULT_REGION.
    Raises ValueError for a URI that names no store.
    """
    filesystem, path = _open(store) if store else (LocalFileSystem(), str(root.resolve()))
    return SealedFolder(filesystem, f"{path}/{model}/{PREDICTIONS}")


@functools.lru_cache(maxsize=4)
def _open(store: str) -> tuple[FileSystem, str]:
    filesystem, path = FileSystem.from_uri(store)
    local = isinstance(filesystem, LocalFileSystem)
    return filesystem, str(Path(path).resolve()) if local else path.rstrip("/")


def _put_on_disk(folder: Path, name: str, content: pa.Buffer) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{name.partition('~')[0]}.parquet-partial"
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(folder / name)
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _parse(stamp: str) -> datetime:
    return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
