"""Records for tests of the prediction log: one by hand, any by hypothesis, and what readers get."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from monitoring.prediction_log import Prediction, PredictionRecord, Role
from monitoring.prediction_log.parts import list_parts
from monitoring.prediction_log.tables import to_predictions

DAY = datetime(2013, 7, 1, tzinfo=UTC)
MODEL = "flights"


def record(
    name: str,
    at: datetime = DAY,
    role: Role = "champion",
    probability: float = 0.5,
    rows: int = 1,
    **changes: Any,
) -> PredictionRecord:
    given: dict[str, Any] = {
        "id": name,
        "rows": rows,
        "time": DAY,
        "event_time": at,
        "model": MODEL,
        "version": "1",
        "role": role,
        "features": {"carrier": ["UA"] * rows, "temp": [None] * rows},
        "output": {"probability": np.full(rows, probability)},
        "latency_seconds": 0.001,
    }
    return PredictionRecord(**given | changes)


def expected(record: PredictionRecord) -> list[Prediction]:
    """The rows that a reader must get of a record."""

    def value(column: Any, row: int) -> Any:
        return column[row].tolist() if isinstance(column, np.ndarray) else column[row]

    return [
        Prediction(
            id=row_id,
            time=record.time,
            event_time=record.event_time,
            model=record.model,
            version=record.version,
            role=record.role,
            features={name: value(column, row) for name, column in record.features.items()},
            output={name: value(column, row) for name, column in record.output.items()},
            latency_seconds=record.latency_seconds,
        )
        for row, row_id in enumerate(record.row_ids())
    ]


def read(root: Path, model: str = MODEL, store: str = "") -> list[Prediction]:
    """All rows that are kept, retries too."""
    parts = list_parts(root, model, store)
    return [row for part in parts for table in part.read() for row in to_predictions(table, model)]


def shown(predictions: Iterable[Prediction]) -> list[str]:
    """In an order and a form that can be compared: NaN is NaN, 1.0 is 1, all times are UTC."""
    return sorted(map(repr, (_plain(prediction) for prediction in predictions)))


def _plain(prediction: Prediction) -> list[Any]:
    times = [prediction.time.timestamp(), prediction.event_time.timestamp()]
    rest = [prediction.id, prediction.version, prediction.role, prediction.latency_seconds]
    return times + rest + [_number(prediction.features), _number(prediction.output)]


def _number(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _number(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_number(each) for each in value]
    return float(value) if isinstance(value, int) and abs(value) < 2**53 else value


_times = st.integers(-70 * 365 * 86400, 229 * 365 * 86400).map(  # seconds: 1900 to 2199
    lambda seconds: datetime(1970, 1, 1, 0, 0, 0, 123456, tzinfo=UTC) + timedelta(seconds=seconds)
)
_floats = st.floats(width=32)
_names = st.text(min_size=1, max_size=8).map("f ".__add__)
_values = st.one_of(
    st.lists(_floats | st.none(), min_size=3, max_size=3),
    st.lists(st.integers(-(2**63), 2**64 - 1) | st.none(), min_size=3, max_size=3),
    st.lists(st.text(max_size=5) | st.none(), min_size=3, max_size=3),
    st.lists(st.booleans() | st.none(), min_size=3, max_size=3),
    st.lists(st.text(max_size=2) | st.integers(0, 9) | _floats, min_size=3, max_size=3),
    st.lists(st.lists(_floats, max_size=2), min_size=3, max_size=3),
    st.lists(st.dictionaries(st.text(max_size=2), _floats, max_size=2), min_size=3, max_size=3),
)
_arrays = st.builds(
    lambda shape, dtype, seed: (
        np.random.default_rng(seed).integers(0, 2, (3, *shape)).astype(dtype)
    ),
    st.lists(st.integers(0, 3), max_size=2),
    st.sampled_from(["f4", "f8", "f2", ">f4", "i1", "i8", "u2", "u8", "?"]),
    st.integers(0, 9),
)
_columns = st.dictionaries(_names, _values | _arrays, max_size=3)


@st.composite
def records(draw: st.DrawFn) -> PredictionRecord:
    """Draw any record of one row or three that serving could write."""
    rows = draw(st.sampled_from([1, 3]))

    def columns(suffix: str) -> dict[str, Any]:
        return {name + suffix: column[:rows] for name, column in draw(_columns).items()}

    features, output = columns("/x"), columns("/y")
    return PredictionRecord(
        id=draw(st.text(min_size=1, max_size=12)),
        rows=rows,
        time=draw(_times),
        event_time=draw(_times),
        model=MODEL,
        version=repr((list(features), list(output))),  # all records of a version have its columns
        role=draw(st.sampled_from(["champion", "challenger", "shadow"])),
        features=features,
        output=output,
        latency_seconds=draw(st.floats(0, 10)),
    )
