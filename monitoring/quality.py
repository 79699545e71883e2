"""A column's sketches, of the window and of the reference, in, the share that looks wrong out.

Every score and threshold here is a share, 0 to 1. Missing values are counted by `missing` alone.
"""

from math import sqrt

from monitoring.measures import CannotTellError, Measured
from monitoring.sketches.apache import CATEGORIES
from monitoring.sketches.window import WindowSketch

_SURE = 3.0  # standard errors that an estimate must be beyond a limit
_WHOLE = 0.99  # of what is left to 1: a limit lies no further, so that a whole window is beyond it
_EXPECTED = 20  # rows of another kind: that none of so many comes is no chance


def missing(reference: WindowSketch, current: WindowSketch, name: str, increase: float) -> Measured:
    """Share of missing values; threshold: the reference's own share, raised (`_raise`)."""
    now, before = current.column(name), reference.column(name)
    share, usual = now.missing / now.rows, before.missing / before.rows
    reason = f"{share:.1%} missing, in the reference {usual:.1%}"
    return Measured(share, _raise(usual, increase, now.rows), reason)


def out_of_range(current: WindowSketch, name: str, max_share: float) -> Measured:
    """Share of a number's values below the schema's `min` or above its `max`."""
    there = current.numbers(name)
    share = there.outside / there.present
    seen = f"values from {there.smallest:.6g} to {there.largest:.6g}"
    bounds = f"{there.low:g} to {there.high:g}"
    return Measured(share, max_share, f"{seen}, {share:.1%} outside {bounds}")


def new_category(
    reference: WindowSketch, current: WindowSketch, name: str, max_share: float
) -> Measured:
    """Share of a string's values that the reference does not have."""
    now, before = current.categories(name).frequencies, reference.categories(name).frequencies
    if not before.exact:
        raise CannotTellError(f"the reference has more than {CATEGORIES} values of {name}")
    known, counts = before.counts(), now.counts()
    share = 1 - sum(count for text, count in counts.items() if text in known) / now.total
    new = [repr(text) for text in counts if text not in known]
    return Measured(share, max_share, f"new categories: {', '.join(new[:3]) or 'none'}")


def stuck(reference: WindowSketch, current: WindowSketch, name: str, increase: float) -> Measured:
    """Share of the most common value; threshold: the reference's own, raised (`_raise`)."""
    now = current.present(name)
    value, share = now.commonest()
    _, usual = reference.present(name).commonest()
    reason = f"{value} in {share:.1%} of the values; commonest in the reference {usual:.1%}"
    return Measured(share, _raise(usual, increase, now.present), reason)


def duplicate_row(current: WindowSketch, max_share: float) -> Measured:
    """Share of the rows that another row repeats: same event time and features, another id.

    The same id twice is a client's retry, which counts once. In windows whose rows are estimated
    (see `DistinctSketch`), the threshold is the limit and three standard errors of the share.
    """
    for name in set(current.columns) & set(current.features):
        current.column(name)  # rows that differ in what cannot be read would look alike
    asked, different = current.ids.count, current.contents.count
    share = max(0.0, 1 - different / asked)
    error = sqrt(current.ids.error**2 + current.contents.error**2) * (1 - share)
    about = "about " if error else ""
    reason = f"{about}{asked - different:.0f} of {about}{asked:.0f} rows were asked before"
    if not error:
        return Measured(share, max_share, reason)
    low, high = max(0.0, share - _SURE * error), min(1.0, share + _SURE * error)
    return Measured(share, max_share + _SURE * error, reason, low, high)


def _raise(usual: float, increase: float, rows: int) -> float:
    """Add the increase allowed to the usual share, but leave what only a whole window exceeds.

    Where so few rows of another kind are usual that a window may have none by chance, nothing is
    left: a column that is nearly constant by nature cannot be told from a stuck one.
    """
    rest = 1 - usual
    return usual + (min(increase, _WHOLE * rest) if rest * rows >= _EXPECTED else increase)
