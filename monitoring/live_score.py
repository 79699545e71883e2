"""Answers and what came true in, how good the answers were out: log loss in nats, lower is better.

The yardstick is the log loss, on the same rows, of always answering the share of ones that the
version saw in training: a model above it is worth less than that one number.
"""

from math import log, sqrt

import numpy as np
from scipy import stats  # type: ignore[import-untyped]

from monitoring.limits import LiveScoreLimits
from monitoring.measures import PREDICTION, CannotTellError, Measured
from monitoring.sketches.apache import Floats
from monitoring.sketches.outcomes import Outcomes
from monitoring.sketches.probabilities import SMALLEST
from monitoring.sketches.window import WindowSketch

_DAY = 86_400.0  # seconds


def missing_labels(current: WindowSketch, limits: LiveScoreLimits) -> Measured:
    """Share of the window's rows that no label has come for, 0 to 1."""
    share = 1 - current.labelled / current.rows
    reason = f"{current.labelled} of {current.rows} rows have a label"
    return Measured(share, limits.max_unlabelled_share, reason)


def label_lag(current: WindowSketch, max_days: float) -> Measured:
    """How far the labels are behind: newest answered minus newest labelled event time, seconds."""
    lag = seconds_behind(current)
    if lag is None:
        raise CannotTellError(f"none of {current.rows} rows has a label")
    return Measured(lag, max_days * _DAY, f"the newest label is {lag / _DAY:.1f} days behind")


def seconds_behind(current: WindowSketch) -> float | None:
    """Event time from the newest labelled row to the newest one, seconds; None without labels."""
    if current.newest is None or current.outcomes.newest is None:
        return None
    return (current.newest - current.outcomes.newest) / 1e6


def live_score(reference: WindowSketch, current: WindowSketch, limits: LiveScoreLimits) -> Measured:
    """Mean log loss of the labelled rows, with its interval.

    The threshold is `max_ratio_to_base_rate` x the base rate's log loss on the same rows, and the
    margin that chance needs: the half width of the interval of the difference, row by row. So one
    stormy day does not alert, and a difference that lasts does.

    Raises CannotTellError for fewer than `min_labels` labels, labels of a single day, or
    probabilities that cannot be read, and ValueError for a probability or a label that is none.
    """
    current.column(PREDICTION)  # what cannot be read is not among the outcomes
    said = current.outcomes
    total = said.bins.total
    if total + said.bins.invalid < limits.min_labels:
        raise CannotTellError(
            f"{total + said.bins.invalid} labelled rows, the score needs {limits.min_labels}"
        )
    refuse_invalid(said)
    rate = base_rate(reference)
    rows, ones, losses = day_sums(said)
    allowed = base_losses(rate, rows, ones) * limits.max_ratio_to_base_rate
    chance = margin(losses - allowed, rows, limits.confidence)
    half = margin(losses, rows, limits.confidence)
    score, limit = float(losses.sum() / total), float(allowed.sum() / total)
    reason = (
        f"on {total} labelled rows: the model {score:.3f}; allowed {limit:.3f} (answering "
        f"{rate:.3f}, x {limits.max_ratio_to_base_rate:g}) + {chance:.3f} for chance; "
        f"truly {ones.sum() / total:.3f}"
    )
    return Measured(score, limit + chance, reason, score - half, score + half)


def margin(sums: Floats, rows: Floats, confidence: float) -> float:
    """Return the half width of the interval of a mean, from each day's sum and rows: both (g,).

    Rows of one day share its weather and its troubles, so days count as the independent draws:
    the cluster-robust variance g/(g-1) sum_d(sum_i(x_i - m))^2 / n^2 and Student's t with g-1
    degrees of freedom (Cameron and Miller 2015, "A Practitioner's Guide to Cluster-Robust
    Inference"). Raises CannotTellError for a single day.
    """
    g, n = len(sums), float(rows.sum())
    if g < 2:
        raise CannotTellError("all labels are of one day: what is chance cannot be told")
    apart = sums - rows * sums.sum() / n
    variance = g / (g - 1) * float((apart**2).sum()) / n**2
    return float(stats.t.ppf((1 + confidence) / 2, g - 1) * sqrt(variance))


def day_sums(said: Outcomes) -> tuple[Floats, Floats, Floats]:
    """Return each labelled day's rows, ones and log loss in nats: three of (g,), oldest first."""
    days = [day for _, day in sorted(said.days.items())]
    rows, ones, losses = (
        np.array([getattr(day, name) for day in days], np.float64)
        for name in ("rows", "ones", "loss")
    )
    return rows, ones, losses


def base_rate(reference: WindowSketch) -> float:
    """Return the share of ones among the training rows; CannotTellError if none has a label."""
    refuse_invalid(reference.outcomes)
    if not reference.outcomes.bins.total:
        raise CannotTellError(f"none of {reference.rows} training rows has a label")
    return reference.outcomes.bins.base_rate


def refuse_invalid(said: Outcomes) -> None:
    """Raise ValueError where a labelled row's probability or label is none."""
    if said.bins.invalid:
        raise ValueError(
            f"the probability of {said.bins.invalid} labelled rows is missing or outside 0 to 1"
        )
    if said.odd is not None:
        raise ValueError(f"labels must be 0 or 1, found {said.odd:g}")


def base_losses(rate: float, rows: Floats, ones: Floats) -> Floats:
    """Return the summed log loss in nats of always answering `rate`, of so many rows and ones."""
    one, zero = (-log(min(max(said, SMALLEST), 1.0)) for said in (rate, 1 - rate))
    return ones * one + (rows - ones) * zero
