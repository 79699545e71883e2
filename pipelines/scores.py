"""Labels and probabilities in, scores out: how good, how calibrated, where, and how sure.

Labels are 0 or 1, probabilities floats in [0, 1], both 1-D of the same length. Nothing here reads
or writes anything. Lower is better for every score but AUC.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import brier_score_loss, roc_auc_score

Floats = NDArray[np.float64]

SMALLEST = 1e-7  # a probability of 0 or 1 in float32 would make one wrong answer infinitely bad


@dataclass(frozen=True)
class Interval:
    """A mean difference of log loss and its bootstrap interval."""

    mean: float
    low: float
    high: float


def score(labels: ArrayLike, probabilities: ArrayLike) -> dict[str, float]:
    """Compute every score of one set of answers; AUC is NaN where only one class occurs.

    Raises ValueError for no rows, unequal lengths, labels other than 0 and 1, or probabilities
    outside [0, 1] or NaN.
    """
    y, p = checked(labels, probabilities)
    return {
        "log_loss": float(row_log_losses(y, p).mean()),
        "auc": float(roc_auc_score(y, p)) if 0 < y.mean() < 1 else float("nan"),
        "brier": float(brier_score_loss(y, p)),
        "calibration_error": calibration_error(y, p),
        "base_rate": float(y.mean()),
        "mean_probability": float(p.mean()),
    }


def checked(labels: ArrayLike, probabilities: ArrayLike) -> tuple[Floats, Floats]:
    """Return both as float64 arrays, or raise ValueError saying which is unusable and why."""
    y, p = np.asarray(labels, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    if len(y) != len(p) or len(y) == 0:
        raise ValueError(f"{len(y)} labels and {len(p)} probabilities: need as many, at least one")
    if not np.isin(y, (0.0, 1.0)).all():
        raise ValueError("labels must be 0 or 1: drop the rows without a label first")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities must lie in [0, 1] and not be NaN")
    return y, p


def row_log_losses(labels: ArrayLike, probabilities: ArrayLike) -> Floats:
    """Compute each row's log loss, in nats; probabilities are kept 1e-7 away from 0 and 1."""
    y, p = checked(labels, probabilities)
    p = p.clip(SMALLEST, 1 - SMALLEST)
    return np.asarray(-(y * np.log(p) + (1 - y) * np.log1p(-p)))


def calibration_curve(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> pd.DataFrame:
    """Compare what was said with what came: a row for each non-empty bin of equal width.

    Columns ``said`` (mean probability), ``came`` (share of ones), ``rows``.
    """
    y, p = checked(labels, probabilities)
    place = np.minimum((p * bins).astype(int), bins - 1)
    table = pd.DataFrame({"said": p, "came": y, "rows": 1}).groupby(place)
    return table.agg({"said": "mean", "came": "mean", "rows": "sum"}).reset_index(drop=True)


def calibration_error(labels: ArrayLike, probabilities: ArrayLike, bins: int = 10) -> float:
    """Compute the expected calibration error: the curve's mean distance, weighted by rows.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599, eq. 3.
    """
    curve = calibration_curve(labels, probabilities, bins)
    return float(np.average((curve["said"] - curve["came"]).abs(), weights=curve["rows"]))


def score_by_slice(
    rows: pd.DataFrame, labels: ArrayLike, probabilities: ArrayLike, slices: Sequence[str]
) -> pd.DataFrame:
    """Score each value of each slice column apart: ``column``, ``value``, ``rows``, the scores.

    A missing value is a slice as well, named ``""``.
    """
    y, p = checked(labels, probabilities)
    table = []
    for column in slices:
        values = rows[column].reset_index(drop=True)
        for value in sorted(values.dropna().unique()):
            at = (values == value).to_numpy()
            table.append(_slice(column, str(value), y[at], p[at]))
        if (at := values.isna().to_numpy()).any():
            table.append(_slice(column, "", y[at], p[at]))
    return pd.DataFrame(table)


def _slice(column: str, value: str, y: Floats, p: Floats) -> dict[str, str | float]:
    return {"column": column, "value": value, "rows": len(y), **score(y, p)}


def compare(
    labels: ArrayLike,
    candidate: ArrayLike,
    baseline: ArrayLike,
    blocks: ArrayLike,
    *,
    samples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Bootstrap the log loss of ``candidate`` minus ``baseline``: negative means it is better.

    Both answered the same rows, so their difference is taken a row (paired). Rows of one block,
    say one day, share weather and queues and are not independent, so whole blocks are drawn with
    replacement (Field and Welsh 2007, "Bootstrapping clustered data"); the interval is the
    percentile one (Efron and Tibshirani 1993, chapter 13). ``blocks`` names each row's block.
    Raises ValueError with fewer than two blocks: nothing can be said about the spread.
    """
    difference = row_log_losses(labels, candidate) - row_log_losses(labels, baseline)
    sums = pd.Series(difference).groupby(np.asarray(blocks)).agg(["sum", "size"]).to_numpy()
    if len(sums) < 2:
        raise ValueError("a block bootstrap needs rows of at least two blocks (days)")
    drawn = np.random.default_rng(seed).integers(len(sums), size=(samples, len(sums)))
    totals = sums[drawn].sum(axis=1)  # (samples, 2): each sample's sum of differences and rows
    tail = (1 - confidence) / 2
    low, high = np.quantile(totals[:, 0] / totals[:, 1], [tail, 1 - tail])
    return Interval(mean=float(difference.mean()), low=float(low), high=float(high))
