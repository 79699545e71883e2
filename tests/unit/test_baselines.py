import numpy as np
import pandas as pd
import pytest

from pipelines import baselines, scores
from pipelines.flights import feed, rows

TYPES = {
    "carrier": "string",
    "dest": "string",
    "hour": "long",
    "visib": "double",
    "seats": "double",
}


@pytest.fixture(scope="module")
def month() -> pd.DataFrame:
    batch = feed.read_batch("2013-03")
    return batch[rows.label(batch).notna()].iloc[::6]


@pytest.mark.parametrize("name", baselines.BASELINES)
def test_each_baseline_answers_gaps_and_unseen_categories_and_repeats(
    name: str, month: pd.DataFrame
) -> None:
    train, asked = month.iloc[:3000], month.iloc[3000:].assign(dest="???")
    ask = baselines.BASELINES[name]
    answers = ask(train, rows.label(train), asked, TYPES, 0)
    assert answers.shape == (len(asked),)
    scores.checked(rows.label(asked), answers)
    assert (answers == ask(train, rows.label(train), asked, TYPES, 0)).all()


def test_the_base_rate_is_the_training_rows_share(month: pd.DataFrame) -> None:
    labels = rows.label(month)
    assert set(baselines.base_rate(month, labels, month.head(3), TYPES, 0)) == {labels.mean()}


@pytest.mark.parametrize("name", ["logistic_regression", "gradient_boosting"])
def test_what_learns_beats_the_base_rate(name: str, month: pd.DataFrame) -> None:
    train, asked = month.iloc[:3000], month.iloc[3000:]
    labels, answered = rows.label(train), rows.label(asked)
    answers = baselines.BASELINES[name](train, labels, asked, TYPES, 0)
    nothing = baselines.base_rate(train, labels, asked, TYPES, 0)
    assert scores.score(answered, answers)["auc"] > 0.6
    assert scores.score(answered, answers)["log_loss"] < scores.score(answered, nothing)["log_loss"]


def test_more_categories_than_boosting_holds_are_answered() -> None:
    generator = np.random.default_rng(0)
    many = pd.DataFrame({"dest": [f"D{i % 400}" for i in range(2000)], "hour": range(2000)})
    labels = pd.Series(generator.integers(0, 2, 2000).astype(float))
    types = {"dest": "string", "hour": "long"}
    assert len(baselines.gradient_boosting(many, labels, many, types, 0)) == 2000
