"""Training rows, labels and rows to ask in, the answers of what a network must beat out.

All see the same features of the same rows as the network does. A policy lists those of its model
(``train.baselines``); a model with other ones has a ``baselines.py`` in its folder, with functions
such as these. What they answer, (B, m), is as ``monitoring.problems`` reads it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from pipelines.features import numbers, stack, strings
from pipelines.policy import Column

Array = np.ndarray


@dataclass(frozen=True)
class Task:
    """Rows to learn from with their labels (``label``), and B rows to answer.

    ``classes`` is m, the number of columns that an answer has.
    """

    train: pd.DataFrame
    labels: "pd.Series[float]"
    asked: pd.DataFrame
    features: Mapping[str, Column]
    classes: int
    seed: int


Baseline = Callable[[Task], Array]


def base_rate(task: Task) -> Array:
    """Answer every row with the training rows' shares of the classes: knowing nothing."""
    return np.tile(shares(task.labels, task.classes), (len(task.asked), 1))


def logistic_regression(task: Task) -> Array:
    """Ask a logistic regression on one-hot categories and standardised numbers.

    Missing numbers become the median beside an indicator column; unseen categories all zeros.
    """
    scale = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    train, asked = _table(task.train, task.features), _table(task.asked, task.features)
    words = strings(task.features)
    values = [name for name in train if name not in words]
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), words), (scale, values)
    )
    model = make_pipeline(encode, LogisticRegression(max_iter=1000, random_state=task.seed))
    return _answers(model.fit(train, task.labels), asked, task)


def gradient_boosting(task: Task) -> Array:
    """Ask scikit-learn's histogram gradient boosting, which takes categories and gaps as they are.

    It holds at most 255 categories a feature: rarer ones are left to it as missing.
    """
    kinds = {
        name: pd.CategoricalDtype(task.train[name].value_counts().index[:254].sort_values())
        for name in strings(task.features)
    }
    model = HistGradientBoostingClassifier(
        categorical_features="from_dtype", early_stopping=True, random_state=task.seed
    )
    model.fit(_table(task.train, task.features).astype(kinds), task.labels)
    return _answers(model, _table(task.asked, task.features).astype(kinds), task)


def nearest_neighbours(task: Task) -> Array:
    """Ask the 10 nearest training rows by their numbers, and the base rate as one neighbour more.

    Without that one, a class that none of the ten is of would be impossible.
    """
    count = 10
    model = KNeighborsClassifier(count)
    model.fit(_table(task.train, task.features).to_numpy(), task.labels)
    votes = _answers(model, _table(task.asked, task.features).to_numpy(), task)
    answers: Array = (count * votes + shares(task.labels, task.classes)) / (count + 1)
    return answers


BASELINES: dict[str, Baseline] = {
    "base_rate": base_rate,
    "logistic_regression": logistic_regression,
    "gradient_boosting": gradient_boosting,
    "nearest_neighbours": nearest_neighbours,
}


def shares(labels: "pd.Series[float]", classes: int) -> Array:
    """Return the share of each class among the labels, (m,)."""
    return np.bincount(labels.to_numpy("int64"), minlength=classes) / len(labels)


def _table(rows: pd.DataFrame, features: Mapping[str, Column]) -> pd.DataFrame:
    """Give strings and numbers as they are, and of a tensor a column a value."""
    parts = [rows[[*strings(features), *numbers(features)]].reset_index(drop=True)]
    for name, column in features.items():
        if column.shape:
            flat = stack(rows[name], (-1,))
            parts.append(pd.DataFrame(flat).add_prefix(f"{name}/"))
    return pd.concat(parts, axis="columns")


def _answers(model: object, asked: pd.DataFrame | Array, task: Task) -> Array:
    """Give probabilities (B, m); of a class without training rows 0."""
    found = np.zeros((len(asked), task.classes))
    found[:, model.classes_.astype("int64")] = model.predict_proba(asked)  # type: ignore[attr-defined]
    return found
