import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import log_loss

from pipelines import scores

ANSWERS = st.lists(
    st.tuples(st.integers(0, 1), st.floats(0.001, 0.999)), min_size=1, max_size=50
).map(lambda pairs: tuple(np.array(pairs, dtype=float).T))


@given(ANSWERS)
def test_log_loss_is_scikit_learns(answers: tuple[np.ndarray, np.ndarray]) -> None:
    labels, said = answers
    expected = log_loss(labels, said, labels=[0, 1])
    assert scores.score(labels, said)["log_loss"] == pytest.approx(expected)


@given(ANSWERS)
def test_the_calibration_curve_accounts_for_every_row(
    answers: tuple[np.ndarray, np.ndarray],
) -> None:
    labels, said = answers
    curve = scores.calibration_curve(labels, said)
    assert curve["rows"].sum() == len(labels)
    assert np.average(curve["came"], weights=curve["rows"]) == pytest.approx(labels.mean())
    assert 0 <= scores.calibration_error(labels, said) <= 1


def test_calibration_error_by_hand() -> None:
    # bin [.2, .3): said .25, came .5, two rows; bin [.9, 1]: said 1, came 1, six rows
    labels, said = [0, 1, *[1] * 6], [0.25, 0.25, *[1.0] * 6]
    assert scores.calibration_error(labels, said) == pytest.approx(0.25 * 2 / 8)


def test_a_certain_and_wrong_answer_is_bad_but_finite() -> None:
    assert math.isfinite(scores.score([0, 1], [1.0, 1.0])["log_loss"])


def test_auc_of_one_class_is_not_a_number() -> None:
    assert math.isnan(scores.score([1, 1], [0.2, 0.3])["auc"])


@pytest.mark.parametrize(
    ("labels", "said", "message"),
    [
        ([], [], "at least one"),
        ([1], [0.5, 0.5], "1 labels and 2 probabilities"),
        ([0.5], [0.5], "0 or 1"),
        ([math.nan], [0.5], "without a label"),
        ([1], [math.nan], "not be NaN"),
        ([1], [1.1], r"\[0, 1\]"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    labels: list[float], said: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        scores.score(labels, said)


def test_slices_are_scored_apart_and_a_missing_value_is_one() -> None:
    rows = pd.DataFrame(
        {"hour": [10, 9, 9, 9], "origin": ["JFK", "LGA", None, "LGA"]}, index=[7] * 4
    )
    table = scores.score_by_slice(rows, [1, 0, 1, 1], [0.9, 0.2, 0.6, 0.7], ["hour", "origin"])
    assert table[["column", "value", "rows"]].to_numpy().tolist() == [
        ["hour", "9", 3],
        ["hour", "10", 1],
        ["origin", "JFK", 1],
        ["origin", "LGA", 2],
        ["origin", "", 1],
    ]
    hour9 = scores.score([0, 1, 1], [0.2, 0.6, 0.7])
    assert table["log_loss"][0] == pytest.approx(hour9["log_loss"])


def test_the_bootstrap_knows_who_is_better_and_that_equals_are_equal() -> None:
    generator = np.random.default_rng(0)
    truth = generator.uniform(0.1, 0.9, 4000)
    labels = generator.uniform(size=4000) < truth
    days = np.arange(4000) // 200
    better = scores.compare(labels, truth, np.full(4000, 0.5), days)
    assert better.low < better.mean < better.high < 0
    worse = scores.compare(labels, np.full(4000, 0.5), truth, days)
    assert worse.mean == pytest.approx(-better.mean)
    assert worse.low > 0
    assert scores.compare(labels, truth, truth, days) == scores.Interval(0.0, 0.0, 0.0)


def test_days_that_agree_within_themselves_widen_the_interval() -> None:
    """Rows of a day that move together hold less evidence than as many independent rows."""
    days = np.repeat(np.arange(20), 100)
    labels = (days % 3 == 0).astype(float)  # the whole day is late, or none of it
    said, other = np.full(2000, 0.3), np.full(2000, 0.6)
    by_day = scores.compare(labels, said, other, days)
    by_row = scores.compare(labels, said, other, np.arange(2000))
    assert by_day.high - by_day.low > 5 * (by_row.high - by_row.low)


def test_the_bootstrap_repeats_for_a_seed() -> None:
    labels, days = np.arange(60) % 2, np.arange(60) // 3
    said, other = np.linspace(0.1, 0.9, 60), np.full(60, 0.5)
    once = scores.compare(labels, said, other, days, seed=5)
    assert once == scores.compare(labels, said, other, days, seed=5)
    assert once != scores.compare(labels, said, other, days, seed=6)


def test_one_day_is_not_enough_for_an_interval() -> None:
    with pytest.raises(ValueError, match="at least two blocks"):
        scores.compare([0, 1], [0.1, 0.9], [0.5, 0.5], ["monday", "monday"])
