"""Training rows, labels and rows to ask in, probabilities of what a network must beat out.

All three see the same features of the same rows as the network does; see ``BASELINES``.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from pipelines.features import numbers, strings

Array = np.ndarray
Baseline = Callable[[pd.DataFrame, "pd.Series[float]", pd.DataFrame, Mapping[str, str], int], Array]


def base_rate(
    train: pd.DataFrame,
    labels: "pd.Series[float]",
    asked: pd.DataFrame,
    types: Mapping[str, str],
    seed: int,
) -> Array:
    """Answer every row with the training rows' share of ones: knowing nothing."""
    return np.full(len(asked), labels.mean())


def logistic_regression(
    train: pd.DataFrame,
    labels: "pd.Series[float]",
    asked: pd.DataFrame,
    types: Mapping[str, str],
    seed: int,
) -> Array:
    """Ask a logistic regression on one-hot categories and standardised numbers.

    Missing numbers become the median beside an indicator column; unseen categories all zeros.
    """
    scale = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), strings(types)), (scale, numbers(types))
    )
    model = make_pipeline(encode, LogisticRegression(max_iter=1000, random_state=seed))
    model.fit(train[list(types)], labels)
    return _positive(model.predict_proba(asked[list(types)]))


def gradient_boosting(
    train: pd.DataFrame,
    labels: "pd.Series[float]",
    asked: pd.DataFrame,
    types: Mapping[str, str],
    seed: int,
) -> Array:
    """Ask scikit-learn's histogram gradient boosting, which takes categories and gaps as they are.

    It holds at most 255 categories a feature: rarer ones are left to it as missing.
    """
    kinds = {
        name: pd.CategoricalDtype(train[name].value_counts().index[:254].sort_values())
        for name in strings(types)
    }
    model = HistGradientBoostingClassifier(
        categorical_features="from_dtype", early_stopping=True, random_state=seed
    )
    model.fit(train[list(types)].astype(kinds), labels)
    return _positive(model.predict_proba(asked[list(types)].astype(kinds)))


BASELINES: dict[str, Baseline] = {
    "base_rate": base_rate,
    "logistic_regression": logistic_regression,
    "gradient_boosting": gradient_boosting,
}


def _positive(probabilities: Array) -> Array:
    return probabilities[:, 1]
