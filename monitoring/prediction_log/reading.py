"""The log in; Arrow batches, pandas frames and single predictions out.

`store` is the URI under which the log's sealed files lie; where none is given, they lie under its
`root`, beside the segments. Raised by all: DamagedLogError, and OSError where the store is away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from monitoring.prediction_log.frames import read_items
from monitoring.prediction_log.ids import may_hold
from monitoring.prediction_log.parts import Part, list_parts
from monitoring.prediction_log.records import LOG_COLUMNS, Label, Prediction
from monitoring.prediction_log.sealed import SealedFile
from monitoring.prediction_log.segments import list_segments
from monitoring.prediction_log.tables import TIME, json_columns, to_predictions
from monitoring.prediction_log.writer import LABELS, PREDICTIONS

if TYPE_CHECKING:
    import pandas as pd


def scan_predictions(
    root: Path,
    model: str,
    start: datetime | None = None,
    end: datetime | None = None,
    columns: Sequence[str] | None = None,
    store: str = "",
) -> Iterator[pa.RecordBatch]:
    """Answers with event_time in [start, end), as logged: a retry under one id comes again.

    A batch has the wanted columns in that order, null where its version does not have them; by
    default LOG_COLUMNS and then its own features and outputs. Batches of different versions may
    differ in types. Memory: one segment's worth. Raises DamagedLogError, and ValueError where a
    feature or an output has the name of another column.
    """
    for table in _in_window(list_parts(root, model, store), start, end, columns):
        if columns is not None:
            given = {name: table[name] for name in table.column_names}
            table = pa.table({name: given.get(name, pa.nulls(len(table))) for name in columns})
        yield from table.to_batches()


def read_predictions(
    root: Path,
    model: str,
    start: datetime | None = None,
    end: datetime | None = None,
    store: str = "",
) -> pd.DataFrame:
    """Answered predictions with event_time in [start, end), in event-time order.

    Columns: id, time, event_time, version, role, latency_seconds, then each feature, each output.
    A prediction asked for twice under one id (a client's retry) counts once, as last answered.
    Raises ValueError where a feature or an output has the name of another column.
    """
    import pandas as pd

    alike: dict[pa.Schema, list[pa.Table]] = {}
    for table in _in_window(list_parts(root, model, store), start, end):
        alike.setdefault(table.schema.remove_metadata(), []).append(table)
    frames = [_frame(pa.concat_tables(tables)) for tables in alike.values()]
    names = dict.fromkeys([*LOG_COLUMNS, *(name for frame in frames for name in frame)])
    filled = [frame.dropna(axis="columns", how="all") for frame in frames if len(frame)]
    frame = pd.concat(filled) if filled else pd.DataFrame()
    frame = frame.reindex(columns=list(names))
    for column in ("time", "event_time"):
        frame[column] = pd.to_datetime(frame[column], utc=True).astype("datetime64[ns, UTC]")
    frame = _last_of_each(frame.sort_values("time", kind="stable"))
    return frame.sort_values(["event_time", "time"], kind="stable", ignore_index=True)


def read_labels(root: Path, model: str) -> pd.DataFrame:
    """Labels as id, label, time; of several for one id the last that came."""
    import pandas as pd

    last = {
        label.id: label
        for path in list_segments(root / model / LABELS)
        for labels in read_items(path, list[Label])
        for label in labels
    }
    frame = pd.DataFrame(
        [(label.id, label.label, label.time) for label in last.values()],
        columns=["id", "label", "time"],
    )
    return frame.assign(
        label=frame["label"].astype("float64"), time=pd.to_datetime(frame["time"], utc=True)
    )


def find_prediction(root: Path, id: str, store: str = "") -> Prediction | None:  # noqa: A002
    """Look through every model's log for the answer that was last returned under this row id."""
    where = (pc.field("id") == id) & (pc.field("role") != "shadow")
    found = [
        prediction
        for folder in root.glob(f"*/{PREDICTIONS}")
        for part in list_parts(root, folder.parent.name, store)
        if may_hold(folder / f"{part.segment}.log", id)
        for table in part.read(where)
        for prediction in to_predictions(table, folder.parent.name)
    ]
    return max(found, key=lambda prediction: prediction.time, default=None)


def last_predictions(root: Path, model: str, count: int, store: str = "") -> list[Prediction]:
    """Give the rows that were answered last, oldest first, from as many files as that takes.

    Not the shadow's: nobody was answered by them.
    """
    found: list[Prediction] = []
    for part in reversed(list_parts(root, model, store)):
        if len(found) >= count:
            break
        for table in part.read(pc.field("role") != "shadow"):
            newest = table.slice(max(0, len(table) - count))
            found += to_predictions(newest, model)
    found.sort(key=lambda prediction: prediction.time)
    return found[-count:]


def newest_event_time(root: Path, model: str, store: str = "") -> datetime | None:
    """How far, in event time, the champion's answers have come; None where there is none."""
    newest: datetime | None = None
    for part in sorted(list_parts(root, model, store), key=_last, reverse=True):
        if newest is not None and _last(part) <= newest.timestamp():
            break
        for table in part.read(pc.field("role") == "champion", ["event_time"]):
            found = pc.max(table["event_time"]).as_py()
            newest = max(filter(None, (newest, found)), default=None)
    return newest


def _last(part: Part) -> float:
    """Give the last event time, as a timestamp, that a part can hold."""
    return part.last.timestamp() if isinstance(part, SealedFile) else inf


def _in_window(
    parts: list[Part],
    start: datetime | None,
    end: datetime | None,
    columns: Sequence[str] | None = None,
) -> Iterator[pa.Table]:
    at, where = pc.field("event_time"), pc.scalar(True)
    if start is not None:
        where &= at >= pa.scalar(start, TIME)
    if end is not None:
        where &= at < pa.scalar(end, TIME)
    for part in parts:
        if not isinstance(part, SealedFile) or part.meets(start, end):
            yield from part.read(where, columns)


def _last_of_each(frame: pd.DataFrame) -> pd.DataFrame:
    """Keep the last row of each id and role (by Arrow: to pandas, texts end at a NUL)."""
    at = {"id": pa.array(frame["id"]), "role": pa.array(frame["role"]), "at": range(len(frame))}
    last = pa.table(at).group_by(["id", "role"]).aggregate([("at", "max")])
    return frame.iloc[np.sort(last["at_max"].to_numpy())]


def _frame(table: pa.Table) -> pd.DataFrame:
    frame: pd.DataFrame = table.to_pandas()
    for name, read in json_columns(table).items():
        frame[name] = frame[name].map(read)
    return frame
