"""Frames for tests of the monitor: a reference, a window like it, and the limits that judge it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from monitoring.limits import MonitorLimits
from monitoring.measures import Schema
from monitoring.problems import Kind
from monitoring.results import Window
from monitoring.sketches import Labels, WindowSketch, hash_ids


@dataclass(frozen=True)
class Feature:
    type: str
    min: float | None = None
    max: float | None = None
    feature: bool = True
    shape: tuple[int, ...] = ()


SCHEMA: Schema = {
    "carrier": Feature("string"),
    "hour": Feature("long", 0, 23),
    "temp": Feature("double", -20, 120),
    "seats": Feature("double", 1, 600),
    "probability": Feature("double", 0, 1, feature=False),
}
START, END = datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 3, 15, tzinfo=UTC)
WINDOW = Window(model="flights", version="3", start=START, end=END)

SECTION: dict[str, Any] = {
    "schedule": "*/5 * * * *",
    "window_days": 14,
    "min_rows": 300,
    "sample_rows": 5000,
    "keep_reports": 3,
    "max_label_lag_days": 3.0,
    "max_duplicate_share": 0.01,
    "max_out_of_range_share": {"default": 0.001},
    "max_missing_increase": {"default": 0.04},
    "max_new_category_share": {"default": 0.03},
    "max_stuck_increase": {"default": 0.3},
    "drift": {"default": 0.2, "columns": {"probability": 0.5}},
    "max_jump": {"default": 1.0, "columns": {"probability": None}},
    "live_score": {
        "metric": "log_loss",
        "max_ratio_to_base_rate": 1.0,
        "confidence": 0.95,
        "min_labels": 300,
        "max_unlabelled_share": 0.5,
    },
}


def limits(**changes: Any) -> MonitorLimits:
    return MonitorLimits.model_validate({**SECTION, **changes})


def answers(rows: int = 2000, seed: int = 0) -> pd.DataFrame:
    """Answers of a model that is right about its probabilities, with their labels."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "id": [f"{seed}-{row}" for row in range(rows)],
            "event_time": pd.date_range(START, END, periods=rows + 1, inclusive="left"),
            "carrier": rng.choice(["UA", "B6", "EV", "DL"], rows, p=[0.4, 0.3, 0.2, 0.1]),
            "hour": rng.integers(5, 23, rows),
            "temp": rng.normal(40, 10, rows),
            "seats": rng.integers(20, 380, rows).astype("float64"),
            "probability": rng.beta(1, 3, rows).astype("float32"),
        }
    )
    frame.loc[rng.random(rows) < 0.15, "seats"] = np.nan
    return frame.assign(label=(rng.random(rows) < frame["probability"]).astype("float64"))


def sketch(
    frame: pd.DataFrame,
    labels: pd.DataFrame | None = None,
    schema: Schema = SCHEMA,
    batch: int = 700,
    kind: Kind = "binary",
) -> WindowSketch:
    """Sketch answers, in batches; their labels are the frame's own where none are given."""
    labels = frame if labels is None else labels
    given = [(list(labels["id"]), list(labels["label"]))] if "label" in labels else []
    truth, found = Labels(given), WindowSketch.of(schema, kind)
    for rows in pa.Table.from_pandas(frame, preserve_index=False).to_batches(batch):
        found.add(rows, hash_ids(rows["id"]), truth)
    return found
