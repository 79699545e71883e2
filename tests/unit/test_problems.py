"""The kinds of problem in the monitor: which checks there are, and what their scores are worth."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from monitoring.checks import run_checks
from monitoring.limits import MonitorLimits
from monitoring.live_score import base_rates, live_score
from monitoring.measures import CannotTellError
from monitoring.problems import PROBLEMS, Kind
from monitoring.sketches import WindowSketch, from_bytes, sketch_training, to_bytes
from tests.monitor_windows import END, SECTION, START, WINDOW, Feature, sketch

IMAGE = {
    "pixels": Feature("double", shape=(2, 2)),
    "answer": Feature("string", feature=False),
    "ink": Feature("double", 0, 1, feature=False),
}
WORD = {"word": Feature("string"), "log_loss": Feature("double", feature=False)}
NO_COLUMNS = {"drift": {"default": 0.2}, "max_jump": {"default": 1.0}}
UNLABELLED = {
    "max_label_lag_days": None,
    "live_score": SECTION["live_score"] | {"max_unlabelled_share": None},
}


def limits(**changes: Any) -> MonitorLimits:
    return MonitorLimits.model_validate({**SECTION, **NO_COLUMNS, **changes})


def times(rows: int) -> pd.DatetimeIndex:
    return pd.date_range(START, END, periods=rows + 1, inclusive="left")


def classified(rows: int = 2000, seed: int = 0, right: float = 0.8) -> pd.DataFrame:
    """Answers of three classes; the one that came true was given `right`, mostly."""
    rng = np.random.default_rng(seed)
    label = rng.choice(3, rows, p=[0.5, 0.3, 0.2])
    favoured = np.where(rng.random(rows) < right, label, (label + 1) % 3)
    said = np.full((rows, 3), (1 - right) / 2) + np.eye(3)[favoured] * (right - (1 - right) / 2)
    images = rng.random((rows, 4))
    return pd.DataFrame(
        {
            "id": [f"{seed}-{row}" for row in range(rows)],
            "event_time": times(rows),
            "pixels": list(images.astype("float32")),
            "probabilities": list(said.astype("float32")),
            "answer": favoured.astype("int64"),
            "ink": images.mean(axis=1),
            "label": label.astype("float64"),
        }
    )


def words(rows: int = 2000, seed: int = 0, loss: float = 2.0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": [f"{seed}-{row}" for row in range(rows)],
            "event_time": times(rows),
            "word": rng.choice(["anna", "otto"], rows),
            "log_loss": rng.normal(loss, 0.3, rows),
            "baseline_log_loss": rng.normal(2.8, 0.3, rows),
        }
    )


def densities(**given: Any) -> WindowSketch:
    return sketch(words(**given), schema=WORD, kind="density")


def names(kind: Kind, schema: dict[str, Feature], window: WindowSketch, **changes: Any) -> set[str]:
    return {r.check for r in run_checks(WINDOW, window, window, schema, limits(**changes))}


def test_a_kind_has_the_checks_that_make_sense_for_it() -> None:
    labels = {"missing_labels", "label_lag"}
    images = names("classes", IMAGE, sketch(classified(), schema=IMAGE, kind="classes"))
    assert {"live_score", "prediction_drift", "new_category", *labels} <= images
    assert not images & {"estimated_score", "drift"}, "no tensor is judged itself"
    plain = names("density", WORD, densities(), **UNLABELLED)
    assert {"live_score", "drift", "prediction_drift"} <= plain
    assert not plain & {"estimated_score", *labels}


def test_of_classes_the_score_is_the_log_loss_and_the_yardstick_the_trainings_shares() -> None:
    trained_on, window = classified(seed=1), classified()
    reference = sketch_training(trained_on, IMAGE, "classes")
    reference = from_bytes(to_bytes(reference))
    shares = trained_on["label"].value_counts(normalize=True).sort_index().to_numpy()
    np.testing.assert_allclose(base_rates(reference), shares)
    found = live_score(reference, sketch(window, schema=IMAGE, kind="classes"), limits().live_score)
    said, label = np.stack(list(window["probabilities"])), window["label"].astype(int)
    assert found.score == pytest.approx(-np.log(said[np.arange(len(said)), label]).mean())
    usual = -np.log(shares[label]).mean()
    assert usual < found.threshold < usual + 0.1
    assert f"allowed {usual:.3f} (answering {'/'.join(f'{s:.3f}' for s in shares)}" in found.reason
    bad = sketch(classified(right=0.35), schema=IMAGE, kind="classes")
    worse = live_score(reference, bad, limits(live_score=HALF).live_score)
    assert worse.score > worse.threshold


HALF = SECTION["live_score"] | {"max_ratio_to_base_rate": 0.5}


@pytest.mark.parametrize("label", [3.0, -1.0, 0.5])
def test_a_label_that_is_no_class_is_refused(label: float) -> None:
    frame = classified()
    odd = frame.assign(label=frame["label"].where(frame.index != 7, label))
    reference = sketch_training(frame, IMAGE, "classes")
    with pytest.raises(ValueError, match="whole numbers of the model's classes"):
        live_score(reference, sketch(odd, schema=IMAGE, kind="classes"), limits().live_score)


def test_of_a_density_every_row_counts_and_no_label_is_waited_for() -> None:
    reference, rules = densities(seed=1), limits(**UNLABELLED).live_score
    window = densities()
    found = live_score(reference, window, rules)
    assert found.score == pytest.approx(words()["log_loss"].mean())
    assert found.threshold == pytest.approx(words()["baseline_log_loss"].mean(), abs=0.05)
    assert f"perplexity {np.exp(found.score):.3g}" in found.reason
    assert window.labelled == window.rows
    mashed = live_score(reference, densities(loss=4.0), rules)
    assert mashed.score > mashed.threshold


def test_windows_of_a_kind_merge_as_if_seen_at_once() -> None:
    frame = classified()
    halves = [sketch(part, frame, IMAGE, kind="classes") for part in (frame[:900], frame[900:])]
    merged = from_bytes(to_bytes(halves[0]))
    merged.merge(halves[1])
    whole = sketch(frame, schema=IMAGE, kind="classes")
    for ours, theirs in ((merged, whole),):
        assert ours.outcomes.total == theirs.outcomes.total == len(frame)
        assert ours.contents.count == theirs.contents.count == len(frame)
        np.testing.assert_allclose(base_rates(ours), base_rates(theirs))
    with pytest.raises(ValueError, match="do not merge"):
        merged.merge(WindowSketch.of(IMAGE, "binary"))


def test_images_are_told_apart_by_their_pixels() -> None:
    frame = classified(1000)
    again = frame.head(100).assign(id=lambda rows: "again-" + rows["id"])
    window = sketch(pd.concat([frame, again], ignore_index=True), schema=IMAGE, kind="classes")
    assert (window.ids.count, window.contents.count) == (1100, 1000)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (lambda rows: rows.drop(columns="probabilities"), "no output 'probabilities'"),
        (
            lambda rows: rows.assign(probabilities=[None, *rows["probabilities"][1:]]),
            "has no value",
        ),
    ],
)
def test_answers_that_cannot_be_read_have_no_score(broken: Any, reason: str) -> None:
    reference = sketch_training(classified(seed=1), IMAGE, "classes")
    window = sketch(broken(classified()), classified(), IMAGE, kind="classes")
    with pytest.raises(CannotTellError, match=reason):
        live_score(reference, window, limits().live_score)


def test_every_kind_reads_its_outputs_as_one_matrix() -> None:
    one = np.array([0.25, 1.0], "float32")
    assert PROBLEMS["binary"].read({"probability": one}).tolist() == [[0.75, 0.25], [0.0, 1.0]]
    both = {"log_loss": one, "baseline_log_loss": 2 * one}
    said = PROBLEMS["density"].read(both)
    assert said.tolist() == [[0.25, 0.5], [1.0, 2.0]]
    assert PROBLEMS["density"].yardstick(said, np.empty(0)).tolist() == [[0.5, 0.5], [2.0, 2.0]]
    three = PROBLEMS["classes"].read({"probabilities": np.eye(3)})
    assert PROBLEMS["classes"].losses(three, np.array([0, 1, 2])).tolist() == [0, 0, 0]
