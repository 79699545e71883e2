"""Answers and what came true in, how good the answers were out: log loss in nats, lower is better.

The yardstick is the log loss, on the same rows, of always answering the shares of the classes that
the version saw in training: a model above it is worth less than these few numbers. Where rows have
no label (`density`), the row itself came true, and the yardstick is the graph's own baseline.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy import stats  # type: ignore[import-untyped]

from monitoring.limits import LiveScoreLimits
from monitoring.measures import CannotTellError, Measured
from monitoring.problems import nats
from monitoring.sketches.apache import Floats
from monitoring.sketches.outcomes import Outcomes
from monitoring.sketches.window import WindowSketch

_DAY = 86_400.0  # seconds


def missing_labels(current: WindowSketch, max_share: float) -> Measured:
    """Share of the window's rows that no label has come for, 0 to 1."""
    share = 1 - current.labelled / current.rows
    reason = f"{current.labelled} of {current.rows} rows have a label"
    return Measured(share, max_share, reason)


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

    Raises CannotTellError for fewer than `min_labels` labels, labels of a single day, or answers
    that cannot be read, and ValueError for an answer or a label that is none.
    """
    said = current.outcomes
    if said.fault:
        raise CannotTellError(said.fault)
    total = said.total
    if total + said.invalid < limits.min_labels:
        raise CannotTellError(
            f"{total + said.invalid} labelled rows, the score needs {limits.min_labels}"
        )
    refuse_invalid(said)
    rates = base_rates(reference)
    sums = DaySums.of(said)
    allowed = sums.yardstick(rates) * limits.max_ratio_to_base_rate
    chance = margin(sums.losses - allowed, sums.rows, limits.confidence)
    half = margin(sums.losses, sums.rows, limits.confidence)
    score, limit = float(sums.losses.sum() / total), float(allowed.sum() / total)
    usual, also = "its baseline", f"perplexity {np.exp(score):.3g}"
    if len(rates):
        usual, also = f"answering {tell(rates)}", f"truly {tell(sums.counts.sum(axis=0) / total)}"
    reason = (
        f"on {total} rows: the model {score:.3f}; allowed {limit:.3f} ({usual}, "
        f"x {limits.max_ratio_to_base_rate:g}) + {chance:.3f} for chance; {also}"
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


@dataclass(frozen=True)
class DaySums:
    """Sums over the scored rows of g days, oldest first, in nats: see `Day` for the fields."""

    rows: Floats  # (g,)
    losses: Floats  # (g,)
    baselines: Floats  # (g,)
    counts: Floats  # (g, m)

    @classmethod
    def of(cls, said: Outcomes) -> "DaySums":
        """Take an outcome's days."""
        days = [day for _, day in sorted(said.days.items())]
        rows, losses, baselines = (
            np.array([getattr(day, name) for day in days], np.float64)
            for name in ("rows", "loss", "baseline")
        )
        return cls(rows, losses, baselines, np.array([day.counts for day in days]))

    def yardstick(self, rates: Floats) -> Floats:
        """Give each day's log loss, (g,), of always answering the classes' `rates`, (m,)."""
        found: Floats = self.baselines + (self.counts @ nats(rates) if len(rates) else 0.0)
        return found


def base_rates(reference: WindowSketch) -> Floats:
    """Return the share of each class among the training rows, (m,); (0,) where there are none.

    Raises CannotTellError if no training row has a label, or their answers could not be read.
    """
    if fault := reference.outcomes.fault:
        raise CannotTellError(fault)
    refuse_invalid(reference.outcomes)
    if not reference.outcomes.total:
        raise CannotTellError(f"none of {reference.rows} training rows has a label")
    counts: Floats = DaySums.of(reference.outcomes).counts.sum(axis=0)
    return counts / reference.outcomes.total


def refuse_invalid(said: Outcomes) -> None:
    """Raise ValueError where a labelled row's answer or label is none."""
    if said.invalid:
        raise ValueError(
            f"the probability of {said.invalid} labelled rows is missing or outside 0 to 1"
        )
    if said.odd is not None:
        raise ValueError(f"labels must be whole numbers of the model's classes, found {said.odd:g}")


def tell(rates: Floats) -> str:
    """Write shares of classes: of two, that of the label 1."""
    return "/".join(f"{rate:.3f}" for rate in (rates[1:] if len(rates) == 2 else rates))
