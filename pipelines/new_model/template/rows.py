"""What a batch's rows mean to the model "$name": a batch in, label and label time a row out."""

import pandas as pd

KNOWN_AFTER = pd.Timedelta(days=1)


def label(batch: pd.DataFrame) -> "pd.Series[float]":
    """Say what came true: 1.0 where a visitor bought, 0.0 where not.

    Fill in: what your model is to foretell. NaN where it will never be known.
    """
    return batch["bought"].astype("float64").rename("label")


def label_time(batch: pd.DataFrame) -> "pd.Series[pd.Timestamp]":
    """Say when each label is known (UTC).

    Fill in: rather late than before anybody could know; NaT where no label comes.
    """
    return (batch["visited_at"] + KNOWN_AFTER).rename("label_time")
