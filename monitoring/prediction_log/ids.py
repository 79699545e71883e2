"""Row ids in, hashes out: a small sorted table of the requests of a segment, beside it.

`<segment>.ids` holds, for every request in the segment, a 64-bit hash (sorted) and then, in the
same order, its number of rows (32 bits). It is derived: lost or never written, it is made again
from the segment. It stays for as long as the rows are kept, wherever they lie.
"""

from __future__ import annotations

import functools
import os
from array import array
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_CHUNK = 2**14  # requests that are sorted together while a segment is open: half a millisecond
_ENTRY = 12  # bytes
_MOST_DIGITS = 10  # of a row's number, which has 32 bits
_MAPPED = 4096  # tables kept mapped; the kernel allows a process 65,530 mappings


def key_of(id: str, rows: int) -> int:  # noqa: A002
    """Hash a request's id; one of several rows, and one of a lone row, never have one key."""
    text = id if rows == 1 else id + "/"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def is_row_number(text: str) -> bool:
    """Whether this can number a row of a request."""
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS


def key_and_row(row_id: str) -> tuple[int, int]:
    """Give the key and the row within the request that a row id speaks of."""
    request, slash, row = row_id.rpartition("/")
    if slash and is_row_number(row) and (row == "0" or row[0] != "0"):
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


def list_tables(folder: Path) -> list[Path]:
    """List the tables of a folder; none where there is no folder."""
    return list(folder.glob("*.ids"))


@functools.lru_cache(maxsize=_MAPPED)
def read_table(path: Path) -> IdTable:
    """Map a table into memory. Raises FileNotFoundError, or ValueError where it is torn."""
    content = np.asarray(np.memmap(path, np.uint8, mode="r"))
    count, rest = divmod(len(content), _ENTRY)
    if rest:
        raise ValueError(f"{len(content)} bytes are no entries of {_ENTRY}")
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
