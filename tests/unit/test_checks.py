import json
from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from monitoring.checks import CheckResult, run_checks
from monitoring.sketches import Labels, WindowSketch, hash_ids, sketch_training
from tests.monitor_windows import END, SCHEMA, WINDOW, answers, limits, sketch

REFERENCE = sketch_training(answers(5000, seed=1), SCHEMA, "binary")


def check(
    current: pd.DataFrame | WindowSketch, **changes: object
) -> dict[tuple[str, str | None], CheckResult]:
    window = current if isinstance(current, WindowSketch) else sketch(current)
    results = run_checks(WINDOW, REFERENCE, window, SCHEMA, limits(**changes))
    assert len({(result.check, result.column) for result in results}) == len(results)
    return {(result.check, result.column): result for result in results}


def with_verdict(
    results: dict[tuple[str, str | None], CheckResult], verdict: str
) -> set[tuple[str, str | None]]:
    return {key for key, result in results.items() if result.verdict == verdict}


def test_a_window_like_the_reference_is_ok_everywhere() -> None:
    results = check(answers())
    assert with_verdict(results, "ok") == set(results)
    assert {name for name, _ in results} == {
        *{"duplicate_row", "missing_labels", "live_score", "estimated_score", "label_lag"},
        *{"missing", "out_of_range"},
        *{"new_category", "stuck", "drift", "jump", "prediction_drift"},
    }


def celsius(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(temp=(frame["temp"] - 32) / 1.8)


def stuck(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(temp=frame["temp"].where(frame.index < 1200, 40.0))


def renamed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(carrier=frame["carrier"].replace("DL", "Delta"))


def lost(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[frame["carrier"] != "B6"]


def nulls(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(temp=frame["temp"].where(frame.index % 20 != 0))


def impossible(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(hour=frame["hour"].where(frame.index % 100 != 0, 24))


def infinite(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(temp=frame["temp"].where(frame.index % 100 != 0, np.inf))


@pytest.mark.parametrize(
    ("fault", "found", "column"),
    [
        (celsius, "drift", "temp"),
        (stuck, "stuck", "temp"),
        (renamed, "new_category", "carrier"),
        (lost, "drift", "carrier"),
        (nulls, "missing", "temp"),
        (impossible, "out_of_range", "hour"),
        (infinite, "out_of_range", "temp"),
    ],
)
def test_a_planted_fault_is_named_by_its_column(
    fault: Callable[[pd.DataFrame], pd.DataFrame], found: str, column: str
) -> None:
    results = check(fault(answers()))
    alerts = with_verdict(results, "alert")
    assert (found, column) in alerts
    assert {of for _, of in alerts} == {column}
    assert with_verdict(results, "unknown") == set()


def test_rows_that_are_asked_again_under_another_id_alert() -> None:
    frame = answers()
    again = frame.head(100).assign(id=lambda rows: "again-" + rows["id"])
    twice = pd.concat([frame, again], ignore_index=True)
    assert ("duplicate_row", None) in with_verdict(check(twice), "alert")


def test_shifted_answers_drift_and_score_worse() -> None:
    frame = answers()
    shifted = frame.assign(probability=1 - frame["probability"])
    alerts = with_verdict(check(shifted), "alert")
    scores = {("live_score", None), ("estimated_score", None)}
    assert alerts == {("prediction_drift", "probability"), *scores}


def test_too_few_rows_make_every_check_unknown() -> None:
    results = check(answers(299))
    assert with_verdict(results, "unknown") == set(results)
    assert {r.reason for r in results.values()} == {"299 rows in the window, checks need 300"}
    assert {r.score for r in results.values()} == {None}


def test_an_empty_log_makes_every_check_unknown() -> None:
    results = check(WindowSketch.of(SCHEMA, "binary"))
    assert with_verdict(results, "unknown") == set(results)


def test_without_labels_the_score_is_unknown_and_their_absence_alerts() -> None:
    results = check(answers().drop(columns="label"))
    assert results["live_score", None].verdict == "unknown"
    assert results["live_score", None].reason == "0 labelled rows, the score needs 300"
    assert results["estimated_score", None].low is None
    assert results["missing_labels", None].verdict == "alert"
    assert results["label_lag", None].verdict == "unknown"


def test_labels_that_stop_coming_alert_by_their_lag_before_half_are_missing() -> None:
    frame = answers()
    late = frame[frame["event_time"] < END - timedelta(days=4)]
    results = check(sketch(frame, late[["id", "label"]]))
    assert with_verdict(results, "alert") == {("label_lag", None)}
    assert results["label_lag", None].score == pytest.approx(4 * 86_400, abs=2 * 605)
    assert results["label_lag", None].threshold == 3 * 86_400


def test_a_column_without_values_is_missing_and_otherwise_unknown() -> None:
    results = check(answers().assign(temp=None))
    assert results["missing", "temp"].verdict == "alert"
    assert with_verdict(results, "unknown") == {
        *{("out_of_range", "temp"), ("stuck", "temp"), ("drift", "temp"), ("jump", "temp")}
    }


def test_a_column_that_is_not_there_is_unknown() -> None:
    unknown = with_verdict(check(answers().drop(columns="temp")), "unknown")
    assert {column for _, column in unknown - {("duplicate_row", None)}} == {"temp"}
    assert len(unknown) == 6


def test_text_in_a_number_is_unknown_with_the_error() -> None:
    frame = answers()
    rows = pa.RecordBatch.from_pandas(frame, preserve_index=False)
    mixed = pa.array(['"warm"', *map(json.dumps, frame["temp"][1:])], pa.json_())  # as it is logged
    rows = rows.set_column(rows.schema.get_field_index("temp"), "temp", mixed)
    window = WindowSketch.of(SCHEMA, "binary")
    window.add(rows, hash_ids(rows["id"]), Labels([]))
    results = check(window)
    assert results["drift", "temp"].verdict == "unknown"
    assert "warm" in results["drift", "temp"].reason
    assert results["duplicate_row", None].verdict == "unknown"
    assert results["drift", "seats"].verdict == "ok"


def test_a_missing_probability_leaves_the_score_unknown() -> None:
    frame = answers()
    results = check(frame.assign(probability=frame["probability"].where(frame.index > 0)))
    assert results["live_score", None].verdict == "unknown"
    assert "missing or outside 0 to 1" in results["live_score", None].reason


def test_a_clock_is_not_asked_for_drift() -> None:
    results = check(answers().assign(hour=7), clocks=["hour"])
    assert ("drift", "hour") not in results
    assert ("stuck", "hour") not in results
    assert ("jump", "hour") not in results
    assert results["missing", "hour"].verdict == "ok"


def test_a_limit_for_a_column_that_is_no_feature_is_refused() -> None:
    drift = {"default": 0.2, "columns": {"tmep": 3.0}}
    with pytest.raises(ValueError, match=r"drift\.columns names tmep"):
        check(answers(), drift=drift)


def test_the_same_rows_in_other_batches_give_the_same_results() -> None:
    assert check(sketch(answers(), batch=300)) == check(sketch(answers(), batch=2000))


def test_a_result_survives_json() -> None:
    for result in check(answers()).values():
        assert CheckResult.model_validate_json(result.model_dump_json()) == result
