"""Rows and their event times in, three parts by time out: train | validation | holdout.

Never at random: a model is asked about days it has not seen, so it is measured on such days.
"""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Split:
    """Three parts in order of time; no day is in two of them."""

    train: pd.DataFrame
    validation: pd.DataFrame
    holdout: pd.DataFrame


def split_by_time(
    rows: pd.DataFrame,
    event_time: str,
    *,
    history_days: int,
    validation_days: int,
    holdout_days: int,
) -> Split:
    """Cut whole UTC days off the newest end: first the holdout, before it the validation.

    Only the ``history_days`` newest days take part, validation and holdout among them. Rows keep
    their order. Raises ValueError where a part would be empty.
    """
    age = days_before_newest(rows[event_time])
    holdout = age < holdout_days
    validation = ~holdout & (age < holdout_days + validation_days)
    train = ~holdout & ~validation & (age < history_days)
    split = Split(rows[train], rows[validation], rows[holdout])
    for part in ("train", "validation", "holdout"):
        if getattr(split, part).empty:
            raise ValueError(
                f"no rows left for {part}: {len(rows)} rows over {int(age.max()) + 1} days, with "
                f"history_days={history_days}, validation_days={validation_days}, "
                f"holdout_days={holdout_days}"
            )
    return split


def days_before_newest(times: "pd.Series[pd.Timestamp]") -> "pd.Series[int]":
    """Count whole UTC days between each time and the newest one's day: 0 for the newest day."""
    days = times.dt.floor("D")
    return (days.max() - days).dt.days
