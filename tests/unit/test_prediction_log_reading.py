"""Readers of the prediction log: they give the same from segments and from Parquet."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from monitoring.prediction_log import Label, PredictionLog
from monitoring.prediction_log.reading import (
    find_prediction,
    last_predictions,
    newest_event_time,
    read_labels,
    read_predictions,
    scan_predictions,
)
from monitoring.prediction_log.sealing import seal
from tests.prediction_records import DAY, MODEL, record

Sealing = Callable[[PredictionLog, Path], None]


def hour(number: int) -> datetime:
    return DAY + timedelta(hours=number)


@pytest.fixture(params=["open", "sealed", "both"])
def settle(request: pytest.FixtureRequest) -> Sealing:
    """Leave what was written as it is, or make Parquet of it; "both" does so every other time."""
    times = {"open": [False], "sealed": [True], "both": [True, False]}[request.param] * 9

    def do(log: PredictionLog, root: Path) -> None:
        if times.pop(0):
            log.close()
            seal(root, MODEL)

    return do


def test_reads_what_was_written_in_event_time_order(tmp_path: Path, settle: Sealing) -> None:
    log = PredictionLog(tmp_path)
    log.append([record("late", hour(2)), record("early", rows=2)])
    settle(log, tmp_path)
    frame = read_predictions(tmp_path, MODEL)
    assert list(frame["id"]) == ["early/0", "early/1", "late"]
    assert list(frame.columns[-3:]) == ["carrier", "temp", "probability"]
    assert str(frame["event_time"].dtype) == "datetime64[ns, UTC]"
    assert frame["probability"].dtype == np.float64


def test_a_window_holds_its_start_and_not_its_end(tmp_path: Path, settle: Sealing) -> None:
    log = PredictionLog(tmp_path)
    for number in range(5):
        log.append([record(str(number), hour(number))])
        settle(log, tmp_path)
    assert list(read_predictions(tmp_path, MODEL, hour(1), hour(3))["id"]) == ["1", "2"]
    assert newest_event_time(tmp_path, MODEL) == hour(4)
    log.append([record("0", hour(99), role="shadow")])
    settle(log, tmp_path)
    assert newest_event_time(tmp_path, MODEL) == hour(4), "the champion's"


def test_a_window_opens_only_the_files_that_reach_into_it(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, max_segment_seconds=0)
    for number in range(4):
        log.append([record(str(number), hour(number))])
    seal(tmp_path, MODEL)
    oldest, _, _, newest = sorted((tmp_path / MODEL / "predictions").glob("*.parquet"))
    for path in (oldest, newest):
        path.write_bytes(b"no Parquet")
    assert list(read_predictions(tmp_path, MODEL, hour(1), hour(3))["id"]) == ["1", "2"]
    with pytest.raises(pa.ArrowInvalid):
        read_predictions(tmp_path, MODEL, hour(1))
    newest.unlink()
    newest.with_name(newest.name.partition("~")[0] + ".ids").unlink()
    assert newest_event_time(tmp_path, MODEL) == hour(2)


def test_an_empty_log_reads_as_empty(tmp_path: Path) -> None:
    assert list(read_predictions(tmp_path, MODEL).columns)[:2] == ["id", "time"]
    assert read_predictions(tmp_path, MODEL).empty
    assert list(read_labels(tmp_path, MODEL).columns) == ["id", "label", "time"]
    assert find_prediction(tmp_path, "x") is None
    assert newest_event_time(tmp_path, MODEL) is None
    assert last_predictions(tmp_path, MODEL, 3) == []
    assert list(scan_predictions(tmp_path, MODEL)) == []


def test_a_retry_under_the_same_id_counts_once_and_a_shadow_beside_it(
    tmp_path: Path, settle: Sealing
) -> None:
    log = PredictionLog(tmp_path)
    log.append([record("a", probability=0.1), record("a", role="shadow")])
    settle(log, tmp_path)
    log.append([record("a", probability=0.2)])
    settle(log, tmp_path)
    frame = read_predictions(tmp_path, MODEL).set_index("role")
    assert len(frame) == 2
    assert frame.loc["champion", "probability"] == 0.2
    assert sum(len(batch) for batch in scan_predictions(tmp_path, MODEL)) == 3


def test_one_prediction_is_found_by_its_row_id_and_not_the_shadow(
    tmp_path: Path, settle: Sealing
) -> None:
    log = PredictionLog(tmp_path)
    log.append([record('q"ü', rows=3), record('q"ü', role="shadow", rows=3, time=hour(1))])
    settle(log, tmp_path)
    log.append([record("other", features={"words": ["a"]})])
    settle(log, tmp_path)
    found = find_prediction(tmp_path, 'q"ü/2')
    assert found is not None
    assert (found.role, found.model, found.event_time) == ("champion", MODEL, DAY)
    assert found.features == {"carrier": "UA", "temp": None}
    assert found.output == {"probability": 0.5}
    other = find_prediction(tmp_path, "other")
    assert other is not None
    assert other.features == {"words": "a"}
    for nobody in ('q"ü', 'q"ü/3', "other/0"):
        assert find_prediction(tmp_path, nobody) is None


def test_the_last_answer_under_an_id_is_found(tmp_path: Path, settle: Sealing) -> None:
    log = PredictionLog(tmp_path)
    for probability in (0.1, 0.2):
        log.append([record("a", probability=probability, time=hour(int(probability * 10)))])
        settle(log, tmp_path)
    found = find_prediction(tmp_path, "a")
    assert found is not None
    assert found.output == {"probability": 0.2}


def test_the_last_rows(tmp_path: Path, settle: Sealing) -> None:
    log = PredictionLog(tmp_path)
    for number in range(4):
        log.append([record(str(number), time=hour(number), rows=2)])
        settle(log, tmp_path)
    last = [row.id for row in last_predictions(tmp_path, MODEL, 3)]
    assert last[1:] == ["3/0", "3/1"]
    assert last[0] == "2/1"


def test_versions_that_ask_for_different_features(tmp_path: Path, settle: Sealing) -> None:
    log = PredictionLog(tmp_path)
    old = record("old", features={"temp": [1.5], "gone": ["x"], "kind": ["seven"]})
    new = record("new", hour(1), version="2", features={"temp": [2], "fresh": [True], "kind": [7]})
    log.append([old, new, record("older", features=old.features)])
    settle(log, tmp_path)
    log.append([record("newer", hour(2), version="2", features=new.features)])
    settle(log, tmp_path)
    frame = read_predictions(tmp_path, MODEL).set_index("id")
    assert frame["temp"].to_dict() == {"old": 1.5, "older": 1.5, "new": 2, "newer": 2}
    assert frame["kind"].to_dict() == {"old": "seven", "older": "seven", "new": 7, "newer": 7}
    assert frame["gone"].dropna().to_dict() == {"old": "x", "older": "x"}
    assert frame["fresh"].dropna().to_dict() == {"new": True, "newer": True}
    for row in (old, new):
        found = find_prediction(tmp_path, row.id)
        assert found is not None
        assert found.features == {name: column[0] for name, column in row.features.items()}


def test_tensors_are_lists(tmp_path: Path, settle: Sealing) -> None:
    log = PredictionLog(tmp_path)
    images = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    log.append([record("a", rows=2, features={"image": images})])
    settle(log, tmp_path)
    frame = read_predictions(tmp_path, MODEL)
    back = np.array([[line.tolist() for line in image] for image in frame["image"]])
    assert (back == images).all()


def test_batches_have_the_columns_that_were_wanted(tmp_path: Path, settle: Sealing) -> None:
    log = PredictionLog(tmp_path)
    for number in range(3):
        log.append([record(str(number), hour(number), rows=2)])
        settle(log, tmp_path)
    wanted = ["probability", "none", "id"]
    batches = list(scan_predictions(tmp_path, MODEL, hour(1), None, wanted))
    assert {tuple(batch.schema.names) for batch in batches} == {tuple(wanted)}
    rows: list[dict[str, Any]] = [row for batch in batches for row in batch.to_pylist()]
    assert [row["id"] for row in rows] == ["1/0", "1/1", "2/0", "2/1"]
    assert {row["none"] for row in rows} == {None}


@pytest.mark.parametrize("clash", ["time", "id", "probability"])
def test_a_feature_named_like_a_column_is_refused(tmp_path: Path, clash: str) -> None:
    log = PredictionLog(tmp_path)
    log.append([record("a", features={clash: [1]})])
    log.close()
    with pytest.raises(ValueError, match=f"'{clash}', which is another column"):
        read_predictions(tmp_path, MODEL)
    with pytest.raises(ValueError, match=f"'{clash}', which is another column"):
        seal(tmp_path, MODEL)


def test_the_last_label_wins(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append_labels(MODEL, [Label("a", 0.0, DAY), Label("b", 1.0, DAY)])
    log.close()
    log.append_labels(MODEL, [Label("a", 1.0, DAY)])
    log.append_labels(MODEL, [])
    frame = read_labels(tmp_path, MODEL).set_index("id")
    assert frame["label"].to_dict() == {"a": 1.0, "b": 1.0}
    assert frame["time"].iloc[0] == pd.Timestamp(DAY)
