"""Row ids in, which of them were answered out: a small sorted table beside every segment.

`<segment>.ids` holds, for every request in the segment, a 64-bit hash (sorted) and then, in the
same order, its number of rows (32 bits). It is derived: lost or never written, it is made again
from the segment.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from monitoring.prediction_log.frames import DamagedLogError, Reader
from monitoring.prediction_log.segments import SUFFIX, locked

_CHUNK = 2**14  # requests that are sorted together while a segment is open: half a millisecond
_ENTRY = 12  # bytes
_MAPPED = 4096  # tables kept mapped; the kernel allows a process 65,530 mappings
_log = logging.getLogger(__name__)


def key_of(id: str, rows: int) -> int:  # noqa: A002
    """Hash a request's id; one of several rows, and one of a lone row, never have one key."""
    text = id if rows == 1 else id + "/"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def key_and_row(row_id: str) -> tuple[int, int]:
    """Give the key and the row within the request that a row id speaks of."""
    request, slash, row = row_id.rpartition("/")
    if slash and row.isascii() and row.isdigit() and (row == "0" or row[0] != "0"):
        return key_of(request, 2), min(int(row), 2**32)
    return key_of(row_id, 1), 0


class IdTable(NamedTuple):
    """Sorted keys and the rows of each: arrays of shape (requests,), uint64 and uint32."""

    keys: NDArray[np.uint64]
    rows: NDArray[np.uint32]

    @classmethod
    def of(cls, keys: NDArray[np.uint64], rows: NDArray[np.uint32]) -> IdTable:
        """Sort; of a key that comes twice, the greater number of rows counts."""
        if not len(keys):
            return cls(keys, rows)
        order = np.argsort(keys)
        keys, rows = keys[order], rows[order]
        first = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
        return cls(keys[first], np.maximum.reduceat(rows, first))

    @classmethod
    def merge(cls, tables: Sequence[IdTable]) -> IdTable:
        """Make one table of several, at least one."""
        return cls.of(
            np.concatenate([table.keys for table in tables]),
            np.concatenate([table.rows for table in tables]),
        )

    def find(self, keys: NDArray[np.uint64], rows: NDArray[np.uint64]) -> NDArray[np.bool_]:
        """Say for each key and row whether it is here."""
        if not len(self.keys):
            return np.zeros(len(keys), bool)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        found: NDArray[np.bool_] = (self.keys[at] == keys) & (rows < self.rows[at])
        return found

    def write(self, segment: Path, *, durable: bool = False) -> None:
        """Write it beside its segment, whole or not at all; the segment must be locked."""
        path = segment.with_suffix(".ids")
        partial = path.with_suffix(".ids-partial")
        with partial.open("wb") as file:
            file.write(self.keys.tobytes() + self.rows.tobytes())
            if durable:
                file.flush()
                os.fsync(file.fileno())
        partial.rename(path)


@functools.lru_cache(maxsize=_MAPPED)
def read_table(path: Path) -> IdTable:
    """Map a table into memory. Raises FileNotFoundError, or ValueError where it is torn."""
    content = np.asarray(np.memmap(path, np.uint8, mode="r"))
    count, rest = divmod(len(content), _ENTRY)
    if rest:
        raise ValueError(f"{path} holds {len(content)} bytes, no table of entries of {_ENTRY}")
    return IdTable(content[: 8 * count].view(np.uint64), content[8 * count :].view(np.uint32))


def may_hold(segment: Path, row_id: str) -> bool:
    """Whether a row can be in a segment: no, only if its table says so."""
    try:
        table = read_table(segment.with_suffix(".ids"))
    except (FileNotFoundError, ValueError):
        return True
    key, row = key_and_row(row_id)
    return bool(table.find(np.array([key], np.uint64), np.array([row], np.uint64))[0])


class NewIds:
    """The table of a segment that is still written: a few sorted chunks and an unsorted rest."""

    def __init__(self) -> None:
        self._chunks: list[IdTable] = []
        self._clear()

    def add(self, keys_and_rows: Iterable[tuple[int, int]]) -> None:
        """Take requests: 12 bytes each."""
        for key, rows in keys_and_rows:
            self._keys.append(key)
            self._rows.append(rows)
        if len(self._keys) >= _CHUNK:
            self._chunks.append(self._newest())
            self._clear()

    def tables(self) -> list[IdTable]:
        """Give all that has come, in one or more tables; none where nothing has."""
        return [*self._chunks, self._newest()] if self._keys else list(self._chunks)

    def _newest(self) -> IdTable:
        return IdTable.of(np.array(self._keys, np.uint64), np.array(self._rows, np.uint32))

    def _clear(self) -> None:
        self._keys, self._rows = array("Q"), array("I")


class KnownIds:
    """Which rows a model's log holds, all writers' segments together. For any number of threads."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._followed: dict[Path, _Followed] = {}
        self._lock = threading.Lock()

    def find(self, ids: Iterable[str], own: list[IdTable], own_segment: Path | None) -> set[str]:
        """Look up row ids in what the caller has open, then on disk, newest first."""
        wanted = list(dict.fromkeys(ids))
        asked = [key_and_row(row_id) for row_id in wanted]
        keys = np.array([key for key, _ in asked], np.uint64)
        rows = np.array([row for _, row in asked], np.uint64)
        missing = np.arange(len(wanted))
        with self._lock:
            for table in chain(own, self._tables(own_segment)):
                missing = missing[~table.find(keys[missing], rows[missing])]
                if not len(missing):
                    break
        return set(wanted) - {wanted[each] for each in missing}

    def _tables(self, own_segment: Path | None) -> Iterator[IdTable]:
        files = list(self._folder.iterdir()) if self._folder.exists() else []
        tables = {path.stem: path for path in files if path.suffix == ".ids"}
        segments = {path for path in files if path.suffix == SUFFIX and path.stem not in tables}
        self._followed = {
            path: self._followed.get(path) or _Followed(path) for path in segments - {own_segment}
        }
        for followed in self._followed.values():
            yield from followed.catch_up()
        for _, path in sorted(tables.items(), reverse=True):
            try:
                yield read_table(path)
            except FileNotFoundError:
                continue  # its time was over
            except ValueError as error:  # torn by a power failure; sealing writes it anew
                _log.error("%s", error)


class _Request(msgspec.Struct, array_like=True):
    id: str
    rows: int


_REQUESTS = Reader(_Request)


class _Followed:
    """A segment without a table: another writer's that is open, or one whose writer was killed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._ids = NewIds()
        self._damaged = False

    def catch_up(self) -> list[IdTable]:
        """Read what has come since; make its table if nothing more will."""
        with suppress(FileNotFoundError), locked(self._path) as ended:
            if not self._damaged:
                self._read()
            if ended and not self._damaged and (tables := self._ids.tables()):
                IdTable.merge(tables).write(self._path)
        return self._ids.tables()

    def _read(self) -> None:
        with self._path.open("rb") as file:
            file.seek(self._offset)
            try:
                for request in _REQUESTS.read(file, self._path):
                    self._ids.add([(key_of(request.id, request.rows), request.rows)])
            except DamagedLogError as error:  # the monitor fails on it; labels are taken meanwhile
                self._damaged = True
                _log.error("ids behind the damage are not known: %s", error)
            self._offset = file.tell()
