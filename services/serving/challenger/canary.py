"""A canary: whether a key's requests are its own, and whether it has to go.

The order to be one is a tag of the model version in the registry, written by `relay canary` and
`relay promote`; the verdicts go back there, so that other replicas and a restart know them.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from typing import Annotated, Self

import msgspec

from services.serving.challenger.trial import Limits, Side, Trial
from services.serving.metrics import Metrics
from services.serving.predictor import VersionRef

ORDER, PASSED, WITHDRAWN = "relay.canary", "relay.canary_passed", "relay.canary_withdrawn"
_log = logging.getLogger(__name__)


class Order(msgspec.Struct, frozen=True):
    """What the policy gives a canary; `started` tells one trial of a version from the next."""

    started: str
    share: Annotated[float, msgspec.Meta(ge=0, le=0.5)]
    min_requests: Annotated[int, msgspec.Meta(ge=1)]
    max_error_increase: Annotated[float, msgspec.Meta(ge=0)]
    max_latency_ratio: Annotated[float, msgspec.Meta(gt=0)]

    @property
    def limits(self) -> Limits:
        """How much worse than the champion it may be."""
        return Limits(self.min_requests, self.max_error_increase, self.max_latency_ratio)


class Verdict(msgspec.Struct, frozen=True):
    """How the trial that started then ended, or went so far."""

    started: str
    reason: str


class Canary:
    """One trial of a challenger. Belongs to the event loop."""

    def __init__(
        self, ref: VersionRef, order: Order, metrics: Metrics, changed: Callable[[], None]
    ) -> None:
        self.ref = ref
        self.withdrawn = ""
        self._metrics = metrics
        self._changed = changed
        self._trial = Trial(order.limits)
        self._share = metrics.canary_share.labels(ref.model, ref.version)
        self.follow(order)

    @property
    def share(self) -> float:
        """The share of the keys that it answers."""
        return 0.0 if self.withdrawn else self.order.share

    @property
    def passed(self) -> int:
        """Requests after which it was last found no worse than the champion; 0: not yet."""
        return self._trial.passed

    def follow(self, order: Order) -> Self:
        """Take a new share or new limits for the same trial."""
        self.order = order
        self._trial.limits = order.limits
        self._share.set(self.share)
        return self

    def takes(self, key: str) -> bool:
        """Say whether a key's requests are the canary's: always the same, and more with the share.

        Another version draws other keys, so that not the same people try everything first.
        """
        salted = f"{self.ref.model}\0{self.ref.version}\0{key}".encode()
        drawn = int.from_bytes(hashlib.blake2b(salted, digest_size=8).digest())
        return drawn < self.share * 2**64

    def count(self, side: Side, seconds: float | None) -> None:
        """Count one request, None for one that failed; withdraw where that was one too many."""
        passed = self.passed
        if (found := self._trial.count(side, seconds)) and not self.withdrawn:
            self.withdraw(found.text)
            self._metrics.canary_withdrawn.labels(self.ref.model, found.reason).inc()
        if found or passed == 0 < self.passed:
            self._changed()

    def withdraw(self, reason: str) -> None:
        """Take no request more, for good: only a new order begins anew."""
        self.withdrawn = reason
        self._share.set(0)
        about = {"model": self.ref.model, "version": self.ref.version, "reason": reason}
        _log.error("the canary is withdrawn, the champion answers alone", extra=about)

    def forget(self) -> None:
        """Take it off the metrics: it is no canary any more."""
        self._metrics.canary_share.remove(self.ref.model, self.ref.version)


def read_order(tags: Mapping[str, str]) -> Order | None:
    """Read a version's order; None where it has none. Raises ValueError."""
    text = tags.get(ORDER)
    return msgspec.json.decode(text, type=Order) if text else None


def read_verdict(tags: Mapping[str, str], name: str, started: str) -> Verdict | None:
    """Read what was said of the trial that started then. Raises ValueError."""
    text = tags.get(name)
    verdict = msgspec.json.decode(text, type=Verdict) if text else None
    return verdict if verdict and verdict.started == started else None
