"""Answers of the challenger that nobody sees: queries in, records with the role shadow out."""

import logging
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace

from services.serving.metrics import Metrics
from services.serving.predictor import Predictor, VersionRef
from services.serving.queries import Query

_log = logging.getLogger(__name__)
_MOST_WAITING = 1000  # rows


class Shadow:
    """One thread beside the event loop. What it has no time for is dropped and counted."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._waiting: deque[tuple[Predictor, Query]] = deque()
        self._offered = self._done = 0  # rows; one thread alone writes each
        # Whose failure has been logged in full: its others are only counted.
        self._said: VersionRef | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        self._draining = self._thread.submit(self._drain)

    def offer(self, predictor: Predictor, query: Query) -> None:
        """Queue a query whose answer has been sent."""
        if self._offered - self._done + query.rows > _MOST_WAITING:
            self._metrics.shadow_dropped.labels(predictor.ref.model).inc()
            return
        self._offered += query.rows
        self._waiting.append((predictor, query))
        if len(self._waiting) == 1:
            self._draining = self._thread.submit(self._drain)

    def close(self, seconds: float) -> bool:
        """Answer what is waiting, then stop. False where that took longer, or the model hangs."""
        self._thread.shutdown(wait=False)
        return not wait([self._draining], seconds).not_done

    def _drain(self) -> None:
        while self._waiting:
            predictor, query = self._waiting[0]
            try:
                columns = predictor.model.signature.adopt(query.columns)
                predictor.answer([replace(query, columns=columns)], "shadow")
            except BaseException:  # noqa: BLE001  whatever it does, the next one is asked
                self._failed(predictor.ref)
            self._waiting.popleft()
            self._done += query.rows

    def _failed(self, ref: VersionRef) -> None:
        self._metrics.shadow_failures.labels(ref.model).inc()
        if ref != self._said:
            self._said = ref
            about = {"model": ref.model, "version": ref.version}
            _log.warning(
                "the shadow failed, more of it is only counted", exc_info=True, extra=about
            )
