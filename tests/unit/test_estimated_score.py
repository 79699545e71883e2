import numpy as np
import pandas as pd
import pytest

from monitoring.estimated_score import calibrate, estimated_score
from monitoring.live_score import live_score
from monitoring.measures import CannotTellError
from monitoring.sketches import ProbabilityBins, sketch_training
from tests.monitor_windows import SCHEMA, START, answers, limits, sketch

LIMITS = limits().live_score
REFERENCE = sketch_training(answers(20_000, seed=1), SCHEMA, "binary")


def labelled_for(frame: pd.DataFrame, days: float) -> pd.DataFrame:
    return frame[frame["event_time"] < pd.Timestamp(START) + pd.Timedelta(days=days)]


def overconfident(frame: pd.DataFrame) -> pd.DataFrame:
    """The same truth, said with a third of its odds' logarithm too much."""
    odds = np.log(frame["probability"] / (1 - frame["probability"])) - 1.5
    return frame.assign(probability=1 / (1 + np.exp(-odds)))


def test_with_every_label_it_is_the_live_score() -> None:
    window = sketch(answers())
    estimate, live = (f(REFERENCE, window, LIMITS) for f in (estimated_score, live_score))
    assert estimate.score == pytest.approx(live.score)
    assert estimate.threshold == pytest.approx(live.threshold)
    assert estimate.low == estimate.high == estimate.score


@pytest.mark.parametrize("days", [0, 3, 10])
def test_without_labels_it_is_near_what_they_will_say(days: float) -> None:
    frame = answers(20_000)
    truth = live_score(REFERENCE, sketch(frame), LIMITS)
    estimate = estimated_score(REFERENCE, sketch(frame, labelled_for(frame, days)), LIMITS)
    assert estimate.score == pytest.approx(truth.score, abs=0.01)
    assert (estimate.low is None) == (days == 0)


def test_what_the_labelled_days_show_is_taken_off_the_others() -> None:
    frame = overconfident(answers(20_000, seed=2))
    truth = live_score(REFERENCE, sketch(frame), LIMITS).score
    blind = estimated_score(REFERENCE, sketch(frame, labelled_for(frame, 0)), LIMITS)
    told = estimated_score(REFERENCE, sketch(frame, labelled_for(frame, 7)), LIMITS)
    assert blind.score < truth - 0.1, "calibrated once, it cannot see that probabilities lie now"
    assert told.score == pytest.approx(truth, abs=0.02)
    assert told.low is not None
    assert told.high is not None
    assert told.low < truth < told.high
    assert "labelled rows, which is taken off" in told.reason


def test_it_alerts_before_the_labels_of_all_days_are_there() -> None:
    frame = overconfident(overconfident(answers(20_000)))
    told = estimated_score(REFERENCE, sketch(frame, labelled_for(frame, 5)), LIMITS)
    assert told.score > told.threshold


def test_a_few_labels_or_one_day_of_them_correct_nothing() -> None:
    frame = answers(20_000)
    for labels in (frame.head(200), labelled_for(frame, 1)):
        found = estimated_score(REFERENCE, sketch(frame, labels), LIMITS)
        assert "too few labels" in found.reason
        assert found.low is None


def test_it_cannot_tell_without_answers_or_training_labels() -> None:
    for without in (2000, 1):
        frame = answers()
        frame.loc[: without - 1, "probability"] = np.nan
        with pytest.raises(CannotTellError, match=f"{without} of 2000 answers have no probability"):
            estimated_score(REFERENCE, sketch(frame, frame.head(0)), LIMITS)
    unlabelled = sketch_training(answers().assign(label=np.nan), SCHEMA, "binary")
    with pytest.raises(CannotTellError, match="none of 2000 training rows has a label"):
        estimated_score(unlabelled, sketch(answers()), LIMITS)


def test_calibration_never_falls_and_fills_what_training_did_not_say() -> None:
    bins = ProbabilityBins()
    bins.add(np.array([0.2, 0.2, 0.4, 0.4, 0.6, 0.6]), np.array([0.0, 1.0, 0.0, 0.0, 1.0, 1.0]))
    shares = calibrate(bins)
    assert shares[[0, 200, 400, 600, 999]] == pytest.approx([0.25, 0.25, 0.25, 1.0, 1.0])
    assert shares[500] == pytest.approx(0.625)
    assert (np.diff(shares) >= 0).all()
