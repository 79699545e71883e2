"""A window's sums by the hour in, how far the newest two days are from the days before them out.

Seasons move a column slowly, a unit that changes moves it at once: here the window is compared with
itself, so that a limit need not let the seasons pass, as the limit of `drift` must.
"""

from math import isfinite

from monitoring.drift import LEAST_DEVIATION
from monitoring.measures import CannotTellError, Measured
from monitoring.sketches.hours import HOUR
from monitoring.sketches.window import WindowSketch

NEWEST = 48  # hours that are compared with those before them: days, so that night meets night
LEAST_HOURS = 2 * NEWEST  # of a window: less than two days before the newest two tell nothing
LEAST_ROWS = 20  # with a value on each side: chance alone moves their mean by 0.2 deviations


def jump(reference: WindowSketch, current: WindowSketch, name: str, limit: float) -> Measured:
    """Distance of the newest two days' mean from the rest's, in the reference's deviations.

    Raises CannotTellError for a window of less than four days, or with too few values in either
    part of it.
    """
    deviation = max(reference.numbers(name).deviation, LEAST_DEVIATION)
    hours = current.numbers(name).by_hour
    if current.newest is None or not hours.hours:
        raise CannotTellError(f"no finite value of {name} has an event time")
    end = current.newest // HOUR + 1
    if (span := end - min(hours.hours)) < LEAST_HOURS:
        raise CannotTellError(f"{span} hours of {name} in the window, a jump needs {LEAST_HOURS}")
    before, now = hours.split(end - NEWEST)
    if min(before.rows, now.rows) < LEAST_ROWS:
        raise CannotTellError(
            f"{name} has {now.rows} values in the newest two days and {before.rows} before them, "
            f"a jump needs {LEAST_ROWS} in each"
        )
    usual, newest = before.total / before.rows, now.total / now.rows
    score = abs(newest - usual) / deviation
    if not isfinite(score):
        raise CannotTellError(f"the values of {name} are too large for a sum in 64-bit numbers")
    reason = f"mean of the newest two days {newest:.6g}, before them {usual:.6g}"
    return Measured(score, limit, reason)
