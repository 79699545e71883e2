"""Answers and what came true in, how good the answers were out: log loss in nats, lower is better.

The yardstick is the log loss, on the same rows, of always answering the share of ones that the
version saw in training: a model above it is worth less than that one number.
"""

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats  # type: ignore[import-untyped]

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
    """Mean log loss of the labelled rows, with its interval.

    The threshold is `max_ratio_to_base_rate` x the base rate's log loss on the same rows, and the
    margin that chance needs: the half width of the interval of the difference, row by row. So one
    stormy day does not alert, and a difference that lasts does.

    Raises CannotTellError for fewer than `min_labels` labels, or labels of a single day.
    """
    rows = _labelled(current, labels)
    if len(rows) < limits.min_labels:
        raise CannotTellError(f"{len(rows)} labelled rows, the score needs {limits.min_labels}")
    truth = rows[LABEL].to_numpy("float64")
    losses = log_losses(rows[PREDICTION].to_numpy("float64"), truth)
    rate = float(present(reference, LABEL, "double").mean())
    allowed = log_losses(np.full(len(truth), rate), truth) * limits.max_ratio_to_base_rate
    days = rows["event_time"].dt.floor("D").to_numpy()
    chance = margin(losses - allowed, days, limits.confidence)
    half = margin(losses, days, limits.confidence)
    score, limit = float(losses.mean()), float(allowed.mean())
    reason = (
        f"on {len(rows)} labelled rows: the model {score:.3f}; allowed {limit:.3f} (answering "
        f"{rate:.3f}, x {limits.max_ratio_to_base_rate:g}) + {chance:.3f} for chance; "
        f"truly {truth.mean():.3f}"
    )
    return Measured(score, limit + chance, reason, score - half, score + half)


def margin(sample: Floats, days: npt.NDArray[np.datetime64], confidence: float) -> float:
    """Return the half width of the interval of a mean, n values of g days.

    Rows of one day share its weather and its troubles, so days count as the independent draws:
    the cluster-robust variance g/(g-1) sum_d(sum_i(x_i - m))^2 / n^2 and Student's t with g-1
    degrees of freedom (Cameron and Miller 2015, "A Practitioner's Guide to Cluster-Robust
    Inference"). Raises CannotTellError for a single day.
    """
    by_day = pd.Series(sample - sample.mean()).groupby(days).sum()
    g = len(by_day)
    if g < 2:
        raise CannotTellError("all labels are of one day: what is chance cannot be told")
    variance = g / (g - 1) * float((by_day**2).sum()) / len(sample) ** 2
    return float(stats.t.ppf((1 + confidence) / 2, g - 1) * np.sqrt(variance))


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
