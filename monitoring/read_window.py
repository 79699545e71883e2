"""A model's prediction log in, its newest window, as a sketch and a sample of rows, out.

The log is read once to see who answers now and once to judge the answers, batch by batch: memory
does not grow with the rows, but for 13 bytes a label.
"""

import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from monitoring.measures import Schema
from monitoring.prediction_log.frames import read_items
from monitoring.prediction_log.parts import Part, list_parts
from monitoring.prediction_log.reading import newest_event_time, scan_predictions
from monitoring.prediction_log.sealed import SealedFile
from monitoring.prediction_log.segments import list_segments
from monitoring.prediction_log.writer import LABELS
from monitoring.problems import PROBLEMS, Kind
from monitoring.results import Window
from monitoring.sketches.arrow import hash_ids
from monitoring.sketches.labels import Labels
from monitoring.sketches.sample import RowSample
from monitoring.sketches.window import WindowSketch

_AHEAD = 8  # batches that are read while others are sketched
_ROWS = 2**16  # of a batch
log = logging.getLogger(__name__)


class _Label(msgspec.Struct):
    id: str
    label: float


class NobodyAskedError(Exception):
    """The prediction log has no answer to judge; the text says of whom and where."""


def newest_window(root: Path, model: str, days: int, store: str = "", min_rows: int = 1) -> Window:
    """Return the newest window, by event time, of the version that answers now.

    It ends with the newest answer. Where fewer than `min_rows` lie in it, and fewer than that were
    asked with later times than all others, those are left out, with a warning: else one request
    with a wrong time would keep a model unjudged until the others catch up.

    Raises NobodyAskedError.
    """
    newest = newest_event_time(root, model, store)
    if newest is None:
        raise NobodyAskedError(f"nobody has asked {model} anything yet: {root} holds no prediction")
    window, rows = _ending_with(newest, root, model, days, store)
    if rows < min_rows and (usual := _newest_usual(root, model, days, store, min_rows)):
        said = "%s: fewer than %d answers, up to %s, are later than %s: left out"
        log.warning(said, model, min_rows, newest.isoformat(), usual.isoformat())
        window, _ = _ending_with(usual, root, model, days, store)
    return window


def _ending_with(
    newest: datetime, root: Path, model: str, days: int, store: str
) -> tuple[Window, int]:
    """Return the window that an answer ends, and how many of any champion lie in it."""
    end = newest + timedelta(microseconds=1)  # the newest one is part of its window
    start = end - timedelta(days=days)
    last: tuple[datetime, str] | None = None
    rows = 0
    columns = ["time", "version", "role"]
    for batch in scan_predictions(root, model, start, end, columns, store):
        answered = batch.filter(pc.equal(batch["role"], "champion"))
        rows += len(answered)
        if len(answered):
            time = pc.max(answered["time"])
            version = answered["version"][pc.index(answered["time"], time).as_py()].as_py()
            last = max(filter(None, (last, (time.as_py(), version))))
    if last is None:
        raise NobodyAskedError(f"no champion of {model} has answered since {start:%Y-%m-%d}")
    return Window(model=model, version=last[1], start=start, end=end), rows


def _newest_usual(root: Path, model: str, days: int, store: str, min_rows: int) -> datetime | None:
    """Return the newest event time whose window has `min_rows` answers; None: too far back.

    It reads no more files than hold the champion's newest 2 x `min_rows` answers.
    """
    count = 2 * min_rows - 1
    times: list[datetime] = []  # newest first
    for part in sorted(list_parts(root, model, store), key=_last, reverse=True):
        if len(times) == count and _last(part) <= times[-1]:
            break
        for table in part.read(pc.field("role") == "champion", ["event_time"]):
            times = sorted([*times, *table["event_time"].to_pylist()], reverse=True)[:count]
    pairs = zip(times, times[min_rows - 1 :], strict=False)
    return next((end for end, least in pairs if end - least < timedelta(days=days)), None)


def _last(part: Part) -> datetime:
    """Give the last event time that a part can hold."""
    return part.last if isinstance(part, SealedFile) else datetime.max.replace(tzinfo=UTC)


def read_labels(root: Path, model: str) -> Labels:
    """Read what came true, for any ids of the log."""
    return Labels(
        ([label.id for label in labels], [label.label for label in labels])
        for path in list_segments(root / model / LABELS)
        for labels in read_items(path, list[_Label])
    )


def sketch_window(
    root: Path,
    window: Window,
    schema: Schema,
    kind: Kind,
    labels: Labels,
    sample_rows: int,
    store: str = "",
) -> tuple[WindowSketch, pd.DataFrame]:
    """Sketch the champion's answers in the window, and draw a sample of them.

    The sample has `id`, `event_time`, the features and the outputs, in event-time order.
    """
    sketch, sample = WindowSketch.of(schema, kind), RowSample(sample_rows)
    asked = dict.fromkeys([*schema, *PROBLEMS[kind].outputs])
    for batch in _answers(root, window, list(asked), store):
        ids = hash_ids(batch["id"])
        sketch.add(batch, ids, labels)
        sample.add(batch, ids)
    return sketch, sample.frame()


def _answers(root: Path, window: Window, names: list[str], store: str) -> Iterator[pa.RecordBatch]:
    columns = ["role", "version", "id", "event_time", *names]
    batches = scan_predictions(root, window.model, window.start, window.end, columns, store)
    for batch in _read_ahead(batches):
        champion = pc.equal(batch["role"], "champion")
        mine = pc.and_(champion, pc.equal(batch["version"], window.version))
        answers = batch.select(columns[2:])
        answers = answers if pc.all(mine).as_py() else answers.filter(mine)
        for start in range(0, len(answers), _ROWS):
            yield answers.slice(start, _ROWS)


def _read_ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Read on a thread of its own: Arrow works without the interpreter's lock."""
    with ThreadPoolExecutor(1, "read-ahead") as reader:
        waiting = deque(reader.submit(next, batches, None) for _ in range(_AHEAD))
        while (batch := waiting.popleft().result()) is not None:
            waiting.append(reader.submit(next, batches, None))
            yield batch
