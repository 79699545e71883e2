"""Row ids in, which of them were answered out: by the tables of all writers' segments.

A segment that has no table yet is read: to its end each time while its writer lives, and once, to
make the table, where its writer was killed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np

from monitoring.prediction_log.frames import DamagedLogError, Reader
from monitoring.prediction_log.ids import IdTable, NewIds, key_and_row, key_of, read_table
from monitoring.prediction_log.segments import SUFFIX, locked

_log = logging.getLogger(__name__)


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
                _log.error("%s is no table of ids: %s", path, error)


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
