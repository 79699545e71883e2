"""Prediction records and late labels in, JSON lines on disk and pandas frames out.

Serving writes, monitoring reads. Under the root every model has `predictions/` and `labels/`, each
a row of segments (`<time>-<process>.jsonl`) that one process alone appends to. Lines go to the
kernel in one `write` before the answer leaves, so a record survives `kill -9` of the writer; a line
torn by a crash is the last of its segment and readers pass over it. Writing needs no pandas.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

if TYPE_CHECKING:
    import pandas as pd

Role = Literal["champion", "challenger", "shadow"]
_T = TypeVar("_T")
COLUMNS = ("id", "time", "event_time", "version", "role", "latency_seconds")


class DamagedLogError(ValueError):
    """A whole line of the log is not what was written: the disk or a person changed it."""


class PredictionRecord(msgspec.Struct, frozen=True):
    """One answered row: answered at `time`, about something at `event_time` (both UTC)."""

    id: str
    time: datetime
    event_time: datetime
    model: str
    version: str
    role: Role
    features: dict[str, Any]
    output: dict[str, Any]
    latency_seconds: float


class Label(msgspec.Struct, frozen=True):
    """The truth about prediction `id`, known since `time` (UTC)."""

    id: str
    label: float
    time: datetime


class PredictionLog:
    """The writer: appends whole lines, or raises OSError and leaves nothing of them behind.

    Every writer opens segments of its own, so any number of processes may share a root. Safe to use
    from several threads.
    """

    def __init__(self, root: Path, max_segment_bytes: int = 64 * 2**20) -> None:
        self._root = root
        self._max_segment_bytes = max_segment_bytes
        self._segments: dict[Path, _Segment] = {}
        self._encoder = msgspec.json.Encoder()
        self._lock = threading.Lock()

    def append(self, records: Iterable[PredictionRecord]) -> None:
        """Write answered predictions; they are in the kernel's hands when this returns."""
        by_model: dict[str, list[PredictionRecord]] = {}
        for record in records:
            by_model.setdefault(record.model, []).append(record)
        for model, group in by_model.items():
            self._write(self._root / model / "predictions", group)

    def append_labels(self, model: str, labels: Iterable[Label]) -> None:
        """Write labels; one that comes again replaces the earlier one when read."""
        if group := list(labels):
            self._write(self._root / model / "labels", group)

    def close(self) -> None:
        """Let go of the open segments; a later append opens new ones."""
        with self._lock:
            for segment in self._segments.values():
                segment.close()
            self._segments.clear()

    def _write(self, folder: Path, items: Sequence[msgspec.Struct]) -> None:
        lines = self._encoder.encode_lines(items)
        with self._lock:
            if folder in self._segments and self._segments[folder].is_gone():
                self._segments.pop(folder).close()
            segment = self._segments.get(folder)
            if segment is None:
                segment = self._segments[folder] = _Segment(folder)
            segment.append(lines)
            if segment.size >= self._max_segment_bytes:
                self._segments.pop(folder).close()


class _Segment:
    """One file that one process appends to."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%f}-{os.getpid()}.jsonl"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._fd = os.open(folder / name, flags, 0o644)
        self.size = 0

    def is_gone(self) -> bool:
        """Whether somebody deleted the file: what is written to it now nobody would ever read."""
        return os.fstat(self._fd).st_nlink == 0

    def append(self, lines: bytes) -> None:
        try:
            written = os.write(self._fd, lines)
            if written < len(lines):  # the disk filled up in the middle
                raise OSError(errno.ENOSPC, "the prediction log took only a part of the lines")
        except OSError:
            os.ftruncate(self._fd, self.size)
            raise
        self.size += written

    def close(self) -> None:
        os.close(self._fd)


def read_predictions(
    root: Path, model: str, start: datetime | None = None, end: datetime | None = None
) -> pd.DataFrame:
    """Answered predictions with event_time in [start, end), in event-time order.

    Columns: id, time, event_time, version, role, latency_seconds, then each feature, each output.
    A prediction asked for twice under one id (a client's retry) counts once, as last answered.
    Raises ValueError where a feature or an output has the name of another column.
    """
    import pandas as pd

    last: dict[tuple[str, Role], PredictionRecord] = {}
    for record in _decode(root / model / "predictions", PredictionRecord):
        after_start = start is None or record.event_time >= start
        if after_start and (end is None or record.event_time < end):
            last[record.id, record.role] = record
    frame = pd.DataFrame([_row(record) for record in last.values()])
    if frame.empty:
        frame = pd.DataFrame(columns=list(COLUMNS))
    for column in ("time", "event_time"):
        frame[column] = pd.to_datetime(frame[column], utc=True)
    return frame.sort_values(["event_time", "time"], kind="stable", ignore_index=True)


def read_labels(root: Path, model: str) -> pd.DataFrame:
    """Labels as id, label, time; of several for one id the last that came."""
    import pandas as pd

    last = {label.id: label for label in _decode(root / model / "labels", Label)}
    frame = pd.DataFrame(
        [(label.id, label.label, label.time) for label in last.values()],
        columns=["id", "label", "time"],
    )
    return frame.assign(
        label=frame["label"].astype("float64"), time=pd.to_datetime(frame["time"], utc=True)
    )


def find_prediction(root: Path, id: str) -> PredictionRecord | None:  # noqa: A002
    """Look through every model's log for the answer that was returned under this id."""
    needle = msgspec.json.encode(id)
    found = None
    for folder in sorted(root.glob("*/predictions")):
        for record in _decode(folder, PredictionRecord, containing=needle):
            if record.id == id and record.role != "shadow":
                found = record
    return found


def newest_event_time(root: Path, model: str) -> datetime | None:
    """How far, in event time, the champion's answers have come; None where there is none."""
    records = _decode(root / model / "predictions", _EventTime)
    return max((r.event_time for r in records if r.role == "champion"), default=None)


class _EventTime(msgspec.Struct):
    event_time: datetime
    role: Role


def _decode(folder: Path, kind: type[_T], containing: bytes = b"") -> Iterator[_T]:
    """Read all segments, oldest first; a last line without its end is torn and passed over."""
    decoder = msgspec.json.Decoder(kind)
    for path in sorted(folder.glob("*.jsonl")):
        with path.open("rb") as segment:
            for number, line in enumerate(segment, start=1):
                if containing in line and line.endswith(b"\n"):
                    try:
                        yield decoder.decode(line)
                    except ValueError as error:  # no JSON, no record, no UTF-8
                        raise DamagedLogError(f"{path}:{number}: {error}") from error


def _row(record: PredictionRecord) -> dict[str, Any]:
    row = {name: getattr(record, name) for name in COLUMNS}
    for name, value in (*record.features.items(), *record.output.items()):
        if name in row:
            raise ValueError(
                f"model {record.model!r} has a feature or output named {name!r}, which is a column "
                "of the prediction log: give it another name"
            )
        row[name] = value
    return row
