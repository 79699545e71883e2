"""The jump: what it finds that drift must let pass, and when it cannot tell."""

from datetime import timedelta

import pandas as pd
import pytest

from monitoring.jump import LEAST_ROWS, jump
from monitoring.measures import CannotTellError
from monitoring.sketches import WindowSketch, sketch_training
from tests.monitor_windows import END, SCHEMA, START, answers, sketch

TRAINED_ON = answers(5000, seed=1)
REFERENCE = sketch_training(TRAINED_ON, SCHEMA, "binary")
TWO_DAYS = timedelta(days=2)


def split(frame: pd.DataFrame) -> "tuple[pd.Series[bool], pd.Series[bool]]":
    newest = frame["event_time"] >= END - TWO_DAYS
    return ~newest, newest


def test_it_is_the_distance_of_the_means_in_deviations() -> None:
    frame = answers()
    before, newest = split(frame)
    apart = frame.loc[newest, "seats"].mean() - frame.loc[before, "seats"].mean()
    found = jump(REFERENCE, sketch(frame), "seats", 1.0)
    assert found.score == pytest.approx(abs(apart) / TRAINED_ON["seats"].std(ddof=0))
    assert found.score < 0.5


def test_a_season_passes_and_a_unit_that_changes_in_it_does_not() -> None:
    frame = answers()
    spring = frame.assign(temp=frame["temp"] + 20)
    assert jump(REFERENCE, sketch(spring), "temp", 1.0).score < 0.5
    _, newest = split(spring)
    mixed = spring.assign(temp=spring["temp"].where(~newest, (spring["temp"] - 32) / 1.8))
    found = jump(REFERENCE, sketch(mixed), "temp", 1.0)
    assert found.score == pytest.approx(4.4, abs=0.3), "60 F are 16 C, and 10 F a deviation"
    assert found.reason.startswith("mean of the newest two days 15")


@pytest.mark.parametrize("days", [1, 3])
def test_of_less_than_four_days_nothing_is_told(days: int) -> None:
    frame = answers()
    first = frame[frame["event_time"] < START + timedelta(days=days)]
    with pytest.raises(CannotTellError, match=f"{24 * days} hours of temp in the window"):
        jump(REFERENCE, sketch(first), "temp", 1.0)
    four = frame[frame["event_time"] < START + timedelta(days=4)]
    assert jump(REFERENCE, sketch(four), "temp", 1.0).score < 0.5


@pytest.mark.parametrize("newest", [True, False])
def test_of_too_few_values_on_a_side_nothing_is_told(newest: bool) -> None:
    frame = answers()
    side = split(frame)[newest]
    kept = side[side].index[: LEAST_ROWS - 1]
    lacking = frame.assign(temp=frame["temp"].where(~side | frame.index.isin(kept)))
    with pytest.raises(CannotTellError, match=f"a jump needs {LEAST_ROWS} in each"):
        jump(REFERENCE, sketch(lacking), "temp", 1.0)


def test_values_too_large_to_add_up_are_told_of() -> None:
    huge = answers().assign(temp=1e308)
    with pytest.raises(CannotTellError, match="too large for a sum"):
        jump(REFERENCE, sketch(huge), "temp", 1.0)


def test_rows_without_event_times_tell_nothing() -> None:
    with pytest.raises(CannotTellError, match="no finite value of temp has an event time"):
        jump(REFERENCE, REFERENCE, "temp", 1.0)


def test_a_constant_column_does_not_jump() -> None:
    constant = answers().assign(temp=7.0)
    reference: WindowSketch = sketch_training(constant, SCHEMA, "binary")
    assert jump(reference, sketch(constant), "temp", 1.0).score == 0.0
