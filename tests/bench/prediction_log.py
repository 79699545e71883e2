"""A number of rows in, a prediction log of that size out: sealed Parquet files, and labels."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from monitoring.prediction_log import Label, PredictionLog
from monitoring.prediction_log.sealed import sealed_folder

MODEL, VERSION = "bench", "1"
ROWS_A_FILE = 2**18  # about what 64 MB of records of one row each become
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SPAN = timedelta(days=14)


@dataclass(frozen=True)
class Feature:
    """What the schema says of a column."""

    type: str
    min: float | None = None
    max: float | None = None
    feature: bool = True
    shape: tuple[int, ...] = ()


SCHEMA = {
    "carrier": Feature("string"),
    "airport": Feature("string"),
    "weekday": Feature("long", 0, 6),
    "hour": Feature("long", 0, 23),
    **{f"number_{each}": Feature("double", -100, 100) for each in range(8)},
    "probability": Feature("double", 0, 1, feature=False),
}


def make_features(rows: int, seed: int) -> dict[str, pa.Array]:
    """Draw 12 columns: 2 of texts, 2 of whole numbers, 8 of numbers, each with a few missing."""
    rng = np.random.default_rng(seed)
    columns: dict[str, pa.Array] = {}
    for name, column in SCHEMA.items():
        if column.type == "string":
            words = pa.array(
                [f"{name}-{each:03}" for each in range(16 if name == "carrier" else 400)]
            )
            which = np.minimum(rng.exponential(len(words) / 5, rows), len(words) - 1)
            columns[name] = words.take(pa.array(which.astype(np.int32)))
        elif column.type == "long":
            columns[name] = pa.array(rng.integers(0, int(column.max or 0) + 1, rows))
        else:
            missing = rng.random(rows) < 0.02
            columns[name] = pa.array(rng.normal(10, 5, rows), mask=missing)
    columns["probability"] = pa.array(rng.beta(1, 3, rows).astype(np.float32))
    return columns


def write_predictions(root: Path, rows: int) -> None:
    """Write the answers of one version over a fortnight, in event-time order."""
    folder = sealed_folder(root, MODEL)
    for number, start in enumerate(range(0, rows, ROWS_A_FILE)):
        count = min(ROWS_A_FILE, rows - start)
        at = (np.arange(start, start + count) * (SPAN.total_seconds() * 1e6 / rows)).astype("int64")
        micros = at + int(BEGIN.timestamp() * 1e6)
        time = pa.array(micros, pa.timestamp("us", "UTC"))
        table = pa.table(
            {
                "id": [f"request-{each:012}" for each in range(start, start + count)],
                "time": time,
                "event_time": time,
                "version": pa.repeat(VERSION, count),
                "role": pa.repeat("champion", count),
                "latency_seconds": pa.array(np.full(count, 0.001)),
                **make_features(count, seed=number),
            }
        )
        folder.write(table, f"{BEGIN:%Y%m%dT%H%M%S.%f}-{number:08}")


def write_labels(root: Path, rows: int) -> None:
    """Write a label for each row, a thousand at a time, as a client sends them."""
    log = PredictionLog(root)
    for labels in _labels(rows, 1000):
        log.append_labels(MODEL, labels)
    log.close()


def _labels(rows: int, at_once: int) -> Iterator[list[Label]]:
    truth = np.random.default_rng(0).random(rows) < 0.25
    for start in range(0, rows, at_once):
        yield [
            Label(id=f"request-{row:012}", label=float(truth[row]), time=BEGIN + SPAN)
            for row in range(start, min(start + at_once, rows))
        ]
