from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from pipelines import baselines, scores
from pipelines.flights import feed, rows
from pipelines.policy import Column

FEATURES = {
    "carrier": Column(type="string"),
    "dest": Column(type="string"),
    "hour": Column(type="long"),
    "visib": Column(type="double"),
    "seats": Column(type="double"),
}


def ask(
    name: str,
    train: pd.DataFrame,
    labels: "pd.Series[float]",
    asked: pd.DataFrame,
    features: Mapping[str, Column] = FEATURES,
    classes: int = 2,
) -> np.ndarray:
    return baselines.BASELINES[name](
        baselines.Task(train, labels, asked, features, classes, seed=0)
    )


@pytest.fixture(scope="module")
def month() -> pd.DataFrame:
    batch = feed.read_batch("2013-03")
    return batch[rows.label(batch).notna()].iloc[::6]


@pytest.mark.parametrize("name", ["base_rate", "logistic_regression", "gradient_boosting"])
def test_each_baseline_answers_gaps_and_unseen_categories_and_repeats(
    name: str, month: pd.DataFrame
) -> None:
    train, asked = month.iloc[:3000], month.iloc[3000:].assign(dest="???")
    answers = ask(name, train, rows.label(train), asked)
    assert answers.shape == (len(asked), 2)
    scores.checked("binary", rows.label(asked), answers)
    assert (answers == ask(name, train, rows.label(train), asked)).all()


def test_the_base_rate_is_the_training_rows_share(month: pd.DataFrame) -> None:
    labels = rows.label(month)
    answers = ask("base_rate", month, labels, month.head(3))
    assert answers.tolist() == [[1 - labels.mean(), labels.mean()]] * 3


@pytest.mark.parametrize("name", ["logistic_regression", "gradient_boosting"])
def test_what_learns_beats_the_base_rate(name: str, month: pd.DataFrame) -> None:
    train, asked = month.iloc[:3000], month.iloc[3000:]
    labels, answered = rows.label(train), rows.label(asked)
    found, nothing = (
        scores.score("binary", answered, ask(each, train, labels, asked))
        for each in (name, "base_rate")
    )
    assert found["auc"] > 0.6
    assert found["log_loss"] < nothing["log_loss"]


def test_more_categories_than_boosting_holds_are_answered() -> None:
    generator = np.random.default_rng(0)
    many = pd.DataFrame({"dest": [f"D{i % 400}" for i in range(2000)], "hour": range(2000)})
    labels = pd.Series(generator.integers(0, 2, 2000).astype(float))
    features = {"dest": Column(type="string"), "hour": Column(type="long")}
    assert len(ask("gradient_boosting", many, labels, many, features)) == 2000


@pytest.mark.parametrize("name", ["logistic_regression", "nearest_neighbours"])
def test_tensors_of_several_classes_are_answered_also_where_one_was_never_seen(name: str) -> None:
    generator = np.random.default_rng(0)
    labels = pd.Series(np.arange(200) % 3).astype(float)
    spots = [np.eye(4)[int(label)] + generator.normal(0, 0.1, 4) for label in labels]
    images = pd.DataFrame({"pixels": spots})
    features = {"pixels": Column(type="double", shape=(2, 2))}
    answers = ask(name, images, labels, images, features, classes=4)
    assert answers.shape == (200, 4)
    scores.checked("classes", labels, answers)
    assert scores.score("classes", labels, answers)["accuracy"] > 0.95
    assert (answers[:, 3] == 0).all()
