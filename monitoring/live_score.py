"""Answers and what came true in, how good the answers were out: log loss in nats, lower is better.

The yardstick is the log loss, on the same rows, of always answering the share of ones that the
version saw in training: a model above it is worth less than that one number.
"""

from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from monitoring.limits import LiveScoreLimits
from monitoring.measures import LABEL, PREDICTION, CannotTellError, Measured, present

Floats = npt.NDArray[np.float64]
SMALLEST = 1e-7  # a float32 probability of exactly 0 or 1 is taken as this far from it


def missing_labels(
    current: pd.DataFrame, labels: pd.DataFrame, limits: LiveScoreLimits
) -> Measured:
    """Share of the window's rows that no label has come for, 0 to 1."""
    there = len(_labelled(current, labels))
    share = 1 - there / len(current)
    return Measured(
        share, limits.max_unlabelled_share, f"{there} of {len(current)} rows have a label"
    )


def live_score(
    reference: pd.DataFrame, current: pd.DataFrame, labels: pd.DataFrame, limits: LiveScoreLimits
) -> Measured:
    """Mean log loss of the labelled rows; threshold: `max_ratio_to_base_rate` x the base rate's.

    Raises CannotTellError for fewer than `min_labels` labels.
    """
    rows = _labelled(current, labels)
    if len(rows) < limits.min_labels:
        raise CannotTellError(f"{len(rows)} labelled rows, the score needs {limits.min_labels}")
    truth = rows[LABEL].to_numpy("float64")
    losses = log_losses(rows[PREDICTION].to_numpy("float64"), truth)
    rate = float(present(reference, LABEL, "double").mean())
    base = float(log_losses(np.full(len(truth), rate), truth).mean())
    score = float(losses.mean())
    low, high = interval(losses, rows["event_time"].dt.floor("D"), limits.confidence)
    reason = (
        f"on {len(rows)} labelled rows: the model {score:.3f}, always answering the training's "
        f"rate of {rate:.3f} {base:.3f}; true rate {truth.mean():.3f}"
    )
    return Measured(score, base * limits.max_ratio_to_base_rate, reason, low, high)


def interval(
    losses: Floats, days: "pd.Series[Any]", confidence: float
) -> tuple[float | None, float | None]:
    """Return the bounds of the mean, normal approximation; None, None for a single day.

    Rows of one day share its weather and its troubles, so days count as the independent draws:
    the cluster-robust variance of a mean, g/(g-1) sum_d(sum_i(x_i - m))^2 / n^2 for g days
    (Cameron and Miller 2015, "A Practitioner's Guide to Cluster-Robust Inference", section II).
    """
    mean = float(losses.mean())
    deviations = pd.Series(losses - mean).groupby(days.to_numpy()).sum()
    g = len(deviations)
    if g < 2:
        return None, None
    variance = g / (g - 1) * float((deviations**2).sum()) / len(losses) ** 2
    margin = NormalDist().inv_cdf((1 + confidence) / 2) * variance**0.5
    return mean - margin, mean + margin


def log_losses(probability: Floats, truth: Floats) -> Floats:
    """Return each row's log loss in nats, (n,); `truth` is 1.0 or 0.0.

    Raises ValueError for a probability that is missing or outside 0 to 1, and any other label.
    """
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("a probability is missing or outside 0 to 1")
    if not np.isin(truth, (0.0, 1.0)).all():
        raise ValueError(f"labels must be 0 or 1, found {sorted(set(truth) - {0.0, 1.0})[:3]}")
    said = np.where(truth == 1.0, probability, 1 - probability)
    losses: Floats = -np.log(np.clip(said, SMALLEST, 1.0))
    return losses


def _labelled(current: pd.DataFrame, labels: pd.DataFrame) -> pd.DataFrame:
    """Return id, event_time, probability, label of the rows that have a label, each id once."""
    rows = current[["id", "event_time", PREDICTION]].drop_duplicates("id", keep="last")
    known = labels[["id", LABEL]].dropna().drop_duplicates("id", keep="last")
    return rows.merge(known, on="id", validate="1:1")
