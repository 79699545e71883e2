import numpy as np
import pandas as pd
import pytest
from scipy import stats  # type: ignore[import-untyped]
from sklearn.metrics import log_loss

from monitoring.live_score import live_score, log_losses, margin
from monitoring.measures import CannotTellError
from tests.monitor_windows import answers, limits

LIMITS = limits().live_score


def test_log_loss_is_the_one_of_scikit_learn() -> None:
    frame = answers()
    probability = frame["probability"].to_numpy("float64")
    ours = log_losses(probability, frame["label"].to_numpy()).mean()
    assert ours == pytest.approx(log_loss(frame["label"], probability))


def test_a_sure_and_wrong_answer_costs_much_but_not_all() -> None:
    assert log_losses(np.array([0.0, 1.0]), np.array([1.0, 0.0])) == pytest.approx(
        [16.118, 16.118], abs=1e-3
    )


@pytest.mark.parametrize("label", [0.5, 2.0, -1.0])
def test_a_label_that_is_no_label_is_refused(label: float) -> None:
    with pytest.raises(ValueError, match="labels must be 0 or 1"):
        log_losses(np.array([0.5]), np.array([label]))


def test_the_threshold_is_what_the_base_rate_costs_and_chance() -> None:
    reference, current = answers(5000, seed=1), answers()
    found = live_score(reference, current, current[["id", "label"]], LIMITS)
    rate, truth = reference["label"].mean(), current["label"]
    base = log_loss(truth, np.full(len(truth), rate))
    assert found.score == pytest.approx(log_loss(truth, current["probability"].astype("float64")))
    assert base < found.threshold < base + 0.05
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.score < found.high


def test_one_bad_day_is_chance_and_a_bad_fortnight_is_not() -> None:
    reference, current = answers(5000, seed=1), answers()
    useless = current.assign(probability=np.float32(reference["label"].mean()))
    wrong = useless["probability"].where(useless["label"] == 0, 0.001)
    first_day = useless["event_time"] < useless["event_time"].min() + pd.Timedelta(days=1)
    for where, alerts in ((first_day, False), (first_day | True, True)):
        frame = useless.assign(probability=useless["probability"].where(~where, wrong))
        found = live_score(reference, frame, current[["id", "label"]], LIMITS)
        assert (found.score > found.threshold) == alerts


def test_labels_of_other_ids_and_second_labels_do_not_count() -> None:
    reference, current = answers(5000, seed=1), answers(400)
    labels = current[["id", "label"]]
    others = pd.DataFrame({"id": ["another"] * 500, "label": [1.0] * 500})
    wrong_first = labels.assign(label=1 - labels["label"])
    noisy = pd.concat([others, wrong_first, labels])
    clean = live_score(reference, current, labels, LIMITS)
    assert live_score(reference, current, noisy, LIMITS) == clean
    with pytest.raises(CannotTellError, match="0 labelled rows"):
        live_score(reference, current, others, LIMITS)


def test_the_margin_of_one_row_a_day_is_student_s() -> None:
    sample = np.random.default_rng(0).normal(size=20)
    days = pd.date_range("2013-03-01", periods=20).to_numpy()
    expected = stats.t.ppf(0.975, 19) * sample.std(ddof=1) / np.sqrt(20)
    assert margin(sample, days, 0.95) == pytest.approx(expected)


def test_rows_that_repeat_a_day_do_not_make_us_surer() -> None:
    sample = np.random.default_rng(0).normal(size=20)
    days = pd.date_range("2013-03-01", periods=20).to_numpy()
    again = margin(np.repeat(sample, 50), np.repeat(days, 50), 0.95)
    assert again == pytest.approx(margin(sample, days, 0.95))


def test_a_single_day_cannot_tell_chance() -> None:
    with pytest.raises(CannotTellError, match="one day"):
        margin(np.ones(3), np.array(["2013-03-01"] * 3, dtype="datetime64[D]"), 0.95)
