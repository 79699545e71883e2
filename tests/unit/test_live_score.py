import numpy as np
import pandas as pd
import pytest
from scipy import stats  # type: ignore[import-untyped]
from sklearn.metrics import log_loss

from monitoring.estimated_score import estimated_score
from monitoring.live_score import live_score, margin
from monitoring.measures import CannotTellError
from monitoring.sketches import sketch_training
from tests.monitor_windows import SCHEMA, answers, limits, sketch

LIMITS = limits().live_score
TRAINED_ON = answers(5000, seed=1)
REFERENCE = sketch_training(TRAINED_ON, SCHEMA, "binary")


def test_the_score_is_the_log_loss_of_scikit_learn() -> None:
    frame = answers()
    found = live_score(REFERENCE, sketch(frame), LIMITS)
    expected = log_loss(frame["label"], frame["probability"].astype("float64"))
    assert found.score == pytest.approx(expected)


def test_a_sure_and_wrong_answer_costs_much_but_not_all() -> None:
    frame = answers().assign(label=lambda rows: rows.index % 2.0)
    wrong = frame.assign(probability=1 - frame["label"])
    assert live_score(REFERENCE, sketch(wrong), LIMITS).score == pytest.approx(16.118, abs=1e-3)


@pytest.mark.parametrize("label", [0.5, 2.0, -1.0])
def test_a_label_that_is_no_label_is_refused(label: float) -> None:
    frame = answers()
    odd = frame.assign(label=frame["label"].where(frame.index != 7, label))
    with pytest.raises(ValueError, match="labels must be whole numbers of the model's classes"):
        live_score(REFERENCE, sketch(odd), LIMITS)


def test_the_threshold_is_what_the_base_rate_costs_and_chance() -> None:
    current = answers()
    found = live_score(REFERENCE, sketch(current), LIMITS)
    rate, truth = TRAINED_ON["label"].mean(), current["label"]
    base = log_loss(truth, np.full(len(truth), rate))
    assert base < found.threshold < base + 0.05
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.score < found.high


def test_one_bad_day_is_chance_and_a_bad_fortnight_is_not() -> None:
    current = answers()
    useless = current.assign(probability=np.float32(TRAINED_ON["label"].mean()))
    wrong = useless["probability"].where(useless["label"] == 0, 0.001)
    first_day = useless["event_time"] < useless["event_time"].min() + pd.Timedelta(days=1)
    for where, alerts in ((first_day, False), (first_day | True, True)):
        frame = useless.assign(probability=useless["probability"].where(~where, wrong))
        found = live_score(REFERENCE, sketch(frame), LIMITS)
        assert (found.score > found.threshold) == alerts


def test_labels_of_other_ids_and_second_labels_do_not_count() -> None:
    current = answers(400)
    labels = current[["id", "label"]]
    others = pd.DataFrame({"id": ["another"] * 500, "label": [1.0] * 500})
    wrong_first = labels.assign(label=1 - labels["label"])
    noisy = pd.concat([others, wrong_first, labels])
    clean = live_score(REFERENCE, sketch(current, labels), LIMITS)
    assert live_score(REFERENCE, sketch(current, noisy), LIMITS) == clean
    with pytest.raises(CannotTellError, match="0 labelled rows"):
        live_score(REFERENCE, sketch(current, others), LIMITS)


def test_a_row_that_is_answered_again_under_its_id_counts_once() -> None:
    current = answers(400)
    twice = pd.concat([current, current.head(100)], ignore_index=True)
    once, again = (
        live_score(REFERENCE, sketch(rows, current), LIMITS) for rows in (current, twice)
    )
    assert again.score == pytest.approx(once.score, rel=1e-12)
    assert again.reason == once.reason


def test_the_margin_of_one_row_a_day_is_student_s() -> None:
    sample = np.random.default_rng(0).normal(size=20)
    expected = stats.t.ppf(0.975, 19) * sample.std(ddof=1) / np.sqrt(20)
    assert margin(sample, np.ones(20), 0.95) == pytest.approx(expected)


def test_rows_that_repeat_a_day_do_not_make_us_surer() -> None:
    sample = np.random.default_rng(0).normal(size=20)
    again = margin(50 * sample, np.full(20, 50.0), 0.95)
    assert again == pytest.approx(margin(sample, np.ones(20), 0.95))


def test_a_single_day_cannot_tell_chance() -> None:
    with pytest.raises(CannotTellError, match="one day"):
        margin(np.ones(1), np.ones(1), 0.95)


def test_answers_of_which_a_part_cannot_be_read_have_no_score() -> None:
    current = sketch(answers())
    current.merge(sketch(answers(300, seed=3).assign(probability="likely")))
    with pytest.raises(CannotTellError, match="probability: not every value is a number"):
        live_score(REFERENCE, current, LIMITS)
    with pytest.raises(CannotTellError, match="probability: not every value is a number"):
        estimated_score(REFERENCE, current, LIMITS)
