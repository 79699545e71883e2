"""The newest window of a log that serving wrote: whose answers, how many, with which labels."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from monitoring.measures import CannotTellError
from monitoring.prediction_log import DamagedLogError, Label, PredictionLog, PredictionRecord
from monitoring.prediction_log.sealing import seal
from monitoring.read_window import (
    NobodyAskedError,
    newest_window,
    read_labels,
    sketch_window,
)
from monitoring.results import Window
from monitoring.sketches import WindowSketch
from tests.monitor_windows import Feature
from tests.prediction_records import DAY, MODEL, record

SCHEMA = {"carrier": Feature("string"), "temp": Feature("double", -20, 120)}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[PredictionLog]:
    log = PredictionLog(tmp_path)
    yield log
    log.close()


def answers(count: int, prefix: str = "", **changes: Any) -> list[PredictionRecord]:
    """One answer an hour; the temperature is the hour's number."""
    return [
        record(
            f"{prefix}{hour}",
            DAY + timedelta(hours=hour),
            **{"features": {"carrier": ["UA"], "temp": [float(hour)]}} | changes,
        )
        for hour in range(count)
    ]


def judge(root: Path, sample_rows: int = 1000) -> tuple[Window, WindowSketch, pd.DataFrame]:
    window = newest_window(root, MODEL, days=2)
    labels = read_labels(root, MODEL)
    return window, *sketch_window(root, window, SCHEMA, "binary", labels, sample_rows)


@pytest.mark.parametrize("sealed", [False, True])
def test_a_window_ends_with_the_newest_answer_and_has_its_days(
    log: PredictionLog, tmp_path: Path, sealed: bool
) -> None:
    log.append(answers(72))
    log.append_labels(MODEL, [Label(str(hour), hour % 2, DAY) for hour in range(60)])
    if sealed:
        log.close()
        assert seal(tmp_path, MODEL)
    window, sketch, sample = judge(tmp_path)
    assert window.end == DAY + timedelta(hours=71, microseconds=1)
    assert window.start == window.end - timedelta(days=2)
    assert (sketch.rows, sketch.labelled) == (48, 36)
    assert sketch.newest == (DAY + timedelta(hours=71)).timestamp() * 1e6
    assert sketch.outcomes.newest == (DAY + timedelta(hours=59)).timestamp() * 1e6
    assert sample["temp"].tolist() == list(range(24, 72))
    assert sketch.numbers("temp").smallest == 24


