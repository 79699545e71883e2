"""Answers of the challenger that nobody sees: queries in, records with the role shadow out."""

import logging
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from weakref import WeakKeyDictionary

from services.serving.metrics import Metrics
from services.serving.predictor import Predictor, VersionRef
from services.serving.queries import Query

_log = logging.getLogger(__name__)
_MOST_WAITING = 1000  # rows of a challenger


class Shadow:
    """A queue for each challenger. What it has no time for is dropped and counted."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._queues: WeakKeyDictionary[Predictor, _Queue] = WeakKeyDictionary()

    def offer(self, predictor: Predictor, query: Query) -> None:
        """Queue a query whose answer has been sent."""
        try:
            queue = self._queues.get(predictor)
            if queue is None:
                queue = self._queues[predictor] = _Queue(self._metrics)
            taken = queue.offer(predictor, query)
        except RuntimeError:  # this machine gives no more threads
            taken = False
        if not taken:
            self._metrics.shadow_dropped.labels(predictor.ref.model).inc()

    def close(self, seconds: float) -> bool:
        """Answer what is waiting, then stop. False where that took longer, or a model hangs."""
        draining = [queue.close() for queue in self._queues.values()]
        return not wait(draining, seconds).not_done


class _Queue:
    """One thread beside the event loop. It goes with its challenger, which only queries hold."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._waiting: deque[tuple[Predictor, Query]] = deque()
        self._offered = self._done = 0  # rows; one thread alone writes each
        self._said = False  # a failure has been logged in full: others are only counted
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        self._draining = self._thread.submit(self._drain)

    def offer(self, predictor: Predictor, query: Query) -> bool:
        """Queue a query; False where it is too much beside those that wait."""
        waiting = self._offered - self._done
        if waiting and waiting + query.rows > _MOST_WAITING:
            return False
        self._offered += query.rows
        self._waiting.append((predictor, query))
        if len(self._waiting) == 1:
            self._draining = self._thread.submit(self._drain)
        return True

    def close(self) -> Future[None]:
        """Take no more. Gives what is done when all that waits is answered."""
        self._thread.shutdown(wait=False)
        return self._draining

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
        if not self._said:
            self._said = True
            about = {"model": ref.model, "version": ref.version}
            _log.warning(
                "the shadow failed, more of it is only counted", exc_info=True, extra=about
            )
