import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from sklearn.metrics import log_loss

from pipelines import scores


def both(probability: ArrayLike) -> np.ndarray:
    """Of the labels 0 and 1, as `monitoring.problems` reads a probability of the label 1."""
    one = np.asarray(probability, dtype=float)
    return np.column_stack([1 - one, one])


ANSWERS = st.lists(
    st.tuples(st.integers(0, 1), st.floats(0.001, 0.999)), min_size=1, max_size=50
).map(lambda pairs: tuple(np.array(pairs, dtype=float).T))


@given(ANSWERS)
def test_log_loss_is_scikit_learns(answers: tuple[np.ndarray, np.ndarray]) -> None:
    labels, said = answers
    expected = log_loss(labels, said, labels=[0, 1])
    assert scores.score("binary", labels, both(said))["log_loss"] == pytest.approx(expected)


@given(ANSWERS)
def test_the_calibration_curve_accounts_for_every_row(
    answers: tuple[np.ndarray, np.ndarray],
) -> None:
    labels, said = answers
    curve = scores.calibration_curve(said, labels)
    assert curve["rows"].sum() == len(labels)
    assert np.average(curve["came"], weights=curve["rows"]) == pytest.approx(labels.mean())
    assert 0 <= scores.calibration_error(said, labels) <= 1


def test_calibration_error_by_hand() -> None:
    # bin [.2, .3): said .25, came .5, two rows; bin [.9, 1]: said 1, came 1, six rows
    labels, said = np.array([0, 1, *[1] * 6]), np.array([0.25, 0.25, *[1.0] * 6])
    assert scores.calibration_error(said, labels) == pytest.approx(0.25 * 2 / 8)


def test_a_certain_and_wrong_answer_is_bad_but_finite() -> None:
    assert math.isfinite(scores.score("binary", [0, 1], both([1.0, 1.0]))["log_loss"])


def test_auc_of_one_class_is_not_a_number() -> None:
    assert math.isnan(scores.score("binary", [1, 1], both([0.2, 0.3]))["auc"])


@pytest.mark.parametrize(
    ("labels", "said", "message"),
    [
        ([], [], "and some"),
        ([1], [0.5, 0.5], "1 labels and 2 answers"),
        ([0.5], [0.5], "0 to 1"),
        ([math.nan], [0.5], "without a label"),
        ([1], [math.nan], "none be NaN"),
        ([1], [1.1], r"\[0, 1\]"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    labels: list[float], said: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        scores.score("binary", labels, both(said))


def test_slices_are_scored_apart_and_a_missing_value_is_one() -> None:
    rows = pd.DataFrame(
        {"hour": [10, 9, 9, 9], "origin": ["JFK", "LGA", None, "LGA"]}, index=[7] * 4
    )
    table = scores.score_by_slice(
        "binary", rows, [1, 0, 1, 1], both([0.9, 0.2, 0.6, 0.7]), ["hour", "origin"]
    )
    assert table[["column", "value", "rows"]].to_numpy().tolist() == [
        ["hour", "9", 3],
        ["hour", "10", 1],
        ["origin", "JFK", 1],
        ["origin", "LGA", 2],
        ["origin", "", 1],
    ]
    hour9 = scores.score("binary", [0, 1, 1], both([0.2, 0.6, 0.7]))
    assert table["log_loss"][0] == pytest.approx(hour9["log_loss"])


def test_the_bootstrap_knows_who_is_better_and_that_equals_are_equal() -> None:
    generator = np.random.default_rng(0)
    truth = generator.uniform(0.1, 0.9, 4000)
    labels = generator.uniform(size=4000) < truth
    days = np.arange(4000) // 200
    better = scores.compare("binary", labels, both(truth), both(np.full(4000, 0.5)), days)
    assert better.low < better.mean < better.high < 0
    worse = scores.compare("binary", labels, both(np.full(4000, 0.5)), both(truth), days)
    assert worse.mean == pytest.approx(-better.mean)
    assert worse.low > 0
    assert scores.compare("binary", labels, both(truth), both(truth), days) == scores.Interval(
        0.0, 0.0, 0.0
    )


def test_days_that_agree_within_themselves_widen_the_interval() -> None:
    """Rows of a day that move together hold less evidence than as many independent rows."""
    days = np.repeat(np.arange(20), 100)
    labels = (days % 3 == 0).astype(float)  # the whole day is late, or none of it
    said, other = np.full(2000, 0.3), np.full(2000, 0.6)
    by_day = scores.compare("binary", labels, both(said), both(other), days)
    by_row = scores.compare("binary", labels, both(said), both(other), np.arange(2000))
    assert by_day.high - by_day.low > 5 * (by_row.high - by_row.low)


def test_the_bootstrap_repeats_for_a_seed() -> None:
    labels, days = np.arange(60) % 2, np.arange(60) // 3
    said, other = np.linspace(0.1, 0.9, 60), np.full(60, 0.5)
    once = scores.compare("binary", labels, both(said), both(other), days, seed=5)
    assert once == scores.compare("binary", labels, both(said), both(other), days, seed=5)
    assert once != scores.compare("binary", labels, both(said), both(other), days, seed=6)


def test_one_day_is_not_enough_for_an_interval() -> None:
    with pytest.raises(ValueError, match="at least two blocks"):
        scores.compare("binary", [0, 1], both([0.1, 0.9]), both([0.5, 0.5]), ["monday", "monday"])


def test_of_classes_the_confidence_is_calibrated() -> None:
    said = np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    found = scores.score("classes", [0, 2, 2], said)
    assert found["log_loss"] == pytest.approx(-np.log([0.7, 0.1, 0.4]).mean())
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["mean_confidence"] == pytest.approx((0.7 + 0.8 + 0.4) / 3)
    assert found["calibration_error"] == pytest.approx((0.3 + 0.8 + 0.6) / 3)
    with pytest.raises(ValueError, match="labels must be 0 to 2"):
        scores.score("classes", [0, 3, 2], said)


def test_of_a_density_the_row_itself_came_true() -> None:
    said = np.array([[2.0, 3.0], [1.0, 3.0]])  # its loss, and the baseline's
    found = scores.score("density", [0, 0], said)
    assert found == {"log_loss": 1.5, "perplexity": pytest.approx(math.exp(1.5))}
    with pytest.raises(ValueError, match="says no probability"):
        scores.calibration_pairs("density", [0, 0], said)
