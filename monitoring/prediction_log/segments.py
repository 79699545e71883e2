"""Bytes in, a segment on disk out: a file that one writer appends to, locked while it is open.

A segment is named `<time it was opened>-<random>.log`, so names sort by time and never meet. Its
writer holds an flock on it: who gets the lock knows that the writer has closed it or is dead.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

SUFFIX = ".log"
_STAMP = "%Y%m%dT%H%M%S.%f"


class Segment:
    """The writer's end of a segment. Not safe to use from several threads at once."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{datetime.now(UTC):{_STAMP}}-{secrets.token_hex(4)}{SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._fd = os.open(self.path, flags, 0o644)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        self.size = 0
        self._opened = time.monotonic()

    @property
    def age(self) -> float:
        """Seconds since it was opened."""
        return time.monotonic() - self._opened

    def is_gone(self) -> bool:
        """Whether somebody deleted the file: what is written to it now nobody would ever read."""
        return os.fstat(self._fd).st_nlink == 0

    def append(self, frames: bytes) -> None:
        """Write in one call. Raises OSError and leaves nothing behind; then it must be closed."""
        try:
            written = os.write(self._fd, frames)
            if written < len(frames):  # the disk filled up in the middle
                raise OSError(errno.ENOSPC, "the prediction log took only a part of the frames")
        except OSError:
            os.ftruncate(self._fd, self.size)
            raise
        self.size += written

    def close(self) -> None:
        """Let go of the lock, and of a file that holds nothing."""
        if self.size == 0:
            self.path.unlink(missing_ok=True)
        os.close(self._fd)


def open_segment(folder: Path) -> Segment:
    """Open a new one; another, if somebody took it for a dead writer's before it was locked."""
    while (segment := Segment(folder)).is_gone():
        segment.close()
    return segment


def list_segments(folder: Path) -> list[Path]:
    """List the segments of a folder, oldest first; none where there is no folder."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def opened_at(path: Path) -> datetime:
    """Say when a segment was opened, by its name, or that of what lies beside it."""
    return datetime.strptime(path.stem.partition("-")[0], _STAMP).replace(tzinfo=UTC)


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold a segment that has no living writer; gives False where one has it, or it is gone."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield os.fstat(file.fileno()).st_nlink > 0
