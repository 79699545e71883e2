"""What a batch's rows mean to the model "digits": a batch in, label and label time a row out."""

import pandas as pd

READ_AFTER = pd.Timedelta(hours=20)  # somebody types in what they read, by the next day


def label(batch: pd.DataFrame) -> "pd.Series[float]":
    """Say which digit was written, 0.0 to 9.0."""
    return batch["digit"].astype("float64").rename("label")


def label_time(batch: pd.DataFrame) -> "pd.Series[pd.Timestamp]":
    """Say when each label is known (UTC)."""
    return (batch["written_at"] + READ_AFTER).rename("label_time")
