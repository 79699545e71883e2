"""Failed tries in; whether it is time for another one out: each wait is twice the one before."""

import time
from collections.abc import Hashable
from dataclasses import dataclass


@dataclass
class _Failure:
    of: object  # what was tried; something else may be tried at once
    tries: int = 0
    not_before: float = 0.0


class Backoff:
    """Remembers what failed last in each place, e.g. which version as a model's champion."""

    def __init__(self, first_seconds: float, most_seconds: float) -> None:
        self._first = first_seconds
        self._most = most_seconds
        self._failures: dict[Hashable, _Failure] = {}

    def may_try(self, place: Hashable, what: object) -> bool:
        """Say whether this has not failed in this place, or long enough ago."""
        failure = self._failures.get(place)
        return failure is None or failure.of != what or time.monotonic() >= failure.not_before

    def failed(self, place: Hashable, what: object) -> float:
        """Count a failure. Gives the seconds until the next try."""
        failure = self._failures.get(place)
        if failure is None or failure.of != what:
            failure = self._failures[place] = _Failure(what)
        wait = min(self._first * 2 ** min(failure.tries, 32), self._most)
        failure.tries += 1
        failure.not_before = time.monotonic() + wait
        return float(wait)

    def forget(self, place: Hashable) -> None:
        """Start anew: it has worked, or is wanted no more."""
        self._failures.pop(place, None)
