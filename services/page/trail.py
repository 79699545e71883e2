"""Notifications in, lines on disk out, and back, newest first: the audit trail of alerts.

`<folder>/alerts.jsonl` takes a notification a line. When it has grown to `MAX_BYTES` it becomes
`alerts-<when>.jsonl` and a new one begins; of those the newest `KEPT_FILES` stay. A line counts
once it is on disk (fsync), so what was answered with 200 survives whatever is killed.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from pydantic import AwareDatetime, BaseModel, ValidationError

from services.page.notifications import Alert, Notification

MAX_BYTES = 4 * 2**20
KEPT_FILES = 15
_NOW = "alerts.jsonl"


class _Line(BaseModel):
    received: AwareDatetime
    notification: Notification


@dataclass(frozen=True)
class Entry:
    """One alert as it was told, and when."""

    received: datetime
    receiver: str
    alert: Alert


@dataclass(frozen=True)
class Filter:
    """What to look for; an empty word fits everything."""

    name: str = ""
    model: str = ""
    severity: str = ""
    status: str = ""

    def fits(self, alert: Alert) -> bool:
        """Say whether an alert is looked for."""
        labels = alert.labels
        asked_and_found = (
            (self.name, alert.name),
            (self.model, labels.get("model", "")),
            (self.severity, labels.get("severity", "")),
            (self.status, alert.status),
        )
        return all(not asked or asked == found for asked, found in asked_and_found)


@dataclass
class Found:
    """The newest entries that fit, how many lines cannot be read, and whether there are more."""

    entries: list[Entry] = field(default_factory=list)
    damaged: int = 0
    more: bool = False


class Trail:
    """The trail in one folder; several threads and processes may write to it at once."""

    def __init__(self, folder: Path, max_bytes: int = MAX_BYTES, kept: int = KEPT_FILES) -> None:
        self._folder, self._max_bytes, self._kept = folder, max_bytes, kept

    def prepare(self) -> None:
        """Make the folder; OSError if it cannot be written in."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if not os.access(self._folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "not permitted to write", str(self._folder))

    def keep(self, notification: Notification) -> None:
        """Return once the notification is on disk; OSError, and none of it there, if it cannot."""
        line = _Line(received=datetime.now(UTC), notification=notification)
        self.prepare()
        with self._open_locked() as file:
            _append(file, line.model_dump_json(by_alias=True).encode() + b"\n")
            if file.tell() >= self._max_bytes:
                self._rotate()
        _sync_folder(self._folder)

    def newest(self, wanted: Filter, limit: int) -> Found:
        """Find the newest alerts that fit, at most `limit`, newest first."""
        found = Found()
        for text in self._lines_newest_first():
            try:
                line = _Line.model_validate_json(text)
            except ValidationError:
                found.damaged += 1  # a disk's fault: the page says how many
                continue
            fitting = [alert for alert in line.notification.alerts if wanted.fits(alert)]
            receiver = line.notification.receiver
            found.entries += [Entry(line.received, receiver, alert) for alert in fitting]
            if len(found.entries) > limit:
                found.more = True
                del found.entries[limit:]
                break
        return found

    def _lines_newest_first(self) -> Iterator[bytes]:
        for path in (self._folder / _NOW, *self._older()):
            try:
                content = path.read_bytes()
            except FileNotFoundError:  # not begun yet, or rotated away meanwhile
                continue
            whole, _, _torn = content.rpartition(b"\n")  # nobody was told that a torn one is kept
            yield from reversed(whole.splitlines())

    def _older(self) -> list[Path]:
        return sorted(self._folder.glob("alerts-*.jsonl"), reverse=True)

    def _open_locked(self) -> IO[bytes]:
        """Open the file that takes lines; the lock goes when it closes, or its process dies."""
        path = self._folder / _NOW
        while True:
            file = path.open("a+b", buffering=0)
            fcntl.flock(file, fcntl.LOCK_EX)
            if _is_at(path, file):
                return file
            file.close()  # somebody has rotated it away while we waited

    def _rotate(self) -> None:
        """Put the full file aside, whose lock we hold, and let the oldest ones go."""
        aside = self._folder / f"alerts-{datetime.now(UTC):%Y%m%dT%H%M%S%f}.jsonl"
        (self._folder / _NOW).rename(aside)
        for path in self._older()[self._kept :]:
            path.unlink(missing_ok=True)


def _is_at(path: Path, file: IO[bytes]) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _append(file: IO[bytes], line: bytes) -> None:
    """Add one whole line; a tail that an earlier crash tore is dropped first."""
    end = _end_of_whole_lines(file)
    file.truncate(end)
    try:
        if file.write(line) != len(line):
            raise OSError(errno.ENOSPC, "only a part of the line could be written", file.name)
        os.fsync(file.fileno())
    except OSError:
        file.truncate(end)
        raise


def _end_of_whole_lines(file: IO[bytes]) -> int:
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return 0
    file.seek(-1, os.SEEK_END)
    if file.read(1) == b"\n":
        return size
    file.seek(0)
    return file.read().rfind(b"\n") + 1


def _sync_folder(folder: Path) -> None:
    """Put the names of new files on disk, too."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
