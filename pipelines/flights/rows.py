"""What a batch's rows mean to the model "flights": a batch in, label and label time a row out."""

import pandas as pd

LATE_MINUTES = 15

# air_time is wheels up to wheels down. Both taxis together take 28 minutes in the median and 58 at
# the 95th percentile (gate arrivals of 2013 by local clock), so that an hour after air_time nearly
# every flight is at its gate: a label is rather delivered late than before anybody could know it.
TAXI = pd.Timedelta(minutes=60)


def label(batch: pd.DataFrame) -> "pd.Series[float]":
    """Say 1.0 where a flight arrived more than 15 minutes late and 0.0 where it did not.

    NaN where it never arrived at its destination: cancelled (no departure either) or diverted.
    """
    delay = batch["arr_delay"]
    return (delay > LATE_MINUTES).astype("float64").where(delay.notna()).rename("late")


def label_time(batch: pd.DataFrame) -> "pd.Series[pd.Timestamp]":
    """Say when each label is known (UTC): the flight is at its gate; NaT where no label comes."""
    minutes = batch["dep_delay"] + batch["air_time"]
    known = batch["scheduled_time"] + pd.to_timedelta(minutes, unit="min") + TAXI
    return known.where(label(batch).notna()).rename("label_time")