@pytest.mark.parametrize("sealed", [False, True])
def test_a_few_answers_far_later_than_all_others_do_not_move_the_window(
    log: PredictionLog, tmp_path: Path, sealed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """As of a client that sends no event time to a replay of 2013."""
    today = DAY + timedelta(days=4800)
    log.append(answers(72)[:60])
    log.append([record("today", today), record("later", today + timedelta(days=1))])
    log.append(answers(72)[60:])
    if sealed:
        log.close()
        assert seal(tmp_path, MODEL)
    usual = DAY + timedelta(hours=71)
    assert newest_window(tmp_path, MODEL, 2, min_rows=20) == Window(
        model=MODEL,
        version="1",
        start=usual + timedelta(days=-2, microseconds=1),
        end=usual + timedelta(microseconds=1),
    )
    (said,) = (record.getMessage() for record in caplog.records)
    assert said.endswith(f"are later than {usual.isoformat()}: left out")
    alone = newest_window(tmp_path, MODEL, 2, min_rows=73)
    assert alone.end > today, "no window has so many: as without"


def test_not_more_is_left_out_than_a_window_needs(log: PredictionLog, tmp_path: Path) -> None:
    """Else a model that few ask now would be judged by old answers, and pass."""
    log.append(answers(72))
    fading = [DAY + timedelta(days=day) for day in range(10, 60)]
    log.append([record(f"few{at:%j}", at) for at in fading[:19]])
    assert newest_window(tmp_path, MODEL, 2, min_rows=20).end < fading[0]
    log.append([record("one more", fading[19])])
    assert newest_window(tmp_path, MODEL, 2, min_rows=20).end > fading[19]


def test_no_other_file_is_read_to_find_the_usual_window(log: PredictionLog, tmp_path: Path) -> None:
    for day in range(5):
        log.append([record(f"{day} {n}", DAY + timedelta(days=day, seconds=n)) for n in range(30)])
        log.close()
        log = PredictionLog(tmp_path)
    log.append([record("today", DAY + timedelta(days=4800))])
    log.close()
    assert seal(tmp_path, MODEL) == 6
    for old in sorted((tmp_path / MODEL / "predictions").glob("*.parquet"))[:3]:
        old.write_bytes(b"whoever reads it fails")
    window = newest_window(tmp_path, MODEL, 1, min_rows=20)
    assert window.end == DAY + timedelta(days=4, seconds=29, microseconds=1)


def test_only_the_champion_s_newest_version_is_judged(log: PredictionLog, tmp_path: Path) -> None:
    later = DAY + timedelta(minutes=1)
    log.append(answers(10, "old"))
    log.append(answers(10, "new", version="2", time=later))
    for role in ("shadow", "challenger"):
        log.append(answers(10, role, version="3", role=role, time=later + timedelta(hours=1)))
    window, sketch, sample = judge(tmp_path)
    assert (window.version, sketch.rows) == ("2", 10)
    assert set(sample["id"]) == {f"new{hour}" for hour in range(10)}


def test_a_column_of_texts_and_numbers_is_drawn_as_it_is_judged(
    log: PredictionLog, tmp_path: Path
) -> None:
    log.append([*answers(2), *answers(1, "odd", features={"carrier": [3], "temp": ["warm"]})])
    _, sketch, sample = judge(tmp_path)
    assert sketch.categories("carrier").frequencies.counts() == {"UA": 2, "3": 1}
    assert sorted(sample["carrier"]) == ["3", "UA", "UA"]
    with pytest.raises(CannotTellError, match="not every value is a number"):
        sketch.numbers("temp")


def test_an_id_that_is_answered_again_is_scored_and_drawn_once(
    log: PredictionLog, tmp_path: Path
) -> None:
    log.append([*answers(10), *answers(10)])
    log.append_labels(MODEL, [Label(str(hour), 1.0, DAY) for hour in range(10)])
    _, sketch, sample = judge(tmp_path)
    assert (sketch.rows, sketch.labelled, sketch.ids.count) == (20, 20, 10)
    assert (sketch.outcomes.bins.total, len(sample)) == (10, 10)


def test_a_sample_is_bounded_and_the_same_each_time(log: PredictionLog, tmp_path: Path) -> None:
    log.append(answers(40))
    first, again = (judge(tmp_path, sample_rows=7)[2] for _ in range(2))
    assert len(first) == 7
    pd.testing.assert_frame_equal(first, again)


def test_texts_among_numbers_are_unknown_and_named(log: PredictionLog, tmp_path: Path) -> None:
    mixed = {"carrier": ["UA", "DL"], "temp": [1.5, "warm"]}
    log.append([*answers(5), record("odd", rows=2, features=mixed)])
    _, sketch, _ = judge(tmp_path)
    with pytest.raises(CannotTellError, match="warm"):
        sketch.numbers("temp")
    assert sketch.categories("carrier").present == sketch.rows == 7


def test_a_feature_that_a_version_is_not_given_is_missing(
    log: PredictionLog, tmp_path: Path
) -> None:
    log.append(answers(5, features={"carrier": ["UA"]}))
    _, sketch, _ = judge(tmp_path)
    assert (sketch.column("temp").missing, sketch.rows) == (5, 5)


def test_a_log_that_nobody_asked_says_so(log: PredictionLog, tmp_path: Path) -> None:
    with pytest.raises(NobodyAskedError, match="holds no prediction"):
        judge(tmp_path)
    log.append(answers(3, role="shadow"))
    with pytest.raises(NobodyAskedError, match="holds no prediction"):
        judge(tmp_path)


def test_a_damaged_log_is_an_error_and_not_a_smaller_window(
    log: PredictionLog, tmp_path: Path
) -> None:
    log.append(answers(50))
    log.close()
    (segment,) = (tmp_path / MODEL / "predictions").glob("*.log")
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)
    window = Window(model=MODEL, version="1", start=DAY, end=DAY + timedelta(days=9))
    with pytest.raises(DamagedLogError):
        sketch_window(tmp_path, window, SCHEMA, "binary", read_labels(tmp_path, MODEL), 10)


def test_ids_that_end_in_a_nul_are_other_ids(log: PredictionLog, tmp_path: Path) -> None:
    log.append([record("a"), record("a\0")])
    log.append_labels(MODEL, [Label("a\0", 1.0, DAY)])
    _, sketch, sample = judge(tmp_path)
    assert (sketch.labelled, sketch.ids.count, len(sample)) == (1, 2, 2)
