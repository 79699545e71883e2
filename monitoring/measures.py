"""The words that all checks share: what a column is, what a measure says, why it cannot."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

PREDICTION = "probability"
LABEL = "label"


class Column(Protocol):
    """What the schema says about one feature (the policy's columns are such)."""

    @property
    def type(self) -> str:
        """One of `string`, `long` and `double`."""

    @property
    def min(self) -> float | None:
        """Smallest value that makes sense, in the column's own unit; None: any."""

    @property
    def max(self) -> float | None:
        """Largest value that makes sense, in the column's own unit; None: any."""


Schema = Mapping[str, Column]


class CannotTellError(Exception):
    """A check has too little to go by; the text says what is missing."""


@dataclass(frozen=True)
class Measured:
    """A score and the threshold it must not exceed, both in the unit that the check documents."""

    score: float
    threshold: float
    reason: str
    low: float | None = None
    high: float | None = None


def values(frame: pd.DataFrame, name: str, type_: str) -> "pd.Series[Any]":
    """Return a column as float64 or, for strings, as objects; what is missing is NaN or None.

    Raises CannotTellError if the frame has no such column, ValueError if a value is no number.
    """
    if name not in frame.columns:
        raise CannotTellError(f"no column {name!r} in what is to be compared")
    if type_ == "string":
        return frame[name].astype("object")
    return pd.to_numeric(frame[name]).astype("float64")


def present(frame: pd.DataFrame, name: str, type_: str) -> "pd.Series[Any]":
    """Return a column's values without the missing ones; CannotTellError if none is left."""
    there = values(frame, name, type_).dropna()
    if there.empty:
        raise CannotTellError(f"{name} has no value in {len(frame)} rows")
    return there
