"""Labels and answers in, scores out: how good, how calibrated, where, and how sure.

Labels (n,) and answers ``said`` (n, m) are as ``monitoring.problems`` reads them, by the kind of
problem. Nothing here reads or writes anything. Log loss is the score of all kinds, lower is better;
what else there is depends on the kind.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from sklearn.metrics import brier_score_loss, roc_auc_score

from monitoring.problems import PROBLEMS, Floats, Kind


@dataclass(frozen=True)
class Interval:
    """A mean difference of log loss and its bootstrap interval."""

    mean: float
    low: float
    high: float


def score(kind: Kind, labels: ArrayLike, said: ArrayLike) -> dict[str, float]:
    """Compute every score of one set of answers: the log loss, and what the kind has beside it.

    Raises ValueError for no rows, unequal lengths, labels or answers that the kind does not have.
    """
    truth, answers = checked(kind, labels, said)
    losses = PROBLEMS[kind].losses(answers, truth)
    return {"log_loss": float(losses.mean())} | _OTHERS[kind](truth, answers)


def checked(kind: Kind, labels: ArrayLike, said: ArrayLike) -> tuple[Floats, Floats]:
    """Return both as float64 arrays, or raise ValueError saying which is unusable and why."""
    truth, answers = np.asarray(labels, dtype=np.float64), np.asarray(said, dtype=np.float64)
    if len(truth) != len(answers) or len(truth) == 0:
        raise ValueError(f"{len(truth)} labels and {len(answers)} answers: need as many, and some")
    problem = PROBLEMS[kind]
    if problem.labelled and not np.isin(truth, np.arange(answers.shape[1])).all():
        raise ValueError(
            f"labels must be 0 to {answers.shape[1] - 1}: drop the rows without a label first"
        )
    if not problem.valid(answers).all():
        raise ValueError("probabilities must lie in [0, 1] and losses be finite, none be NaN")
    return truth, answers


def calibration_pairs(kind: Kind, labels: ArrayLike, said: ArrayLike) -> tuple[Floats, Floats]:
    """Give what calibration compares: the probability that was said, and 1 where it came true.

    Of two classes the probability of the label 1; of more that of the class which has most, its
    confidence (Guo et al. 2017, arXiv:1706.04599). Raises ValueError where there are none.
    """
    truth, answers = checked(kind, labels, said)
    if not PROBLEMS[kind].labelled:
        raise ValueError(f"a {kind} says no probability of anything that could come true")
    if answers.shape[1] == 2:
        return answers[:, 1], truth
    return answers.max(axis=1), (answers.argmax(axis=1) == truth).astype(np.float64)


def calibration_curve(probability: Floats, came: Floats, bins: int = 10) -> pd.DataFrame:
    """Compare what was said with what came: a row for each non-empty bin of equal width.

    Columns ``said`` (mean probability), ``came`` (share of ones), ``rows``.
    """
    place = np.minimum((probability * bins).astype(int), bins - 1)
    table = pd.DataFrame({"said": probability, "came": came, "rows": 1}).groupby(place)
    return table.agg({"said": "mean", "came": "mean", "rows": "sum"}).reset_index(drop=True)


def calibration_error(probability: Floats, came: Floats, bins: int = 10) -> float:
    """Compute the expected calibration error: the curve's mean distance, weighted by rows.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599, eq. 3.
    """
    curve = calibration_curve(probability, came, bins)
    return float(np.average((curve["said"] - curve["came"]).abs(), weights=curve["rows"]))


def score_by_slice(
    kind: Kind, rows: pd.DataFrame, labels: ArrayLike, said: ArrayLike, slices: Sequence[str]
) -> pd.DataFrame:
    """Score each value of each slice column apart: ``column``, ``value``, ``rows``, the scores.

    A missing value is a slice as well, named ``""``.
    """
    truth, answers = checked(kind, labels, said)
    table = []
    for column in slices:
        values = rows[column].reset_index(drop=True)
        groups = [(str(value), (values == value)) for value in sorted(values.dropna().unique())]
        groups += [("", values.isna())] if values.isna().any() else []
        for value, inside in groups:
            at = inside.to_numpy()
            scores = score(kind, truth[at], answers[at])
            table.append({"column": column, "value": value, "rows": int(at.sum()), **scores})
    return pd.DataFrame(table)


def compare(
    kind: Kind,
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
    truth, ours = checked(kind, labels, candidate)
    _, theirs = checked(kind, labels, baseline)
    difference = PROBLEMS[kind].losses(ours, truth) - PROBLEMS[kind].losses(theirs, truth)
    sums = pd.Series(difference).groupby(np.asarray(blocks)).agg(["sum", "size"]).to_numpy()
    if len(sums) < 2:
        raise ValueError("a block bootstrap needs rows of at least two blocks (days)")
    drawn = np.random.default_rng(seed).integers(len(sums), size=(samples, len(sums)))
    totals = sums[drawn].sum(axis=1)  # (samples, 2): each sample's sum of differences and rows
    tail = (1 - confidence) / 2
    low, high = np.quantile(totals[:, 0] / totals[:, 1], [tail, 1 - tail])
    return Interval(mean=float(difference.mean()), low=float(low), high=float(high))


def _binary(truth: Floats, said: Floats) -> dict[str, float]:
    """AUC is NaN where only one class occurs."""
    one = said[:, 1]
    return {
        "auc": float(roc_auc_score(truth, one)) if 0 < truth.mean() < 1 else float("nan"),
        "brier": float(brier_score_loss(truth, one)),
        "calibration_error": calibration_error(one, truth),
        "base_rate": float(truth.mean()),
        "mean_probability": float(one.mean()),
    }


def _classes(truth: Floats, said: Floats) -> dict[str, float]:
    confidence, right = calibration_pairs("classes", truth, said)
    return {
        "accuracy": float(right.mean()),
        "calibration_error": calibration_error(confidence, right),
        "mean_confidence": float(confidence.mean()),
    }


def _density(truth: Floats, said: Floats) -> dict[str, float]:
    return {"perplexity": float(np.exp(said[:, 0].mean()))}


_OTHERS: Mapping[Kind, Callable[[Floats, Floats], dict[str, float]]] = {
    "binary": _binary,
    "classes": _classes,
    "density": _density,
}
