"""A column of the window and of the reference in, the share of its rows that look wrong out.

Every score and threshold here is a share, 0 to 1. Missing values are counted by `missing` alone.
"""

import pandas as pd

from monitoring.measures import Column, Measured, Schema, present, values


def missing(
    reference: pd.DataFrame, current: pd.DataFrame, name: str, column: Column, max_increase: float
) -> Measured:
    """Share of missing values; threshold: the reference's own share and the increase allowed."""
    share = values(current, name, column.type).isna().mean()
    usual = values(reference, name, column.type).isna().mean()
    return Measured(
        share, usual + max_increase, f"{share:.1%} missing, in the reference {usual:.1%}"
    )


def out_of_range(current: pd.DataFrame, name: str, column: Column, max_share: float) -> Measured:
    """Share of a number's values below the schema's `min` or above its `max`."""
    there = present(current, name, column.type)
    low = float("-inf") if column.min is None else column.min
    high = float("inf") if column.max is None else column.max
    share = float((~there.between(low, high)).mean())
    seen = f"values from {there.min():.6g} to {there.max():.6g}"
    return Measured(share, max_share, f"{seen}, {share:.1%} outside {low:g} to {high:g}")


def new_category(
    reference: pd.DataFrame, current: pd.DataFrame, name: str, max_share: float
) -> Measured:
    """Share of a string's values that the reference does not have."""
    there = present(current, name, "string")
    new = there[~there.isin(present(reference, name, "string").unique())]
    examples = ", ".join(map(repr, new.value_counts().index[:3])) or "none"
    return Measured(len(new) / len(there), max_share, f"new categories: {examples}")


def stuck(
    reference: pd.DataFrame, current: pd.DataFrame, name: str, column: Column, max_increase: float
) -> Measured:
    """Share of the most common value; threshold: the reference's and the increase allowed.

    A threshold of 1 or more never alerts: a column that is nearly constant by nature cannot be
    told from a stuck one.
    """
    shares = present(current, name, column.type).value_counts(normalize=True)
    usual = present(reference, name, column.type).value_counts(normalize=True).iloc[0]
    share = float(shares.iloc[0])
    reason = (
        f"{shares.index[0]} in {share:.1%} of the values; commonest in the reference {usual:.1%}"
    )
    return Measured(share, float(usual) + max_increase, reason)


def duplicate_row(current: pd.DataFrame, schema: Schema, max_share: float) -> Measured:
    """Share of the rows that an earlier row repeats: same event time and features, another id.

    The same id twice is a client's retry, which the prediction log counts once.
    """
    told = [name for name in ("event_time", *schema) if name in current]
    repeated = current.duplicated(told)
    share = float(repeated.mean())
    return Measured(share, max_share, f"{repeated.sum()} of {len(current)} rows were asked before")
