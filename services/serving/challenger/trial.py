"""What canary and champion did with their requests in; whether the canary is worse out.

Errors: the lower end of Newcombe's interval for the difference of two shares, made of Wilson's for
each (Newcombe 1998, Statistics in Medicine 17, method 10): good for rare errors and unequal sides.
Latency: the median and the 95th percentile, each by the confidence interval that its order
statistics give, which asks nothing of the distribution (Conover, Practical Nonparametric
Statistics, 3.2). Both need square roots alone.

Each look is at 1:1000 odds of a false alarm at the limit itself, far less within it. There is one
look for every `min_requests` answers of the canary, over the last ten such rounds, so that an old
good time does not hide a bad one and memory is bounded; both sides are counted over the same time.
"""

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Side = Literal["canary", "champion"]
Reason = Literal["errors", "latency"]
SIDES: tuple[Side, ...] = ("canary", "champion")
_Z = 3.09  # one-sided 0.999 of the normal distribution
_ROUNDS = 10
_QUANTILES = (0.5, 0.95)
_SHORTEST, _STEP = 1e-6, 1.05  # seconds; neighbouring buckets differ by 5 %
_BUCKETS = 400  # up to 5 minutes


@dataclass
class Limits:
    """How much worse a canary may be, as the policy says it."""

    min_requests: int
    max_error_increase: float
    max_latency_ratio: float


@dataclass
class Outcomes:
    """One side's requests: how many failed, and how long the others took, in buckets."""

    failed: int = 0
    seconds: NDArray[Any] = field(default_factory=lambda: np.zeros(_BUCKETS, np.int64))

    @property
    def answered(self) -> int:
        """Requests that did not fail."""
        return int(self.seconds.sum())

    @property
    def requests(self) -> int:
        """All requests."""
        return self.failed + self.answered

    def __add__(self, other: "Outcomes") -> "Outcomes":
        return Outcomes(self.failed + other.failed, self.seconds + other.seconds)


@dataclass(frozen=True)
class Finding:
    """A limit that the canary does not keep."""

    reason: Reason
    text: str


def worse(canary: Outcomes, champion: Outcomes, limits: Limits) -> Finding | None:
    """Compare the two sides; None where the canary is not shown to be worse."""
    increase = least_increase(canary, champion)
    if increase > limits.max_error_increase:
        return Finding(
            "errors",
            f"{canary.failed} of {canary.requests} requests failed, {champion.failed} of "
            f"{champion.requests} of the champion's: at least {increase:.2%} more of them, "
            f"allowed {limits.max_error_increase:.2%}",
        )
    for share in _QUANTILES:
        low, high = quantile_bounds(canary, share)[0], quantile_bounds(champion, share)[1]
        if low > limits.max_latency_ratio * high:
            return Finding(
                "latency",
                f"the {share:.0%} quantile of the seconds is at least {low:.2g}, the champion's "
                f"at most {high:.2g}: allowed {limits.max_latency_ratio:g} times as long",
            )
    return None


def least_increase(canary: Outcomes, champion: Outcomes, z: float = _Z) -> float:
    """Give the lower end of the interval for the canary's error share less the champion's."""
    share, low, _ = _wilson(canary, z)
    other, _, high = _wilson(champion, z)
    return share - other - math.hypot(share - low, high - other)


def quantile_bounds(side: Outcomes, share: float) -> tuple[float, float]:
    """Give seconds that the quantile lies between; (0, infinity) where too few were answered."""
    count = side.answered
    spread = _Z * math.sqrt(count * share * (1 - share))
    low, high = math.floor(count * share - spread), math.ceil(count * share + spread) + 1
    reached = np.cumsum(side.seconds)
    shortest = _seconds_of(int(np.searchsorted(reached, low))) if low >= 1 else 0.0
    longest = _seconds_of(int(np.searchsorted(reached, high))) if high <= count else math.inf
    return shortest, longest


class Trial:
    """Counts both sides, and looks when the canary has answered enough."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.passed = 0  # the canary's requests when it was last looked at and not found worse
        self._seen = 0
        self._rounds: deque[dict[Side, Outcomes]] = deque([_round()], maxlen=_ROUNDS)

    def count(self, side: Side, seconds: float | None) -> Finding | None:
        """Count a request, None for one that failed. Gives what a look, if it was due, found."""
        newest = self._rounds[-1][side]
        if seconds is None:
            newest.failed += 1
        else:
            newest.seconds[_bucket(seconds)] += 1
        if side == "champion":
            return None
        self._seen += 1
        return None if self._seen % self.limits.min_requests else self._look()

    def _look(self) -> Finding | None:
        canary, champion = (
            sum((each[side] for each in self._rounds), Outcomes()) for side in SIDES
        )
        found = worse(canary, champion, self.limits)
        if found is None and champion.requests >= self.limits.min_requests:
            self.passed = self._seen
        self._rounds.append(_round())
        return found


def _round() -> dict[Side, Outcomes]:
    return {side: Outcomes() for side in SIDES}


def _wilson(side: Outcomes, z: float) -> tuple[float, float, float]:
    """Give the share of failed requests, and the ends of its interval."""
    count = side.requests
    if count == 0:
        return 0.0, 0.0, 1.0
    share, square = side.failed / count, z * z
    centre = share + square / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + square / (4 * count * count))
    whole = 1 + square / count
    return share, (centre - spread) / whole, (centre + spread) / whole


def _bucket(seconds: float) -> int:
    at = math.ceil(math.log(max(seconds, _SHORTEST) / _SHORTEST) / math.log(_STEP))
    return min(at, _BUCKETS - 1)


def _seconds_of(bucket: int) -> float:
    return float(_SHORTEST * _STEP**bucket)
