"""A window of answers, some still without labels, in; the score it will have once they came, out.

Log loss in nats, as `live_score`; where every row has its label the two agree. Rows without one are
given the loss that they are expected to have, from the probability that they were answered with:
CBPE, confidence-based performance estimation (Kivimaki et al. 2025, "Performance Estimation in
Binary Classification Using Calibrated Confidence", arXiv:2505.05295; NannyML's documentation, "How
it works: performance estimation"), calibrated by isotonic regression (Zadrozny and Elkan 2002) on
the version's training rows. Then the error that this makes on the window's labelled rows is taken
off (after the difference of confidences of Guillory et al. 2021, arXiv:2107.03315).

What it cannot see is a change of what probabilities mean (concept drift) that began after the
newest label: it only carries forward what the labelled rows show. Without labels it is CBPE alone,
which was off by 0.2 nats on flights (docs/monitoring.md).
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy import optimize  # type: ignore[import-untyped]

from monitoring.limits import LiveScoreLimits
from monitoring.live_score import DaySums, base_rates, margin, refuse_invalid, tell
from monitoring.measures import CannotTellError, Measured
from monitoring.problems import nats
from monitoring.sketches.apache import Floats
from monitoring.sketches.probabilities import ProbabilityBins
from monitoring.sketches.window import WindowSketch


@dataclass(frozen=True)
class Sums:
    """Rows, and the ones and log loss in nats, true or expected, that they sum up to."""

    rows: float
    ones: float
    loss: float

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.rows + other.rows, self.ones + other.ones, self.loss + other.loss)

    def without(self, other: "Sums") -> "Sums":
        """Take others out; an id that was answered twice is in the window's rows twice."""
        return Sums(
            max(self.rows - other.rows, 0.0),
            max(self.ones - other.ones, 0.0),
            max(self.loss - other.loss, 0.0),
        )

    def corrected(self, true: "Sums", expected: "Sums") -> "Sums":
        """Add to every row by how much others came out above what was expected of them."""
        share = self.rows / true.rows
        ones = self.ones + (true.ones - expected.ones) * share
        return Sums(self.rows, ones, self.loss + (true.loss - expected.loss) * share)


def estimated_score(
    reference: WindowSketch, current: WindowSketch, limits: LiveScoreLimits
) -> Measured:
    """Mean log loss of all rows: of the labelled ones as it is, of the others as it is expected.

    The threshold is that of `live_score`, for all rows: `max_ratio_to_base_rate` x the expected
    loss of the base rate, and what chance needs on the labelled days. `low` and `high` say how far
    rows to come may differ from the labelled ones, by the spread of the labelled days. Where labels
    are fewer than `min_labels`, or of a single day, nothing is corrected and there is neither.

    Raises CannotTellError where the training rows have no labels or an answer no probability, and
    ValueError for a labelled row whose probability or label is none.
    """
    rates, said = base_rates(reference), current.outcomes
    if said.fault:
        raise CannotTellError(said.fault)
    refuse_invalid(said)
    if without := current.rows - current.answers.total:
        raise CannotTellError(f"{without} of {current.rows} answers have no probability (0 to 1)")
    shares = calibrate(reference.outcomes.bins)
    days = DaySums.of(said)
    rows, losses = days.rows, days.losses
    true = Sums(float(rows.sum()), float(said.bins.ones.sum()), float(losses.sum()))
    expected = expect(said.bins, shares)
    to_come = expect(current.answers, shares).without(expected)
    chance, half, found = 0.0, None, "too few labels to correct it by"
    ratio = limits.max_ratio_to_base_rate
    if true.rows >= limits.min_labels and len(rows) > 1:
        to_come = to_come.corrected(true, expected)
        chance = margin(losses - ratio * days.yardstick(rates), rows, limits.confidence)
        off = (expected.loss - true.loss) / true.rows
        found = f"off by {off:+.3f} on {true.rows:.0f} labelled rows, which is taken off"
        half = half_width(rows, losses, to_come.rows, limits.confidence)
    everything = true + to_come
    score = everything.loss / everything.rows
    counts = np.array([everything.rows - everything.ones, everything.ones])
    limit = ratio * float(counts @ nats(rates)) / everything.rows
    reason = (
        f"calibrated probabilities (CBPE) for {to_come.rows:.0f} of {everything.rows:.0f} rows, "
        f"{found}: the model {score:.3f}; allowed {limit:.3f} (answering {tell(rates)}, "
        f"x {ratio:g}) + {chance:.3f} for chance"
    )
    if half is None:
        return Measured(score, limit + chance, reason)
    return Measured(score, limit + chance, reason, score - half, score + half)


def calibrate(bins: ProbabilityBins) -> Floats:
    """Return the share of ones that each probability stands for, one a bin, never falling.

    Bins without rows take it from between their neighbours, or from the nearest one.
    """
    seen = np.flatnonzero(bins.rows)
    if not len(seen):
        raise CannotTellError("no training row has a probability and a label to calibrate by")
    rows = bins.rows[seen]
    fit = optimize.isotonic_regression(bins.ones[seen] / rows, weights=rows)
    shares: Floats = np.interp(np.arange(len(bins.rows)), seen, fit.x)
    return shares


def expect(bins: ProbabilityBins, shares: Floats) -> Sums:
    """Sum what rows are expected to come to, given each bin's share of ones."""
    loss = shares * bins.loss_if_one + (1 - shares) * bins.loss_if_zero
    return Sums(float(bins.rows.sum()), float((shares * bins.rows).sum()), float(loss.sum()))


def half_width(rows: Floats, losses: Floats, to_come: float, confidence: float) -> float:
    """Return the half width for the mean of all rows, of which `to_come` have no label yet.

    Days to come spread as the labelled ones do, about a mean that those know only so well.
    """
    if not to_come:
        return 0.0
    labelled = float(rows.sum())
    share = to_come / (to_come + labelled)
    return float(share * margin(losses, rows, confidence) * sqrt(1 + labelled / to_come))
