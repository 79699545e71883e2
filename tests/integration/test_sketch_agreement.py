"""What sketches say beside what Evidently and exact sums say of the same rows, and how near.

The bounds: up to 4,096 values a column, and for texts at any size, the figures are the same but
for rounding; beyond, a drift score of numbers differs by less than 0.005 standard deviations (a
twentieth of the smallest limit that anyone would set) and a share by less than 0.002.
"""

import numpy as np
import pandas as pd
import pytest
from evidently import DataDefinition, Dataset, Report
from evidently.metrics import MissingValueCount, OutListValueCount, OutRangeValueCount, ValueDrift

from monitoring import quality
from monitoring.drift import drift
from monitoring.sketches import sketch_training
from tests.monitor_windows import SCHEMA, answers, sketch

DRIFT, SHARE = 0.005, 0.002
METHODS = {"string": "jensenshannon", "long": "wasserstein", "double": "wasserstein"}
SIZES = [(4000, 1e-9, 1e-9), (100_000, DRIFT, SHARE)]


def shifted(rows: int) -> pd.DataFrame:
    frame = answers(rows)
    return frame.assign(
        temp=frame["temp"] + 3,
        hour=frame["hour"].where(frame.index % 3 != 0, 23) + (frame.index % 50 == 0),
        carrier=frame["carrier"].where(frame.index % 10 != 0, "new"),
    )


def evidently(reference: pd.DataFrame, current: pd.DataFrame) -> dict[tuple[str, str], float]:
    types = {name: column.type for name, column in SCHEMA.items()}
    texts = [name for name, kind in types.items() if kind == "string"]
    definition = DataDefinition(
        numerical_columns=[name for name in types if name not in texts], categorical_columns=texts
    )
    sides = [
        Dataset.from_pandas(side[list(types)], data_definition=definition)
        for side in (current, reference)
    ]
    known = sorted(reference["carrier"].unique())
    asked = {
        **{("drift", n): ValueDrift(column=n, method=METHODS[kind]) for n, kind in types.items()},
        **{("missing", name): MissingValueCount(column=name) for name in SCHEMA},
        ("out_of_range", "hour"): OutRangeValueCount(column="hour", left=0, right=23),
        ("new_category", "carrier"): OutListValueCount(column="carrier", values=known),
    }
    snapshot = Report(list(asked.values())).run(*sides)
    results = snapshot.metric_results.values()
    return {
        key: float(result.value if key[0] == "drift" else result.share.value)
        for key, result in zip(asked, results, strict=True)
    }


@pytest.mark.parametrize(("rows", "drift_bound", "share_bound"), SIZES)
def test_sketches_agree_with_evidently(rows: int, drift_bound: float, share_bound: float) -> None:
    trained_on, current = answers(rows, seed=1), shifted(rows)
    reference, window = sketch_training(trained_on, SCHEMA, "binary"), sketch(current)
    for (check, name), exact in evidently(trained_on, current).items():
        if check == "drift":
            said, bound = drift(reference, window, name, 1.0), drift_bound
        elif check == "missing":
            said, bound = quality.missing(reference, window, name, 1.0), 1e-9
        elif check == "out_of_range":
            said, bound = quality.out_of_range(window, name, 1.0), 1e-9
        else:
            said, bound = quality.new_category(reference, window, name, 1.0), 1e-9
        assert said.score == pytest.approx(exact, abs=bound), (check, name)
    for name in SCHEMA:
        usual = trained_on[name].value_counts(normalize=True).iloc[0]
        share = current[name].value_counts(normalize=True).iloc[0]
        said = quality.stuck(reference, window, name, 0.0)
        assert said.score == pytest.approx(share, abs=share_bound), name
        assert said.threshold == pytest.approx(usual, abs=share_bound), name


def test_repeated_rows_are_counted_as_pandas_counts_them() -> None:
    frame = answers(3000)
    again = frame.sample(frac=0.1, random_state=0).assign(id=lambda rows: "again-" + rows["id"])
    retried = frame.sample(frac=0.2, random_state=1)
    window = sketch(pd.concat([frame, again, retried], ignore_index=True))
    exact = pd.concat([frame, again]).duplicated(["event_time", *SCHEMA]).mean()
    assert quality.duplicate_row(window, 1.0).score == pytest.approx(exact, abs=1e-12)


def test_repeated_rows_of_a_window_too_large_to_keep_are_estimated() -> None:
    rows = 1_500_000
    frame = pd.DataFrame(
        {
            "id": np.arange(rows).astype(str),
            "event_time": pd.Timestamp("2013-03-01", tz="UTC"),
            "hour": np.arange(rows) % (rows * 9 // 10),  # a tenth was asked before
            "probability": 0.5,
        }
    )
    found = quality.duplicate_row(sketch(frame, schema={"hour": SCHEMA["hour"]}, batch=2**16), 0.01)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 0.1 < found.high
    assert found.high - found.low < 0.02
    assert found.threshold < 0.02 < found.score
