"""What kinds of problem models solve: outputs and what came true in, the log loss of each row out.

Log loss in nats, -log of what was given to what came true, is the one score of all kinds, and what
a base rate would lose on the same rows its yardstick. A policy names its model's kind (`problem:`).
What a model answered is held as a matrix `said` (n, m), one row a row:

- `binary`: the output `probability` (n,) of the label 1, read as (1 - p, p);
- `classes`: the output `probabilities` (n, m) of the labels 0 to m - 1;
- `density`: no labels, the row itself is what came true: the outputs `log_loss` (n,) and
  `baseline_log_loss` (n,), the graph's own yardstick, read as these two columns.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Kind = Literal["binary", "classes", "density"]
SMALLEST = 1e-7  # a float32 probability of exactly 0 is taken as this far from it


class Problem(ABC):
    """What the outputs of a model mean.

    `outputs` are those that its graph must have. Where rows are `labelled`, what came true is told
    later; what they will lose can be estimated before (`estimable`) where there are two classes.
    """

    outputs: ClassVar[tuple[str, ...]]
    labelled: ClassVar[bool] = True
    estimable: ClassVar[bool] = False

    def read(self, outputs: Mapping[str, npt.NDArray[np.generic]]) -> Floats:
        """Give `said` (n, m) of the outputs by name; KeyError if one is not there."""
        return np.column_stack([outputs[name] for name in self.outputs]).astype(np.float64)

    @abstractmethod
    def valid(self, said: Floats) -> npt.NDArray[np.bool_]:
        """Say which rows can be scored, (n,): probabilities are in [0, 1], losses are finite."""

    @abstractmethod
    def losses(self, said: Floats, truth: Floats) -> Floats:
        """Give each row's log loss in nats, (n,); `truth` (n,) is the label."""

    @abstractmethod
    def yardstick(self, said: Floats, rates: Floats) -> Floats:
        """Give what the base rate says of the same rows, (n, m), by the training's `rates` (m,)."""

    @abstractmethod
    def known(self, said: Floats, truth: Floats) -> tuple[Floats, Floats]:
        """Give what a yardstick's loss adds up from, before the training's rates are known.

        The losses that are known row by row, (n,), and the classes that came true, (n, m) of ones
        and zeros, (n, 0) where there are none.
        """


class Classes(Problem):
    """One of m classes."""

    outputs = ("probabilities",)

    def valid(self, said: Floats) -> npt.NDArray[np.bool_]:
        """See Problem."""
        return np.asarray(np.all((said >= 0) & (said <= 1), axis=1))

    def losses(self, said: Floats, truth: Floats) -> Floats:
        """See Problem."""
        return nats(said[np.arange(len(said)), truth.astype(np.int64)])

    def yardstick(self, said: Floats, rates: Floats) -> Floats:
        """See Problem."""
        return np.tile(rates, (len(said), 1))

    def known(self, said: Floats, truth: Floats) -> tuple[Floats, Floats]:
        """See Problem."""
        return np.zeros(len(said)), np.eye(said.shape[1])[truth.astype(np.int64)]


class Binary(Classes):
    """Yes or no."""

    outputs = ("probability",)
    estimable = True

    def read(self, outputs: Mapping[str, npt.NDArray[np.generic]]) -> Floats:
        """See Problem."""
        one = outputs["probability"].astype(np.float64)
        return np.column_stack([1 - one, one])


class Density(Problem):
    """How plausible the row itself is."""

    outputs = ("log_loss", "baseline_log_loss")
    labelled = False

    def valid(self, said: Floats) -> npt.NDArray[np.bool_]:
        """See Problem."""
        return np.asarray(np.all(np.isfinite(said), axis=1))

    def losses(self, said: Floats, truth: Floats) -> Floats:
        """See Problem."""
        return said[:, 0]

    def yardstick(self, said: Floats, rates: Floats) -> Floats:
        """See Problem."""
        return said[:, [1, 1]]

    def known(self, said: Floats, truth: Floats) -> tuple[Floats, Floats]:
        """See Problem."""
        return said[:, 1], np.empty((len(said), 0))


PROBLEMS: Mapping[Kind, Problem] = {"binary": Binary(), "classes": Classes(), "density": Density()}


def nats(said: Floats) -> Floats:
    """Return the log loss in nats, (n,), where so much probability was given to what came true."""
    losses: Floats = -np.log(np.clip(said, SMALLEST, 1.0))
    return losses
