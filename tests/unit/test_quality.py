"""Thresholds of columns that are mostly one value, or mostly missing, by nature."""

import numpy as np
import pandas as pd
import pytest

from monitoring import quality
from monitoring.measures import Measured
from tests.monitor_windows import answers, sketch

DRY, EMPTY = 0.92, 0.72  # flights' rain and gusts


def rain(dry: float, rows: int = 2000) -> pd.DataFrame:
    frame = answers(rows)
    return frame.assign(temp=np.where(np.arange(rows) % 100 < 100 * dry, 0.0, frame["temp"]))


def gusts(empty: float) -> pd.DataFrame:
    frame = rain(empty)
    return frame.assign(temp=frame["temp"].replace(0.0, np.nan))


def stuck(usual: pd.DataFrame, now: pd.DataFrame) -> Measured:
    return quality.stuck(sketch(usual), sketch(now), "temp", 0.3)


def test_a_column_stuck_at_its_commonest_value_alerts() -> None:
    found = stuck(rain(DRY), rain(1.0))
    assert found.score == 1.0 > found.threshold
    assert found.threshold == pytest.approx(DRY + 0.99 * (1 - DRY))


def test_a_dry_fortnight_does_not() -> None:
    found = stuck(rain(DRY), rain(0.99))
    assert found.score < found.threshold


def test_a_column_that_is_mostly_missing_alerts_when_it_is_lost() -> None:
    usual = sketch(gusts(EMPTY))
    lost = quality.missing(usual, sketch(gusts(1.0)), "temp", 0.3)
    calm = quality.missing(usual, sketch(gusts(0.95)), "temp", 0.3)
    assert lost.score > lost.threshold
    assert calm.score < calm.threshold


def test_where_the_increase_is_less_it_holds() -> None:
    found = stuck(rain(0.4), rain(0.8))
    assert found.threshold == pytest.approx(0.7)
    assert found.score > found.threshold


def test_a_column_that_is_nearly_constant_by_nature_does_not_alert() -> None:
    found = stuck(rain(DRY), rain(1.0, rows=200))
    assert found.score == 1.0 < found.threshold, "16 wet rows are usual in 200: too few to miss"
    constant = stuck(rain(1.0), rain(1.0))
    assert constant.score == 1.0 < constant.threshold
