"""The words that all checks share: what a column is, what a measure says, why it cannot."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

LABEL = "label"


class Column(Protocol):
    """What the schema says about a feature, or about an output (the policy's columns are such)."""

    @property
    def type(self) -> str:
        """One of `string`, `long` and `double`."""

    @property
    def feature(self) -> bool:
        """Whether the model is asked with it; if not, it is one of the model's outputs."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a tensor, which is not watched itself: outputs say what there is to see in it."""

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
