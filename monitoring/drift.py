"""A column's sketches, of the reference and of the window, in, how far it has moved out.

The two methods, and their units, are those of the same names in Evidently
(https://docs.evidentlyai.com/metrics/customize_data_drift), computed from sketches.
"""

import numpy as np
from scipy import stats  # type: ignore[import-untyped]
from scipy.spatial import distance  # type: ignore[import-untyped]

from monitoring.measures import CannotTellError, Measured
from monitoring.sketches.categories import CategorySketch
from monitoring.sketches.numbers import NumberSketch
from monitoring.sketches.window import WindowSketch

LEAST_DEVIATION = 0.001  # of a constant reference, as Evidently has it


def drift(reference: WindowSketch, current: WindowSketch, name: str, limit: float) -> Measured:
    """Distance of a column from the reference's; see `DriftLimits` for the units."""
    before, now = reference.present(name), current.present(name)
    if isinstance(before, NumberSketch) and isinstance(now, NumberSketch):
        method = "Wasserstein distance in standard deviations of the reference"
        return Measured(wasserstein(before, now), limit, method)
    if isinstance(before, CategorySketch) and isinstance(now, CategorySketch):
        return Measured(jensen_shannon(before, now), limit, "Jensen-Shannon distance")
    raise CannotTellError(f"{name} is a number on one side and a text on the other")


def wasserstein(reference: NumberSketch, current: NumberSketch) -> float:
    """Wasserstein-1 distance of the finite values, in standard deviations of the reference's."""
    (before, weights), (now, now_weights) = reference.weighted(), current.weighted()
    with np.errstate(over="ignore", invalid="ignore"):
        apart = float(stats.wasserstein_distance(before, now, weights, now_weights))
    deviation = max(reference.deviation, LEAST_DEVIATION)
    moved = apart / deviation
    if not np.isfinite([moved, deviation]).all():
        raise CannotTellError("the values are too large for a distance in 64-bit numbers")
    return moved


def jensen_shannon(reference: CategorySketch, current: CategorySketch) -> float:
    """Jensen-Shannon distance with the natural logarithm, 0 to 0.83.

    What is too rare to be kept, in a column of very many texts, is one category of its own.
    """
    sides = [side.frequencies for side in (reference, current)]
    counts = [side.counts() for side in sides]
    texts = dict.fromkeys([*counts[0], *counts[1]])
    shares = [
        np.array([*(count.get(text, 0) for text in texts), side.total - sum(count.values())])
        for side, count in zip(sides, counts, strict=True)
    ]
    return float(distance.jensenshannon(*shares))
